"""Rules for the languages whose grammars come with the extra ``[languages]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tree_sitter import Node

from codeindexd.analysis.chunking import rules_compiled, rules_other
from codeindexd.analysis.chunking.details import (
    Details,
    Finder,
    detail,
    first_detail,
    named_details,
    scope_detail,
)
from codeindexd.analysis.chunking.details_compiled import COMPILED_DETAILS
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
)


def _last(kind: str, *child_types: str) -> Namer:
    """Return a namer for definitions of ``kind`` whose name is the last child of one of these types."""

    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        names = [child for child in node.named_children if child.type in child_types]
        return NodeDefinition(kind, source(names[-1], text), name_node=names[-1]) if names else None

    return namer


def _below(kind: str, *path: str) -> Namer:
    """Return a namer for definitions of ``kind`` whose name is found by descending along child types."""

    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        inner: Node | None = node
        for step in path:
            inner = child_of_type(inner, step) if inner is not None else None
        return NodeDefinition(kind, source(inner, text), name_node=inner) if inner is not None else None

    return namer


# Dart

_DART_SIGNATURES: Final[Mapping[str, Namer]] = {
    "function_signature": named("function"),
    "getter_signature": named("property"),
    "setter_signature": named("property"),
    "operator_signature": first("method", "binary_operator"),
    "constructor_signature": _last("constructor", "identifier"),
    "constant_constructor_signature": _last("constructor", "identifier"),
    "factory_constructor_signature": _last("constructor", "identifier"),
    "redirecting_factory_constructor_signature": _last("constructor", "identifier"),
}


def _dart_member(node: Node, text: bytes) -> NodeDefinition | None:
    inner = child_of_type(node, *_DART_SIGNATURES)
    return _DART_SIGNATURES[inner.type](inner, text) if inner is not None else None


def _dart_accessor(node: Node, text: bytes) -> NodeDefinition | None:
    """Return an accessor outside classes, or in a class with a body; the declaration around others defines them."""
    is_declared = node.parent is not None and node.parent.type in ("declaration", "method_signature")
    return None if is_declared else named("property")(node, text)


def _dart_variable(kind: str) -> Finder:
    """Return a finder of a variable in a list, which has the head of the declaration if it is the only one."""

    def finder(node: Node, text: bytes) -> Iterator[NodeDefinition]:
        around = node.parent.parent if node.parent is not None and len(node.parent.named_children) == 1 else None
        own = around if around is not None and around.type == "declaration" else None
        yield from (one._replace(own=own) for one in first_detail(kind, "identifier")(node, text))

    return finder


DART = Rules(
    definitions={
        "class_definition": named("class"),
        "mixin_declaration": first("class", "identifier"),
        "extension_declaration": named("class"),
        "extension_type_declaration": named("class"),
        "enum_declaration": named("enum"),
        "type_alias": first("type", "type_identifier"),
        "function_signature": named("function"),
        "getter_signature": _dart_accessor,
        "setter_signature": _dart_accessor,
        "method_signature": _dart_member,
        "declaration": _dart_member,
    },
    descend=types(
        "class_definition mixin_declaration extension_declaration enum_declaration class_body extension_body enum_body"
    ),
    attach=types("comment documentation_comment annotation"),
    trailing=types("function_body"),
)
_DART_DETAILS = Details(
    {
        "enum_constant": named_details("enum_member"),
        "static_final_declaration": _dart_variable("constant"),
        "initialized_identifier": _dart_variable("variable"),
        "initialized_variable_definition": named_details("variable"),
    },
    types("enum_body declaration static_final_declaration_list initialized_identifier_list"),
)


# Objective-C


def _objc_method(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a method by the first part of its selector; the signature has all parts."""
    name = child_of_type(node, "identifier")
    return NodeDefinition("method", source(name, text), name_node=name) if name is not None else None


def _objc_interface(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a class; a category is only listed by its members."""
    found = first("class", "identifier")(node, text)
    is_category = node.child_by_field_name("category") is not None
    return found._replace(kind="impl", listed=False) if found is not None and is_category else found


def _objc_property(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    declared = child_of_type(node, "struct_declaration")
    for one in declared.named_children if declared is not None else ():
        while one.named_children and one.type in ("struct_declarator", "pointer_declarator"):
            one = one.named_children[-1]
        if one.type == "identifier":
            yield detail("property", one, text)


OBJECTIVEC = Rules(
    definitions={
        **rules_compiled.C.definitions,
        "class_interface": _objc_interface,
        "protocol_declaration": first("interface", "identifier"),
        "class_implementation": lambda node, text: (
            found._replace(listed=False) if (found := first("impl", "identifier")(node, text)) is not None else None
        ),
        "method_definition": _objc_method,
        "method_declaration": lambda node, text: (
            _objc_method(node, text) if node.parent is not None and node.parent.type == "protocol_declaration" else None
        ),
    },
    descend=rules_compiled.C.descend
    | types("class_interface protocol_declaration class_implementation implementation_definition"),
)
_OBJECTIVEC_DETAILS = Details(
    {**COMPILED_DETAILS["c"].finders, "property_declaration": _objc_property},
    COMPILED_DETAILS["c"].descend | types("class_interface protocol_declaration"),
)


# Perl


def _perl_constants(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield what ``use constant`` defines: the name before a value, or the keys of a hash."""
    module = node.child_by_field_name("module")
    if module is None or source(module, text) != "constant":
        return
    stack = [child for child in node.named_children if child != module]
    while stack:
        inner = stack.pop()
        if inner.type == "autoquoted_bareword":
            yield detail("constant", inner, text)
        elif inner.type in ("list_expression", "anonymous_hash_expression"):
            is_hash = inner.type == "anonymous_hash_expression" or _is_in_hash(inner)
            stack += inner.named_children if is_hash else inner.named_children[:1]


def _is_in_hash(node: Node) -> bool:
    return node.parent is not None and node.parent.type == "anonymous_hash_expression"


def _perl_variables(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    if text[node.start_byte : node.start_byte + 4] == b"our ":
        for child in node.named_children:
            if child.type in ("scalar", "array", "hash"):
                name = child_of_type(child, "varname") or child
                yield detail("variable", name, text)._replace(name=source(name, text).lstrip("$@%"))


def _perl_sub(node: Node, text: bytes) -> NodeDefinition | None:
    """Return a function; its name may have the package that it belongs to: ``sub DB::sub``."""
    name = node.child_by_field_name("name")
    return dotted("function", source(name, text).replace("::", "."), name) if name is not None else None


PERL = Rules(
    definitions={
        "subroutine_declaration_statement": _perl_sub,
        "method_declaration_statement": named("function"),
        "class_statement": named("class"),
    },
    descend=types("package_statement class_statement block block_statement phaser_statement conditional_statement"),
    attach=types("comment pod"),
    transparent=types("package_statement"),
)
_PERL_DETAILS = Details(
    {
        "package_statement": scope_detail("package", separator="::", rest=True, body="block"),
        "use_statement": _perl_constants,
        "variable_declaration": _perl_variables,
    },
    types("expression_statement assignment_expression"),
)


# Dockerfile, Nix


DOCKERFILE = Rules(definitions={"from_instruction": named("stage", "as")})
_DOCKERFILE_DETAILS = Details(
    {"arg_instruction": named_details("variable"), "env_pair": named_details("variable")}, types("env_instruction")
)


def _nix_binding(node: Node, text: bytes) -> NodeDefinition | None:
    path = node.child_by_field_name("attrpath")
    value = node.child_by_field_name("expression")
    if path is None:
        return None
    kind = "function" if value is not None and value.type == "function_expression" else "key"
    last = path.named_children[-1] if path.named_children else path
    before = source(path, text).rpartition(".")[0]
    return NodeDefinition(kind, source(last, text).strip('"'), before, name_node=last)


NIX = Rules(
    definitions={"binding": _nix_binding},
    descend=types(
        "function_expression let_expression binding_set attrset_expression rec_attrset_expression with_expression"
        " assert_expression apply_expression parenthesized_expression"
    ),
    transparent=types("binding_set"),
)


# Groovy, also of Gradle and Jenkins


def _groovy_task(node: Node, text: bytes) -> NodeDefinition | None:
    name = node.child_by_field_name("name")
    arguments = node.child_by_field_name("args")
    if name is None or arguments is None or source(name, text) not in ("task", "stage"):
        return None
    own = arguments.named_children[0] if arguments.named_children else None
    return NodeDefinition("target", source(own, text).strip("'\""), name_node=own) if own is not None else None


GROOVY = Rules(
    definitions={
        "class_declaration": named("class"),
        "interface_declaration": named("interface"),
        "enum_declaration": named("enum"),
        "method_declaration": named("function"),
        "function_definition": named("function"),
        "constructor_declaration": named("constructor"),
        "juxt_function_call": _groovy_task,
    },
    descend=types(
        "class_declaration class_body interface_declaration interface_body enum_declaration enum_body closure"
    ),
)


def _groovy_fields(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    modifiers = child_of_type(node, "modifiers")
    is_constant = modifiers is not None and b"final" in text[modifiers.start_byte : modifiers.end_byte]
    for declarator in node.children_by_field_name("declarator"):
        name = declarator.child_by_field_name("name") or child_of_type(declarator, "identifier")
        if name is not None:
            yield detail("constant" if is_constant else "field", name, text)


_GROOVY_DETAILS = Details({"enum_constant": named_details("enum_member"), "field_declaration": _groovy_fields})


# Fortran


def _fortran_variables(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield the variables and constants of a module, and the components of a type."""
    if node.parent is None or node.parent.type not in ("module", "derived_type_definition"):
        return
    is_constant = any(
        child.type == "type_qualifier" and source(child, text).lower() == "parameter" for child in node.named_children
    )
    for declarator in node.children_by_field_name("declarator"):
        left = declarator.child_by_field_name("left")
        name = declarator if declarator.type == "identifier" else left or child_of_type(declarator, "identifier")
        while name is not None and name.type != "identifier":
            name = child_of_type(name, "identifier")
        if name is not None:
            yield detail("constant" if is_constant else "variable", name, text)


FORTRAN = Rules(
    definitions={
        "module": _below("module", "module_statement", "name"),
        "submodule": _below("module", "submodule_statement", "name"),
        "program": _below("program", "program_statement", "name"),
        "subroutine": _below("function", "subroutine_statement", "name"),
        "function": _below("function", "function_statement", "name"),
        "derived_type_definition": _below("struct", "derived_type_statement", "type_name"),
        "interface": _below("interface", "interface_statement", "name"),
    },
    descend=types("module submodule program internal_procedures"),
)
_FORTRAN_DETAILS = Details({"variable_declaration": _fortran_variables}, types("module derived_type_definition"))


# PowerShell


def _powershell_function(node: Node, text: bytes) -> NodeDefinition | None:
    name = child_of_type(node, "function_name")
    if name is None:
        return None
    return NodeDefinition("function", source(name, text).rpartition(":")[2], name_node=name)


def _powershell_method(node: Node, text: bytes) -> NodeDefinition | None:
    name = child_of_type(node, "simple_name")
    owner = child_of_type(node.parent, "simple_name") if node.parent is not None else None
    if name is None:
        return None
    is_constructor = owner is not None and source(owner, text) == source(name, text)
    return NodeDefinition("constructor" if is_constructor else "method", source(name, text), name_node=name)


def _powershell_variables(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    """Yield the variable that a statement at the top of a script assigns."""
    around = node.parent
    for _ in range(2):
        around = around.parent if around is not None else None
    left = child_of_type(node, "left_assignment_expression")
    name = source(left, text) if left is not None else ""
    if left is None or around is None or around.type != "program" or not name.startswith("$"):
        return
    plain = name.lstrip("$").rpartition(":")[2]
    if plain.isidentifier():
        yield detail("variable", left, text)._replace(name=plain)


def _powershell_property(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = child_of_type(node, "variable")
    if name is not None:
        yield detail("property", name, text)._replace(name=source(name, text).lstrip("$"))


POWERSHELL = Rules(
    definitions={
        "function_statement": _powershell_function,
        "class_statement": first("class", "simple_name"),
        "class_method_definition": _powershell_method,
        "enum_statement": first("enum", "simple_name"),
    },
    descend=types(
        "statement_list class_statement function_statement script_block script_block_body if_statement else_clause"
        " statement_block"
    ),
    transparent=types("statement_list"),
)
_POWERSHELL_DETAILS = Details(
    {
        "enum_member": first_detail("enum_member", "simple_name"),
        "class_property_definition": _powershell_property,
        "assignment_expression": _powershell_variables,
    },
    types("enum_statement pipeline"),
)


# Solidity


def _solidity_state(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("name")
    if name is not None:
        words = text[node.start_byte : name.start_byte].split()
        yield detail("constant" if {b"constant", b"immutable"} & set(words) else "field", name, text)


def _own_text(kind: str) -> Finder:
    """Return a finder of a node that is nothing but the name of a ``kind``."""

    def finder(node: Node, text: bytes) -> Iterable[NodeDefinition]:
        return [detail(kind, node, text)]

    return finder


SOLIDITY = Rules(
    definitions={
        "contract_declaration": named("class"),
        "interface_declaration": named("interface"),
        "library_declaration": named("module"),
        "struct_declaration": named("struct"),
        "enum_declaration": named("enum"),
        "function_definition": named("function"),
        "modifier_definition": named("function"),
        "constructor_definition": fixed("constructor", "constructor"),
        "error_declaration": named("type"),
        "user_defined_type_definition": named("type"),
    },
    descend=types("contract_declaration interface_declaration library_declaration contract_body"),
)
_SOLIDITY_DETAILS = Details(
    {
        "state_variable_declaration": _solidity_state,
        "constant_variable_declaration": named_details("constant"),
        "event_definition": named_details("event"),
        "struct_member": named_details("field"),
        "enum_value": _own_text("enum_member"),
    },
    types("struct_declaration struct_body enum_declaration enum_body"),
)


# Verilog and SystemVerilog


def _verilog_module(node: Node, text: bytes) -> NodeDefinition | None:
    header = child_of_type(node, "module_header", "module_ansi_header", "module_nonansi_header")
    return first("module", "simple_identifier")(header, text) if header is not None else None


def _verilog_parameter(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    inner: Node | None = node
    while inner is not None and inner.type != "simple_identifier":
        inner = inner.named_children[0] if inner.named_children else None
    if inner is not None:
        yield detail("constant", inner, text)


VERILOG = Rules(
    definitions={
        "module_declaration": _verilog_module,
        "interface_declaration": _below("interface", "interface_ansi_header", "interface_identifier"),
        "program_declaration": _below("module", "program_ansi_header", "program_identifier"),
        "package_declaration": first("module", "package_identifier"),
        "class_declaration": first("class", "class_identifier"),
        "function_declaration": _below("function", "function_body_declaration", "function_identifier"),
        "task_declaration": _below("function", "task_body_declaration", "task_identifier"),
        "class_constructor_declaration": fixed("constructor", "new"),
        "text_macro_definition": _below("macro", "text_macro_name", "text_macro_identifier", "simple_identifier"),
        "type_declaration": _last("type", "simple_identifier"),
    },
    descend=types(
        "module_declaration package_declaration class_declaration interface_declaration module_or_generate_item"
        " package_or_generate_item_declaration data_declaration class_item"
        " class_method interface_or_generate_item generate_region"
    ),
)
_VERILOG_DETAILS = Details(
    {"param_assignment": _verilog_parameter, "enum_name_declaration": _verilog_parameter},
    types(
        "local_parameter_declaration parameter_declaration list_of_param_assignments parameter_port_list"
        " parameter_port_declaration module_ansi_header type_declaration data_type"
    ),
)


# SCSS and Starlark


def _scss_variable(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = child_of_type(node, "property_name", "variable_name", "variable")
    if name is not None and source(name, text).startswith("$"):
        yield detail("variable", name, text)._replace(name=source(name, text).lstrip("$"))


SCSS = Rules(
    definitions={
        **rules_other.CSS.definitions,
        "mixin_statement": named("function"),
        "function_statement": named("function"),
    },
    descend=rules_other.CSS.descend,
    max_parse_bytes=rules_other.CSS.max_parse_bytes,
)
_SCSS_DETAILS = Details({"declaration": _scss_variable})


def _starlark_target(node: Node, text: bytes) -> NodeDefinition | None:
    """Return the target that a call with a ``name`` at the top of a build file defines."""
    arguments = node.child_by_field_name("arguments")
    if arguments is None or node.parent is None or node.parent.type != "expression_statement":
        return None
    for argument in arguments.named_children:
        key, value = argument.child_by_field_name("name"), argument.child_by_field_name("value")
        if key is not None and value is not None and source(key, text) == "name" and value.type == "string":
            return NodeDefinition("target", source(value, text).strip("'\""), name_node=value)
    return None


def _starlark_variable(node: Node, text: bytes) -> Iterator[NodeDefinition]:
    name = node.child_by_field_name("left")
    if name is not None and name.type == "identifier":
        yield detail("constant" if source(name, text).isupper() else "variable", name, text)


STARLARK = Rules(
    definitions={"function_definition": named("function"), "call": _starlark_target},
    descend=types("expression_statement"),
)
_STARLARK_DETAILS = Details({"assignment": _starlark_variable}, types("expression_statement"))

GLSL, HLSL = rules_compiled.C, rules_compiled.CPP

OPTIONAL_DETAILS: Final[Mapping[str, Details]] = {
    "bazel": _STARLARK_DETAILS,
    "dart": _DART_DETAILS,
    "dockerfile": _DOCKERFILE_DETAILS,
    "fortran": _FORTRAN_DETAILS,
    "glsl": COMPILED_DETAILS["c"],
    "gradle": _GROOVY_DETAILS,
    "groovy": _GROOVY_DETAILS,
    "hlsl": COMPILED_DETAILS["cpp"],
    "objectivec": _OBJECTIVEC_DETAILS,
    "perl": _PERL_DETAILS,
    "powershell": _POWERSHELL_DETAILS,
    "scss": _SCSS_DETAILS,
    "solidity": _SOLIDITY_DETAILS,
    "starlark": _STARLARK_DETAILS,
    "systemverilog": _VERILOG_DETAILS,
    "verilog": _VERILOG_DETAILS,
}
