"""The query language: filters, phrases and regexes among the words of a query.

``lang:python path:src/** -path:tests/** kind:function symbol:Name "an exact phrase" /regex/``: everything else is the
text that is searched for. A ``-`` before a filter, a phrase or a regex excludes what it matches. A filter's value may
be quoted (``path:"my dir/**"``); inside quotes, a backslash escapes a quote. Text that only resembles this syntax stays
text: ``std::vector``, ``a/b/c``, ``don't``, ``kind: x``, ``/* x */``. Pasted text (an error message, an import of
JavaScript, three lines or more, or more than 20 words) has no syntax at all: its quotes and slashes are punctuation.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from codeindexd.analysis.chunking.languages import known_languages
from codeindexd.errors import InvalidQueryError
from codeindexd.protocol.places import literal_glob
from codeindexd.search.regexes import LineRegex, compile_regexes

MAX_QUERY_BYTES: Final = 64 << 10
_MOST_WORDS_WITH_SYNTAX: Final = 20
_MOST_LINES_WITH_SYNTAX: Final = 2
_LEAST_WORDS_OF_MESSAGE: Final = 2

_MESSAGE: Final = re.compile(
    r"\s*[\w$.:\\]{0,200}?(?:error|exception|warning|fatal|panic)(?:\[\w{1,20}\])?:\s", re.IGNORECASE
)

_IMPORT: Final = re.compile(r'\s*(?:import|export)\s[^"]{1,200}\sfrom\s+"[^"\s]+";?\s*')

LANGUAGE_ALIASES: Final = {
    "c#": "csharp", "cs": "csharp", "c++": "cpp", "cc": "cpp", "cxx": "cpp", "golang": "go", "js": "javascript",
    "jsx": "javascript", "ts": "typescript", "py": "python", "rb": "ruby", "rs": "rust", "sh": "bash", "shell": "bash",
    "zsh": "bash", "kt": "kotlin", "hs": "haskell", "ex": "elixir", "jl": "julia", "ml": "ocaml", "md": "markdown",
    "yml": "yaml", "ipynb": "jupyter", "notebook": "jupyter", "terraform": "hcl", "tf": "hcl",
}  # fmt: skip

KINDS: Final = frozenset({
    "alias", "block", "cell", "class", "constant", "constructor", "data", "declaration", "enum", "enum_member",
    "event", "extension", "field", "function", "impl", "index", "interface", "key", "macro", "method", "module",
    "namespace", "object", "output", "package", "program", "property", "resource", "rule", "schema", "section",
    "sequence", "stage", "struct", "table", "target", "test", "trait", "trigger", "type", "union", "variable", "view",
    "window",
})  # fmt: skip
"""Every kind that a chunk or a definition may have."""


class _Role(enum.Enum):
    """What a part of a query is: a word of its text, a phrase, a regex, or one of the filters."""

    WORD = enum.auto()
    PHRASE = enum.auto()
    REGEX = enum.auto()
    LANGUAGE = enum.auto()
    NOT_LANGUAGE = enum.auto()
    PATH = enum.auto()
    NOT_PATH = enum.auto()
    KIND = enum.auto()
    NOT_KIND = enum.auto()
    SYMBOL = enum.auto()
    NOT_SYMBOL = enum.auto()
    NOT_PHRASE = enum.auto()
    NOT_REGEX = enum.auto()


_FILTERS: Final = {
    "lang": _Role.LANGUAGE,
    "language": _Role.LANGUAGE,
    "path": _Role.PATH,
    "kind": _Role.KIND,
    "symbol": _Role.SYMBOL,
}
_MESSAGE_ROLES: Final = frozenset({_Role.WORD, _Role.PHRASE})
_NEGATIVE: Final = {
    _Role.LANGUAGE: _Role.NOT_LANGUAGE,
    _Role.PATH: _Role.NOT_PATH,
    _Role.KIND: _Role.NOT_KIND,
    _Role.SYMBOL: _Role.NOT_SYMBOL,
}


class ParsedQuery(Struct, frozen=True):
    """A query, split into its words and its filters. Empty fields do not restrict it.

    ``text`` holds the words, separated by spaces. ``language`` is a name from :func:`known_languages`. ``include`` and
    ``exclude`` are globs over paths below the root. A hit is or defines one of ``kinds``, and defines ``symbol``. It
    contains each of ``phrases`` word by word and each of ``literals`` letter by letter, and each of ``regexes`` matches
    one of its lines. Chunks in ``languages_left_out``, chunks that are or define nothing but ``kinds_left_out``, and
    chunks that define one of ``symbols_left_out`` are not hits, nor are chunks with a line that contains one of
    ``phrases_left_out`` letter by letter or matches one of ``regexes_left_out``. A query of filters alone lists the
    chunks that pass. ``notes`` say which part of the query was not used. ``message`` is the query as it was typed,
    without its filters, if that may be a message with quoted values, such as ``no column "age" in this table``; "" if
    not.
    """

    text: str = ""
    language: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    symbol: str = ""
    languages_left_out: tuple[str, ...] = ()
    kinds_left_out: tuple[str, ...] = ()
    symbols_left_out: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()
    regexes: tuple[LineRegex, ...] = ()
    phrases_left_out: tuple[str, ...] = ()
    regexes_left_out: tuple[LineRegex, ...] = ()
    notes: tuple[str, ...] = ()
    message: str = ""

    def as_message(self) -> ParsedQuery:
        """Return the query as the text of ``message``, whose quotations need not occur."""
        note = "the code has this message, so what it quotes need not occur"
        return replace(self, text=self.message, phrases=(), literals=(), notes=(*self.notes, note), message="")

    def below(self, root: str) -> ParsedQuery:
        """Return the query for one root: absolute path filters become relative to it."""
        include = tuple(glob_below(root, glob) for glob in self.include)
        return replace(self, include=include, exclude=tuple(glob_below(root, glob) for glob in self.exclude))


class _Token(Struct, frozen=True):
    """A part of a query, and how it was typed."""

    role: _Role
    value: str
    typed: str


def parse(text: str, *, language: str = "", paths: Sequence[str] = (), kind: str = "") -> ParsedQuery:
    """Parse a query. ``language``, ``paths`` and ``kind`` act like filters in the text; ``language`` overrides its own.

    A ``language``, path or ``kind`` that begins with ``!`` is excluded. A quote or slash without its partner is part of
    the text. Text beyond 64 KiB is ignored, with a note. Raises InvalidQueryError for a query that is empty or only
    excludes, for contradictory filters, for languages and kinds that do not exist, and for regexes that are invalid or
    too large.
    """
    text, notes = _cut(text)
    tokens = [_Token(_Role.WORD, text, text)] if _is_pasted(text) else list(_tokens(text))
    values = _values_by_role(tokens)
    message = (
        " ".join(token.typed for token in tokens if token.role in _MESSAGE_ROLES) if _may_be_message(values) else ""
    )
    if not re.search(r"\w", "".join(values[_Role.WORD])):  # punctuation alone is searched for as it stands
        values[_Role.PHRASE] += filter(None, [" ".join(values.pop(_Role.WORD, []))])
    include, exclude = split_globs(filter(None, paths))
    for value, role in ((language, _Role.LANGUAGE), (kind, _Role.KIND)):
        if value.startswith("!"):
            values[_NEGATIVE[role]].append(value[1:])
    language, kind = (value if not value.startswith("!") else "" for value in (language, kind))
    parsed = ParsedQuery(
        text=" ".join(values[_Role.WORD]),
        language=_language(normal_language(language) or _only(map(normal_language, values[_Role.LANGUAGE]), "lang")),
        include=(*values[_Role.PATH], *include),
        exclude=(*values[_Role.NOT_PATH], *exclude),
        kinds=tuple(dict.fromkeys(_kind(text.lower()) for text in [*values[_Role.KIND], kind] if text)),
        symbol=_only(values[_Role.SYMBOL], "symbol"),
        languages_left_out=tuple(_language(normal_language(text)) for text in values[_Role.NOT_LANGUAGE]),
        kinds_left_out=tuple(_kind(text.lower()) for text in values[_Role.NOT_KIND]),
        symbols_left_out=tuple(values[_Role.NOT_SYMBOL]),
        phrases=tuple(phrase for phrase in values[_Role.PHRASE] if not _is_literal(phrase)),
        literals=tuple(phrase for phrase in values[_Role.PHRASE] if _is_literal(phrase)),
        regexes=compile_regexes(values[_Role.REGEX]),
        phrases_left_out=tuple(values[_Role.NOT_PHRASE]),
        regexes_left_out=compile_regexes(values[_Role.NOT_REGEX]),
        notes=notes,
        message=message,
    )
    if not any((parsed.text, parsed.language, parsed.include, parsed.kinds, parsed.symbol)) and not any(
        (parsed.phrases, parsed.literals, parsed.regexes)
    ):
        raise _nothing_to_find(parsed)
    return parsed


def filters_of(*, language: str = "", paths: Sequence[str] = (), kind: str = "") -> ParsedQuery:
    """Return a query that only filters, from options as for :func:`parse`. Raises InvalidQueryError as it does."""
    include, exclude = split_globs(filter(None, paths))
    only, left_out = language_filter(language)
    kinds = (_kind(kind.removeprefix("!").lower()),) if kind else ()
    is_excluded = kind.startswith("!")
    return ParsedQuery(
        language=only,
        languages_left_out=left_out if language else (),
        include=tuple(include),
        exclude=tuple(exclude),
        kinds=() if is_excluded else kinds,
        kinds_left_out=kinds if is_excluded else (),
    )


def language_filter(value: str) -> tuple[str, tuple[str, ...]]:
    """Return the language that ``value`` asks for, and those that it excludes with a leading ``!``.

    Raises InvalidQueryError for a language that does not exist.
    """
    if value.startswith("!"):
        return "", (_language(normal_language(value[1:])),)
    return _language(normal_language(value)), ()


def split_globs(globs: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the globs that paths must match, and those that begin with ``!`` and exclude, without the ``!``."""
    every = list(globs)
    return [glob for glob in every if not glob.startswith("!")], [glob[1:] for glob in every if glob.startswith("!")]


def glob_below(root: str, glob: str) -> str:
    """Return a glob that is an absolute path inside ``root`` relative to it, any other glob unchanged."""
    for written in (root.rstrip("/"), literal_glob(root.rstrip("/"))):
        if glob.rstrip("/") == written:
            return "**"
        if glob.startswith(f"{written}/"):
            return glob.removeprefix(written)
    return glob


def _cut(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the part of a query that is used, and a note if the rest was cut off."""
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_QUERY_BYTES:
        return text, ()
    note = f"only the first {MAX_QUERY_BYTES >> 10} KiB of the query were used"
    return data[:MAX_QUERY_BYTES].decode("utf-8", "ignore"), (note,)


def _is_pasted(text: str) -> bool:
    """Return True for text that nobody types: a report, a stack trace, an error message, an import of JavaScript."""
    lines = len(text.strip().splitlines())
    if _MESSAGE.match(text) or _IMPORT.fullmatch(text):
        return True
    return lines > _MOST_LINES_WITH_SYNTAX or len(text.split()) > _MOST_WORDS_WITH_SYNTAX


def _may_be_message(values: Mapping[_Role, Sequence[str]]) -> bool:
    """Return True for at least two words, and quotations of which one is a single word, as values are.

    Filters may stand beside them.
    """
    roles = {role for role, found in values.items() if found} - {*_NEGATIVE, *_NEGATIVE.values()}
    if roles != _MESSAGE_ROLES or len(values[_Role.WORD]) < _LEAST_WORDS_OF_MESSAGE:
        return False
    return any(" " not in phrase for phrase in values[_Role.PHRASE])


def _is_literal(phrase: str) -> bool:
    """Return True if a phrase must match letter by letter: it contains more than words and spaces."""
    return re.search(r"[^\w\s]", phrase) is not None


def _language(name: str) -> str:
    if name and name not in known_languages():
        raise InvalidQueryError(
            f"no such language: {name}", hint=_suggestion(name, {*known_languages(), *LANGUAGE_ALIASES})
        )
    return name


def _kind(name: str) -> str:
    if name not in KINDS:
        raise InvalidQueryError(f"no such kind: {name}", hint=_suggestion(name, KINDS))
    return name


def _suggestion(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"use one of: {', '.join(sorted(known))}"


def normal_language(name: str) -> str:
    """Return the name that the index uses for a language: ``cpp`` for ``C++`` and ``cc``."""
    return LANGUAGE_ALIASES.get(name.lower(), name.lower())


def _nothing_to_find(parsed: ParsedQuery) -> InvalidQueryError:
    excluded = (parsed.exclude, parsed.languages_left_out, parsed.kinds_left_out, parsed.symbols_left_out)
    if any((*excluded, parsed.phrases_left_out, parsed.regexes_left_out)):
        hint = "add words, or a positive filter such as path:src/**"
        return InvalidQueryError("the query only says what to leave out", hint=hint)
    return InvalidQueryError("the query is empty", hint="ask in words, for example: where are passwords checked")


def _values_by_role(tokens: Iterable[_Token]) -> defaultdict[_Role, list[str]]:
    values: defaultdict[_Role, list[str]] = defaultdict(list)
    for token in tokens:
        values[token.role].append(token.value)
    return values


def _only(values: Iterable[str], name: str) -> str:
    distinct = list(dict.fromkeys(values))
    if len(distinct) > 1:
        raise InvalidQueryError(
            f"the query gives {name}: more than once", hint=f"use one {name}: filter at a time, or none"
        )
    return distinct[0] if distinct else ""


# tokens

_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
_END: Final = r"(?=\s|$)"
_FILTER: Final = re.compile(rf"(-?)({'|'.join(_FILTERS)}):(?:{_QUOTED}|([^\s\"]\S*)){_END}", re.IGNORECASE | re.DOTALL)
_PHRASE: Final = re.compile(rf"(-?){_QUOTED}{_END}", re.DOTALL)
_REGEX: Final = re.compile(rf"(-?)/(?![*+?])((?:[^/\\\n]|\\.)+)/{_END}")  # ``/* a comment */`` is none
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
    """Return the offset after the token at ``start``, and the token; None for an empty phrase."""
    if match := _FILTER.match(text, start):
        negative, name, quoted, plain = match.groups()
        role = _FILTERS[name.lower()]
        value = plain if quoted is None else _unescaped(quoted)
        if not value:
            return match.end(), _Token(_Role.WORD, match[0], match[0])
        return match.end(), _Token(_NEGATIVE[role] if negative else role, value, match[0])
    if match := _PHRASE.match(text, start):
        value = _unescaped(match[2]).strip()
        role = _Role.NOT_PHRASE if match[1] else _Role.PHRASE
        return match.end(), _Token(role, value, match[0]) if value else None
    if match := _REGEX.match(text, start):
        role = _Role.NOT_REGEX if match[1] else _Role.REGEX
        return match.end(), _Token(role, match[2].replace("\\/", "/"), match[0])
    match = _WORD.match(text, start)
    assert match is not None
    return match.end(), _Token(_Role.WORD, match[0], match[0])


def _unescaped(quoted: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", quoted)
