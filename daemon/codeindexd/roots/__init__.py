"""One root's life, from its first walk to its removal."""

from codeindexd.root.root import Root
from codeindexd.root.values import Problem, RootSettings, Services, Synced

__all__ = ["Problem", "Root", "RootSettings", "Services", "Synced"]
