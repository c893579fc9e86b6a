"""Cuts a text into chunks: contiguous ranges of rows that follow the definitions of the language.

Joined together, the chunks are the text, byte for byte. A blank text has no chunks. Nothing here raises, whatever the
bytes; text that cannot be parsed is cut into windows.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace
from tree_sitter import Node, Parser, Point

from codeindexd.analysis.chunking.definitions import describe, with_samples
from codeindexd.analysis.chunking.embedded import Script, script_in
from codeindexd.analysis.chunking.grammars import Grammar, load
from codeindexd.analysis.chunking.guards import is_parsable
from codeindexd.analysis.chunking.headings import sections
from codeindexd.analysis.chunking.instance_variables import instance_variables
from codeindexd.analysis.chunking.line_outline import LINE_LANGUAGES, atoms_by_line, definitions_by_line
from codeindexd.analysis.chunking.lines import Lines, join_blank, windows
from codeindexd.analysis.chunking.macro_definitions import used_by_macros
from codeindexd.analysis.chunking.outline import FoundDefinition, find_definitions, in_order, is_unparsed
from codeindexd.analysis.chunking.recovery import more_definitions, parse_leniently, unparsed_ranges
from codeindexd.analysis.chunking.rules import CONTAINERS
from codeindexd.analysis.chunking.samples import samples_in
from codeindexd.analysis.chunking.split import Atom, ChunkLimits, assign, atoms, pack
from codeindexd.analysis.references.codec import NO_REFERENCES, Columns
from codeindexd.analysis.references.extract import is_too_deep, references_in
from codeindexd.types import Definition, Span, Symbol

DEFAULT_MAX_BYTES = 6000
TARGET = 1000
MAX_PARSE_SECONDS = 5.0  # of CPU time; only files that take 50 to 1000 times as long as normal reach it
_READ_BYTES = 1 << 16  # per read, for the first reads
_FULL_READS = 64
_LATER_READ_BYTES = 1 << 10  # small, since tree-sitter keeps all pieces, and Haskell's grammar reads thousands of times
_MAX_READ_BYTES = 1 << 26  # in total; of 2,500 real files none needed more than 2 MB, but generated Lua took 1 GB
OPEN = CONTAINERS | {"section", "key", "table", "block", "resource"}
"""Kinds in which a complete inner definition names a chunk; in others (functions) it is just a statement."""
_CPP_HEADER = re.compile(  # possessive and bounded: otherwise a generated file of half declarations takes minutes
    rb"^[ \t]*+(?:class\s++\w++[^;{]{0,1000}+\{|namespace\s++\w*+\s*+\{|template\s*+<|(?:public|private)\s*+:)",
    re.MULTILINE,
)
_MOST_SAMPLES = 2_000  # of a document


class Analysis(Struct, frozen=True):
    """The chunks, definitions and references of a text. ``is_partial`` if some was not understood, or left out."""

    spans: list[Span]
    definitions: tuple[Definition, ...] = ()
    is_partial: bool = False
    references: Columns = NO_REFERENCES


def chunk(text: bytes, language: str, *, max_bytes: int = DEFAULT_MAX_BYTES, target_chars: int = TARGET) -> list[Span]:
    """Return the chunks of a text, as :func:`analyse` does."""
    return analyse(text, language, max_bytes=max_bytes, target_chars=target_chars).spans


def analyse(
    text: bytes,
    language: str,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
    target_chars: int = TARGET,
    samples: bool = True,
) -> Analysis:
    """Find the definitions in a text, and cut it into chunks along them.

    Cuts UTF-8 ``text`` (ill-formed bytes are tolerated) of ``language`` ("" is plain text) into chunks.

    The spans are in order and cover the text: the first starts at byte 0, each of the others where its predecessor
    ends, and the last ends at ``len(text)``. All but the last end after a ``\\n``. Their target size is
    ``target_chars`` bytes; only a chunk of a single line is longer than ``max_bytes``, not counting blank rows around
    it. Equal input gives equal chunks on every machine. Never raises.

    With ``samples``, the definitions in the code samples of a document are found too. They name no chunk. If there are
    more than 2,000 samples, the others are left out, and the analysis is partial.
    """
    if not text or text.isspace():
        return Analysis([])
    analysis = _analysis(text, language, max_bytes, target_chars)
    found = samples_in(text, language, _MOST_SAMPLES + 1) if samples else []
    if not found:
        return analysis
    inside = [(sample, _definitions(sample.text, sample.language)) for sample in found[:_MOST_SAMPLES]]
    return replace(
        analysis,
        definitions=with_samples(analysis.definitions, inside),
        is_partial=analysis.is_partial or len(found) > _MOST_SAMPLES,
    )


def _definitions(text: bytes, language: str) -> tuple[Definition, ...]:
    """Return the definitions of a text, without cutting it."""
    lines = Lines(text)
    if language in LINE_LANGUAGES:
        return describe(definitions_by_line(lines, language), lines, language)
    grammar = _grammar(text, language, lines)
    parsed = parse_leniently(text, grammar, partial(parse, grammar=grammar)) if grammar is not None else None
    if grammar is None or parsed is None:
        return ()
    found = _found(parsed.root, lines, grammar)
    return describe(in_order([*found, *more_definitions(parsed, found, lines, grammar)]), lines, grammar.name)


def _analysis(text: bytes, language: str, max_bytes: int, target_chars: int) -> Analysis:
    """Return the analysis of a text that is not blank, without the samples in it."""
    lines = Lines(text)
    target = max(1, min(target_chars, max_bytes))
    limits = ChunkLimits(target, max(target, min(target * 3 // 2, max_bytes)))
    if language in LINE_LANGUAGES:
        return _by_line(lines, language, limits)
    grammar = _grammar(text, language, lines)
    parsed = parse_leniently(text, grammar, partial(parse, grammar=grammar)) if grammar is not None else None
    script = script_in(text, language)
    if grammar is None or parsed is None:
        return _with_script(Analysis(_windowed(lines, limits)), script, max_bytes)
    root = parsed.root
    found = sections(root, lines) if language == "markdown" else _found(root, lines, grammar)
    more = more_definitions(parsed, found, lines, grammar)
    definitions = describe(in_order([*found, *more]) if more else found, lines, grammar.name)
    if is_unparsed(root, found):
        return Analysis(_windowed(lines, limits), definitions, is_partial=True)
    names, members = _names(definitions, lines), _only_members(definitions, grammar.name)
    unparsed = unparsed_ranges(text, parsed)
    implied = [*used_by_macros(text)] if grammar.name == "c" else []
    references = references_in(root, text, grammar.name, grammar.language, names, members, unparsed, implied)
    is_partial = bool(parsed.broken) or is_too_deep(root, grammar.name)
    main = [definition for definition in found if not definition.is_detail]
    pieces = atoms(root, lines, grammar, limits, main)
    if not pieces:
        return Analysis(_windowed(lines, limits), definitions, is_partial, references)
    assign(pieces, main)
    spans = _spans(pack(pieces, lines, limits), main, lines)
    return _with_script(Analysis(spans, definitions, is_partial, references), script, max_bytes)


def _found(root: Node, lines: Lines, grammar: Grammar) -> list[FoundDefinition]:
    """Return all definitions in a tree, in document order."""
    found = find_definitions(root, lines, grammar)
    more = instance_variables(root, lines, grammar.name, found)
    return in_order([*found, *more]) if more else found


def _by_line(lines: Lines, language: str, limits: ChunkLimits) -> Analysis:
    """Return the analysis of a text whose definitions are found line by line."""
    found = definitions_by_line(lines, language)
    if not found:
        return Analysis(_windowed(lines, limits))
    main = [definition for definition in found if not definition.is_detail]
    pieces = atoms_by_line(main, lines, limits)
    assign(pieces, main)
    return Analysis(_spans(pack(pieces, lines, limits), main, lines), describe(found, lines, language))


def _with_script(document: Analysis, script: Script | None, max_bytes: int) -> Analysis:
    """Return the analysis of a document, with the definitions and references of the script in it."""
    if script is None:
        return document
    found = _analysis(script.text, script.language, max_bytes, TARGET)
    return replace(document, definitions=found.definitions, is_partial=found.is_partial, references=found.references)


def _names(definitions: Sequence[Definition], lines: Lines) -> dict[bytes, list[int]]:
    """Return the offsets of the names of definitions."""
    found: dict[bytes, list[int]] = {}
    for definition in definitions:
        if definition.kind != "impl":  # it refers to its type
            name = definition.name.encode("utf-8", "replace")
            found.setdefault(name, []).append(lines.starts[definition.line - 1] + definition.column - 1)
    return found


def _only_members(definitions: Sequence[Definition], language: str) -> set[bytes]:
    """Return the names of members that nothing else has and that code does not mention without a receiver."""
    kinds = _WITH_RECEIVER.get(language)
    if kinds is None:
        return set()
    plain = {definition.name for definition in definitions if definition.kind not in kinds}
    return {definition.name.encode("utf-8", "replace") for definition in definitions if definition.name not in plain}


_MEMBERS = frozenset({"constructor", "field", "method", "property"})
_WITH_RECEIVER = {
    **dict.fromkeys(("javascript", "lua", "php", "python", "tsx", "typescript"), _MEMBERS),
    "ruby": frozenset({"field"}),
}
"""Kinds of definitions that are always written behind a receiver, or with a sigil, by language."""


def _grammar(text: bytes, language: str, lines: Lines) -> Grammar | None:
    if language == "c" and _CPP_HEADER.search(text):
        language = "cpp"
    grammar = load(language)
    if grammar is None or len(text) > grammar.rules.max_parse_bytes or not is_parsable(text, language, lines):
        return None
    return grammar


def parse(text: bytes, grammar: Grammar) -> Node | None:
    """Return the root of the syntax tree, or None if parsing would take disproportionately long.

    The budget counts the parser's own steps (it reports every hundredth), not seconds, so that all machines nearly
    always give up on the same files: ordinary code needs one report per 50 to 300 bytes. But a step may become more
    expensive as parsing proceeds (error recovery in C, Haskell's layout), so there is also a limit of five seconds of
    CPU time. Only generated input reaches it; without it, the worker process would be killed.
    """
    budget = 2000 + len(text) // 40
    reads = given = reports = 0
    wall_start, cpu_start = time.monotonic(), time.thread_time()

    def read(offset: int, _point: Point) -> bytes:
        nonlocal reads, given
        reads += 1
        piece = (
            text[offset : offset + (_READ_BYTES if reads <= _FULL_READS else _LATER_READ_BYTES)]
            if given < _MAX_READ_BYTES
            else b""
        )
        given += len(piece)
        return piece

    def progress(_offset: int, _has_error: bool) -> bool:
        nonlocal reports
        reports += 1
        if reports % 16 or time.monotonic() - wall_start <= MAX_PARSE_SECONDS:  # reading a CPU clock can take 100 us
            return reports > budget or given >= _MAX_READ_BYTES
        return time.thread_time() - cpu_start > MAX_PARSE_SECONDS

    try:
        tree = Parser(grammar.language).parse(read, progress_callback=progress)
    except ValueError:  # cancelled
        return None
    return tree.root_node if given < _MAX_READ_BYTES else None


def _windowed(lines: Lines, limits: ChunkLimits) -> list[Span]:
    pieces = windows(lines, 0, lines.count, target=limits.target, limit=limits.limit)
    return [_span(start, end, "window", "", (), lines) for start, end in join_blank(pieces, lines)]


def _span(start: int, end: int, kind: str, symbol: str, symbols: tuple[Symbol, ...], lines: Lines) -> Span:
    return Span(lines.starts[start], lines.starts[end], start + 1, end, kind, symbol, symbols)


def _spans(groups: Sequence[Sequence[Atom]], found: Sequence[FoundDefinition], lines: Lines) -> list[Span]:
    """Return groups of atoms as chunks with the definitions that begin in them; blank ones are joined to others."""
    ranges = join_blank([(group[0].start, group[-1].end) for group in groups], lines)
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
    """Return the kind and the qualified name of a chunk that consists of the atoms ``members``.

    A chunk with the beginning of a definition that continues after it, or with a part of a function, is named after
    that definition. Otherwise a single complete definition names it; several give it their kind and their owner's name.
    """
    first = members[0]
    owner = members[-1].owner
    while owner is not None and owner.start > first.start and owner.parent is not None and first.whole:
        owner = owner.parent  # it begins in this chunk, but after a complete definition
    whole = [item for atom in members for item in atom.whole]
    if owner is not None and (owner.start >= first.start or not whole or owner.kind not in OPEN):
        return owner.kind, owner.qualified
    if len(whole) == 1:
        return whole[0].kind, whole[0].qualified
    if not whole:
        return "block", ""
    kinds = {item.kind for item in whole}
    kind = kinds.pop() if len(kinds) == 1 else max(whole, key=lambda item: item.end - item.start).kind
    return ("block" if kind == "key" else kind), (owner.qualified if owner is not None else "")
