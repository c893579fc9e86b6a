"""Reads the types of variables where the code says them plainly: declared, or constructed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

_TYPE: Final = r"(?:\w+(?:\.|::))*(_*[A-Z]\w*)"
_NAME: Final = r"(?<![\w$])([\w$]+)"
_NO_TYPES: Final = frozenset(
    {"None", "True", "False", "Optional", "Union", "Any", "Self", "Promise", "Awaitable", "NULL"}
)
_WRAPPERS: Final = r"(?:(?:Optional|Union|Promise|Awaitable|Final|ClassVar|Box|Rc|Arc|RefCell|Option|Mutex)[\[<])*"
_C_FAMILY: Final = frozenset({"c", "cpp"})
_MOST_TYPES: Final = 3
_MOST_TEXT: Final = 200_000  # characters of a definition that are read

_PATTERNS: Final = (  # groups: variable, type
    re.compile(rf"{_NAME}\s*\??\s*:\s*[&*]*(?:mut\s+|dyn\s+|const\s+)*[\"']?{_WRAPPERS}[\"']?{_TYPE}"),  # x: Type
    re.compile(rf"{_NAME}\s*(?::[^=\n]+)?:?=\s*(?:await\s+|new\s+|&|\*)*{_TYPE}"),  # x = Type(...)
)
_REVERSED: Final = (  # groups: type, variable
    re.compile(rf"\b{_TYPE}(?:<[^<>;()]*>)?\s*[*&]*\s+[*&]*([\w$]+)\s*[=;,):]"),  # Type x
    re.compile(rf"\b{_TYPE}\([^\n]*\)\s+as\s+([\w$]+)"),  # with Type(...) as x
)
_GO_PATTERNS: Final = (
    re.compile(rf"{_NAME}\s+\*?(?:\w+\.)?(_*[A-Z]\w*)\b"),
    re.compile(rf"{_NAME}(?:\s*,\s*\w+)*\s*:?=\s*&?(?:\w+\.)?([A-Z]\w*)\{{"),
)
_C_PATTERNS: Final = (  # groups: type, variable; names of types in C are like others
    re.compile(r"\b(?:struct|union)\s+(\w+)[\s*]+(?:const\s+)?\**(\w+)\s*[=;,)\[]"),  # struct node *x
    re.compile(r"\b(\w+_t)[\s*]+(?:const\s+)?\**(\w+)\s*[=;,)\[]"),  # node_t *x
)
_RESULT: Final = re.compile(rf"{_NAME}\s*(?::[^=\n]+)?:?=\s*(?:await\s+)?(?:\w+(?:\.|::|->))*([a-z_]\w*)\(")


_KEPT: Final = re.compile(  # self.x = x, this.x = x, $this->x = $x
    r"(?:self|this)\s*(?:\.|->)\s*(\w+)\s*(?::[^=\n]+)?=\s*(\$?\w+)(?:\s*(?:or|\|\||\?\?)[^\n]*)?\s*;?\s*(?:#[^\n]*|//[^\n]*)?$",
    re.MULTILINE,
)
"""Groups: an attribute, and the variable or parameter from which it gets its value."""


_BOUND: Final = re.compile(r"(?<![\w.])([\w$]+)\s*(?::[^=\n]+)?:?=(?![=>])|\b(?:for|as)\s+(\w+)")


class TypeHints(Struct, frozen=True):
    """The types that a text declares variables with or constructs them from, and the functions they get results of.

    ``bound`` has the names to which it gives a value in any way.
    """

    types: Mapping[str, list[str]] = field(default_factory=dict)
    functions: Mapping[str, list[str]] = field(default_factory=dict)
    bound: frozenset[str] = frozenset()

    def types_of(self, variable: str) -> list[str]:
        """Return the types of a variable; [] if there are none, or too many to mean anything."""
        found = self.types.get(variable, [])
        return found if len(found) <= _MOST_TYPES else []

    def called_for(self, variable: str) -> str:
        """Return the name of the function whose result a variable gets; "" if there is none or several."""
        found = self.functions.get(variable, [])
        return found[0] if len(found) == 1 else ""


def type_hints(text: str, language: str) -> TypeHints:
    """Return what a text, the code of one definition, says about the types of its variables and attributes."""
    text = text[:_MOST_TEXT]
    types: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for pattern in _GO_PATTERNS if language == "go" else _PATTERNS:
        for variable, name in pattern.findall(text):
            types[variable][name] = None
    for pattern in () if language == "go" else (*_C_PATTERNS, *_REVERSED) if language in _C_FAMILY else _REVERSED:
        for name, variable in pattern.findall(text):
            types[variable][name] = None
    for attribute, variable in _KEPT.findall(text):
        for name in types.get(variable, ()) if attribute != variable else ():
            types[attribute][name] = None
    functions: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for variable, name in _RESULT.findall(text):
        functions[variable][name] = None
    return TypeHints(
        {
            variable: kept
            for variable, names in types.items()
            if (kept := [one for one in names if one not in _NO_TYPES])
        },
        {variable: list(names) for variable, names in functions.items()},
        frozenset(assigned or other for assigned, other in _BOUND.findall(text)),
    )


_ARROW: Final = re.compile(rf"->\s*[&\"']*{_WRAPPERS}[\"']?{_TYPE}")
_COLON: Final = re.compile(rf"\)\s*:\s*{_WRAPPERS}{_TYPE}")
_BEFORE: Final = re.compile(rf"{_TYPE}(?:<[^<>]*>)?[\s*&]+\w+\s*\(")
_GO_RESULT: Final = re.compile(r"\)\s*\(?(?:\w+\s+)?\*?(?:\w+\.)?([A-Z]\w*)\b")


def returned_type(signature: str, language: str) -> str:
    """Return the name of the type that a function with this signature returns; "" if it does not say."""
    for pattern in (_GO_RESULT,) if language == "go" else (_ARROW, _COLON, _BEFORE):
        if (match := pattern.search(signature)) and match[1] not in _NO_TYPES:
            return match[1]
    return ""
