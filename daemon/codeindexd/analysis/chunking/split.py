"""Splits a syntax tree into atoms that are small enough, and packs atoms into chunks that are large enough."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from msgspec import Struct
from tree_sitter import Node

from codeindexd.analysis.chunking.grammars import Grammar
from codeindexd.analysis.chunking.lines import Lines, windows
from codeindexd.analysis.chunking.outline import FoundDefinition
from codeindexd.analysis.chunking.rules import CONTAINERS


class ChunkLimits(Struct):
    """The target size of a chunk, and the size up to which a definition stays in one chunk, in bytes."""

    target: int
    limit: int

    @property
    def tiny(self) -> int:
        """The size below which a piece (a class line, a closing brace) is not a chunk, in bytes."""
        return self.target // 8


class Unit(Struct):
    """Neighbouring nodes that share rows, with the comments before them.

    ``start`` is the first row, ``last`` the row after the nodes' last row, and ``end`` the row after the unit, which
    includes blank rows after the nodes.
    """

    start: int
    last: int
    end: int
    nodes: list[Node]


class Atom(Struct):
    """Rows that are not cut further; ``start``, ``last`` and ``end`` are as in :class:`Unit`.

    ``whole`` are the outermost definitions that are completely inside; ``owner`` is the definition of which the atom is
    a part.
    """

    start: int
    last: int
    end: int
    owner: FoundDefinition | None = None
    whole: tuple[FoundDefinition, ...] = ()


def atoms(
    root: Node, lines: Lines, grammar: Grammar, limits: ChunkLimits, found: Sequence[FoundDefinition] = ()
) -> list[Atom]:
    """Cut the rows of a file into atoms of at most ``limits.limit`` bytes (single rows may be longer).

    Cuts along the syntax tree if possible. ``found`` are the definitions in the file.
    """
    starts = [item.start for item in found]
    out: list[Atom] = []
    stack: list[Iterator[Unit]] = [iter(_units([root], 0, lines.count, lines, grammar))]
    while stack:
        unit = next(stack[-1], None)
        if unit is None:
            stack.pop()
        elif lines.size(unit.start, unit.end) <= limits.limit:
            out.append(Atom(unit.start, unit.last, unit.end))
        else:
            table = _is_table(unit) and bisect_right(starts, unit.start) == bisect_left(starts, unit.end)
            inner = [] if table else _units(unit.nodes, unit.start, unit.end, lines, grammar)
            if inner:
                stack.append(iter(inner))
            else:
                pieces = windows(lines, unit.start, unit.end, target=limits.target, limit=limits.limit)
                out += [Atom(start, end, end) for start, end in pieces]
    return out


def _is_table(unit: Unit) -> bool:
    """Return True if a unit is a long list of short values, for which cutting at lines is as good as at nodes."""
    node = unit.nodes[-1]
    count = node.child_count
    return count > 200 and node.end_byte - node.start_byte < 40 * count


def _children(nodes: Sequence[Node], grammar: Grammar) -> list[Node]:
    """Return the named children of all ``nodes``, with transparent ones replaced by their children.

    Other tokens are left out: the row of a bracket belongs to the unit before it, as blank rows do.
    """
    if not grammar.transparent:
        return [child for node in nodes for child in node.named_children]
    out: list[Node] = []
    stack = [child for node in reversed(nodes) for child in reversed(node.named_children)]
    while stack:
        node = stack.pop()
        if node.kind_id in grammar.transparent and node.child_count:
            stack.extend(reversed(node.named_children))
        else:
            out.append(node)
    return out


def _units(nodes: Sequence[Node], start: int, end: int, lines: Lines, grammar: Grammar) -> list[Unit]:
    """Return the children of ``nodes`` as units that together cover the rows from ``start`` to ``end``."""
    out: list[Unit] = []
    pending: Unit | None = None
    starts, text = lines.starts, lines.text
    attach, prefix = grammar.attach, grammar.rules.attach_prefix
    covered = -1  # bytes before it are in rows of the last unit or of pending comments
    for child in _children(nodes, grammar):
        start_byte, end_byte = child.start_byte, child.end_byte
        attaches = child.kind_id in attach or (prefix and text.startswith(prefix, start_byte))
        if end_byte <= covered:
            (pending or out[-1]).nodes.append(child)
            if pending is not None and not attaches:
                out.append(pending)
                pending = None
            continue
        first, last = lines.spanned(start_byte, end_byte)
        first, last = max(first, start), min(last, end)
        if first >= last or start_byte == end_byte:
            continue
        covered = starts[last]
        if pending is not None:
            pending.last = max(pending.last, last)
            pending.nodes.append(child)
            if not attaches:
                out.append(pending)
                pending = None
        elif out and first < out[-1].last:
            out[-1].last = last
            out[-1].nodes.append(child)
        elif attaches:
            pending = Unit(first, last, last, [child])
        else:
            out.append(Unit(first, last, last, [child]))
    if pending is not None:
        out.append(pending)
    return _tile(out, start, end)


def _tile(units: list[Unit], start: int, end: int) -> list[Unit]:
    """Extend each unit by the rows (mostly blank ones) before the next; return ``units``."""
    if not units:
        return units
    units[0].start = start
    for before, after in itertools.pairwise(units):
        before.end = after.start
        before.last = min(before.last, before.end)
    units[-1].end = end
    return units


def assign(pieces: list[Atom], found: Sequence[FoundDefinition]) -> None:
    """Set ``whole`` and ``owner`` of each atom, given the definitions ``found`` in document order."""
    index = 0
    open_: list[FoundDefinition] = []
    for atom in pieces:
        whole: list[FoundDefinition] = []
        while index < len(found) and found[index].start < atom.end:
            item = found[index]
            index += 1
            if item.start >= atom.start and item.end <= atom.last:
                if not whole or item.start >= whole[-1].end or item.end > whole[-1].end:
                    whole.append(item)
            else:
                open_.append(item)
        open_ = [item for item in open_ if item.end >= atom.last]
        atom.owner = open_[-1] if open_ else None
        atom.whole = tuple(whole)


def pack(pieces: Sequence[Atom], lines: Lines, limits: ChunkLimits) -> list[list[Atom]]:
    """Group neighbouring atoms that belong together into chunks of up to about the target size."""
    groups: list[list[Atom]] = []
    size = 0
    for atom in pieces:
        own = lines.size(atom.start, atom.end)
        if groups and size + own <= limits.limit and _belongs_in(groups[-1], size, atom, own, limits):
            groups[-1].append(atom)
            size += own
        else:
            groups.append([atom])
            size = own
    return _join_tiny(groups, lines, limits)


def _belongs_in(group: Sequence[Atom], size: int, atom: Atom, own: int, limits: ChunkLimits) -> bool:
    last = group[-1]
    if size < limits.tiny:
        return True
    if own < limits.tiny and not atom.whole and (atom.owner is None or atom.owner.start < atom.start):
        return _is_inside(last.owner, atom.owner)
    if size + own > limits.target or last.owner is not atom.owner:
        return False
    if bool(last.whole) != bool(atom.whole):
        return _is_code(atom.owner)
    return not atom.whole or max(size, own) < limits.target // 2 or _is_code(atom.owner)


def _is_inside(inner: FoundDefinition | None, outer: FoundDefinition | None) -> bool:
    while inner is not None and inner is not outer:
        inner = inner.parent
    return inner is outer


def _is_code(owner: FoundDefinition | None) -> bool:
    """Return True if ``owner`` is code such as a function, in which nested definitions are just statements."""
    return owner is not None and owner.kind not in CONTAINERS and owner.kind != "section"


def _join_tiny(groups: list[list[Atom]], lines: Lines, limits: ChunkLimits) -> list[list[Atom]]:
    """Join a tiny last piece of a definition to the piece before it."""
    out: list[list[Atom]] = []
    for group in groups:
        size = lines.size(group[0].start, group[-1].end)
        if out and size < limits.target // 4 and not group[-1].whole:
            before = out[-1]
            total = size + lines.size(before[0].start, before[-1].end)
            if total <= limits.limit and before[-1].owner is group[0].owner and not before[-1].whole:
                before.extend(group)
                continue
        out.append(group)
    return out
