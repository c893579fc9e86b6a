"""File system events as hints."""

from codeindexd.watch.backend import Backend
from codeindexd.watch.watcher import Watcher

__all__ = ["Backend", "Watcher"]
