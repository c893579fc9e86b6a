"""Finds the documentation of a definition: the first sentence of its docstring, or of the comment above it."""

from __future__ import annotations

import re
from typing import Final

from codeindexd.analysis.chunking.lines import Lines
from codeindexd.analysis.chunking.outline import FoundDefinition

MAX_DOC: Final = 160  # characters
_MOST_ROWS: Final = 40  # of a comment that are read
_READ: Final = 600  # bytes of a docstring that are read
_SENTENCE: Final = re.compile(r"(.+?[.!?])(?=\s|$)")
_DOCSTRING: Final = re.compile(rb"""[rRuUbB]{0,2}("{3}|'{3}|"|')(.*)""", re.DOTALL)
_LINE_COMMENTS: Final = {
    "#": (
        *("bash", "elixir", "hcl", "julia", "php", "python", "ruby", "toml", "yaml"),
        *(
            "awk",
            "bazel",
            "cmake",
            "crystal",
            "dockerfile",
            "fish",
            "gdscript",
            "graphql",
            "make",
            "nim",
            "nix",
            "perl",
        ),
        *("powershell", "r", "starlark", "tcl", "thrift"),
    ),
    "--": ("elm", "haskell", "lua", "sql"),
    ";": ("clojure", "commonlisp", "elisp", "racket", "scheme"),
    "%": ("erlang",),
    "!": ("fortran",),
    '"': ("vim",),
}
_BY_LANGUAGE: Final = {
    language: marker.encode() for marker, languages in _LINE_COMMENTS.items() for language in languages
}
_BLOCK_ENDS: Final = {b"*/": b"/*", b"-}": b"{-", b"*)": b"(*", b"]]": b"--[["}
_SKIPPED: Final = (b"@", b"#[", b"[", b"template", b"inline", b"export")  # rows between a comment and its definition
_DECORATION: Final = re.compile(r"^[\s/*#!<;|=~^(){}\[\]-]+|[\s/*=~#-]+$")
_NOT_PROSE: Final = re.compile(
    r"noqa|type:|pylint|eslint|ts-ignore|@ts-|prettier|clang-format|NOLINT|region|endregion|pragma|TODO|FIXME|XXX"
    r"|(?-i:LANGUAGE|OPTIONS|INLIN|NOINLINE|SPECIALI|MINIMAL)",  # pragmas of Haskell
    re.IGNORECASE,
)


def documentation(definition: FoundDefinition, lines: Lines, language: str) -> str:
    """Return the first sentence of a definition's documentation, at most ``MAX_DOC`` characters; "" without one."""
    if definition.kind in ("section", "key", "table", "impl"):
        return ""
    if language == "python" and (text := _docstring(definition, lines.text)):
        return _first_sentence(text)
    return _first_sentence(_comment_above(definition.start, lines, language))


def _docstring(definition: FoundDefinition, text: bytes) -> str:
    body = definition.node.child_by_field_name("body") if definition.node is not None else None
    if body is None:
        return ""
    start = body.start_byte
    match = _DOCSTRING.match(text[start : min(body.end_byte, start + _READ)])
    if match is None:
        return ""
    return match[2].partition(match[1])[0].decode("utf-8", "replace")


def _comment_above(row: int, lines: Lines, language: str) -> str:
    """Return the text of the comment that ends on the row before ``row``, apart from annotations in between."""
    marker = _BY_LANGUAGE.get(language, b"//")
    found: list[bytes] = []
    opening = b""
    for above in range(row - 1, max(-1, row - 1 - _MOST_ROWS), -1):
        text = lines.text[lines.starts[above] : min(lines.starts[above + 1], lines.starts[above] + _READ)].strip()
        if opening:
            found.append(text)
            if text.startswith(opening) or opening in text:
                break
        elif text.startswith(marker):
            found.append(text)
        elif found:
            break
        elif text[-2:] in _BLOCK_ENDS:
            opening = _BLOCK_ENDS[text[-2:]]
            found.append(text[:-2])
            if opening in text:
                if not text.startswith(opening):
                    return ""  # a remark behind code
                break
        elif not text.startswith(_SKIPPED):
            break
    if not found or (opening and opening not in found[-1]):
        return ""
    return "\n".join(part.decode("utf-8", "replace") for part in reversed(found))


def _first_sentence(text: str) -> str:
    """Return the first sentence of a comment's first paragraph of prose, without the signs of the comment."""
    if not text:
        return ""
    words: list[str] = []
    for raw in text.splitlines():
        line = _DECORATION.sub("", raw).strip()
        if not line or line.startswith("@") or _NOT_PROSE.match(line):
            if words:
                break
            continue
        words.append(line)
    joined = " ".join(" ".join(words).split())
    match = _SENTENCE.match(joined)
    return (match[1] if match else joined)[:MAX_DOC]
