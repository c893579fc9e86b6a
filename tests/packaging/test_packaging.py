"""The programs of this directory can fail, and the project's own files pass what needs no building."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from codeindexd import __version__
from support.places import PROJECT


def program(name: str) -> ModuleType:
    """Import a program of this directory."""
    spec = importlib.util.spec_from_file_location(f"packaging_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check = program("check")
release = program("release")


def test_a_listing_finds_what_is_missing_forbidden_and_unexpected(tmp_path: Path) -> None:
    (tmp_path / "listing.txt").write_text("# a comment\n! */tests/*\npackage/*.py\nLICENSE\n")
    assert check.check_contents(tmp_path / "listing.txt", ["package/a.py", "LICENSE"]) == []
    problems = check.check_contents(tmp_path / "listing.txt", ["package/tests/a.py", "other.txt"])
    assert problems == [
        "listing.txt forbids package/tests/a.py (*/tests/*)",
        "listing.txt does not expect other.txt",
        "nothing matches LICENSE of listing.txt",
    ]


def test_the_versions_agree() -> None:
    assert list(release.versions(__version__)) == []
    assert list(release.versions("9.9.9"))


def test_an_index_of_every_earlier_schema_is_kept() -> None:
    assert list(release.old_indexes(__version__)) == []


def test_the_changelog_names_what_a_release_lacks() -> None:
    assert any("9.9.9" in problem for problem in release.changelog("9.9.9"))


def test_links_become_absolute_on_the_package_index() -> None:
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    text = (PROJECT / "README.md").read_text()
    for one in config["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"], text)
    links = re.findall(r"\]\(([^)\s]+)", re.sub(r"(?s)```.*?```", "", text))
    assert links
    assert [link for link in links if not check.is_absolute(link)] == []


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", *sorted((PROJECT / "docs").glob("*.md"))]
)
def test_links_between_files_lead_somewhere(page: str | Path) -> None:
    path = PROJECT / page
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(?s)```.*?```", "", path.read_text())):
        target, _, anchor = link.partition("#")
        if target.startswith(("http:", "https:", "mailto:", "../blob/")):
            continue
        linked = (path.parent / target).resolve() if target else path
        assert linked.exists(), link
        if anchor and linked.suffix == ".md":
            assert anchor in {slug(title) for title in re.findall(r"(?m)^#+ (.+)$", linked.read_text())}, link


def slug(title: str) -> str:
    """Return the anchor that a forge makes of a heading."""
    return re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-")
