"""The code graph of one root at one generation: definitions by name, and the references to them.

Edges are not stored. The references of a file are stored with it, and what they mean is decided when somebody asks, so
that a change of one file never rewrites another.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from codeindexd.analysis.tokens import Tokenizer
from codeindexd.search.graph.code_file import TYPE_KINDS, Binding, CodeFile, FileCache, is_code
from codeindexd.search.graph.modules import ImportedModule, Layout, Match, path_parts
from codeindexd.search.graph.packages import MANIFESTS
from codeindexd.search.graph.plain_types import TypeHints
from codeindexd.search.graph.resolve import (
    Resolved,
    are_related,
    constructed_type,
    exported_by,
    family_of,
    is_exporting,
    resolve,
    resolve_exported,
    without_declarations,
)
from codeindexd.search.graph.sources import Sources
from codeindexd.search.graph.targets import Confidence, Target
from codeindexd.search.searchable_root import PinnedRoot
from codeindexd.types import IMPLEMENTATION, Outcome, Reference, ReferenceKind

MOST_CHUNKS: Final = 20_000  # that are looked at for a name
_UNNAMED: Final = "default"
"""The name of what a module of JavaScript exports without one: importers choose another."""

_MOST_EXPORTERS: Final = 20  # that give a name another one
_MOST_CANDIDATES: Final = 2_000  # files that define a name


class Use(Struct, frozen=True, eq=False):
    """A reference to one of the definitions that were asked for, and the definition around it (-1 for none).

    ``target`` is None if the root does not define the name.
    """

    file: CodeFile
    reference: Reference
    target: Target | None
    confidence: Confidence
    within: int

    @property
    def user(self) -> Target | None:
        """The definition that contains the reference; None outside all definitions."""
        return Target(self.file, self.within) if self.within >= 0 else None


class _ResolvedReference(NamedTuple):
    """A reference, all that it can mean, and the definition around it."""

    file: CodeFile
    reference: Reference
    resolved: Resolved
    within: int


class CodeGraph:
    """The code graph of a pinned root. Blocking; use one for each query, in one thread."""

    def __init__(self, pinned: PinnedRoot, cache: FileCache, *, mask_secrets: bool) -> None:
        self._snapshot = pinned.snapshot
        self._raw = pinned.root.spec.raw
        self._cache = cache
        self._tokenizer = Tokenizer(memo_entries=64)
        self._named: dict[str, tuple[list[Target], list[tuple[Target, list[Target]]]]] = {}
        self._exists: dict[bytes, bool] = {}
        self._resolved: dict[str, tuple[list[_ResolvedReference], dict[tuple[int, int], list[list[int]]]]] = {}
        self._related: dict[tuple[Target, ...], bool] = {}  # by identity, which is much faster than by keys
        self.plain_names: dict[tuple[int, str], Resolved] = {}
        self.member_names: dict[tuple[str, ReferenceKind, str, tuple[Target, ...]], Resolved] = {}
        self.root = pinned.root
        self.sources = Sources(pinned.root, mask_secrets=mask_secrets)
        self._layout: Layout | None = None
        self._modules: dict[tuple[bytes, str, str, str], ImportedModule] = {}
        self._module_files: dict[int, list[CodeFile]] = {}  # by the identity of modules, which are kept
        self.is_complete = True
        self.unsearchable: list[str] = []

    # files and definitions

    def load(self, file_ids: Iterable[int]) -> list[CodeFile]:
        """Return these files, in the order of their ids."""
        return self._cache.load(self._raw, self._snapshot, file_ids)

    def file(self, path: bytes) -> CodeFile | None:
        """Return the indexed file at a path, or None."""
        stored = self._snapshot.catalog.file(path)
        files = self.load([stored.file_id]) if stored is not None else []
        return files[0] if files else None

    @property
    def layout(self) -> Layout:
        """The layout of the root: its name, packages and files."""
        if self._layout is None:
            files = self._snapshot.catalog.files_named(MANIFESTS)
            packages = self._cache.packages(self._raw, files, lambda file: self.sources.read(file).text)
            name = posixpath.basename(self._raw.decode("utf-8", "replace"))
            self._layout = Layout(name, self.has_file, packages)
        return self._layout

    def module_of(self, file: CodeFile, binding: Binding) -> ImportedModule:
        """Return the module of an import in ``file``."""
        key = file.path, file.language, binding.module, binding.name
        found = self._modules.get(key)
        if found is None:
            found = ImportedModule(file.language, file.path, binding.module, binding.name, self.layout)
            self._modules[key] = found
        return found

    def files_of(self, module: ImportedModule) -> Sequence[CodeFile]:
        """Return the files that a module certainly is, as far as its language says so."""
        found = self._module_files.get(id(module))
        if found is None:
            path = next(filter(self.has_file, module.paths()), None)
            file = self.file(path) if path is not None else None
            found = self._module_files[id(module)] = [file] if file is not None else []
        return found

    def has_file(self, path: bytes) -> bool:
        """Return True if the root has a file of this path."""
        if path not in self._exists:
            self._exists[path] = self._snapshot.catalog.file(path) is not None
        return self._exists[path]

    def named(self, name: str) -> list[Target]:
        """Return the definitions with exactly this name, without those in documents, which are samples of its use.

        What is only declared counts if nothing defines it.
        """
        return self._named_here(name)[0]

    def declarations_of(self, targets: Iterable[Target]) -> list[Target]:
        """Return what declares ``targets`` elsewhere, such as prototypes in headers."""
        keys = {target.key for target in targets}
        others = [
            declared
            for name in dict.fromkeys(target.definition.name for target in targets)
            for declared, defined in self._named_here(name)[1]
            if keys & {one.key for one in defined}
        ]
        return [one for one in others if one.key not in keys]

    def defined_for(self, declaration: Target) -> list[Target]:
        """Return the definitions of what ``declaration`` declares; itself if there are none."""
        for declared, defined in self._named_here(declaration.definition.name)[1]:
            if declared.key == declaration.key:
                return defined
        return [declaration]

    def _named_here(self, name: str) -> tuple[list[Target], list[tuple[Target, list[Target]]]]:
        """Return the definitions of a name, and its other declarations, each with what it stands for."""
        found = self._named.get(name)
        if found is None:
            found = self._named[name] = without_declarations(self._all_named(name, in_documents=False))
        return found

    def samples_named(self, name: str) -> list[Target]:
        """Return the definitions with exactly this name in the code samples of documents."""
        return self._all_named(name, in_documents=True)

    def _all_named(self, name: str, *, in_documents: bool) -> list[Target]:
        ids = sorted(self._snapshot.catalog.files_defining([name]))[:_MOST_CANDIDATES]
        return [
            Target(file, number)
            for file in sorted(self.load(ids), key=lambda file: file.path)
            if file.is_document is in_documents
            for number, one in enumerate(file.definitions)
            if one.name == name and is_code(file.language, one.kind) and one.kind != IMPLEMENTATION
        ]

    def named_as(self, name: str) -> list[Target]:
        """Return the definitions in code with this name, ignoring case."""
        ids = sorted(self._snapshot.catalog.files_defining([name]))[:_MOST_CANDIDATES]
        folded = name.casefold()
        names = {one.name for file in self.load(ids) for one in file.definitions if one.name.casefold() == folded}
        return [target for one in sorted(names) for target in self.named(one)]

    def is_indexed(self, file: CodeFile) -> bool:
        """Return True if a file is searched, and not left out or failed."""
        return file.file.outcome is Outcome.INDEXED

    def is_partial(self, file: CodeFile) -> bool:
        """Return True if some of the syntax of a file was not understood."""
        return self._snapshot.catalog.is_partial(file.file.file_id)

    def has_directory(self, path: bytes) -> bool:
        """Return True if the root has indexed files below a path."""
        return self._snapshot.catalog.has_files(path)

    def files_below(self, directory: bytes, limit: int) -> tuple[list[CodeFile], int]:
        """Return the first ``limit`` indexed files below a directory, and how many there are."""
        glob = [f"{directory.decode('utf-8', 'surrogateescape')}/**"] if directory else []
        ids = self._snapshot.catalog.file_ids(include=glob).tolist()
        return self.load(ids[:limit]), len(ids)

    def types_named(self, file: CodeFile, name: str) -> list[Target]:
        """Return the types of this name that code in ``file`` could mean: those in the file, or else all others."""
        family = family_of(file.language)
        found = [
            one
            for one in self.named(name)
            if one.definition.kind in TYPE_KINDS and family_of(one.file.language) == family
        ]
        return [one for one in found if one.file is file] or found

    def hints_around(self, file: CodeFile, number: int) -> TypeHints:
        """Return what the code of a definition says about the types of variables; nothing if the file changed."""
        source = self.sources.read(file.file)
        return file.hints_around(number, source.text_between) if source.is_current else TypeHints()

    def are_related(self, targets: Sequence[Target]) -> bool:
        """Return True if ``targets``, definitions of one name, are one, or members of types with common ancestors."""
        if not targets:
            return False
        key = tuple(targets)
        if key not in self._related:
            self._related[key] = are_related(self, targets)
        return self._related[key]

    # edges

    def resolve(self, file: CodeFile, reference: Reference) -> Resolved:
        """Return the definitions that a reference can mean."""
        return resolve(self, file, reference, self.named(reference.name))

    def uses_of(self, targets: Sequence[Target], *, least: Confidence = Confidence.NAME) -> list[Use]:
        """Return the references to any of ``targets`` of at least this confidence, in the order of paths and lines.

        Sets ``is_complete`` to False if a name occurs in more chunks than are looked at.
        """
        wanted = {target.key: target for target in targets}
        names = dict.fromkeys(target.definition.name for target in targets)
        found = [use for name in names for use in self._uses_of_name(name, wanted, least)]
        for target in targets:
            if name := constructed_type(target):
                found += self._constructions(target, name)
        lines: dict[tuple[int, int, ReferenceKind], Use] = {}  # a line counts once, however often it has the name
        for use in found:
            key = use.file.file.file_id, use.reference.line, use.reference.kind
            if use.confidence >= least and (key not in lines or lines[key].confidence < use.confidence):
                lines[key] = use
        return sorted(lines.values(), key=lambda use: (use.file.path, use.reference.line))

    def _uses_of_name(
        self, name: str, wanted: dict[tuple[int, int], Target], least: Confidence = Confidence.NAME
    ) -> Iterator[Use]:
        meant: dict[int, tuple[Target, Confidence]] = {}  # by the identity of what a reference was resolved to
        for one in self._resolved_references(name, wanted):
            if id(one.resolved) not in meant:
                ours = (found for found in one.resolved if found[0].key in wanted)
                meant[id(one.resolved)] = max(ours, key=_confidence)
            target, confidence = meant[id(one.resolved)]
            if confidence >= least:
                yield Use(one.file, one.reference, target, confidence, one.within)

    def _resolved_references(self, name: str, wanted: Iterable[tuple[int, int]]) -> Iterable[_ResolvedReference]:
        """Return the references to a name that may mean one of ``wanted``.

        They are kept: a change of a file asks for the same name once for each of its definitions of this name.
        """
        held = self._resolved.get(name)
        if held is None:
            references = list(self._resolve_all(name))
            same: dict[int, list[int]] = {}  # the places of references that were resolved to the same list
            meaning: dict[tuple[int, int], list[list[int]]] = {}
            for place, one in enumerate(references):
                if (places := same.get(id(one.resolved))) is None:
                    places = same[id(one.resolved)] = []
                    for key in dict.fromkeys(target.key for target, _ in one.resolved):
                        meaning.setdefault(key, []).append(places)
                places.append(place)
            held = self._resolved[name] = references, meaning
        references, meaning = held
        found = sorted({place for key in wanted for places in meaning.get(key, ()) for place in places})
        return [references[place] for place in found]

    def _resolve_all(self, name: str) -> Iterator[_ResolvedReference]:
        candidates = self.named(name)
        files = self.files_with(name)
        for file in files:
            known: dict[tuple[str, str, ReferenceKind, int], Resolved] = {}
            for reference in self._references(file, name):
                within = file.enclosing(reference.line)
                key = reference.name, reference.qualifier, reference.kind, within  # all that its meaning depends on
                if key not in known:
                    known[key] = resolve(self, file, reference, candidates)
                if known[key]:
                    yield _ResolvedReference(file, reference, known[key], file.around(reference))
        if candidates:
            yield from self._renamed(name, files, candidates)

    def _renamed(
        self, name: str, files: Sequence[CodeFile], candidates: Sequence[Target]
    ) -> Iterator[_ResolvedReference]:
        """Yield references by the names that modules, one after another, give to ``candidates`` that they export."""
        waiting = [(file, alias) for file in files if is_exporting(file) for alias in file.aliases_of(name)]
        seen: set[tuple[int, str]] = set()
        while waiting and len(seen) < _MOST_EXPORTERS:
            exporter, alias = waiting.pop(0)
            key = exporter.file.file_id, alias
            if alias == name or key in seen:
                continue
            seen.add(key)
            for file, local, found in self._importers(exporter, alias, name, candidates):
                yield from found
                if is_exporting(file):
                    waiting += [(file, other) for other in (local, *file.aliases_of(local))]

    def _importers(
        self, exporter: CodeFile, alias: str, name: str, candidates: Sequence[Target]
    ) -> Iterator[tuple[CodeFile, str, list[_ResolvedReference]]]:
        """Yield the files that import what ``exporter`` exports as ``alias``, by which name, and their references."""
        if alias == _UNNAMED:
            if family_of(exporter.language) == "javascript":
                yield from self._importers_of_default(exporter, name, candidates)
            return
        for file in self.files_with(alias):
            found = [
                _ResolvedReference(file, reference, resolved, file.around(reference))
                for reference in file.references.named(alias)
                if reference.kind is not ReferenceKind.ALIAS
                and (resolved := resolve_exported(self, file, reference, exporter, candidates))
            ]
            for local in file.aliases_of(alias) if found else ():
                found += [
                    _ResolvedReference(file, reference, found[0].resolved, file.around(reference))
                    for reference in file.references.named(local)
                    if reference.kind is not ReferenceKind.ALIAS and not reference.qualifier
                ]
            if found:
                yield file, alias, found

    def _importers_of_default(
        self, exporter: CodeFile, name: str, candidates: Sequence[Target]
    ) -> Iterator[tuple[CodeFile, str, list[_ResolvedReference]]]:
        """Yield the files that import what ``exporter`` exports without a name, and their references.

        Such an import binds a name that does not occur in the exporter.
        """
        targets = exported_by(self, exporter, name, candidates)
        own = {one.name for one in exporter.definitions} | exporter.bindings().keys()
        if not targets or "*" in own:
            return
        for file in self.files_with(path_parts(exporter.path)[-1]):
            if file is exporter or family_of(file.language) != "javascript":
                continue
            for local, bindings in file.bindings().items():
                lines = {
                    binding.line
                    for binding in bindings
                    if local not in own | {name}
                    and binding.name in (local, _UNNAMED)
                    and not any(True for _ in exporter.references.named(local))
                    and self.module_of(file, binding).match(exporter.path) is Match.FILE
                }
                if lines:
                    references = [
                        one
                        for one in file.references.named(local)
                        if one.kind is ReferenceKind.IMPORT or not one.qualifier
                    ]
                    references += [
                        one
                        for one in file.references.named(_UNNAMED)
                        if one.kind is ReferenceKind.IMPORT and one.line in lines
                    ]
                    yield (
                        file,
                        local,
                        [_ResolvedReference(file, one, targets, file.around(one)) for one in references],
                    )

    def _references(self, file: CodeFile, name: str) -> Iterator[Reference]:
        """Yield the references to a name in a file, also those by other names that it is given on import."""
        yield from (one for one in file.references.named(name) if one.kind is not ReferenceKind.ALIAS)
        for alias in file.aliases_of(name):
            for one in file.references.named(alias) if alias != _UNNAMED else ():
                if one.kind in (ReferenceKind.CALL, ReferenceKind.USE, ReferenceKind.INHERIT):
                    yield one

    def _constructions(self, constructor: Target, name: str) -> Iterator[Use]:
        """Yield the calls of a type, which call its constructor."""
        types = {
            one.key for one in self.named(name) if one.definition.kind in TYPE_KINDS and one.file is constructor.file
        }
        for use in self._uses_of_name(name, dict.fromkeys(types, constructor)):
            if use.reference.kind is ReferenceKind.CALL:
                yield Use(use.file, use.reference, constructor, use.confidence, use.within)

    def files_with(self, name: str) -> list[CodeFile]:
        """Return the files that mention a name, by the words of the lexical index.

        A name without words, such as an operator, is added to ``unsearchable`` instead.
        """
        terms = self._tokenizer.tokenize(name)
        if not terms.identifiers and not terms.words:
            self.unsearchable.append(name)
            return []
        lexical = self._snapshot.lexical
        if terms.identifiers:
            ids, is_complete = lexical.files_with("identifiers", terms.identifiers, MOST_CHUNKS)
        else:
            ids, is_complete = lexical.files_with("words", self._tokenizer.stems(terms.words), MOST_CHUNKS)
        self.is_complete &= is_complete
        return self.load(ids)


def _confidence(one: tuple[Target, Confidence]) -> Confidence:
    return one[1]


def is_call(use: Use) -> bool:
    """Return True if a use calls its target; reading or writing a target that is not a function counts as well."""
    if use.reference.kind is ReferenceKind.CALL:
        return True
    target = use.target
    is_value = target is None or not (target.is_function or target.definition.kind in TYPE_KINDS)
    return use.reference.kind is ReferenceKind.USE and is_value
