"""Details of code in C, C++, C#, Go, Java, Kotlin, Rust, Scala, Swift and Zig."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tree_sitter import Node

from codeindexd.analysis.chunking.details import (
    Details,
    Finder,
    above,
    detail,
    has_word,
    named_details,
    scope_detail,
    stands_in,
)
from codeindexd.analysis.chunking.rules import NodeDefinition, child_of_type, dotted, source, types
from codeindexd.analysis.chunking.rules_compiled import cpp_path, declared
from codeindexd.types import DECLARATION

# C and C++


def _c_declarators(node: Node, text: bytes, kind: str) -> Iterator[NodeDefinition]:
    """Yield the variables or fields of a declaration, and the functions that it declares without a body."""
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
                if (name := declared(inner)) is not None and (path := cpp_path(name, text)):
                    is_pure = node.child_by_field_name("default_value") is not None  # defined nowhere else
                    yield _c_detail("method" if is_pure else DECLARATION, path, name)
                continue
        if inner.type == "structured_binding_declarator":  # ``auto [a, b] = pair();``
            yield from (_c_detail(kind, source(one, text), one) for one in inner.named_children)
            continue
        name = declared(inner)
        if name is not None and name.type in ("identifier", "field_identifier", "qualified_identifier"):
            yield _c_detail(kind, source(name, text).replace("::", "."), name)


def _c_detail(kind: str, path: str, node: Node) -> NodeDefinition:
    return dotted(kind, path, node)._replace(scopes=False, is_detail=True)


_C_WRAPPERS: Final = types(
    "init_declarator pointer_declarator array_declarator reference_declarator attributed_declarator bitfield_clause"
)


def _c_variables(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if not stands_in(node, *_C_SCOPES):
        return
    kind = "variable"
    is_extern = False
    for child in node.named_children:
        if child.type == "storage_class_specifier":
            is_extern |= source(child, text) == "extern"
        elif child.type == "type_qualifier" and source(child, text) in ("const", "constexpr"):
            kind = "constant"
    has_value = is_extern and child_of_type(node, "init_declarator") is not None
    yield from _c_declarators(node, text, DECLARATION if is_extern and not has_value else kind)


_C_SCOPES: Final = types(
    "translation_unit declaration_list preproc_if preproc_ifdef preproc_else preproc_elif linkage_specification"
    " template_declaration field_declaration_list"
)


def _c_fields(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    kind = node.child_by_field_name("type")
    for found in _c_declarators(node, text, "field"):
        name = found.name_node
        is_macro = kind is not None and name is not None and found.name.isupper() and source(kind, text).isupper()
        if is_macro and kind is not None and name is not None and name.start_point.row > kind.end_point.row:
            continue  # a macro with fields below another one
        yield found


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


def _cpp_namespace(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield a namespace, without the word ``inline`` of ``a::inline b`` in its name."""
    for found in scope_detail("namespace", separator="::")(node, text):
        *outer, name = (part.removeprefix("inline ") for part in f"{found.scope}.{found.name}".strip(".").split("."))
        yield found._replace(name=name, scope=".".join(outer))


_CPP = Details(
    {
        **_C.finders,
        "namespace_definition": _cpp_namespace,
        "namespace_alias_definition": named_details("namespace"),
    },
    _C.descend | types("class_specifier"),
)

# Go, Rust, Zig


def _go_package(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = child_of_type(node, "package_identifier")
    if name is not None:
        yield NodeDefinition("package", source(name, text), name_node=name, is_detail=True, is_rest=True)


def _go_values(kind: str) -> Finder:
    """Return a finder of constants or variables that skips the blank name ``_``."""

    def finder(node: Node, text: bytes) -> Iterator[NodeDefinition]:
        return (definition for definition in named_details(kind)(node, text) if definition.name != "_")

    return finder


_GO = Details(
    {
        "package_clause": _go_package,
        "const_spec": _go_values("constant"),
        "var_spec": _go_values("variable"),
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
    if name is None or not stands_in(node, "source_file", *_ZIG_CONTAINERS):
        return
    value = node.named_children[-1]
    if value.type == "error_set_declaration":
        yield from (detail("enum_member", one, text)._replace(own=one) for one in value.named_children)
    if value.type not in _ZIG_CONTAINERS and value.type != "error_set_declaration":
        yield detail("constant" if has_word(node, name, text, b"const") else "variable", name, text)


_ZIG_CONTAINERS: Final = types("struct_declaration union_declaration enum_declaration opaque_declaration")


def _zig_field(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("name")
    if name is not None and source(name, text) != "_":
        yield detail("enum_member" if stands_in(node, "enum_declaration") else "field", name, text)


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
        yield from (definition._replace(own=parameter) for definition in named_details("field")(parameter, text))


def _enum_constant(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield the constant, as the scope of its members if it has a body: ``NONE { int f() { return 0; } }``."""
    name = child_of_type(node, "identifier")
    if name is not None:
        yield detail("enum_member", name, text)._replace(scopes=child_of_type(node, "class_body") is not None)


_JAVA = Details(
    {
        "package_declaration": _java_package,
        "field_declaration": _java_field,
        "constant_declaration": _java_field,
        "enum_constant": _enum_constant,
        "annotation_type_element_declaration": named_details("method"),
        "record_declaration": _java_record,
    },
    types("record_declaration"),
)


def _kotlin_property(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if not stands_in(node, "source_file", "class_body", "enum_class_body", "ERROR"):
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
        "enum_entry": _enum_constant,
    },
    types("class_body enum_class_body primary_constructor class_parameters class_declaration object_declaration")
    | types("companion_object"),
)


def _scala_value(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    pattern = node.child_by_field_name("pattern") or node.child_by_field_name("name")
    stack = [pattern] if pattern is not None and stands_in(node, *_SCALA_SCOPES) else []
    while stack:
        name = stack.pop()
        if name.type == "identifier":
            yield detail("constant" if node.type.startswith("val") else "variable", name, text)
        elif name.type in _SCALA_PATTERNS:
            stack += reversed(name.named_children)


_SCALA_PATTERNS: Final = types("identifiers tuple_pattern case_class_pattern typed_pattern")
_SCALA_SCOPES: Final = types("compilation_unit template_body package_clause enum_body with_template_body")


def _scala_parameter(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("name")
    owner = above(above(node)) if node.parent is not None and node.parent.parent is not None else None
    is_case = owner is not None and b"case" in text[owner.start_byte : node.start_byte].split(b"(")[0].split()
    if name is not None and (is_case or {b"val", b"var"} & set(text[node.start_byte : name.start_byte].split())):
        yield detail("field", name, text)


def _scala_package(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield a package; without a body, it is in the one of the clause above it: ``package a``, ``package b``."""
    outer: list[str] = []
    above = node.prev_named_sibling
    while above is not None and above.type in ("package_clause", "comment", "block_comment"):
        name = above.child_by_field_name("name")
        if name is not None and above.child_by_field_name("body") is None:
            outer.insert(0, source(name, text))
        above = above.prev_named_sibling
    for found in scope_detail("package", rest=True)(node, text):
        yield found._replace(scope=".".join(filter(None, [*outer, found.scope])))


_SCALA = Details(
    {
        "package_clause": _scala_package,
        "val_definition": _scala_value,
        "var_definition": _scala_value,
        "val_declaration": _scala_value,
        "var_declaration": _scala_value,
        "simple_enum_case": named_details("enum_member"),
        "full_enum_case": named_details("enum_member"),
        "class_parameter": _scala_parameter,
    },
    types("template_body enum_body enum_case_definitions class_parameters class_definition object_definition")
    | types("enum_definition trait_definition package_clause package_object"),
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
        yield from (definition._replace(own=parameter) for definition in named_details("property")(parameter, text))


def _csharp_indexer(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if (name := next((child for child in node.children if child.type == "this"), None)) is not None:
        yield detail("property", name, text)


_CSHARP = Details(
    {
        "indexer_declaration": _csharp_indexer,
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
    if not stands_in(node, "source_file", "class_body", "enum_class_body", "protocol_body"):
        return
    is_global = stands_in(node, "source_file")
    kind = (
        "property"
        if not is_global
        else "constant"
        if b"let" in text[node.start_byte : node.end_byte][:60].split()
        else "variable"
    )
    stack = list(reversed(node.children_by_field_name("name")))
    while stack:
        pattern = stack.pop()
        name = pattern.child_by_field_name("bound_identifier")
        if name is None and pattern.type == "simple_identifier" and not stands_in(pattern, "property_declaration"):
            name = pattern
        if name is not None:
            yield detail(kind, name, text)
        elif pattern.type == "pattern":  # ``let (a, b) = pair``
            stack += reversed(pattern.named_children)


_SWIFT = Details(
    {
        "property_declaration": _swift_property,
        "protocol_property_declaration": _swift_property,
        "enum_entry": named_details("enum_member"),
        "associatedtype_declaration": named_details("type"),
    },
    types("class_body enum_class_body protocol_body class_declaration"),
)


COMPILED_DETAILS: Final[Mapping[str, Details]] = {
    "c": _C,
    "cpp": _CPP,
    "csharp": _CSHARP,
    "go": _GO,
    "java": _JAVA,
    "kotlin": _KOTLIN,
    "rust": _RUST,
    "scala": _SCALA,
    "swift": _SWIFT,
    "zig": _ZIG,
}
