"""One generation of a catalog, pinned for queries."""

from __future__ import annotations

import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.chunking.samples import DOCUMENTS
from codeindexd.analysis.references.codec import Columns
from codeindexd.scan.relpath import split
from codeindexd.storage.catalog import contents, filters, outlines, references, skipped_texts
from codeindexd.storage.catalog.references import GraphCounts
from codeindexd.storage.catalog.rows import (
    STORED_CHUNK,
    STORED_FILE,
    STORED_FILE_OF_ENTRY,
    get_ids,
    last_part,
    stored_chunk,
    stored_file,
    symbol_key,
)
from codeindexd.storage.catalog.skipped_texts import SkippedText
from codeindexd.storage.catalog.state import SELECT_STATE, CatalogState
from codeindexd.storage.catalog.summaries import ChunkSummary, first_chunk_ids, summaries
from codeindexd.storage.catalog.summary import DirectorySummary, has_files, summary_of
from codeindexd.storage.sorted_ids import contained
from codeindexd.storage.sqlite import Reader
from codeindexd.types import (
    IMPLEMENTATION,
    Counts,
    Definition,
    Outcome,
    StoredChunk,
    StoredDefinition,
    StoredFile,
    Symbol,
)

_PAGE = 2_000
_FILTERS_KEPT = 16
_MOST_IDS_KEPT = 4_000_000  # of all filters together: 32 MB
_MOST_CANDIDATES = 10_000


class CatalogSnapshot:
    """A pinned read transaction on a connection of its own. Thread-safe; calls run one at a time.

    Everything comes from one generation, except that the stats of files may be newer: commits that change nothing else
    do not count as a generation, and :meth:`repin` moves a snapshot past them. While a snapshot is open, the
    write-ahead log cannot be checkpointed past it, so close it when it is replaced. Every method raises
    StoreDamagedError if the file is damaged, StoreFullError if it cannot be read now, FailedError once the snapshot is
    closed.
    """

    def __init__(self, reader: Reader, release: Callable[[CatalogSnapshot, sqlite3.Connection | None], None]) -> None:
        """Pin the last commit. ``release`` is called on closing, with the connection outside any transaction."""
        self._reader = reader
        self._release = release
        self._filtered: dict[tuple[object, ...], NDArray[np.int64]] = {}
        self._state = CatalogState.of(reader.pin(SELECT_STATE))

    @property
    def generation(self) -> int:
        """The pinned generation."""
        return self._state.generation

    @property
    def is_lost(self) -> bool:
        """True if an error ended the transaction, so that nothing more can be read."""
        return self._reader.is_closed

    def counts(self) -> Counts:
        """Return the numbers of files, chunks and failures."""
        return self._state.counts

    def repin(self) -> None:
        """Pin the last commit, which must have the same generation. Only for use by the catalog."""
        state = CatalogState.of(self._reader.pin(SELECT_STATE))
        assert state.generation == self._state.generation, (state.generation, self._state.generation)
        self._state = state

    # files

    def file(self, path: bytes) -> StoredFile | None:
        """Return the leaf at a path, of any kind and outcome; None for directories and missing paths."""
        rows = self._reader.rows(f"{STORED_FILE_OF_ENTRY} WHERE e.parent = ? AND e.name = ?", split(path))
        return stored_file(rows[0]) if rows else None

    def summary(self, directory: bytes) -> DirectorySummary:
        """Return the counts for everything below ``directory`` (b"" is the root). Reads all its entries."""
        return summary_of(self._reader, directory)

    def has_files(self, directory: bytes) -> bool:
        """Return True if any file below ``directory`` is not skipped: indexed, failed or waiting."""
        return has_files(self._reader, directory)

    def files_by_id(self, ids: Iterable[int]) -> dict[int, StoredFile]:
        """Return the existing leaves with these file ids, by file id."""
        rows = self._reader.rows_in(lambda marks: f"{STORED_FILE} WHERE f.file_id IN ({marks})", [int(i) for i in ids])
        return {row[0]: stored_file(row) for row in rows}

    def files(self) -> Iterator[StoredFile]:
        """Yield all leaves in the order of their ids, read in pages."""
        last = 0
        while True:
            sql = f"{STORED_FILE} WHERE f.file_id > ? ORDER BY f.file_id LIMIT {_PAGE}"
            rows = self._reader.rows(sql, (last,))
            yield from map(stored_file, rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def indexed_files(self) -> Iterator[StoredFile]:
        """Yield the leaves with outcome INDEXED, whose paths can be searched."""
        return (file for file in self.files() if file.outcome is Outcome.INDEXED)

    def file_ids(
        self, *, language: str | None = None, include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> NDArray[np.int64]:
        """Return the sorted ids (n,) of the indexed files that pass the filters; see :meth:`chunk_ids`."""
        return filters.file_ids(self._reader, language, include, exclude)

    def files_with_hashes(self, content_hashes: Sequence[bytes]) -> list[StoredFile]:
        """Return the indexed files whose content has one of these hashes."""
        return contents.files_with_hashes(self._reader, content_hashes)

    def content_hashes(self, file_ids: Iterable[int]) -> frozenset[bytes]:
        """Return the content hashes of the files with these ids."""
        sql = "SELECT e.hash FROM file f JOIN entry e USING (parent, name) WHERE f.file_id IN ({})"
        wanted = [int(file_id) for file_id in file_ids]
        return frozenset(row[0] for row in self._reader.rows_in(lambda marks: sql.format(marks), wanted))

    def files_named(self, names: Sequence[bytes]) -> list[StoredFile]:
        """Return the indexed files whose last path component is one of ``names``."""
        return contents.files_named(self._reader, names)

    def indexed_content_hashes(self) -> Iterator[bytes]:
        """Yield the content hash of every indexed file; a hash repeats if several files have equal content."""
        return contents.indexed_content_hashes(self._reader)

    def files_to_read(self) -> list[StoredFile]:
        """Return the files whose content is not known: failed or not yet processed."""
        return contents.files_to_read(self._reader)

    def directories_with(self, name: bytes) -> list[bytes]:
        """Return the directories that have an entry of this name that is left out, such as ``.git``."""
        return contents.directories_with(self._reader, name)

    def skipped_texts(self, newest_round: int) -> list[SkippedText]:
        """Return the skipped files that may be text, and what is known of them; see ``catalog.skipped_texts``."""
        return skipped_texts.skipped_texts(self._reader, newest_round)

    def long_runs_of_files(self, file_ids: Iterable[int]) -> dict[int, bytes]:
        """Return the filters of the long runs in the texts of skipped files that were read, by file id."""
        return skipped_texts.long_runs_of_files(self._reader, file_ids)

    def skipped_contents(self) -> set[bytes]:
        """Return the content hashes of the skipped files that were read."""
        return skipped_texts.skipped_contents(self._reader)

    # chunks

    def chunks(self, ids: Iterable[int]) -> dict[int, StoredChunk]:
        """Return the existing chunks with these ids, by id."""
        wanted = [int(i) for i in ids]
        rows = self._reader.rows_in(lambda marks: f"{STORED_CHUNK} WHERE c.chunk_id IN ({marks})", wanted)
        return {row[0]: stored_chunk(row) for row in rows}

    def summaries(self, ids: Iterable[int]) -> list[ChunkSummary]:
        """Return what ranking needs of the existing chunks with these ids, in the order of ids."""
        return summaries(self._reader, [int(i) for i in ids])

    def first_chunk_ids(self, file_ids: Iterable[int]) -> list[int]:
        """Return the id of the first chunk of each of these files that has any."""
        return first_chunk_ids(self._reader, file_ids)

    def distinct_texts(self, ids: Iterable[int]) -> int:
        """Return how many different texts the chunks with these ids have."""
        wanted = [int(i) for i in ids]
        sql = "SELECT span_hash FROM chunk WHERE chunk_id IN ({})"
        return len({row[0] for row in self._reader.rows_in(lambda marks: sql.format(marks), wanted)})

    def chunks_of_file(self, file: bytes | int) -> list[StoredChunk]:
        """Return the chunks of a file (path or file id) in the order of its lines."""
        if isinstance(file, bytes):
            sql = (
                "SELECT f.chunk_ids FROM entry e JOIN file f ON f.file_id = e.file_id WHERE e.parent = ? AND e.name = ?"
            )
            row = self._reader.row(sql, split(file))
            ids = get_ids(row[0]).tolist() if row is not None else []
        else:
            ids = self._chunk_ids_of([file])
        found = self.chunks(ids)
        return [found[chunk_id] for chunk_id in ids if chunk_id in found]

    def chunk_ids_with_text(self, file_ids: Iterable[int], span_hash: bytes) -> list[int]:
        """Return the ids of the chunks of these files whose text has the hash ``span_hash``."""
        sql = "SELECT chunk_id FROM chunk WHERE span_hash = ? AND chunk_id IN ({})"
        return [row[0] for row in self._reader.rows_in(sql.format, self._chunk_ids_of(file_ids), [span_hash])]

    def byte_ranges_of_file(self, file_id: int) -> list[tuple[int, int, int]]:
        """Return the (chunk id, start, end) of a file's chunks, in bytes, in the order of the file."""
        sql = "SELECT chunk_id, start_byte, end_byte FROM chunk WHERE chunk_id IN ({})"
        return sorted(self._reader.rows_in(sql.format, self._chunk_ids_of([file_id])), key=lambda found: found[1:])

    def _chunk_ids_of(self, file_ids: Iterable[int]) -> list[int]:
        """Return the ids of the chunks of these files, those of each file in its order."""
        wanted = [int(file_id) for file_id in file_ids]
        blobs = self._reader.rows_in("SELECT chunk_ids FROM file WHERE file_id IN ({})".format, wanted)
        return [chunk_id for row in blobs for chunk_id in get_ids(row[0]).tolist()]

    def all_chunks(self) -> Iterator[StoredChunk]:
        """Yield all chunks in the order of their ids, read in pages."""
        last = 0
        while True:
            sql = f"{STORED_CHUNK} WHERE c.chunk_id > ? ORDER BY c.chunk_id LIMIT {_PAGE}"
            rows = self._reader.rows(sql, (last,))
            yield from map(stored_chunk, rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def all_chunk_ids(self) -> NDArray[np.int64]:
        """Return the sorted ids (n,) of all chunks."""
        return self.chunk_ids()

    def embed_hashes(self) -> Iterator[bytes]:
        """Yield the embed hash of every chunk, that is the vectors in use, in the order of ids, read in pages."""
        last = 0
        while True:
            sql = "SELECT chunk_id, embed_hash FROM chunk WHERE chunk_id > ? ORDER BY chunk_id LIMIT ?"
            rows = self._reader.rows(sql, (last, _PAGE))
            yield from (row[1] for row in rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def chunk_ids(
        self,
        *,
        language: str | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        kinds: Sequence[str] = (),
        symbol: str | None = None,
    ) -> NDArray[np.int64]:
        """Return the sorted ids (n,) of the chunks that pass every given filter. The array is shared and read-only.

        ``include`` and ``exclude`` are path globs (see path_globs.py): a path must match one of the first and none of
        the second. ``kinds`` are alternatives, and ``symbol`` is a name as for :meth:`symbols`; both apply to the
        definitions in a chunk and to the chunk itself, and if both are given, one of these must match both. The last
        few results are cached. Raises InvalidQueryError for an invalid glob.
        """
        key = (language, tuple(include), tuple(exclude), tuple(kinds), symbol)
        return self.remember(key, lambda: self._chunk_ids(language, include, exclude, kinds, symbol))

    def remember(self, key: tuple[object, ...], compute: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return what ``compute()`` returned for ``key``, if that was one of the last few; read-only."""
        found = self._filtered.pop(key, None)
        if found is None:
            found = compute()
            found.flags.writeable = False
        self._filtered[key] = found  # the last one used
        while len(self._filtered) > _FILTERS_KEPT or sum(map(len, self._filtered.copy().values())) > _MOST_IDS_KEPT:
            oldest = next(iter(self._filtered))
            if oldest == key:
                break
            self._filtered.pop(oldest, None)
        return found

    def _chunk_ids(
        self,
        language: str | None,
        include: Sequence[str],
        exclude: Sequence[str],
        kinds: Sequence[str],
        symbol: str | None,
    ) -> NDArray[np.int64]:
        """Return the sorted ids of the chunks that pass all filters, also by definitions that are details in them."""
        if symbol is None:
            found = filters.chunk_ids(self._reader, language, include, exclude, kinds)
            more = outlines.chunks_with_details(self._reader, kinds)
        else:
            found = np.empty(0, np.int64)
            more = np.fromiter(sorted(self._chunks_named(symbol, kinds)), dtype=np.int64)
        if len(more) and (language or include or exclude):
            more = more[contained(more, filters.chunk_ids(self._reader, language, include, exclude, ()))]
        return np.union1d(found, more) if len(more) else found

    def chunk_ids_with_only(self, kinds: Sequence[str]) -> NDArray[np.int64]:
        """Return the sorted ids (n,) of the chunks of ``kinds``, and of those that define only symbols of ``kinds``."""
        wanted = frozenset(kinds)
        labelled = filters.labelled_chunk_ids(self._reader, kinds)
        labelled = np.setdiff1d(labelled, filters.merged_chunk_ids(self._reader), assume_unique=True)
        of_kinds = filters.chunk_ids(self._reader, None, (), (), kinds)
        others = np.setdiff1d(of_kinds, labelled, assume_unique=True)
        defining = [
            chunk.chunk_id
            for chunk in self.chunks(others.tolist()).values()
            if all(symbol.kind in wanted for symbol in chunk.span.symbols)
        ]
        return np.union1d(labelled, np.fromiter(defining, np.int64))

    # symbols

    def symbols(self, name: str, *, limit: int = 1_000) -> list[tuple[StoredChunk, Symbol]]:
        """Return the definitions of ``name``: first exact matches, then names that differ in case.

        ``Class.method`` (or ``Class::method``) matches qualified names with this ending. Equal matches are sorted by
        path and line. If more than 10,000 chunks have the name, only those with the lowest ids are considered.
        """
        wanted = _spellings(name)
        ranked = [
            (rank, chunk.path, chunk.span.start_line + symbol.line_offset, chunk, symbol)
            for chunk in self.chunks(sorted(self._named(wanted))[:_MOST_CANDIDATES]).values()
            for symbol in chunk.span.symbols
            if (rank := _rank(wanted, symbol.name, symbol.qualified)) is not None
        ]
        ranked.sort(key=lambda found: found[:3])
        return [(chunk, symbol) for _, _, _, chunk, symbol in ranked[:limit]]

    def symbols_unless_common(self, name: str, most_chunks: int) -> list[tuple[StoredChunk, Symbol]]:
        """Return what :meth:`symbols` does, but nothing if more than ``most_chunks`` chunks have the name."""
        return self.symbols(name) if len(self._named(_spellings(name))) <= most_chunks else []

    def chunks_named(self, names: Iterable[str]) -> set[int]:
        """Return the ids of the chunks that are or define something with one of these names, ignoring case."""
        keys = {symbol_key(name) for name in names} - {b""}
        sql = "SELECT chunk_id FROM symbol WHERE name IN ({})"
        return {row[0] for row in self._reader.rows_in(sql.format, sorted(keys))}

    def symbol_names(self, part: str, *, only_prefix: bool, limit: int) -> list[str]:
        """Return the case-folded names that begin with ``part`` or, without ``only_prefix``, contain it; sorted."""
        key = symbol_key(part)
        if not key:
            return []
        where, parameters = "instr(name, ?)", [key]
        if only_prefix:
            where, parameters = "name >= ? AND name < ?", [key, key + b"\xff"]
        sql = f"SELECT name FROM symbol WHERE {where} UNION SELECT name FROM definition_name WHERE {where}"  # noqa: S608
        rows = self._reader.rows(f"{sql} ORDER BY name LIMIT ?", (*parameters, *parameters, limit))
        return [bytes(row[0]).decode("utf-8", "surrogatepass") for row in rows]

    def definitions(self, file_ids: Iterable[int]) -> dict[int, tuple[Definition, ...]]:
        """Return the definitions of files by file id, in the order of their lines; a file without any is left out."""
        return outlines.definitions_of(self._reader, file_ids)

    def files_defining(self, names: Iterable[str]) -> set[int]:
        """Return the ids of the files that define one of these names, ignoring case."""
        return outlines.files_with_keys(self._reader, [symbol_key(name) for name in names])

    def references(self, file_ids: Iterable[int]) -> dict[int, Columns]:
        """Return the references of files by file id, in the order of their lines; a file without any is left out."""
        return references.references_of(self._reader, file_ids)

    def encoded_references(self, file_id: int) -> bytes:
        """Return the references of a file as its worker encoded them; b"" if there are none."""
        return references.encoded_references(self._reader, [file_id]).get(file_id, b"")

    def graph_file_ids(self) -> NDArray[np.int64]:
        """Return the sorted ids (n,) of the files with definitions or references."""
        return references.graph_file_ids(self._reader)

    def graph_versions(self, file_ids: Iterable[int]) -> dict[int, bytes]:
        """Return what changes with the definitions and references of files, by file id."""
        return references.graph_versions(self._reader, file_ids)

    def graph_counts(self) -> GraphCounts:
        """Return the numbers of definitions and references."""
        return references.graph_counts(self._reader)

    def is_partial(self, file_id: int) -> bool:
        """Return True if the syntax of some of a file was not understood, so that definitions may be missing."""
        return outlines.is_partial(self._reader, file_id)

    def definitions_named(
        self,
        name: str,
        *,
        limit: int = 1_000,
        files: Collection[int] | None = None,
        accepts: Callable[[Definition], bool] | None = None,
    ) -> list[StoredDefinition]:
        """Return the definitions of ``name``, matched and sorted as by :meth:`symbols`, those in documents last.

        They are in one of ``files`` (file ids; None: in any file), and ``accepts`` returns True for each of them.
        """
        return self.definitions_of_names([name], limit=limit, files=files, accepts=accepts)

    def definitions_of_names(
        self,
        names: Sequence[str],
        *,
        limit: int,
        files: Collection[int] | None = None,
        accepts: Callable[[Definition], bool] | None = None,
    ) -> list[StoredDefinition]:
        """Return what :meth:`definitions_named` does for each of ``names``, in their order; ``limit`` is that of each.

        The outline of a file is read once for all of them.
        """
        spellings = {name: _spellings(name) for name in names}
        keys = {name: _keys(wanted) for name, wanted in spellings.items()}
        asking: dict[str, list[str]] = defaultdict(list)
        for name, of_name in keys.items():
            for key in of_name:
                asking[key.decode("utf-8", "surrogatepass")].append(name)
        defining = outlines.files_with_keys(self._reader, list(dict.fromkeys(itertools.chain(*keys.values()))))
        if files is not None:
            defining.intersection_update(files)
        found = outlines.outlines_of(self._reader, sorted(defining)[:_MOST_CANDIDATES])
        order = {
            file.file_id: (file.language in DOCUMENTS, file.entry.path) for file in self.files_by_id(found).values()
        }
        ranked: dict[str, list[tuple[bool, int, bytes, int, int, int, int]]] = {name: [] for name in spellings}
        for file_id, outline in found.items():
            for number, plain in enumerate(outline.names):
                for name in asking.get(plain.casefold(), ()):
                    definition = outline[number]
                    rank = _rank(spellings[name], definition.name, definition.qualified)
                    if rank is None or definition.kind == IMPLEMENTATION or (accepts and not accepts(definition)):
                        continue
                    in_documents, path = order[file_id]
                    ranked[name].append((in_documents, rank, path, definition.line, definition.column, file_id, number))
        first = [place for of_name in ranked.values() for place in sorted(of_name)[:limit]]
        chunks = self._chunks_at([(file_id, line) for _, _, _, line, _, file_id, _ in first])
        return [
            StoredDefinition(chunks[file_id, line], found[file_id], number)
            for _, _, _, line, _, file_id, number in first
            if (file_id, line) in chunks
        ]

    def _chunks_at(self, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], StoredChunk]:
        """Return the chunk at each place (file id, line) that is in a chunk."""
        by_file: dict[int, set[int]] = defaultdict(set)
        for file_id, line in places:
            by_file[file_id].add(line)
        sql = "SELECT chunk_id, file_id, start_line, end_line FROM chunk WHERE chunk_id IN ({})"
        at = {
            (file_id, line): chunk_id
            for chunk_id, file_id, first, last in self._reader.rows_in(sql.format, self._chunk_ids_of(by_file))
            for line in by_file[file_id]
            if first <= line <= last
        }
        chunks = self.chunks(set(at.values()))
        return {place: chunks[chunk_id] for place, chunk_id in at.items()}

    def _chunks_named(self, name: str, kinds: Sequence[str]) -> set[int]:
        """Return the ids of the chunks that are or define something of this name, and of one of ``kinds`` if given."""
        wanted = _spellings(name)
        ids = self._named(wanted)
        details = {
            stored.chunk.chunk_id
            for stored in self.definitions_named(name, limit=_MOST_CANDIDATES)
            if not kinds or stored.definition.kind in kinds
        }
        if "." not in wanted[0] and not kinds:
            return ids | details  # the key is sufficient
        return details | {
            chunk.chunk_id
            for chunk in self.chunks(ids).values()
            for own, qualified, kind in [
                (last_part(chunk.span.symbol), chunk.span.symbol, chunk.span.kind),
                *((symbol.name, symbol.qualified, symbol.kind) for symbol in chunk.span.symbols),
            ]
            if (not kinds or kind in kinds) and _rank(wanted, own, qualified) is not None
        }

    def _named(self, wanted: tuple[str, ...]) -> set[int]:
        """Return the ids of the chunks with the symbol key of one of these spellings, or of its last part."""
        keys = _keys(wanted)
        marks = ", ".join("?" * len(keys))
        return {row[0] for row in self._reader.rows(f"SELECT chunk_id FROM symbol WHERE name IN ({marks})", keys)}  # noqa: S608

    # life

    def close(self) -> None:
        """End the read transaction; may be repeated. Generators in use raise FailedError."""
        self._release(self, self._reader.detach())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_named(symbol: Symbol, name: str) -> bool:
    """Return True if ``name``, plain or qualified in any notation, means, ignoring case, ``symbol``."""
    return _rank(_spellings(name), symbol.name, symbol.qualified) is not None


def _spellings(name: str) -> tuple[str, ...]:
    """Return ``name`` with dots in place of the separators ``::``, ``#`` and ``\\``, and as it is if that differs.

    They are part of some names: ``log::info`` of Bash, and the operator ``.=`` of Haskell.
    """
    plain = name.strip()
    dotted = plain.replace("::", ".").replace("#", ".").replace("\\", ".").strip(".")
    return tuple(dict.fromkeys(filter(None, (dotted, plain)))) or (name,)


def _keys(wanted: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return the symbol keys of the spellings of a name, and of the last part of the dotted one."""
    return tuple(symbol_key(spelling) for spelling in dict.fromkeys((*wanted, last_part(wanted[0]))))


def _rank(wanted: tuple[str, ...], name: str, qualified: str) -> int | None:
    """Return 0 if ``name`` or ``qualified`` matches exactly, 1 if it differs in case, None if neither matches."""
    if any(_means(spelling, name, qualified) for spelling in wanted):
        return 0
    if any(_means(spelling.casefold(), name.casefold(), qualified.casefold()) for spelling in wanted):
        return 1
    return None


def _means(wanted: str, name: str, qualified: str) -> bool:
    return wanted in (name, qualified) or qualified.endswith("." + wanted)
