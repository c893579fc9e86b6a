"""Describes the definitions found in a file: the place of each name, its signature, documentation and visibility."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec.structs import replace
from tree_sitter import Node

from codeindexd.analysis.chunking.access_labels import AccessLabels
from codeindexd.analysis.chunking.documentation import documentation
from codeindexd.analysis.chunking.lines import Lines
from codeindexd.analysis.chunking.outline import FoundDefinition
from codeindexd.analysis.chunking.samples import Sample
from codeindexd.analysis.chunking.visibility import visibility
from codeindexd.types import Definition

MAX_SIGNATURE: Final = 200  # characters
_UNLISTED: Final = frozenset({("impl", ""), ("object", "kotlin")})  # kinds that are definitions all the same
_CONSTRUCTORS: Final = {
    "javascript": "constructor", "kotlin": "constructor", "php": "__construct", "python": "__init__",
    "ruby": "initialize", "scala": "this", "swift": "init", "tsx": "constructor", "typescript": "constructor",
}  # fmt: skip
_NAMED_AS_TYPE: Final = frozenset({"cpp", "csharp", "java"})  # languages whose constructors have the name of their type
_READ: Final = 1_000  # bytes of a definition, which suffice for its signature
_BODIES: Final = ("_body", "block", "declaration_list", "compound_statement")
_MAY_HAVE_COMMENT: Final = re.compile(rb"#|//|/\*|--|\(\*|\{-")
_STATEMENTS: Final = frozenset({"constant", "variable"})
"""Kinds that define nothing for others at the top of a sample: ``app = App()``."""

_TRAILING: Final = b" \t\r\n{:=;,"
_ANNOTATION_STARTS: Final = (b"@", b"[", b"#", b" ", b"\n", b"\t", b"\r")
_ANNOTATION: Final = re.compile(
    rb"\s*(?:@(?!interface\b)(?:\w+:)?[\w.]+(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?|#?\[\[?[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]\]?)\s+"
)


def describe(found: Sequence[FoundDefinition], lines: Lines, language: str) -> tuple[Definition, ...]:
    """Return the definitions of a file in the order of their first lines, an outer one before those inside it.

    ``found`` are in document order. Unlisted ones, such as the rules of a style sheet, are left out.
    """
    listed = [
        definition
        for definition in found
        if definition.listed or (definition.kind, "") in _UNLISTED or (definition.kind, language) in _UNLISTED
    ]
    numbers = {id(definition): number for number, definition in enumerate(listed)}
    out: list[Definition] = []
    labels = AccessLabels(lines.text, language)
    for definition in listed:
        container, scope = _container(definition, numbers, len(out))
        above = out[container].qualified if container >= 0 else ""
        qualified = ".".join(filter(None, (above, *scope, definition.path))) if above or scope else definition.path
        row = bisect_right(lines.starts, definition.name_byte) - 1
        out.append(
            Definition(
                definition.name,
                qualified if definition.kind != "section" else definition.qualified,
                _exact_kind(definition, language),
                row + 1,
                definition.name_byte - lines.starts[row] + 1,
                definition.start + 1,
                definition.end,
                signature(definition, lines.text),
                documentation(definition, lines, language),
                visibility(definition, lines.text, language, labels),
                container,
            )
        )
    return tuple(out)


def _exact_kind(definition: FoundDefinition, language: str) -> str:
    """Return the kind of a definition, which for constructors and unions is more exact than that of its symbol."""
    if definition.kind in ("method", "function"):
        if definition.node is not None and definition.node.type == "destructor_declaration":
            return "method"  # of C#, named as the type
        is_constructor = definition.kind == "method" and definition.name == _CONSTRUCTORS.get(language)
        if language in _NAMED_AS_TYPE:
            owner = definition.path.rpartition(".")[0].rpartition(".")[2] or (
                definition.container.name if definition.container else ""
            )
            is_constructor = definition.name == owner
        return "constructor" if is_constructor else definition.kind
    if definition.node is None:
        return definition.kind
    if definition.kind == "struct" and definition.node.type.startswith("union"):
        return "union"
    if (
        definition.kind == "class"
        and definition.node.type == "record_declaration"
        and _has_child(definition.node, "struct")
    ):
        return "struct"
    return definition.kind


def _has_child(node: Node, kind: str) -> bool:
    return any(child.type == kind for child in node.children)


def _container(definition: FoundDefinition, numbers: dict[int, int], own: int) -> tuple[int, list[str]]:
    """Return the number of the innermost listed definition around ``one``, and the unlisted scopes in between.

    The number is less than ``own``, that of ``one``; -1 stands for none.
    """
    scope: list[str] = []
    around = definition.container
    while around is not None:
        number = numbers.get(id(around), -1)
        if 0 <= number < own:
            return number, scope
        scope.insert(0, around.path)
        around = around.container
    return -1, scope


def signature(definition: FoundDefinition, text: bytes) -> str:
    """Return the head of a definition on one line, without annotations and body, at most ``MAX_SIGNATURE`` long."""
    node = definition.node
    if node is None:
        start = text.rfind(b"\n", 0, definition.name_byte) + 1
        line = text[start : min(start + _READ, text.find(b"\n", start) % (len(text) + 1))]
        return definition.name if definition.kind == "section" else _on_one_line(line)
    start, end = node.start_byte, min(node.end_byte, node.start_byte + _READ)
    body = _body(node)
    end = min(end, body.start_byte) if body is not None else end
    head = text[start:end]
    if _MAY_HAVE_COMMENT.search(head):
        head = _without_comments(node, text, start, end)
    before = definition.name_byte - start  # ``@name = 1`` of Ruby is no annotation
    while head.startswith(_ANNOTATION_STARTS) and (match := _ANNOTATION.match(head)) is not None:
        if match.start() <= before < match.end():
            break
        head, before = head[match.end() :], before - match.end()
    if (definition.is_detail or body is None) and b"\n" in head and not _is_open(first := head.partition(b"\n")[0]):
        head = first
    return _on_one_line(head)


def _without_comments(node: Node, text: bytes, start: int, end: int) -> bytes:
    """Return the bytes from ``start`` to ``end``, in ``node``, without comments."""
    kept: list[bytes] = []
    last = start
    stack = [node]
    while stack:
        child = stack.pop()
        if child.start_byte >= end:
            continue
        if "comment" in child.type:
            kept.append(text[last : child.start_byte])
            last = min(child.end_byte, end)
        else:
            stack.extend(reversed(child.children))
    return b" ".join([*kept, text[last:end]])


def _on_one_line(head: bytes) -> str:
    return " ".join(head.rstrip(_TRAILING).decode("utf-8", "replace").split())[:MAX_SIGNATURE]


def _body(node: Node) -> Node | None:
    """Return the node of a definition's body, None if it has none."""
    body = node.child_by_field_name("body")
    if body is None and node.named_child_count:  # asking for the last child of a leaf raises ValueError
        last = node.named_children[-1]
        return last if last.type.endswith(_BODIES) else None
    return body


def _is_open(line: bytes) -> bool:
    """Return True if a line has a bracket that is closed on a later one."""
    return any(line.count(opening) > line.count(closing) for opening, closing in ((b"(", b")"), (b"[", b"]")))


def moved(definitions: Sequence[Definition], lines: int, count: int) -> Iterator[Definition]:
    """Yield ``definitions`` ``lines`` further down, for a list in which ``count`` others come before them."""
    for definition in definitions:
        yield replace(
            definition,
            line=definition.line + lines,
            start_line=definition.start_line + lines,
            end_line=definition.end_line + lines,
            container=definition.container + count if definition.container >= 0 else -1,
        )


def with_samples(
    sections: Sequence[Definition], samples: Iterable[tuple[Sample, Sequence[Definition]]]
) -> tuple[Definition, ...]:
    """Return the definitions of a document with those of its samples, in the order of their lines.

    The innermost section around a sample contains what the sample defines, but does not qualify its names. Variables
    of a sample, and what they contain, are left out.
    """
    out: list[Definition] = []
    places: list[int] = []  # of the sections in ``out``
    open_: list[int] = []  # places of the sections around the present line

    def add_sections(line: int) -> None:
        while len(places) < len(sections) and sections[len(places)].start_line <= line:
            section = sections[len(places)]
            places.append(len(out))
            open_.append(len(out))
            out.append(replace(section, container=places[section.container] if section.container >= 0 else -1))
        while open_ and out[open_[-1]].end_line < line:
            open_.pop()

    for sample, definitions in samples:
        numbers: dict[int, int] = {}
        for number, definition in enumerate(definitions):
            if definition.container not in numbers and (definition.container >= 0 or definition.kind in _STATEMENTS):
                continue
            (definition,) = moved([definition], sample.row, 0)
            add_sections(definition.start_line)
            around = open_[-1] if open_ else -1
            numbers[number] = len(out)
            out.append(
                replace(
                    definition,
                    column=definition.column + sample.removed,
                    container=numbers[definition.container] if definition.container >= 0 else around,
                )
            )
    add_sections(sys.maxsize)
    return tuple(out)
