"""The history of a repository: commits, what they changed, and what finds them. Shared by all roots in its clones."""

from codeindexd.storage.history.renamed_paths import PathChange
from codeindexd.storage.history.snapshot import (
    DefinitionChange,
    HistorySnapshot,
    HistoryState,
)
from codeindexd.storage.history.store import HistoryStore, View

__all__ = [
    "DefinitionChange",
    "HistorySnapshot",
    "HistoryState",
    "HistoryStore",
    "PathChange",
    "View",
]
