"""Finds the definitions that are details of code: constants, variables, fields, members of enums, namespaces.

They are known by name and place, but neither decide how a file is cut nor are they symbols of a chunk. Variables inside
functions are not definitions; the walker leaves out what a function contains, and the finders here check where a
declaration stands if a nameless function may be around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tree_sitter import Node

from codeindexd.analysis.chunking.rules import NodeDefinition, child_of_type, source, types
from codeindexd.analysis.chunking.rules_compiled import declared

Finder = Callable[[Node, bytes], Iterable[NodeDefinition]]


@dataclass(frozen=True, slots=True)
class Details:
    """The rules for the details of one language: a finder by node type, and the node types to enter for them."""

    finders: Mapping[str, Finder] = field(default_factory=dict)
    descend: frozenset[str] = frozenset()


def detail(kind: str, node: Node, text: bytes) -> NodeDefinition:
    return NodeDefinition(kind, source(node, text).strip("\"'`:#"), name_node=node, scopes=False, is_detail=True)


def named_details(kind: str, field_name: str = "name") -> Finder:
    """Return a finder of one definition for every child in a field of the node."""

    def finder(node: Node, text: bytes) -> Iterator[NodeDefinition]:
        for name in node.children_by_field_name(field_name):
            if name.is_named:  # commas have the field too
                yield detail(kind, name, text)

    return finder


def first_detail(kind: str, *child_types: str) -> Finder:
    """Return a finder of one definition for the first child of these types."""

    def finder(node: Node, text: bytes) -> Iterator[NodeDefinition]:
        name = child_of_type(node, *child_types)
        if name is not None:
            yield detail(kind, name, text)

    return finder


def scope_detail(
    kind: str, field_name: str = "name", *, separator: str = ".", child: str = "", rest: bool = False, body: str = ""
) -> Finder:
    """Return a finder of a namespace. With ``rest``, one without a body extends to the end of what is around it.

    The body is in the field of that name, or is a child of the type ``body``.
    """

    def finder(node: Node, text: bytes) -> Iterator[NodeDefinition]:
        name = child_of_type(node, child) if child else node.child_by_field_name(field_name)
        if name is None:
            return
        scope, _, last = source(name, text).replace(separator, ".").rpartition(".")
        own = child_of_type(node, body) if body else node.child_by_field_name("body")
        is_rest = rest and own is None
        yield NodeDefinition(kind, last, scope, name_node=name, is_detail=True, is_rest=is_rest)

    return finder


def _stands_in(node: Node, *kinds: str) -> bool:
    return node.parent is not None and node.parent.type in kinds


def _has_word(node: Node, name: Node | None, text: bytes, word: bytes) -> bool:
    """Return True if ``word`` stands in a node before the name."""
    end = name.start_byte if name is not None else node.end_byte
    return word in text[node.start_byte : end].split()


# C and C++


def _c_declarators(node: Node, text: bytes, kind: str) -> Iterator[NodeDefinition]:
    """Yield the variables or fields of a declaration; functions are only declared there."""
    for declarator in node.children_by_field_name("declarator"):
        inner: Node | None = declarator
        while inner is not None and inner.type in _C_WRAPPERS:
            inner = inner.child_by_field_name("declarator") or (
                inner.named_children[-1] if inner.named_children else None
            )
        if inner is None:
            continue
        if inner.type == "function_declarator":
            own = inner.child_by_field_name("declarator")
            if own is None or own.type != "parenthesized_declarator":
                if node.child_by_field_name("default_value") is not None and (name := declared(inner)) is not None:
                    yield detail("method", name, text)  # pure virtual: defined nowhere else
                continue
        name = declared(inner)
        if name is not None and name.type in ("identifier", "field_identifier", "qualified_identifier"):
            found = detail(kind, name, text)
            scope, _, last = found.name.replace("::", ".").rpartition(".")
            yield found._replace(name=last, scope=scope) if scope else found


_C_WRAPPERS: Final = types(
    "init_declarator pointer_declarator array_declarator reference_declarator attributed_declarator bitfield_clause"
)


def _c_variables(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if not _stands_in(node, *_C_SCOPES):
        return
    kind = "variable"
    for child in node.named_children:
        if child.type == "storage_class_specifier" and source(child, text) == "extern":
            return
        if child.type == "type_qualifier" and source(child, text) in ("const", "constexpr"):
            kind = "constant"
    yield from _c_declarators(node, text, kind)


_C_SCOPES: Final = types(
    "translation_unit declaration_list preproc_if preproc_ifdef preproc_else preproc_elif linkage_specification"
    " template_declaration field_declaration_list"
)


def _c_fields(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    yield from _c_declarators(node, text, "field")


def _c_more_types(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield the names after the first that a typedef defines: ``PT`` of ``typedef struct { ... } T, *PT``."""
    for declarator in node.children_by_field_name("declarator")[1:]:
        name = declared(declarator)
        if name is not None and name.type == "type_identifier":
            yield detail("type", name, text)


_C = Details(
    {
        "type_definition": _c_more_types,
        "declaration": _c_variables,
        "field_declaration": _c_fields,
        "enumerator": named_details("enum_member"),
    },
    types("enum_specifier enumerator_list struct_specifier union_specifier field_declaration_list field_declaration"),
)
_CPP = Details(
    {**_C.finders, "namespace_definition": scope_detail("namespace", separator="::")},
    _C.descend | types("class_specifier"),
)

# Go, Rust, Zig


def _go_package(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = child_of_type(node, "package_identifier")
    if name is not None:
        yield NodeDefinition("package", source(name, text), name_node=name, is_detail=True, is_rest=True)


_GO = Details(
    {
        "package_clause": _go_package,
        "const_spec": named_details("constant"),
        "var_spec": named_details("variable"),
        "field_declaration": named_details("field"),
    },
    types("const_declaration var_declaration var_spec_list struct_type field_declaration_list"),
)


def _rust_variant(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    for variant in named_details("enum_member")(node, text):
        yield variant._replace(scopes=True)


def _rust_module(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if node.child_by_field_name("body") is None:
        yield from named_details("module")(node, text)


_RUST = Details(
    {
        "const_item": named_details("constant"),
        "static_item": named_details("variable"),
        "field_declaration": named_details("field"),
        "enum_variant": _rust_variant,
        "associated_type": named_details("type"),
        "mod_item": _rust_module,
    },
    types(
        "field_declaration_list enum_variant_list enum_variant declaration_list struct_item enum_item union_item"
        " impl_item trait_item"
    ),
)


def _zig_variable(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = child_of_type(node, "identifier")
    if name is None or not _stands_in(node, "source_file", *_ZIG_CONTAINERS):
        return
    value = node.named_children[-1]
    if value.type not in _ZIG_CONTAINERS and value.type != "error_set_declaration":
        yield detail("constant" if _has_word(node, name, text, b"const") else "variable", name, text)


_ZIG_CONTAINERS: Final = types("struct_declaration union_declaration enum_declaration opaque_declaration")


def _zig_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("name")
    if name is not None:
        yield detail("enum_member" if _stands_in(node, "enum_declaration") else "field", name, text)


_ZIG = Details(
    {"variable_declaration": _zig_variable, "container_field": _zig_field},
    types("variable_declaration struct_declaration union_declaration enum_declaration opaque_declaration"),
)

# Java, Kotlin, Scala, C#, Swift


def _java_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    modifiers = child_of_type(node, "modifiers")
    words = set(source(modifiers, text).split()) if modifiers is not None else set()
    is_constant = node.type == "constant_declaration" or {"static", "final"} <= words
    for declarator in node.children_by_field_name("declarator"):
        name = declarator.child_by_field_name("name")
        if name is not None:
            yield detail("constant" if is_constant else "field", name, text)


def _java_package(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = child_of_type(node, "scoped_identifier", "identifier")
    if name is not None:
        scope, _, last = source(name, text).rpartition(".")
        yield NodeDefinition("package", last, scope, name_node=name, is_detail=True, is_rest=True)


def _java_record(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    parameters = node.child_by_field_name("parameters")
    for parameter in parameters.named_children if parameters is not None else []:
        yield from named_details("field")(parameter, text)


def _above(node: Node) -> Node:
    assert node.parent is not None
    return node.parent


_JAVA = Details(
    {
        "package_declaration": _java_package,
        "field_declaration": _java_field,
        "constant_declaration": _java_field,
        "enum_constant": named_details("enum_member"),
        "annotation_type_element_declaration": named_details("method"),
        "record_declaration": _java_record,
    },
    types("record_declaration"),
)


def _kotlin_property(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if not _stands_in(node, "source_file", "class_body", "enum_class_body", "ERROR"):
        return
    kind = "constant" if b"const" in text[node.start_byte : node.start_byte + 80].split(b"=")[0].split() else "property"
    outer = child_of_type(node, "multi_variable_declaration") or node
    for variable in outer.named_children:
        if variable.type == "variable_declaration" and variable.named_children:
            name = child_of_type(variable, "identifier")
            if name is not None:
                yield detail(kind, name, text)


def _kotlin_parameter(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = child_of_type(node, "identifier")
    if name is not None and {b"val", b"var"} & set(text[node.start_byte : name.start_byte].split()):
        yield detail("property", name, text)


_KOTLIN = Details(
    {
        "package_header": scope_detail("package", child="qualified_identifier", rest=True),
        "property_declaration": _kotlin_property,
        "class_parameter": _kotlin_parameter,
        "enum_entry": first_detail("enum_member", "identifier"),
    },
    types("class_body enum_class_body primary_constructor class_parameters class_declaration object_declaration")
    | types("companion_object"),
)


def _scala_value(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("pattern") or node.child_by_field_name("name")
    if name is not None and name.type == "identifier" and _stands_in(node, *_SCALA_SCOPES):
        yield detail("constant" if node.type.startswith("val") else "variable", name, text)


_SCALA_SCOPES: Final = types("compilation_unit template_body package_clause enum_body with_template_body")


def _scala_parameter(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("name")
    owner = _above(_above(node)) if node.parent is not None and node.parent.parent is not None else None
    is_case = owner is not None and b"case" in text[owner.start_byte : node.start_byte].split(b"(")[0].split()
    if name is not None and (is_case or {b"val", b"var"} & set(text[node.start_byte : name.start_byte].split())):
        yield detail("field", name, text)


_SCALA = Details(
    {
        "package_clause": scope_detail("package", rest=True),
        "val_definition": _scala_value,
        "var_definition": _scala_value,
        "val_declaration": _scala_value,
        "var_declaration": _scala_value,
        "simple_enum_case": named_details("enum_member"),
        "full_enum_case": named_details("enum_member"),
        "class_parameter": _scala_parameter,
    },
    types("template_body enum_body enum_case_definitions class_parameters class_definition object_definition")
    | types("trait_definition package_clause package_object"),
)


def _csharp_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    variables = child_of_type(node, "variable_declaration")
    if variables is None:
        return
    is_constant = any(child.type == "modifier" and source(child, text) == "const" for child in node.named_children)
    kind = "property" if node.type == "event_field_declaration" else "constant" if is_constant else "field"
    for declarator in variables.named_children:
        name = declarator.child_by_field_name("name") if declarator.type == "variable_declarator" else None
        if name is not None:
            yield detail(kind, name, text)


def _csharp_operator(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield a method with the name that ends before the parameters: ``operator +``, ``operator int``."""
    parameters = node.child_by_field_name("parameters")
    start = text.find(b"operator", node.start_byte, parameters.start_byte) if parameters is not None else -1
    if parameters is not None and start >= 0:
        name = text[start : parameters.start_byte].decode("utf-8", "replace").strip()
        yield NodeDefinition("method", name, scopes=False, is_detail=True)


def _csharp_record(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    parameters = child_of_type(node, "parameter_list")
    for parameter in parameters.named_children if parameters is not None else []:
        yield from named_details("property")(parameter, text)


_CSHARP = Details(
    {
        "namespace_declaration": scope_detail("namespace"),
        "file_scoped_namespace_declaration": scope_detail("namespace", rest=True),
        "field_declaration": _csharp_field,
        "event_field_declaration": _csharp_field,
        "enum_member_declaration": named_details("enum_member"),
        "operator_declaration": _csharp_operator,
        "conversion_operator_declaration": _csharp_operator,
        "record_declaration": _csharp_record,
    },
    types("enum_declaration enum_member_declaration_list"),
)


def _swift_property(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if not _stands_in(node, "source_file", "class_body", "enum_class_body", "protocol_body"):
        return
    is_global = _stands_in(node, "source_file")
    kind = (
        "property"
        if not is_global
        else "constant"
        if b"let" in text[node.start_byte : node.end_byte][:60].split()
        else "variable"
    )
    for pattern in node.children_by_field_name("name"):
        name = pattern.child_by_field_name("bound_identifier")
        if name is not None:
            yield detail(kind, name, text)


_SWIFT = Details(
    {
        "property_declaration": _swift_property,
        "protocol_property_declaration": _swift_property,
        "enum_entry": named_details("enum_member"),
    },
    types("class_body enum_class_body protocol_body class_declaration"),
)

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
    if parent.type == "statement_block" and not _stands_in(parent, "internal_module", "module", "ambient_declaration"):
        return
    kind = "constant" if text.startswith(b"const", node.start_byte) else "variable"
    for declarator in node.named_children:
        name = declarator.child_by_field_name("name") if declarator.type == "variable_declarator" else None
        value = declarator.child_by_field_name("value") if name is not None else None
        if name is not None and name.type == "identifier" and (value is None or value.type not in _JS_DEFINING):
            yield detail(kind, name, text)


_JS_DEFINING: Final = types("arrow_function function_expression generator_function class function")


def _js_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("property" if node.type == "field_definition" else "name")
    value = node.child_by_field_name("value")
    if name is not None and name.type != "computed_property_name" and (value is None or value.type not in _JS_DEFINING):
        yield detail("field", name, text)


def _ts_parameter(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield a field for a constructor's parameter with a modifier."""
    name = node.child_by_field_name("pattern")
    if name is not None and name.type == "identifier" and child_of_type(node, "accessibility_modifier") is not None:
        yield detail("field", name, text)


def _ts_enum(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    for child in node.named_children:
        name = child.child_by_field_name("name") if child.type == "enum_assignment" else child
        if name is not None and name.type in ("property_identifier", "string"):
            yield detail("enum_member", name, text)


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
        "required_parameter": _ts_parameter,
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
    elements = node.named_children if node.type == "property_declaration" else [node]
    for element in elements:
        variable = element.child_by_field_name("name") if element.type in _PHP_PROPERTIES else None
        name = child_of_type(variable, "name") if variable is not None else None
        if name is not None:
            yield detail("property", name, text)


_PHP_PROPERTIES: Final = types("property_element property_promotion_parameter")


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
        "property_promotion_parameter": _php_properties,
        "enum_case": named_details("enum_member"),
        "expression_statement": _php_define,
    },
    types("class_declaration interface_declaration trait_declaration enum_declaration declaration_list")
    | types("enum_declaration_list namespace_definition compound_statement method_declaration formal_parameters"),
)


def _ruby_assignment(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    left = node.child_by_field_name("left")
    for name in [] if left is None else left.named_children if left.type == "left_assignment_list" else [left]:
        if name.type == "constant":
            yield detail("constant", name, text)


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
    if not (
        _stands_in(node, "chunk") or (_stands_in(node, "variable_declaration") and _stands_in(_above(node), "chunk"))
    ):
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
    if _stands_in(node, "program"):
        yield detail("variable", name, text)
    elif _stands_in(node, "declaration_command") and _stands_in(_above(node), "program"):
        is_constant = text.startswith((b"readonly", b"declare -r"), _above(node).start_byte)
        yield detail("constant" if is_constant else "variable", name, text)


def _bash_alias(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if not text.startswith(b"alias ", node.start_byte):
        return
    for argument in node.children_by_field_name("argument"):
        written = source(argument, text)
        if "=" in written:
            yield NodeDefinition("alias", written.partition("=")[0], name_node=argument, scopes=False, is_detail=True)


_BASH = Details({"variable_assignment": _bash_variable, "command": _bash_alias}, types("declaration_command"))

# Haskell, OCaml, Elixir, Julia


def _haskell_constructor(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    inner = node.child_by_field_name("constructor")
    name = inner.child_by_field_name("name") if inner is not None else None
    if name is not None:
        yield detail("constructor", name, text)


def _haskell_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    for name in node.children_by_field_name("name"):
        if name.type == "field_name":
            yield detail("field", name, text)


_HASKELL = Details(
    {
        "header": scope_detail("module", "module", rest=True),
        "data_constructor": _haskell_constructor,
        "newtype_constructor": named_details("constructor"),
        "field": _haskell_field,
    },
    types("data_type newtype data_constructors data_constructor newtype_constructor record prefix fields field"),
)
_OCAML = Details(
    {
        "constructor_declaration": first_detail("constructor", "constructor_name"),
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


_ELIXIR = Details({"unary_operator": _elixir_attribute}, types("do_block"))


def _julia_constant(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    assignment = child_of_type(node, "assignment")
    name = assignment.named_children[0] if assignment is not None else None
    if name is not None and name.type == "identifier":
        yield detail("constant", name, text)


def _julia_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    for child in node.named_children:
        name = child.named_children[0] if child.type == "typed_expression" and child.named_children else child
        if name.type == "identifier":
            yield detail("field", name, text)


_JULIA = Details({"const_statement": _julia_constant, "struct_definition": _julia_field}, types("struct_definition"))

DETAILS: Final[Mapping[str, Details]] = {
    "bash": _BASH,
    "c": _C,
    "cpp": _CPP,
    "csharp": _CSHARP,
    "elixir": _ELIXIR,
    "go": _GO,
    "haskell": _HASKELL,
    "java": _JAVA,
    "javascript": _JAVASCRIPT,
    "julia": _JULIA,
    "kotlin": _KOTLIN,
    "lua": _LUA,
    "ocaml": _OCAML,
    "ocaml_interface": _OCAML,
    "php": _PHP,
    "python": _PYTHON,
    "ruby": _RUBY,
    "rust": _RUST,
    "scala": _SCALA,
    "swift": _SWIFT,
    "tsx": _TYPESCRIPT,
    "typescript": _TYPESCRIPT,
    "zig": _ZIG,
}
"""The rules by language."""
