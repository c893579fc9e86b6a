"""What an embedding model is to the rest of the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from codeindexd.errors import EmbedderError

Vectors = NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors of unit length.

    ``identity`` is a hex hash of everything that decides what a vector looks like (weights, tokeniser, prompts,
    dtype): vectors of one identity can be compared and are shared by all roots. ``model`` is the name for people,
    ``device`` where it runs ("cpu", "cuda", ...; "auto" before it is known). Methods may be called concurrently.
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
        """Vectors of ``texts``, shape (len(texts), dimensions), float32, rows of unit length.

        Raises `RowsRefusedError` when some texts have no vector, another `EmbedderError` when none can be had now.
        """

    async def embed_query(self, text: str) -> Vectors:
        """The vector of a question, shape (dimensions,); raises `EmbedderError`."""

    async def aclose(self) -> None:
        """Lets go of processes and connections; calling it twice is harmless."""


class RowsRefusedError(EmbedderError):
    """The model has no usable vector for some of the texts, however often it is asked.

    ``rows`` are their positions, ``vectors`` is the whole answer, shape (n, dimensions), with NaN in those rows.
    """

    def __init__(self, message: str, *, rows: tuple[int, ...], vectors: Vectors, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rows = rows
        self.vectors = vectors


def unit(vectors: Vectors) -> Vectors:
    """``vectors`` (n, d) as float32 rows of unit length; raises `RowsRefusedError` for rows that have no direction."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        result: Vectors = (vectors / lengths).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(result).all(axis=1))
    if len(bad):
        result[bad] = np.nan
        rows = tuple(int(row) for row in bad)
        raise RowsRefusedError(f"the model gave no usable vector for {len(rows)} texts", rows=rows, vectors=result)
    return result
