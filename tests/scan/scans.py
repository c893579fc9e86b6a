"""Scans independent of this machine's configuration, at a time when every file has settled."""

from __future__ import annotations

import os
import time
from pathlib import Path

from codeindexd.scan.git_excludes import GitConfigLocations
from codeindexd.scan.merkle import Tree
from codeindexd.scan.scanner import Scan, Scanner
from codeindexd.types import NodeKind, TreeSource

NOTHING = Tree({}, {})
NOWHERE = GitConfigLocations(None, None, None)
LATER = 10**18  # nanoseconds, late enough for every file to be settled


def scanner(root: Path, **options: object) -> Scanner:
    """Return a scanner that reads no configuration of this machine."""
    return Scanner(root, git_locations=NOWHERE, **options)  # type: ignore[arg-type]


def everything(root: Path, known: TreeSource = NOTHING, **options: object) -> Scan:
    """Scan the whole root."""
    return scanner(root, **options).scan([b""], known, now_ns=time.time_ns() + LATER)


def reasons(scan: Scan) -> dict[str, str]:
    """Return the reason by path of everything that is left out."""
    return {os.fsdecode(entry.path): entry.reason for entry in scan.tree.leaves() if entry.kind is NodeKind.SKIPPED}
