"""What is on the disk: walks below hints, applies the ignore rules, hashes what may have changed."""

from __future__ import annotations

from codeindexd.scan.git_excludes import GitHome
from codeindexd.scan.rule_files import RuleFiles
from codeindexd.scan.scanner import Scan, Scanner, ScanStats

__all__ = ["GitHome", "RuleFiles", "Scan", "ScanStats", "Scanner"]
