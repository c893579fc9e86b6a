"""Reads queries that ask for a definition by its name: ``class Session``, ``pub fn spawn(``, ``Session class``.

The head of a definition is what a developer remembers of it, or copies from elsewhere. It is found by its kind and its
name, whatever else the code says about the words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from codeindexd.analysis.chunking.samples import DOCUMENTS
from codeindexd.storage.catalog import CatalogSnapshot
from codeindexd.types import StoredChunk

_MOST_CHARS: Final = 300
_MOST_FILES: Final = 300  # that define a name; reading more outlines takes long, and the name says little
_MOST_DEFINITIONS: Final = 50
_TYPES: Final = frozenset(
    {"alias", "class", "enum", "extension", "impl", "interface", "object", "struct", "trait", "type", "union"}
)
_MODULES: Final = frozenset({"class", "extension", "module", "namespace", "object", "package"})
_FUNCTIONS: Final = frozenset({"constructor", "function", "macro", "method", "property"})
_VALUES: Final = frozenset({"constant", "enum_member", "field", "function", "macro", "property", "variable"}) | _TYPES
_KINDS: Final = {
    **dict.fromkeys(("class", "enum", "interface", "object", "record", "struct", "trait", "type", "union"), _TYPES),
    **dict.fromkeys(("actor", "data", "extension", "newtype", "protocol", "typealias", "typedef"), _TYPES),
    **dict.fromkeys(("defmodule", "defprotocol", "module", "namespace", "package"), _MODULES | _TYPES),
    **dict.fromkeys(("def", "fn", "fun", "func", "function", "method", "proc", "sub"), _FUNCTIONS),
    **dict.fromkeys(("defmacro", "defmacrop", "defp", "macro", "macro_rules!"), _FUNCTIONS),
    **dict.fromkeys(("#define", "const", "constant", "let", "local", "val", "var", "variable"), _VALUES),
}
_NOUNS: Final = frozenset({
    "class", "constant", "data", "definition", "extension", "fun", "function", "implementation", "interface", "let",
    "local", "macro", "method", "module", "namespace", "object", "package", "protocol", "record", "sub", "type",
    "union", "variable",
})  # fmt: skip
"""Keywords that are words of plain English as well."""

_MODIFIER: Final = (
    r"(?:abstract|async|case|companion|const|declare|default|enum|export|extern|final|friend|implicit|inline|inner"
    r"|internal|lazy|local|open|override|partial|private|protected|public|pub(?:\([^()]*\))?|readonly|sealed|static"
    r"|suspend|typedef|unsafe|value|virtual|data)"
)
_NAME: Final = r"[A-Za-z_$][\w$]*[?!]?(?:(?:\.|::|:|\\|#)[A-Za-z_$][\w$]*[?!]?)*"
_HEAD: Final = re.compile(
    rf"(?:{_MODIFIER}\s+)*(?P<keyword>{'|'.join(map(re.escape, sorted(_KINDS)))})\s+(?:\([^()]*\)\s*)?(?P<name>{_NAME})"
    r"\s*(?:[(<\[{:=;,|].*|(?:extends|implements|deriving)\b.*|(?:struct|interface|do)\s*\{?)?"
)
_NAME_FIRST: Final = re.compile(
    rf"(?P<name>{_NAME})\s+(?P<keyword>class|constant|enum|function|interface|macro|method|module|namespace|object"
    r"|protocol|struct|trait|type|variable|definition|implementation)"
)
_WHERE: Final = re.compile(
    rf"(?:where (?:is|are) |definition of |(?:go to|find|show) the definition of )(?:the )?"
    rf"(?:(?P<keyword>class|enum|function|interface|macro|method|module|object|struct|trait|type) )?(?P<name>{_NAME})"
    r"(?P<end> (?:defined|declared|implemented))?\??",
    re.IGNORECASE,
)
_WORD: Final = re.compile("[a-z]+")
_TOPIC: Final = re.compile("[a-z]+|[A-Z]+")  # ``JSON object`` need not be a class
_WITH_UNDERSCORES: Final = re.compile(r"_+[A-Za-z]\w*|[A-Za-z]\w*_")
_SEPARATOR: Final = re.compile(r"::|[:\\#]")


class Declaration(Struct, frozen=True):
    """A definition that a query asks for: its name, with dots between its parts, and its kind, one of ``kinds``.

    Any kind if there are none. ``is_certain`` is False for words that may as well be about something else, such as
    ``type inference``.
    """

    name: str
    kinds: frozenset[str]
    is_certain: bool


def declaration_in(text: str) -> Declaration | None:
    """Return the definition that a query asks for by its name; None if it does not, or asks for more than that."""
    text = text.strip()
    if len(text) > _MOST_CHARS or "\n" in text:
        return None
    if _WITH_UNDERSCORES.fullmatch(text):
        return Declaration(text, frozenset(), is_certain=True)
    may_be_topic = _WORD
    if found := _HEAD.fullmatch(text):
        keyword, name = found["keyword"], found["name"]
    elif found := _NAME_FIRST.fullmatch(text):
        keyword, name, may_be_topic = found["keyword"], found["name"], _TOPIC
    elif (found := _WHERE.fullmatch(text)) and (found["end"] or not text.lower().startswith("where")):
        keyword, name = (found["keyword"] or "definition").lower(), found["name"]
    else:
        return None
    is_certain = keyword not in _NOUNS or not may_be_topic.fullmatch(name)
    return Declaration(_SEPARATOR.sub(".", name), _KINDS.get(keyword, frozenset()), is_certain)


def chunks_declaring(catalog: CatalogSnapshot, declaration: Declaration) -> Iterator[tuple[StoredChunk, int, bool]]:
    """Yield the chunk and the line of each definition that ``declaration`` asks for, and whether it certainly does.

    Nothing for a name that more than 300 files define. Definitions in documents and names in another case count only if
    there are no others; another case is not certain.
    """
    last = declaration.name.rpartition(".")[2]
    if len(catalog.files_defining([last])) > _MOST_FILES:
        return
    found = catalog.definitions_named(
        declaration.name,
        limit=_MOST_DEFINITIONS,
        accepts=lambda one: not declaration.kinds or one.kind in declaration.kinds,
    )
    in_this_case = [one for one in found if one.definition.name == last]
    in_code = [one for one in in_this_case or found if one.chunk.language not in DOCUMENTS]
    for one in in_code or in_this_case or found:
        yield one.chunk, one.definition.line, declaration.is_certain and bool(in_this_case)
