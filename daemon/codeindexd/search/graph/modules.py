"""Decides whether the module of an import is the file of a definition, by the conventions of each language."""

from __future__ import annotations

import enum
import functools
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from codeindexd.search.graph.packages import Package, Packages


class Match(enum.IntEnum):
    """How well a module fits a file."""

    NONE = 0
    PACKAGE = 1
    """The module is a package or directory around the file, which may export its names."""

    FILE = 2


_SEPARATORS_OF_NAMES: Final = re.compile(r"[.:>\\#?!-]+")
_SEPARATORS: Final = re.compile(r"[./\\:]+")
_EXTENSION: Final = re.compile(r"\.(?:d\.)?[A-Za-z]+$")
_SCRIPTS: Final = frozenset({"javascript", "typescript", "tsx"})
_INDEX: Final = frozenset({"__init__", "index", "mod", "lib", "main", "init"})
"""Names of files that stand for their directory."""

_SCRIPT_EXTENSIONS: Final = tuple(
    f"{index}{extension}"
    for extension in (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".d.ts", ".vue", ".svelte")
    for index in ("", "/index")
)
_EXTENSIONS: Final = {
    "python": (".py", "/__init__.py", ".pyi", "/__init__.pyi"),
    **dict.fromkeys(_SCRIPTS, _SCRIPT_EXTENSIONS),
}
"""How the path of a module may end."""

_RUST_PREFIXES: Final = frozenset({"crate", "self", "super"})
_INCLUDES: Final = frozenset({"c", "cpp", "bash", "zig"})


class Layout(Struct, frozen=True):
    """The layout of a root: the name of its directory, its packages, and, by path, whether it has a file."""

    root_name: str
    has_file: Callable[[bytes], bool]
    packages: Packages


class ImportedModule:
    """The module of an import in the file ``importer``, which may be any of several files.

    ``name`` is what is imported from it: a definition, or the last part of a module. ``dotted`` is both with dots.
    ``is_elsewhere`` is True if the module is certainly outside the root.
    """

    def __init__(self, language: str, importer: bytes, module: str, name: str, layout: Layout) -> None:
        self.dotted = _SEPARATORS_OF_NAMES.sub(".", f"{module}.{name}".strip("."))
        self._language = language
        self._importer = _text(importer)
        self._name = name
        self._layout = layout
        self._package = layout.packages.package_of(language, module, name)
        self.is_elsewhere = self._package is None and layout.packages.is_elsewhere(language, module, name)
        self._above, self._parts = _parts(language, importer, module, name)
        self._known: dict[bytes, Match] = {}

    def paths(self) -> Iterator[bytes]:
        """Yield where a module of Python, or one of JavaScript that is given by a relative path, can be a file."""
        if self.is_elsewhere or self._language not in _EXTENSIONS:
            return
        directories: Iterable[Sequence[str]] = [()]
        if self._above is not None:
            directories = [self._above]
        elif self._language in _SCRIPTS:
            return
        else:
            here = self._importer.split("/")[:-1]
            directories = [here[:count] for count in range(len(here) + 1)]
        for directory in directories:
            path = "/".join([*directory, *self._parts])
            for ending in _EXTENSIONS[self._language] if path else ():
                yield f"{path}{ending}".encode("utf-8", "surrogateescape")

    def match(self, target: bytes) -> Match:
        """Return how well the module fits the file ``target`` that defines a name."""
        found = self._known.get(target)
        if found is None:
            found = self._known[target] = self._match(target)
        return found

    def _match(self, target: bytes) -> Match:
        language, name = self._language, self._name
        if self._package is not None:
            return _match_package(language, self._package, name, target)
        if self.is_elsewhere:
            return Match.NONE
        parts_of_target = path_parts(target)
        if self._above is not None:
            has_modules = language not in _SCRIPTS  # a module of Python has others in it, one of JavaScript has not
            return _match_at(self._above + self._parts, name if has_modules else "", parts_of_target)
        if language in _INCLUDES:
            return _match_include(self._parts, name, parts_of_target)
        if language == "go":
            return _match_go(self._parts, name, parts_of_target, target, self._layout.root_name)
        if language == "python" and not _is_top_level(
            self._parts, name, parts_of_target, target, self._layout.has_file
        ):
            return Match.NONE
        if language == "lua" and self._parts:
            return _match_lua(self._parts, name, parts_of_target)
        return _match_anywhere(self._parts, name, parts_of_target)


def _match_package(language: str, package: Package, name: str, target: bytes) -> Match:
    """Return how well an import by the name of a package of the root fits ``target``: NONE outside the package."""
    inside = package.inside(_text(target))
    if inside is None:
        return Match.NONE
    if language == "go":
        path = _text(target).rpartition("/")[0]
        return Match.FILE if path == "/".join(filter(None, (package.directory, *package.rest))) else Match.NONE
    parts = path_parts("/".join(inside).encode("utf-8", "surrogateescape"))
    if parts in ([*package.rest], [*package.rest, name]) or (not package.rest and parts[-1:] in (["index"], ["lib"])):
        return Match.FILE
    return Match.PACKAGE  # it exports names of its other files, and may map parts of its name to others


def _parts(language: str, importer: bytes, module: str, name: str) -> tuple[list[str] | None, list[str]]:
    """Return the directory to which a module is relative, as parts, or None, and the parts of the module."""
    here = _text(importer).split("/")[:-1]
    if language == "python" and module.startswith("."):
        levels = len(module) - len(module.lstrip("."))
        return here[: len(here) - levels + 1] if levels <= len(here) + 1 else None, _split(module)
    if (language in _SCRIPTS or language == "ruby") and module.startswith("."):
        path = posixpath.normpath("/".join([*here, _EXTENSION.sub("", module) if language != "ruby" else module]))
        parts = [part for part in path.split("/") if part not in (".", "..")]
        return parts[:-1] if parts and parts[-1] in _INDEX else parts, []
    if language == "rust":
        parts = _split(module)
        if parts[:1] == ["self"] or parts[:1] == ["super"]:
            return None, [part for part in parts if part not in _RUST_PREFIXES] or here[-1:]
        return None, [part for part in parts if part not in _RUST_PREFIXES]
    return None, _split(module)


@functools.lru_cache(maxsize=4096)
def _split_cached(module: str) -> tuple[str, ...]:
    return tuple(part for part in _SEPARATORS.split(module) if part and part not in ("@", "~"))


def _split(module: str) -> list[str]:
    return list(_split_cached(module))


@functools.lru_cache(maxsize=65_536)
def _path_parts_cached(path: bytes) -> tuple[str, ...]:
    *directories, base = _text(path).split("/")
    stem = _EXTENSION.sub("", base)
    return tuple(directories) if stem in _INDEX and directories else (*directories, stem)


def path_parts(path: bytes) -> list[str]:
    """Return the parts of a path without extension; a file that stands for its directory has the directory's parts."""
    return list(_path_parts_cached(path))


def _match_at(parts: Sequence[str], name: str, target: Sequence[str]) -> Match:
    """Match a module whose path is known exactly. ``name`` may be a module in it; "" is none."""
    if list(target) in ([*parts], [*parts, name]):
        return Match.FILE
    return Match.PACKAGE if list(target[: len(parts)]) == [*parts] else Match.NONE


def _match_anywhere(parts: Sequence[str], name: str, target: Sequence[str]) -> Match:
    """Match a module whose path begins somewhere below the root."""
    if not parts:
        return Match.FILE if target[-1:] == [name] else Match.PACKAGE if name in target else Match.NONE
    whole = [*parts, name]
    common = _common_end(whole, target)
    if common >= min(2, len(whole)) or _common_end(parts, target) >= min(2, len(parts)):
        return Match.FILE
    if _common_end(parts, target[:-1]) >= min(2, len(parts)):  # a namespace is a directory
        return Match.FILE
    return Match.PACKAGE if parts[0] in target or parts[-1] in target or common else Match.NONE


def _match_lua(parts: Sequence[str], name: str, target: Sequence[str]) -> Match:
    """Match a module of Lua, which is one file; others may be in a directory of its name."""
    whole = [*parts, name]
    is_file = _common_end(whole, target) >= 2 or (len(parts) > 1 and _common_end(parts, target) >= 2)
    if is_file:
        return Match.FILE
    is_around = any([*target[at : at + len(whole)]] == whole for at in range(len(target)))
    return Match.PACKAGE if is_around else Match.NONE


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left.replace("-", "_").lower() != right.replace("-", "_").lower():
            break
        count += 1
    return count


def _match_include(parts: Sequence[str], name: str, target: Sequence[str]) -> Match:
    stem = _EXTENSION.sub("", name)
    directories = [part for part in parts if part != "include"]
    return Match.FILE if _common_end([*directories, stem], target) == len(directories) + 1 else Match.NONE


def _match_go(parts: Sequence[str], name: str, target: Sequence[str], path: bytes, root_name: str) -> Match:
    """Match a Go package, which is a directory: the end of its path below the root."""
    directory = _text(path).split("/")[:-1]
    package = [*parts, name] if name != "*" else list(parts)
    if not directory:
        return Match.FILE if root_name in (package[-1], package[-1].replace(".", "-")) else Match.NONE
    return Match.FILE if _common_end(package, directory) == min(len(directory), len(package)) else Match.NONE


def _is_top_level(
    parts: Sequence[str], name: str, target: Sequence[str], path: bytes, has_file: Callable[[bytes], bool]
) -> bool:
    """Return True if an absolute module of Python can be found at ``target``: no package is around its first part."""
    first = parts[0] if parts else name
    if first not in target:
        return False
    above = _text(path).split("/")[: target.index(first)]
    return not above or not has_file("/".join([*above, "__init__.py"]).encode("utf-8", "surrogateescape"))


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def is_spelt(asked: str, spelt: Sequence[str], path: bytes) -> bool:
    """Return True if a dotted name is one of ``spelt``, the names of a definition, or ends one of them.

    It may begin with the path of the file, or with a part of it, as in ``flask.Flask.run`` of ``src/flask/app.py``.
    """
    above = path_parts(path)
    names = [f".{one}" for one in (*spelt, ".".join([*above, *spelt[:1]]))]
    parts = asked.split(".")
    for start in range(max(1, len(parts) - 1)):
        if any(name.endswith(f".{'.'.join(parts[start:])}") for name in names):
            return True
        if parts[start] not in above:
            return False
    return False
