"""File system events as hints."""

from codeindexd.watch.watcher import Watcher

__all__ = ["Watcher"]
