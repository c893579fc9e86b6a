"""Computes how close the names of files are to a question in meaning: ``router.py`` to "where requests are routed".

Vectors recognise what equal words do not: inflections, abbreviations, derived nouns. The directories count a little, to
tell files of the same name apart. The bundled model is used whatever model embeds the code, because only it is fast
enough to embed names for every query.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.tokens import split_identifier

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Returns vectors of unit length, as ``StaticModel.embed`` does."""

_NAMELESS: Final = frozenset({b"__init__", b"index", b"init", b"lib", b"main", b"mod", b"package-info"})
_CACHE_ENTRIES: Final = 8_192


def closeness_of_names(embed: Embed | None, question: str, paths: Collection[bytes]) -> dict[bytes, float]:
    """Return by path how close its file's name is to ``question``: 1 for the closest of ``paths``, 0 for the farthest.

    Returns {} without a model, with fewer than two paths, and if all are equally close.
    """
    if embed is None or len(paths) < 2:
        return {}
    ordered = sorted(paths)
    vectors = embed([question, *map(name_text, ordered)])
    cosines = vectors[1:] @ vectors[0]
    low, high = float(cosines.min()), float(cosines.max())
    if high <= low:
        return {}
    return {path: (float(cosine) - low) / (high - low) for path, cosine in zip(ordered, cosines, strict=True)}


@lru_cache(maxsize=_CACHE_ENTRIES)
def name_text(path: bytes) -> str:
    """Return a path as the model reads it: the words of the file's name as the title, then those of its directories.

    A file whose name says nothing (``mod.rs``, ``index.js``) is named by its directory.
    """
    *directories, name = path.split(b"/")
    stem = name.rpartition(b".")[0] or name
    if stem in _NAMELESS and directories:
        stem = directories.pop()
    return f"{_words(stem)}\n{' '.join(map(_words, directories))}"


def _words(part: bytes) -> str:
    return " ".join(split_identifier(part.decode("utf-8", "replace")))
