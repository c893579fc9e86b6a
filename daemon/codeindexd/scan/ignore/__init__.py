"""Decides which paths are left out of the index: exactly git's rules, and ours on top. Reads no files."""

from __future__ import annotations

from codeindexd.scan.ignore.builtin import PACKAGE_FILES, VENDOR, VENDOR_CONTENT, Verdict
from codeindexd.scan.ignore.rules import GITIGNORE, IGNORE_FILES, OWN_IGNORE, ExcludeFile, IgnoreRules

__all__ = [
    "GITIGNORE",
    "IGNORE_FILES",
    "OWN_IGNORE",
    "PACKAGE_FILES",
    "VENDOR",
    "VENDOR_CONTENT",
    "ExcludeFile",
    "IgnoreRules",
    "Verdict",
]
