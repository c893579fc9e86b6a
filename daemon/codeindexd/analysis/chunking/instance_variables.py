"""Finds the fields that a type has because its methods assign to them: ``self.timeout = 5``, ``@timeout = 5``.

They are where the method that constructs the type assigns to them first, or else where any method does. A name counts
once for each type, and not at all where the type declares it. Parameters that declare a field
(``constructor(private timeout: number)``) are found here too.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct
from tree_sitter import Node

from codeindexd.analysis.chunking.lines import Lines
from codeindexd.analysis.chunking.outline import MAX_DEFINITIONS, FoundDefinition
from codeindexd.analysis.chunking.rules import MAX_NAME, METHOD_OWNERS, child_of_type, source, types

_FUNCTIONS: Final = frozenset({"function", "method"})
_NAME: Final = rb"([A-Za-z_\x80-\xff][\w\x80-\xff]*)"
_SCRIPT_NAME: Final = rb"([A-Za-z_$\x80-\xff][\w$\x80-\xff]*)"


class _Language(Struct, frozen=True):
    """How a language writes a member of the receiver, and where it assigns to one.

    - ``before``: what is written directly before the name. A byte of a word or one in ``not_after`` before it means
      that something else is written there.
    - ``after``: what follows the name if it may be assigned to.
    - ``member``: the node type of the whole member.
    - ``constructors``: names of the methods whose assignments count first.
    - ``has_own_names``: fields and methods of the same name are different members.
    - ``reopens``: types of the same name are one type.
    - ``name``: a name.
    """

    before: tuple[bytes, ...]
    after: bytes
    member: frozenset[str]
    constructors: frozenset[str]
    not_after: bytes = b"."
    has_own_names: bool = False
    reopens: bool = False
    name: bytes = _NAME


class _Owner(NamedTuple):
    """What a field belongs to: a type, or in languages without one the object that ``scope`` names."""

    container: FoundDefinition | None
    scope: str = ""

    def key(self, rules: _Language) -> _Key:
        """Return what is equal for all definitions of the same type."""
        if not rules.reopens:
            return self
        path, around = [self.scope] if self.scope else [], self.container
        while around is not None:
            path.append(around.path)
            around = around.container
        return ".".join(reversed(path))


_Key = _Owner | str


class _Assignment(NamedTuple):
    """An assignment to a member: its name's place, its statement, and whether a constructor contains it."""

    name: str
    name_byte: int
    statement: Node
    is_first: bool


_SCRIPT: Final = _Language(
    (b"this.",),
    rb"\s*!?\s*(?:=(?![=>])|(?:\?\?|\|\||&&)=|,|\]|\}|(?:of|in)\b)",
    types("member_expression"),
    frozenset({"constructor"}),
    reopens=True,
    name=_SCRIPT_NAME,
)
_LANGUAGES: Final[Mapping[str, _Language]] = {
    "javascript": _SCRIPT,
    "lua": _Language(
        (b"self.",),
        rb"\s*(?:=(?!=)|,)",
        types("dot_index_expression"),
        frozenset({"new", "init", "initialize", "_init"}),
        reopens=True,
    ),
    "php": _Language(
        (b"$this->",),
        rb"\s*(?:=(?!=)|\?\?=|,|\]|\))",
        types("member_access_expression"),
        frozenset({"__construct"}),
        has_own_names=True,
    ),
    "python": _Language(
        (b"self.", b"cls."), rb"\s*(?:=(?!=)|:(?!=)|,|\)|\]|in\b)", types("attribute"), frozenset({"__init__"})
    ),
    "ruby": _Language(
        (b"@",),
        rb"\s*(?:=(?![=~])|\|\|=|,|\)|in\b)",
        types("instance_variable class_variable"),
        frozenset({"initialize"}),
        reopens=True,
        not_after=b"",
        has_own_names=True,
    ),
    "tsx": _SCRIPT,
    "typescript": _SCRIPT,
}
_PATTERNS: Final = types(
    "array_pattern as_pattern_target assignment_pattern by_ref destructured_left_assignment left_assignment_list"
    " list_literal list_pattern list_splat_pattern non_null_expression object_pattern pair pair_pattern pattern_list"
    " rest_assignment rest_pattern tuple_pattern variable_list"
)
"""Types of nodes between a member and the statement that assigns to it."""

_ASSIGNMENTS: Final = types(
    "assignment assignment_expression assignment_statement augmented_assignment_expression operator_assignment"
    " reference_assignment_expression"
)
"""Types of nodes that begin with what they assign to."""

_LOOPS: Final = {"for": "pattern", "for_in_statement": "left", "for_statement": "left"}
"""Types of loops, and the field of what they assign to."""

_SCRIPTS: Final = frozenset({"javascript", "tsx", "typescript"})
_SCRIPT_FUNCTIONS: Final = types(
    "function_declaration function_expression generator_function generator_function_declaration method_definition"
)
"""Types of nodes with a ``this`` of their own."""

_SCRIPT_VALUES: Final = _SCRIPT_FUNCTIONS | types("class class_declaration abstract_class_declaration")

_PARAMETERS: Final = {"php": "property", "typescript": "field", "tsx": "field"}
"""The kind of a field that a parameter of a constructor declares."""


def instance_variables(
    root: Node, lines: Lines, language: str, found: Sequence[FoundDefinition]
) -> list[FoundDefinition]:
    """Return the fields that are assigned to in the methods of types; ``found`` are all other definitions.

    Functions among ``found`` that are assigned to a member become members of the same type.
    """
    rules = _LANGUAGES.get(language)
    if rules is None:
        return []
    out = list(_parameters(found, lines, language))
    if not any(before in lines.text for before in rules.before):
        return out
    declared = _declared([*found, *out], rules)
    values = {definition.name_byte: definition for definition in found}
    assigned: dict[tuple[_Key, str], tuple[_Owner, _Assignment]] = {}
    owners = _owners(found, language)
    for name, start, at, end in _candidates(lines.text, rules):
        owner, function = owners.around(root, start)
        if owner is None or (key := (owner.key(rules), name)) in declared:
            continue
        is_first = function in rules.constructors
        if (known := assigned.get(key)) is not None and known[1].is_first >= is_first:
            continue
        statement = _statement(root, start, end, rules)
        if statement is None:
            continue
        if (value := values.get(at)) is not None:  # a function, or an object with functions
            value.container, value.path = owner.container, _path(owner, name)
            if value.listed:
                declared.add(key)
                continue
        assigned[key] = owner, _Assignment(name, at, statement, is_first)
    out += [_field(owner, assignment, lines) for key, (owner, assignment) in assigned.items() if key not in declared]
    return out[: max(0, MAX_DEFINITIONS - len(found))]


def _owners(found: Sequence[FoundDefinition], language: str) -> _Owners | _LuaOwners | _ScriptOwners:
    if language in _SCRIPTS:
        return _ScriptOwners(found)
    return _LuaOwners(found) if language == "lua" else _Owners(found, language)


def _candidates(text: bytes, rules: _Language) -> Iterator[tuple[str, int, int, int]]:
    """Yield (name, offset of the member, offsets of the name and its end) of members that may be assigned to."""
    for before in rules.before:
        # It begins with a constant, which makes it fast.
        pattern = re.compile(re.escape(before) + rules.name + b"(?=" + rules.after + b")")
        for match in pattern.finditer(text):
            start = match.start()
            previous = text[start - 1 : start]
            is_spread = text[start - 3 : start] == b"..."
            if rules.not_after and (
                previous.isalnum() or previous in (b"_", b"$") or (previous == rules.not_after and not is_spread)
            ):
                continue
            if previous == b"@":
                start -= 1
            if len(match[1]) <= MAX_NAME:
                yield match[1].decode("utf-8", "replace"), start, match.start(1), match.end(1)


def _statement(root: Node, start: int, end: int, rules: _Language) -> Node | None:
    """Return the node that assigns to the member from ``start`` to ``end``, None if nothing there does."""
    node = root.descendant_for_byte_range(start, end)
    if node is None or node.type not in rules.member or node.start_byte != start or node.end_byte != end:
        return None
    above = node.parent
    while above is not None and above.type in _PATTERNS:
        if _is_key_or_default(node, above):
            return None
        node, above = above, above.parent
    if above is None:
        return None
    if above.type in _ASSIGNMENTS:
        return above if above.start_byte == node.start_byte else None
    if above.type == "as_pattern":
        return above
    if above.type == "foreach_statement":  # of PHP
        return node if above.named_children[0] != node else None
    field = _LOOPS.get(above.type)
    return node if field is not None and above.child_by_field_name(field) == node else None


def _is_key_or_default(node: Node, pattern: Node) -> bool:
    """Return True for what a pattern does not assign to: ``a`` of PHP's ``[a => b]``, ``b`` of ``[a = b]``."""
    if pattern.type == "list_literal":
        return node.next_sibling is not None and node.next_sibling.type == "=>"
    return pattern.type == "assignment_pattern" and pattern.start_byte != node.start_byte


def _declared(found: Iterable[FoundDefinition], rules: _Language) -> set[tuple[_Key, str]]:
    """Return the members that types declare."""
    out: set[tuple[_Key, str]] = set()
    for definition in found:
        if rules.has_own_names and definition.kind in _FUNCTIONS:
            continue
        scope, _, name = definition.path.rpartition(".")
        out.add((_Owner(definition.container, scope).key(rules), name))
    return out


def _parameters(found: Iterable[FoundDefinition], lines: Lines, language: str) -> Iterator[FoundDefinition]:
    """Yield the fields that the parameters of constructors declare."""
    kind = _PARAMETERS.get(language)
    constructors = _LANGUAGES[language].constructors
    for definition in found:
        if (
            kind is None
            or definition.node is None
            or definition.name not in constructors
            or not _is_type(definition.container)
        ):
            continue
        parameters = definition.node.child_by_field_name("parameters")
        for parameter in parameters.named_children if parameters is not None else ():
            name = _declaring(parameter)
            if name is not None:
                written = source(name, lines.text)
                assignment = _Assignment(written, name.start_byte, parameter, is_first=True)
                yield _field(_Owner(definition.container), assignment, lines, kind)


def _declaring(parameter: Node) -> Node | None:
    """Return the name of a parameter that declares a field; None if it does not."""
    if parameter.type == "property_promotion_parameter":  # PHP
        variable = parameter.child_by_field_name("name")
        return child_of_type(variable, "name") if variable is not None else None
    name = parameter.child_by_field_name("pattern")
    if name is None or name.type != "identifier":
        return None
    is_field = any(child.type in _PARAMETER_MODIFIERS for child in parameter.children)
    return name if is_field else None


_PARAMETER_MODIFIERS: Final = types("accessibility_modifier readonly override_modifier")


def _is_type(definition: FoundDefinition | None) -> bool:
    return definition is not None and definition.kind in METHOD_OWNERS


def _path(owner: _Owner, name: str) -> str:
    return f"{owner.scope}.{name}" if owner.scope else name


def _field(owner: _Owner, assignment: _Assignment, lines: Lines, kind: str = "field") -> FoundDefinition:
    start, end = lines.spanned(assignment.statement.start_byte, assignment.statement.end_byte)
    path = _path(owner, assignment.name)
    parent = owner.container
    qualified = f"{parent.qualified}.{path}" if parent is not None else path
    return FoundDefinition(
        start,
        end,
        kind,
        assignment.name,
        qualified,
        parent,
        is_detail=True,
        container=parent,
        path=path,
        name_byte=assignment.name_byte,
        node=assignment.statement,
    )


class _Nested:
    """Definitions whose nodes contain one another, by the places of these nodes."""

    def __init__(self, definitions: Iterable[FoundDefinition]) -> None:
        places = sorted(
            (definition.node.start_byte, -definition.node.end_byte, number, definition)
            for number, definition in enumerate(definitions)
            if definition.node is not None
        )
        self._starts = [start for start, _, _, _ in places]
        self._ends = [-end for _, end, _, _ in places]
        self._definitions = [definition for _, _, _, definition in places]
        self._outer: list[int] = []
        for number, start in enumerate(self._starts):
            self._outer.append(self._number(number - 1, start))

    def _number(self, number: int, offset: int) -> int:
        while number >= 0 and self._ends[number] <= offset:
            number = self._outer[number]
        return number

    def around(self, offset: int) -> FoundDefinition | None:
        """Return the innermost definition around a place."""
        number = self._number(bisect_right(self._starts, offset) - 1, offset)
        return self._definitions[number] if number >= 0 else None


class _Owners:
    """The types to which the methods around a place belong."""

    def __init__(self, found: Sequence[FoundDefinition], language: str) -> None:
        kinds = METHOD_OWNERS | {"module"} if language == "ruby" else METHOD_OWNERS
        self._types = _Nested(definition for definition in found if definition.kind in kinds)
        self._functions = _Nested(definition for definition in found if definition.kind in _FUNCTIONS)

    def around(self, _root: Node, offset: int) -> tuple[_Owner | None, str]:
        """Return the owner of the member at ``offset``, None if it has none, and the name of the function around it."""
        owner, function = self._types.around(offset), self._functions.around(offset)
        return (_Owner(owner) if owner is not None else None), (function.name if function is not None else "")


class _LuaOwners:
    """The objects to which the functions around a place belong: ``Client`` of ``function Client:connect()``."""

    def __init__(self, found: Sequence[FoundDefinition]) -> None:
        self._functions = _Nested(definition for definition in found if definition.kind in _FUNCTIONS)

    def around(self, _root: Node, offset: int) -> tuple[_Owner | None, str]:
        """Return what :meth:`_Owners.around` does."""
        function = self._functions.around(offset)
        while function is not None and not (_is_of_table(function) and not _begins_at(function, offset)):
            function = function.container
        if function is None:
            return None, ""
        return _Owner(function.container, function.path.rpartition(".")[0]), function.name


def _is_of_table(definition: FoundDefinition) -> bool:
    """Return True for ``f`` of ``function M.f() end`` and of ``M = { f = function() end }``."""
    return "." in definition.path or (definition.container is not None and definition.container.kind == "module")


def _begins_at(definition: FoundDefinition, offset: int) -> bool:
    """Return True for the function that is assigned to the member at ``offset``."""
    return definition.node is not None and definition.node.start_byte == offset


class _ScriptOwners:
    """The classes, or the objects with a prototype, to which ``this`` belongs at a place."""

    def __init__(self, found: Sequence[FoundDefinition]) -> None:
        self._by_start: dict[int, FoundDefinition] = {}
        for definition in found:
            value = _value_of(definition)
            if value is not None:
                self._by_start.setdefault(value.start_byte, definition)  # ``a.b = function c() {}`` is ``a.b``

    def around(self, root: Node, offset: int) -> tuple[_Owner | None, str]:
        """Return what :meth:`_Owners.around` does."""
        node = root.descendant_for_byte_range(offset, offset)
        while node is not None and node.type not in _SCRIPT_FUNCTIONS and node.type != "class_body":
            node = node.parent
        if node is not None and node.type == "class_body":  # in the function that is the value of a field
            owner = self._by_start.get(node.parent.start_byte) if node.parent is not None else None
            return (_Owner(owner) if _is_class(owner) else None), ""
        function = self._by_start.get(node.start_byte) if node is not None else None
        if node is None or function is None:
            return None, ""
        if node.type == "method_definition" or _is_class(function.container):
            return (_Owner(function.container) if _is_class(function.container) else None), function.name
        scope, _, name = function.path.rpartition(".")
        if scope:
            return _Owner(function.container, scope), name
        return (_Owner(function.container, name), "constructor") if name[:1].isupper() else (None, "")


def _is_class(definition: FoundDefinition | None) -> bool:
    return definition is not None and definition.kind == "class"


def _value_of(definition: FoundDefinition) -> Node | None:
    """Return the node of the function or class that a definition is, or whose name it is: ``a.b = function () {}``."""
    node = definition.node
    if node is None or node.type in _SCRIPT_VALUES:
        return node
    value = node.child_by_field_name("right") or node.child_by_field_name("value")
    return value if value is not None and value.type in _SCRIPT_VALUES else None
