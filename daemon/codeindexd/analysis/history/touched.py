"""Names the definitions that a change touches, from the lines around its hunks.

Parsing every version of every file would take ten times as long as reading the history: so lines that look like the
beginning of a definition are found by a regex for each family of languages, and indentation says which of them encloses
a line.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.analysis.history.changes import UnifiedHunk

MAX_NAMES = 64
"""Definitions of one file in one commit."""

_MOST_NAME_CHARS = 120
_MOST_HUNKS = 200
_MOST_CANDIDATES = 400  # lines above a change that are examined
_MOST_LINES_EXAMINED = 20  # of a hunk, until one is not blank
_DEEPEST = 4  # definitions around a definition
_NEWLINE, _BLANK, _TAB = 10, 32, 9
_NO_LINE = 1 << 30
_MAY_BEGIN = np.array([chr(code).isalpha() or chr(code) in "_~@#$*" or code > 127 for code in range(256)])
Places = NDArray[np.intp]

_NO_NAMES = frozenset(
    b"if for while switch catch return function else do try new throw using lock fixed foreach synchronized match when "
    b"sizeof typeof assert await yield delete case defined elif unless until with in not and or import package from "
    b"export goto typedef static_assert alignas decltype noexcept super this".split()
)

_JS_MODIFIERS = rb"(?:(?:static|async|get|set|public|private|protected|readonly|override|abstract)[ \t]+)*\*?[ \t]*"
_C_MODIFIERS = (
    rb"(?:(?:public|private|protected|internal|static|final|abstract|synchronized|async|override|virtual|native|default|"
    rb"sealed|partial|unsafe|extern|readonly|open|inline|suspend|data|implicit|lazy|case|mutating|fileprivate|required|"
    rb"convenience|new|const|constexpr|volatile|strictfp|transient|operator|infix|tailrec|expect|actual|companion|inner|"
    rb"value|indirect|dynamic|weak|record)[ \t]+)*"
)
_TYPES = rb"(?:class|interface|enum|struct|trait|object|protocol|extension|record|namespace|actor|union|module)"

_PYTHON = rb"^([ \t]*)(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)"
_JAVASCRIPT = (
    rb"^([ \t]*)(?:export[ \t]+|(?:module\.)?exports(?:\.\w+)?[ \t]*=[ \t]*)?"
    rb"(?:default[ \t]+)?(?:declare[ \t]+)?(?:abstract[ \t]+)?(?:async[ \t]+)?"
    rb"(?:function\b[ \t]*\*?|class|interface|enum|namespace|type)[ \t]+([\w$]+)"
    rb"|^([ \t]*)(?:export[ \t]+)?(?:const|let|var)[ \t]+([\w$]+)[^=\n;]{0,200}=[ \t]*(?:async\b[ \t]*)?"
    rb"(?:function\b|\([^()\n]{0,300}\)[^=\n]{0,100}=>|[\w$]+[ \t]*=>)"
    rb"|^([ \t]*)(?:[\w$]+\.){1,5}([\w$]+)[ \t]*=[ \t]*(?:async[ \t]+)?function\b"
    rb"|^([ \t]+)"
    + _JS_MODIFIERS
    + rb"(#?[\w$]+)[ \t]*(?:<[^<>\n]{0,100}>)?\([^()\n]{0,300}\)[^;={}\n]{0,200}\{[ \t]*$"
)
_GO = (  # with the type of the receiver: Router) Match
    rb"^()func[ \t]+(?:\([ \t]*(?:\w+[ \t]+)?[* \t]*)?(\w+(?:(?:\[[^\]\n]*\])?[ \t]*\)[ \t]*\w+)?)|^()type[ \t]+(\w+)"
)
_RUST = (
    rb"^([ \t]*)(?:pub(?:\([^()\n]*\))?[ \t]+)?(?:(?:async|const|unsafe|default|extern(?:[ \t]+\"[^\"\n]*\")?)[ \t]+)*"
    rb"(?:fn|struct|enum|trait|mod|union|type|macro_rules!)[ \t]+(\w+)"
    rb"|^([ \t]*)(?:unsafe[ \t]+)?impl(?:<[^\n{]{0,200}?>)?[ \t]+(?:[^\n{]{0,200}?[ \t]for[ \t]+)?&?([\w:]+)"
)
_RUBY = rb"^([ \t]*)(?:def[ \t]+(?:self\.)?|class[ \t]+|module[ \t]+)([\w:]+[?!=]?)"
_PHP = (
    rb"^([ \t]*)(?:(?:abstract|final|public|private|protected|static|readonly)[ \t]+)*"
    rb"(?:function[ \t]+&?|class[ \t]+|interface[ \t]+|trait[ \t]+|enum[ \t]+)(\w+)"
)
_CURLY = (
    rb"^([ \t]*)(?:@\w+[ \t]+)*" + _C_MODIFIERS + _TYPES + rb"[ \t]+(?:class[ \t]+)?(\w+)"
    rb"|^([ \t]*)(?:@\w+[ \t]+)*"
    + _C_MODIFIERS
    + rb"(?:fun|func|def|fn)[ \t]+(?:<[^<>\n]{0,100}>[ \t]*)?(?:[\w<>?]+\.)?(\w+)"
    rb"|^([ \t]+)(?:@\w+[ \t]+)*" + _C_MODIFIERS + rb"(?:<[^()\n]{0,200}?>[ \t]+)?"  # type parameters of a method
    rb"(?:[\w.]+(?:<[^()\n]{0,200}?>)?(?:\[\])*\??[ \t]+)(\w+)[ \t]*\([^;\n]*$"
)
_C = (
    rb"^()(?![ \t])(?:[A-Za-z_][\w \t*&:<>,]{0,200}?[ \t*&])?([A-Za-z_~][\w:~]*)[ \t]*\([^;\n]*$"
    rb"|^([ \t]*)(?:typedef[ \t]+)?(?:template[ \t]*<[^\n]{0,200}>[ \t]*)?"
    rb"(?:class|struct|enum(?:[ \t]+class)?|union|namespace)"
    rb"[ \t]+(?:[A-Z_]+[ \t]+)?(\w+)[ \t]*(?:final[ \t]*)?(?::[^:;\n][^;\n]*)?(?:\{[^;\n]*)?$"
    rb"|^()[ \t]*#[ \t]*define[ \t]+(\w+)"
    rb"|^([ \t]+)(?:(?:virtual|static|inline|explicit|constexpr|friend|template[ \t]*<[^\n]{0,200}>)[ \t]+)*"
    rb"[\w:]+(?:<[^()\n]{0,200}?>)?[ \t*&]+(\w+)[ \t]*\([^;\n]*\{[ \t]*$"
)
_ELIXIR = rb"^([ \t]*)(?:def|defp|defmacro|defmacrop|defmodule|defprotocol|defimpl|test)[ \t]+([\w.]+[?!]?)"
_LUA = rb"^([ \t]*)(?:local[ \t]+)?function[ \t]+([\w.:]+)|^([ \t]*)(?:local[ \t]+)?([\w.]+)[ \t]*=[ \t]*function\b"
_SHELL = rb"^([ \t]*)(?:function[ \t]+)([\w:-]+)|^([ \t]*)([\w:-]+)[ \t]*\(\)"
_HASKELL = (
    rb"^()([a-z_][\w']*)[ \t]*::"
    rb"|^()(?:data|newtype|class|type|instance|module)[ \t]+(?:[^\n=]{0,100}=>[ \t]*)?([\w.']+)"
)
_JULIA = rb"^([ \t]*)(?:function|macro|(?:mutable[ \t]+)?struct|abstract[ \t]+type|module)[ \t]+([\w.!]+)"
_OCAML = rb"^([ \t]*)(?:let(?:[ \t]+rec)?|and|type|module(?:[ \t]+type)?|class|val|exception)[ \t]+([\w']+)"
_ZIG = rb"^([ \t]*)(?:pub[ \t]+)?(?:export[ \t]+|inline[ \t]+|extern[ \t]+)?(?:fn|const)[ \t]+(\w+)"
_SQL = (
    rb"(?i)^([ \t]*)create[ \t]+(?:or[ \t]+replace[ \t]+)?(?:\w+[ \t]+)?"
    rb"(?:table|view|function|procedure|trigger|index|type)[ \t]+(?:if[ \t]+not[ \t]+exists[ \t]+)?([\w.\"]+)"
)

_AFTER_RECEIVER = re.compile(rb"(?:\[[^\]]*\])?[ \t]*\)[ \t]*")

_BY_LANGUAGE = {
    "python": _PYTHON, "javascript": _JAVASCRIPT, "typescript": _JAVASCRIPT, "tsx": _JAVASCRIPT, "vue": _JAVASCRIPT,
    "svelte": _JAVASCRIPT, "go": _GO, "rust": _RUST, "ruby": _RUBY, "php": _PHP, "java": _CURLY, "csharp": _CURLY,
    "kotlin": _CURLY, "scala": _CURLY, "swift": _CURLY, "c": _C, "cpp": _C, "elixir": _ELIXIR, "lua": _LUA,
    "bash": _SHELL, "haskell": _HASKELL, "julia": _JULIA, "ocaml": _OCAML, "zig": _ZIG, "sql": _SQL,
}  # fmt: skip
_COMPILED = {language: re.compile(pattern, re.MULTILINE) for language, pattern in _BY_LANGUAGE.items()}


class _Beginning(Struct, frozen=True):
    """The line on which a definition begins, counted from 1, its indentation in characters, and its name."""

    line: int
    indent: int
    name: bytes


def _beginning(line: int, match: re.Match[bytes]) -> _Beginning:
    number = match.lastindex or 0
    return _Beginning(line, len(match[number - 1]), _AFTER_RECEIVER.sub(b".", match[number]))


def has_definitions(language: str) -> bool:
    """Return True if definitions of ``language`` are recognised."""
    return language in _COMPILED


def touched(language: str, old: bytes, new: bytes, hunks: Sequence[UnifiedHunk]) -> tuple[str, ...]:
    """Return the qualified names of the definitions that ``hunks`` touch, in the order of their lines.

    These are the definitions whose beginning is added or removed, and the innermost one around each other hunk.
    """
    pattern = _COMPILED.get(language)
    if pattern is None or not hunks:
        return ()
    before, after = _Text(pattern, old), _Text(pattern, new)
    found: dict[bytes, None] = {}
    for hunk in hunks[:_MOST_HUNKS]:
        if len(found) >= MAX_NAMES:
            break
        added = after.beginnings_in(hunk.new_start, hunk.new_lines)
        removed = before.beginnings_in(hunk.old_start, hunk.old_lines)
        found.update(dict.fromkeys(_qualified(added, after)))
        found.update(dict.fromkeys(_qualified(removed, before)))
        if not added and not removed and (name := _enclosing(before, after, hunk)):
            found[name] = None
    names = (name.decode("utf-8", "replace")[:_MOST_NAME_CHARS] for name in found)
    return tuple(islice(names, MAX_NAMES))


class _Text:
    """The lines of one version of a file, and the definitions that begin on them."""

    def __init__(self, pattern: re.Pattern[bytes], data: bytes) -> None:
        self._pattern = pattern
        self._data = data

    @functools.cached_property
    def _starts(self) -> Places:
        """The offsets at which lines begin; the last one is the end of the text."""
        ends = np.flatnonzero(np.frombuffer(self._data, dtype=np.uint8) == _NEWLINE)
        starts = np.concatenate((np.zeros(1, dtype=np.intp), ends + 1))
        return starts if self._data.endswith(b"\n") else np.append(starts, len(self._data))

    @functools.cached_property
    def _indents(self) -> Places:
        """The indentation of each line; that of a line without a word that may begin a definition is very large."""
        data = np.frombuffer(self._data, dtype=np.uint8)
        solid = np.flatnonzero((data != _BLANK) & (data != _TAB))
        starts = self._starts[:-1]
        if not len(solid):
            return np.full(len(starts), _NO_LINE)
        places = np.searchsorted(solid, starts)
        firsts = solid[np.minimum(places, len(solid) - 1)]
        return np.where((places < len(solid)) & _MAY_BEGIN[data[firsts]], firsts - starts, _NO_LINE)

    def lines(self, start: int, count: int) -> bytes:
        """Return ``count`` lines from the line ``start``."""
        last = len(self._starts) - 1
        return self._data[self._starts[min(start - 1, last)] : self._starts[min(start - 1 + count, last)]]

    def beginnings_in(self, start: int, count: int) -> list[_Beginning]:
        """Return the definitions that begin on ``count`` lines from the line ``start``."""
        if not count:
            return []
        text = self.lines(start, count)
        found, place, line = [], 0, start
        for match in self._pattern.finditer(text):
            number = match.lastindex or 0
            if match[number] not in _NO_NAMES:
                line += text.count(b"\n", place, match.start())
                place = match.start()
                found.append(_beginning(line, match))
                if len(found) >= MAX_NAMES:
                    break
        return found

    def enclosing(self, line: int, indent: int) -> _Beginning | None:
        """Return the innermost definition around a line with this indentation."""
        if indent <= 0:
            return None
        candidates = np.flatnonzero(self._indents[: line - 1] < indent)
        for place in candidates[: -_MOST_CANDIDATES - 1 : -1].tolist():
            match = self._pattern.match(self._data, self._starts[place], self._starts[place + 1])
            if match is not None and match[match.lastindex or 0] not in _NO_NAMES:
                return _beginning(place + 1, match)
        return None


def _qualified(beginnings: Sequence[_Beginning], text: _Text) -> Iterator[bytes]:
    """Yield the names of definitions after those of the definitions around them."""
    around: list[_Beginning] = []
    for beginning in beginnings:
        while around and around[-1].indent >= beginning.indent:
            around.pop()
        if not around:
            around = _chain(beginning, text)
        around.append(beginning)
        yield b".".join(outer.name for outer in around)


def _chain(beginning: _Beginning, text: _Text) -> list[_Beginning]:
    """Return the definitions around ``one``, outermost first."""
    chain: list[_Beginning] = []
    outer = text.enclosing(beginning.line, beginning.indent)
    while outer is not None and len(chain) < _DEEPEST:
        chain.append(outer)
        outer = text.enclosing(outer.line, outer.indent)
    return chain[::-1]


def _enclosing(before: _Text, after: _Text, hunk: UnifiedHunk) -> bytes:
    """Return the qualified name of the definition around a hunk, by its first line that is not blank; b"" for none."""
    text, start, lines = (after, hunk.new_start, hunk.new_lines) if hunk.new_lines else (
        before, hunk.old_start, hunk.old_lines
    )  # fmt: skip
    for place, row in enumerate(text.lines(start, min(lines, _MOST_LINES_EXAMINED)).split(b"\n")):
        if stripped := row.strip():
            inner = text.enclosing(start + place, row.find(stripped))
            return b".".join(beginning.name for beginning in [*_chain(inner, text), inner]) if inner else b""
    return b""
