"""Details of code in Python, JavaScript, TypeScript, PHP, Ruby, Lua and Bash."""

from __future__ import annotations

import re
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
        right = assignment.child_by_field_name("right")
        if left is not None and left.type == "identifier":
            yield from _python_variable(left, right, text)
        elif left is not None:
            yield from (_python_detail(name, text) for name in _python_bound(left))
        assignment = right


def _python_bound(pattern: Node) -> Iterator[Node]:
    """Yield the names that a pattern binds, such as ``a``, ``b`` and ``c`` of ``a, (b, *c)``."""
    stack = [pattern]
    while stack:
        node = stack.pop()
        if node.type == "identifier":
            yield node
        elif node.type in _PYTHON_PATTERNS:
            stack += reversed(node.named_children)


_PYTHON_PATTERNS: Final = types("pattern_list tuple_pattern list_pattern list_splat_pattern")


def _python_detail(name: Node, text: bytes) -> NodeDefinition:
    return detail("constant" if text[name.start_byte : name.end_byte].isupper() else "variable", name, text)


def _python_variable(name: Node, value: Node | None, text: bytes) -> Iterator[NodeDefinition]:
    """Yield a variable, a constant, a member of an enum, or the type that the value makes, with its fields."""
    function = value.child_by_field_name("function") if value is not None and value.type == "call" else None
    word = source(function, text).rpartition(".")[2] if function is not None else ""
    kind = _PYTHON_TYPES.get(word, "")
    if not kind or value is None:
        is_member = _is_in_enum(name, text)
        yield detail("enum_member", name, text) if is_member else _python_detail(name, text)
        return
    yield detail(kind, name, text)._replace(scopes=True)
    arguments = value.child_by_field_name("arguments")
    if kind == "class" and arguments is not None and arguments.named_child_count > 1:
        yield from _python_fields(arguments.named_children[1], text)


def _python_fields(fields: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield the fields of ``namedtuple("P", "x y")``, ``NamedTuple("P", [("x", int)])`` and the like."""
    names = [fields] if fields.type == "string" else fields.named_children
    for one in names:
        first = one.named_children[0] if one.type in ("tuple", "pair") and one.named_children else one
        content = child_of_type(first, "string_content") if first.type == "string" else None
        for match in _FIELD.finditer(text, content.start_byte, content.end_byte) if content is not None else ():
            yield NodeDefinition("field", match[0].decode(), own=content, scopes=False, is_detail=True)


_FIELD: Final = re.compile(rb"[A-Za-z_]\w*")
_PYTHON_TYPES: Final = {
    "NamedTuple": "class", "NewType": "type", "ParamSpec": "type", "TypeVar": "type", "TypeVarTuple": "type",
    "TypedDict": "class", "namedtuple": "class",
}  # fmt: skip


def _is_in_enum(name: Node, text: bytes) -> bool:
    """Return True for a name in the body of a class whose base is ``Enum`` or ``Flag``, or has such a name."""
    node: Node | None = name.parent
    for kind in ("expression_statement", "block", "class_definition"):
        node = node.parent if node is not None else None
        if node is None or node.type != kind:
            return False
    bases = node.child_by_field_name("superclasses") if node is not None else None
    if bases is None or text.startswith(b"_", name.start_byte):
        return False
    return any(source(one, text).endswith(("Enum", "Flag")) for one in bases.named_children)


def _python_type(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    left = node.child_by_field_name("left")
    left = (child_of_type(left, "generic_type") or left) if left is not None else None
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
        if value is not None and _is_require(value, text):
            continue
        if name is not None and name.type in _JS_PATTERNS:
            yield from (detail(kind, bound, text) for bound in _js_bound(name))
        elif name is not None and name.type == "identifier" and (value is None or value.type not in _JS_DEFINING):
            yield detail(kind, name, text)


def _is_require(value: Node, text: bytes) -> bool:
    """Return True for an import: ``require("a")``, or a member of it."""
    while value.type == "member_expression" and (inner := value.child_by_field_name("object")) is not None:
        value = inner
    function = value.child_by_field_name("function") if value.type == "call_expression" else None
    return function is not None and text[function.start_byte : function.end_byte] == b"require"


def _js_exported(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield what a module exports or an object gets by an assignment outside functions: ``exports.a = 1``."""
    if not stands_in(node, "program"):
        return
    assignment = node.named_children[0] if node.named_children else None
    while assignment is not None and assignment.type == "assignment_expression":
        left, value = assignment.child_by_field_name("left"), assignment.child_by_field_name("right")
        name = left.child_by_field_name("property") if left is not None and left.type == "member_expression" else None
        if left is not None and name is not None and value is not None and value.type not in _JS_NOT_VALUES:
            owner = left.child_by_field_name("object")
            path = source(owner, text) if owner is not None else ""
            is_same = text[value.start_byte : value.end_byte] == text[name.start_byte : name.end_byte]
            if path in ("exports", "module.exports") and not is_same and not _is_require(value, text):
                yield detail("variable", name, text)
            elif owner is not None and owner.type == "identifier" and text[name.start_byte : name.end_byte].isupper():
                yield detail("constant", name, text)._replace(scope=path)
        assignment = value


_JS_NOT_VALUES: Final = types(
    "arrow_function function_expression generator_function class function object assignment_expression"
)


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
    "expression_statement": _js_exported,
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
        value = node.child_by_field_name("right")
        if name.type == "constant" and (kind := _ruby_new_type(value, text)):
            yield detail(kind, name, text)._replace(scopes=True)
            yield from _ruby_struct_fields(value, text)
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


def _ruby_struct_fields(value: Node | None, text: bytes) -> Iterator[NodeDefinition]:
    """Yield the fields of ``Struct.new(:x, :y)`` and ``Data.define(:x)``."""
    arguments = value.child_by_field_name("arguments") if value is not None else None
    for symbol in arguments.named_children if arguments is not None else ():
        if symbol.type == "simple_symbol":
            yield detail("property", symbol, text)._replace(own=symbol)


_RUBY_NEW_TYPES: Final = {
    "Class.new": "class", "Data.define": "class", "Module.new": "module", "Struct.new": "class",
}  # fmt: skip


def _ruby_call(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    method, arguments = node.child_by_field_name("method"), node.child_by_field_name("arguments")
    kind = _RUBY_CALLS.get(source(method, text)) if method is not None and arguments is not None else None
    if kind is None or arguments is None:
        return
    symbols = [
        child
        for child in arguments.named_children
        if child.type == "simple_symbol" or (child.type == "string" and child_of_type(child, "interpolation") is None)
    ]
    if method is not None and text.startswith(b"def_delegator", method.start_byte):
        is_list = method.end_byte - method.start_byte == len(b"def_delegators")
        symbols = symbols[1:] if is_list else symbols[-1:]  # the first is what they are delegated to
    for symbol in symbols if kind == "property" else symbols[:1]:
        yield detail(kind, symbol, text)


_RUBY_CALLS: Final = {
    "attr_accessor": "property", "attr_reader": "property", "attr_writer": "property", "alias_method": "method",
    "define_method": "method", "def_delegator": "method", "def_delegators": "property", "delegate": "property",
    "alias_attribute": "method", "attribute": "property", "belongs_to": "property", "cattr_accessor": "property",
    "class_attribute": "property", "has_and_belongs_to_many": "property", "has_many": "property",
    "has_one": "property", "mattr_accessor": "property", "scope": "method",
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
            if number and name.type == "identifier":  # the first is known as a function with a node of its own
                yield detail("function", name, text)
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
