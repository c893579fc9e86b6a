"""Details of code in Python, JavaScript, TypeScript, PHP, Ruby, Lua and Bash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tree_sitter import Node

from codeindexd.analysis.chunking.details import (
    Details,
    above,
    detail,
    first_detail,
    named_details,
    scope_detail,
    stands_in,
)
from codeindexd.analysis.chunking.rules import NodeDefinition, child_of_type, source, types

# Python, JavaScript, TypeScript, PHP, Ruby, Lua, Bash


def _python_assignment(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield the names that a statement assigns to: constants in capitals, and variables."""
    assignment = node.named_children[0] if node.named_children else None
    while assignment is not None and assignment.type == "assignment":
        left = assignment.child_by_field_name("left")
        names = (
            [] if left is None else left.named_children if left.type in ("pattern_list", "tuple_pattern") else [left]
        )
        for name in names:
            if name.type == "identifier":
                yield detail("constant" if text[name.start_byte : name.end_byte].isupper() else "variable", name, text)
        assignment = assignment.child_by_field_name("right")


def _python_type(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    left = node.child_by_field_name("left")
    name = child_of_type(left, "identifier") if left is not None else None
    if name is not None:
        yield detail("type", name, text)


_PYTHON = Details(
    {"expression_statement": _python_assignment, "type_alias_statement": _python_type},
    types(
        "class_definition decorated_definition block if_statement else_clause elif_clause try_statement except_clause"
    )
    | types("finally_clause with_statement"),
)


def _js_variables(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield the variables of a module; a function or class as value is a definition of its own."""
    parent = node.parent
    if parent is not None and parent.type in ("export_statement", "ambient_declaration"):
        parent = parent.parent
    if parent is None or parent.type not in ("program", "statement_block"):
        return
    if parent.type == "statement_block" and not stands_in(parent, "internal_module", "module", "ambient_declaration"):
        return
    kind = "constant" if text.startswith(b"const", node.start_byte) else "variable"
    for declarator in node.named_children:
        name = declarator.child_by_field_name("name") if declarator.type == "variable_declarator" else None
        value = declarator.child_by_field_name("value") if name is not None else None
        if name is not None and name.type in _JS_PATTERNS:
            yield from (detail(kind, bound, text) for bound in _js_bound(name))
        elif name is not None and name.type == "identifier" and (value is None or value.type not in _JS_DEFINING):
            yield detail(kind, name, text)


def _js_bound(pattern: Node) -> Iterator[Node]:
    """Yield the names that a pattern binds, such as ``a`` and ``c`` of ``{a, b: [c]}``, in their order."""
    stack = [pattern]
    while stack:
        node = stack.pop()
        if node.type in ("identifier", "shorthand_property_identifier_pattern"):
            yield node
        elif node.type in ("object_assignment_pattern", "assignment_pattern"):
            stack += [left for left in [node.child_by_field_name("left")] if left is not None]
        elif node.type == "pair_pattern":
            stack += [value for value in [node.child_by_field_name("value")] if value is not None]
        elif node.type in _JS_PATTERNS:
            stack += reversed(node.named_children)


_JS_PATTERNS: Final = types("object_pattern array_pattern rest_pattern")
_JS_DEFINING: Final = types("arrow_function function_expression generator_function class function")


def _js_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("property" if node.type == "field_definition" else "name")
    value = node.child_by_field_name("value")
    if name is not None and name.type != "computed_property_name" and (value is None or value.type not in _JS_DEFINING):
        yield detail("field", name, text)


def _ts_enum(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    for child in node.named_children:
        name = child.child_by_field_name("name") if child.type == "enum_assignment" else child
        if name is not None and name.type in ("property_identifier", "string"):
            yield detail("enum_member", name, text)._replace(own=child)


_JS = {
    "lexical_declaration": _js_variables,
    "variable_declaration": _js_variables,
    "field_definition": _js_field,
}
_JAVASCRIPT = Details(_JS, types("export_statement class_declaration class_body"))
_TYPESCRIPT = Details(
    {
        **_JS,
        "public_field_definition": _js_field,
        "property_signature": named_details("property"),
        "enum_body": _ts_enum,
    },
    types("export_statement class_declaration class_body enum_declaration interface_declaration interface_body")
    | types(
        "abstract_class_declaration ambient_declaration internal_module module statement_block expression_statement"
    )
    | types("type_alias_declaration object_type"),
)


def _php_constants(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    for element in node.named_children:
        if element.type == "const_element":
            yield from first_detail("constant", "name")(element, text)


def _php_properties(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    for element in node.named_children:
        variable = element.child_by_field_name("name") if element.type == "property_element" else None
        name = child_of_type(variable, "name") if variable is not None else None
        if name is not None:
            yield detail("property", name, text)


def _php_define(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    call = node.named_children[0] if node.named_children else None
    if call is None or call.type != "function_call_expression" or not text.startswith(b"define(", call.start_byte):
        return
    arguments = call.child_by_field_name("arguments")
    first = arguments.named_children[0] if arguments is not None and arguments.named_children else None
    name = child_of_type(first, "string", "encapsed_string") if first is not None else None
    if name is not None:
        yield detail("constant", name, text)


_PHP = Details(
    {
        "namespace_definition": scope_detail("namespace", separator="\\", rest=True),
        "const_declaration": _php_constants,
        "property_declaration": _php_properties,
        "enum_case": named_details("enum_member"),
        "expression_statement": _php_define,
    },
    types("class_declaration interface_declaration trait_declaration enum_declaration declaration_list")
    | types("enum_declaration_list namespace_definition compound_statement"),
)


def _ruby_assignment(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    left = node.child_by_field_name("left")
    for name in [] if left is None else left.named_children if left.type == "left_assignment_list" else [left]:
        if name.type == "constant" and (kind := _ruby_new_type(node.child_by_field_name("right"), text)):
            yield detail(kind, name, text)._replace(scopes=True)
        elif name.type == "constant":
            yield detail("constant", name, text)


def _ruby_new_type(value: Node | None, text: bytes) -> str:
    """Return the kind of the type that a value creates, such as ``Struct.new(:x)``; "" if it creates none."""
    if value is None or value.type != "call":
        return ""
    receiver, method = value.child_by_field_name("receiver"), value.child_by_field_name("method")
    if receiver is None or method is None:
        return ""
    return _RUBY_NEW_TYPES.get(f"{source(receiver, text)}.{source(method, text)}", "")


_RUBY_NEW_TYPES: Final = {
    "Class.new": "class", "Data.define": "class", "Module.new": "module", "Struct.new": "class",
}  # fmt: skip


def _ruby_call(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    method, arguments = node.child_by_field_name("method"), node.child_by_field_name("arguments")
    kind = _RUBY_CALLS.get(source(method, text)) if method is not None and arguments is not None else None
    if kind is None or arguments is None:
        return
    symbols = [child for child in arguments.named_children if child.type in ("simple_symbol", "string")]
    for symbol in symbols if kind == "property" else symbols[:1]:
        yield detail(kind, symbol, text)


_RUBY_CALLS: Final = {
    "attr_accessor": "property", "attr_reader": "property", "attr_writer": "property", "alias_method": "method",
    "define_method": "method", "def_delegator": "method", "def_delegators": "property", "delegate": "property",
}  # fmt: skip
_RUBY = Details(
    {"assignment": _ruby_assignment, "call": _ruby_call, "alias": named_details("method")},
    types("class module body_statement singleton_class"),
)


def _lua_variables(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if not (stands_in(node, "chunk") or (stands_in(node, "variable_declaration") and stands_in(above(node), "chunk"))):
        return
    names, values = child_of_type(node, "variable_list"), child_of_type(node, "expression_list")
    if names is None:
        return
    for number, name in enumerate(names.named_children):
        value = values.named_children[number] if values is not None and number < values.named_child_count else None
        if value is not None and value.type == "function_definition":
            continue
        if name.type == "identifier":
            yield detail("variable", name, text)
        elif name.type == "dot_index_expression" and (own := name.child_by_field_name("field")) is not None:
            yield detail("field", own, text)._replace(scope=source(name, text).rpartition(".")[0])


_LUA = Details({"assignment_statement": _lua_variables}, types("variable_declaration"))


def _bash_variable(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("name")
    if name is None or name.type != "variable_name":
        return
    if stands_in(node, "program"):
        yield detail("variable", name, text)
    elif stands_in(node, "declaration_command") and stands_in(above(node), "program"):
        is_constant = text.startswith((b"readonly", b"declare -r"), above(node).start_byte)
        yield detail("constant" if is_constant else "variable", name, text)


def _bash_alias(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if not text.startswith(b"alias ", node.start_byte):
        return
    for argument in node.children_by_field_name("argument"):
        written = source(argument, text)
        if "=" in written:
            yield NodeDefinition("alias", written.partition("=")[0], name_node=argument, scopes=False, is_detail=True)


_BASH = Details({"variable_assignment": _bash_variable, "command": _bash_alias}, types("declaration_command"))


SCRIPTING_DETAILS: Final[Mapping[str, Details]] = {
    "bash": _BASH,
    "javascript": _JAVASCRIPT,
    "lua": _LUA,
    "php": _PHP,
    "python": _PYTHON,
    "ruby": _RUBY,
    "tsx": _TYPESCRIPT,
    "typescript": _TYPESCRIPT,
}
