"""Rules for C, C++, C#, Go, Java, Kotlin, Rust, Scala, Swift and Zig."""

from __future__ import annotations

from tree_sitter import Node

from codeindexd.analysis.chunking.rules import (
    Namer,
    NodeDefinition,
    Rules,
    child_of_type,
    dotted,
    first,
    fixed,
    named,
    source,
    types,
    with_body,
)

_C_LEAVES = types(
    "identifier field_identifier type_identifier qualified_identifier destructor_name operator_name operator_cast"
    " template_function"
)


def declared(node: Node | None) -> Node | None:
    """Return the node of the name in a C declarator: ``*f(int)`` and ``(*f(void))(int)`` both declare ``f``."""
    for _ in range(32):
        if node is None or node.type in _C_LEAVES:
            return node
        inner = node.child_by_field_name("declarator")
        if inner is None:
            inner = next((c for c in node.named_children if c.type in _C_LEAVES or c.type.endswith("declarator")), None)
        node = inner
    return None


def cpp_path(node: Node, text: bytes) -> str:
    """Return ``a::Foo<T>::bar`` as ``a.Foo.bar``."""
    depth, out = 0, []
    name = source(node, text)
    if "operator" in name:
        scope, _, operator = name.partition("operator")
        if not operator.startswith("("):  # a conversion: its node includes the parameters
            operator = operator.partition("(")[0]
        return _strip_templates(scope).replace("::", ".") + "operator" + operator.replace(".", "")
    for char in name:
        depth += (char == "<") - (char == ">")
        if depth == 0 and char != ">":
            out.append(char)
    return "".join(out).replace("::", ".").replace(" ", "").strip(".")


def _strip_templates(path: str) -> str:
    depth, out = 0, []
    for char in path:
        depth += (char == "<") - (char == ">")
        if depth == 0 and char != ">":
            out.append(char)
    return "".join(out)


def returns_class(function: Node) -> bool:
    """Return True for a function of C whose type is a whole class, with its body."""
    returned = function.child_by_field_name("type")
    return returned is not None and returned.child_by_field_name("body") is not None


def _c_function(node: Node, text: bytes) -> NodeDefinition | None:
    name = declared(node.child_by_field_name("declarator"))
    if name is None:
        return None
    path = cpp_path(name, text)
    if not path or "//" in path or "/*" in path:  # many lines after a macro that is no part of a name
        return None
    if node.has_error and returns_class(node):  # something in the class was not understood, and it is no type
        return None
    return _c_made(node, name, text) or dotted("method" if "." in path else "function", path, name)


def _c_made(node: Node, macro: Node, text: bytes) -> NodeDefinition | None:
    """Return the function that a macro in capitals makes: ``Suite.Name`` for ``TEST(Suite, Name) {``."""
    if macro.type != "identifier" or node.child_by_field_name("type") is not None:
        return None
    word = source(macro, text)
    parent = node.parent
    if len(word) < 2 or not word.isupper() or (parent is not None and parent.type == "field_declaration_list"):
        return None
    declarator = node.child_by_field_name("declarator")
    parameters = declarator.child_by_field_name("parameters") if declarator is not None else None
    names = [
        one.named_children[0]
        for one in (parameters.named_children if parameters is not None else ())
        if one.type == "parameter_declaration" and one.named_child_count == 1
    ]
    if not names or any(one.type != "type_identifier" for one in names):
        return None
    if len(names) > 1 and ("TEST" in word or "BENCH" in word):
        return NodeDefinition("function", source(names[1], text), source(names[0], text), name_node=names[1])
    return NodeDefinition("function", source(names[0], text), name_node=names[0])


def _c_typedef(node: Node, text: bytes) -> NodeDefinition | None:
    name = declared(node.child_by_field_name("declarator"))
    if name is None:
        return None
    inner = node.child_by_field_name("type")
    kind, is_anonymous = "type", inner is not None and inner.child_by_field_name("name") is None
    if inner is not None and inner.child_by_field_name("body") is not None:
        kind = {"struct_specifier": "struct", "union_specifier": "struct", "enum_specifier": "enum"}.get(
            inner.type, kind
        )
    return NodeDefinition(kind, source(name, text), scopes=is_anonymous and kind != "type", name_node=name)


def _cpp_class(kind: str) -> Namer:
    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        name = node.child_by_field_name("name")
        if name is None or node.child_by_field_name("body") is None:
            return None
        return dotted(kind, cpp_path(name, text), name)

    return namer


_C_DEFINITIONS = {
    "function_definition": _c_function,
    "type_definition": _c_typedef,
    "struct_specifier": with_body("struct"),
    "union_specifier": with_body("struct"),
    "enum_specifier": with_body("enum"),
    "preproc_def": named("macro"),
    "preproc_function_def": named("macro"),
}
_C_DESCEND = types(
    "preproc_if preproc_ifdef preproc_else preproc_elif preproc_elifdef linkage_specification declaration_list"
    " declaration type_definition"
)
C = Rules(definitions=_C_DEFINITIONS, descend=_C_DESCEND)
CPP = Rules(
    definitions=_C_DEFINITIONS
    | {
        "class_specifier": _cpp_class("class"),
        "struct_specifier": _cpp_class("struct"),
        "union_specifier": _cpp_class("struct"),
        "concept_definition": named("interface"),
        "alias_declaration": named("type"),
    },
    descend=_C_DESCEND
    | types(
        "namespace_definition template_declaration class_specifier struct_specifier union_specifier"
        " field_declaration_list field_declaration friend_declaration"
    ),
)

_CSHARP_DESCEND = types("namespace_declaration declaration_list class_declaration struct_declaration") | types(
    "interface_declaration record_declaration file_scoped_namespace_declaration preproc_if preproc_region"
    " preproc_else preproc_elif method_declaration constructor_declaration block"
)
CSHARP = Rules(
    definitions={
        "class_declaration": named("class"),
        "interface_declaration": named("interface"),
        "struct_declaration": named("struct"),
        "record_declaration": named("class"),
        "enum_declaration": named("enum"),
        "delegate_declaration": named("type"),
        "method_declaration": named("method"),
        "constructor_declaration": named("method"),
        "destructor_declaration": named("method"),
        "property_declaration": named("property"),
        "event_declaration": named("property"),
        "local_function_statement": named("function"),
    },
    descend=_CSHARP_DESCEND,
    attach=types("comment attribute_list"),
)


def _go_method(node: Node, text: bytes) -> NodeDefinition | None:
    name, receiver = node.child_by_field_name("name"), node.child_by_field_name("receiver")
    if name is None:
        return None
    owner = source(receiver, text) if receiver is not None else ""
    owner = owner.strip("()").split("[")[0].split(" ")[-1].lstrip("*")
    return NodeDefinition("method", source(name, text), owner, name_node=name)


def _go_type(node: Node, text: bytes) -> NodeDefinition | None:
    name, inner = node.child_by_field_name("name"), node.child_by_field_name("type")
    if name is None:
        return None
    kinds = {"struct_type": "struct", "interface_type": "interface"}
    kind = kinds.get(inner.type, "type") if inner is not None else "type"
    return NodeDefinition(kind, source(name, text), name_node=name)


GO = Rules(
    definitions={
        "function_declaration": named("function"),
        "method_declaration": _go_method,
        "type_spec": _go_type,
        "type_alias": named("type"),
        "method_elem": named("method"),
    },
    descend=types("type_declaration type_spec interface_type"),
)

_JAVA_KEYWORDS = (b"class ", b"interface ", b"enum ", b"record ")
JAVA = Rules(
    definitions={
        "class_declaration": named("class"),
        "interface_declaration": named("interface"),
        "annotation_type_declaration": named("interface"),
        "enum_declaration": named("enum"),
        "record_declaration": named("class"),
        "method_declaration": named("method"),
        "constructor_declaration": named("method"),
        "compact_constructor_declaration": named("method"),
    },
    descend=types("class_body interface_body enum_body enum_body_declarations annotation_type_body record_declaration")
    | types("class_declaration interface_declaration enum_declaration enum_constant"),
    keywords=_JAVA_KEYWORDS,
    attach=types("line_comment block_comment"),
)


def _kotlin_class(node: Node, text: bytes) -> NodeDefinition | None:
    name = node.child_by_field_name("name")
    if name is None:
        return None
    head = text[node.start_byte : name.start_byte].split()
    kind = "interface" if b"interface" in head else "enum" if b"enum" in head else "class"
    return NodeDefinition(kind, source(name, text), name_node=name)


def _kotlin_companion(node: Node, text: bytes) -> NodeDefinition | None:
    name = node.child_by_field_name("name")
    return NodeDefinition(
        "object", source(name, text) if name is not None else "Companion", listed=name is not None, name_node=name
    )


KOTLIN = Rules(
    definitions={
        "class_declaration": _kotlin_class,
        "object_declaration": named("object"),
        "companion_object": _kotlin_companion,
        "function_declaration": named("function"),
        "secondary_constructor": fixed("method", "constructor"),
        "type_alias": named("type", "type"),
    },
    keywords=(b"fun ", b"class ", b"interface ", b"object", b"constructor"),
    attach=types("line_comment block_comment annotation"),
)


def _rust_impl(node: Node, text: bytes) -> NodeDefinition | None:
    target = node.child_by_field_name("type")
    if target is not None and target.type in ("generic_type", "reference_type"):
        target = target.child_by_field_name("type") or target
    if target is None:
        return None
    return NodeDefinition(
        "impl", source(target, text).split("<")[0].rpartition("::")[2].strip("&"), listed=False, name_node=target
    )


RUST = Rules(
    definitions={
        "function_item": named("function"),
        "function_signature_item": named("function"),
        "struct_item": named("struct"),
        "union_item": named("struct"),
        "enum_item": named("enum"),
        "trait_item": named("trait"),
        "impl_item": _rust_impl,
        "mod_item": with_body("module"),
        "macro_definition": named("macro"),
        "type_item": named("type"),
    },
    keywords=(b"fn ", b"struct ", b"enum ", b"trait ", b"impl", b"mod ", b"macro_rules!", b"type ", b"union "),
    attach=types("line_comment block_comment attribute_item"),
    own_keyword=True,
)


def _scala_given(node: Node, text: bytes) -> NodeDefinition | None:
    """Return an object for a given instance with members, a constant for one with a value."""
    body = node.child_by_field_name("body")
    has_members = body is not None and body.type.endswith("template_body")
    return named("object" if has_members else "constant")(node, text)


SCALA = Rules(
    definitions={
        "class_definition": named("class"),
        "object_definition": named("object"),
        "package_object": named("object"),
        "trait_definition": named("trait"),
        "enum_definition": named("enum"),
        "function_definition": named("function"),
        "function_declaration": named("function"),
        "given_definition": _scala_given,
        "type_definition": named("type"),
    },
    keywords=(b"def ", b"class ", b"object ", b"trait ", b"enum ", b"given ", b"type "),
    attach=types("comment block_comment annotation"),
    own_keyword=True,
)


def _swift_class(node: Node, text: bytes) -> NodeDefinition | None:
    name, how = node.child_by_field_name("name"), node.child_by_field_name("declaration_kind")
    if name is None:
        return None
    word = source(how, text) if how is not None else "class"
    kind = {"struct": "struct", "enum": "enum", "extension": "impl"}.get(word, "class")
    return dotted(kind, source(name, text).split("<")[0], name)._replace(listed=kind != "impl")


SWIFT = Rules(
    definitions={
        "class_declaration": _swift_class,
        "protocol_declaration": named("interface"),
        "function_declaration": named("function"),
        "protocol_function_declaration": named("function"),
        "init_declaration": fixed("method", "init"),
        "deinit_declaration": fixed("method", "deinit"),
        "subscript_declaration": fixed("method", "subscript"),
        "typealias_declaration": named("type"),
        "macro_declaration": first("macro", "simple_identifier"),
    },
    keywords=(
        b"func ",
        b"class ",
        b"struct ",
        b"enum ",
        b"protocol ",
        b"extension ",
        b"init",
        b"subscript",
        b"typealias ",
        b"actor ",
        b"macro ",
    ),
    attach=types("comment multiline_comment"),
)


def _zig_variable(node: Node, text: bytes) -> NodeDefinition | None:
    kinds = {"struct_declaration": "struct", "union_declaration": "struct", "enum_declaration": "enum"}
    kinds |= {"opaque_declaration": "struct", "error_set_declaration": "enum"}
    name = child_of_type(node, "identifier")
    value = child_of_type(node, *kinds)
    return (
        NodeDefinition(kinds[value.type], source(name, text), name_node=name)
        if name is not None and value is not None
        else None
    )


def _zig_test(node: Node, text: bytes) -> NodeDefinition | None:
    name = child_of_type(node, "string", "identifier")
    return (
        NodeDefinition("test", source(name, text).strip('"'), listed=False, name_node=name)
        if name is not None
        else None
    )


ZIG = Rules(
    definitions={
        "function_declaration": named("function"),
        "variable_declaration": _zig_variable,
        "test_declaration": _zig_test,
    },
    keywords=(b"fn ", b"struct", b"enum", b"union", b"opaque", b"error", b"test "),
)
