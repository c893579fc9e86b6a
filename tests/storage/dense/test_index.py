"""The dense index as a store: applied vectors are found, rejected changes have no effect."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from codeindexd.errors import AlreadyRunningError, StoreDamagedError, StoreFullError
from codeindexd.storage.dense import Dense, index, snapshot
from codeindexd.storage.dense.maintenance import Thresholds
from storage.dense.sample_vectors import clustered, rounded, vector_of
from support.limits import largest_file

NAMES = {"store_uuid": "store", "identity": "model", "dimensions": 16}
SMALL = Thresholds(tail_rows=60, segment_rows=150, dead_share=0.3, slack=10, records=100)


def opened(directory: Path, **more: object) -> Dense:
    return Dense.open(directory, **{**NAMES, **more})  # type: ignore[arg-type]


def single(vector: bytes) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.frombuffer(vector, dtype="<f2").astype(np.float32)


@pytest.fixture
def dense(tmp_path: Path) -> Iterator[Dense]:
    index = opened(tmp_path / "dense")
    yield index
    index.close()


def test_a_new_index_is_empty(dense: Dense) -> None:
    snapshot = dense.snapshot()
    assert (dense.generation, snapshot.generation, len(snapshot)) == (0, 0, 0)
    ids, scores = snapshot.search(single(vector_of(1)), 5)
    assert (ids.dtype, scores.dtype, ids.tolist(), scores.tolist()) == (np.int64, np.float32, [], [])
    assert snapshot.vector(1) is None


def test_nearest_first_with_cosines(dense: Dense) -> None:
    dense.apply(1, [(one, vector_of(one)) for one in range(1, 40)], [])
    ids, scores = dense.snapshot().search(single(vector_of(7)) * 100, 3)
    assert ids[0] == 7
    assert scores[0] == pytest.approx(1.0, abs=1e-3)
    expected = sorted(range(1, 40), key=lambda one: -float(single(vector_of(one)) @ single(vector_of(7))))
    assert ids.tolist() == expected[:3]


def test_equal_scores_by_id(dense: Dense) -> None:
    dense.apply(1, [(one, vector_of(0)) for one in (9, 3, 7, 1, 5)], [])
    assert dense.snapshot().search(single(vector_of(0)), 3)[0].tolist() == [1, 3, 5]


def test_the_last_of_several_wins_and_a_present_id_is_replaced(dense: Dense) -> None:
    dense.apply(1, [(1, vector_of(1)), (2, vector_of(2)), (1, vector_of(3))], [])
    assert dense.snapshot().search(single(vector_of(3)), 1)[0].tolist() == [1]
    dense.apply(2, [(1, vector_of(4))], [1, 1, 2, 99])
    assert dense.snapshot().ids().tolist() == [1]
    found = dense.snapshot().vector(1)
    assert found is not None
    assert found.tolist() == rounded(vector_of(4)).tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_rejected_by_id(dense: Dense, value: float) -> None:
    dense.apply(1, [(1, vector_of(1))], [])
    bad = single(vector_of(5)).astype("<f2")
    bad[11] = value
    with pytest.raises(ValueError, match="vector of 5 has values that are not finite"):
        dense.apply(2, [(4, vector_of(4)), (5, bad.tobytes())], [1])
    with pytest.raises(ValueError, match="vector of 6 has 30 bytes, not 32"):
        dense.apply(2, [(6, vector_of(6)[:-2])], [1])
    with pytest.raises(ValueError, match="not finite"):
        dense.snapshot().search(bad.astype(np.float32), 1)
    with pytest.raises(ValueError, match="shape"):
        dense.snapshot().search(np.ones(15, dtype=np.float32), 1)
    with pytest.raises(ValueError, match="generation 0 is older"):
        dense.apply(0, [], [1])
    assert (dense.generation, dense.snapshot().ids().tolist()) == (1, [1])


def test_a_zero_vector_is_harmless(dense: Dense) -> None:
    dense.apply(1, [(1, bytes(32)), (2, vector_of(2))], [])
    assert dense.snapshot().search(single(vector_of(2)), 2)[0].tolist() == [2, 1]
    assert dense.snapshot().search(np.zeros(16, dtype=np.float32), 2)[1].tolist() == [0.0, 0.0]


def test_a_restriction_is_exact(dense: Dense) -> None:
    dense.apply(1, [(one, vector_of(one)) for one in range(1, 301)], [])
    dense.maintain(lambda: False, SMALL)
    dense.apply(2, [(one, vector_of(one)) for one in range(301, 340) if one != 320], [5, 6])
    allowed = np.array([5, 6, 7, 100, 200, 310, 320, 330, 999], dtype=np.int64)
    ids, _ = dense.snapshot().search(single(vector_of(100)), 50, allowed)
    assert sorted(ids.tolist()) == [7, 100, 200, 310, 330]
    assert ids[0] == 100
    assert dense.snapshot().search(single(vector_of(1)), 5, np.empty(0, dtype=np.int64))[0].tolist() == []
    assert dense.snapshot().search(single(vector_of(1)), 0)[0].tolist() == []


@pytest.mark.parametrize("gap", [1, 1_000])
def test_a_restriction_is_the_same_each_time(dense: Dense, gap: int) -> None:
    dense.apply(1, [(gap * one, vector_of(one)) for one in range(1, 301)], [])
    dense.maintain(lambda: False, SMALL)
    dense.apply(2, [], [gap * 6])
    snapshot = dense.snapshot()
    allowed = np.array([gap * one for one in (5, 6, 7, 100, 200)], dtype=np.int64)
    allowed.flags.writeable = False
    expected = [gap * one for one in (5, 7, 100, 200)]
    for _ in range(2):  # the second time, it is known which rows are allowed
        assert sorted(snapshot.search(single(vector_of(100)), 50, allowed)[0].tolist()) == expected
    dense.apply(3, [], [gap * 7])
    assert sorted(dense.snapshot().search(single(vector_of(100)), 50, allowed)[0].tolist()) == [
        gap * one for one in (5, 100, 200)
    ]
    others = np.array([gap * 8], dtype=np.int64)
    assert snapshot.search(single(vector_of(100)), 50, others)[0].tolist() == [gap * 8]


def test_another_catalog_model_or_width_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    for more in ({"store_uuid": "other"}, {"identity": "other"}, {"dimensions": 8}):
        with pytest.raises(StoreDamagedError, match="another catalog or model"):
            opened(tmp_path, **more)
    dense = Dense.create(tmp_path, store_uuid="other", identity="model", dimensions=8)
    dense.apply(1, [(1, vector_of(1, 8))], [])
    assert dense.snapshot().ids().tolist() == [1]
    dense.close()


def test_a_second_opener_gets_a_clear_error(tmp_path: Path, dense: Dense) -> None:
    with pytest.raises(AlreadyRunningError, match="open in another process"):
        opened(tmp_path / "dense")
    with pytest.raises(AlreadyRunningError):
        Dense.create(tmp_path / "dense", **NAMES)  # type: ignore[arg-type]
    dense.apply(1, [(1, vector_of(1))], [])


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        dense = opened(tmp_path / "a" / "dense")
        dense.apply(1, [(one, vector_of(one)) for one in range(1, 100)], [])
        assert dense.maintain(lambda: False, SMALL)
        dense.close()
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "dense").stat().st_mode & 0o777 == 0o700
    assert len(list((tmp_path / "a" / "dense").iterdir())) == 8
    assert {path.name for path in (tmp_path / "a" / "dense").iterdir() if path.stat().st_mode & 0o077} == set()


def test_a_full_disk_changes_nothing_and_the_same_call_works_later(tmp_path: Path) -> None:
    dense = opened(tmp_path)
    dense.apply(1, [(one, vector_of(one)) for one in range(1, 100)], [])
    more = [(one, vector_of(one)) for one in range(1000, 3000)]
    for limit in (40_000, 3300):  # the vectors do not fit; the log does not fit
        part = more if limit > 10_000 else more[:2]
        with largest_file(limit), pytest.raises(StoreFullError) as raised:
            dense.apply(2, part, [1])
        assert raised.value.hint
        assert dense.generation == 1
        assert dense.snapshot().ids().tolist() == list(range(1, 100))
    with largest_file(2000), pytest.raises(StoreFullError):
        dense.maintain(lambda: False, SMALL)
    assert not list(tmp_path.glob("segment-*"))
    dense.apply(2, more, [1])
    expected = [*range(2, 100), *range(1000, 3000)]
    assert dense.snapshot().ids().tolist() == expected
    assert dense.maintain(lambda: False, SMALL)
    dense.close()
    dense = opened(tmp_path)
    assert (dense.generation, dense.snapshot().ids().tolist()) == (2, expected)
    dense.close()


def test_flush_and_close_can_be_repeated(dense: Dense) -> None:
    dense.apply(1, [(1, vector_of(1))], [])
    dense.flush()
    dense.close()
    dense.close()
    assert not dense.maintain(lambda: False, SMALL)
    assert dense.snapshot().ids().tolist() == [1]


def test_searches_work_beside_a_writer_and_maintenance(tmp_path: Path) -> None:
    """Every snapshot of a reader holds exactly the ids of its generation, even while parts are replaced."""
    dense = opened(tmp_path)
    vectors = {one: vector_of(one) for one in range(1, 2001)}
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            snapshot = dense.snapshot()
            newest = snapshot.generation * 10
            expected = list(range(max(1, newest - 499), newest + 1))
            if snapshot.ids().tolist() != expected or len(snapshot) != len(expected):
                wrong.append(f"generation {snapshot.generation}: other ids")
            if newest and snapshot.search(single(vectors[newest]), 1)[0].tolist() != [newest]:
                wrong.append(f"generation {snapshot.generation}: {newest} is not found")

    def maintain() -> None:
        while not done.is_set():
            dense.maintain(done.is_set, SMALL)

    threads = [threading.Thread(target=work) for work in (read, read, read, maintain)]
    for thread in threads:
        thread.start()
    for generation in range(1, 201):
        added = range(generation * 10 - 9, generation * 10 + 1)
        dense.apply(generation, [(one, vectors[one]) for one in added], [one - 500 for one in added])
    done.set()
    for thread in threads:
        thread.join()
    dense.close()
    assert wrong == []


def test_codes_find_nearly_what_a_scan_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = clustered(40_000, 256, clusters=500)
    dense = opened(tmp_path, dimensions=256)
    dense.apply(1, [(one + 1, row.tobytes()) for one, row in enumerate(matrix)], [])
    queries = clustered(60, 256, clusters=500).astype(np.float32)
    exact = [dense.snapshot().search(query, 50)[0].tolist() for query in queries]
    assert dense.maintain(lambda: False, Thresholds(tail_rows=10_000, segment_rows=15_000))
    assert len(dense._state.segments) > 1
    assert [dense.snapshot().search(query, 50)[0].tolist() for query in queries] == exact
    monkeypatch.setattr(snapshot, "_EXACT_ROWS", 0)
    monkeypatch.setattr(snapshot, "_FEWEST_NEAREST", 400)
    found = [dense.snapshot().search(query, 50)[0].tolist() for query in queries]
    assert np.mean([len(set(a) & set(b)) / 50 for a, b in zip(exact, found, strict=True)]) >= 0.95
    dead = set(range(1, 40_001, 4))
    dense.apply(2, [], sorted(dead))
    allowed = np.arange(1, 40_001, 3)
    for query, ids in zip(queries, exact, strict=True):
        left = dense.snapshot().search(query, 50)[0].tolist()
        assert len(left) == 50
        assert not set(left) & dead
        assert len(set(ids[:25]) - dead - set(left)) <= 3
        filtered = dense.snapshot().search(query, 50, allowed)[0]
        assert len(filtered) == 50
        assert np.isin(filtered, allowed).all()
        assert not set(filtered.tolist()) & dead
    dense.close()


def test_a_long_tail_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_LONG_TAIL", 100)
    dense = opened(tmp_path)
    dense.apply(1, [(one, vector_of(one)) for one in range(1, 100)], [])
    assert not dense.has_long_tail
    dense.apply(2, [(100, vector_of(100))], [])
    assert dense.has_long_tail
    assert dense.maintain(lambda: False, SMALL)
    assert not dense.has_long_tail
    dense.close()
