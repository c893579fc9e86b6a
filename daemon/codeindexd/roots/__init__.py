"""One root's life, from its first walk to its removal."""

from codeindexd.indexing.problems import RootProblem
from codeindexd.roots.events import RootEvent, RootEventKind
from codeindexd.roots.root import Root
from codeindexd.roots.root_status import RootStatus
from codeindexd.roots.settings import RootDependencies, RootSettings
from codeindexd.roots.sync import SyncMethod, SyncResult

__all__ = [
    "Root",
    "RootDependencies",
    "RootEvent",
    "RootEventKind",
    "RootProblem",
    "RootSettings",
    "RootStatus",
    "SyncMethod",
    "SyncResult",
]
