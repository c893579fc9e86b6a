"""Damage is recognized at open: a torn tail is cut to complete commits, other damage is rejected."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from codeindexd.errors import StoreDamagedError, StoreFullError
from codeindexd.storage.dense import Dense
from codeindexd.storage.dense.maintenance import Thresholds
from codeindexd.storage.durable import CLEAN_MARKER
from storage.dense.dense_writer import STORE, changes, held_after
from storage.dense.sample_vectors import vector_of
from support.limits import no_open_files, open_files

SMALL = Thresholds(tail_rows=30, segment_rows=150, dead_share=0.3, slack=10, records=100)


def opened(directory: Path) -> Dense:
    return Dense.open(directory, **STORE)  # type: ignore[arg-type]


def filled(directory: Path, *, generations: int = 14, maintained_at: int = 9) -> Path:
    dense = opened(directory)
    for generation in range(1, generations + 1):
        dense.apply(generation, *changes(generation))
        if generation == maintained_at:
            assert dense.maintain(lambda: False, SMALL)
    dense.close()
    return directory


def only(directory: Path, pattern: str) -> Path:
    (path,) = directory.glob(pattern)
    return path


def _halve(path: Path) -> None:
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


HARMS = [_halve, _empty, _flip, _zero, _remove]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("pattern", ["segment-*.i8", "segment-*.codes", "segment-*.ids", "manifest.json"])
def test_a_damaged_part_is_refused(tmp_path: Path, pattern: str, harm: Callable[[Path], None]) -> None:
    filled(tmp_path)
    harm(only(tmp_path, pattern))
    if pattern == "manifest.json" and harm is _remove:
        dense = opened(tmp_path)  # without a manifest this is an empty index, which the catalog fills
        assert (dense.generation, len(dense.snapshot())) == (0, 0)
        dense.close()
        return
    with pytest.raises(StoreDamagedError):
        opened(tmp_path)
    dense = Dense.create(tmp_path, **STORE)  # type: ignore[arg-type]
    dense.apply(1, *changes(1))
    assert dense.snapshot().ids().tolist() == sorted(held_after(1))
    dense.close()


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("pattern", ["tail-*.log", "tail-*.i8"])
def test_a_damaged_tail_is_cut_to_whole_commits_or_refused(
    tmp_path: Path, pattern: str, harm: Callable[[Path], None]
) -> None:
    filled(tmp_path)
    if pattern == "tail-*.i8":  # without the space reserved for later rows
        log = only(tmp_path, "tail-*.log").read_bytes()
        os.truncate(only(tmp_path, pattern), 16 * sum(log[at] == 1 for at in range(32, len(log), 32)))
    harm(only(tmp_path, pattern))
    try:
        dense = opened(tmp_path)
    except StoreDamagedError:
        return
    assert 9 <= dense.generation < 14
    assert dense.snapshot().ids().tolist() == sorted(held_after(dense.generation))
    dense.apply(14, [(one, vector_of(one)) for one in (5000, 5001)], [])
    dense.close()
    dense = opened(tmp_path)
    assert dense.generation == 14
    assert {5000, 5001} <= set(dense.snapshot().ids().tolist())
    dense.close()


def test_every_torn_end_of_the_log_is_cut(tmp_path: Path) -> None:
    filled(tmp_path / "whole", generations=5, maintained_at=0)
    log = only(tmp_path / "whole", "tail-*.log")
    ends, seen = log.stat().st_size, set[int]()
    for size in range(ends, 64, -13):
        shutil.copytree(tmp_path / "whole", tmp_path / "torn")
        os.truncate(only(tmp_path / "torn", "tail-*.log"), size)
        dense = opened(tmp_path / "torn")
        seen.add(dense.generation)
        assert dense.snapshot().ids().tolist() == sorted(held_after(dense.generation))
        dense.close()
        shutil.rmtree(tmp_path / "torn")
    assert seen == {0, 1, 2, 3, 4, 5}


def test_garbage_after_the_last_commit_is_ignored(tmp_path: Path) -> None:
    filled(tmp_path, generations=3, maintained_at=0)
    log = only(tmp_path, "tail-*.log")
    commits = log.read_bytes()
    log.write_bytes(commits + commits[32:])  # complete commits in the wrong place
    dense = opened(tmp_path)
    assert (dense.generation, log.stat().st_size) == (3, len(commits))
    dense.apply(4, *changes(4))
    dense.close()
    dense = opened(tmp_path)
    assert dense.snapshot().ids().tolist() == sorted(held_after(4))
    dense.close()


def test_a_tail_of_another_index_is_refused(tmp_path: Path) -> None:
    mine, other = filled(tmp_path / "mine"), tmp_path / "other"
    dense = Dense.open(other, store_uuid="other", identity="a-model", dimensions=16)
    for generation in range(1, 15):
        dense.apply(generation, *changes(generation))
        if generation == 9:
            dense.maintain(lambda: False, SMALL)
    dense.close()
    for pattern in ("tail-*.log", "tail-*.i8"):
        shutil.copy(only(other, pattern), only(mine, pattern))
    with pytest.raises(StoreDamagedError, match="damaged or belongs to another index"):
        opened(mine)


def test_check_finds_damage_while_the_index_is_open(tmp_path: Path) -> None:
    dense = opened(filled(tmp_path))
    dense.check()
    _flip(only(tmp_path, "segment-*.ids"))
    with pytest.raises(StoreDamagedError, match=r"segment-\d+\.ids"):
        dense.check()
    dense.close()


def test_a_clean_shutdown_marker_saves_the_checksums_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    read: list[int] = []
    monkeypatch.setattr("codeindexd.storage.dense.index.verify_files", lambda _, files: read.append(files.serial))
    dense = opened(tmp_path)
    assert read == []
    assert not (tmp_path / CLEAN_MARKER).exists()
    dense._state.log.close()  # ends without closing
    os.close(dense._lock)
    opened(tmp_path).close()
    assert len(read) == 1


def test_orphans_are_removed_and_parts_of_the_index_are_not(tmp_path: Path) -> None:
    filled(tmp_path)
    before = {path.name for path in tmp_path.iterdir()} - {CLEAN_MARKER}
    for name in ("segment-99.usearch", "segment-99.f16", "tail-98.log", "manifest.json.new"):
        (tmp_path / name).write_bytes(b"left behind")
    dense = opened(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert dense.snapshot().ids().tolist() == sorted(held_after(14))
    dense.close()


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors by /proc")
def test_a_lack_of_open_files_is_no_damage_and_leaves_none_open(tmp_path: Path) -> None:
    filled(tmp_path)
    expected = sorted(held_after(14))
    gc.collect()
    before = open_files()
    for spare in count():
        (tmp_path / CLEAN_MARKER).unlink(missing_ok=True)  # so that every file is verified
        with suppress(StoreFullError), no_open_files(spare):
            dense = opened(tmp_path)
            break
        gc.collect()  # mappings
        assert open_files() <= before, f"with {spare} files to spare"
    assert spare > 1
    assert dense.snapshot().ids().tolist() == expected
    dense.close()


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors by /proc")
@pytest.mark.parametrize("pattern", ["tail-*.log", "manifest.json", "segment-*.codes"])
def test_an_index_that_cannot_be_opened_leaves_no_file_open(tmp_path: Path, pattern: str) -> None:
    filled(tmp_path)
    _empty(only(tmp_path, pattern))
    gc.collect()
    before = open_files()
    with pytest.raises(StoreDamagedError):
        opened(tmp_path)
    gc.collect()
    assert open_files() <= before
