"""One file of the code graph: its definitions, and its references to others."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, field

from codeindexd.analysis.chunking.embedded import HOSTS
from codeindexd.analysis.chunking.notation import is_companion
from codeindexd.analysis.chunking.notebook import LANGUAGE as NOTEBOOK
from codeindexd.analysis.chunking.samples import DOCUMENTS
from codeindexd.analysis.references.centrality import NOT_CODE, assigned_fields
from codeindexd.analysis.references.codec import NO_REFERENCES, Columns
from codeindexd.search.graph.packages import Packages, read_manifest
from codeindexd.search.graph.plain_types import TypeHints, type_hints
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import DECLARATION, Definition, Reference, ReferenceKind, StoredFile

TYPE_KINDS: Final = frozenset({
    "class", "enum", "exception", "extension", "impl", "interface", "mixin", "object", "protocol", "record", "struct",
    "trait", "type", "union",
})  # fmt: skip
"""Kinds of definitions with members."""

_MEMBER_KINDS: Final = frozenset({"method", "constructor", "property", "field"})
_WRITTEN_OWNERS: Final = frozenset({"javascript", "typescript", "tsx", "lua"})
"""Languages in which ``owner.name = function`` defines a member of an object, wherever it is."""

_LANGUAGES_INSIDE: Final = {NOTEBOOK: "python", **dict.fromkeys(HOSTS, "javascript")}
"""The language of the code in files that are not code as a whole; which one it really is, only workers know."""

_ONLY_CPP: Final = frozenset({"class", "constructor", "method", "namespace"})
_CACHED_FILES: Final = 20_000
_CACHED_BYTES: Final = 64 << 20
_MOST_MANIFESTS: Final = 1_000
_KEPT_PACKAGES: Final = 16  # roots
_BYTES_PER_DEFINITION: Final = 400
_BYTES_PER_REFERENCE: Final = 30
_BYTES_PER_FILE: Final = 1_000


class Binding(NamedTuple):
    """A name that a file gets from elsewhere: ``name`` of ``module``, both as written."""

    module: str
    name: str
    line: int


class CodeFile(Struct, frozen=True, eq=False):
    """A file with its definitions in the order of their lines, and its references."""

    file: StoredFile
    definitions: Sequence[Definition] = ()
    references: Columns = NO_REFERENCES
    _derived: _Derived = field(default_factory=lambda: _Derived())

    @property
    def path(self) -> bytes:
        """The path below the root."""
        return self.file.entry.path

    @property
    def language(self) -> str:
        """The language of the code in the file: that of the script in a document, Python in a notebook.

        A header of C whose definitions only C++ can have is C++, although its name does not say so.
        """
        language = self.file.language
        if language == "c" and self.path.endswith(b".h"):
            if self._derived.is_cpp is None:
                self._derived.is_cpp = any(one.kind in _ONLY_CPP or "::" in one.signature for one in self.definitions)
            return "cpp" if self._derived.is_cpp else language
        return _LANGUAGES_INSIDE.get(language, language)

    @property
    def is_document(self) -> bool:
        """True for a document: code cannot refer to what its samples define."""
        return self.file.language in DOCUMENTS

    def bindings(self) -> dict[str, list[Binding]]:
        """Return what the imports of the file bind, by the name by which the file refers to it."""
        if self._derived.bindings is None:
            self._derived.bindings = _bindings_of(self.references)
        return self._derived.bindings

    def wildcards(self) -> list[str]:
        """Return the modules of which all names are imported."""
        return [binding.module for binding in self.bindings().get("*", ())]

    def enclosing(self, line: int) -> int:
        """Return the number of the innermost definition around a line, other than a variable; -1 if there is none."""
        starts = self._derived.starts
        if starts is None:
            starts = self._derived.starts = [one.start_line for one in self.definitions]
        number = bisect_right(starts, line) - 1
        while number >= 0 and (self.definitions[number].end_line < line or self.definitions[number].kind in _SIMPLE):
            number -= 1
        return number

    def around(self, reference: Reference) -> int:
        """Return the number of the definition that refers: the type for a base type, or else that of the line."""
        number = self.enclosing(reference.line)
        if reference.kind is not ReferenceKind.INHERIT:
            return number
        owner = self.type_around(number)
        return owner if owner >= 0 else number

    def variable_around(self, line: int) -> int:
        """Return the number of the variable outside all other definitions that extends over a line; -1 for none."""
        found = [
            number
            for number, one in enumerate(self.definitions)
            if one.start_line <= line <= one.end_line and one.kind in _VARIABLES and self.owner_of(number) == ""
        ]
        return found[-1] if found and self.enclosing(line) < 0 else -1

    def type_around(self, number: int) -> int:
        """Return the number of the innermost type that is or contains definition ``number``; -1 if there is none."""
        while number >= 0 and not self._is_type(self.definitions[number]):
            number = self.definitions[number].container
        return number

    def _is_type(self, one: Definition) -> bool:
        return one.kind in TYPE_KINDS or (one.kind == "module" and self.language == "ruby")

    def aliases_of(self, name: str) -> list[str]:
        """Return the other names that imports give to ``name``."""
        aliases = self._derived.aliases
        if aliases is None:
            aliases = self._derived.aliases = [
                (one.qualifier, one.name) for one in self.references.of_kind(ReferenceKind.ALIAS)
            ]
        return [alias for original, alias in aliases if original == name]

    def bases_of(self, number: int) -> list[Reference]:
        """Return the base classes, interfaces and mixins of a type."""
        bases = self._derived.bases
        if bases is None:
            bases = self._derived.bases = defaultdict(list)
            for base in self.references.of_kind(ReferenceKind.INHERIT):
                bases[self.type_around(self.enclosing(base.line))].append(base)
        return bases.get(number, [])

    def is_assigned(self, number: int) -> bool:
        """Return True for a field that methods assign to and nothing declares."""
        if self._derived.assigned is None:
            places = ((one.kind, one.line, one.end_line) for one in self.definitions)
            self._derived.assigned = assigned_fields(places)
        return number in self._derived.assigned

    def owner_of(self, number: int) -> str:
        """Return the name of the type of which a definition is a member; "" if it is not a member."""
        owners = self._derived.owners
        if owners is None:
            owners = self._derived.owners = [self._owner_of(one) for one in self.definitions]
        return owners[number]

    def _owner_of(self, one: Definition) -> str:
        container = self.definitions[one.container] if one.container >= 0 else None
        above = f"{container.qualified}." if container is not None else ""
        written = one.qualified.removeprefix(above).rpartition(".")[0]
        if written and (one.kind in _MEMBER_KINDS or self.language in _WRITTEN_OWNERS):
            return written.rpartition(".")[2]
        if container is None or not self._is_type(container):
            return ""
        if is_companion(self.definitions, one.container, self.language):
            return self.definitions[container.container].name
        return container.name

    def hints_around(self, number: int, read: Callable[[int, int], str]) -> TypeHints:
        """Return what the code of a definition says about the types of variables; ``read`` returns lines of the file.

        The code is read only once, so it must be that of the file as it was indexed.
        """
        found = self._derived.hints.get(number)
        if found is None:
            one = self.definitions[number]
            found = type_hints(read(one.start_line, one.end_line), self.language)
            self._derived.hints[number] = found
        return found


def is_code(language: str, kind: str) -> bool:
    """Return True if code refers to definitions of this kind by name: a table is one of SQL, or one of data."""
    return kind not in NOT_CODE or (language == "sql" and kind == "table")


NAMESPACE_KINDS: Final = frozenset({"namespace", "package"})
"""Kinds that only qualify names; nothing refers to them as a whole."""

_SIMPLE: Final = NAMESPACE_KINDS | {"variable", "constant", "field", "enum_member", "label", DECLARATION}
"""Kinds that are not what contains a reference."""


_VARIABLES: Final = frozenset({"variable", "constant"})


class _Derived(Struct):
    """What is computed from a file when it is first needed."""

    bindings: dict[str, list[Binding]] | None = None
    starts: list[int] | None = None
    bases: defaultdict[int, list[Reference]] | None = None
    owners: list[str] | None = None
    aliases: list[tuple[str, str]] | None = None
    is_cpp: bool | None = None
    assigned: set[int] | None = None
    hints: dict[int, TypeHints] = field(default_factory=dict)


def _bindings_of(references: Columns) -> dict[str, list[Binding]]:
    imports = references.of_kind(ReferenceKind.IMPORT)
    aliases = references.of_kind(ReferenceKind.ALIAS)
    renamed = {(alias.qualifier, alias.line): alias.name for alias in aliases}
    bindings: defaultdict[str, list[Binding]] = defaultdict(list)
    for one in imports:
        local = renamed.get((one.name, one.line), one.name)
        bindings[local].append(Binding(one.qualifier, one.name, one.line))
    return dict(bindings)


class FileCache:
    """The files of the graph that were used last, of all roots; bounded by their number and size. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[tuple[bytes, int], tuple[CodeFile, int]] = OrderedDict()
        self._bytes = 0
        self._packages: OrderedDict[bytes, tuple[frozenset[tuple[bytes, bytes]], Packages]] = OrderedDict()

    def packages(self, root: bytes, files: Sequence[StoredFile], read: Callable[[StoredFile], bytes]) -> Packages:
        """Return the packages that manifests describe; ``read`` returns the text of one. Blocking."""
        nearest = sorted(files, key=lambda file: (file.entry.path.count(b"/"), file.entry.path))[:_MOST_MANIFESTS]
        version = frozenset((file.entry.path, file.entry.hash) for file in nearest)
        with self._lock:
            held = self._packages.get(root)
        if held is None or held[0] != version:
            manifests = (read_manifest(file.entry.path, read(file)) for file in nearest)
            held = version, Packages.of(one for one in manifests if one is not None)
        with self._lock:
            self._packages[root] = held
            self._packages.move_to_end(root)
            while len(self._packages) > _KEPT_PACKAGES:
                self._packages.popitem(last=False)
        return held[1]

    def load(self, root: bytes, snapshot: Snapshot, file_ids: Iterable[int]) -> list[CodeFile]:
        """Return these files, in the order of their ids; those that are gone are left out. Blocking."""
        stored = snapshot.catalog.files_by_id(file_ids)
        found = {file_id: hit for file_id, file in stored.items() if (hit := self._get(root, file)) is not None}
        missing = [file_id for file_id in stored if file_id not in found]
        if missing:
            definitions = snapshot.catalog.definitions(missing)
            references = snapshot.catalog.references(missing)
            for file_id in missing:
                file = CodeFile(stored[file_id], definitions.get(file_id, ()), references.get(file_id, NO_REFERENCES))
                found[file_id] = file
                self._put(root, file)
        return [found[file_id] for file_id in sorted(found)]

    def _get(self, root: bytes, file: StoredFile) -> CodeFile | None:
        with self._lock:
            held = self._files.get((root, file.file_id))
            if held is None or not _is_same(held[0].file, file):
                return None
            self._files.move_to_end((root, file.file_id))
            return held[0]

    def _put(self, root: bytes, file: CodeFile) -> None:
        size = (
            _BYTES_PER_FILE
            + _BYTES_PER_DEFINITION * len(file.definitions)
            + _BYTES_PER_REFERENCE * len(file.references)
        )
        key = (root, file.file.file_id)
        with self._lock:
            replaced = self._files.pop(key, None)
            self._bytes += size - (replaced[1] if replaced else 0)
            self._files[key] = file, size
            while self._bytes > _CACHED_BYTES or len(self._files) > _CACHED_FILES:
                _, (_, oldest) = self._files.popitem(last=False)
                self._bytes -= oldest


def _is_same(one: StoredFile, other: StoredFile) -> bool:
    return (one.entry.path, one.entry.hash, one.fingerprint, one.language) == (
        other.entry.path,
        other.entry.hash,
        other.fingerprint,
        other.language,
    )
