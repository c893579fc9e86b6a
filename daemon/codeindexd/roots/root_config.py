"""A root's scanner: by the configuration, narrowed by the file that the root may have of its own."""

from __future__ import annotations

from pathlib import Path

from codeindexd.config import Index, load_root_config
from codeindexd.errors import ConfigError
from codeindexd.roots.settings import Problem
from codeindexd.scan import Scanner

ROOT_CONFIG = b".codeindex.toml"


class RootConfigFile:
    """Follows the file's content, whatever the tree knows of it: git may ignore it. Blocking; used by one thread.

    A file that cannot be used is a :attr:`problem` and narrows nothing.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self._path = path
        self._general = self._narrowed = index
        self.problem: Problem | None = None
        self.scanner = self._make()
        self.follow()

    def follow(self) -> bool:
        """Read the file again; whether the rules are others now, and with them the scanner."""
        before, self._narrowed, self.problem = self._narrowed, self._general, None
        try:
            self._narrowed = self._general.narrowed(load_root_config(self._path))
        except ConfigError as error:
            self.problem = Problem(error.message, error.hint)
        if self._narrowed != before:
            self.scanner = self._make()
        return self._narrowed != before

    def _make(self) -> Scanner:
        index = self._narrowed
        return Scanner(
            self._path,
            include=index.include,
            exclude=index.exclude,
            hidden=index.hidden,
            gitignore=index.gitignore,
            max_file_bytes=index.max_file_bytes,
        )
