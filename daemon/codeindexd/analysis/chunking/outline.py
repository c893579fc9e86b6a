"""Finds the definitions in a syntax tree by walking only nodes that can contain definitions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from msgspec import Struct
from tree_sitter import Node

from codeindexd.analysis.chunking.grammars import ERROR_KIND, Grammar
from codeindexd.analysis.chunking.lines import Lines
from codeindexd.analysis.chunking.rules import METHOD_OWNERS, NodeDefinition, Rules, kind_in

_CODE = frozenset({"function", "method", "macro", "test"})
_MADE_TYPES = frozenset({"class", "object"})
MAX_DEFINITIONS = 50_000  # in one file; beyond that it is data


class FoundDefinition(Struct, eq=False):
    """A definition in a file.

    Rows count from 0; ``end`` is the row after the last. ``parent`` is the enclosing definition as far as chunks are
    concerned, and qualifies the name in ``qualified``; ``container`` is the innermost definition around it, which may
    be a detail such as a namespace, and ``path`` is the name with the scope that is written with it. ``listed`` and
    ``is_detail`` are as in NodeDefinition. ``name_byte`` is the offset of the name.
    """

    start: int
    end: int
    kind: str
    name: str
    qualified: str
    parent: FoundDefinition | None
    listed: bool = True
    is_detail: bool = False
    container: FoundDefinition | None = None
    path: str = ""
    name_byte: int = 0
    node: Node | None = None


def find_definitions(root: Node, lines: Lines, grammar: Grammar) -> list[FoundDefinition]:
    """Return all definitions in document order, outer definitions before inner ones."""
    marks = _positions(lines.text, grammar.rules)
    own = 1 if grammar.rules.own_keyword else 0
    found: list[FoundDefinition] = []
    # Nodes to look into, with the parent and the container of the definitions in them, and whether these are details.
    stack: list[tuple[Node, FoundDefinition | None, FoundDefinition | None, bool]] = [(root, None, None, False)]
    while stack and len(found) < MAX_DEFINITIONS:
        node, owner, container, only_details = stack.pop()
        before: FoundDefinition | None = None  # the definition that the child before is
        rest: FoundDefinition | None = None  # the last one that extends to the end of the node, such as a package
        for child in node.named_children:
            kind = child.kind_id
            if before is not None and kind in grammar.trailing:
                before.end = lines.spanned(child.start_byte, child.end_byte)[1]
            before = None
            inner, inside = owner, container  # the parent and the container of what is in the child
            needed = 0  # keywords that the child has for itself
            namer, finder = grammar.namers.get(kind), grammar.finders.get(kind)
            if namer is not None and (definition := namer(child, lines.text)) is not None and definition.name:
                item = _found(child, lines, definition, owner, container)
                item.is_detail |= only_details
                found.append(item)
                before, needed = item, own if definition.has_keyword else 0
                if definition.scopes:
                    inside = item
                    inner = owner if only_details else item
            if finder is not None and not _is_code(container):
                for definition in finder(child, lines.text):
                    if not definition.name:
                        continue
                    is_next = rest is not None and definition.kind == rest.kind  # it does not stand in ``rest``
                    around = container if before is not None and not before.listed else inside
                    item = _found(child, lines, definition, owner, rest.container if rest and is_next else around)
                    found.append(item)
                    if definition.is_rest:
                        if rest is not None:
                            rest.end = max(item.start, rest.start + 1)  # both may be in one line
                        container = inside = rest = item
                        item.end = lines.spanned(node.start_byte, node.end_byte)[1]
                    elif definition.scopes:
                        inside = item
            if kind in grammar.descend or (marks and _contains_keyword(marks, child, needed)):
                stack.append((child, inner, inside, only_details))
            elif kind in grammar.descend_for_details and not _is_code(inside):
                stack.append((child, inner, inside, True))
    found = in_order(found)
    return _joined(found) if grammar.rules.clauses else found


def in_order(found: Sequence[FoundDefinition]) -> list[FoundDefinition]:
    """Return definitions in document order, outer definitions before inner ones."""
    return sorted(found, key=lambda item: (item.start, -item.end))


def _is_code(container: FoundDefinition | None) -> bool:
    """Return True if ``container`` is code, such as a function, whose variables are not definitions."""
    return container is not None and container.kind in _CODE


def _positions(text: bytes, rules: Rules) -> list[int]:
    """Return the sorted offsets of all keywords; ``find`` runs at memory speed, unlike one regex for all."""
    out: list[int] = []
    if rules.keyword_pattern is not None:
        out += [match.end() - 1 for match in rules.keyword_pattern.finditer(text)]
    for word in rules.keywords:
        at = text.find(word)
        while at >= 0:
            out.append(at)
            at = text.find(word, at + len(word))
    out.sort()
    return out


def _contains_keyword(marks: list[int], node: Node, own_keywords: int) -> bool:
    """Return True if the node contains more keywords than ``own_keywords``."""
    index = bisect_left(marks, node.start_byte) + own_keywords
    return index < len(marks) and marks[index] < node.end_byte


def _found(
    node: Node,
    lines: Lines,
    definition: NodeDefinition,
    owner: FoundDefinition | None,
    container: FoundDefinition | None,
) -> FoundDefinition:
    node = definition.own or node
    path = f"{definition.scope}.{definition.name}" if definition.scope else definition.name
    qualified = f"{owner.qualified}.{path}" if owner is not None else path
    start, end = lines.spanned(node.start_byte, node.end_byte)
    return FoundDefinition(
        start,
        end,
        _kind_of(definition, owner, container),
        definition.name,
        qualified,
        owner,
        definition.listed,
        definition.is_detail,
        container,
        path,
        _name_byte(definition, node, lines.text),
        node,
    )


def _kind_of(definition: NodeDefinition, owner: FoundDefinition | None, container: FoundDefinition | None) -> str:
    if definition.is_detail:
        is_member = container is not None and container.kind in METHOD_OWNERS
        return "field" if definition.kind == "variable" and is_member else definition.kind
    if owner is None and container is not None and container.is_detail and container.kind in _MADE_TYPES:
        owner = container  # ``Point = Struct.new do ... end``
    return kind_in(definition.kind, owner.kind if owner is not None else "")


def _name_byte(definition: NodeDefinition, node: Node, text: bytes) -> int:
    """Return the offset of the name: at the end of its own node, else the first occurrence in the definition."""
    name = definition.name.encode("utf-8", "surrogatepass")
    own = definition.name_node
    if own is None:
        return max(node.start_byte, text.find(name, node.start_byte, min(node.end_byte, node.start_byte + 1000)))
    start = own.start_byte
    end = own.end_byte
    if end - start == len(name):
        return start
    return max(start, text.rfind(name, start, end))


def _joined(found: list[FoundDefinition]) -> list[FoundDefinition]:
    """Join consecutive clauses of one function into one definition."""
    out: list[FoundDefinition] = []
    last: dict[int, FoundDefinition] = {}
    for item in found:
        previous = last.get(id(item.parent))
        if previous is not None and (previous.qualified, previous.kind) == (item.qualified, item.kind):
            previous.end = item.end
            continue
        last[id(item.parent)] = item
        out.append(item)
    return out


def is_unparsed(root: Node, found: list[FoundDefinition]) -> bool:
    """Return True if parsing failed: there are no definitions, and most of the bytes are in error nodes."""
    if found or not root.has_error:
        return False
    if root.kind_id == ERROR_KIND:
        return True
    broken = sum(child.end_byte - child.start_byte for child in root.children if child.kind_id == ERROR_KIND)
    return 2 * broken > root.end_byte - root.start_byte
