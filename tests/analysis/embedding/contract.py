"""The contract of every `Embedder`: test modules subclass `EmbedderContract` and provide the fixture ``embedder``."""

from __future__ import annotations

import anyio
import numpy as np
import pytest

from codeindexd.analysis.embedding.base import Embedder

TEXTS = [
    "def read_config(path): return tomllib.load(path)",
    "the quick brown fox",
    "x",
    "class Socket:\n    def accept(self): ...\n" * 30,
    "größe = 'naïve' # 日本語 🎉",
]


@pytest.mark.anyio
class EmbedderContract:
    """Shapes, lengths, order, identity, concurrency."""

    async def test_it_is_an_embedder(self, embedder):
        assert isinstance(embedder, Embedder)
        assert len(embedder.identity) == 32
        int(embedder.identity, 16)
        assert embedder.dimensions > 0
        assert embedder.model
        assert embedder.device

    async def test_documents(self, embedder):
        vectors = await embedder.embed_documents(TEXTS)
        assert vectors.shape == (len(TEXTS), embedder.dimensions)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3)

    async def test_a_query(self, embedder):
        vector = await embedder.embed_query("how is the configuration read?")
        assert vector.shape == (embedder.dimensions,)
        assert vector.dtype == np.float32
        assert abs(float(np.linalg.norm(vector)) - 1.0) < 1e-3

    async def test_no_texts(self, embedder):
        assert (await embedder.embed_documents([])).shape == (0, embedder.dimensions)

    async def test_a_vector_does_not_depend_on_the_other_texts(self, embedder):
        together = await embedder.embed_documents(TEXTS)
        for n, text in enumerate(TEXTS):
            alone = (await embedder.embed_documents([text]))[0]
            assert float(alone @ together[n]) > 0.999

    async def test_many_texts(self, embedder):
        texts = [f"value {n}" for n in range(100)]
        vectors = await embedder.embed_documents(texts)
        again = await embedder.embed_documents(texts[90:])
        assert np.allclose(vectors[90:], again, atol=1e-2)

    async def test_concurrent_callers_get_their_own_vectors(self, embedder):
        expected = await embedder.embed_documents(TEXTS)
        got: dict[int, object] = {}

        async def ask(n: int) -> None:
            got[n] = (await embedder.embed_documents([TEXTS[n]]))[0]

        async with anyio.create_task_group() as tasks:
            for n in range(len(TEXTS)):
                tasks.start_soon(ask, n)
            tasks.start_soon(embedder.embed_query, "and a query")
        assert all(float(got[n] @ expected[n]) > 0.999 for n in got)

    async def test_closing_twice(self, embedder):
        await embedder.aclose()
        await embedder.aclose()
