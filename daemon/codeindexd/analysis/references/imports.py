"""Reads import statements: which names of which modules they bind, from the text of one statement.

Imports are few and their syntax is regular, so their text is read instead of their syntax trees, which differ most
between grammars.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Import(NamedTuple):
    """One imported name. ``from a.b import c as d`` has module ``a.b``, name ``c`` and alias ``d``.

    The module is written as in the source. A whole module has its last part as ``name`` and what is before it as
    ``module``; a wildcard has the name ``*``. ``offset`` is the place of the name in the statement, in characters.
    """

    module: str
    name: str
    alias: str
    offset: int


ImportReader = Callable[[str], Iterator[Import]]

_DOTTED_AS = re.compile(r"([\w.]+)(?:\s+as\s+(\w+))?")
_NAME_AS = re.compile(r"(\*|[\w$]+)(?:\s+as\s+([\w$]+))?")
_FROM = re.compile(r"from\s+([\w.]+)\s+import\b")
_QUOTED = re.compile(r"""["'`]([^"'`\n]+)["'`]""")


def none(_text: str) -> Iterator[Import]:
    """Yield nothing: the language has no imports."""
    yield from ()


def _of_path(path: str, separator: str, alias: str, offset: int) -> Import:
    """Return the import of a whole module or of a member: the last part of a path is its name."""
    module, _, name = path.rpartition(separator)
    return Import(module, name, alias if alias != name else "", offset + len(path) - len(name))


def python(text: str) -> Iterator[Import]:
    """Read ``import a.b as c, d`` and ``from .a import (b as c, d)``."""
    if match := _FROM.match(text):
        for found in _NAME_AS.finditer(_without_comments(text, "#"), match.end()):
            yield Import(match[1], found[1], found[2] or "", found.start())
        return
    for found in _DOTTED_AS.finditer(text, len("import")):
        yield _of_path(found[1], ".", found[2] or "", found.start())


def _without_comments(text: str, mark: str) -> str:
    """Return ``text`` with comments blanked, so that offsets stay."""
    if mark not in text:
        return text
    return re.sub(rf"{re.escape(mark)}[^\n]*", lambda match: " " * len(match[0]), text)


_CLAUSE = re.compile(r"[^{]*")
_BRACES = re.compile(r"\{([^}]*)\}", re.DOTALL)
_JS_NAMED = re.compile(r"(?:type\s+)?([\w$]+)(?:\s+as\s+([\w$]+)|\s*:\s*([\w$]+))?")
_JS_DEFAULT = re.compile(r"(?:import\s+(?:type\s+)?|(?:const|let|var)\s+)?([\w$]+)\s*(?:,|from\b|=)")
_JS_SPACE = re.compile(r"\*\s*as\s+([\w$]+)")


def javascript(text: str) -> Iterator[Import]:
    """Read ``import a, {b as c} from "m"``, ``export {a} from "m"`` and ``x = require("m")``."""
    strings = list(_QUOTED.finditer(text))
    if not strings:
        return
    quoted = strings[-1]
    module, head = quoted[1], text[: quoted.start()]
    base = module.rpartition("/")[2].partition(".")[0] or module
    if space := _JS_SPACE.search(head):
        yield Import(module, "*", space[1], space.start(1))
    elif re.search(r"\*\s*from", head):
        yield Import(module, "*", "", head.find("*"))
    for braces in _BRACES.finditer(head):
        for found in _JS_NAMED.finditer(_without_comments(braces[1], "//")):
            alias = found[2] or found[3] or ""
            yield Import(module, found[1], alias, braces.start(1) + found.start(1))
    plain = _JS_DEFAULT.match(head)
    if plain and plain[1] not in ("import", "export", "type"):
        yield Import(module, plain[1], "", plain.start(1))
    elif not (_BRACES.search(head) or "*" in head):  # only for its effects
        yield Import(module, base, "", quoted.start(1))


_GO = re.compile(r'(?:([\w.]+)\s+)?["`]([^"`]+)["`]')
_MAJOR = re.compile(r"v[0-9]+")


def go(text: str) -> Iterator[Import]:
    """Read one path of an import declaration; the name of the package is taken from the path."""
    if match := _GO.match(text):
        parts = match[2].split("/")
        if len(parts) > 1 and _MAJOR.fullmatch(parts[-1]):
            parts.pop()
        alias = match[1] or ""
        name = "*" if alias == "." else parts[-1]
        module = match[2] if name == "*" else "/".join(parts[:-1])
        yield Import(module, name, "" if alias in (".", "_", name) else alias, match.start(2))


_RUST_TOKEN = re.compile(r"::|[{},*]|\bas\b|\w+")


def rust(text: str) -> Iterator[Import]:
    """Read ``use a::b::{C, d::E as F, self};``."""
    body = text.partition("use")[2].partition(";")[0]
    shift = text.find("use") + 3
    stack: list[list[str]] = [[]]
    path: list[tuple[str, int]] = []
    alias = ""
    takes_alias = False

    def finished() -> Iterator[Import]:
        if path:
            parts = [*stack[-1], *(part for part, _ in path)]
            offset = path[-1][1] + shift
            if parts[-1] == "self":
                parts.pop()
            yield Import("::".join(parts[:-1]), parts[-1] if parts else "*", alias, offset)

    for token in _RUST_TOKEN.finditer(_without_comments(body, "//")):
        word = token[0]
        if word == "{":
            stack.append([*stack[-1], *(part for part, _ in path)])
            path = []
        elif word in (",", "}"):
            yield from finished()
            path, alias = [], ""
            if word == "}" and len(stack) > 1:
                stack.pop()
        elif word == "as":
            takes_alias = True
        elif takes_alias:
            alias, takes_alias = ("" if word == "_" else word), False
        elif word != "::":
            path.append((word, token.start()))
    yield from finished()


_JVM = re.compile(r"import\s+(?:static\s+)?([\w.]+?)(?:\.(\*))?(?:\s+as\s+(\w+))?\s*;?\s*$")


def java(text: str) -> Iterator[Import]:
    """Read ``import static a.b.C;`` and Kotlin's ``import a.b.C as D``."""
    if match := _JVM.match(text.strip()):
        if match[2]:
            yield Import(match[1], "*", "", match.start(2))
        else:
            yield _of_path(match[1], ".", match[3] or "", match.start(1))


_SCALA_NAMED = re.compile(r"([\w*]+)(?:\s*(?:=>|\bas\b)\s*(\w+))?")
_SCALA = re.compile(r"([\w.]+)\.(?:\{([^}]*)\}|(\w+|\*))")


def scala(text: str) -> Iterator[Import]:
    """Read ``import a.b.{C => D, E}, x.y._``."""
    if not text.startswith("import"):
        return
    for match in _SCALA.finditer(text, len("import")):
        inside, name = match[2], match[3]
        if inside is None:
            yield Import(match[1], "*" if name == "_" else name, "", match.start(3))
            continue
        for found in _SCALA_NAMED.finditer(inside):
            name = "*" if found[1] == "_" else found[1]
            yield Import(match[1], name, found[2] or "", match.start(2) + found.start())


_SWIFT = re.compile(r"(?:@\w+\s+)*import\s+(?:(?:class|struct|enum|func|protocol|typealias|var|let)\s+)?([\w.]+)")


def swift(text: str) -> Iterator[Import]:
    """Read ``import struct A.B``."""
    if match := _SWIFT.match(text):
        yield _of_path(match[1], ".", "", match.start(1))


_INCLUDE = re.compile(r'\s*#\s*(?:include|import|include_next)\s*["<]([^">]+)[">]')
_USING = re.compile(r"using\s+(?:typename\s+)?([\w:]+)\s*;")


def c(text: str) -> Iterator[Import]:
    """Read ``#include "a/b.h"`` and C++'s ``using a::b;``."""
    if match := _INCLUDE.match(text):
        yield _of_path(match[1], "/", "", match.start(1))
    elif match := _USING.match(text):
        yield _of_path(match[1], "::", "", match.start(1))


_CSHARP = re.compile(r"(?:global\s+)?using\s+(static\s+)?(?:(\w+)\s*=\s*)?([\w.]+)")


def csharp(text: str) -> Iterator[Import]:
    """Read ``using A.B;`` (all names of a namespace), ``using static A.B;`` and ``using X = A.B;``."""
    if match := _CSHARP.match(text):
        if match[2]:
            yield _of_path(match[3], ".", match[2], match.start(3))
        else:
            yield Import(match[3], "*", "", match.start(3))


_PHP_GROUP = re.compile(r"use\s+(?:function\s+|const\s+)?([\w\\]*)\\\{([^}]*)\}", re.DOTALL)
_PHP_NAMED = re.compile(r"([\w\\]+)(?:\s+as\s+(\w+))?")
_PHP_HEAD = re.compile(r"use\s+(?:function\s+|const\s+)?")


def php(text: str) -> Iterator[Import]:
    r"""Read ``use A\B\{C, D as E};`` and ``use function A\f;``."""
    if group := _PHP_GROUP.match(text):
        for found in _PHP_NAMED.finditer(group[2]):
            yield _of_path(
                f"{group[1]}\\{found[1]}",
                "\\",
                found[2] or "",
                group.start(2) + found.end(1) - len(f"{group[1]}\\{found[1]}"),
            )
    elif head := _PHP_HEAD.match(text):
        for found in _PHP_NAMED.finditer(text, head.end()):
            yield _of_path(found[1], "\\", found[2] or "", found.start())


def ruby(text: str) -> Iterator[Import]:
    """Read ``require "a/b"`` and ``require_relative "a"``, whose module begins with ``./``."""
    if quoted := _QUOTED.search(text):
        found = _of_path(quoted[1].removesuffix(".rb"), "/", "", quoted.start(1))
        relative = text.startswith("require_relative") and not found.module.startswith(".")
        yield found._replace(module=f"./{found.module}".rstrip("/")) if relative else found


_LUA_BOUND = re.compile(r"local\s+(\w+)[^=]*=")


def lua(text: str) -> Iterator[Import]:
    """Read ``local m = require("a.b")``."""
    if quoted := _QUOTED.search(text):
        bound = _LUA_BOUND.match(text)
        yield _of_path(quoted[1].replace("/", "."), ".", bound[1] if bound else "", quoted.start(1))


_ELIXIR = re.compile(
    r"(?:alias|import|require)\s*\(?\s*([\w.]+?)(?:\.\{([^}]*)\})?(?:\s*,.*?\bas:\s*(\w+).*)?\)?\s*$", re.DOTALL
)


def elixir(text: str) -> Iterator[Import]:
    """Read ``alias A.{B, C}``, ``alias A.B, as: C`` and ``import A, only: [f: 1]``."""
    match = _ELIXIR.match(text) or re.match(r"(?:alias|import|require)\s*\(?\s*([\w.]+)()()", text)
    if match is None:
        return
    if match[2]:
        for found in re.finditer(r"[\w.]+", match[2]):
            yield _of_path(f"{match[1]}.{found[0]}", ".", "", match.start(2) + found.start() - len(match[1]) - 1)
    else:
        yield _of_path(match[1], ".", match[3] or "", match.start(1))


_SOURCED = re.compile(
    r"""(?:\.|source)\s+((?:"(?:\$\((?:[^()]|\([^()]*\))*\)|[^"])*"|'[^']*'|\$\([^()]*\)|[^\s"'])+)"""
)
_VARIABLES = re.compile(r"\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|\$\w+|(?<=.)['\"](?=.)")


def bash(text: str) -> Iterator[Import]:
    """Read ``source "$DIR/a.sh"``; variables in the path are left out."""
    if match := _SOURCED.match(text):
        path = _VARIABLES.sub("", match[1]).strip("\"'").lstrip("/")
        if path:
            yield _of_path(path, "/", "", match.start(1) + max(0, match[1].rfind(path)))


_JULIA_NAMED = re.compile(r"([\w.!@]+)(?:\s+as\s+(\w+))?")


def julia(text: str) -> Iterator[Import]:
    """Read ``using A.B: c, d``, ``import X.Y as Z`` and ``include("f.jl")``."""
    if text.startswith("include"):
        if quoted := _QUOTED.search(text):
            yield _of_path(quoted[1], "/", "", quoted.start(1))
        return
    head, colon, names = text.partition(":")
    if colon and not names.startswith(":"):
        module = head.split()[-1]
        for found in _JULIA_NAMED.finditer(names):
            yield Import(module, found[1].lstrip("@"), found[2] or "", len(head) + 1 + found.start())
        return
    for found in _JULIA_NAMED.finditer(text, text.find(" ")):
        yield _of_path(found[1], ".", found[2] or "", found.start())


_HASKELL = re.compile(
    r"import\s+(?:qualified\s+)?([\w.]+)(?:\s+qualified)?(?:\s+as\s+([\w.]+))?(\s+hiding)?\s*(?:\((.*)\))?", re.DOTALL
)


def haskell(text: str) -> Iterator[Import]:
    """Read ``import qualified A.B as C`` and ``import A.B (c, D (..))``."""
    if match := _HASKELL.match(text):
        yield _of_path(match[1], ".", match[2] or "", match.start(1))
        if match[4] is None or match[3]:
            yield Import(match[1], "*", "", match.start(1))
            return
        for found in re.finditer(r"[\w']+", match[4]):
            yield Import(match[1], found[0], "", match.start(4) + found.start())


def ocaml(text: str) -> Iterator[Import]:
    """Read ``open A.B``."""
    if match := re.match(r"open!?\s+([\w.]+)", text):
        yield Import(match[1], "*", "", match.start(1))


def zig(text: str) -> Iterator[Import]:
    """Read ``const a = @import("a.zig");``."""
    quoted, bound = _QUOTED.search(text), re.match(r"(?:pub\s+)?(?:const|var)\s+(\w+)", text)
    if quoted:
        yield _of_path(quoted[1], "/", bound[1] if bound else "", quoted.start(1))
