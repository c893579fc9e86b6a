"""One root's life, from its first walk to its removal."""

from codeindexd.roots.root import Root
from codeindexd.roots.settings import Problem, RootSettings, Services, Synced

__all__ = ["Problem", "Root", "RootSettings", "Services", "Synced"]
