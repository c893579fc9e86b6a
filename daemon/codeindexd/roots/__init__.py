"""One root's life, from its first walk to its removal."""

from codeindexd.roots.root import Root
from codeindexd.roots.settings import Problem, RootDependencies, RootSettings, Synced

__all__ = ["Problem", "Root", "RootDependencies", "RootSettings", "Synced"]
