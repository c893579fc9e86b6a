"""The rules by which names in a syntax tree become references: a tree-sitter query for each language.

The captures of a query say what a name is:

- ``@call``: the name of what is called. ``@bare``: the same, unless the file binds the name to a variable.
- ``@use``: an attribute, or another name that is always a reference. ``@maybe``: a call if ``(`` follows.
- ``@type``: a type, and ``@key``: a member that is written without its receiver; variables do not hide them.
- ``@inherit``: a base class, an interface or a mixin.
- ``@name``: any other name; it is kept if it may mean a definition (see :class:`Scope`).
- ``@symbol``: a name behind a colon that may stand for a function of the file, such as ``:name`` of Ruby.
- ``@variable``: a variable of the receiver, such as ``@name`` of Ruby.
- ``@bound``: a variable or parameter; within the function that binds it, the name means nothing else. ``@scope``: a
  function, or a class, whose variables are no variables of the function around it.
- ``@global``: a name that a function does not bind, although it assigns to it.
- ``@local``: a variable or parameter of some function; like ``@bound`` in languages with ``Scope.PACKAGE``, it keeps
  a plain name that the file does not define from meaning the definition of another file.
- ``@skip``: no reference, such as the label of an argument.
- ``@setter``: a member that is assigned to; it is also a call of the method ``name=``.
- ``@default``: the name of what a module exports without one. ``@exported``: a statement that exports a name, perhaps
  under another one.
- ``@literal``: a literal whose type says of which type its members are; :mod:`.literals` reads it.
- ``@component``: an element of JSX, which is a component unless it is written in small letters.
- ``@quoted``: a string with types, such as an annotation of Python.
- ``@callable``: a pair of an object and the name of its method, as in ``[$this, 'method']`` of PHP.
- ``@import``: a statement that :mod:`.imports` reads. ``@_...``: only for a condition of the query. Conditions are
  slow, so words that import or mix in by a call are in tables instead.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from codeindexd.analysis.references import imports
from codeindexd.analysis.references.imports import ImportReader

VARIABLE: Final = b"@self"
"""The qualifier of a variable of the receiver, such as ``name`` of ``@name``."""


class Scope(enum.Enum):
    """Where a language looks for a plain name that is neither called nor a type."""

    FILE = enum.auto()
    """In the file: the name is defined there or imported by name."""

    PACKAGE = enum.auto()
    """Also in other files, without an import; the name is kept unless it is a variable of this file."""


class ReferenceRules(Struct, frozen=True):
    """The rules of one language.

    - ``separators`` are between a receiver and its member.
    - ``sigils`` are before the name of a variable of the receiver.
    - ``mark``: a node that contains it has a name that begins behind the last one, such as ``#name`` or ``A.B``.
    - ``keywords`` look like calls, but are part of the language.
    - ``importing``: words whose call is an import. Its statement is the nearest node around it of a type in
      ``statements``.
    - ``mixing_in``: words whose arguments are base classes.
    - ``own_type``: words whose call constructs the type around it.
    - ``calls_variables``: a call may be that of a variable, which hides the function of its name.
    - ``of_wildcards``: plain names that a file which imports all names of a module may have from there.
    - ``bodies``: finds text that the tree does not parse, such as the bodies of macros; the words in its group count.
    - ``exports``: a word, and a statement that begins with it and lists names in quotes; its group is the list.
    """

    query: str
    scope: Scope
    read_imports: ImportReader
    separators: tuple[bytes, ...] = (b".", b"?.")
    sigils: bytes = b""
    mark: bytes = b""
    keywords: frozenset[bytes] = frozenset()
    importing: frozenset[bytes] = frozenset()
    statements: tuple[str, ...] = ()
    mixing_in: frozenset[bytes] = frozenset()
    own_type: frozenset[bytes] = frozenset()
    calls_variables: bool = True
    of_wildcards: re.Pattern[bytes] = re.compile(rb"(?!)")
    bodies: re.Pattern[bytes] | None = None
    exports: tuple[bytes, re.Pattern[bytes]] | None = None


def _words(text: str) -> frozenset[bytes]:
    return frozenset(text.encode().split())


_ALL: Final = re.compile(rb"""__all__[^\n=]*=\s*((?:[\[(]|#[^\n]*|["'][\w.]*["']|[\s,])*)""")
_PYTHON = ReferenceRules(
    """
    (call function: [(identifier) @call (attribute attribute: (identifier) @call)])
    (attribute attribute: (identifier) @use)
    (class_definition superclasses: (argument_list [
      (identifier) @inherit (attribute attribute: (identifier) @inherit)
      (subscript value: [(identifier) @inherit (attribute attribute: (identifier) @inherit)])]))
    (keyword_argument name: (identifier) @skip)
    [(parameters (identifier) @bound) (lambda_parameters (identifier) @bound)
     (default_parameter name: (identifier) @bound) (typed_parameter . (identifier) @bound)
     (typed_default_parameter name: (identifier) @bound)
     (list_splat_pattern (identifier) @bound) (dictionary_splat_pattern (identifier) @bound)
     (pattern_list (identifier) @bound) (tuple_pattern (identifier) @bound)
     (assignment left: (identifier) @bound) (named_expression name: (identifier) @bound)
     (for_statement left: (identifier) @bound) (for_in_clause left: (identifier) @bound)
     (as_pattern_target (identifier) @bound)]
    [(global_statement (identifier) @global) (nonlocal_statement (identifier) @global)]
    [(function_definition) (lambda) (class_definition) (list_comprehension) (set_comprehension)
     (dictionary_comprehension) (generator_expression)] @scope
    (decorator (attribute object: (identifier) @use))
    (type (string (string_content) @quoted))
    (type (binary_operator (string (string_content) @quoted)))
    (class_definition body: (block (expression_statement (assignment right: [
      (identifier) @use (call arguments: (argument_list (identifier) @use))]))))
    (class_definition body: (block (delete_statement [(identifier) @use (expression_list (identifier) @use)])))
    (assignment right: (assignment right: (identifier) @use))
    [(import_statement) (import_from_statement)] @import
    (identifier) @name
    """,
    Scope.FILE,
    imports.python,
    of_wildcards=re.compile(rb""),
    exports=(b"__all__", _ALL),
    own_type=_words("cls"),
)

_REQUIRE: Final = _words("require")
_REQUIRING: Final = ("variable_declarator", "call_expression")
_JAVASCRIPT_QUERY: Final = """
    (call_expression function: [(identifier) @call (member_expression property: (property_identifier) @call)])
    (new_expression constructor: [(identifier) @call (member_expression property: (property_identifier) @call)])
    (member_expression property: [(property_identifier) (private_property_identifier)] @use)
    (call_expression function: (member_expression property: (private_property_identifier) @call))
    (binary_expression left: (private_property_identifier) @use)
    [(import_statement) (export_statement source: (string))] @import
    (variable_declarator name: [(identifier) @bound (array_pattern (identifier) @bound)])
    (for_in_statement kind: _ left: [(identifier) @bound (array_pattern (identifier) @bound)])
    [(shorthand_property_identifier_pattern) @bound (pair_pattern value: (identifier) @bound)]
    (rest_pattern (identifier) @bound)
    (arrow_function parameter: (identifier) @bound)
    (catch_clause parameter: (identifier) @bound)
    [(function_declaration) (function_expression) (arrow_function) (method_definition) (generator_function)
     (generator_function_declaration) (class_body)] @scope
    (export_specifier name: (identifier) alias: (_)) @exported
    (export_statement "default" value: (identifier) @default)
    (export_statement "default" declaration: (_ name: (_) @default))
    (assignment_expression
      left: (member_expression object: (identifier) @_module property: (property_identifier) @_exports)
      right: [(identifier) @default (class name: (_) @default) (function_expression name: (identifier) @default)]
      (#eq? @_module "module") (#eq? @_exports "exports"))
    [(identifier) (shorthand_property_identifier)] @name
"""
_JSX: Final = """
    (jsx_opening_element name: [(identifier) @component (member_expression property: (property_identifier) @call)])
    (jsx_closing_element name: (identifier) @skip)
    (jsx_self_closing_element name: [
      (identifier) @component (member_expression property: (property_identifier) @call)])
"""
_JAVASCRIPT = ReferenceRules(
    _JAVASCRIPT_QUERY
    + _JSX
    + "(formal_parameters [(identifier) @bound (assignment_pattern left: (identifier) @bound)"
    + " (array_pattern (identifier) @bound)])"
    + "(class_heritage [(identifier) @inherit (member_expression property: (property_identifier) @inherit)])",
    Scope.FILE,
    imports.javascript,
    mark=b"#",
    importing=_REQUIRE,
    statements=_REQUIRING,
)
_TYPESCRIPT_QUERY: Final = (
    _JAVASCRIPT_QUERY
    + """
    (extends_clause value: [(identifier) @inherit (member_expression property: (property_identifier) @inherit)])
    (implements_clause [(type_identifier) @inherit (generic_type name: (type_identifier) @inherit)])
    (extends_type_clause type: [(type_identifier) @inherit (generic_type name: (type_identifier) @inherit)])
    (type_identifier) @type
    (nested_type_identifier module: (identifier) @key)
    (type_parameter name: (type_identifier) @skip)
    [(required_parameter pattern: [(identifier) @bound (array_pattern (identifier) @bound)])
     (optional_parameter pattern: (identifier) @bound)]
"""
)
_TYPESCRIPT = ReferenceRules(
    _TYPESCRIPT_QUERY, Scope.FILE, imports.javascript, mark=b"#", importing=_REQUIRE, statements=_REQUIRING
)
_TSX = replace(_TYPESCRIPT, query=_TYPESCRIPT_QUERY + _JSX)

_GO = ReferenceRules(
    """
    (call_expression function: [(identifier) @call (selector_expression field: (field_identifier) @call)])
    (selector_expression field: (field_identifier) @use)
    (type_identifier) @type
    (keyed_element . (literal_element (identifier) @key))
    (field_declaration !name type: [(type_identifier) @inherit (qualified_type name: (type_identifier) @inherit)])
    (interface_type (type_elem [(type_identifier) @inherit (qualified_type name: (type_identifier) @inherit)]))
    (composite_literal) @literal
    (short_var_declaration left: (expression_list (identifier) @bound))
    (range_clause left: (expression_list (identifier) @bound))
    (parameter_declaration name: (identifier) @bound)
    (var_spec name: (identifier) @bound)
    (type_parameter_declaration name: (identifier) @skip)
    [(function_declaration) (method_declaration) (func_literal)] @scope
    (import_spec) @import
    (identifier) @name
    """,
    Scope.PACKAGE,
    imports.go,
    separators=(b".",),
    keywords=_words("append cap close copy delete len make new panic print println recover"),
)

_RUST = ReferenceRules(
    """
    (call_expression function: [
      (identifier) @call (field_expression field: (field_identifier) @call)
      (scoped_identifier name: (identifier) @call)
      (generic_function function: [
        (identifier) @call (field_expression field: (field_identifier) @call)
        (scoped_identifier name: (identifier) @call)])])
    (macro_invocation macro: [(identifier) @call (scoped_identifier name: (identifier) @call)])
    (token_tree (identifier) @maybe)
    (field_expression field: (field_identifier) @use)
    [(field_initializer field: (field_identifier) @use) (field_pattern name: (field_identifier) @use)]
    [(struct_expression) (struct_pattern)] @literal
    (scoped_identifier name: (identifier) @use)
    (type_identifier) @use
    (impl_item trait: [
      (type_identifier) @inherit (generic_type type: (type_identifier) @inherit)
      (scoped_type_identifier name: (type_identifier) @inherit)])
    (trait_item bounds: (trait_bounds [(type_identifier) @inherit (generic_type type: (type_identifier) @inherit)]))
    (type_parameter name: (type_identifier) @skip)
    (use_declaration) @import
    (identifier) @name
    """,
    Scope.FILE,
    imports.rust,
    separators=(b".", b"::"),
    of_wildcards=re.compile(rb"[A-Z]"),  # constants and variants; functions are called
)

_JAVA = ReferenceRules(
    """
    (method_invocation name: (identifier) @call)
    (object_creation_expression type: [
      (type_identifier) @call (generic_type (type_identifier) @call)
      (scoped_type_identifier (type_identifier) @call .)])
    (method_reference (identifier) @use .)
    (type_identifier) @type
    (field_access field: (identifier) @use)
    [(annotation name: (identifier) @use) (marker_annotation name: (identifier) @use)]
    (superclass [(type_identifier) @inherit (generic_type (type_identifier) @inherit)])
    (super_interfaces (type_list [(type_identifier) @inherit (generic_type (type_identifier) @inherit)]))
    (extends_interfaces (type_list [(type_identifier) @inherit (generic_type (type_identifier) @inherit)]))
    (variable_declarator name: (identifier) @bound)
    (formal_parameter name: (identifier) @bound)
    (catch_formal_parameter name: (identifier) @bound)
    (enhanced_for_statement name: (identifier) @bound)
    (inferred_parameters (identifier) @bound)
    (lambda_expression parameters: (identifier) @bound)
    (type_parameter (type_identifier) @skip)
    (method_declaration name: (identifier) @skip)
    (package_declaration (_ (identifier) @skip))
    [(method_declaration) (constructor_declaration) (lambda_expression) (class_body)] @scope
    (import_declaration) @import
    (identifier) @name
    """,
    Scope.PACKAGE,
    imports.java,
    separators=(b".", b"::"),
    calls_variables=False,
)

_KOTLIN = ReferenceRules(
    """
    (call_expression . [(identifier) @call (navigation_expression (identifier) @call .)])
    (infix_expression (_) . (identifier) @call . (_))
    (navigation_expression (identifier) @use .)
    (callable_reference (identifier) @use .)
    (user_type (identifier) @type .)
    (delegation_specifier [
      (user_type (identifier) @inherit .) (constructor_invocation (user_type (identifier) @inherit .))
      (explicit_delegation . (user_type (identifier) @inherit .))])
    (variable_declaration . (identifier) @bound)
    (parameter . (identifier) @bound)
    (class_parameter (identifier) @bound . (_))
    (value_argument . (identifier) @skip . (_))
    (function_declaration name: (identifier) @skip)
    (type_parameter (identifier) @skip)
    [(function_declaration) (secondary_constructor) (anonymous_function) (lambda_literal) (class_body)] @scope
    (import) @import
    (package_header (qualified_identifier (identifier) @skip))
    (identifier) @name
    """,
    Scope.PACKAGE,
    imports.java,
    separators=(b".", b"?.", b"!!.", b"::"),
)

_SCALA = ReferenceRules(
    """
    (call_expression function: [
      (identifier) @call (field_expression field: (identifier) @call)
      (generic_function function: [(identifier) @call (field_expression field: (identifier) @call)])])
    (instance_expression [(type_identifier) @call (generic_type (type_identifier) @call)])
    (infix_expression operator: (identifier) @call)
    (field_expression field: (identifier) @call)
    (type_identifier) @type
    (extends_clause [(type_identifier) @inherit (generic_type type: (type_identifier) @inherit)])
    (parameter name: (identifier) @bound)
    (class_parameter name: (identifier) @bound)
    (val_definition pattern: (identifier) @bound)
    (var_definition pattern: (identifier) @bound)
    (lambda_expression parameters: (identifier) @bound)
    (binding name: (identifier) @bound)
    (case_clause pattern: (identifier) @local)
    [(function_definition) (lambda_expression) (template_body)] @scope
    (import_declaration) @import
    (package_clause) @import
    (identifier) @name
    """,
    Scope.PACKAGE,
    imports.scala,
    separators=(b".",),
)

_SWIFT = ReferenceRules(
    """
    (call_expression . [
      (simple_identifier) @call
      (navigation_expression suffix: (navigation_suffix suffix: (simple_identifier) @call))])
    (constructor_expression constructed_type: (user_type (type_identifier) @call))
    (navigation_suffix suffix: (simple_identifier) @use)
    (type_identifier) @use
    (inheritance_specifier inherits_from: (user_type (type_identifier) @inherit))
    (parameter name: (simple_identifier) @bound)
    (pattern bound_identifier: (simple_identifier) @bound)
    (lambda_parameter name: (simple_identifier) @bound)
    [(function_declaration) (init_declaration) (deinit_declaration) (subscript_declaration) (computed_property)
     (lambda_literal) (class_body) (protocol_body) (enum_class_body)] @scope
    (value_argument_label (simple_identifier) @skip)
    (type_parameter (type_identifier) @skip)
    (import_declaration) @import
    (simple_identifier) @name
    """,
    Scope.PACKAGE,
    imports.swift,
    separators=(b".", b"?.", b"!."),
)

_C_QUERY: Final = """
    (call_expression function: [(identifier) @call (field_expression field: (field_identifier) @call)])
    (field_expression field: (field_identifier) @use)
    (field_designator (field_identifier) @use)
    (offsetof_expression member: (field_identifier) @use)
    (declaration declarator: (init_declarator value: (initializer_list))) @literal
    (compound_literal_expression) @literal
    (type_identifier) @type
    (function_declarator declarator: [(identifier) (field_identifier)] @skip)
    (init_declarator declarator: (identifier) @bound)
    (declaration declarator: (identifier) @bound)
    (parameter_declaration declarator: (identifier) @bound)
    (pointer_declarator declarator: (identifier) @bound)
    (array_declarator declarator: (identifier) @bound)
    (preproc_params (identifier) @bound)
    (function_definition) @scope
    (preproc_include) @import
    (identifier) @name
"""
_MACRO_BODY: Final = re.compile(  # of ``#define``, unless it is only a number
    rb"#[ \t]*+define[ \t]++\w++(?:\([^()\n]*+\))?+(?![(\s]*+-?(?:0[xX])?[0-9a-fA-F]++[uUlL]*+[)\s]*+(?:/[/*]|\n))"
    rb"((?:[^\\\n]|\\\r?\n|\\.)++)"
)
_C = ReferenceRules(_C_QUERY, Scope.PACKAGE, imports.c, separators=(b".", b"->"), bodies=_MACRO_BODY)
_CPP = ReferenceRules(
    _C_QUERY
    + """
    (qualified_identifier name: (identifier) @maybe)
    (qualified_identifier scope: (namespace_identifier) @use)
    (template_function name: (identifier) @call)
    (template_method name: (field_identifier) @call)
    (new_expression type: [
      (type_identifier) @call (template_type name: (type_identifier) @call)
      (qualified_identifier name: (type_identifier) @call)])
    (field_initializer . (field_identifier) @maybe @key)
    (base_class_clause [
      (type_identifier) @inherit (template_type name: (type_identifier) @inherit)
      (qualified_identifier name: [(type_identifier) @inherit (template_type name: (type_identifier) @inherit)])])
    (reference_declarator (identifier) @bound)
    (optional_parameter_declaration declarator: (identifier) @bound)
    (for_range_loop declarator: (identifier) @bound)
    (function_declarator declarator: (qualified_identifier name: (identifier) @skip))
    (type_parameter_declaration (type_identifier) @skip)
    (lambda_expression) @scope
    (using_declaration) @import
    """,
    Scope.PACKAGE,
    imports.c,
    separators=(b".", b"->", b"::"),
    bodies=_MACRO_BODY,
)

_CSHARP = ReferenceRules(
    """
    (invocation_expression function: [
      (identifier) @call (generic_name (identifier) @call)
      (member_access_expression name: [(identifier) @call (generic_name (identifier) @call)])
      (conditional_access_expression (member_binding_expression name: [
        (identifier) @call (generic_name (identifier) @call)]))])
    (object_creation_expression type: [
      (identifier) @call (generic_name (identifier) @call) (qualified_name name: (identifier) @call)])
    (base_list [
      (identifier) @inherit (generic_name (identifier) @inherit) (qualified_name name: (identifier) @inherit)
      (primary_constructor_base_type type: (identifier) @inherit)])
    (member_access_expression name: (identifier) @use)
    (member_binding_expression name: (identifier) @use)
    (attribute name: (identifier) @use)
    (object_creation_expression initializer: (initializer_expression)) @literal
    (generic_name (identifier) @use)
    (variable_declarator name: (identifier) @bound)
    (parameter name: (identifier) @bound)
    (foreach_statement left: (identifier) @bound)
    (type_parameter name: (identifier) @skip)
    (argument name: (identifier) @skip)
    (namespace_declaration name: (_) @skip)
    [(method_declaration) (constructor_declaration) (accessor_declaration) (local_function_statement)
     (lambda_expression) (anonymous_method_expression) (declaration_list)] @scope
    (using_directive) @import
    (identifier) @name
    """,
    Scope.PACKAGE,
    imports.csharp,
    separators=(b".", b"?."),
    keywords=_words("nameof"),
)

_RUBY = ReferenceRules(
    """
    (call method: [(identifier) (constant)] @call)
    (assignment left: (call method: (identifier) @setter))
    (superclass [(constant) @inherit (scope_resolution name: (constant) @inherit)])
    (constant) @use
    (call !receiver arguments: (argument_list [(simple_symbol) @symbol (pair value: (simple_symbol) @symbol)]))
    (alias alias: (simple_symbol) @symbol)
    (block_argument (simple_symbol) @symbol)
    (method_parameters (identifier) @bound)
    (block_parameters (identifier) @bound)
    (lambda_parameters (identifier) @bound)
    (optional_parameter name: (identifier) @bound)
    (keyword_parameter name: (identifier) @bound)
    (splat_parameter name: (identifier) @bound)
    (hash_splat_parameter name: (identifier) @bound)
    (block_parameter name: (identifier) @bound)
    (assignment left: (identifier) @bound)
    (operator_assignment left: (identifier) @bound)
    (left_assignment_list (identifier) @bound)
    (exception_variable (identifier) @bound)
    (destructured_parameter (identifier) @bound)
    (destructured_left_assignment (identifier) @bound)
    (rest_assignment (identifier) @bound)
    (for pattern: (identifier) @bound)
    [(method) (singleton_method) (block) (do_block) (lambda) (class) (module) (singleton_class)] @scope
    [(instance_variable) (class_variable)] @variable
    (identifier) @bare
    """,
    Scope.FILE,
    imports.ruby,
    separators=(b".", b"&.", b"::"),
    sigils=b"@",
    calls_variables=False,
    keywords=_words(
        "attr_reader attr_writer attr_accessor private protected public module_function raise lambda proc loop puts p"
        " block_given?"
    ),
    importing=_words("require require_relative load autoload"),
    statements=("call",),
    mixing_in=_words("include extend prepend"),
)

_PHP = ReferenceRules(
    """
    (function_call_expression function: [(name) @call (qualified_name (name) @call)])
    [(member_call_expression name: (name) @call) (nullsafe_member_call_expression name: (name) @call)]
    (scoped_call_expression name: (name) @call)
    (scoped_property_access_expression name: (variable_name) @use)
    (object_creation_expression [(name) @call (qualified_name (name) @call)])
    [(member_access_expression name: (name) @use) (nullsafe_member_access_expression name: (name) @use)]
    [(base_clause [(name) @inherit (qualified_name (name) @inherit)])
     (class_interface_clause [(name) @inherit (qualified_name (name) @inherit)])
     (declaration_list (use_declaration [(name) @inherit (qualified_name (name) @inherit)]))]
    (array_creation_expression . (array_element_initializer . [(variable_name) (class_constant_access_expression)] .) .
      (array_element_initializer . [(string) (encapsed_string)] .) .) @callable
    (variable_name (name) @skip)
    (namespace_definition name: (namespace_name (name) @skip))
    (argument name: (name) @skip)
    (namespace_use_declaration) @import
    (name) @name
    """,
    Scope.PACKAGE,
    imports.php,
    separators=(b"->", b"?->", b"::", b"\\"),
    mark=b"$",
    keywords=_words("self static parent class"),
    own_type=_words("self static"),
)

_LUA = ReferenceRules(
    """
    (function_call name: [
      (identifier) @call (dot_index_expression field: (identifier) @call)
      (method_index_expression method: (identifier) @call)])
    (dot_index_expression field: (identifier) @use)
    (variable_list name: (identifier) @local)
    (parameters name: (identifier) @bound)
    (variable_declaration [
      (variable_list name: (identifier) @bound) (assignment_statement (variable_list name: (identifier) @bound))])
    (for_generic_clause (variable_list name: (identifier) @bound))
    (for_numeric_clause name: (identifier) @bound)
    (field name: (identifier) @key)
    [(function_declaration) (function_definition)] @scope
    (function_declaration name: (_) @skip)
    (identifier) @name
    """,
    Scope.PACKAGE,
    imports.lua,
    separators=(b".", b":"),
    keywords=_words("pairs ipairs print type tostring tonumber setmetatable getmetatable pcall error assert"),
    importing=_REQUIRE,
    statements=("variable_declaration", "function_call"),
)

_ELIXIR_DEFINING: Final = '"def" "defp" "defmacro" "defmacrop" "defguard" "defguardp" "defdelegate"'
_ELIXIR = ReferenceRules(
    f"""
    (call target: (identifier) @_f (arguments . [
      (call target: (identifier) @skip) (binary_operator left: (call target: (identifier) @skip))
      (identifier) @skip (binary_operator left: (identifier) @skip)])
      (#any-of? @_f {_ELIXIR_DEFINING}))
    (call target: (identifier) @_f (arguments . (alias) @skip) (#any-of? @_f "defmodule" "defprotocol"))
    (unary_operator operand: (call target: (identifier) @_f (arguments . (binary_operator
      left: [(call target: (identifier) @skip)
             (binary_operator left: (call target: (identifier) @skip) right: (identifier)? @skip)]
      right: (identifier)? @skip))
      (#any-of? @_f "spec" "callback" "macrocallback" "type" "typep" "opaque")))
    (call target: [(identifier) @call (dot right: (identifier) @call)])
    (binary_operator operator: "|>" right: (identifier) @call)
    (unary_operator operator: "@" operand: (identifier) @use)
    (unary_operator operand: (binary_operator left: [
      (identifier) @use (call target: (dot right: (identifier) @use))]))
    (unary_operator operand: (call target: (identifier) @_f (arguments (alias) @inherit)
      (#eq? @_f "behaviour")))
    (alias) @use
    """,
    Scope.FILE,
    imports.elixir,
    separators=(b".",),
    mark=b".",
    keywords=_words(
        "def defp defmacro defmacrop defguard defguardp defdelegate defmodule defprotocol defstruct"
        " defexception if unless case cond with for fn quote unquote receive try raise test"
        " describe setup assert refute spec type typep doc moduledoc impl behaviour"
    ),
    importing=_words("alias import require"),
    statements=("call",),
    mixing_in=_words("use defimpl"),
)

_BASH = ReferenceRules(
    """
    (command_name (word) @call)
    (command argument: (word) @name)
    (unset_command (variable_name) @name)
    [(simple_expansion (variable_name) @name) (expansion (variable_name) @name)
     (subscript name: (variable_name) @name) (variable_assignment name: (variable_name) @name)
     (binary_expression (variable_name) @name)]
    (declaration_command "local" [(variable_assignment name: (variable_name) @bound) (variable_name) @bound])
    (function_definition) @scope
    """,
    Scope.FILE,
    imports.bash,
    separators=(),
    keywords=_words("cd echo printf test local return exit export set shift eval trap unset read true false"),
    importing=_words(". source"),
    statements=("command",),
)

_JULIA = ReferenceRules(
    """
    (signature (call_expression . [(identifier) @skip (field_expression (identifier) @skip .)]))
    (signature (typed_expression . (call_expression . (identifier) @skip)))
    (signature (where_expression . (call_expression . (identifier) @skip)))
    (assignment . (call_expression . (identifier) @skip))
    (call_expression . [(identifier) @call (field_expression (identifier) @call .)])
    (broadcast_call_expression . [(identifier) @call (field_expression (identifier) @call .)])
    (macrocall_expression (macro_identifier (identifier) @call))
    (field_expression (identifier) @use .)
    (type_head (binary_expression (_) (operator) (identifier) @inherit))
    (assignment . (identifier) @local)
    (signature (call_expression (argument_list [
      (identifier) @local (typed_expression . (identifier) @local) (named_argument . (identifier) @local)])))
    (for_binding . (identifier) @local)
    [(using_statement) (import_statement)] @import
    (identifier) @name
    """,
    Scope.PACKAGE,
    imports.julia,
    separators=(b".",),
    importing=_words("include"),
    statements=("call_expression",),
)

_HASKELL = ReferenceRules(
    """
    (apply function: [
      (variable) @call (constructor) @call (qualified id: [(variable) @call (constructor) @call])])
    (infix_id [(variable) @call (constructor) @call (qualified id: (variable) @call)])
    (qualified id: (_) @use)
    [(name) (constructor)] @use
    (instance name: (name) @inherit)
    (deriving (name) @inherit)
    (function name: (variable) @skip)
    (bind name: (variable) @skip)
    (signature name: (variable) @skip)
    (signature names: (_ (variable) @skip))
    (patterns (variable) @local)
    (import) @import
    (variable) @name
    """,
    Scope.PACKAGE,
    imports.haskell,
    separators=(b".",),
)

_OCAML = ReferenceRules(
    """
    (application_expression function: (value_path (value_name) @call))
    (method_invocation method: (method_name) @call)
    (value_path (module_path) (value_name) @use)
    (type_constructor_path (type_constructor) @use)
    (constructor_path (constructor_name) @use)
    (field_path (field_name) @use)
    (module_path (module_name) @use)
    (inheritance_definition class: (class_path (class_name) @inherit))
    (parameter pattern: (value_pattern) @local)
    (value_pattern) @local
    (open_module) @import
    (value_path . (value_name) @name)
    """,
    Scope.PACKAGE,
    imports.ocaml,
    separators=(b".", b"#"),
)
_OCAML_INTERFACE = ReferenceRules(
    """
    (type_constructor_path (type_constructor) @use)
    (module_path (module_name) @use)
    (open_module) @import
    """,
    Scope.PACKAGE,
    imports.ocaml,
    separators=(b".",),
)

_ZIG = ReferenceRules(
    """
    (call_expression function: [(identifier) @call (field_expression member: (identifier) @call)])
    (field_expression member: (identifier) @use)
    (variable_declaration (identifier) (builtin_function (builtin_identifier) @_f (#eq? @_f "@import"))) @import
    (identifier) @name
    """,
    Scope.FILE,
    imports.zig,
    separators=(b".",),
)

_SQL = ReferenceRules(
    """
    (invocation (object_reference name: (identifier) @call))
    (relation (object_reference name: (identifier) @use))
    (insert (object_reference name: (identifier) @use))
    (update (relation (object_reference name: (identifier) @use)))
    """,
    Scope.FILE,
    imports.none,
    separators=(b".",),
)

REFERENCES_VERSION: Final = 10
"""Part of every fingerprint; increase it when the same bytes give other references."""

RULES: Final[Mapping[str, ReferenceRules]] = {
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
    "ocaml_interface": _OCAML_INTERFACE,
    "php": _PHP,
    "python": _PYTHON,
    "ruby": _RUBY,
    "rust": _RUST,
    "scala": _SCALA,
    "sql": _SQL,
    "swift": _SWIFT,
    "tsx": _TSX,
    "typescript": _TYPESCRIPT,
    "zig": _ZIG,
}
"""The rules by language; other languages have no references."""

LANGUAGES: Final = frozenset(RULES)
"""The languages whose references are known."""
