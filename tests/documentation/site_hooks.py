"""Hooks of mkdocs: add pages made from the code and from files at the top, and correct links that leave docs/."""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(PROJECT / "daemon")]

import reference  # noqa: E402 - from the directory added above
from mkdocs.structure.files import File  # noqa: E402

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_LINK = re.compile(r"(!?\[[^\]]*\])\((?!https?:|#|mailto:)([^)\s]+)\)")
TOP = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "reporting.md",
}
"""Files at the top of the repository that are pages of the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files below docs/."""
    for source, place in TOP.items():
        text = (PROJECT / source).read_text("utf-8")
        files.append(File.generated(config, place, content=moved(text, "", str(config.repo_url))))
    for place, page in reference.PAGES.items():
        files.append(File.generated(config, place, content=page()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Correct the links of a page below docs/ that leave it."""
    if page.file.src_uri in TOP.values() or page.file.src_uri in reference.PAGES:
        return markdown
    return moved(markdown, "docs", str(config.repo_url))


def moved(text: str, directory: str, repository: str) -> str:
    """Return Markdown of a file in ``directory`` of the repository with links as they are in the site."""

    def link(match: re.Match[str]) -> str:
        target, hash_sign, anchor = match[2].partition("#")
        path = posixpath.normpath(posixpath.join(directory, target))
        if target.startswith("../blob/"):
            return match[0]
        if path in TOP:
            path = TOP[path]
        elif path.startswith("docs/"):
            path = path.removeprefix("docs/")
        else:
            path = f"{repository.rstrip('/')}/blob/main/{path}"
        return f"{match[1]}({path}{hash_sign}{anchor})"

    return _LINK.sub(link, text)
