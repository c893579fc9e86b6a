"""The query language: inline filters, phrases and regexes are taken out of a question. Pure.

``lang:python path:src/** -path:tests/** kind:function symbol:Name "an exact phrase" /regex/``: everything else is
the question. A filter's value may be quoted (``path:"my dir/**"``); a backslash before a quote inside quotes keeps it.
What merely looks like syntax stays part of the question: ``std::vector``, ``a/b/c``, ``don't``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from codeindexd.errors import InvalidQueryError
from codeindexd.search.regexes import BoundedRegex, bounded_regex, bounded_regexes

MAX_QUERY_BYTES: Final = 64 << 10
MAX_FILTERS: Final = 64

LANGUAGES: Final = {
    "c#": "csharp", "cs": "csharp", "c++": "cpp", "cc": "cpp", "cxx": "cpp", "golang": "go", "js": "javascript",
    "jsx": "javascript", "ts": "typescript", "py": "python", "rb": "ruby", "rs": "rust", "sh": "bash", "shell": "bash",
    "zsh": "bash", "kt": "kotlin", "hs": "haskell", "ex": "elixir", "jl": "julia", "ml": "ocaml", "md": "markdown",
    "yml": "yaml", "terraform": "hcl", "tf": "hcl",
}  # fmt: skip
_FILTERS: Final = {"lang": "language", "language": "language", "path": "path", "kind": "kind", "symbol": "symbol"}


__all__ = ["BoundedRegex", "ParsedQuery", "bounded_regex", "normal_language", "parse"]


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A question without its filters.

    ``text`` is the question's words. ``language`` is one of ours ("" = any), ``include`` and ``exclude`` are globs
    over paths below the root, ``kinds`` and ``symbol`` narrow chunks, ``phrases`` must occur word by word,
    ``regexes`` must be found in the chunk's text. All empty but filters: chunks that pass are listed.
    """

    text: str = ""
    language: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    symbol: str = ""
    phrases: tuple[str, ...] = ()
    regexes: tuple[BoundedRegex, ...] = ()


@dataclass(frozen=True, slots=True)
class _Token:
    """``role`` is "word", "phrase", "regex" or a filter's; ``negative`` for ``-path:``."""

    role: str
    value: str
    negative: bool = False


def parse(text: str, *, language: str = "", path: str = "", kind: str = "") -> ParsedQuery:
    """``language``, ``path`` and ``kind`` are filters beside the text and read as those in it; that language wins.

    Raises InvalidQueryError for an empty or huge query, one of negative filters only, contradicting filters,
    and regexes that are broken or could take forever. A quote or slash without its partner is part of the question."""
    if len(text.encode("utf-8", "replace")) > MAX_QUERY_BYTES:
        raise InvalidQueryError(
            f"the query is longer than {MAX_QUERY_BYTES >> 10} KiB", hint="Ask about a part of it; use `related`."
        )
    tokens = list(_tokens(text))
    values = _gather(tokens)
    parsed = ParsedQuery(
        text=" ".join(token.value for token in tokens if token.role == "word"),
        language=normal_language(language) or _only(list(map(normal_language, values.get("language", []))), "lang"),
        include=(*values.get("path", ()), *([path] if path else [])),
        exclude=tuple(values.get("-path", ())),
        kinds=tuple(dict.fromkeys(one.lower() for one in [*values.get("kind", ()), kind] if one)),
        symbol=_only(values.get("symbol", []), "symbol"),
        phrases=tuple(values.get("phrase", ())),
        regexes=bounded_regexes(values.get("regex", [])),
    )
    if not any((parsed.text, parsed.language, parsed.include, parsed.kinds, parsed.symbol, parsed.phrases)):
        _refuse_bare(parsed)
    return parsed


def normal_language(name: str) -> str:
    """Our name of a language: ``C++`` and ``cc`` are ``cpp``."""
    return LANGUAGES.get(name.lower(), name.lower())


def _refuse_bare(parsed: ParsedQuery) -> None:
    if parsed.regexes:
        hint = "Add words to look for, or a filter such as path:src/**; regexes only narrow what these find."
        raise InvalidQueryError("the query is only a regex", hint=hint)
    if parsed.exclude:
        hint = "Say what to look for as well: words, or a positive filter such as path:src/**."
        raise InvalidQueryError("the query only says what to leave out", hint=hint)
    raise InvalidQueryError("the query is empty", hint="Ask in words, for example: where are passwords checked")


def _gather(tokens: list[_Token]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for token in tokens:
        if token.role != "word":
            values.setdefault(f"-{token.role}" if token.negative else token.role, []).append(token.value)
    if sum(map(len, values.values())) > MAX_FILTERS:
        raise InvalidQueryError(f"the query has more than {MAX_FILTERS} filters", hint="Use wider globs.")
    return values


def _only(values: list[str], name: str) -> str:
    if len(set(values)) > 1:
        raise InvalidQueryError(
            f"the query gives {name}: more than once", hint=f"Ask for one {name} at a time, or leave the filter out."
        )
    return values[0] if values else ""


# -- cutting ---------------------------------------------------------------------------------------------------------

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
            f"the filter {match[0]} has no value", hint=f"Write {match[1]}:VALUE without a space, or quote the colon."
        )
    if match := _FILTER.match(text, start):
        negative, name, quoted, plain = match.groups()
        role = _FILTERS[name.lower()]
        value = plain if quoted is None else _unescaped(quoted)
        if negative and role != "path":
            raise InvalidQueryError(f"-{name}: cannot be negated", hint="Only -path:GLOB leaves something out.")
        return match.end(), _Token(role, value, bool(negative))
    if match := _PHRASE.match(text, start):
        value = _unescaped(match[1]).strip()
        return match.end(), _Token("phrase", value) if value else None
    if match := _REGEX.match(text, start):
        return match.end(), _Token("regex", match[1].replace("\\/", "/"))
    match = _WORD.match(text, start)
    assert match is not None
    return match.end(), _Token("word", match[0])


def _unescaped(quoted: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", quoted)
