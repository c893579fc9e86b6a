"""The model that comes with the package, as an `Embedder`: it answers from memory, so there is nothing to wait for."""

from __future__ import annotations

from collections.abc import Sequence

import anyio.to_thread

from codeindexd.analysis.embedding.base import Vectors
from codeindexd.analysis.embedding.static import StaticModel

_INLINE = 4  # texts that are embedded faster than a thread is asked to


class BundledEmbedder:
    """Wraps a `StaticModel`. Documents usually never come here: workers embed with a model of their own."""

    model = "bundled"
    device = "cpu"

    def __init__(self, static: StaticModel | None = None) -> None:
        """Raises `EmbedderError` when the model's files are missing or damaged."""
        self._static = static or StaticModel.load()

    @property
    def identity(self) -> str:
        return self._static.identity

    @property
    def dimensions(self) -> int:
        return self._static.dimensions

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        if len(texts) <= _INLINE:
            return self._static.embed(texts)
        return await anyio.to_thread.run_sync(self._static.embed, texts)

    async def embed_query(self, text: str) -> Vectors:
        return self._static.embed_query(text)

    async def aclose(self) -> None:
        """Nothing to let go of."""
