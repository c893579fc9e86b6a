"""Decides whether the module of an import is the file of a definition, by the conventions of each language."""

from __future__ import annotations

import enum
import functools
import posixpath
import re
from collections.abc import Callable, Sequence
from typing import Final


class Match(enum.IntEnum):
    """How well a module fits a file."""

    NONE = 0
    PACKAGE = 1
    """The module is a package or directory around the file, which may export its names."""

    FILE = 2


HasFile = Callable[[bytes], bool]
_SEPARATORS: Final = re.compile(r"[./\\:]+")
_EXTENSION: Final = re.compile(r"\.(?:d\.)?[A-Za-z]+$")
_SCRIPTS: Final = frozenset({"javascript", "typescript", "tsx"})
_INDEX: Final = frozenset({"__init__", "index", "mod", "lib", "main", "init"})
"""Names of files that stand for their directory."""

_RUST_PREFIXES: Final = frozenset({"crate", "self", "super"})
_INCLUDES: Final = frozenset({"c", "cpp", "bash", "zig"})


def match_module(
    language: str, importer: bytes, module: str, name: str, target: bytes, root_name: str, has_file: HasFile
) -> Match:
    """Return how well ``module`` in an import of the file ``importer`` fits the file ``target`` that defines a name.

    ``name`` is what is imported from it: a definition, or the last part of a module. ``root_name`` is the name of the
    root's directory, and ``has_file(path)`` says whether the root has a file.
    """
    above, parts = _parts(language, importer, module, name)
    parts_of_target = _path_parts(target)
    if above is not None:
        return _match_at(above + parts, name, parts_of_target)
    if language in _INCLUDES:
        return _match_include(parts, name, parts_of_target)
    if language == "go":
        return _match_go(parts, name, parts_of_target, target, root_name)
    if language == "python" and not _is_top_level(parts, name, parts_of_target, target, has_file):
        return Match.NONE
    return _match_anywhere(parts, name, parts_of_target)


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


def _path_parts(path: bytes) -> list[str]:
    """Return the parts of a path without extension; a file that stands for its directory has the directory's parts."""
    return list(_path_parts_cached(path))


def _match_at(parts: Sequence[str], name: str, target: Sequence[str]) -> Match:
    """Match a module whose path is known exactly."""
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


def _is_top_level(parts: Sequence[str], name: str, target: Sequence[str], path: bytes, has_file: HasFile) -> bool:
    """Return True if an absolute module of Python can be found at ``target``: no package is around its first part."""
    first = parts[0] if parts else name
    if first not in target:
        return False
    above = _text(path).split("/")[: target.index(first)]
    return not above or not has_file("/".join([*above, "__init__.py"]).encode("utf-8", "surrogateescape"))


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
