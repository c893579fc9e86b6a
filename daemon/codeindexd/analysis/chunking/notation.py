"""Writes qualified names, which have dots inside the program, in the notation of their language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from codeindexd.types import Definition


class _Notation(NamedTuple):
    """How a language separates the parts of a name: those of a scope, and a member from its type."""

    scope: str
    member: str


_NOTATIONS: Final = {
    "cpp": _Notation("::", "::"),
    "perl": _Notation("::", "::"),
    "php": _Notation("\\", "::"),
    "ruby": _Notation("::", "#"),
    "rust": _Notation("::", "::"),
}
_DOTS: Final = _Notation(".", ".")
_MEMBERS: Final = frozenset({"method", "constructor", "field", "property", "constant", "enum_member", "variable"})
_SCOPES: Final = frozenset({"module", "namespace", "package"})
_CPP_KINDS: Final = frozenset({"class", "namespace", "method"})
_CLASS_METHOD: Final = "def self."


def native_name(outline: Sequence[Definition], number: int, language: str) -> str:
    """Return the qualified name of the definition ``outline[number]`` as its language writes it: ``geo::Point``."""
    if language == "c" and any(definition.kind in _CPP_KINDS for definition in outline):
        language = "cpp"  # a header, whose name does not tell
    notation = _NOTATIONS.get(language, _DOTS)
    definition = outline[number]
    if notation is _DOTS:
        return definition.qualified
    if definition.container < 0:
        return definition.qualified.replace(".", notation.scope)
    container = outline[definition.container]
    own = definition.qualified.removeprefix(f"{container.qualified}.").replace(".", notation.scope)
    return native_name(outline, definition.container, language) + _separator(definition, container, notation) + own


def _separator(definition: Definition, container: Definition, notation: _Notation) -> str:
    if definition.kind not in _MEMBERS or (container.kind in _SCOPES and notation.member != "#"):
        return notation.scope
    if notation.member == "#":  # Ruby: members of instances, of the class itself, constants
        if definition.kind not in ("method", "constructor", "field", "property"):
            return notation.scope
        return "." if definition.signature.startswith(_CLASS_METHOD) else notation.member
    return notation.member


_EXTENSION: Final = re.compile(r"\b(?:fun|va[lr])\b[^=]*?(?:\b(\w+)\s*(?:<[^=]*>)?\??|\))\s*\.$")
"""The head of an extension in Kotlin up to its name, such as ``fun <T> List<T>.``; its group is the extended type."""


def extended_type(definition: Definition) -> str | None:
    """Return the name of the type that an extension in Kotlin extends, "" for a type of functions; None for others."""
    head, name, _ = definition.signature.partition(f".{definition.name}")
    match = _EXTENSION.search(f"{head}.") if name else None
    return (match[1] or "") if match is not None else None


def is_companion(outline: Sequence[Definition], number: int, language: str) -> bool:
    """Return True for a companion object of Kotlin, whose members are called like those of the type around it."""
    definition = outline[number]
    return (
        language == "kotlin"
        and definition.kind == "object"
        and definition.container >= 0
        and "companion object" in definition.signature
    )


def spellings(outline: Sequence[Definition], number: int, language: str) -> Iterator[str]:
    """Yield the qualified names, with dots, by which code may call the definition ``outline[number]``."""
    definition = outline[number]
    yield definition.qualified
    if definition.container >= 0 and is_companion(outline, definition.container, language):
        yield f"{outline[outline[definition.container].container].qualified}.{definition.name}"
    if language == "kotlin" and (extended := extended_type(definition)):
        yield f"{extended}.{definition.name}"
