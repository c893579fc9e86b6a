"""The store of vectors that all roots share."""

from codeindexd.vectors.store import VectorStore, today

__all__ = ["VectorStore", "today"]
