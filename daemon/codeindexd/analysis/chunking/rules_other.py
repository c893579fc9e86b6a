"""Rules for Haskell and OCaml, and for data and prose: SQL, HCL, JSON, YAML, TOML, Markdown, HTML, CSS."""

from __future__ import annotations

from tree_sitter import Node

from codeindexd.analysis.chunking.rules import Namer, NodeDefinition, Rules, child_of_type, dotted, named, source, types


def _haskell_instance(node: Node, text: bytes) -> NodeDefinition | None:
    name = node.child_by_field_name("name")
    if name is None:
        return None
    patterns = node.child_by_field_name("patterns")
    if patterns is None:
        return NodeDefinition("impl", source(name, text), listed=False, name_node=name)
    types_of = " ".join(source(_haskell_head(one), text) for one in patterns.named_children)
    return NodeDefinition("impl", types_of, source(name, text), listed=False, name_node=patterns)


def _haskell_head(node: Node) -> Node:
    """Return the constructor of an applied type: ``Map`` of ``(Map k v)``."""
    inner: Node | None = node
    while inner is not None and inner.type in ("parens", "apply"):
        node, inner = inner, inner.child_by_field_name("type") or inner.child_by_field_name("constructor")
    return inner or node


def _haskell_name(node: Node) -> Node | None:
    """Return the node of a name: of a function or an operator, also between its operands."""
    name = node.child_by_field_name("name")
    if name is None and (infix := child_of_type(node, "infix")) is not None:
        name = infix.child_by_field_name("operator")
    if name is not None and name.type in ("prefix_id", "infix_id") and name.named_children:
        return name.named_children[0]
    return name


def _haskell(kind: str) -> Namer:
    """Return a namer for definitions of ``kind`` that may have an operator for a name."""

    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        name = _haskell_name(node)
        return NodeDefinition(kind, source(name, text), name_node=name) if name is not None else None

    return namer


def _haskell_signature(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a method for a type signature in a class; None elsewhere, since there equations define the function."""
    parent = node.parent
    if parent is None or parent.type != "class_declarations" or node.child_by_field_name("names") is not None:
        return None  # those of a list are details
    return _haskell("method")(node, text)


def _haskell_bind(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a function for a definition without parameters; None for a variable inside a function."""
    parent = node.parent
    return None if parent is not None and parent.type == "local_binds" else _haskell("function")(node, text)


def _haskell_foreign(node: Node, text: bytes) -> NodeDefinition | None:
    signature = node.child_by_field_name("signature")
    return _haskell("function")(signature, text) if signature is not None else None


def _haskell_pattern(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a pattern synonym; its signature alone defines nothing."""
    equation = child_of_type(node, "equation")
    name = equation.child_by_field_name("synonym") if equation is not None else None
    while name is not None and name.type == "apply":
        name = name.child_by_field_name("function")
    if name is not None and name.type == "infix":
        name = name.child_by_field_name("operator")
    return NodeDefinition("constructor", source(name, text), name_node=name) if name is not None else None


HASKELL = Rules(
    definitions={
        "function": _haskell("function"),
        "bind": _haskell_bind,
        "signature": _haskell_signature,
        "foreign_import": _haskell_foreign,
        "pattern_synonym": _haskell_pattern,
        "data_type": _haskell("type"),
        "newtype": _haskell("type"),
        "type_synonym": _haskell("type"),
        "type_family": _haskell("type"),
        "data_family": _haskell("type"),
        "class": _haskell("class"),
        "instance": _haskell_instance,
    },
    descend=types("declarations class instance class_declarations instance_declarations function bind local_binds"),
    attach=types("comment haddock pragma signature"),
    transparent=types("imports declarations"),
    clauses=True,
)


def _ocaml_let(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a function for a ``let`` with parameters or a ``fun``, and a constant for other values."""
    pattern = node.child_by_field_name("pattern")
    if pattern is None or pattern.type not in ("value_name", "parenthesized_operator"):
        return None
    if pattern.type == "parenthesized_operator" and pattern.named_children:
        pattern = pattern.named_children[0]
    body = node.child_by_field_name("body")
    takes = child_of_type(node, "parameter") is not None
    takes = takes or (body is not None and body.type in ("fun_expression", "function_expression"))
    return NodeDefinition("function" if takes else "constant", source(pattern, text), name_node=pattern)


def _ocaml_child(kind: str, child_type: str) -> Namer:
    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        child = child_of_type(node, child_type)
        return NodeDefinition(kind, source(child, text), name_node=child) if child is not None else None

    return namer


OCAML = Rules(
    definitions={
        "let_binding": _ocaml_let,
        "module_binding": _ocaml_child("module", "module_name"),
        "module_type_definition": _ocaml_child("interface", "module_type_name"),
        "class_binding": _ocaml_child("class", "class_name"),
        "class_type_binding": _ocaml_child("class", "class_type_name"),
        "method_definition": _ocaml_child("method", "method_name"),
        "type_binding": named("type"),
        "exception_definition": _ocaml_child("type", "constructor_name"),
        "value_specification": _ocaml_child("function", "value_name"),
        "external": _ocaml_child("function", "value_name"),
    },
    descend=types(
        "value_definition module_definition module_binding structure signature functor module_type_definition"
        " class_definition class_binding object_expression type_definition class_type_definition"
    ),
)

_SQL_KINDS = {
    "create_table": "table",
    "create_view": "view",
    "create_materialized_view": "view",
    "create_function": "function",
    "create_procedure": "function",
    "create_trigger": "trigger",
    "create_type": "type",
    "create_schema": "schema",
    "create_sequence": "sequence",
    "create_database": "schema",
    "create_index": "index",
}


def _sql(kind: str) -> Namer:
    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        name = node.child_by_field_name("column") if kind == "index" else None
        name = name or child_of_type(node, "object_reference", "identifier")
        if name is None:
            return None
        return dotted(kind, source(name, text).translate({ord(quote): None for quote in '"`[]'}), name)

    return namer


SQL = Rules(
    definitions={kind: _sql(value) for kind, value in _SQL_KINDS.items()},
    descend=types("statement transaction block"),
    attach=types("comment marginalia"),
    max_parse_bytes=400_000,
)


def _hcl_block(node: Node, text: bytes) -> NodeDefinition | None:
    parts, last = [], node
    for child in node.named_children:
        if child.type not in ("identifier", "string_lit"):
            break
        parts.append(source(child, text).strip('"'))
        last = child
    kinds = {"resource": "resource", "data": "data", "module": "module", "variable": "variable", "output": "output"}
    return (
        NodeDefinition(kinds.get(parts[0], "block"), parts[-1], ".".join(parts[:-1]), name_node=last) if parts else None
    )


HCL = Rules(definitions={"block": _hcl_block}, descend=types("body"), transparent=types("body"))


def _json_key(node: Node, text: bytes) -> NodeDefinition | None:
    key = node.child_by_field_name("key")
    return NodeDefinition("key", source(key, text).strip("\"'"), name_node=key) if key is not None else None


JSON = Rules(
    definitions={"pair": _json_key}, descend=types("object document"), transparent=types(""), max_parse_bytes=400_000
)
YAML = Rules(
    definitions={"block_mapping_pair": _json_key},
    descend=types("document block_node block_mapping"),
    transparent=types("document"),
    max_parse_bytes=400_000,
)


def _toml_table(node: Node, text: bytes) -> NodeDefinition | None:
    key = child_of_type(node, "bare_key", "dotted_key", "quoted_key")
    return dotted("table", source(key, text).replace('"', ""), key) if key is not None else None


def _toml_pair(node: Node, text: bytes) -> NodeDefinition | None:
    parent = node.parent
    if parent is None or parent.type != "document":
        return None
    key = child_of_type(node, "bare_key", "dotted_key", "quoted_key")
    return dotted("key", source(key, text).replace('"', ""), key) if key is not None else None


TOML = Rules(definitions={"table": _toml_table, "table_array_element": _toml_table, "pair": _toml_pair})


MARKDOWN = Rules(attach=types("html_block"), max_parse_bytes=400_000)
HTML = Rules(max_parse_bytes=400_000)


def _css_rule(node: Node, text: bytes) -> NodeDefinition | None:
    selectors = child_of_type(node, "selectors", "keyframes_name")
    return (
        NodeDefinition("rule", source(selectors, text), listed=False, name_node=selectors)
        if selectors is not None
        else None
    )


CSS = Rules(
    definitions={"rule_set": _css_rule, "keyframes_statement": _css_rule},
    descend=types("media_statement supports_statement block at_rule"),
    max_parse_bytes=400_000,
)
