"""The packages of a root by the names under which they are published, as their manifests say.

In a monorepo, other packages, tests and examples import a package by this name. Dependencies that are not packages of
the root are elsewhere: their names mean nothing in it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct, field

MANIFESTS: Final = (b"package.json", b"Cargo.toml", b"go.mod")
"""Names of files that :func:`read_manifest` can read."""

_FAMILIES: Final = {b"package.json": "javascript", b"Cargo.toml": "rust", b"go.mod": "go"}
_GO_MODULE: Final = re.compile(r"^module\s+\"?([^\s\"]+)", re.MULTILINE)
_IN_ROOT: Final = re.compile(r"(?:workspace|file|link|portal):")
_RUST_ITSELF: Final = frozenset({"alloc", "core", "proc_macro", "std"})
_RUST_RELATIVE: Final = frozenset({"crate", "self", "super"})
_SOURCES: Final = frozenset({"lib", "source", "src"})
"""Directories of a package that are not part of the names of its modules."""


class Manifest(Struct, frozen=True):
    """What a manifest says: the name of its package, its directory below the root, and what it depends on."""

    family: str
    name: str
    directory: str
    dependencies: frozenset[str] = frozenset()


class Package(Struct, frozen=True):
    """The package that an import names, and the parts of the import after its name."""

    directory: str
    rest: tuple[str, ...]

    def inside(self, path: str) -> list[str] | None:
        """Return the parts of a path inside the package, without a leading ``src`` or ``lib``; None for other paths."""
        prefix = f"{self.directory}/" if self.directory else ""
        if not path.startswith(prefix):
            return None
        parts = path[len(prefix) :].split("/")
        return parts[1:] if parts[0] in _SOURCES and len(parts) > 1 else parts


class Packages(Struct):
    """The packages of a root."""

    _named: dict[tuple[str, str], str] = field(default_factory=dict)
    _elsewhere: set[tuple[str, str]] = field(default_factory=set)
    _go: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> Packages:
        """Return the packages that manifests describe; of two with one name, the shorter directory counts."""
        found = cls()
        for one in sorted(manifests, key=lambda one: (len(one.directory), one.directory)):
            if one.name:
                found._named.setdefault((one.family, one.name), one.directory)
            found._elsewhere.update((one.family, name) for name in one.dependencies)
        found._elsewhere -= found._named.keys()
        found._go = [(name, directory) for (family, name), directory in found._named.items() if family == "go"]
        return found

    def package_of(self, language: str, module: str, name: str) -> Package | None:
        """Return the package of the root that an import names, or None."""
        if language == "go":
            path = f"{module}/{name}".strip("/") if name != "*" else module
            owners = [one for one in self._go if f"{path}/".startswith(f"{one[0]}/")]
            best = max(owners, key=lambda one: len(one[0]), default=None)
            return Package(best[1], _parts(path[len(best[0]) :])) if best is not None else None
        family, first, rest = _split(language, module, name)
        directory = self._named.get((family, first))
        return Package(directory, rest) if directory is not None else None

    def is_elsewhere(self, language: str, module: str, name: str) -> bool:
        """Return True if an import names a package outside the root: a dependency, or part of the language."""
        if language == "go":
            return bool(self._go) and self.package_of(language, module, name) is None
        family, first, _ = _split(language, module, name)
        if family == "rust" and first in _RUST_ITSELF:
            return (family, first) not in self._named
        return (family, first) in self._elsewhere


def read_manifest(path: bytes, text: bytes) -> Manifest | None:
    """Return what a manifest says about its package; None if it is broken or names nothing."""
    directory, _, file = path.decode("utf-8", "surrogateescape").rpartition("/")
    family = _FAMILIES[file.encode("utf-8", "surrogateescape")]
    read: Mapping[str, Callable[[str], tuple[str, Iterable[str]]]] = {
        "javascript": _package_json,
        "rust": _cargo_toml,
        "go": _go_mod,
    }
    try:
        name, dependencies = read[family](text.decode("utf-8", "replace"))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return Manifest(family, name, directory, frozenset(dependencies)) if name or dependencies else None


def _package_json(text: str) -> tuple[str, Iterable[str]]:
    content = json.loads(text)
    groups = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
    found = [item for group in groups for item in (content.get(group) or {}).items()]
    return str(content.get("name") or ""), [name for name, version in found if not _IN_ROOT.match(str(version))]


def _cargo_toml(text: str) -> tuple[str, Iterable[str]]:
    content = tomllib.loads(text)
    name = _table(content, "lib").get("name") or _table(content, "package").get("name") or ""
    tables = (content, _table(content, "workspace"))
    groups = ("dependencies", "dev-dependencies", "build-dependencies")
    found = [item for table in tables for group in groups for item in _table(table, group).items()]
    return _crate(str(name)), [_crate(one) for one, source in found if not _is_path(source)]


def _go_mod(text: str) -> tuple[str, Iterable[str]]:
    match = _GO_MODULE.search(text)
    return (match[1] if match else ""), ()


def _table(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def _is_path(source: Any) -> bool:
    return isinstance(source, dict) and ("path" in source or "workspace" in source)


def _crate(name: str) -> str:
    """Return the name of a crate as code writes it."""
    return name.replace("-", "_")


def _split(language: str, module: str, name: str) -> tuple[str, str, tuple[str, ...]]:
    """Return the family of a language, the name of the package that an import may name, and the parts after it."""
    if language == "rust":
        parts = [part for part in module.split("::") if part] or [name]
        return "rust", "" if parts[0] in _RUST_RELATIVE else parts[0], tuple(parts[1:])
    if language in ("javascript", "typescript", "tsx") and not module.startswith("."):
        parts = module.split("/")
        own = 2 if module.startswith("@") else 1
        return "javascript", "/".join(parts[:own]), tuple(part for part in parts[own:] if part)
    return "", "", ()


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)
