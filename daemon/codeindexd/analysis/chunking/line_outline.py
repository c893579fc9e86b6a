"""Finds definitions line by line, in languages whose definitions begin with a keyword and that have no grammar here.

A definition ends where its indentation does. Text in strings and comments of several lines may be mistaken for code.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from codeindexd.analysis.chunking.lines import Lines, windows
from codeindexd.analysis.chunking.outline import MAX_DEFINITIONS, FoundDefinition
from codeindexd.analysis.chunking.rules import CONTAINERS, kind_in
from codeindexd.analysis.chunking.split import Atom, ChunkLimits

_MOST_LINE_BYTES: Final = 400
_CLOSING: Final = re.compile(rb"[})\]]|end(?:\w*)\b", re.IGNORECASE)


class _Line(NamedTuple):
    """A pattern of the first line of definitions; its group is the name. ``inside``: only in definitions of kinds."""

    kind: str
    pattern: re.Pattern[bytes]
    inside: frozenset[str] | None = None


_LISP_NAME: Final = r"""([^\s()\[\]{}"']+)"""
_SCHEME: Final = (
    rf"function \((?:define|define\*|define-inline)\s+\({_LISP_NAME}",
    rf"macro \((?:define-syntax|define-syntax-rule|define-macro)\s+\(?{_LISP_NAME}",
    r"""struct \((?:define-record-type|struct|define-struct)\s+\(?<?([^\s()\[\]{}"']+?)>?(?=[\s()\[\]{}"']|$)""",
    rf"variable \(define\s+{_LISP_NAME}",
)
_PROTOCOL: Final = (
    r"struct \s*(?:message|struct|exception|union|group)\s+(\w+)",
    r"enum \s*enum\s+(\w+)",
    r"interface \s*(?:service|interface)\s+(\w+)",
    r"method@interface \s*rpc\s+(\w+)",
    r"package package\s+(?:\w+\.)*(\w+)\s*;",
    (
        r"field@struct \s+(?!option\s|reserved\s|extensions\s)(?:\d+\s*:\s*)?"
        r"(?:repeated\s+|optional\s+|required\s+)?[\w.]+(?:<[^=>]*>)?\s+(\w+)\s*(?:=|;|,|$)"
    ),
    r"enum_member@enum \s+(\w+)\s*=\s*-?\w+",
)
# Rows of a kind (``kind@outer,outer`` if it must be inside such definitions) and a regex.
_ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "awk": (r"function \s*function\s+(\w+)\s*\(",),
    "clojure": (
        rf"namespace \(ns\s+(?:\^\S+\s+)*{_LISP_NAME}",
        rf"macro \s*\(defmacro\s+(?:\^\S+\s+)*{_LISP_NAME}",
        rf"interface \s*\(defprotocol\s+(?:\^\S+\s+)*{_LISP_NAME}",
        rf"class \s*\((?:defrecord|deftype)\s+(?:\^\S+\s+)*{_LISP_NAME}",
        rf"function \s*\((?:defn-?|defmulti|defmethod|deftest|>defn)\s+(?:\^\S+\s+)*{_LISP_NAME}",
        rf"variable \s*\((?:def|defonce)\s+(?:\^\S+\s+)*{_LISP_NAME}",
    ),
    "cmake": (
        r"function (?i:\s*function)\s*\(\s*([\w-]+)",
        r"macro (?i:\s*macro)\s*\(\s*([\w-]+)",
        r"target (?i:\s*add_(?:library|executable|custom_target))\s*\(\s*([\w:.-]+)",
        r"variable (?i:\s*option)\s*\(\s*(\w+)",
        r"variable (?i:set)\s*\(\s*(\w+)",
        r"module (?i:project)\s*\(\s*([\w-]+)",
    ),
    "commonlisp": (
        rf"function \((?:defun|defgeneric|defmethod)\s+{_LISP_NAME}",
        rf"macro \(defmacro\s+{_LISP_NAME}",
        rf"class \(defclass\s+{_LISP_NAME}",
        rf"struct \(defstruct\s+\(?{_LISP_NAME}",
        rf"constant \(defconstant\s+{_LISP_NAME}",
        rf"variable \(def(?:var|parameter)\s+{_LISP_NAME}",
    ),
    "crystal": (
        r"class \s*(?:abstract\s+|private\s+)*class\s+(?:\w+::)*(\w+)",
        r"struct \s*(?:abstract\s+|private\s+)*struct\s+(\w+)",
        r"module \s*module\s+(?:\w+::)*(\w+)",
        r"enum \s*enum\s+(\w+)",
        r"macro \s*macro\s+(\w+)",
        r"function \s*(?:abstract\s+|private\s+|protected\s+)*def\s+(?:self\.)?([\w?!=]+)",
        r"constant \s*([A-Z]\w*)\s*=(?!=)",
    ),
    "elisp": (
        rf"function \((?:cl-)?def(?:un|subst|generic|method)\s+{_LISP_NAME}",
        rf"macro \((?:cl-)?defmacro\s+{_LISP_NAME}",
        rf"constant \(defconst\s+{_LISP_NAME}",
        rf"variable \(def(?:var|var-local|custom|face|group)\s+{_LISP_NAME}",
    ),
    "elm": (
        r"module (?:port\s+)?module\s+(?:\w+\.)*(\w+)",
        r"type type\s+(?:alias\s+)?(\w+)",
        r"function ([a-z]\w*)\s*:(?!:)",
    ),
    "erlang": (
        r"module -module\(\s*'?([\w@]+)",
        r"struct -record\(\s*'?([\w@]+)",
        r"macro -define\(\s*(\w+)",
        r"type -(?:type|opaque)\s+(\w+)",
        r"function ([a-z][\w@]*)\s*\(",
    ),
    "fish": (r"function \s*function\s+([\w:.-]+)",),
    "fsharp": (
        r"module \s*module\s+(?:rec\s+|private\s+|internal\s+)*(?:\w+\.)*(\w+)",
        r"namespace namespace\s+(?:rec\s+)?(?:\w+\.)*(\w+)",
        r"type \s*(?:type|and)\s+(?:private\s+|internal\s+)?(\w+)",
        r"method \s*(?:static\s+|abstract\s+|override\s+|default\s+)*(?:member|override|abstract)\s+(?:\w+\.)?(\w+)",
        r"function (?: {0,4})let\s+(?:rec\s+|inline\s+|private\s+|mutable\s+)*(\w+)(?=\s+[\w(])",
        r"variable let\s+(?:private\s+|mutable\s+)*(\w+)\s*(?::|=)",
    ),
    "gdscript": (
        r"class \s*class(?:_name)?\s+(\w+)",
        r"function \s*(?:static\s+)?func\s+(\w+)",
        r"enum enum\s+(\w+)",
        r"constant const\s+(\w+)",
        r"event signal\s+(\w+)",
        r"variable (?:@\w+(?:\([^)]*\))?\s+)*var\s+(\w+)",
    ),
    "gleam": (
        r"function (?:pub\s+)?fn\s+(\w+)",
        r"type (?:pub\s+)?(?:opaque\s+)?type\s+(\w+)",
        r"constant (?:pub\s+)?const\s+(\w+)",
    ),
    "graphql": (
        r"interface (?:extend\s+)?interface\s+(\w+)",
        r"enum (?:extend\s+)?enum\s+(\w+)",
        r"struct (?:extend\s+)?(?:type|input)\s+(\w+)",
        r"type (?:extend\s+)?(?:union|scalar)\s+(\w+)",
        r"function (?:fragment|query|mutation|subscription)\s+(\w+)",
        r"macro directive\s+@(\w+)",
        r"field@struct,interface \s+(\w+)\s*(?:\(|:)",
        r"enum_member@enum \s+([A-Za-z_]\w*)\s*(?:@.*)?$",
    ),
    "make": (
        r"macro \s*(?:override\s+|export\s+)*define\s+([^\s=:]+)",
        r"variable \s*(?:override\s+|export\s+|private\s+)*([^\s:#=+?!]+)\s*(?:::?:?|\+|\?|!)?=",
        r"target ([^\s:#=%.][^\s:#=%]*)(?:[ \t]+[^\s:#=]+)*[ \t]*::?(?![=:])",
    ),
    "nim": (
        r"function \s*(?:proc|func|method|iterator|converter)\s+`?(\w+)",
        r"macro \s*(?:template|macro)\s+`?(\w+)",
        r"type \s+(\w+)\*?\s*(?:\{\.[^}]*\.\}\s*)?=\s*(?:ref\s+)?(?:object|enum|tuple|distinct|concept)\b",
    ),
    "protobuf": _PROTOCOL,
    "r": (
        r"function \s*`?([\w.]+)`?\s*(?:<-|=)\s*(?:function\b|\\\()",
        r"class \s*([\w.]+)\s*(?:<-|=)\s*(?:R6::)?R6Class\b",
        r"""class \s*(?:[\w.]+\s*<-\s*)?set(?:Ref)?Class\(\s*["'](\w+)""",
        r"""function \s*set(?:Generic|Method)\(\s*["']([\w.]+)""",
        r"variable ([\w.]+)\s*<-",
    ),
    "racket": _SCHEME,
    "scheme": _SCHEME,
    "tcl": (
        r"function \s*proc\s+(?:::)?(?:\w+::)*([^\s{:]+)",
        r"namespace \s*namespace\s+eval\s+(?:::)?(?:\w+::)*(\w+)",
        r"class \s*(?:oo::class\s+create|itcl::class)\s+(?:::)?(?:\w+::)*(\w+)",
        r"method \s*(?:method)\s+(\w+)",
    ),
    "thrift": _PROTOCOL,
    "vim": (
        r"function \s*(?:fu(?:n|nc|nction)?!?|(?:export\s+)?def!?)\s+(?:<SID>|[a-z]:)?([\w.#]+)",
        r"macro \s*com(?:mand)?!?\s+(?:-\S+\s+)*([A-Z]\w*)",
    ),
}  # fmt: skip

_CLAUSES: Final = frozenset({"erlang"})
"""Languages in which a function is defined clause by clause."""

LINE_LANGUAGES: Final = frozenset(_ROWS)


@functools.cache
def _lines_of(language: str) -> tuple[_Line, ...]:
    """Return the patterns of ``language``; compiled at its first file, since most trees have few such languages."""
    out = []
    for row in _ROWS[language]:
        kind, _, pattern = row.partition(" ")
        kind, _, inside = kind.partition("@")
        out.append(_Line(kind, re.compile(pattern.encode()), frozenset(inside.split(",")) if inside else None))
    return tuple(out)


"""The languages whose definitions are found line by line."""


def definitions_by_line(lines: Lines, language: str) -> list[FoundDefinition]:
    """Return the definitions of a text in document order; clauses of one function that follow each other are one."""
    found: list[FoundDefinition] = []
    around: list[FoundDefinition] = []
    ends = IndentedEnds(lines)
    for row, kind, name, at in _beginnings(lines, language, around):
        before = found[-1] if found else None
        owner = around[-1] if around else None
        is_detail = kind in ("field", "enum_member", "variable", "constant", "package", "namespace")
        kind = kind_in(kind, owner.kind if owner is not None else "")
        end = ends.of_definition(row)
        if language in _CLAUSES and before is not None and (before.name, before.kind) == (name, kind):
            before.end = end
            continue
        qualified = f"{owner.qualified}.{name}" if owner is not None else name
        definition = FoundDefinition(
            row, end, kind, name, qualified, owner, is_detail=is_detail, container=owner, path=name, name_byte=at
        )
        found.append(definition)
        if kind in CONTAINERS and end > row + 1:
            around.append(definition)
        if len(found) >= MAX_DEFINITIONS:
            break
    return found


def _beginnings(lines: Lines, language: str, around: list[FoundDefinition]) -> Iterator[tuple[int, str, str, int]]:
    """Yield (row, kind, name, offset of the name) of each line that begins a definition.

    Those in ``around`` that end before the line are removed from it first.
    """
    patterns = _lines_of(language)
    for row in range(lines.count):
        while around and around[-1].end <= row:
            around.pop()
        outer = around[-1].kind if around else ""
        start = lines.starts[row]
        line = lines.text[start : min(lines.starts[row + 1], start + _MOST_LINE_BYTES)].rstrip(b"\r\n")
        for kind, pattern, inside in patterns:
            if (inside is None or outer in inside) and (match := pattern.match(line)) is not None:
                yield row, kind, match[1].decode("utf-8", "replace"), start + match.start(1)
                break


class IndentedEnds:
    """Where definitions end, by their indentation."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._next: list[int] = []  # the next row of each that is indented no deeper; made when it is first needed

    def of_definition(self, row: int) -> int:
        """Return the row after a definition that begins at ``row``: after the row that closes it."""
        lines, depth = self._lines, self._lines.indent(row)
        self._next = self._next or _next_outside(lines)
        after = self._next[row]
        while after < lines.count and lines.indent(after) == depth:
            start = lines.starts[after] + depth
            if not lines.text.startswith(b"{", start):
                return after + 1 if _CLOSING.match(lines.text, start) else after
            after = self._next[after]
        return after


def _next_outside(lines: Lines) -> list[int]:
    """Return for each row the next one that is not blank and not indented deeper, or the number of rows."""
    found = [lines.count] * lines.count
    pending: list[tuple[int, int]] = []  # (indentation, row), ever deeper
    for row in range(lines.count):
        if lines.is_blank(row):
            continue
        indent = lines.indent(row)
        while pending and pending[-1][0] >= indent:
            found[pending.pop()[1]] = row
        pending.append((indent, row))
    return found


def atoms_by_line(found: Sequence[FoundDefinition], lines: Lines, limits: ChunkLimits) -> list[Atom]:
    """Cut the rows of a file before each outermost definition and the comment above it; together they cover it."""
    cuts = {0}
    for definition in found:
        if definition.parent is None and not definition.is_detail:
            row = definition.start
            while row > 0 and not lines.is_blank(row - 1) and _is_comment(lines, row - 1):
                row -= 1
            cuts.add(row)
    rows = [*sorted(cuts), lines.count]
    out: list[Atom] = []
    for start, end in itertools.pairwise(rows):
        if lines.size(start, end) <= limits.limit:
            out.append(Atom(start, end, end))
        else:
            pieces = windows(lines, start, end, target=limits.target, limit=limits.limit)
            out += [Atom(first, last, last) for first, last in pieces]
    return out


def _is_comment(lines: Lines, row: int) -> bool:
    start = lines.starts[row]
    return lines.text[start : start + 200].lstrip()[:1] in (b"#", b"/", b"*", b"%", b";", b"-", b'"')
