"""The bundled model: the sum of one vector per word. Uses only numpy; weights and vocabulary are memory-mapped.

A directory holds ``config.json`` and three arrays sorted by word hash: ``hashes.npy`` (n,) uint64, ``rows.npy`` (n, d)
int8, ``scales.npy`` (n,) float32. A word's row is found by the xxh3_64 of its UTF-8 form, so words are not stored and
loading builds no table; the weight of a word (rare words count more) is part of its scale. A word without a row of its
own is composed of the longest words that have one (``getuserbyid`` is get, user, by, id).
"""

from __future__ import annotations

import functools
import json
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from codeindexd.analysis.embedding.base import Vectors
from codeindexd.analysis.tokens import TOKENIZER_VERSION, Memo, split_identifier, tokens_of
from codeindexd.errors import EmbedderError

BUNDLED = Path(__file__).with_name("bundled")
CONFIG, HASHES, ROWS, SCALES = "config.json", "hashes.npy", "rows.npy", "scales.npy"
FORMAT = 1
BUCKETS = 256
"""The number of rows that words without a known part share; a word always gets the same row."""

TITLE = 8
"""How many times more the words in a text's first line count, because that line names the rest (symbol, heading)."""

EMPTY = "\0empty"  # the row of a text without words; no word contains a NUL

_MAX_UNKNOWN_CHARS = 24  # of an unknown word; the rest is ignored
_MAX_PART_CHARS = 16
_MEMO_ENTRIES = 24_000
_FILTER_BITS = 20
_FILTER_MASK = (1 << _FILTER_BITS) - 1
_PAGE_BITS = 14  # hashes are uniform, so a page of one prefix has a few
_PAGE_SHIFT = 64 - _PAGE_BITS
_SQUARES = [length**2 for length in range(_MAX_PART_CHARS + 1)]
_BLOCK = 64  # texts whose rows are counted together
_ROW_BYTES = array("i").itemsize
_TEXT_SHIFT = 32  # bits of the row's number in a sort key; the text's number is above them
_ROW_MASK = (1 << _TEXT_SHIFT) - 1
_HINT = "reinstall codeindexd, or set [embedding] model in config.toml"


def bucket(number: int) -> str:
    """Return the pseudo-word under which the row of bucket ``number`` is stored."""
    return f"\0bucket{number}"


class StaticModel:
    """A model that embeds more than 10,000 chunks per second. Thread-safe. Instances share mapped files, not caches.

    Every vector is finite, has norm 1 and depends only on the text. Texts without words have one fixed vector, far from
    all others.
    """

    def __init__(self, hashes: NDArray[np.uint64], rows: NDArray[np.int8], scales: Vectors, identity: str) -> None:
        self._rows = rows
        self._scales = scales
        self._identity = identity
        self._finder = _RowFinder(hashes)
        self._empty = self._word_bag(EMPTY)[:_ROW_BYTES]
        self._of_word = Memo(self._word_bag, _MEMO_ENTRIES).__getitem__
        self._of_token = Memo(self._token_bag, _MEMO_ENTRIES).__getitem__

    @classmethod
    def load(cls, directory: Path | None = None) -> StaticModel:
        """Load the model in ``directory``, by default the bundled one.

        Maps the arrays, and reads every byte once to compute the identity (15 MB, a few milliseconds if cached). Raises
        EmbedderError if a file is missing, damaged or in a different format.
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
        """A hex hash of everything that determines a vector."""
        return self._identity

    @property
    def dimensions(self) -> int:
        return int(self._rows.shape[1])

    def rows_of(self, word: str) -> tuple[int, ...]:
        """Return the row numbers of a word: its own row, or its parts' rows; empty only in a model without buckets."""
        return self._finder.rows_of(word)

    def embed_words(self, texts: Sequence[Sequence[str]], titles: Sequence[Sequence[str]] | None = None) -> Vectors:
        """Return the vectors (n, dimensions) of tokenised texts (see ``codeindexd.analysis.tokens``), of norm 1.

        ``titles`` are the words of each text's :func:`first_line`, which count more; without it, all count the same.
        """
        bags = [b"".join(map(self._of_word, words)) for words in texts]
        if titles is not None:
            tops = (b"".join(map(self._of_word, title)) for title in titles)
            bags = [bag + TITLE * top for bag, top in zip(bags, tops, strict=True)]
        return self._embed(bags)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of ``texts`` as float32 (len(texts), dimensions), of norm 1."""
        return self._embed([self._text_bag(text) for text in texts])

    def embed_query(self, text: str) -> Vectors:
        """Return the vector (dimensions,) of a query, which is embedded like any text."""
        vector: Vectors = self.embed([text])[0]
        return vector

    def bags(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], Vectors, NDArray[np.int64]]:
        """Return (rows, weights, bounds): text n has the row numbers ``rows[bounds[n]:bounds[n + 1]]``.

        They are distinct and sorted; the weight of a row is the square root of its count.
        """
        return self._counted([self._text_bag(text) for text in texts])

    def table(self) -> Vectors:
        """Return all rows as float32 (n, dimensions), 60 MB, for training."""
        table: Vectors = self._rows.astype(np.float32) * self._scales[:, None]
        return table

    # A bag is the row numbers of a text as machine integers, each repeated as often as it counts.

    def _word_bag(self, word: str) -> bytes:
        return array("i", self._finder.rows_of(word)).tobytes()

    def _token_bag(self, token: str) -> bytes:
        return b"".join(map(self._of_word, split_identifier(token)))

    def _text_bag(self, text: str) -> bytes:
        of_token = self._of_token
        return b"".join(map(of_token, tokens_of(text))) + TITLE * b"".join(map(of_token, tokens_of(first_line(text))))

    def _embed(self, bags: Sequence[bytes]) -> Vectors:
        out = np.empty((len(bags), self.dimensions), np.float32)
        for start in range(0, len(bags), _BLOCK):
            ids, weights, bounds = self._counted(bags[start : start + _BLOCK])
            weights *= self._scales.take(ids)
            for n, (begin, end) in enumerate(pairwise(bounds.tolist()), start):
                rows = self._rows.take(ids[begin:end], axis=0).astype(np.float32)
                np.matmul(weights[begin:end], rows, out=out[n])
        out /= np.maximum(np.sqrt(np.einsum("nd,nd->n", out, out)), 1e-12)[:, None]
        return out

    def _counted(self, bags: Sequence[bytes]) -> tuple[NDArray[np.int64], Vectors, NDArray[np.int64]]:
        """Return the result of :meth:`bags` for bags that exist already. A single sort serves all texts."""
        filled = [bag or self._empty for bag in bags]
        sizes = np.fromiter(map(len, filled), np.int64, len(filled)) // _ROW_BYTES
        numbers = np.arange(len(filled) + 1, dtype=np.int64) << _TEXT_SHIFT
        keys = np.frombuffer(b"".join(filled), np.intc) + np.repeat(numbers[:-1], sizes)
        keys.sort()
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        weights = np.sqrt(np.diff(first, append=len(keys)), dtype=np.float32)
        distinct = keys[first]
        return distinct & _ROW_MASK, weights, np.searchsorted(distinct, numbers)


def first_line(text: str) -> str:
    """Return the title of a text: its first line that is not blank."""
    return text.lstrip().partition("\n")[0]


def identity_of(directory: Path) -> str:
    """Return a hex hash of everything that determines a vector: arrays, tokeniser, title weight. Raises OSError."""
    digest = xxhash.xxh3_128(f"codeindexd static {FORMAT} {TOKENIZER_VERSION} {TITLE}".encode())
    buffer = memoryview(bytearray(1 << 20))
    for name in (HASHES, ROWS, SCALES):
        with (directory / name).open("rb", buffering=0) as file:
            while size := file.readinto(buffer):
                digest.update(buffer[:size])
    return digest.hexdigest()


def word_hash(word: str) -> int:
    """Return the hash of a word, as in ``hashes.npy``."""
    return xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))


@functools.cache
def _bundled_hashes() -> NDArray[np.uint64]:
    return _mapped(BUNDLED / HASHES, np.uint64, 1)


def is_known_word(word: str) -> bool:
    """Return True if the bundled model's vocabulary has a lowercase word."""
    hashes, key = _bundled_hashes(), np.uint64(word_hash(word))
    at = int(np.searchsorted(hashes, key))
    return at < len(hashes) and bool(hashes[at] == key)


def write_rows(directory: Path, table: Vectors, config: dict[str, object]) -> None:
    """Write ``table`` (n, d), quantised to int8 with one scale per row, beside ``hashes.npy``, then the configuration.

    ``hashes.npy`` must exist. Raises OSError.
    """
    scales = np.maximum(np.abs(table).max(axis=1) / 127, 1e-12).astype(np.float32)
    np.save(directory / ROWS, np.rint(table / scales[:, None]).astype(np.int8))
    np.save(directory / SCALES, scales)
    config = {"format": FORMAT, "dimensions": table.shape[1], **config, "identity": identity_of(directory)}
    (directory / CONFIG).write_text(json.dumps(config, indent=1) + "\n")


def _mapped(path: Path, dtype: type[np.generic], dimensions: int) -> NDArray[Any]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype != dtype or array.ndim != dimensions:
        raise ValueError(f"{path.name} has {array.ndim} dimensions of {array.dtype}")
    plain: NDArray[Any] = array.view(np.ndarray)  # indexing a memmap object is slow
    return plain


class _RowFinder:
    """Finds the rows of a word."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self._hashes = memoryview(hashes.data)
        present = np.zeros(1 << _FILTER_BITS, np.bool_)
        present[hashes & np.uint64(_FILTER_MASK)] = True
        self._present = present.tobytes()  # answers most look-ups of unknown words: splitting makes dozens per word
        pages = np.arange(1 << _PAGE_BITS, dtype=np.uint64) << np.uint64(_PAGE_SHIFT)
        self._pages = array("i", [*np.searchsorted(hashes, pages).tolist(), len(hashes)])

    def rows_of(self, word: str) -> tuple[int, ...]:
        """Return the row numbers of a word: its own row, else the rows of its parts, else the row of its bucket."""
        row = self._find(word_hash(word))
        if row is not None:
            return (row,)
        parts = self._parts(word[:_MAX_UNKNOWN_CHARS])
        if parts:
            return parts
        shared = self._find(word_hash(bucket(word_hash(word) % BUCKETS)))
        return () if shared is None else (shared,)

    def _parts(self, word: str) -> tuple[int, ...]:
        """Split ``word`` into known words and return their row numbers; maximises the sum of squared lengths."""
        data, ends = _encoded(word)
        present, digest = self._present, xxhash.xxh3_64_intdigest
        best = [0]
        rows: list[tuple[int, ...]] = [()]
        for end in range(1, len(ends)):
            top, chosen = best[-1], rows[-1]  # an unknown character is skipped
            first = max(0, end - _MAX_PART_CHARS)
            for start, before in enumerate(best[first:], first):
                if (score := before + _SQUARES[end - start]) > top:
                    key = digest(data[ends[start] : ends[end]])
                    if present[key & _FILTER_MASK] and (row := self._find(key)) is not None:
                        top, chosen = score, (*rows[start], row)
            best.append(top)
            rows.append(chosen)
        return rows[-1]

    def _find(self, key: int) -> int | None:
        """Return the row number of the word with this hash, or None."""
        if not self._present[key & _FILTER_MASK]:
            return None
        page = key >> _PAGE_SHIFT
        end = self._pages[page + 1]
        at = bisect_left(self._hashes, key, self._pages[page], end)
        return at if at < end and self._hashes[at] == key else None


def _encoded(word: str) -> tuple[bytes, Sequence[int]]:
    """Return a word as UTF-8, as :func:`word_hash` hashes it, and the offsets of its characters, including the end."""
    if word.isascii():
        return word.encode("ascii"), range(len(word) + 1)
    characters = [character.encode("utf-8", "surrogatepass") for character in word]
    return b"".join(characters), list(accumulate(map(len, characters), initial=0))
