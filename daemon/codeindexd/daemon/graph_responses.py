"""Builds the JSON results of the methods about the code graph."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from codeindexd.analysis.chunking.notation import native_name
from codeindexd.protocol.places import path_to_json
from codeindexd.search.graph.calls import CallNode
from codeindexd.search.graph.code_file import CodeFile
from codeindexd.search.graph.impact import Reached
from codeindexd.search.graph.queries import (
    CallsAnswer,
    GraphAnswer,
    ImpactAnswer,
    MapAnswer,
    OutlineAnswer,
    RefsAnswer,
    ShownDefinition,
    ShownUse,
)
from codeindexd.search.graph.sources import ShownLine
from codeindexd.search.graph.targets import Target
from codeindexd.search.searchable_root import SearchableRoot

_MOST_TARGETS = 100

Entry = dict[str, Any]


def refs(asked: str, found: RefsAnswer) -> Entry:
    """Return the result of ``refs``."""
    return {
        **_head(asked, found),
        "references": [_use(use) for use in found.uses],
        "total": found.total,
        "files": found.files,
        "possible": found.possible,
        **_tail(found, found.total - len(found.uses)),
    }


def callers(asked: str, found: CallsAnswer) -> Entry:
    """Return the result of ``callers``."""
    return _calls(asked, found, "callers")


def callees(asked: str, found: CallsAnswer) -> Entry:
    """Return the result of ``callees``; ``unresolved`` are the called names that the root does not define."""
    names = [name for _, tree in found.trees for name in tree.unresolved]
    return {**_calls(asked, found, "callees"), "unresolved": list(dict.fromkeys(names))}


def impact(asked: str, found: ImpactAnswer) -> Entry:
    """Return the result of ``impact``."""
    reached = [(root, reach) for root, result, _ in found.impacts for reach in result.reached]
    stopped = [result.stopped for _, result, _ in found.impacts if result.stopped]
    return {
        **_head(asked, found),
        "changed": [
            _definition(root, target) for root, result, _ in found.impacts for target in result.changed[:_MOST_TARGETS]
        ],
        "affected": [_reached(root, reach) for root, reach in reached],
        "importers": [_file(root, file) for root, _, files in found.impacts for file in files],
        "tests": [
            {**path_to_json(root.spec.raw, key="root"), **path_to_json(path)}
            for root, result, _ in found.impacts
            for path in result.tests
        ],
        "total": len(reached),
        **_tail(found, 0),
        "truncated": bool(stopped),
        **({"stopped": stopped[0]} if stopped else {}),
    }


def outline(found: OutlineAnswer) -> Entry:
    """Return the result of ``outline``: definitions with those inside them as ``children``."""
    assert found.file is not None
    assert found.root is not None
    children: defaultdict[int, list[Entry]] = defaultdict(list)
    for number in range(len(found.file.definitions) - 1, -1, -1):
        definition = found.file.definitions[number]
        entry = _described(found.file, number)
        if below := children.pop(number, None):
            entry["children"] = below
        children[definition.container].insert(0, entry)
    return {
        **path_to_json(found.root.spec.raw, key="root"),
        **path_to_json(found.file.path),
        "language": found.file.file.language,
        "definitions": children[-1],
        "total": len(found.file.definitions),
        "partial": found.is_partial,
        **_tail(found, 0),
    }


def code_map(found: MapAnswer, path: bytes) -> Entry:
    """Return the result of ``map``."""
    assert found.map is not None
    assert found.root is not None
    return {
        **path_to_json(found.root.spec.raw, key="root"),
        **path_to_json(path),
        "text": found.map.text,
        "files": [
            {
                **path_to_json(mapped.file.path),
                "language": mapped.file.file.language,
                "score": round(mapped.score, 6),
                "definitions": [_described(mapped.file, number) for number in mapped.numbers],
            }
            for mapped in found.map.files
        ],
        "definitions": found.map.definitions,
        "total": found.map.all_definitions,
        **_tail(found, found.map.all_definitions - found.map.definitions),
    }


def _head(asked: str, found: GraphAnswer) -> Entry:
    return {
        "name": asked,
        "targets": [_shown_definition(definition) for definition in found.targets[:_MOST_TARGETS]],
        **({"similar": found.similar} if found.similar else {}),
        **({"samples": len(found.samples)} if found.samples else {}),
    }


def _tail(found: GraphAnswer, more: int) -> Entry:
    return {
        "truncated": more > 0,
        "took_ms": round(found.took_ms, 2),
        "clock": found.clock,
        "state": found.state.value,
        **({"notes": found.notes} if found.notes else {}),
    }


def _described(file: CodeFile, number: int) -> Entry:
    definition = file.definitions[number]
    return {
        "line": definition.line,
        "column": definition.column,
        "start_line": definition.start_line,
        "end_line": definition.end_line,
        "kind": definition.kind,
        "name": definition.name,
        "symbol": native_name(file.definitions, number, file.language),
        "signature": definition.signature,
        **({"doc": definition.doc} if definition.doc else {}),
        **({"visibility": str(definition.visibility)} if definition.visibility else {}),
    }


def _file(root: SearchableRoot, file: CodeFile) -> Entry:
    return {**path_to_json(root.spec.raw, key="root"), **path_to_json(file.path), "language": file.file.language}


def _definition(root: SearchableRoot, target: Target) -> Entry:
    return {**_file(root, target.file), **_described(target.file, target.number)}


def _shown_definition(shown: ShownDefinition) -> Entry:
    moved = shown.line.number - shown.target.definition.line
    entry = _definition(shown.root, shown.target)
    entry |= {key: entry[key] + moved for key in ("start_line", "end_line")}
    return entry | {"line": shown.line.number, "column": shown.line.column}


def _user(target: Target | None) -> Entry:
    """Return the fields of the definition that contains a reference; empty ones for code outside definitions."""
    if target is None:
        return {"symbol": "", "kind": "file"}
    definition = target.definition
    return {
        "symbol": _symbol(target),
        "kind": definition.kind,
        "symbol_line": definition.line,
        "signature": definition.signature,
    }


def _symbol(target: Target) -> str:
    return native_name(target.file.definitions, target.number, target.file.language)


def _use(shown: ShownUse) -> Entry:
    use = shown.use
    return {
        **_file(shown.root, use.file),
        "line": shown.line.number,
        "column": shown.line.column,
        "text": shown.line.text,
        "reference": use.reference.kind.name.lower(),
        "confidence": use.confidence.label,
        **_user(use.user),
    }


def _line(line: ShownLine) -> Entry:
    return {"line": line.number, "column": line.column, "text": line.text}


def _calls(asked: str, found: CallsAnswer, below: str) -> Entry:
    nodes = [_node(root, node, below) for root, tree in found.trees for node in tree.nodes]
    total = sum(tree.total for _, tree in found.trees)
    return {**_head(asked, found), below: nodes, "total": total, **_tail(found, total - len(nodes))}


def _node(root: SearchableRoot, node: CallNode, below: str) -> Entry:
    return {
        **_file(root, node.file),
        **_user(node.target),
        "confidence": node.confidence.label,
        "calls": [_line(line) for line in node.lines],
        "call_count": node.calls,
        **({below: [_node(root, child, below) for child in node.below]} if node.below else {}),
        **({"more": node.more} if node.more else {}),
        **({"repeated": True} if node.is_repeated else {}),
    }


def _reached(root: SearchableRoot, reached: Reached) -> Entry:
    return {
        **_file(root, reached.file),
        **_user(reached.target),
        "line": reached.line,
        "distance": reached.distance,
        "confidence": reached.confidence.label,
        "reason": reached.reason.value,
        "via": _symbol(reached.via),
    }
