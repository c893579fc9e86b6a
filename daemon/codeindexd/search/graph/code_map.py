"""The map of a root: its most central definitions, as a tree of signatures that fits a budget.

A file is central if central files refer to it (PageRank); each reference passes a share of its file's rank on to the
definitions of the name. References are matched by name alone here, with less weight for names that many files define.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.analysis.chunking.samples import DOCUMENTS
from codeindexd.analysis.references.centrality import assigned_fields
from codeindexd.analysis.references.codec import Columns
from codeindexd.protocol.printable import safe_line
from codeindexd.search.file_roles import FileRole, role_of
from codeindexd.search.graph.code_file import NAMESPACE_KINDS, CodeFile, is_code
from codeindexd.search.graph.common_members import is_common_name
from codeindexd.search.graph.graph import CodeGraph
from codeindexd.search.graph.resolve import family_of
from codeindexd.storage.snapshot import Snapshot
from codeindexd.storage.sorted_ids import contained
from codeindexd.types import DECLARATION, FUNCTION_KINDS, IMPLEMENTATION, Definition, ReferenceKind

CHARACTERS_PER_TOKEN: Final = 4
_DAMPING: Final = 0.85
_OWN: Final = 0.1  # weight of a reference within a file
_ROUNDS: Final = 20
_KEPT_RANKS: Final = 4  # maps
_MOST_FILES: Final = 2_500  # that are compared: reading that many takes a second or two, at the first time
_MOST_PLACES: Final = 50  # definitions of a name; one that more places define says nothing
_KEPT_DEFINITIONS: Final = 20_000  # of a root, the most central ones
_PRIVATE: Final = 0.3  # weight of names that begin with an underscore
_ASIDE: Final = {FileRole.TEST: 0.05, FileRole.ASIDE: 0.2, FileRole.DATA: 0.2, FileRole.DOCUMENT: 0.2}
_COMMON: Final = 0.02  # weight of ``append``, most uses of which mean a list
_MINOR: Final = frozenset({"field", "property", "variable", "constant", "enum_member"})
_MINOR_WEIGHT: Final = 0.2
_COMPOUND: Final = re.compile(r"[({]|\b(?:struct|union|enum|class)\b")


class Ranks(Struct, frozen=True):
    """The most central definitions of a root, best first: file ids (n,), numbers in their files (n,), scores (n,)."""

    generation: int
    file_ids: NDArray[np.int64]
    numbers: NDArray[np.int64]
    scores: NDArray[np.float64]


class _Summary(Struct, frozen=True):
    """A file for the ranking: its definitions as (number of the name, place in the file), its references by name."""

    content: bytes
    weight: float
    defined: NDArray[np.int64]  # (d, 2)
    weights: NDArray[np.float64]  # (d,)
    used: NDArray[np.int32]  # (u,)
    counts: NDArray[np.float32]  # (u,)


class RankCache:
    """The ranks of what was mapped last; after a change, only changed files are read again. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maps: OrderedDict[tuple[bytes, bytes], _MapRanks] = OrderedDict()

    def ranks(self, root: bytes, snapshot: Snapshot, below: bytes) -> tuple[Ranks, int]:
        """Return ranks for a map of a path (b"" is the root), and how many of its files were not compared. Blocking.

        They are at the generation of ``snapshot``. All files of the root are compared, of a large one those at or below
        the path, and if these are too many, the most central ones.
        """
        if snapshot.catalog.graph_counts().files <= _MOST_FILES:
            below = b""
        with self._lock:
            found = self._maps.setdefault((root, below), _MapRanks())
            self._maps.move_to_end((root, below))
            while len(self._maps) > _KEPT_RANKS:
                self._maps.popitem(last=False)
        return found.at(snapshot, below)


def _at_or_below(snapshot: Snapshot, path: bytes, file_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of ``file_ids`` (n,) that are at or below a path."""
    file = snapshot.catalog.file(path)
    below = np.array([file.file_id]) if file else snapshot.catalog.file_ids(include=[f"{os.fsdecode(path)}/**"])
    found: NDArray[np.int64] = file_ids[contained(file_ids, below)]
    return found


def _most_central(snapshot: Snapshot, file_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the most central of ``file_ids`` (n,), or the first ones if it is not known which are."""
    if len(file_ids) > _MOST_FILES and snapshot.centrality is not None:
        ranks = np.nan_to_num(snapshot.centrality.of(file_ids.tolist()), nan=-np.inf)
        file_ids = file_ids[np.argsort(-ranks, kind="stable")]
    return file_ids[:_MOST_FILES]


class _MapRanks:
    """The ranks for one map, and the summaries from which they are computed again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[bytes, int] = {}
        self._summaries: dict[int, _Summary] = {}
        self._ranks: Ranks | None = None
        self._left_out = 0

    def at(self, snapshot: Snapshot, below: bytes) -> tuple[Ranks, int]:
        """Return what :meth:`RankCache.ranks` does; ``below`` is always the same path."""
        with self._lock:
            if self._ranks is None or self._ranks.generation != snapshot.generation:
                file_ids = snapshot.catalog.graph_file_ids()
                file_ids = _at_or_below(snapshot, below, file_ids) if below else file_ids
                compared = _most_central(snapshot, file_ids)
                self._left_out = len(file_ids) - len(compared)
                self._update(snapshot, compared)
                self._ranks = _ranked(snapshot.generation, self._summaries, len(self._names))
            return self._ranks, self._left_out

    def _update(self, snapshot: Snapshot, file_ids: NDArray[np.int64]) -> None:
        versions = snapshot.catalog.graph_versions(file_ids.tolist())
        gone = self._summaries.keys() - versions.keys()
        for file_id in gone:
            del self._summaries[file_id]
        changed = [
            file_id
            for file_id, version in versions.items()
            if (held := self._summaries.get(file_id)) is None or held.content != version
        ]
        for at in range(0, len(changed), _AT_ONCE):
            part = changed[at : at + _AT_ONCE]
            files = snapshot.catalog.files_by_id(part)
            definitions = snapshot.catalog.definitions(part)
            references = snapshot.catalog.references(part)
            for file_id, file in files.items():
                weight = _ASIDE.get(role_of(file.entry.path, file.language), 1.0)
                own = definitions.get(file_id, ()) if file.language not in DOCUMENTS else ()
                self._summaries[file_id] = self._summary(
                    versions[file_id], weight, file.language, own, references.get(file_id)
                )

    def _summary(
        self,
        content: bytes,
        weight: float,
        language: str,
        definitions: Sequence[Definition],
        references: Columns | None,
    ) -> _Summary:
        number_of = self._number
        details = assigned_fields((one.kind, one.line, one.end_line) for one in definitions)
        kept = [
            (number_of(one.name.encode("utf-8", "replace")), place, _weight_of(one, language))
            for place, one in enumerate(definitions)
            if is_code(language, one.kind)
            and one.kind not in NAMESPACE_KINDS
            and one.kind not in (IMPLEMENTATION, DECLARATION)
            and place not in details
            and not _is_local(one, definitions)
            and not _is_flag(one)
        ]
        used, counts = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
        if references is not None:
            plain = references.names[references.kinds != ReferenceKind.ALIAS]
            local = np.array([number_of(name) for name in references.table], dtype=np.int64)
            numbers, found = np.unique(local[plain], return_counts=True)
            used, counts = numbers.astype(np.int32), np.sqrt(found).astype(np.float32)
        defined = np.array([(name, place) for name, place, _ in kept], dtype=np.int64).reshape(-1, 2)
        return _Summary(content, weight, defined, np.array([one for _, _, one in kept]) * weight, used, counts)

    def _number(self, name: bytes) -> int:
        return self._names.setdefault(name, len(self._names))


_AT_ONCE: Final = 500
_NO_NUMBERS: Final = np.zeros(0, dtype=np.int64)


def _is_local(one: Definition, definitions: Sequence[Definition]) -> bool:
    return one.container >= 0 and definitions[one.container].kind in FUNCTION_KINDS


def _weight_of(one: Definition, language: str) -> float:
    weight = _PRIVATE if one.name.startswith("_") else 1.0
    if is_common_name(family_of(language), one.name):
        weight *= _COMMON
    return weight * _MINOR_WEIGHT if one.kind in _MINOR or _is_substitute(one) else weight


def _is_flag(one: Definition) -> bool:
    """Return True for a macro that stands for nothing, such as the one that guards a header."""
    return one.kind == "macro" and one.signature.endswith(one.name)


def _is_substitute(one: Definition) -> bool:
    """Return True for what says less than what it stands for.

    That is a macro without parameters, another name of a type, or a module whose content is in another file.
    """
    if one.kind == "macro":
        return f"{one.name}(" not in one.signature
    if one.kind == "module":
        return one.end_line == one.start_line
    return one.signature.startswith("typedef ") and _COMPOUND.search(one.signature) is None


def _ranked(generation: int, summaries: dict[int, _Summary], names: int) -> Ranks:
    """Compute the ranks of all definitions from the summaries of all files."""
    ids = np.fromiter(summaries, np.int64, len(summaries))
    parts = list(summaries.values())
    if not parts:
        return Ranks(generation, _NO_NUMBERS, _NO_NUMBERS, np.zeros(0, dtype=np.float64))
    defined = np.concatenate([one.defined for one in parts])
    weights = np.concatenate([one.weights for one in parts])
    file_of_definition = np.repeat(np.arange(len(parts)), [len(one.defined) for one in parts])
    used = np.concatenate([one.used for one in parts]).astype(np.int64)
    counts = np.concatenate([one.counts for one in parts])
    user = np.repeat(np.arange(len(parts)), [len(one.used) for one in parts])
    places = np.bincount(defined[:, 0], minlength=names)
    is_known = (places[used] > 0) & (places[used] <= _MOST_PLACES)
    used, counts, user = used[is_known], counts[is_known], user[is_known]
    # an edge for each pair of a reference and a definition of its name, except within a file
    order = np.argsort(defined[:, 0], kind="stable")
    first = np.searchsorted(defined[order, 0], used)
    many = places[used]
    edges_user = np.repeat(user, many)
    offsets = np.arange(len(edges_user)) - np.repeat(np.cumsum(many) - many, many)
    edges_definition = order[np.repeat(first, many) + offsets]
    share = np.repeat(counts / many, many)
    flow = share / np.bincount(edges_user, share, minlength=len(parts))[edges_user] * weights[edges_definition]
    target = file_of_definition[edges_definition]
    flow[edges_user == target] *= _OWN
    kept = 1 - np.bincount(edges_user, flow, minlength=len(parts))
    start = np.fromiter((one.weight for one in parts), float, len(parts))
    start /= start.sum()
    rank = start
    for _ in range(_ROUNDS):
        passed = np.bincount(target, rank[edges_user] * flow, minlength=len(parts))
        rank = (1 - _DAMPING) * start + _DAMPING * (passed + (rank * kept).sum() * start)
    scores = np.bincount(edges_definition, rank[edges_user] * flow, minlength=len(defined)).astype(np.float64)
    scores += 1e-3 * weights * start[file_of_definition]
    best = np.argsort(-scores, kind="stable")[:_KEPT_DEFINITIONS]
    return Ranks(generation, ids[file_of_definition[best]], defined[best, 1], scores[best])


class MappedFile(Struct):
    """A file in a map, with the numbers of the definitions that are shown, in the order of their lines."""

    file: CodeFile
    numbers: list[int]
    score: float


class CodeMap(Struct):
    """A map: files in the order of their paths, its text, and how many files and definitions it leaves out."""

    files: list[MappedFile]
    text: str
    definitions: int
    all_definitions: int


def code_map(graph: CodeGraph, ranks: Ranks, below: bytes, *, tokens: int) -> CodeMap:
    """Return the map of the files at or below a path (b"" is the root) in at most about ``tokens`` tokens."""
    room = tokens * CHARACTERS_PER_TOKEN
    chosen: defaultdict[int, set[int]] = defaultdict(set)
    files: dict[int, CodeFile | None] = {}
    scores: defaultdict[int, float] = defaultdict(float)
    place_of: dict[tuple[str, str], int] = {}  # of names outside types, so that a copy is not shown beside the original
    total = 0
    is_full = False
    for start in range(0, len(ranks.scores), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        ids = ranks.file_ids[part].tolist()
        files |= _files_below(graph, below, [file_id for file_id in dict.fromkeys(ids) if file_id not in files])
        for file_id, number, score in zip(ids, ranks.numbers[part].tolist(), ranks.scores[part].tolist(), strict=True):
            file = files[file_id]
            if file is None or number >= len(file.definitions):
                continue
            total += 1
            one = file.definitions[number]
            if one.container < 0 and place_of.setdefault((one.name, one.kind), file_id) != file_id:
                continue
            needed = 0 if file_id in chosen else len(file.path) + 2
            new = [shown for shown in _with_containers(file, number) if shown not in chosen[file_id]]
            needed += sum(_length(file, shown) for shown in new)
            if is_full or needed > room:
                is_full = True
                if not chosen[file_id]:
                    del chosen[file_id]
                continue
            room -= needed
            chosen[file_id].update(new)
            scores[file_id] = max(scores[file_id], score)
        if is_full and start >= 2 * _AT_ONCE:
            total += max(0, len(ranks.scores) - start - _AT_ONCE) if not below else 0
            break
    mapped = [
        MappedFile(file, sorted(numbers), scores[file_id])
        for file_id, numbers in chosen.items()
        if (file := files[file_id]) is not None
    ]
    mapped.sort(key=lambda one: one.file.path)
    count = sum(len(one.numbers) for one in mapped)
    return CodeMap(mapped, render(mapped), count, max(total, count))


def _files_below(graph: CodeGraph, below: bytes, file_ids: Sequence[int]) -> dict[int, CodeFile | None]:
    """Return files by id; None for those that are gone, or not at or below a path."""
    loaded = {file.file.file_id: file for file in graph.load(file_ids) if _is_below(file.path, below)}
    return {file_id: loaded.get(file_id) for file_id in file_ids}


def _is_below(path: bytes, above: bytes) -> bool:
    return not above or path == above or path.startswith(above + b"/")


def _with_containers(file: CodeFile, number: int) -> list[int]:
    """Return a definition and those around it that a tree shows."""
    found = []
    while number >= 0:
        if file.definitions[number].kind not in NAMESPACE_KINDS:
            found.append(number)
        number = file.definitions[number].container
    return found


def _depth(file: CodeFile, number: int) -> int:
    return len(_with_containers(file, number)) - 1


def _length(file: CodeFile, number: int) -> int:
    return len(line_of(file, number)) + 1


def line_of(file: CodeFile, number: int) -> str:
    """Return the line of a definition in a map: its number and signature, indented by its depth."""
    one = file.definitions[number]
    return f"{one.line:>5}: {'  ' * _depth(file, number)}{one.signature or f'{one.kind} {one.name}'}"


def render(files: Iterable[MappedFile]) -> str:
    """Return the map as text: each file's path, and below it its definitions."""
    lines: list[str] = []
    for one in files:
        lines.append(f"{safe_line(one.file.path.decode('utf-8', 'replace'))}:")
        lines += [line_of(one.file, number) for number in one.numbers]
    return "\n".join(lines)
