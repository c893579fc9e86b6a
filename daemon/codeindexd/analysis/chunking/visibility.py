"""Says who may use a definition, by the rules of its language: keywords, conventions of names, access labels."""

from __future__ import annotations

import re
from typing import Final

from codeindexd.analysis.chunking.access_labels import AccessLabels
from codeindexd.analysis.chunking.outline import FoundDefinition
from codeindexd.types import Visibility

_WORDS: Final = {
    b"public": Visibility.PUBLIC,
    b"open": Visibility.PUBLIC,
    b"export": Visibility.PUBLIC,
    b"pub": Visibility.PUBLIC,
    b"internal": Visibility.INTERNAL,
    b"protected": Visibility.PROTECTED,
    b"private": Visibility.PRIVATE,
    b"fileprivate": Visibility.PRIVATE,
}
_MODIFIER: Final = re.compile(rb"\b(?:" + b"|".join(_WORDS) + rb")\b")
_RESTRICTED: Final = re.compile(rb"\bpub\s*\(\s*(?:crate|super|in)\b")
_STATIC: Final = re.compile(rb"\bstatic\b")
_UNLESS_STATED: Final = {  # for definitions without a modifier, where the language defines it
    "csharp": Visibility.PRIVATE,
    "java": Visibility.INTERNAL,
    "kotlin": Visibility.PUBLIC,
    "php": Visibility.PUBLIC,
    "rust": Visibility.PRIVATE,
    "scala": Visibility.PUBLIC,
    "swift": Visibility.INTERNAL,
    "zig": Visibility.PRIVATE,
}
_WITH_MODIFIERS: Final = frozenset({*_UNLESS_STATED, "typescript", "tsx", "javascript"})
_WITH_VISIBILITY: Final = _WITH_MODIFIERS | {"c", "cpp", "elixir", "ruby"}
_PUBLIC_OWNERS: Final = frozenset({"interface", "trait", "enum"})
_ELIXIR_PRIVATE: Final = (b"defp ", b"defp(", b"defmacrop", b"defguardp")
_READ: Final = 300  # bytes before a name, in which its modifiers are looked for


def visibility(definition: FoundDefinition, text: bytes, language: str, labels: AccessLabels) -> Visibility:
    """Return the visibility of a definition, UNKNOWN where its language has none or the text does not say.

    ``labels`` are those of the text.
    """
    if language == "python":
        is_private = definition.name.startswith("_") and not (
            definition.name.startswith("__") and definition.name.endswith("__")
        )
        return Visibility.PRIVATE if is_private else Visibility.PUBLIC
    if language == "go":
        return Visibility.PUBLIC if definition.name[:1].isupper() else Visibility.INTERNAL
    if definition.node is None or language not in _WITH_VISIBILITY:
        return Visibility.UNKNOWN
    start = max(definition.node.start_byte, definition.name_byte - _READ)
    head = text[start : definition.name_byte]
    if language in ("cpp", "ruby"):
        found = labels.of(definition.node, definition.kind, definition.name)
        is_static = (
            language == "cpp" and found is Visibility.UNKNOWN and definition.container is None and _STATIC.search(head)
        )
        return Visibility.PRIVATE if is_static else found
    if language == "c":
        return Visibility.PRIVATE if _STATIC.search(head) else Visibility.UNKNOWN
    if language == "elixir":
        return Visibility.PRIVATE if head.startswith(_ELIXIR_PRIVATE) else Visibility.PUBLIC
    return _by_modifier(definition, head, language)


def _by_modifier(definition: FoundDefinition, head: bytes, language: str) -> Visibility:
    if language == "rust" and _RESTRICTED.search(head):
        return Visibility.INTERNAL
    if match := _MODIFIER.search(head):
        return _WORDS[match[0]]
    owner = definition.container.kind if definition.container is not None else ""
    if language in ("javascript", "typescript", "tsx"):
        return Visibility.PRIVATE if head.endswith(b"#") else Visibility.UNKNOWN
    if owner in _PUBLIC_OWNERS:
        return Visibility.PUBLIC
    if language == "csharp" and owner not in ("class", "struct"):
        return Visibility.INTERNAL
    return _UNLESS_STATED[language]
