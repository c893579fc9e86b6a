"""What queries read: filters, symbols, and one stable generation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from codeindexd.errors import FailedError
from codeindexd.storage.catalog import Catalog, CatalogSnapshot
from codeindexd.types import ChunkDraft, FileUpdate, Symbol, Transaction
from storage.catalog.transactions import draft, failed, raw, skipped, update


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    catalog.commit(
        Transaction(
            updates=[
                update("src/client.py", "Client Client.get Client.close"),
                update("src/x/server.go", "Serve get", language="go", kind="method"),
                update("tests/test_client.py", "test_get GET"),
                update("README.md", "Usage", language="markdown", kind="section"),
                skipped("logo.png"),
                failed("src/broken.py", "x"),
            ]
        )
    )
    yield catalog
    catalog.close()


@pytest.fixture
def snapshot(catalog: Catalog) -> Iterator[CatalogSnapshot]:
    with catalog.snapshot() as snapshot:
        yield snapshot


def paths(snapshot: CatalogSnapshot, ids: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[bytes]:
    assert ids.dtype == np.int64
    assert (np.diff(ids) > 0).all()
    return sorted({chunk.path for chunk in snapshot.chunks(ids).values()})


def test_summaries_are_parts_of_chunks(snapshot: CatalogSnapshot) -> None:
    ids = snapshot.all_chunk_ids().tolist()
    found = snapshot.summaries([*reversed(ids), 10_000])
    chunks = [snapshot.chunks(ids)[one] for one in ids]
    assert [one.chunk_id for one in found] == ids
    assert [(one.file_id, one.path, one.language, one.start_line, one.span_hash, one.symbols) for one in found] == [
        (one.file_id, one.path, one.language, one.span.start_line, one.span_hash, one.span.symbols) for one in chunks
    ]


def test_first_chunks_and_byte_ranges(snapshot: CatalogSnapshot) -> None:
    client, logo = snapshot.file(b"src/client.py"), snapshot.file(b"logo.png")
    assert client is not None
    assert logo is not None  # it has no chunks
    chunks = snapshot.chunks_of_file(client.file_id)
    assert snapshot.first_chunk_ids([client.file_id, logo.file_id]) == [chunks[0].chunk_id]
    assert snapshot.byte_ranges_of_file(client.file_id) == [
        (one.chunk_id, one.span.start_byte, one.span.end_byte) for one in chunks
    ]
    assert snapshot.byte_ranges_of_file(logo.file_id) == []


def test_chunks_with_the_same_text(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a.py", "Same Other"), update("b.py", "Same")]))
    with catalog.snapshot() as snapshot:
        (same,) = snapshot.chunks_of_file(b"b.py")
        both = [chunk for path in (b"a.py", b"b.py") for chunk in snapshot.chunks_of_file(path)]
        files = [chunk.file_id for chunk in both]
        expected = sorted(one.chunk_id for one in both if one.span_hash == same.span_hash)
        assert sorted(snapshot.chunk_ids_with_text(files, same.span_hash)) == expected
        assert snapshot.chunk_ids_with_text(files, bytes(16)) == []
        hashes = {file.entry.hash for file in snapshot.files_by_id(files).values()}
        assert snapshot.content_hashes(files) == hashes


def test_filters(snapshot: CatalogSnapshot) -> None:
    client, server, test, readme = b"src/client.py", b"src/x/server.go", b"tests/test_client.py", b"README.md"
    assert paths(snapshot, snapshot.chunk_ids(language="python")) == [client, test]
    assert paths(snapshot, snapshot.chunk_ids(include=["src/**"])) == [client, server]
    assert paths(snapshot, snapshot.chunk_ids(include=["*.py"], exclude=["tests/**"])) == [client]
    assert paths(snapshot, snapshot.chunk_ids(kinds=["method", "section"])) == [readme, server]
    assert paths(snapshot, snapshot.chunk_ids(kinds=["function"], language="go")) == []
    assert paths(snapshot, snapshot.chunk_ids(symbol="get")) == [client, server, test]
    assert paths(snapshot, snapshot.chunk_ids(symbol="Client.get", language="python")) == [client]
    assert len(snapshot.chunk_ids(kinds=["none"])) == len(snapshot.chunk_ids(language="c")) == 0
    assert len(snapshot.chunk_ids()) == len(snapshot.all_chunk_ids()) == 8
    assert snapshot.file_ids(language="python").tolist() == [1, 3]
    assert snapshot.file_ids(include=["src"]).tolist() == [1, 2]


def test_a_repeated_filter_is_not_computed_again(snapshot: CatalogSnapshot) -> None:
    first = snapshot.chunk_ids(include=("src/**",))
    assert snapshot.chunk_ids(include=["src/**"]) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1
    for number in range(50):
        snapshot.chunk_ids(include=[f"d{number}/**"])
    assert snapshot.chunk_ids(include=["src/**"]).tolist() == first.tolist()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("get", ["Client.get", "get", "GET"]),
        ("GET", ["GET", "Client.get", "get"]),
        ("Client.get", ["Client.get"]),
        ("client.GET", ["Client.get"]),
        ("Client::get", ["Client.get"]),
        ("lient.get", []),
        ("Client", ["Client"]),
        ("nothing", []),
        ("", []),
        ("%", []),
    ],
)
def test_symbols_come_exact_first(snapshot: CatalogSnapshot, name: str, found: list[str]) -> None:
    assert [symbol.qualified for _, symbol in snapshot.symbols(name)] == found


def test_symbols_that_are_too_common_are_not_read(snapshot: CatalogSnapshot) -> None:
    assert snapshot.symbols_unless_common("get", 3) == snapshot.symbols("get")
    assert snapshot.symbols_unless_common("get", 2) == []


def test_symbols_of_one_chunk_and_their_limit(catalog: Catalog) -> None:
    inner = (Symbol("a", "a", "class", 0), Symbol("b", "a.b", "method", 3), Symbol("b", "a.c.b", "method", 7))
    chunk: ChunkDraft = replace(draft("a"), span=replace(draft("a").span, symbols=inner))
    change: FileUpdate = replace(update("m.py", "a"), chunks=(chunk,))
    catalog.commit(Transaction(updates=[change]))
    with catalog.snapshot() as snapshot:
        assert [(c.path, s.line_offset) for c, s in snapshot.symbols("b")] == [(b"m.py", 3), (b"m.py", 7)]
        assert len(snapshot.symbols("b", limit=1)) == 1
        assert snapshot.chunk_ids(symbol="a.c.b").tolist() == [9]
        assert snapshot.chunks([9])[9].span.symbols == inner
    catalog.commit(Transaction(removals=[b"m.py"]))
    assert catalog.check() == []


def test_files_and_chunks(snapshot: CatalogSnapshot) -> None:
    assert [file.file_id for file in snapshot.files()] == [1, 2, 3, 4, 5, 6]
    assert [file.file_id for file in snapshot.indexed_files()] == [1, 2, 3, 4]
    file = snapshot.file(b"src/client.py")
    assert file is not None
    assert (file.file_id, file.chunks, file.language) == (1, 3, "python")
    assert file.entry == update("src/client.py", "Client Client.get Client.close").entry
    assert snapshot.file(b"src") is snapshot.file(b"none") is None
    assert snapshot.files_by_id([1, 99]) == {1: file}
    assert snapshot.chunks_of_file(1) == snapshot.chunks_of_file(b"src/client.py")
    assert snapshot.chunks_of_file(99) == snapshot.chunks_of_file(b"src") == snapshot.chunks_of_file(b"logo.png") == []
    assert snapshot.chunks([]) == {}
    assert list(snapshot.chunks(np.array([3, 2]))) == [2, 3]
    assert [chunk.chunk_id for chunk in snapshot.all_chunks()] == list(range(1, 9))
    assert len(set(snapshot.embed_hashes())) == 8
    assert snapshot.counts().skipped == {"binary": 1}


def test_many_ids_at_once(catalog: Catalog) -> None:
    text = " ".join(f"w{i}" for i in range(2_500))
    catalog.commit(Transaction(updates=[update("big.py", text)]))
    with catalog.snapshot() as snapshot:
        assert len(snapshot.chunks(range(1, 3_000))) == 2_508
        assert [c.span.symbol for c in snapshot.chunks_of_file(b"big.py")] == text.split()
        assert sum(1 for _ in snapshot.all_chunks()) == 2_508


def test_a_snapshot_is_stable_during_commits(catalog: Catalog, snapshot: CatalogSnapshot) -> None:
    chunks = snapshot.all_chunks()
    first = next(chunks)
    catalog.commit(Transaction(removals=[b"src"], updates=[update("README.md", "Other")]))
    assert [c.chunk_id for c in chunks] == list(range(2, 9))
    assert snapshot.chunks([1]) == {1: first}
    assert snapshot.generation == 1
    assert snapshot.counts().chunks == 8
    with catalog.snapshot() as later:
        assert (later.generation, later.counts().chunks) == (2, 3)


def test_a_closed_snapshot_raises_and_its_connection_is_reused(catalog: Catalog) -> None:
    snapshot = catalog.snapshot()
    chunks = snapshot.all_chunks()
    snapshot.close()
    snapshot.close()
    with catalog.snapshot() as other:
        with pytest.raises(FailedError):
            snapshot.file(b"src/client.py")
        with pytest.raises(FailedError):
            next(chunks)
        assert other.file(b"src/client.py") is not None
    for _ in range(20):
        catalog.snapshot().close()
    assert len(catalog._idle) <= 2


def test_snapshots_outlive_the_catalog(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "other.db", root_id="r")
    catalog.commit(Transaction(updates=[update("a", "x")]))
    snapshot = catalog.snapshot()
    catalog.close()
    assert len(snapshot.all_chunk_ids()) == 1
    snapshot.close()


def read_until(done: threading.Event, catalog: Catalog) -> int:
    rounds = 0
    while not done.is_set():
        with catalog.snapshot() as snapshot:
            ids = snapshot.all_chunk_ids()
            assert len(snapshot.chunks(ids)) == len(ids) == snapshot.counts().chunks
            assert sum(f.chunks for f in snapshot.files()) == len(ids)
        catalog.tree().children(b"src")
        rounds += 1
    return rounds


def test_readers_and_the_writer_at_once(catalog: Catalog) -> None:
    done = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read_until, done, catalog) for _ in range(3)]
        try:
            for number in range(150):
                changed, gone = update(f"src/f{number % 7}.py", f"a{number} b"), raw(f"src/f{number % 5}.py")
                catalog.commit(Transaction(updates=[changed], removals=[gone]))
                catalog.checkpoint()
        finally:
            done.set()
        assert all(reader.result() > 0 for reader in readers)


def test_files_with_another_fingerprint_are_listed(catalog: Catalog) -> None:
    def stale(current: dict[str, bytes]) -> list[bytes]:
        found = catalog.files_with_other_fingerprint(lambda language, _: current.get(language, b"f1"))
        return [entry.path for entry in found]

    assert stale({}) == []
    assert stale({"python": b"f2"}) == [b"src/client.py", b"tests/test_client.py", b"src/broken.py"]
    assert stale({"go": b"f2", "markdown": b"f2"}) == [b"src/x/server.go", b"README.md"]
    catalog.commit(
        Transaction(updates=[replace(skipped("logo.png"), fingerprint=b"f0"), update("n", "x", fingerprint=b"")])
    )
    assert stale({}) == [b"logo.png", b"n"]


def test_no_lookup_reads_a_whole_table(snapshot: CatalogSnapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a tree of 80,000 files, a scan of the files takes longer than everything else that a question needs."""
    scans: list[str] = []
    reader = snapshot._reader
    original = reader.rows

    def rows(sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        plan = original(f"EXPLAIN QUERY PLAN {sql}", parameters)
        scans.extend(f"{step[3]}: {sql}" for step in plan if step[3].startswith("SCAN"))
        return original(sql, parameters)

    monkeypatch.setattr(reader, "rows", rows)
    file = snapshot.file(b"src/client.py")
    assert file is not None
    assert [one.entry.path for one in snapshot.files_with_hashes([file.entry.hash])]
    assert [one.entry.path for one in snapshot.files_named([b"client.py"])] == [b"src/client.py"]
    assert snapshot.files_by_id([file.file_id])
    assert snapshot.chunks_of_file(b"src/client.py")
    assert snapshot.symbols("get")
    assert scans == []
