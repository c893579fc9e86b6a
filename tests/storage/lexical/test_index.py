"""The lexical index as a store: applied changes are there exactly once, under their generation."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.errors import AlreadyRunningError, StoreDamagedError, StoreFullError
from codeindexd.storage.lexical import Lexical, LexicalChunk, LexicalQuery
from codeindexd.storage.lexical.integrity import superfluous_files
from support.limits import no_open_files
from support.places import DAEMON

pytestmark = pytest.mark.processes


def chunk(chunk_id: int, words: str, *, file_id: int = 1, **more: object) -> LexicalChunk:
    return LexicalChunk(chunk_id, file_id, words, **more)  # type: ignore[arg-type]


def found(lexical: Lexical, *words: str) -> list[int]:
    return [one for one, _, _ in lexical.snapshot().search(LexicalQuery(words=words), 100)]


@pytest.fixture
def lexical(tmp_path: Path) -> Iterator[Lexical]:
    index = Lexical.open(tmp_path / "lexical", "store")
    yield index
    index.close()


def test_a_new_index_is_empty_and_of_generation_zero(lexical: Lexical) -> None:
    assert lexical.generation == lexical.snapshot().generation == 0
    assert lexical.snapshot().chunk_ids().tolist() == []
    assert found(lexical, "anything") == []


def test_applied_chunks_are_found_under_their_generation(lexical: Lexical) -> None:
    lexical.apply(
        3, add_chunks=[chunk(1, "parse the config"), chunk(2, "write a file")], add_paths=[(1, "src main py")]
    )
    assert lexical.generation == lexical.snapshot().generation == 3
    assert found(lexical, "parse") == [1]
    assert found(lexical, "file", "nowhere") == [2]
    assert lexical.snapshot().chunk_ids().tolist() == [1, 2]
    assert lexical.snapshot().file_ids().tolist() == [1]
    assert lexical.snapshot().search_paths(["main"], 5)[0][0] == 1


def test_removed_chunks_are_gone(lexical: Lexical) -> None:
    lexical.apply(1, add_chunks=[chunk(1, "alpha"), chunk(2, "alpha")])
    lexical.apply(2, delete_chunks=[1, 99])
    assert found(lexical, "alpha") == [2]
    assert lexical.snapshot().chunk_ids().tolist() == [2]


def test_adding_a_chunk_again_replaces_it(lexical: Lexical) -> None:
    lexical.apply(1, add_chunks=[chunk(1, "alpha")], add_paths=[(7, "old place")])
    lexical.apply(1, add_chunks=[chunk(1, "beta"), chunk(1, "gamma")], add_paths=[(7, "new place")])
    assert lexical.snapshot().chunk_ids().tolist() == [1]
    assert (found(lexical, "alpha"), found(lexical, "beta"), found(lexical, "gamma")) == ([], [], [1])
    assert lexical.snapshot().search_paths(["old"], 5) == []
    assert [one for one, _ in lexical.snapshot().search_paths(["new"], 5)] == [7]


def test_a_move_changes_only_the_path(lexical: Lexical) -> None:
    lexical.apply(1, add_chunks=[chunk(1, "alpha", file_id=7)], add_paths=[(7, "src old py")])
    lexical.apply(2, delete_paths=[7], add_paths=[(7, "lib new py")])
    snapshot = lexical.snapshot()
    assert snapshot.search(LexicalQuery(words=["alpha"]), 5)[0][:2] == (1, 7)
    assert snapshot.search_paths(["src"], 5) == []
    assert [one for one, _ in snapshot.search_paths(["lib"], 5)] == [7]
    lexical.apply(3, delete_paths=[7])
    assert lexical.snapshot().file_ids().tolist() == []


def test_large_ids_keep_their_value(lexical: Lexical) -> None:
    big = 2**62 + 1
    lexical.apply(1, add_chunks=[chunk(big, "alpha", file_id=big)])
    assert lexical.snapshot().search(LexicalQuery(words=["alpha"]), 1)[0][:2] == (big, big)
    lexical.apply(2, delete_chunks=[big])
    assert lexical.snapshot().chunk_ids().tolist() == []


def test_text_with_lone_surrogates_is_indexed(lexical: Lexical) -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    lexical.apply(1, add_chunks=[chunk(1, f"alpha {odd} na\u00efve", names=(odd,))], add_paths=[(1, f"src {odd}")])
    assert found(lexical, "na\u00efve") == [1]
    assert found(lexical, odd) == [1]
    assert [one for one, _ in lexical.snapshot().search_paths([odd], 5)] == [1]


def test_an_older_generation_is_refused(lexical: Lexical) -> None:
    lexical.apply(5)
    with pytest.raises(ValueError, match="generation 4 is older"):
        lexical.apply(4)
    assert lexical.generation == 5


def test_a_snapshot_does_not_change(lexical: Lexical) -> None:
    lexical.apply(1, add_chunks=[chunk(n, "alpha") for n in range(1, 51)])
    before = lexical.snapshot()
    for generation in range(2, 12):  # enough commits for tantivy to merge segments meanwhile
        lexical.apply(generation, delete_chunks=[generation], add_chunks=[chunk(1000 + generation, "alpha")])
    assert before.generation == 1
    assert before.chunk_ids().tolist() == list(range(1, 51))
    assert {one for one, _, _ in before.search(LexicalQuery(words=["alpha"]), 100)} == set(range(1, 51))
    lexical.close()
    assert len(before.search(LexicalQuery(words=["alpha"]), 100)) == 50


def test_a_failed_commit_leaves_nothing_on_the_disk(lexical: Lexical, tmp_path: Path) -> None:
    lexical.apply(1, add_chunks=[chunk(1, "alpha")])
    much = [chunk(10 + n, " ".join(f"w{n}x{k}" for k in range(4000))) for n in range(120)]  # more than memory
    with pytest.raises(AttributeError):
        lexical.apply(2, add_chunks=[*much, chunk(9, None)])  # type: ignore[arg-type]
    assert superfluous_files(tmp_path / "lexical") == []
    assert lexical.tidy()
    lexical.apply(2, add_chunks=[chunk(2, "alpha")])
    assert found(lexical, "alpha") == [1, 2]


def test_tidy_deletes_what_tantivy_has_no_record_of_at_the_second_call(lexical: Lexical, tmp_path: Path) -> None:
    lexical.apply(1, add_chunks=[chunk(1, "alpha")])
    stranger = tmp_path / "lexical" / "0123456789abcdef.store"
    stranger.write_bytes(b"left by a kill, or in the making")
    assert not lexical.tidy()
    assert stranger.exists(), "a merge may be writing it"
    assert lexical.tidy()
    assert superfluous_files(tmp_path / "lexical") == []
    lexical.apply(2, add_chunks=[chunk(2, "alpha")])
    assert found(lexical, "alpha") == [1, 2]


def test_tidy_is_unfinished_as_long_as_files_are_new(lexical: Lexical, tmp_path: Path) -> None:
    for name in ("0123.store", "4567.store"):
        (tmp_path / "lexical" / name).write_bytes(b"in the making")
        assert not lexical.tidy()
    assert lexical.tidy()


_MANY_COMMITS = """
import ctypes, sys
from pathlib import Path
from codeindexd.storage.lexical import Lexical, LexicalChunk

class Figures(ctypes.Structure):  # struct mallinfo2 of <malloc.h>
    _fields_ = [(str(place), ctypes.c_size_t) for place in range(10)]

def in_use():
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Figures
    figures = libc.mallinfo2()
    return getattr(figures, "4") + getattr(figures, "7")  # mapped blocks, blocks of the arenas

lexical = Lexical.open(Path(sys.argv[1]), "store")
used = []
for generation in range(1, 501):
    lexical.apply(generation, add_chunks=[LexicalChunk(generation % 10, 1, "alpha beta")])
    while generation % int(sys.argv[2]) == 0 and not lexical.tidy():
        pass  # a merge uses some files: the writer stays open, and its memory would be measured
    used.append(in_use())
print(min(used[-40:]) - min(used[80:120]))  # the least of many, since merges run beside the commits
assert lexical.snapshot().chunk_ids().tolist() == list(range(10))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc tells what is in use")
def test_memory_that_tantivy_accumulates_is_freed(tmp_path: Path) -> None:
    grown = {}
    for reopened_after in (50, 10_000):
        directory = tmp_path / str(reopened_after)
        done = subprocess.run(
            [sys.executable, "-c", _MANY_COMMITS, directory, str(reopened_after)],
            env={"PYTHONPATH": str(DAEMON)},
            capture_output=True,
            text=True,
            check=True,
        )
        grown[reopened_after] = int(done.stdout)
    assert grown[10_000] > 400_000, "tantivy frees this memory itself now: reopening is unnecessary"
    assert grown[50] < grown[10_000] / 4


def test_an_index_whose_writer_was_closed_continues_where_it_was(lexical: Lexical) -> None:
    for generation in range(1, 8):
        held = lexical.snapshot()
        lexical.apply(generation, add_chunks=[chunk(generation, "alpha")])
        before = lexical.snapshot()
        assert lexical.tidy()
        assert lexical.snapshot() is before
        assert held.chunk_ids().tolist() == list(range(1, generation))
        assert found(lexical, "alpha") == list(range(1, generation + 1))


def test_a_quiet_index_has_no_threads_of_a_writer(lexical: Lexical) -> None:
    lexical.apply(1, add_chunks=[chunk(1, "alpha")])
    before = len(list(Path("/proc/self/task").iterdir()))
    assert lexical.tidy()
    deadline = time.monotonic() + 20
    while len(list(Path("/proc/self/task").iterdir())) > before - 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_index_that_cannot_be_written_again_stays_usable(lexical: Lexical) -> None:
    lexical.apply(1, add_chunks=[chunk(1, "alpha")])
    assert lexical.tidy()
    with no_open_files(), pytest.raises(StoreFullError):
        lexical.apply(2, add_chunks=[chunk(2, "alpha")])
    assert found(lexical, "alpha") == [1]
    lexical.apply(2, add_chunks=[chunk(2, "alpha")])
    assert lexical.tidy()
    assert found(lexical, "alpha") == [1, 2]


def test_a_moment_without_open_files_is_no_damage(lexical: Lexical) -> None:
    with no_open_files(), pytest.raises(StoreFullError):
        lexical.tidy()
    assert lexical.tidy()


def test_reopening_keeps_the_content(tmp_path: Path) -> None:
    for generation in range(1, 6):
        lexical = Lexical.open(tmp_path, "store")
        assert lexical.generation == generation - 1
        lexical.apply(generation, add_chunks=[chunk(generation, "alpha")], add_paths=[(generation, "a path")])
        lexical.close()
        lexical.close()  # closing twice is harmless
    lexical = Lexical.open(tmp_path, "store")
    assert lexical.snapshot().chunk_ids().tolist() == lexical.snapshot().file_ids().tolist() == [1, 2, 3, 4, 5]
    lexical.close()


def test_a_second_opener_gets_a_clear_error_and_harms_nothing(tmp_path: Path, lexical: Lexical) -> None:
    lexical.apply(1, add_chunks=[chunk(1, "alpha")])
    with pytest.raises(AlreadyRunningError, match="open in another process"):
        Lexical.open(tmp_path / "lexical", "store")
    with pytest.raises(AlreadyRunningError):
        Lexical.create(tmp_path / "lexical", "store")
    lexical.apply(2, add_chunks=[chunk(2, "alpha")])
    assert found(lexical, "alpha") == [1, 2]


def test_an_index_of_another_store_is_rejected_and_can_be_recreated(tmp_path: Path) -> None:
    lexical = Lexical.open(tmp_path, "store")
    lexical.apply(9, add_chunks=[chunk(1, "alpha")])
    lexical.close()
    with pytest.raises(StoreDamagedError, match="another catalog"):
        Lexical.open(tmp_path, "other")
    lexical = Lexical.create(tmp_path, "other")
    assert (lexical.generation, lexical.snapshot().chunk_ids().tolist()) == (0, [])
    lexical.apply(1, add_chunks=[chunk(1, "beta")])
    assert found(lexical, "beta") == [1]
    lexical.close()


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        lexical = Lexical.open(tmp_path / "a" / "lexical", "store")
        lexical.apply(1, add_chunks=[chunk(1, "alpha")])
        lexical.apply(2, delete_chunks=[1], add_chunks=[chunk(2, "alpha")])
        lexical.close()
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "lexical").stat().st_mode & 0o777 == 0o700
    assert {path.name for path in (tmp_path / "a" / "lexical").iterdir() if path.stat().st_mode & 0o077} == set()


def test_searches_work_beside_a_writer(lexical: Lexical) -> None:
    """Every snapshot that a reader sees holds exactly the ids of its generation."""
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            snapshot = lexical.snapshot()
            expected = list(range(1, snapshot.generation + 1))
            hits = sorted(one for one, _, _ in snapshot.search(LexicalQuery(words=["alpha"]), 100))
            if not hits == snapshot.chunk_ids().tolist() == expected:
                wrong.append(f"{snapshot.generation}: {hits}")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for generation in range(1, 41):
        lexical.apply(generation, add_chunks=[chunk(generation, "alpha beta")])
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
