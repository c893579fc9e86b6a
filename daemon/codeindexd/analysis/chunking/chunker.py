"""Text in, chunks out: contiguous row ranges that follow the definitions of the language.

The chunks of a text tile it: joined, they are the text, byte for byte. A text without anything but whitespace has no
chunk. Nothing here raises, whatever the bytes; what cannot be parsed is cut into windows.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Sequence

from tree_sitter import Node, Parser, Point

from codeindexd.analysis.chunking import notebook
from codeindexd.analysis.chunking.grammars import Grammar, load
from codeindexd.analysis.chunking.guards import is_parsable
from codeindexd.analysis.chunking.headings import sections
from codeindexd.analysis.chunking.lines import Lines, windows, without_blank
from codeindexd.analysis.chunking.outline import Found, find_definitions, is_hopeless
from codeindexd.analysis.chunking.rules import CONTAINERS
from codeindexd.analysis.chunking.split import Atom, Limits, assign, atoms, pack
from codeindexd.types import Span, Symbol

DEFAULT_MAX_BYTES = 6000
TARGET = 1000
MAX_PARSE_SECONDS = 5.0  # of CPU; what ends here takes 50 to 1000 times as long as any file of its size should
_READ = 1 << 16
_READS = 64  # so often a parser gets that much at once
_READ_LATER = 1 << 10  # then less: tree-sitter keeps what it was given, and Haskell asks thousands of times
_MOST_GIVEN = 1 << 26  # bytes in all; of 2,500 real files none took more than 2 MB, generated Lua took 1 GB
OPEN = CONTAINERS | {"section", "key", "table", "block", "resource"}
"""Kinds in which a complete inner definition stands for itself; elsewhere (functions) it is just a statement."""
_CPP_HEADER = re.compile(  # possessive and bounded, or a generated file of nothing but beginnings takes minutes
    rb"^[ \t]*+(?:class\s++\w++[^;{]{0,1000}+\{|namespace\s++\w*+\s*+\{|template\s*+<|(?:public|private)\s*+:)",
    re.MULTILINE,
)


def chunk(text: bytes, language: str, *, max_bytes: int = DEFAULT_MAX_BYTES, target_chars: int = TARGET) -> list[Span]:
    """Cut UTF-8 ``text`` (ill-formed bytes are tolerated) of ``language`` (``""``: plain text) into chunks.

    The spans are in order and tile the text: the first starts at byte 0, each starts where the one before ends, the
    last ends at ``len(text)``. All but the last end after a ``\\n``. They aim at ``target_chars`` bytes; only a
    chunk of a single line is longer than ``max_bytes``, not counting blank rows around it. Equal input gives equal
    chunks on every machine. Never raises.
    """
    if not text or text.isspace():
        return []
    lines = Lines(text)
    target = max(1, min(target_chars, max_bytes))
    limits = Limits(target, max(target, min(target * 3 // 2, max_bytes)))
    if language == "jupyter":
        return notebook.cells(lines, limits)
    grammar = _grammar(text, language, lines)
    root = parse(text, grammar) if grammar is not None else None
    if grammar is None or root is None:
        return _windowed(lines, limits)
    found = sections(root, lines) if language == "markdown" else find_definitions(root, lines, grammar)
    if is_hopeless(root, found):
        return _windowed(lines, limits)
    pieces = atoms(root, lines, grammar, limits, found)
    if not pieces:
        return _windowed(lines, limits)
    assign(pieces, found)
    return _spans(pack(pieces, lines, limits), found, lines)


def _grammar(text: bytes, language: str, lines: Lines) -> Grammar | None:
    if language == "c" and _CPP_HEADER.search(text):
        language = "cpp"
    grammar = load(language)
    if grammar is None or len(text) > grammar.rules.max_parse_bytes or not is_parsable(text, language, lines):
        return None
    return grammar


def parse(text: bytes, grammar: Grammar) -> Node | None:
    """The root of the syntax tree, or None when parsing would cost out of all proportion.

    The budget counts the parser's own steps (it reports every hundred), not seconds, so the same file is given up
    on every machine or on none: ordinary code takes one report for 50 to 300 bytes. But the cost of a step grows
    with what came before (error recovery in C, Haskell's layout), so a few seconds of CPU time are the last resort:
    only generated input gets there, and it would otherwise cost the worker process its life.
    """
    budget = 2000 + len(text) // 40
    reads = given = reports = 0
    began = time.monotonic(), time.thread_time()

    def read(offset: int, _point: Point) -> bytes:
        nonlocal reads, given
        reads += 1
        piece = text[offset : offset + (_READ if reads <= _READS else _READ_LATER)] if given < _MOST_GIVEN else b""
        given += len(piece)
        return piece

    def progress(_offset: int, _has_error: bool) -> bool:
        nonlocal reports
        reports += 1
        if reports % 16 or time.monotonic() - began[0] <= MAX_PARSE_SECONDS:  # CPU clocks can cost 100 us to read
            return reports > budget or given >= _MOST_GIVEN
        return time.thread_time() - began[1] > MAX_PARSE_SECONDS

    try:
        tree = Parser(grammar.language).parse(read, progress_callback=progress)
    except ValueError:  # cancelled
        return None
    return tree.root_node if given < _MOST_GIVEN else None


def _windowed(lines: Lines, limits: Limits) -> list[Span]:
    pieces = windows(lines, 0, lines.count, target=limits.target, limit=limits.limit)
    return [_span(start, end, "window", "", (), lines) for start, end in without_blank(pieces, lines)]


def _span(start: int, end: int, kind: str, symbol: str, symbols: tuple[Symbol, ...], lines: Lines) -> Span:
    return Span(lines.starts[start], lines.starts[end], start + 1, end, kind, symbol, symbols)


def _spans(groups: Sequence[Sequence[Atom]], found: Sequence[Found], lines: Lines) -> list[Span]:
    ranges = without_blank([(group[0].start, group[-1].end) for group in groups], lines)
    starts = [item.start for item in found]
    by_start = {group[0].start: group for group in groups}
    ordered = iter(sorted(by_start))
    position = next(ordered, None)
    out = []
    for start, end in ranges:
        members: list[Atom] = []
        while position is not None and position < end:
            members += by_start[position]
            position = next(ordered, None)
        inside = found[bisect_left(starts, start) : bisect_left(starts, end)]
        symbols = tuple(
            Symbol(item.name, item.qualified, item.kind, item.start - start) for item in inside if item.listed
        )
        kind, symbol = label(members)
        out.append(_span(start, end, kind, symbol, symbols, lines))
    return out


def label(members: Sequence[Atom]) -> tuple[str, str]:
    """Kind and symbol path of a chunk.

    A chunk with the head of a definition that goes on after it, or with a part of a function, is named after that
    definition; else one complete definition names it; several give it their kind, and the path of what is around them.
    """
    first = members[0]
    around = members[-1].owner
    while around is not None and around.start > first.start and around.parent is not None and first.whole:
        around = around.parent  # it begins here, but after something complete
    whole = [item for atom in members for item in atom.whole]
    if around is not None and (around.start >= first.start or not whole or around.kind not in OPEN):
        return around.kind, around.qualified
    if len(whole) == 1:
        return whole[0].kind, whole[0].qualified
    if not whole:
        return "block", ""
    kinds = {item.kind for item in whole}
    kind = kinds.pop() if len(kinds) == 1 else max(whole, key=lambda item: item.end - item.start).kind
    return ("block" if kind == "key" else kind), (around.qualified if around is not None else "")
