"""A damaged index is recognized at open and replaced; a full disk changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from codeindexd.errors import FailedError, StoreDamagedError, StoreFullError
from codeindexd.storage.durable import CLEAN_MARKER, LOCK
from codeindexd.storage.lexical import Lexical, LexicalChunk, LexicalQuery
from codeindexd.storage.lexical.integrity import META, committed_files
from codeindexd.storage.lexical.schema import translated
from support.limits import largest_file, no_open_files


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    path.write_bytes(data)


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _remove(path: Path) -> None:
    path.unlink()


def _filled(directory: Path) -> None:
    lexical = Lexical.open(directory, "store")
    chunks = [LexicalChunk(n, n, f"alpha word{n} " * 20, names=("main",)) for n in range(1, 200)]
    lexical.apply(1, add_chunks=chunks, add_paths=[(n, f"src f{n} py") for n in range(1, 200)])
    lexical.apply(2, delete_chunks=[1, 2, 3])
    lexical.close()


@pytest.mark.parametrize("harm", [_truncate, _empty, _flip, _zero, _remove])
def test_damage_to_any_file_of_a_commit_is_found(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    _filled(tmp_path)
    names = committed_files(tmp_path)
    assert {name.rpartition(".")[2] for name in names} == {
        "json", "term", "idx", "pos", "fast", "fieldnorm", "store", "del",
    }  # fmt: skip
    for name in names:
        kept = (tmp_path / name).read_bytes()
        harm(tmp_path / name)
        with pytest.raises(StoreDamagedError):
            Lexical.open(tmp_path, "store").snapshot()
        (tmp_path / name).write_bytes(kept)
    lexical = Lexical.open(tmp_path, "store")
    assert lexical.generation == 2
    lexical.close()


def test_a_damaged_index_can_be_recreated_in_place(tmp_path: Path) -> None:
    _filled(tmp_path)
    (tmp_path / META).write_bytes(b"{")
    (tmp_path / "strange.file").write_bytes(b"?")
    with pytest.raises(StoreDamagedError):
        Lexical.open(tmp_path, "store")
    lexical = Lexical.create(tmp_path, "store")
    lexical.apply(1, add_chunks=[LexicalChunk(5, 1, "fresh")])
    assert lexical.snapshot().chunk_ids().tolist() == [5]
    lexical.close()


def test_an_incomplete_index_is_damaged_not_empty(tmp_path: Path) -> None:
    _filled(tmp_path)
    (tmp_path / META).unlink()
    with pytest.raises(StoreDamagedError):
        Lexical.open(tmp_path, "store")


def test_check_finds_damage_while_the_index_is_open(tmp_path: Path) -> None:
    _filled(tmp_path)
    lexical = Lexical.open(tmp_path, "store")
    lexical.check()
    name = next(name for name in committed_files(tmp_path) if name.endswith(".pos"))
    _flip(tmp_path / name)
    with pytest.raises(StoreDamagedError, match=name):
        lexical.check()
    lexical.close()


def test_a_clean_shutdown_marker_saves_the_checksums_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _filled(tmp_path)
    read: list[str] = []
    monkeypatch.setattr("codeindexd.storage.lexical.integrity._check_file", lambda path: read.append(path.name))
    lexical = Lexical.open(tmp_path, "store")
    assert read == []
    lexical._unlock()  # ends without closing
    assert not (tmp_path / CLEAN_MARKER).exists()
    Lexical.open(tmp_path, "store").close()
    assert len(read) == len(committed_files(tmp_path)) - 1


def test_a_file_in_the_way_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "lexical").write_text("not a directory")
    with pytest.raises((StoreDamagedError, FailedError)):
        Lexical.open(tmp_path / "lexical", "store")


def test_a_writer_that_a_failed_write_ended_is_one_that_cannot_write() -> None:
    ended = "An error occurred in a thread: 'An index writer was killed.. A worker thread encountered an error.'"
    with (
        pytest.raises(StoreFullError, match=r"^the lexical index cannot be written: a write failed$") as raised,
        translated(),
    ):
        raise ValueError(ended)
    assert raised.value.hint == "free disk space, or check quota and permissions"


class PanicException(BaseException):
    """What a panic of Rust becomes."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("System error.'Failed to spawn segment merging thread'"),
        ValueError("An IO error occurred: 'Resource temporarily unavailable (os error 11)'"),
        PanicException("Failed to spawn meta file watcher thread: Os { code: 11, kind: WouldBlock }"),
    ],
)
def test_a_lack_of_threads_is_no_damage_and_has_a_remedy(error: BaseException) -> None:
    with pytest.raises(StoreFullError, match=r"^the lexical index cannot be used now: ") as raised, translated():
        raise error
    assert raised.value.hint == "close programs, or raise the limit of open files, processes or memory"


def test_a_full_disk_loses_nothing_and_the_same_call_works_later(tmp_path: Path) -> None:
    _filled(tmp_path)
    lexical = Lexical.open(tmp_path, "store")
    expected = lexical.snapshot().chunk_ids().tolist()
    big = [LexicalChunk(n, n, " ".join(f"w{n}x{k}" for k in range(200))) for n in range(1000, 1400)]
    for _ in range(2):
        with largest_file(50_000), pytest.raises(StoreFullError) as raised:
            lexical.apply(3, delete_chunks=[10], add_chunks=big, delete_paths=[10])
        assert raised.value.hint
        assert lexical.generation == lexical.snapshot().generation == 2
        assert lexical.snapshot().chunk_ids().tolist() == expected
        assert len(lexical.snapshot().search(LexicalQuery(words=["alpha"]), 1000)) == len(expected)
    lexical.apply(3, delete_chunks=[10], add_chunks=big, delete_paths=[10])
    now = sorted(set(expected) - {10} | set(range(1000, 1400)))
    assert (lexical.generation, lexical.snapshot().chunk_ids().tolist()) == (3, now)
    lexical.close()
    lexical = Lexical.open(tmp_path, "store")
    assert (lexical.generation, lexical.snapshot().chunk_ids().tolist()) == (3, now)
    lexical.close()


def test_a_full_disk_at_the_first_open(tmp_path: Path) -> None:
    with largest_file(10), pytest.raises(StoreFullError):
        Lexical.open(tmp_path / "new", "store")
    assert (tmp_path / "new" / LOCK).exists()
    try:
        lexical = Lexical.open(tmp_path / "new", "store")
    except StoreDamagedError:
        lexical = Lexical.create(tmp_path / "new", "store")
    assert lexical.generation == 0
    lexical.close()


def test_a_mistake_of_the_caller_rolls_back_and_the_index_stays_usable(tmp_path: Path) -> None:
    lexical = Lexical.open(tmp_path, "store")
    lexical.apply(1, add_chunks=[LexicalChunk(1, 1, "alpha")])
    for wrong in (LexicalChunk(2**70, 1, "beta"), LexicalChunk(2, 1, "beta", language=None)):  # type: ignore[arg-type]
        with pytest.raises((FailedError, OverflowError, AttributeError)):
            lexical.apply(2, delete_chunks=[1], add_chunks=[LexicalChunk(3, 1, "gamma"), wrong])
        assert lexical.snapshot().chunk_ids().tolist() == [1]
    lexical.apply(2, add_chunks=[LexicalChunk(4, 1, "delta")])
    assert lexical.snapshot().chunk_ids().tolist() == [1, 4]
    lexical.close()


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    _filled(tmp_path)
    before = {path.name for path in tmp_path.iterdir()} - {CLEAN_MARKER}
    for name in (".tmpqLw6NJ", "0" * 32 + ".term", "0" * 32 + ".7.del"):
        (tmp_path / name).write_bytes(b"left behind")
    lexical = Lexical.open(tmp_path, "store")
    assert {path.name for path in tmp_path.iterdir()} == before
    assert len(lexical.snapshot().chunk_ids()) == 196
    lexical.close()


def test_every_flipped_bit_of_the_metadata_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    _filled(tmp_path / "whole")
    whole = (tmp_path / "whole" / META).read_bytes()
    noticed = 0
    flips = range(0, whole.index(b'"schema"') * 8, 17)
    for bit in flips:
        shutil.copytree(tmp_path / "whole", tmp_path / "damaged")
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "damaged" / META).write_bytes(damaged)
        try:
            lexical = Lexical.open(tmp_path / "damaged", "store")
        except StoreDamagedError:
            noticed += 1
        else:
            lexical.apply(3, delete_chunks=[5], add_chunks=[LexicalChunk(500, 1, "alpha")], delete_paths=[5])
            snapshot = lexical.snapshot()
            assert snapshot.chunk_ids().tolist() == [4, *range(6, 200), 500], damaged
            assert snapshot.file_ids().tolist() == [*range(1, 5), *range(6, 200)]
            lexical.close()
        shutil.rmtree(tmp_path / "damaged")
    assert noticed > len(flips) // 2  # the rest is white space and settings for writing


def test_a_lack_of_open_files_is_no_damage(tmp_path: Path) -> None:
    lexical = Lexical.open(tmp_path, "store")
    lexical.apply(1, add_chunks=[LexicalChunk(number, 1, "alpha") for number in range(1, 9)])
    lexical.apply(2, delete_chunks=[3])
    lexical.close()
    for spare in count():
        (tmp_path / CLEAN_MARKER).unlink(missing_ok=True)  # so that every file is verified
        with suppress(StoreFullError), no_open_files(spare):
            lexical = Lexical.open(tmp_path, "store")
            break
    assert spare > 1
    assert lexical.snapshot().chunk_ids().tolist() == [1, 2, 4, 5, 6, 7, 8]
    lexical.close()
