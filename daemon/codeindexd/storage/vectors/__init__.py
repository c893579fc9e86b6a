"""The store of vectors that all roots share."""

from codeindexd.storage.vectors.store import VectorStore, today

__all__ = ["VectorStore", "today"]
