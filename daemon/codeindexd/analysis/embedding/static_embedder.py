"""The bundled model as an :class:`Embedder`, which computes in this process."""

from __future__ import annotations

from collections.abc import Sequence

import anyio.to_thread

from codeindexd.analysis.embedding.base import Embedder, Vectors
from codeindexd.analysis.embedding.static import StaticModel

_MAX_INLINE = 4  # up to this many texts are embedded in less time than a thread takes to start


def is_as_fast_as_a_lookup(embedder: Embedder) -> bool:
    """Return True if computing a vector costs no more than reading it from a store, so that none need be stored."""
    return isinstance(embedder, BundledEmbedder)


class BundledEmbedder:
    """A :class:`StaticModel` as an :class:`Embedder`. Usually embeds only queries: workers have their own instances."""

    model = "bundled"
    device = "cpu"

    def __init__(self, static: StaticModel | None = None) -> None:
        """Use ``static``, or load the bundled model. Raises EmbedderError if its files are missing or damaged."""
        self.static = static or StaticModel.load()

    @property
    def identity(self) -> str:
        return self.static.identity

    @property
    def dimensions(self) -> int:
        return self.static.dimensions

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        if len(texts) <= _MAX_INLINE:
            return self.static.embed(texts)
        return await anyio.to_thread.run_sync(self.static.embed, texts)

    async def embed_query(self, text: str) -> Vectors:
        return self.static.embed_query(text)

    async def aclose(self) -> None:
        """Do nothing, since there is nothing to close."""
