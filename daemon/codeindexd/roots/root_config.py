"""Creates the scanner of a root from the configuration, narrowed by the root's own ``.codeindex.toml``."""

from __future__ import annotations

from pathlib import Path

from codeindexd.config import Index, load_root_config
from codeindexd.errors import ConfigError
from codeindexd.indexing.problems import RootProblem
from codeindexd.scan.scanner import Scanner
from codeindexd.scan.size_limits import SizeLimits

ROOT_CONFIG = b".codeindex.toml"


class RootConfigFile:
    """The root's own configuration file, and the scanner that results from it.

    The file is read directly, because git may ignore it, so that it is not in the tree. Blocking; not thread-safe. A
    file that is not valid becomes the :attr:`problem`, and the general configuration applies.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self._path = path
        self._general = self._narrowed = index
        self.problem: RootProblem | None = None
        self.scanner = self._create_scanner()
        self.reload()

    def reload(self) -> bool:
        """Read the file again; return True if the rules changed, so that :attr:`scanner` is a new one."""
        before, self._narrowed, self.problem = self._narrowed, self._general, None
        try:
            self._narrowed = self._general.narrowed(load_root_config(self._path))
        except ConfigError as error:
            self.problem = RootProblem.from_error(error)
        if self._narrowed != before:
            self.scanner = self._create_scanner()
        return self._narrowed != before

    def _create_scanner(self) -> Scanner:
        index = self._narrowed
        return Scanner(
            self._path,
            include=index.include,
            exclude=index.exclude,
            hidden=index.hidden,
            gitignore=index.gitignore,
            size_limits=SizeLimits(index.max_file_bytes, index.max_notebook_bytes),
        )
