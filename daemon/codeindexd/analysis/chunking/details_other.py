"""Details of code in Haskell, OCaml, Elixir, Julia and SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tree_sitter import Node

from codeindexd.analysis.chunking.details import (
    Details,
    Finder,
    detail,
    first_detail,
    named_details,
    scope_detail,
    stands_in,
)
from codeindexd.analysis.chunking.rules import NodeDefinition, child_of_type, source, types


def _haskell_detail(kind: str, name: Node, text: bytes) -> NodeDefinition:
    """Return the detail of ``kind`` with a name that may end in ``'``, or be an operator in brackets."""
    inner = name.named_children[0] if name.type == "prefix_id" and name.named_children else name
    return detail(kind, inner, text)._replace(name=source(inner, text))


def _haskell_constructor(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    inner = node.child_by_field_name("constructor") or node
    name = inner.child_by_field_name("name") or inner.child_by_field_name("operator")
    if name is not None:
        yield _haskell_detail("constructor", name, text)


def _haskell_names(kind: str, parent: str) -> Finder:
    """Return a finder of each name of a list with one type: ``A, B :: T``."""

    def finder(node: Node, text: bytes) -> Iterator[NodeDefinition]:
        names = node.child_by_field_name("names")
        if names is not None and stands_in(node, parent):
            yield from (_haskell_detail(kind, name, text) for name in names.named_children)

    return finder


def _haskell_gadt(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    yield from _haskell_constructor(node, text)
    yield from _haskell_names("constructor", "gadt_constructors")(node, text)


def _haskell_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    for name in node.children_by_field_name("name"):
        if name.type == "field_name":
            yield _haskell_detail("field", name, text)


_HASKELL = Details(
    {
        "header": scope_detail("module", "module", rest=True),
        "data_constructor": _haskell_constructor,
        "newtype_constructor": _haskell_constructor,
        "gadt_constructor": _haskell_gadt,
        "signature": _haskell_names("method", "class_declarations"),
        "field": _haskell_field,
    },
    types("data_type newtype data_constructors data_constructor newtype_constructor record prefix fields field")
    | types("gadt_constructors gadt_constructor"),
)


def _ocaml_exception(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    declared = child_of_type(node, "constructor_declaration")
    name = child_of_type(declared, "constructor_name") if declared is not None else None
    if name is not None:
        yield detail("exception", name, text)


_OCAML = Details(
    {
        "constructor_declaration": first_detail("constructor", "constructor_name"),
        "exception_definition": _ocaml_exception,
        "field_declaration": first_detail("field", "field_name"),
    },
    types("type_binding variant_declaration record_declaration"),
)


def _elixir_attribute(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield types, callbacks and constants, which are written as attributes of a module."""
    call = node.child_by_field_name("operand")
    target = call.child_by_field_name("target") if call is not None and call.type == "call" else None
    arguments = child_of_type(call, "arguments") if call is not None and target is not None else None
    if target is None or arguments is None or not text.startswith(b"@", node.start_byte):
        return
    word = source(target, text)
    if word in ("type", "typep", "opaque", "callback", "macrocallback"):
        head: Node | None = arguments.named_children[0] if arguments.named_children else None
        while head is not None and head.type in ("binary_operator", "call"):
            head = head.child_by_field_name("left" if head.type == "binary_operator" else "target")
        if head is not None and head.type == "identifier":
            yield detail("type" if "callback" not in word else "function", head, text)
    elif word not in _ELIXIR_DIRECTIVES:
        yield detail("constant", target, text)


_ELIXIR_DIRECTIVES: Final = types(
    "doc moduledoc typedoc spec impl behaviour derive deprecated since compile dialyzer external_resource tag"
    " describetag moduletag before_compile after_compile on_load on_definition vsn enforce_keys optional_callbacks"
)


def _elixir_fields(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield the fields of ``defstruct [:name, age: 0]`` and ``defexception [:message]``."""
    if not text.startswith((b"defstruct", b"defexception"), node.start_byte):
        return
    arguments = child_of_type(node, "arguments")
    stack = list(arguments.named_children) if arguments is not None else []
    while stack:
        one = stack.pop(0)
        if one.type in ("list", "keywords"):
            stack += one.named_children
        elif one.type == "atom":
            yield detail("field", one, text)._replace(own=one)
        elif one.type == "pair" and (key := one.child_by_field_name("key")) is not None:
            yield NodeDefinition("field", source(key, text).rstrip(": "), scopes=False, is_detail=True, own=one)


_ELIXIR = Details({"unary_operator": _elixir_attribute, "call": _elixir_fields}, types("do_block"))


def _julia_constant(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    assignment = child_of_type(node, "assignment")
    name = assignment.named_children[0] if assignment is not None else None
    if name is not None and name.type == "identifier":
        yield detail("constant", name, text)


def _julia_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    for child in node.named_children:
        name = child.named_children[0] if child.type == "typed_expression" and child.named_children else child
        if name.type == "identifier":
            yield detail("field", name, text)._replace(own=child)


_JULIA = Details({"const_statement": _julia_constant, "struct_definition": _julia_field}, types("struct_definition"))


_SQL = Details({"column_definition": named_details("field")}, types("create_table column_definitions"))


OTHER_DETAILS: Final[Mapping[str, Details]] = {
    "elixir": _ELIXIR,
    "haskell": _HASKELL,
    "julia": _JULIA,
    "ocaml": _OCAML,
    "ocaml_interface": _OCAML,
    "sql": _SQL,
}
