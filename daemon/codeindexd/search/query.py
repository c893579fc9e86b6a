"""The query language: filters, phrases and regexes among the words of a query.

``lang:python path:src/** -path:tests/** kind:function symbol:Name "an exact phrase" /regex/``: everything else is
the text that is searched for. A filter's value may be quoted (``path:"my dir/**"``); inside quotes, a backslash
escapes a quote. Text that only resembles this syntax stays text: ``std::vector``, ``a/b/c``, ``don't``.
"""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from codeindexd.errors import InvalidQueryError
from codeindexd.search.regexes import LineRegex, compile_regexes

MAX_QUERY_BYTES: Final = 64 << 10
MAX_FILTERS: Final = 64

LANGUAGES: Final = {
    "c#": "csharp", "cs": "csharp", "c++": "cpp", "cc": "cpp", "cxx": "cpp", "golang": "go", "js": "javascript",
    "jsx": "javascript", "ts": "typescript", "py": "python", "rb": "ruby", "rs": "rust", "sh": "bash", "shell": "bash",
    "zsh": "bash", "kt": "kotlin", "hs": "haskell", "ex": "elixir", "jl": "julia", "ml": "ocaml", "md": "markdown",
    "yml": "yaml", "terraform": "hcl", "tf": "hcl",
}  # fmt: skip


class _Role(enum.Enum):
    """What a part of a query is: a word, or which filter."""

    WORD = enum.auto()
    PHRASE = enum.auto()
    REGEX = enum.auto()
    LANGUAGE = enum.auto()
    PATH = enum.auto()
    NOT_PATH = enum.auto()
    KIND = enum.auto()
    SYMBOL = enum.auto()


_FILTERS: Final = {
    "lang": _Role.LANGUAGE,
    "language": _Role.LANGUAGE,
    "path": _Role.PATH,
    "kind": _Role.KIND,
    "symbol": _Role.SYMBOL,
}


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query, split into its words and its filters.

    ``text`` is the words. ``language`` is a name of ours ("" = any), ``include`` and ``exclude`` are globs over paths
    below the root, ``kinds`` and ``symbol`` narrow chunks, ``phrases`` must occur word by word, ``regexes`` must match
    the chunk's text. A query of filters alone lists the chunks that pass.
    """

    text: str = ""
    language: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    symbol: str = ""
    phrases: tuple[str, ...] = ()
    regexes: tuple[LineRegex, ...] = ()


@dataclass(frozen=True, slots=True)
class _Token:
    """A part of a query."""

    role: _Role
    value: str


def parse(text: str, *, language: str = "", path: str = "", kind: str = "") -> ParsedQuery:
    """Parse a query. ``language``, ``path`` and ``kind`` act as filters in the text do; ``language`` overrides it.

    A quote or slash without its partner is part of the text. Raises InvalidQueryError for a query that is empty, too
    long, only negative or only a regex, for contradictory filters, and for regexes that are invalid or too large.
    """
    if len(text.encode("utf-8", "replace")) > MAX_QUERY_BYTES:
        raise InvalidQueryError(
            f"the query is longer than {MAX_QUERY_BYTES >> 10} KiB",
            hint="search for a part of it; to find similar code: codeindex related PATH:LINE",
        )
    values = _values_by_role(_tokens(text))
    parsed = ParsedQuery(
        text=" ".join(values[_Role.WORD]),
        language=normal_language(language) or _only(map(normal_language, values[_Role.LANGUAGE]), "lang"),
        include=(*values[_Role.PATH], *([path] if path else [])),
        exclude=tuple(values[_Role.NOT_PATH]),
        kinds=tuple(dict.fromkeys(one.lower() for one in [*values[_Role.KIND], kind] if one)),
        symbol=_only(values[_Role.SYMBOL], "symbol"),
        phrases=tuple(values[_Role.PHRASE]),
        regexes=compile_regexes(values[_Role.REGEX]),
    )
    if not any((parsed.text, parsed.language, parsed.include, parsed.kinds, parsed.symbol, parsed.phrases)):
        raise _nothing_to_find(parsed)
    return parsed


def normal_language(name: str) -> str:
    """Return our name of a language: ``C++`` and ``cc`` are ``cpp``."""
    return LANGUAGES.get(name.lower(), name.lower())


def _nothing_to_find(parsed: ParsedQuery) -> InvalidQueryError:
    if parsed.regexes:
        hint = "add words, or a filter such as path:src/**; a regex only narrows what they find"
        return InvalidQueryError("the query is only a regex", hint=hint)
    if parsed.exclude:
        hint = "add words, or a positive filter such as path:src/**"
        return InvalidQueryError("the query only says what to leave out", hint=hint)
    return InvalidQueryError("the query is empty", hint="ask in words, for example: where are passwords checked")


def _values_by_role(tokens: Iterable[_Token]) -> defaultdict[_Role, list[str]]:
    values: defaultdict[_Role, list[str]] = defaultdict(list)
    for token in tokens:
        values[token.role].append(token.value)
    if sum(len(of_role) for role, of_role in values.items() if role is not _Role.WORD) > MAX_FILTERS:
        raise InvalidQueryError(f"the query has more than {MAX_FILTERS} filters", hint="use fewer and wider globs")
    return values


def _only(values: Iterable[str], name: str) -> str:
    distinct = list(dict.fromkeys(values))
    if len(distinct) > 1:
        raise InvalidQueryError(
            f"the query gives {name}: more than once", hint=f"use one {name}: filter at a time, or none"
        )
    return distinct[0] if distinct else ""


# -- tokens ----------------------------------------------------------------------------------------------------------

_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
_END: Final = r"(?=\s|$)"
_FILTER: Final = re.compile(rf"(-?)({'|'.join(_FILTERS)}):(?:{_QUOTED}|([^\s\"]\S*)){_END}", re.IGNORECASE | re.DOTALL)
_EMPTY_FILTER: Final = re.compile(rf"-?({'|'.join(_FILTERS)}):(?:\"\")?{_END}", re.IGNORECASE)
_PHRASE: Final = re.compile(rf"{_QUOTED}{_END}", re.DOTALL)
_REGEX: Final = re.compile(rf"/((?:[^/\\\n]|\\.)+)/{_END}")
_WORD: Final = re.compile(r"\S+")
_SPACE: Final = re.compile(r"\s*")


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while True:
        space = _SPACE.match(text, position)
        position = space.end() if space else position
        if position >= len(text):
            return
        position, token = _token(text, position)
        if token is not None:
            yield token


def _token(text: str, start: int) -> tuple[int, _Token | None]:
    if match := _EMPTY_FILTER.match(text, start):
        raise InvalidQueryError(
            f"the filter {match[0]} has no value",
            hint=f"write {match[1]}:VALUE without a space, or put it in quotes to search for it as text",
        )
    if match := _FILTER.match(text, start):
        negative, name, quoted, plain = match.groups()
        role = _FILTERS[name.lower()]
        value = plain if quoted is None else _unescaped(quoted)
        if negative and role is not _Role.PATH:
            raise InvalidQueryError(f"-{name}: cannot be negated", hint="only paths can be left out: -path:GLOB")
        return match.end(), _Token(_Role.NOT_PATH if negative else role, value)
    if match := _PHRASE.match(text, start):
        value = _unescaped(match[1]).strip()
        return match.end(), _Token(_Role.PHRASE, value) if value else None
    if match := _REGEX.match(text, start):
        return match.end(), _Token(_Role.REGEX, match[1].replace("\\/", "/"))
    match = _WORD.match(text, start)
    assert match is not None
    return match.end(), _Token(_Role.WORD, match[0])


def _unescaped(quoted: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", quoted)
