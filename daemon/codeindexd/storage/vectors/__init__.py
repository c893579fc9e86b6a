"""The vector store that all roots share."""

from codeindexd.storage.vectors.store import VectorStore, today

__all__ = ["VectorStore", "today"]
