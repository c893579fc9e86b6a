"""Consistency checks of a catalog: structure, counters, directory hashes, orphans."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from codeindexd.errors import ShuttingDownError, StoreDamagedError, StoreFullError
from codeindexd.quantities import quantity
from codeindexd.scan.merkle import node_hash
from codeindexd.scan.relpath import join
from codeindexd.storage.catalog.outlines import additional_keys, details_of, get_definitions
from codeindexd.storage.catalog.references import get_references
from codeindexd.storage.catalog.rows import OUTCOMES, entry_from, get_ids, get_symbols, get_text, symbol_keys
from codeindexd.storage.catalog.schema import reading_rows
from codeindexd.storage.catalog.state import SELECT_STATE, CatalogState
from codeindexd.storage.sqlite import Reader, Row
from codeindexd.types import Counts, Entry, NodeKind, Outcome, Span

_LOOK_EVERY: Final = 1_000  # rows
_Columns = tuple[tuple[str, str], ...]  # results of typeof(), and the columns that may have them
_TEXT = "'text', 'blob'"  # as put_text makes it
_BIG = "'integer', 'text', 'null'"  # as put_int makes it
_TYPES: dict[str, _Columns] = {
    "state": (("'integer'", "generation next_file next_chunk files chunks failed pending"), ("'text'", "skipped")),
    "entry": (
        ("'blob'", "parent name hash"),
        ("'integer'", "kind"),
        ("'integer', 'null'", "file_id"),
        (_BIG, "size mtime_ns ctime_ns inode"),
        (_TEXT, "reason rule"),
    ),
    "file": (
        ("'blob'", "parent name fingerprint chunk_ids chunk_kinds"),
        ("'integer'", "outcome"),
        ("'text'", "language encoding"),
        (_TEXT, "reason"),
    ),
    "chunk": (
        ("'integer'", "file_id start_byte end_byte start_line end_line terms"),
        ("'text'", "kind"),
        (_TEXT, "symbol"),
        ("'blob'", "span_hash embed_hash"),
        ("'blob', 'null'", "symbols"),
    ),
    "kind": (("'text'", "name"),),
    "symbol": (("'blob'", "name"), ("'integer'", "chunk_id")),
    "outline": (("'integer'", "is_partial"), ("'blob'", "definitions details")),
    "definition_name": (("'blob'", "name"), ("'integer'", "file_id")),
    "reference": (("'integer'", "definition_count reference_count"), ("'blob'", "refs")),
    "centrality": (("'integer'", "version generation"), ("'blob'", "file_ids ranks")),
    "skipped_text": (
        ("'integer'", "round"),
        ("'blob'", "hash long_runs"),
        ("'integer', 'text'", "size mtime_ns ctime_ns inode"),
    ),
    "failure": (("'blob'", "parent name"), (_TEXT, "stage error"), ("'integer'", "attempts next_retry_ns quarantined")),
}


class _Rows:
    """The rows of a reader, whose statements and loops end with ShuttingDownError once ``should_stop()``."""

    def __init__(self, reader: Reader, should_stop: Callable[[], bool]) -> None:
        self._reader = reader
        self._should_stop = should_stop

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Yield all rows of one statement."""
        for number, row in enumerate(self._reader.rows(sql, parameters)):
            if number % _LOOK_EVERY == 0:
                self.look()
            yield row

    def look(self) -> None:
        """Raise ShuttingDownError if the check should stop."""
        if self._should_stop():
            raise ShuttingDownError("the check of the catalog was stopped")

    def row(self, sql: str) -> Row | None:
        """Return the first row of one statement, or None."""
        return self._reader.row(sql)


def check_catalog(reader: Reader, should_stop: Callable[[], bool] = bool) -> list[str]:
    """Return a description of every inconsistency, as seen by the reader's transaction.

    Damage that prevents reading counts as an inconsistency. Raises StoreFullError if the file cannot be read now, and
    ShuttingDownError once ``should_stop()`` returns True; if that raises an exception, so does this.
    """
    problems: list[str] = []
    rows = _Rows(reader, should_stop)
    reader.interrupt_when(should_stop)
    try:
        with reading_rows(reader.path):
            _check_all(rows, problems)
    except StoreFullError:
        rows.look()  # an interrupted statement raises the same
        raise
    except StoreDamagedError as error:
        problems.append(error.message)
    return problems


def _check_all(reader: _Rows, problems: list[str]) -> None:
    problems += [str(row[0]) for row in reader.rows("PRAGMA quick_check(20)") if row[0] != "ok"]
    _check_types(reader, problems)
    row = reader.row(SELECT_STATE)
    if row is None:
        problems.append("the state row is missing")
        return
    leaf_ids = _check_tree(reader, problems)
    _check_files(reader, CatalogState.of(row), leaf_ids, problems)
    _check_symbols(reader, problems)
    _check_outlines(reader, problems)
    _check_references(reader, problems)
    _check_skipped_texts(reader, problems)


def _check_types(reader: _Rows, problems: list[str]) -> None:
    """Check column types: one flipped bit turns an empty text into a number, which SQLite's own checks accept."""
    for table, columns in _TYPES.items():
        odd = " OR ".join(f"typeof({name}) NOT IN ({types})" for types, names in columns for name in names.split())
        ((count,),) = reader.rows(f"SELECT count(*) FROM {table} WHERE {odd}")  # noqa: S608
        if count:
            problems.append(f"{quantity(count, 'row has', 'rows have')} values of a wrong type in {table}")


def _check_tree(reader: _Rows, problems: list[str]) -> dict[int, bytes]:
    """Check directory hashes and parents; return the path of every leaf by file id."""
    children: dict[bytes, list[Entry]] = defaultdict(list)
    directories: dict[bytes, bytes] = {}
    leaf_ids: dict[int, bytes] = {}
    columns = "parent, name, file_id, kind, hash, size, mtime_ns, ctime_ns, inode, reason, rule"
    for row in reader.rows(
        f"SELECT {columns} FROM entry"  # noqa: S608
    ):
        path = join(row[0], row[1])
        entry = entry_from(path, row[3:])
        if path:
            children[row[0]].append(entry)
        if entry.kind is NodeKind.DIRECTORY:
            directories[path] = entry.hash
        elif row[2] is None or row[2] in leaf_ids:
            problems.append(f"{path!r} has no file id of its own")
        else:
            leaf_ids[row[2]] = path
    problems += [f"{parent!r} has entries and is not a directory" for parent in children if parent not in directories]
    problems += [
        f"the hash of directory {path!r} does not match its entries"
        for path, digest in directories.items()
        if node_hash(children[path]) != digest
    ]
    return leaf_ids


def _check_files(reader: _Rows, state: CatalogState, leaf_ids: dict[int, bytes], problems: list[str]) -> None:
    """Check files against the tree, their chunks and the counters."""
    kinds: dict[int, str] = dict(reader.rows("SELECT code, name FROM kind"))
    expected: dict[int, tuple[int, str]] = {}
    outcomes: Counter[Outcome] = Counter()
    skipped: Counter[str] = Counter()
    failed: set[bytes] = {join(*row) for row in reader.rows("SELECT parent, name FROM failure")}
    seen: set[int] = set()
    for row in reader.rows("SELECT file_id, parent, name, outcome, reason, chunk_ids, chunk_kinds FROM file"):
        file_id, path, outcome = row[0], join(row[1], row[2]), OUTCOMES[row[3]]
        seen.add(file_id)
        if leaf_ids.get(file_id) != path:
            problems.append(f"file {file_id} at {path!r} is not in the tree")
        outcomes[outcome] += 1
        if outcome is Outcome.SKIPPED:
            skipped[get_text(row[4])] += 1
        if outcome is Outcome.FAILED:
            failed.add(path)
        ids, codes = get_ids(row[5]).tolist(), np.frombuffer(row[6], dtype="<u2").tolist()
        if len(ids) != len(codes) or (ids and outcome is not Outcome.INDEXED):
            problems.append(f"the chunk list of {path!r} is inconsistent")
        expected.update((chunk_id, (file_id, kinds.get(code, ""))) for chunk_id, code in zip(ids, codes, strict=False))
    problems += [f"{path!r} lacks its file row" for file_id, path in leaf_ids.items() if file_id not in seen]
    actual = {row[0]: (row[1], row[2]) for row in reader.rows("SELECT chunk_id, file_id, kind FROM chunk")}
    if actual != expected:
        odd = sorted(
            chunk_id for chunk_id in actual.keys() | expected.keys() if actual.get(chunk_id) != expected.get(chunk_id)
        )
        problems.append(f"{quantity(len(odd), 'chunk')} not as in the lists of their files, such as {odd[0]}")
    counted = Counts(
        outcomes[Outcome.INDEXED],
        len(actual),
        len(failed),
        outcomes[Outcome.UNPROCESSED],
        dict(sorted(skipped.items())),
    )
    if counted != state.counts:
        problems.append(f"the counters say {state.counts}, but {counted} were counted")
    if max(actual, default=0) >= state.next_chunk or max(seen, default=0) >= state.next_file:
        problems.append("an id is in use that was never assigned")


def _check_symbols(reader: _Rows, problems: list[str]) -> None:
    expected = {
        (key, row[0])
        for row in reader.rows("SELECT chunk_id, symbol, symbols FROM chunk WHERE symbol <> '' OR symbols IS NOT NULL")
        for key in symbol_keys(get_text(row[1]), get_symbols(row[2]))
    }
    actual = set(reader.rows("SELECT name, chunk_id FROM symbol"))
    if actual != expected:
        wrong = quantity(len(actual ^ expected), "symbol entry", "symbol entries")
        problems.append(f"{wrong} missing or superfluous")


def _check_outlines(reader: _Rows, problems: list[str]) -> None:
    """Check that definitions belong to indexed files, and that their keys and bits follow from them."""
    spans: dict[int, list[Span]] = defaultdict(list)
    columns = "file_id, start_byte, end_byte, start_line, end_line, kind, symbol, symbols"
    for row in reader.rows(f"SELECT {columns} FROM chunk WHERE file_id IN (SELECT file_id FROM outline)"):  # noqa: S608
        file_id, start, end, first, last, kind, symbol, symbols = row
        spans[file_id].append(Span(start, end, first, last, kind, get_text(symbol), get_symbols(symbols)))
    indexed = {row[0] for row in reader.rows("SELECT file_id FROM file WHERE outcome = ?", (int(Outcome.INDEXED),))}
    expected: set[tuple[bytes, int]] = set()
    for file_id, blob, details in reader.rows("SELECT file_id, definitions, details FROM outline"):
        definitions, of_file = get_definitions(blob), sorted(spans[file_id], key=lambda span: span.start_byte)
        expected.update((key, file_id) for key in additional_keys(definitions, of_file))
        if file_id not in indexed:
            problems.append(f"file {file_id} has definitions and is not indexed")
        if details != details_of(definitions, of_file):
            problems.append(f"the kinds of definitions in the chunks of file {file_id} are wrong")
    actual = set(reader.rows("SELECT name, file_id FROM definition_name"))
    if actual != expected:
        problems.append(f"{quantity(len(actual ^ expected), 'name')} of definitions missing or superfluous")


def _check_references(reader: _Rows, problems: list[str]) -> None:
    """Check that references belong to indexed files, and that their counts are right."""
    definitions = {
        row[0]: len(get_definitions(row[1])) for row in reader.rows("SELECT file_id, definitions FROM outline")
    }
    indexed = {row[0] for row in reader.rows("SELECT file_id FROM file WHERE outcome = ?", (int(Outcome.INDEXED),))}
    for file_id, defined, count, blob in reader.rows("SELECT * FROM reference"):
        if file_id not in indexed:
            problems.append(f"file {file_id} has references and is not indexed")
        if (defined, count) != (definitions.pop(file_id, 0), len(get_references(blob))):
            problems.append(f"the counts of definitions and references of file {file_id} are wrong")
    if missing := sum(count > 0 for count in definitions.values()):
        problems.append(f"{quantity(missing, 'file with definitions is', 'files with definitions are')} not counted")


def _check_skipped_texts(reader: _Rows, problems: list[str]) -> None:
    """Check that the files whose texts were read are skipped."""
    sql = "SELECT count(*) FROM skipped_text t LEFT JOIN file f USING (file_id) WHERE f.outcome IS NOT ?"
    ((count,),) = reader.rows(sql, (int(Outcome.SKIPPED),))
    if count:
        problems.append(f"{quantity(count, 'text belongs', 'texts belong')} to files that are not skipped")
