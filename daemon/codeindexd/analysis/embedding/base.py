"""The interface of embedding models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from codeindexd.errors import EmbedderError

Vectors = NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """A model that turns texts into vectors of unit length.

    ``identity`` is a hex hash of everything that determines a vector (weights, tokeniser, prompts, dtype): vectors of
    one identity can be compared and are shared by all roots. ``model`` is the name shown to users, ``device`` where it
    runs ("cpu", "cuda", ...; "auto" before it is known). Methods may be called concurrently.
    """

    @property
    def model(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def device(self) -> str: ...

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of ``texts``, shape (len(texts), dimensions), float32, rows of unit length.

        Raises `RowsRefusedError` if some texts have no vector, another `EmbedderError` if embedding fails now.
        """

    async def embed_query(self, text: str) -> Vectors:
        """Return the vector of a query, shape (dimensions,). Raises `EmbedderError`."""

    async def aclose(self) -> None:
        """Close processes and connections. Idempotent."""


class RowsRefusedError(EmbedderError):
    """The model permanently has no usable vector for some of the texts.

    ``rows`` are their positions; ``vectors`` is the whole answer, shape (n, dimensions), with NaN in those rows.
    """

    def __init__(self, message: str, *, rows: tuple[int, ...], vectors: Vectors, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rows = rows
        self.vectors = vectors


def unit(vectors: Vectors) -> Vectors:
    """Return ``vectors`` (n, d) as float32 rows of unit length. Raises `RowsRefusedError` for zero rows."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        result: Vectors = (vectors / lengths).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(result).all(axis=1))
    if len(bad):
        result[bad] = np.nan
        rows = tuple(int(row) for row in bad)
        raise RowsRefusedError(f"the model returned no usable vector for {len(rows)} texts", rows=rows, vectors=result)
    return result
