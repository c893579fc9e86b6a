"""Parses text that is not entirely what its grammar expects: macros, conditional parts, conflicts, unfinished edits.

A first parse is enough for most files. If something outside functions is broken, what may be noise is blanked out
and the text is parsed again, as long as less of it stays broken. Definitions in what remains broken are found by the
lines that begin them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from tree_sitter import Node

from codeindexd.analysis.chunking.grammars import ERROR_KIND, Grammar
from codeindexd.analysis.chunking.line_outline import IndentedEnds
from codeindexd.analysis.chunking.lines import Lines
from codeindexd.analysis.chunking.macro_definitions import made_by_macros
from codeindexd.analysis.chunking.noise import (
    with_main_branches,
    without_item_macros,
    without_noise,
    without_suspects,
)
from codeindexd.analysis.chunking.outline import FoundDefinition, find_definitions
from codeindexd.analysis.chunking.rules import METHOD_OWNERS
from codeindexd.analysis.chunking.rules_compiled import returns_class

Parse = Callable[[bytes], Node | None]

_MOST_NODES: Final = 20_000  # that are examined for errors
_MOST_LINE_BYTES: Final = 300
_NEAR_BYTES: Final = 1_000  # around what is broken, where its cause may be
_CODE: Final = re.compile(r"function|method|constructor|lambda|closure|init_declaration|compound_statement|accessor")
_MODIFIERS: Final = (
    rb"(?:(?:export|default|declare|pub(?:\([a-z ]+\))?|public|private|protected|internal|fileprivate|open|final|sealed"
    rb"|abstract|static|inline|async|unsafe|const|extern|partial|data|override|virtual|local|suspend|case|implicit|lazy)\s+)*"
)
_KEYWORDS: Final = {
    b"class": "class", b"interface": "interface", b"trait": "trait", b"struct": "struct", b"enum": "enum",
    b"def": "function", b"fn": "function", b"func": "function", b"function": "function", b"fun": "function",
    b"sub": "function", b"module": "module", b"namespace": "namespace", b"object": "object", b"protocol": "interface",
    b"record": "class", b"defmodule": "module", b"defp": "function", b"macro": "macro",
}  # fmt: skip
_BY_KEYWORD: Final = re.compile(
    rb"[ \t]*+(?:template\s*+<[^;{}]*>\s*+)?"
    + _MODIFIERS
    + rb"("
    + b"|".join(_KEYWORDS)
    + rb")\s++(?:self\.|\([^()\n]*\)\s*|(?:class|struct|interface)\s++)?([A-Za-z_][\w.]*[?!]?)"
)
_C_FUNCTION: Final = re.compile(
    rb"[ \t]*+(?:[A-Za-z_][\w:]*(?:<[^;{}()]*>)?[\s*&]+)+[*&]*((?:\w+::)*~?\w+)\s*\([^;]*(?:\{|\)|,)\s*$"
)
_C_LANGUAGES: Final = frozenset({"c", "cpp", "csharp", "java"})
_AFTER_C_TAG: Final = re.compile(rb"\s*(?:$|[{:<]|//|/\*|final\b)")
"""What follows the name of a type where C and C++ define it, and not where they use it (``struct buffer *next``)."""

_SQL_KINDS: Final = {
    b"database": "schema", b"domain": "type", b"function": "function", b"index": "index", b"proc": "function",
    b"procedure": "function", b"schema": "schema", b"sequence": "sequence", b"table": "table", b"trigger": "trigger",
    b"type": "type", b"view": "view",
}  # fmt: skip
_SQL_CREATE: Final = re.compile(  # ``CREATE OR REPLACE FUNCTION app.f``, also with quotes and MySQL's definer
    rb"[ \t]*+create\s++(?:or\s+(?:replace|alter)\s+)?(?:definer\s*=\s*\S+\s+)?"
    rb"(?:(?:global|local|temp|temporary|unlogged|unique|clustered|nonclustered|materialized|recursive|external)\s+)*"
    rb"(" + b"|".join(_SQL_KINDS) + rb")\s++(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?"
    rb"(?:[\"`\[]?\w+[\"`\]]?\s*\.\s*)*[\"`\[]?(\w+)",
    re.IGNORECASE,
)
_RUST_MACROS: Final = (
    (
        (b"thread_local!", b"lazy_static!"),
        re.compile(rb"^[ \t]++(?:pub(?:\([^()\n]*\))?\s+)?static\s+(?:ref\s+)?(\w++)\s*:", re.MULTILINE),
        "variable",
    ),
    ((b"bitflags!",), re.compile(rb"^[ \t]++(?:pub\s+)?struct\s+(\w++)\s*:", re.MULTILINE), "struct"),
    ((b"bitflags!",), re.compile(rb"^[ \t]++const\s+(\w++)\s*=", re.MULTILINE), "constant"),
)
_NOT_FUNCTIONS: Final = frozenset(
    b"if while for switch return else do sizeof catch new throw delete case goto using typedef define".split()
)


class ParsedText(Struct, frozen=True):
    """A tree of a text, and the byte ranges outside functions in which its syntax was not understood.

    ``text`` is what was parsed. If branches of ``#if`` were blanked out, ``with_branches`` is the tree before that, and
    may know definitions in them.
    """

    root: Node
    text: bytes
    broken: list[tuple[int, int]]
    with_branches: Node | None = None

    @property
    def size(self) -> int:
        """The number of bytes that were not understood."""
        return sum(end - start for start, end in self.broken)


def unparsed_ranges(text: bytes, parsed: ParsedText) -> list[tuple[int, int]]:
    """Return the byte ranges of ``text`` that were blanked out before it was parsed, with the white space in them."""
    if parsed.text is text:
        return []
    blanked = np.flatnonzero(np.frombuffer(text, np.uint8) != np.frombuffer(parsed.text, np.uint8))
    if not len(blanked):
        return []
    gaps = np.flatnonzero(np.diff(blanked) > 1)
    starts = blanked[np.concatenate([[0], gaps + 1])].tolist()
    ends = (blanked[np.concatenate([gaps, [len(blanked) - 1]])] + 1).tolist()
    found = [(starts[0], ends[0])]
    for start, end in zip(starts[1:], ends[1:], strict=True):
        first, last = found[-1]
        if text[last:start].isspace():
            found[-1] = first, end
        else:
            found.append((start, end))
    return found


def parse_leniently(text: bytes, grammar: Grammar, parse: Parse) -> ParsedText | None:
    """Return the tree of ``text`` in which the least is broken; None if it cannot be parsed in the time it may take."""
    cleaned = without_noise(text, grammar.name)
    items = without_item_macros(cleaned) if grammar.name == "rust" else cleaned
    best = _parsed(items, parse)
    if items is not cleaned and (best is None or best.broken):  # the macros do more than to contain items
        plain = _parsed(cleaned, parse)
        best = best if best is not None and (plain is None or best.size <= plain.size) else plain
    if best is None:
        return None
    for blank in (without_suspects, with_main_branches):
        if not best.broken:
            break
        candidate = blank(best.text, grammar.name)
        again = _parsed(candidate, parse) if _differs_near(best, candidate) else None
        if again is not None and again.size <= best.size:
            best = replace(again, with_branches=best.root) if blank is with_main_branches else again
    return best


def _parsed(text: bytes, parse: Parse) -> ParsedText | None:
    root = parse(text)
    return None if root is None else ParsedText(root, text, broken_ranges(root))


def _differs_near(parsed: ParsedText, candidate: bytes) -> bool:
    """Return True if ``candidate`` differs from the parsed text in or near what is broken."""
    if candidate is parsed.text:
        return False
    near = ((max(0, start - _NEAR_BYTES), end + _NEAR_BYTES) for start, end in parsed.broken)
    return any(candidate[start:end] != parsed.text[start:end] for start, end in near)


def broken_ranges(root: Node) -> list[tuple[int, int]]:
    """Return the byte ranges of errors outside functions, in order, and of C's "functions" that are none."""
    if not root.has_error:
        return []
    if root.kind_id == ERROR_KIND:
        return [(root.start_byte, root.end_byte)]
    found: list[tuple[int, int]] = []
    stack = [root]
    count = 0
    while stack and count < _MOST_NODES:
        node = stack.pop()
        count += 1
        for child in node.children:
            if child.kind_id == ERROR_KIND or (child.has_error and _is_misread(child)):
                found.append((child.start_byte, child.end_byte))
            elif child.has_error and not (child.is_missing or _CODE.search(child.type)):
                stack.append(child)
    return sorted(found)


def _is_misread(node: Node) -> bool:
    """Return True for a function of C that is none.

    Without parameters, it is a class or a namespace with a macro before it. If its type has a body, that is a class in
    which something was not understood, and the function is the next one or begins far behind that.
    """
    if node.type != "function_definition":
        return False
    if returns_class(node):
        return True
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type != "function_declarator":
        declarator = declarator.child_by_field_name("declarator")
    return declarator is None and node.child_by_field_name("parameters") is None


def more_definitions(
    parsed: ParsedText, found: Sequence[FoundDefinition], lines: Lines, grammar: Grammar
) -> list[FoundDefinition]:
    """Return the definitions that ``found``, those of the tree, lack: in branches that were blanked out, and by lines.

    They are details: a guess decides nothing about chunks.
    """
    known = {(one.name, bisect_right(lines.starts, one.name_byte) - 1): one for one in found}
    elsewhere = find_definitions(parsed.with_branches, lines, grammar) if parsed.with_branches is not None else []
    candidates = [
        (definition.kind, definition.name, definition.name_byte, definition)
        for definition in elsewhere
        if definition.listed and parsed.text[definition.name_byte : definition.name_byte + 1].isspace()
    ]
    guesses = [
        *_guesses(parsed, lines, grammar.name),
        *_swallowed(found, lines, grammar.name),
        *(made_by_macros(lines.text) if grammar.name == "c" else ()),
        *(_in_rust_macros(lines.text) if grammar.name == "rust" else ()),
    ]
    out: list[FoundDefinition] = []
    ends = IndentedEnds(lines)
    for kind, name, at, seen in [*candidates, *((*guess, None) for guess in guesses)]:
        row = bisect_right(lines.starts, at) - 1
        if (name, row) in known:
            continue
        start, end = (seen.start, seen.end) if seen is not None else (row, ends.of_definition(row))
        placed = known[name, row] = _placed(kind, name, at, start, end, seen, found)
        outer = seen.container if seen is not None else None
        if outer is not None:  # in a branch that was blanked out as well
            placed.container = known.get(
                (outer.name, bisect_right(lines.starts, outer.name_byte) - 1), placed.container
            )
        out.append(placed)
    return out


def _placed(
    kind: str,
    name: str,
    at: int,
    start: int,
    end: int,
    seen: FoundDefinition | None,
    found: Sequence[FoundDefinition],
) -> FoundDefinition:
    """Return a definition as a detail inside the innermost of ``found`` around its row that is not a function."""
    around = [
        definition
        for definition in found
        if definition.start < start < definition.end and definition.kind not in ("function", "method")
    ]
    container = around[-1] if around else None
    node = seen.node if seen is not None else None
    if seen is None and container is not None and container.kind in METHOD_OWNERS and kind == "function":
        kind = "method"
    return FoundDefinition(start, end, kind, name, name, None, True, True, container, name, at, node)


def _guesses(parsed: ParsedText, lines: Lines, language: str) -> Iterator[tuple[str, str, int]]:
    """Yield (kind, name, offset of the name) for lines in broken parts that look like the beginning of a definition."""
    for start, end in parsed.broken:
        first, last = lines.spanned(start, max(start + 1, end))
        for row in range(first, min(last, lines.count)):
            if (guess := _guess(row, lines, language)) is not None:
                yield guess


def _in_rust_macros(text: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield what ``thread_local!``, ``lazy_static!`` and ``bitflags!`` define, whose content is no tree."""
    for words, pattern, kind in _RUST_MACROS:
        if any(word in text for word in words):
            for match in pattern.finditer(text):
                yield kind, match[1].decode(), match.start(1)


def _line(row: int, lines: Lines) -> bytes:
    start = lines.starts[row]
    return lines.text[start : min(lines.starts[row + 1], start + _MOST_LINE_BYTES)].rstrip(b"\r\n")


def _guess(row: int, lines: Lines, language: str) -> tuple[str, str, int] | None:
    """Return (kind, name, offset of the name) if a row looks like the beginning of a definition, else None."""
    at, line = lines.starts[row], _line(row, lines)
    if language == "sql":
        created = _SQL_CREATE.match(line)
        if created is None:
            return None
        return _SQL_KINDS[created[1].lower()], created[2].decode("utf-8", "replace"), at + created.start(2)
    match = _BY_KEYWORD.match(line)
    if match and (language not in ("c", "cpp") or _AFTER_C_TAG.match(line, match.end())):
        name = match[2].decode("utf-8", "replace").rpartition(".")[2]
        return _KEYWORDS[match[1]], name, at + match.end(2) - len(name.encode())
    match = _C_FUNCTION.match(line) if language in _C_LANGUAGES else None
    if match is None or _NOT_FUNCTIONS & {match[1], *line.split()[:1]}:
        return None
    name = match[1].decode("utf-8", "replace").rpartition("::")[2]
    return "function", name, at + match.end(1) - len(name.encode())


def _swallowed(found: Sequence[FoundDefinition], lines: Lines, language: str) -> Iterator[tuple[str, str, int]]:
    """Yield what looks like the beginning of a definition inside a broken function, and is not indented more than it.

    A bracket that is missing in the middle of an edit makes a function extend over those after it.
    """
    for definition in found:
        if definition.node is None or not definition.node.has_error or definition.kind not in ("function", "method"):
            continue
        depth = lines.indent(definition.start)
        for row in range(definition.start + 1, definition.end):
            if lines.indent(row) <= depth and (guess := _guess(row, lines, language)) is not None:
                yield guess
