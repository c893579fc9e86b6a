"""The bundled model: a vector per word, added up. numpy only; weights and vocabulary stay memory-mapped.

A directory holds ``config.json`` and three arrays sorted by word hash: ``hashes.npy`` (n,) uint64, ``rows.npy`` (n, d)
int8, ``scales.npy`` (n,) float32. A word's row is found by the xxh3_64 of its UTF-8 form, so the words themselves are
not stored and loading builds nothing; the weight of a word (rare ones count more) is folded into its scale. A word
without a row of its own is put together from the longest words that have one (``getuserbyid`` -> get user by id).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from codeindexd.embed.base import Vectors
from codeindexd.errors import EmbedderError
from codeindexd.tokens import TOKENIZER_VERSION, Tokenizer

BUNDLED = Path(__file__).with_name("bundled")
CONFIG, HASHES, ROWS, SCALES = "config.json", "hashes.npy", "rows.npy", "scales.npy"
FORMAT = 1
BUCKETS = 256
"""Rows shared by words of which not one character is known; each such word always falls into the same one."""

TITLE = 8
"""How often the words of a text's first line count besides: it names what the rest is (a symbol, a heading)."""

EMPTY = "\0empty"  # the row of a text without a single word; no text holds it, as no word holds a NUL

_LONGEST = 24  # of an unknown word only so much is looked at
_LONGEST_PART = 16
_MEMO_ENTRIES = 16_000
_FILTER_BITS = 20
_HINT = "reinstall codeindexd, or set [embedding] model"


def bucket(number: int) -> str:
    """The name under which bucket ``number`` has its row."""
    return f"\0bucket{number}"


class StaticModel:
    """Texts to unit vectors, 10,000 chunks and more a second. Instances share their mapped files, not their memory.

    Every answer is finite, has unit length and depends on nothing but the text: a text without words gets one fixed
    vector, far from all others. May be used by several threads at once.
    """

    def __init__(self, hashes: NDArray[np.uint64], rows: NDArray[np.int8], scales: Vectors, identity: str) -> None:
        self._rows = rows
        self._scales = scales
        self._identity = identity
        self._tokenizer = Tokenizer()
        self._memo = _WordRows(hashes)
        self._empty = self._memo.rows_of(EMPTY)

    @classmethod
    def load(cls, directory: Path | None = None) -> StaticModel:
        """The model in ``directory``, by default the one that comes with the package.

        Maps the arrays; reads every byte once to know the identity (15 MB: a few milliseconds when cached).
        Raises `EmbedderError` when a file is missing, damaged or of another format.
        """
        directory = BUNDLED if directory is None else directory
        try:
            config = json.loads((directory / CONFIG).read_bytes())
            hashes = _mapped(directory / HASHES, np.uint64, 1)
            rows = _mapped(directory / ROWS, np.int8, 2)
            scales = _mapped(directory / SCALES, np.float32, 1)
            found = identity_of(directory)
        except (OSError, ValueError, EOFError) as error:
            raise EmbedderError(f"cannot read the embedding model in {directory}: {error}", hint=_HINT) from error
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise EmbedderError(f"{directory} is not an embedding model of format {FORMAT}", hint=_HINT)
        if config.get("identity") != found or not len(hashes) == len(rows) == len(scales):
            raise EmbedderError(f"the embedding model in {directory} is damaged", hint=_HINT)
        return cls(hashes, rows, scales, found)

    @property
    def identity(self) -> str:
        """Hex xxh3_128 of the arrays and of the version of the tokeniser."""
        return self._identity

    @property
    def dimensions(self) -> int:
        return int(self._rows.shape[1])

    def rows_of(self, word: str) -> tuple[int, ...]:
        """Which rows make up a word: its own, or those it is put together from; empty only without any bucket."""
        return self._memo.rows_of(word)

    def embed_words(self, texts: Sequence[Sequence[str]], titles: Sequence[Sequence[str]] | None = None) -> Vectors:
        """Vectors of tokenised texts (`codeindexd.tokens`), shape (len(texts), dimensions), unit length.

        ``titles`` are the words of each text's `first_line`, which weigh more; without them all words weigh alike.
        """
        out = np.empty((len(texts), self.dimensions), np.float32)
        rows, scales = self._rows, self._scales
        for n, words in enumerate(texts):
            ids, weights = self.bag(words, () if titles is None else titles[n])
            np.matmul(weights * scales.take(ids), rows.take(ids, axis=0).astype(np.float32), out=out[n])
        out /= np.maximum(np.sqrt(np.einsum("nd,nd->n", out, out)), 1e-12)[:, None]
        return out

    def bag(self, words: Sequence[str], title: Sequence[str] = ()) -> tuple[NDArray[np.intp], Vectors]:
        """The rows that make up a text and the weight of each: the square root of how often its words count."""
        rows_of = self._memo.__getitem__
        counted = Counter(chain.from_iterable(map(rows_of, words)))
        for row in chain.from_iterable(map(rows_of, title)):
            counted[row] += TITLE
        if not counted:
            counted[self._empty[0]] = 1
        size = len(counted)
        return np.fromiter(counted, np.intp, size), np.sqrt(np.fromiter(counted.values(), np.float32, size))

    def table(self) -> Vectors:
        """All rows at full width, shape (n, dimensions): for training, 60 MB."""
        table: Vectors = self._rows.astype(np.float32) * self._scales[:, None]
        return table

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of ``texts``, shape (len(texts), dimensions), float32, unit length."""
        words = self._tokenizer.words
        return self.embed_words([words(text) for text in texts], [words(first_line(text)) for text in texts])

    def embed_query(self, text: str) -> Vectors:
        """The vector of a question, shape (dimensions,): questions and documents are embedded alike."""
        vector: Vectors = self.embed([text])[0]
        return vector


def first_line(text: str) -> str:
    """The title of a text: its first line that is not blank."""
    return text.lstrip().partition("\n")[0]


def identity_of(directory: Path) -> str:
    """Hex hash of all that decides a vector: the arrays' bytes and how text becomes words; raises `OSError`."""
    digest = xxhash.xxh3_128(f"codeindexd static {FORMAT} {TOKENIZER_VERSION} {TITLE}".encode())
    buffer = memoryview(bytearray(1 << 20))
    for name in (HASHES, ROWS, SCALES):
        with (directory / name).open("rb", buffering=0) as file:
            while size := file.readinto(buffer):
                digest.update(buffer[:size])
    return digest.hexdigest()


def word_hash(word: str) -> int:
    """What ``hashes.npy`` holds for a word."""
    return xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))


def write_rows(directory: Path, table: Vectors, config: dict[str, object]) -> None:
    """Quantise ``table`` and write it beside the ``hashes.npy`` that is there already, then the configuration."""
    scales = np.maximum(np.abs(table).max(axis=1) / 127, 1e-12).astype(np.float32)
    np.save(directory / ROWS, np.rint(table / scales[:, None]).astype(np.int8))
    np.save(directory / SCALES, scales)
    config = {"format": FORMAT, "dimensions": table.shape[1], **config, "identity": identity_of(directory)}
    (directory / CONFIG).write_text(json.dumps(config, indent=1) + "\n")


def _mapped(path: Path, dtype: type[np.generic], dimensions: int) -> NDArray[Any]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype != dtype or array.ndim != dimensions:
        raise ValueError(f"{path.name} holds {array.dtype}, {array.ndim}-dimensional")
    plain: NDArray[Any] = array.view(np.ndarray)  # a memmap object is slow to index
    return plain


class _WordRows(dict[str, tuple[int, ...]]):
    """word -> the rows that make it up, filled on demand and bounded."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        super().__init__()
        self._hashes = memoryview(hashes.data)
        present = np.zeros(1 << _FILTER_BITS, np.bool_)
        present[hashes & np.uint64((1 << _FILTER_BITS) - 1)] = True
        self._present = present.tobytes()  # answers most look-ups of what is no word: splitting asks hundreds a word

    def __missing__(self, word: str) -> tuple[int, ...]:
        rows = self.rows_of(word)
        if len(self) >= _MEMO_ENTRIES:
            for old in list(self)[: _MEMO_ENTRIES // 2]:
                self.pop(old, None)
        self[word] = rows
        return rows

    def rows_of(self, word: str) -> tuple[int, ...]:
        """The word's own row, else those of its parts, else that of its bucket."""
        row = self._find(word)
        if row is not None:
            return (row,)
        parts = self._parts(word[:_LONGEST])
        if parts:
            return parts
        shared = self._find(bucket(word_hash(word) % BUCKETS))
        return () if shared is None else (shared,)

    def _parts(self, word: str) -> tuple[int, ...]:
        """Rows of a split of ``word`` into known words, long ones preferred (largest sum of squared lengths)."""
        best = [0.0] * (len(word) + 1)
        rows: list[tuple[int, ...]] = [()] * (len(word) + 1)
        for end in range(1, len(word) + 1):
            best[end], rows[end] = best[end - 1], rows[end - 1]  # a character nobody knows is passed over
            for start in range(max(0, end - _LONGEST_PART), end):
                score = best[start] + (end - start) ** 2
                if score > best[end] and (row := self._find(word[start:end])) is not None:
                    best[end], rows[end] = score, (*rows[start], row)
        return rows[-1]

    def _find(self, word: str) -> int | None:
        key = word_hash(word)
        if not self._present[key & ((1 << _FILTER_BITS) - 1)]:
            return None
        at = bisect_left(self._hashes, key)
        return at if at < len(self._hashes) and self._hashes[at] == key else None
