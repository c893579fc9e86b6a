"""Splits texts into the terms of both indexes: lowercased words, with compound identifiers split and also kept whole.

``parse_HTTPHeaders2`` gives the words ``parse``, ``http``, ``headers2`` and the identifier ``parse_httpheaders2``. The
lexical index and the embedding model read the same words, so a chunk is tokenised once. Source code repeats its
identifiers, so splits are cached, and nearly all the time is spent in C (regex, dict, chain).
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

TOKENIZER_VERSION = 3
"""A part of every fingerprint: increase it whenever a change gives the same text different terms."""

MAX_WORD = 48
"""Longest word in characters; longer ones are cut in documents and queries alike, so they still match."""

_MAX_TOKEN = 256  # a longer identifier is data (a blob, a minified line): only its beginning counts
_MAX_MEMO_CHARS = 64  # longer tokens hardly repeat; leaving them out bounds the memo in bytes, not only in entries
_MEMO_ENTRIES = 16_000
_VOWELS = frozenset("aeiouy")
_NOUNS = (("ization", "iz", 3), ("isation", "is", 3), ("ation", "", 4), ("tion", "t", 4), ("at", "", 4))

_Value = TypeVar("_Value")

_MAX_PIECE = 4096  # characters; only chunks of one huge line are longer
_PIECE = re.compile(rf"(?s:.{{1,{_MAX_PIECE}}}(?=[\0-\x7f]|\Z)|.{{1,{_MAX_PIECE}}})")
_SPACED = bytes(code if chr(code).isalnum() or code == 95 else 32 for code in range(128)) + b" " * 128
_PARTS = re.compile(
    r"0[xX][0-9a-fA-F]+"  # a hexadecimal literal is one word
    r"|(?:IPv[46]|OAuth|GraphQL|MySQL|SQLite|PostgreSQL|LaTeX|iOS|macOS)\d*(?![a-z])"  # camel case would split them
    r"|[A-Z]{2,}s(?![a-z])"  # plural acronyms: URLs
    r"|[A-Z]+(?![a-z])\d*"  # HTTP in HTTPServer, SHA256
    r"|[A-Z]?[a-z]+\d*"  # Server, utf8
    r"|\d+(?:[a-z]+|[A-Z](?![a-z]))?"  # 404, 2fa, 3D
)
_CJK = re.compile(  # scripts without spaces; also Hangul: its nouns carry particles
    "[\u2e80-\u2fff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]+"
)


_SPACELESS = re.compile(  # Thai, Lao, Burmese and Khmer: no spaces, and vowels and tones above and below the letters
    "[\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u17dd]+"
)


_UNSPACED = re.compile(f"{_CJK.pattern}|{_SPACELESS.pattern}")
_BLOCKS_WITH_MARKS = (*range(0x300, 0x1B00), *range(0x1DC0, 0x1E00), *range(0xA800, 0xAC00), *range(0xFE20, 0xFE30))


class Terms(NamedTuple):
    """The lowercased terms of a text, in order of appearance: all ``words``, and the compound ``identifiers`` whole."""

    words: list[str]
    identifiers: list[str]


def tokens_of(text: str) -> list[str]:
    """Return the runs of word characters in a text, for :func:`split_identifier`."""
    if text.isascii():  # table and split: twice as fast as the regex
        return text.encode("ascii").translate(_SPACED).decode("ascii").split()
    return _token().findall(_normal(text))


@functools.cache
def _token() -> re.Pattern[str]:
    """Return the pattern of a run of word characters, including marks on letters, which ``\\w`` does not match."""
    marks = "".join(chr(code) for code in _BLOCKS_WITH_MARKS if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"[\w{marks}]+")


@functools.cache
def _cluster() -> re.Pattern[str]:
    """Return the pattern of one letter with its marks."""
    return re.compile(rf"\w{_token().pattern.replace(chr(92) + 'w', '').removesuffix('+')}*")


def split_identifier(name: str) -> tuple[str, ...]:
    """Return the lowercased words of one identifier, in order; empty if it has no letter or digit.

    Splits at underscores, hyphens, dots and any other non-word character, and at changes of case; digits stay with
    the letters before them (``utf8``, ``base64``, ``getUserById2`` -> ``get user by id2``). Runs of letters in scripts
    without spaces become overlapping pairs. No word is longer than ``MAX_WORD``.
    """
    if name.isascii():
        if len(name) <= MAX_WORD and (name.islower() or name.isupper()) and name.replace("_", "").isalpha():
            return tuple(map(sys.intern, filter(None, name.lower().split("_"))))  # same result, twice as fast
        return tuple([sys.intern(part[:MAX_WORD].lower()) for part in _PARTS.findall(name[:_MAX_TOKEN])])
    return tuple(word for token in _token().findall(_normal(name)) for word in _split_unicode(token[:_MAX_TOKEN]))


def stem(word: str) -> str:
    """Return the stem that a lowercased word shares with its inflections: ``parse``, ``parsing`` -> ``pars``.

    Deliberately light: it handles plurals, -ing, -ed, final e and y, and nouns in -ation and -tion. For matching only:
    the result need not be a word. Words of fewer than four letters, or with other than ASCII letters, are unchanged.
    """
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    word = _verb(_singular(word))
    if word[-1] == "e" and len(word) > 4:
        word = word[:-1]
    if word[-1] == "y" and len(word) > 3 and word[-2] not in _VOWELS:
        word = word[:-1] + "i"
    for ending, other, least in _NOUNS:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return word[: -len(ending)] + other
    return word


def path_words(path: bytes) -> str:
    """Return the space-separated terms of a path: the words of every part, then a compound file name whole.

    The words of the extension come last: ``src/http/ClientPool.py`` -> ``src http client pool clientpool py``.
    """
    *directories, name = path.decode("utf-8", "replace").split("/")
    stem, dot, extension = name.rpartition(".")
    if not stem:  # no extension, or a hidden file: the whole name is the stem
        stem, extension = dot + extension, ""
    terms = list(chain.from_iterable(map(split_identifier, [*directories, stem])))
    words = split_identifier(stem)
    if len(words) > 1:
        terms.append("".join(words)[:MAX_WORD])
    terms.extend(split_identifier(extension))
    return " ".join(terms)


class Tokenizer:
    """Splits texts into terms, with a cache of split identifiers (at most about 8 MB). Use one per thread."""

    def __init__(self, *, memo_entries: int = _MEMO_ENTRIES) -> None:
        self._words = Memo(split_identifier, memo_entries)
        self._compounds = Memo(lambda token: _compound(token, self._words[token]), memo_entries)
        self._stems = Memo(stem, memo_entries)
        self._stems_of_token = Memo(lambda token: tuple(map(stem, self._words[token])), memo_entries)

    def tokenize(self, text: str) -> Terms:
        """Return the terms of ``text``. Never raises; the result depends on nothing but the text."""
        tokens = tokens_of(text)
        words = list(chain.from_iterable(map(self._words.__getitem__, tokens)))
        return Terms(words, list(filter(None, map(self._compounds.__getitem__, tokens))))

    def words(self, text: str) -> list[str]:
        """Return only the words of ``text``, those of :meth:`tokenize`."""
        return list(chain.from_iterable(map(self._words.__getitem__, tokens_of(text))))

    def stems(self, words: Iterable[str]) -> list[str]:
        """Return the stem of each word, in order, as the lexical index holds them."""
        return list(map(self._stems.__getitem__, words))

    def distinct_stems(self, text: str) -> set[str]:
        """Return the stems of the words of ``text``, each once: faster than :meth:`words` and :meth:`stems`."""
        return set(chain.from_iterable(map(self._stems_of_token.__getitem__, set(tokens_of(text)))))


class Memo(dict[str, _Value]):
    """A function of one token, called by subscript, with a cache of its results for at most ``limit`` recent tokens.

    The cache has two generations. When the young one is full, it becomes the old one, from which results return when
    they are used again. Thread-safe: at worst a result is computed twice.
    """

    def __init__(self, function: Callable[[str], _Value], limit: int) -> None:
        super().__init__()
        self._function = function
        self._half = max(1, limit // 2)
        self._older: dict[str, _Value] = {}

    def __missing__(self, token: str) -> _Value:
        value = self._older.get(token)
        if value is None:
            value = self._function(token)
        if len(token) <= _MAX_MEMO_CHARS:
            if len(self) >= self._half:
                self._older = dict(self)
                self.clear()
            self[token] = value
        return value


def _compound(token: str, words: Sequence[str]) -> str:
    """Return the whole identifier in lowercase; "" if it is a single word or has letters of a script without spaces."""
    if len(words) < 2 or _CJK.search(token) or _SPACELESS.search(token):
        return ""
    return token.strip("_")[:_MAX_TOKEN].lower()


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _verb(word: str) -> str:
    """Return ``word`` without -ing or -ed if a syllable is left; a doubled consonant (``running``) becomes one."""
    root = word.removesuffix("ing") if word.endswith("ing") else word.removesuffix("ed")
    if root == word or len(root) < 3 or _VOWELS.isdisjoint(root):
        return word
    return root[:-1] if root[-1] == root[-2] and root[-1] not in "lsz" else root


def _normal(text: str) -> str:
    """Return ``text`` in NFKC, so that decomposed accents and full-width letters match their usual forms.

    This is done in pieces, because the time is quadratic in the length of a run of accents. A piece ends before an
    ASCII character if possible: it never composes with what precedes it, so the cut changes nothing.
    """
    if len(text) <= _MAX_PIECE:
        return unicodedata.normalize("NFKC", text)
    pieces = _PIECE.findall(text)
    return "".join([unicodedata.normalize("NFKC", piece) for piece in pieces])


def _split_unicode(token: str) -> Iterator[str]:
    """Yield the words of one run of word characters; a run in a script without spaces yields its overlapping pairs."""
    at = 0
    for match in _UNSPACED.finditer(token):
        yield from _split_cased(token[at : match.start()])
        run = match.group()
        letters: Sequence[str] = run if _CJK.fullmatch(run) else _cluster().findall(run)
        if letters:  # marks without a letter are not a word
            yield from ("".join(letters[i : i + 2]) for i in range(max(1, len(letters) - 1)))
        at = match.end()
    yield from _split_cased(token[at:])


def _split_cased(token: str) -> Iterator[str]:
    """Yield the lowercased words of ``token``, split as ``_PARTS`` does but for letters of any script with case."""
    if token.isascii():
        yield from (part[:MAX_WORD].lower() for part in _PARTS.findall(token))
        return
    start = 0
    for i in range(1, len(token) + 1):
        if i == len(token) or token[i] == "_" or token[i - 1] == "_" or _is_word_start(token, start, i):
            word = token[start:i].strip("_").lower()[:MAX_WORD]
            if word:
                yield word
            start = i


def _is_word_start(token: str, start: int, i: int) -> bool:
    """Return True if a word starts at ``i``, after the one that starts at ``start``.

    Words start at a change from lower to upper case, at the last capital of an acronym before a lowercase letter, after
    digits that end a word, and at digits after letters in a word that itself starts with digits.
    """
    before, here = token[i - 1], token[i]
    if here.isdigit() and not before.isdigit() and token[start].isdigit():
        return True
    if before.isdigit() and here.isalpha() and not token[start:i].isdigit():
        return True
    if not here.isupper():
        return False
    return not before.isupper() or (i + 1 < len(token) and token[i + 1].islower())
