"""Reads the type of a variable where the code around it says it plainly: declared, or constructed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_TYPE: Final = r"(?:\w+(?:\.|::))*(_*[A-Z]\w*)"
_NO_TYPES: Final = frozenset(
    {"None", "True", "False", "Optional", "Union", "Any", "Self", "Promise", "Awaitable", "NULL"}
)
_WRAPPERS: Final = r"(?:(?:Optional|Union|Promise|Awaitable|Final|ClassVar|Box|Rc|Arc|RefCell|Option|Mutex)[\[<])*"
_MOST_TYPES: Final = 3


@lru_cache(maxsize=2048)
def _patterns(variable: str, language: str, *, is_attribute: bool) -> tuple[re.Pattern[str], ...]:
    """Return the patterns whose group is the type of a variable."""
    name = rf"(?<![\w$]){re.escape(variable)}" if is_attribute else rf"(?<![\w.$>]){re.escape(variable)}"
    value = rf":?=\s*(?:await\s+|new\s+|&|\*)*{_TYPE}"
    found = [
        rf"{name}\s*\??\s*:\s*[&*]*(?:mut\s+|dyn\s+|const\s+)*[\"']?{_WRAPPERS}[\"']?{_TYPE}",  # x: Type
        rf"{name}\s*(?::[^=\n]+)?{value}",  # x = Type(...)
        rf"\b{_TYPE}(?:<[^<>;()]*>)?\s*[*&]*\s+[*&]*{re.escape(variable)}\b\s*[=;,):]",  # Type x
        rf"\b{_TYPE}\([^\n]*\)\s+as\s+{name}\b",  # with Type(...) as x
    ]
    if language == "go":
        found = [rf"{name}\s+\*?(?:\w+\.)?(_*[A-Z]\w*)\b", rf"{name}(?:\s*,\s*\w+)*\s*:?=\s*&?(?:\w+\.)?([A-Z]\w*)\{{"]
    return tuple(re.compile(pattern) for pattern in found)


def plain_types(text: str, variable: str, language: str, *, is_attribute: bool) -> list[str]:
    """Return the names of the types that ``text`` declares a variable with or constructs it from, at most three."""
    patterns = _patterns(variable, language, is_attribute=is_attribute)
    names = dict.fromkeys(match for pattern in patterns for match in pattern.findall(text) if match not in _NO_TYPES)
    return list(names) if len(names) <= _MOST_TYPES else []


def called_for(text: str, variable: str, *, is_attribute: bool) -> str:
    """Return the name of the function whose result a variable gets; "" if it gets others, too."""
    name = rf"(?<![\w$]){re.escape(variable)}" if is_attribute else rf"(?<![\w.$>]){re.escape(variable)}"
    found = set(re.findall(rf"{name}\s*(?::[^=\n]+)?:?=\s*(?:await\s+)?(?:\w+(?:\.|::|->))*([a-z_]\w*)\(", text))
    return str(found.pop()) if len(found) == 1 else ""


_ARROW: Final = re.compile(rf"->\s*[&\"']*{_WRAPPERS}[\"']?{_TYPE}")
_COLON: Final = re.compile(rf"\)\s*:\s*{_WRAPPERS}{_TYPE}")
_BEFORE: Final = re.compile(rf"{_TYPE}(?:<[^<>]*>)?[\s*&]+\w+\s*\(")
_GO_RESULT: Final = re.compile(r"\)\s*\(?(?:\w+\s+)?\*?(?:\w+\.)?([A-Z]\w*)\b")


def returned_type(signature: str, language: str) -> str:
    """Return the name of the type that a function with this signature returns; "" if it does not say."""
    pattern = _GO_RESULT if language == "go" else None
    for one in [pattern] if pattern is not None else (_ARROW, _COLON, _BEFORE):
        if (match := one.search(signature)) and match[1] not in _NO_TYPES:
            return match[1]
    return ""
