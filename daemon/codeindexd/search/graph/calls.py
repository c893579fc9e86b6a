"""Trees of calls: who calls a definition, directly or through others, and what it calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct, field

from codeindexd.search.graph.code_file import CodeFile
from codeindexd.search.graph.graph import CodeGraph, is_call
from codeindexd.search.graph.sources import ShownLine
from codeindexd.search.graph.targets import Confidence, Target
from codeindexd.types import ReferenceKind

MOST_NODES: Final = 500  # of a tree
_MOST_LINES: Final = 5  # that are shown of one edge


class CallNode(Struct):
    """A definition in a tree of calls, or the code of ``file`` outside all definitions (``target`` is None).

    ``lines`` are the first lines of the edge to the node above, ``calls`` counts all, and ``confidence`` is that of the
    surest. ``more`` is the number of nodes below that were left out; ``is_repeated`` if the node is elsewhere in the
    tree, with what is below it.
    """

    file: CodeFile
    target: Target | None
    confidence: Confidence
    lines: list[ShownLine] = field(default_factory=list)
    calls: int = 0
    below: list[CallNode] = field(default_factory=list)
    more: int = 0
    is_repeated: bool = False


class CallTree(Struct):
    """A tree of calls. ``total`` is the number of nodes directly below the definitions that were asked for."""

    nodes: list[CallNode]
    total: int
    unresolved: list[str] = field(default_factory=list)


_Key = tuple[int, int]
_Edges = Callable[[Sequence[Target]], list[CallNode]]


def callers_of(graph: CodeGraph, targets: Sequence[Target], *, depth: int, limit: int) -> CallTree:
    """Return the definitions that call any of ``targets``, ``depth`` levels of them, at most ``limit`` at each node."""
    return _tree(targets, lambda found: _callers(graph, found), depth=depth, limit=limit)


def callees_of(graph: CodeGraph, targets: Sequence[Target], *, depth: int, limit: int) -> CallTree:
    """Return what ``targets`` call, ``depth`` levels of it; ``unresolved`` are names that the root does not define."""
    unresolved: dict[str, None] = {}
    tree = _tree(targets, lambda found: _callees(graph, found, {}), depth=depth, limit=limit)
    _callees(graph, targets, unresolved)
    tree.unresolved = list(unresolved)
    return tree


def _tree(targets: Sequence[Target], edges: _Edges, *, depth: int, limit: int) -> CallTree:
    top = edges(targets)
    seen: set[_Key] = {target.key for target in targets}
    level = top[:limit]
    count = len(level)
    for _ in range(depth - 1):
        below: list[CallNode] = []
        for node in level:
            if node.target is None:
                continue
            if node.target.key in seen:
                node.is_repeated = True
                continue
            seen.add(node.target.key)
            found = edges([node.target])
            room = max(0, min(limit, MOST_NODES - count))
            node.below, node.more = found[:room], max(0, len(found) - room)
            count += len(node.below)
            below += node.below
        level = below
    return CallTree(top[:limit], len(top))


def _callers(graph: CodeGraph, targets: Sequence[Target]) -> list[CallNode]:
    nodes: dict[_Key, CallNode] = {}
    for use in graph.uses_of(targets):
        if not is_call(use):
            continue
        key = use.file.file.file_id, use.within
        node = nodes.setdefault(key, CallNode(use.file, use.user, use.confidence))
        _add_line(graph, node, use.file, use.reference.line, use.reference.name, use.confidence)
    return _ranked([node for node in nodes.values() if node.lines])


def _callees(graph: CodeGraph, targets: Sequence[Target], unresolved: dict[str, None]) -> list[CallNode]:
    nodes: dict[_Key, CallNode] = {}
    for target in targets:
        one = target.definition
        for reference in target.file.references.on_lines(one.start_line, one.end_line):
            if reference.kind is not ReferenceKind.CALL:
                continue
            resolved = [one for one in graph.resolve(target.file, reference) if one[1] > Confidence.POSSIBLE]
            if not resolved and not reference.name.endswith("="):
                unresolved.setdefault(_written(reference.qualifier, reference.name))
            for found, confidence in resolved:
                node = nodes.setdefault(found.key, CallNode(found.file, found, confidence))
                _add_line(graph, node, target.file, reference.line, reference.name, confidence)
    return _ranked([node for node in nodes.values() if node.lines])


def _written(qualifier: str, name: str) -> str:
    return f"{qualifier}.{name}" if qualifier and qualifier != "." else name


def _add_line(graph: CodeGraph, node: CallNode, file: CodeFile, number: int, name: str, confidence: Confidence) -> None:
    node.confidence = max(node.confidence, confidence)
    node.calls += 1
    if len(node.lines) < _MOST_LINES:
        line = graph.sources.line(file.file, number, name)
        if line is not None and line not in node.lines:
            node.lines.append(line)


def _ranked(nodes: list[CallNode]) -> list[CallNode]:
    """Return nodes, the surest first, in the order of paths and lines."""
    return sorted(nodes, key=lambda node: (-node.confidence, node.file.path, node.lines[0].number))
