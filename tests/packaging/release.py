#!/usr/bin/env python3
"""The checklist of a release: checks what a program can check, prints what is left to do, exits with 1 on a problem.

python tests/packaging/release.py [--offline]

``--offline`` leaves out what needs the network, and says so.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
TIMEOUT_S = 20
BY_HAND = """\
Left to do, in this order:
1. python tests/check.py, as root on a machine with systemd, so that nothing is skipped; .ci/run from nothing
2. python tests/packaging/check.py --keep dist
3. python tests/benchmarks/run.py figures on a quiet machine; compare with docs/performance.md
4. python tests/documentation/samples.py; python tests/documentation/session.py --check; mkdocs build --strict
5. git tag -s v{version}; git push --tags
6. twine upload dist/*
7. uvx --from codeindexd=={version} codeindex --version, on another machine
8. put "## [Unreleased]" back on top of CHANGELOG.md"""


def main() -> int:
    """Run the checks; return 1 if there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offline", action="store_true", help="leave out what needs the network")
    args = parser.parse_args()
    version = str(project()["version"])
    checks: list[Callable[[str], Iterator[str]]] = [versions, changelog, repository, old_indexes]
    checks += [] if args.offline else [addresses]
    problems = 0
    for check in checks:
        found = list(check(version))
        problems += len(found)
        print(f"{'ok     ' if not found else 'PROBLEM'} {(check.__doc__ or '').splitlines()[0]}")
        for text in found:
            print(f"        {text}")
    if args.offline:
        print("not looked at: the project's addresses (--offline)")
    print(BY_HAND.format(version=version))
    return 1 if problems else 0


def project() -> dict[str, object]:
    """Return the table [project] of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return table


def versions(version: str) -> Iterator[str]:
    """pyproject.toml and codeindexd/__init__.py have the same version."""
    if f'__version__ = "{version}"' not in (PROJECT / "daemon/codeindexd/__init__.py").read_text():
        yield f"pyproject.toml says {version}, codeindexd/__init__.py does not"


def changelog(version: str) -> Iterator[str]:
    """CHANGELOG.md has a dated section for the version, and nothing unreleased."""
    text = (PROJECT / "CHANGELOG.md").read_text()
    if not re.search(rf"(?m)^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", text):
        yield f"there is no line: ## [{version}] - YYYY-MM-DD"
    unreleased = re.search(r"(?ms)^## \[Unreleased\]\n(.*?)(?=^## |\Z)", text)
    if unreleased is not None and unreleased[1].strip():
        yield "entries are left under [Unreleased]"


def repository(version: str) -> Iterator[str]:
    """The work tree is clean, on main, and the tag is new."""
    if git("status", "--porcelain"):
        yield "there are uncommitted changes"
    if (branch := git("branch", "--show-current")) != "main":
        yield f"the branch is {branch}, not main"
    if git("tag", "--list", f"v{version}"):
        yield f"the tag v{version} exists"


def old_indexes(version: str) -> Iterator[str]:
    """There is an index of every schema that can be upgraded."""
    sys.path.insert(0, str(PROJECT / "daemon"))
    from codeindexd.storage.catalog.migrations import ADDED

    for added in ADDED:
        archive = PROJECT / f"tests/storage/old_indexes/schema-{added - 1}.tar.xz"
        if not archive.exists():
            yield f"{archive.relative_to(PROJECT)} is missing: see the README beside it"


def addresses(version: str) -> Iterator[str]:
    """The addresses in pyproject.toml exist."""
    urls = project()["urls"]
    assert isinstance(urls, dict)
    for name, address in urls.items():
        request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "codeindexd-release-check"})
        try:
            urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
        except (urllib.error.URLError, OSError) as error:
            yield f"{name}: {address}: {error}"


def git(*words: str) -> str:
    """Return the output of a git command."""
    return subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
