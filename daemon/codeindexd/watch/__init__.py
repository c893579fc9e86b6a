"""File system events as hints: the async side of watchfiles."""

from codeindexd.watch.watcher import Watcher

__all__ = ["Watcher"]
