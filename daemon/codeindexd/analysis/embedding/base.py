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
    """A model that turns texts into vectors of norm 1. Methods may be called concurrently.

    - ``model``: the name shown to users.
    - ``identity``: a hex hash of everything that determines a vector (weights, tokeniser, prompts, dtype). Vectors with
      the same identity can be compared, and all roots share them.
    - ``dimensions``: the number of values in a vector.
    - ``device``: where the model runs ("cpu", "cuda", "remote", ...), "auto" while that is not known.
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
        """Return the vectors of ``texts`` as float32 (len(texts), dimensions), each of norm 1.

        Raises RowsRefusedError if the model has no vector for some texts, another EmbedderError if embedding fails.
        """

    async def embed_query(self, text: str) -> Vectors:
        """Return the vector (dimensions,) of a query. Raises EmbedderError."""

    async def aclose(self) -> None:
        """Close processes and connections; may be repeated."""


class RowsRefusedError(EmbedderError):
    """The model has no usable vector for some of the texts, and trying again would not help.

    ``rows`` are the positions of these texts; ``vectors`` (n, dimensions) are all vectors, with NaN in those rows.
    """

    def __init__(self, message: str, *, rows: tuple[int, ...], vectors: Vectors, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rows = rows
        self.vectors = vectors


def unit(vectors: Vectors) -> Vectors:
    """Return ``vectors`` (n, d) with rows scaled to norm 1, as float32.

    Raises RowsRefusedError for rows that are zero or not finite.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        result: Vectors = (vectors / lengths).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(result).all(axis=1))
    if len(bad):
        result[bad] = np.nan
        rows = tuple(int(row) for row in bad)
        texts = "a text" if len(rows) == 1 else f"{len(rows)} texts"
        raise RowsRefusedError(f"the model returned no usable vector for {texts}", rows=rows, vectors=result)
    return result
