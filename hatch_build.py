"""Adds the manual pages, made from the command line's parsers, to the wheel: installers put them where man looks."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPages(BuildHookInterface[Any]):
    """Writes the pages before a wheel is built, and removes them afterwards."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages into a temporary directory, and have them packed."""
        sys.path.insert(0, str(Path(self.root) / "daemon"))
        try:
            from codeindexd.cli import manual
        finally:
            sys.path.pop(0)
        self._directory = tempfile.TemporaryDirectory()
        for program in manual.PROGRAMS:
            page = Path(self._directory.name) / f"{program}.1"
            page.write_text(manual.page(program), "utf-8")
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the directory."""
        self._directory.cleanup()
