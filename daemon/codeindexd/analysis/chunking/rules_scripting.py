"""Rules for Python, JavaScript, TypeScript, Ruby, Lua, Bash, PHP, Elixir and Julia."""

from __future__ import annotations

import re

from tree_sitter import Node

from codeindexd.analysis.chunking.rules import Namer, NodeDefinition, Rules, child_of_type, dotted, named, source, types

_JS_VALUES = dict.fromkeys(("arrow_function", "function_expression", "function", "generator_function"), "function")
_JS_VALUES |= {"class": "class", "object": "object"}
_JS_WRAPPERS = types("as_expression satisfies_expression parenthesized_expression")
_ELIXIR_KINDS = {
    "def": "function",
    "defp": "function",
    "defdelegate": "function",
    "defguard": "function",
    "defguardp": "function",
    "defmacro": "macro",
    "defmacrop": "macro",
    "defmodule": "module",
    "defprotocol": "interface",
    "defimpl": "impl",
    "test": "test",
    "describe": "section",
}


def _js_member(node: Node, text: bytes) -> str:
    """Return the dotted path of an assignment's left side, without a leading ``exports``."""
    path = source(node, text)
    if any(mark in path for mark in "[]() \"'`?"):
        return ""
    for prefix in ("module.exports.", "exports.", "this.", "window.", "self.", "globalThis."):
        path = path.removeprefix(prefix)
    if path == "module.exports":
        return ""
    return path.replace(".prototype.", ".").removesuffix(".prototype")


def _js_value_kind(value: Node | None, text: bytes = b"") -> str:
    """Return the kind of definition that a value is; "object" for a literal, which is only the scope of its functions.

    A type may follow the value, as in ``{ f() {} } as const``, and a literal may be frozen.
    """
    while value is not None and value.type in _JS_WRAPPERS and value.named_children:
        value = value.named_children[0]
    if value is None:
        return ""
    if value.type == "call_expression":
        function, arguments = value.child_by_field_name("function"), value.child_by_field_name("arguments")
        is_frozen = function is not None and arguments is not None and source(function, text) == "Object.freeze"
        return "object" if is_frozen and arguments is not None and child_of_type(arguments, "object") else ""
    return _JS_VALUES.get(value.type, "")


def _js_assigned(left: str, right: str) -> Namer:
    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        kind = _js_value_kind(node.child_by_field_name(right), text)
        target = node.child_by_field_name(left) if kind else None
        if target is None:
            return None
        path = _js_member(target, text).strip("#")
        if kind == "object" and _is_prototype(target, text):
            return _js_prototype(target, text)
        return dotted(kind, path, target)._replace(listed=kind != "object") if path else None

    return namer


def _is_prototype(node: Node | None, text: bytes) -> bool:
    return node is not None and node.type == "member_expression" and text.endswith(b".prototype", 0, node.end_byte)


def _js_prototype(node: Node, text: bytes) -> NodeDefinition | None:
    """Return an unlisted definition of the type whose prototype a node is, as the scope of its methods."""
    path = _js_member(node, text)
    return dotted("class", path, node)._replace(listed=False) if path else None


def _js_object(node: Node, text: bytes) -> NodeDefinition | None:
    """Return the object or type to which an object literal is added: ``Object.assign(A.prototype, { f() {} })``."""
    arguments = node.parent
    call = arguments.parent if arguments is not None and arguments.type == "arguments" else None
    function = call.child_by_field_name("function") if call is not None else None
    if arguments is None or call is None or function is None:
        return None
    if source(function, text).rpartition(".")[2] not in _JS_ADDING:
        return None
    result = call.parent.child_by_field_name("left") if call.parent is not None else None
    target = result if _is_prototype(result, text) else arguments.named_children[0]
    if target is None or target.type not in ("identifier", "member_expression"):
        return None
    if _is_prototype(target, text):
        return _js_prototype(target, text)
    path = _js_member(target, text)
    return dotted("object", path, target)._replace(listed=False) if path != "exports" else None


_JS_ADDING = frozenset({"assign", "assignIn", "defaults", "extend", "merge", "mixin"})


def _js_pair(node: Node, text: bytes) -> NodeDefinition | None:
    kind = _js_value_kind(node.child_by_field_name("value"), text)
    key = node.child_by_field_name("key") if kind else None
    if key is None or key.type not in ("property_identifier", "string"):
        return None
    kind = "method" if kind == "function" else kind
    return NodeDefinition(kind, source(key, text).strip("\"'"), name_node=key, listed=kind != "object")


def _js_method(node: Node, text: bytes) -> NodeDefinition | None:
    name = node.child_by_field_name("name")
    if name is None or name.type == "computed_property_name":
        return None
    return NodeDefinition("method", source(name, text).strip("#\"'"), name_node=name)


def _js_expression(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a function for one with a name, unless what it is assigned to has it, too: ``a.b = function b() {}``."""
    own = named("function")(node, text)
    above = node.parent
    namer = _JS_NAMING.get(above.type) if above is not None else None
    if own is None or above is None or namer is None or above.named_children[-1] != node:
        return own
    outer = namer(above, text)
    return own if outer is None or outer.name != own.name else None


_JS_NAMING = {
    "assignment_expression": _js_assigned("left", "right"),
    "field_definition": _js_assigned("property", "value"),
    "pair": _js_pair,
    "public_field_definition": _js_assigned("name", "value"),
    "variable_declarator": _js_assigned("name", "value"),
}
_JS_DEFINITIONS = {
    "function_declaration": named("function"),
    "generator_function_declaration": named("function"),
    "function_expression": _js_expression,
    "class_declaration": named("class"),
    "class": named("class"),
    "method_definition": _js_method,
    "variable_declarator": _js_assigned("name", "value"),
    "assignment_expression": _js_assigned("left", "right"),
    "pair": _js_pair,
    "object": _js_object,
}
_JS_METHOD = re.compile(  # possessive and bounded, so that it takes linear time
    rb"[{,]\s*+(?:(?:async|get|set)\s++|\*\s*+)?+(?!(?:if|for|while|switch|catch|with|function)\b)[\w$]++\s*+"
    rb"\((?:[^()]|\([^()]{0,200}+\)){0,400}+\)\s*+(?::[^{};]{0,200}+)?\{"
)
"""A method of an object literal, up to its body: ``{ f() {``. No keyword shows that it is there."""


def _ts_module(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a module, whose name may be a string: ``declare module "a" { ... }``."""
    name = node.child_by_field_name("name")
    return NodeDefinition("module", source(name, text).strip("\"'"), name_node=name) if name is not None else None


_TS_DEFINITIONS = _JS_DEFINITIONS | {
    "abstract_class_declaration": named("class"),
    "interface_declaration": named("interface"),
    "type_alias_declaration": named("type"),
    "enum_declaration": named("enum"),
    "internal_module": _ts_module,
    "module": _ts_module,
    "function_signature": named("function"),
    "method_signature": _js_method,
    "abstract_method_signature": _js_method,
    "public_field_definition": _js_assigned("name", "value"),
}

PYTHON = Rules(
    definitions={"function_definition": named("function"), "class_definition": named("class")},
    keywords=(b"def ", b"class ", b"def\\", b"def\t", b"class\t"),
    own_keyword=True,
)
JAVASCRIPT = Rules(
    definitions=_JS_DEFINITIONS | {"field_definition": _js_assigned("property", "value")},
    keywords=(b"function", b"=>", b"class"),
    keyword_pattern=_JS_METHOD,
    descend=types("class_body"),
    attach=types("comment decorator"),
)
TYPESCRIPT = Rules(
    definitions=_TS_DEFINITIONS,
    keywords=(b"function", b"=>", b"class", b"interface", b"namespace", b"module", b"enum", b"type"),
    keyword_pattern=_JS_METHOD,
    descend=types("class_body interface_body"),
    attach=types("comment decorator"),
)


def _ruby_name(kind: str) -> Namer:
    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        name = node.child_by_field_name("name")
        return dotted(kind, source(name, text).replace("::", "."), name) if name is not None else None

    return namer


def _ruby_method(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a method for one in a class or module, a function for one at the top of a file."""
    name = node.child_by_field_name("name")
    body = node.parent
    owner = body.parent if body is not None and body.type == "body_statement" else None
    inside = owner is not None and owner.type in ("class", "module", "singleton_class")
    return (
        NodeDefinition("method" if inside else "function", source(name, text), name_node=name)
        if name is not None
        else None
    )


RUBY = Rules(
    definitions={
        "class": _ruby_name("class"),
        "module": _ruby_name("module"),
        "method": _ruby_method,
        "singleton_method": _ruby_method,
    },
    keywords=(b"def ", b"class ", b"module "),
    own_keyword=True,
)


def _lua_function(node: Node, text: bytes) -> NodeDefinition | None:
    name = node.child_by_field_name("name")
    if name is None:
        return None
    path = source(name, text).replace(":", ".")
    return dotted("method" if name.type == "method_index_expression" else "function", path, name)


def _lua_assignment(node: Node, text: bytes) -> NodeDefinition | None:
    names, values = child_of_type(node, "variable_list"), child_of_type(node, "expression_list")
    if names is None or values is None or not names.named_children or not values.named_children:
        return None
    target, value = names.named_children[0], values.named_children[0]
    if value.type != "function_definition" or target.type == "bracket_index_expression":
        return None
    return dotted("function", source(target, text).replace(":", "."), target)


def _lua_key(node: Node, text: bytes) -> Node | None:
    """Return the name of a field of a table, as in ``f = 1`` and ``["f"] = 1``; None if it is computed or a number."""
    name = node.child_by_field_name("name")
    if name is None or name.type == "string":
        return name
    return name if name.type == "identifier" and not text.startswith(b"[", node.start_byte) else None


def _lua_field(node: Node, text: bytes) -> NodeDefinition | None:
    name, value = _lua_key(node, text), node.child_by_field_name("value")
    if name is None or value is None or value.type != "function_definition":
        return None
    return NodeDefinition("function", source(name, text).strip("\"'"), name_node=name)


def _lua_table(node: Node, text: bytes) -> NodeDefinition | None:
    """Return an unlisted definition for a table that has a name, as the scope of its functions."""
    above = node.parent
    if above is None:
        return None
    if above.type == "field":
        name = _lua_key(above, text)
        path = source(name, text).strip("\"'") if name is not None else ""
    else:
        statement = above.parent if above.type == "expression_list" else None
        names = child_of_type(statement, "variable_list") if statement is not None else None
        number = above.named_children.index(node) if names is not None else 0
        name = names.named_children[number] if names is not None and number < names.named_child_count else None
        path = source(name, text) if name is not None and name.type in ("identifier", "dot_index_expression") else ""
    if name is None or not path:
        return None
    return dotted("module", path, name)._replace(listed=False, has_keyword=False)


LUA = Rules(
    definitions={
        "function_declaration": _lua_function,
        "assignment_statement": _lua_assignment,
        "field": _lua_field,
        "table_constructor": _lua_table,
    },
    keywords=(b"function",),
    own_keyword=True,
)
BASH = Rules(definitions={"function_definition": named("function")}, keywords=(b"()", b"function ", b"( )"))
PHP = Rules(
    definitions={
        "class_declaration": named("class"),
        "interface_declaration": named("interface"),
        "trait_declaration": named("trait"),
        "enum_declaration": named("enum"),
        "function_definition": named("function"),
        "method_declaration": named("method"),
    },
    keywords=(b"function ", b"class ", b"interface ", b"trait ", b"enum ", b"FUNCTION ", b"function\t"),
    attach=types("comment attribute_list"),
    own_keyword=True,
)


def _elixir_call(node: Node, text: bytes) -> NodeDefinition | None:
    target = node.child_by_field_name("target")
    kind = _ELIXIR_KINDS.get(source(target, text)) if target is not None and target.type == "identifier" else None
    arguments = child_of_type(node, "arguments") if kind else None
    if kind is None or arguments is None or not arguments.named_children:
        return None
    head = arguments.named_children[0]
    if kind in ("test", "section"):
        if head.type != "string":
            return None
        return NodeDefinition(kind, source(head, text).strip('"'), listed=False, name_node=head)
    for _ in range(4):  # ``def f(x) when g(x)``: left of the guard, then the call's target
        operator = head.child_by_field_name("operator") if head.type in ("binary_operator", "unary_operator") else None
        if operator is not None and source(operator, text) != "when":
            head = operator
            break
        inner = head.child_by_field_name("left" if head.type == "binary_operator" else "target")
        if inner is None or head.type not in ("binary_operator", "call"):
            break
        head = inner
    name = source(head, text)
    if name == "unquote":  # the name is computed
        return None
    if kind in ("module", "interface", "impl"):
        return dotted(kind, name, head)._replace(listed=kind != "impl")
    return NodeDefinition(kind, name, name_node=head)


ELIXIR = Rules(
    definitions={"call": _elixir_call},
    keywords=(b"def", b"test ", b"describe "),
    attach=types("comment"),
    attach_prefix=b"@",
    clauses=True,
)


def _julia_head(node: Node | None) -> Node | None:
    """Return the name in a signature: below ``where``, a return type, a call, type parameters and ``<:``."""
    for _ in range(8):
        if node is None or node.type in ("identifier", "operator", "field_expression", "scoped_identifier"):
            return node
        node = node.named_children[0] if node.named_children else None
    return None


def _julia(kind: str) -> Namer:
    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        name = _julia_head(child_of_type(node, "signature", "type_head"))
        return dotted(kind, source(name, text), name) if name is not None else None

    return namer


def _julia_short(node: Node, text: bytes) -> NodeDefinition | None:
    left = node.named_children[0] if node.named_children else None
    if left is None or left.type not in ("call_expression", "where_expression", "typed_expression"):
        return None
    name = _julia_head(left)
    return dotted("function", source(name, text), name) if name is not None else None


JULIA = Rules(
    definitions={
        "module_definition": named("module"),
        "function_definition": _julia("function"),
        "macro_definition": _julia("macro"),
        "struct_definition": _julia("struct"),
        "abstract_definition": _julia("type"),
        "primitive_definition": _julia("type"),
        "assignment": _julia_short,
    },
    keywords=(b"function", b"macro", b"struct", b"module", b"abstract type", b"primitive type"),
    descend=types("module_definition"),
    attach=types("line_comment block_comment string_literal"),
)
