"""One tokenisation for both indexes: text becomes lowercased words, compound identifiers are split and also kept whole.

``parse_HTTPHeaders2`` gives the words ``parse``, ``http``, ``headers2`` and the identifier ``parse_httpheaders2``. The
lexical index and the embedding model read the same words, so a chunk is tokenised once. Source code repeats its
identifiers, so the split is memoised and nearly all the time is spent in C (regex, dict, chain).
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

TOKENIZER_VERSION = 1
"""Raised whenever the same text gives other terms; part of every fingerprint."""

MAX_WORD = 48
"""Longest word in characters; longer ones are cut on both sides of the index, so they still find themselves."""

_MAX_TOKEN = 256  # an identifier beyond this is data (a blob, a minified line): only its head is looked at
_MEMO_TOKEN = 64  # longer tokens hardly repeat; keeping them out bounds the memo in bytes, not only in entries
_MEMO_ENTRIES = 16_000
_VOWELS = frozenset("aeiouy")
_NOUNS = (("ization", "iz", 3), ("isation", "is", 3), ("ation", "", 4), ("tion", "t", 4), ("at", "", 4))

_Value = TypeVar("_Value")

_TOKEN = re.compile(r"\w+")
_MAX_PIECE = 4096  # characters; only a line of a megabyte is longer in a chunk
_PIECE = re.compile(rf"(?s:.{{1,{_MAX_PIECE}}}(?=[\0-\x7f]|\Z)|.{{1,{_MAX_PIECE}}})")
_SPACED = bytes(code if chr(code).isalnum() or code == 95 else 32 for code in range(128)) + b" " * 128
_PARTS = re.compile(
    r"0[xX][0-9a-fA-F]+"  # a hexadecimal literal is one word
    r"|(?:IPv[46]|OAuth|GraphQL|MySQL|SQLite|PostgreSQL|LaTeX|iOS|macOS)\d*(?![a-z])"  # names that camel case breaks
    r"|[A-Z]{2,}s(?![a-z])"  # plural acronyms: URLs
    r"|[A-Z]+(?![a-z])\d*"  # HTTP in HTTPServer, SHA256
    r"|[A-Z]?[a-z]+\d*"  # Server, utf8
    r"|\d+(?:[a-z]+|[A-Z](?![a-z]))?"  # 404, 2fa, 3D
)
_CJK = re.compile(  # scripts written without spaces; Hangul syllables too, since particles are glued to the noun
    "[\u2e80-\u2fff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]+"
)


class Terms(NamedTuple):
    """What a text is found by, lowercased: ``words`` in order of appearance, ``identifiers`` whole."""

    words: list[str]
    identifiers: list[str]


def tokens_of(text: str) -> list[str]:
    """The runs of word characters of a text, which `split_identifier` takes apart."""
    if text.isascii():  # by a table and a split: twice as fast as the expression
        return text.encode("ascii").translate(_SPACED).decode("ascii").split()
    return _TOKEN.findall(_normal(text))


def split_identifier(name: str) -> tuple[str, ...]:
    """The lowercased words of one identifier, in order; empty when it has no letter or digit.

    Splits at underscores, hyphens, dots and any other non-word character, and at changes of case; digits stay with
    the letters before them (``utf8``, ``base64``, ``getUserById2`` -> ``get user by id2``). Runs of CJK characters
    become overlapping pairs. No word is longer than ``MAX_WORD``.
    """
    if name.isascii():
        if len(name) <= MAX_WORD and (name.islower() or name.isupper()) and name.replace("_", "").isalpha():
            return tuple(map(sys.intern, filter(None, name.lower().split("_"))))  # the same, and twice as fast
        return tuple([sys.intern(part[:MAX_WORD].lower()) for part in _PARTS.findall(name[:_MAX_TOKEN])])
    return tuple(word for token in _TOKEN.findall(_normal(name)) for word in _split_unicode(token[:_MAX_TOKEN]))


def stem(word: str) -> str:
    """What a lowercased word shares with its inflections: ``parse``, ``parses``, ``parsing`` -> ``pars``.

    Light on purpose: plural, -ing, -ed, final e and y, and verb nouns in -ation, -tion. For matching only, on both
    sides of the index; the result need not be a word. Words with anything but ASCII letters stay as they are.
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
    """Space-separated terms of a path: the words of every part, the file's stem whole where it is compound.

    The words of the extension come last: ``src/http/ClientPool.py`` -> ``src http client pool clientpool py``.
    """
    *directories, name = path.decode("utf-8", "replace").split("/")
    stem, dot, extension = name.rpartition(".")
    if not stem:  # no extension, or a dot file: the whole name is the stem
        stem, extension = dot + extension, ""
    terms = list(chain.from_iterable(map(split_identifier, [*directories, stem])))
    words = split_identifier(stem)
    if len(words) > 1:
        terms.append("".join(words)[:MAX_WORD])
    terms.extend(split_identifier(extension))
    return " ".join(terms)


class Tokenizer:
    """Splits texts into terms, remembering how it split each identifier. One per thread; memory is bounded (~8 MB)."""

    def __init__(self, *, memo_entries: int = _MEMO_ENTRIES) -> None:
        self._words = Memo(split_identifier, memo_entries)
        self._compounds = Memo(lambda token: _compound(token, self._words[token]), memo_entries)
        self._stems = Memo(stem, memo_entries)

    def tokenize(self, text: str) -> Terms:
        """The terms of ``text``; never raises. Equal texts give equal terms, whatever was tokenised before."""
        tokens = tokens_of(text)
        words = list(chain.from_iterable(map(self._words.__getitem__, tokens)))
        return Terms(words, list(filter(None, map(self._compounds.__getitem__, tokens))))

    def words(self, text: str) -> list[str]:
        """Only the words of ``text``: what an embedding needs."""
        return list(chain.from_iterable(map(self._words.__getitem__, tokens_of(text))))

    def stems(self, words: Iterable[str]) -> list[str]:
        """The stem of each word, in order: what the lexical index holds and is asked for."""
        return list(map(self._stems.__getitem__, words))


class Memo(dict[str, _Value]):
    """A function of one token that remembers at most ``limit`` answers: those for tokens seen lately.

    What it holds is one half of them; when that is full it becomes the other half, from which answers come back
    when they are asked for again. May be used by several threads: at worst an answer is computed twice.
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
        if len(token) <= _MEMO_TOKEN:
            if len(self) >= self._half:
                self._older = dict(self)
                self.clear()
            self[token] = value
        return value


def _compound(token: str, words: Sequence[str]) -> str:
    """The whole identifier, lowercased, where it has several words; else nothing."""
    if len(words) < 2 or _CJK.search(token):
        return ""
    return token.strip("_")[:_MAX_TOKEN].lower()


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _verb(word: str) -> str:
    """Without -ing or -ed where a syllable is left; a doubled consonant (``running``) becomes one."""
    root = word.removesuffix("ing") if word.endswith("ing") else word.removesuffix("ed")
    if root == word or len(root) < 3 or _VOWELS.isdisjoint(root):
        return word
    return root[:-1] if root[-1] == root[-2] and root[-1] not in "lsz" else root


def _normal(text: str) -> str:
    """Compatibility-composed, so that a decomposed accent or a full-width letter is found by its usual form.

    In pieces, for the time it takes grows with the square of a run of accents. A piece ends before an ASCII
    character where there is one: none composes with what is before it, so that nothing is lost there.
    """
    if len(text) <= _MAX_PIECE:
        return unicodedata.normalize("NFKC", text)
    pieces = _PIECE.findall(text)
    return "".join([unicodedata.normalize("NFKC", piece) for piece in pieces])


def _split_unicode(token: str) -> Iterator[str]:
    """Words of one run of word characters that may hold any script."""
    at = 0
    for match in _CJK.finditer(token):
        yield from _split_cased(token[at : match.start()])
        run = match.group()
        yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))
        at = match.end()
    yield from _split_cased(token[at:])


def _split_cased(token: str) -> Iterator[str]:
    """As ``_PARTS`` does it for ASCII, for letters of any script that knows case."""
    if token.isascii():
        yield from (part[:MAX_WORD].lower() for part in _PARTS.findall(token))
        return
    start = 0
    for i in range(1, len(token) + 1):
        if i == len(token) or token[i] == "_" or token[i - 1] == "_" or _boundary(token, start, i):
            word = token[start:i].strip("_").lower()[:MAX_WORD]
            if word:
                yield word
            start = i


def _boundary(token: str, start: int, i: int) -> bool:
    """Whether a word starts at ``i``, after the one from ``start`` on.

    From lower to upper, at the last capital of an acronym before a lower letter, and after the digits that end a word.
    """
    before, here = token[i - 1], token[i]
    if before.isdigit() and here.isalpha() and not token[start:i].isdigit():
        return True
    if not here.isupper():
        return False
    return not before.isupper() or (i + 1 < len(token) and token[i + 1].islower())
