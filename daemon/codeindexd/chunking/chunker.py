"""Text in, chunks out: contiguous row ranges that follow the definitions of the language.

The chunks of a text tile it: joined, they are the text, byte for byte. A text without anything but whitespace has no
chunk. Nothing here raises, whatever the bytes; what cannot be parsed is cut into windows.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from tree_sitter import Node, Parser, Point

from codeindexd.chunking import notebook
from codeindexd.chunking.grammars import Grammar, load
from codeindexd.chunking.lines import Lines, windows
from codeindexd.chunking.outline import Found, find_definitions, is_hopeless
from codeindexd.chunking.split import Atom, Limits, assign, atoms, pack
from codeindexd.model import Span, Symbol

DEFAULT_MAX_BYTES = 6000
TARGET = 1000
_LONG_LINES = 400  # bytes a line on average: minified or data, where a syntax tree cannot help, as no line is cut
_READ = 1 << 16
_CPP_HEADER = re.compile(
    rb"^[ \t]*(?:class\s+\w+[^;]*\{|namespace\s+\w*\s*\{|template\s*<|(?:public|private)\s*:)", re.MULTILINE
)


def chunk(text: bytes, language: str, *, max_bytes: int = DEFAULT_MAX_BYTES, target_chars: int = TARGET) -> list[Span]:
    """Cut UTF-8 ``text`` (ill-formed bytes are tolerated) of ``language`` (``""``: plain text) into chunks.

    The spans are in order and tile the text: the first starts at byte 0, each starts where the one before ends, the
    last ends at ``len(text)``. All but the last end after a ``\\n``. They aim at ``target_chars`` bytes; only a
    chunk of a single line is longer than ``max_bytes``. Equal input gives equal chunks on every machine. Never raises.
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
    found = find_definitions(root, text, grammar)
    if is_hopeless(root, found):
        return _windowed(lines, limits)
    pieces = atoms(root, text, lines, grammar, limits)
    if not pieces:
        return _windowed(lines, limits)
    assign(pieces, found)
    return _spans(pack(pieces, lines, limits), found, lines)


def _grammar(text: bytes, language: str, lines: Lines) -> Grammar | None:
    if len(text) > 4096 and len(text) > _LONG_LINES * lines.count:
        return None
    if language == "c" and _CPP_HEADER.search(text):
        language = "cpp"
    grammar = load(language)
    return grammar if grammar is not None and len(text) <= grammar.rules.max_parse_bytes else None


def parse(text: bytes, grammar: Grammar) -> Node | None:
    """The root of the syntax tree, or None when parsing would cost out of all proportion.

    The budget counts the parser's own steps (it reports every hundred), not seconds, so the same file is given up
    on every machine or on none. Ordinary code takes one report for 100 to 300 bytes; error recovery on hostile
    input takes many per byte.
    """
    budget = 2000 + len(text) // 8
    reports = 0

    def read(offset: int, _point: Point) -> bytes:
        return text[offset : offset + _READ]

    def progress(_offset: int, _has_error: bool) -> bool:
        nonlocal reports
        reports += 1
        return reports > budget

    try:
        return Parser(grammar.language).parse(read, progress_callback=progress).root_node
    except ValueError:  # cancelled
        return None


def _windowed(lines: Lines, limits: Limits) -> list[Span]:
    pieces = windows(lines, 0, lines.count, target=limits.target, limit=limits.limit)
    return [_span(start, end, "window", "", (), lines) for start, end in _without_blank(pieces, lines)]


def _without_blank(pieces: Sequence[tuple[int, int]], lines: Lines) -> list[tuple[int, int]]:
    """Pieces with nothing but whitespace joined to the one before them, or the first to the one after it."""
    out: list[tuple[int, int]] = []
    for start, end in pieces:
        if out and (
            lines.text[lines.starts[start] : lines.starts[end]].isspace()
            or lines.text[lines.starts[out[-1][0]] : lines.starts[out[-1][1]]].isspace()
        ):
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out


def _span(start: int, end: int, kind: str, symbol: str, symbols: tuple[Symbol, ...], lines: Lines) -> Span:
    return Span(lines.starts[start], lines.starts[end], start + 1, end, kind, symbol, symbols)


def _spans(groups: Sequence[Sequence[Atom]], found: Sequence[Found], lines: Lines) -> list[Span]:
    ranges = _without_blank([(group[0].start, group[-1].end) for group in groups], lines)
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

    One complete definition names it; several name it after what they have in common and the definition around them;
    a part of a definition is named after that.
    """
    last = members[-1]
    owner = last.owner if last.owner is None or last.owner.start >= members[0].start else members[0].owner
    whole = [item for atom in members for item in atom.whole]
    around = owner
    if owner is not None and (owner.start >= members[0].start or not whole):
        return owner.kind, owner.qualified
    if len(whole) == 1 and (around is None or around.kind in ("class",) or around.kind != "function"):
        return whole[0].kind, whole[0].qualified
    if around is not None and around.kind in ("function", "method"):
        return around.kind, around.qualified
    if not whole:
        return "block", ""
    kinds = {item.kind for item in whole}
    kind = kinds.pop() if len(kinds) == 1 else max(whole, key=lambda item: item.end - item.start).kind
    return ("block" if kind == "key" else kind), (around.qualified if around is not None else "")
