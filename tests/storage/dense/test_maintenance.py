"""When maintenance acts, that it terminates, and that it can be stopped at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from codeindexd.storage.dense import Dense, arithmetic
from codeindexd.storage.dense.arithmetic import codes_of, cosines, cosines_in_blocks, nearest, to_int8
from codeindexd.storage.dense.maintenance import Thresholds
from storage.dense.sample_vectors import clustered, rounded, vector_of

NAMES = {"store_uuid": "store", "identity": "model", "dimensions": 16}
SMALL = Thresholds(tail_rows=60, segment_rows=150, dead_share=0.3, slack=10, records=100)


@pytest.fixture
def dense(tmp_path: Path) -> Iterator[Dense]:
    index = Dense.open(tmp_path, **NAMES)  # type: ignore[arg-type]
    yield index
    index.close()


def add(dense: Dense, generation: int, ids: range, remove: range = range(0)) -> None:
    dense.apply(generation, [(one, vector_of(one)) for one in ids], remove)


def shape(dense: Dense) -> tuple[int, list[int]]:
    """Return the live rows of the tail and of each segment."""
    return len(dense._state.row_of), [segment.live for segment in dense._state.segments]


def test_a_small_tail_is_left_alone(dense: Dense) -> None:
    add(dense, 1, range(1, 60))
    assert not dense.maintain(lambda: False, SMALL)
    assert shape(dense) == (59, [])


def test_a_large_tail_becomes_segments_without_a_small_rest(dense: Dense) -> None:
    add(dense, 1, range(1, 501))
    assert dense.maintain(lambda: False, SMALL)
    assert shape(dense) == (0, [150, 150, 200])
    assert dense.snapshot().ids().tolist() == list(range(1, 501))
    assert not dense.maintain(lambda: False, SMALL)


def test_dead_segments_are_rewritten_and_small_ones_merged(dense: Dense, tmp_path: Path) -> None:
    add(dense, 1, range(1, 151))
    dense.maintain(lambda: False, SMALL)
    add(dense, 2, range(151, 221), remove=range(1, 41))  # 27 % dead
    dense.maintain(lambda: False, SMALL)
    assert shape(dense) == (0, [110, 70])
    add(dense, 3, range(0), remove=range(41, 81))  # 53 % dead
    assert dense.maintain(lambda: False, SMALL)
    assert shape(dense) == (0, [140])
    assert len(list(tmp_path.glob("segment-*.codes"))) == 1
    add(dense, 4, range(0), remove=range(1, 1000))
    assert dense.maintain(lambda: False, SMALL)
    assert (shape(dense), len(dense.snapshot())) == ((0, []), 0)
    assert not list(tmp_path.glob("segment-*"))


def test_a_tail_of_dead_rows_is_compacted(dense: Dense, tmp_path: Path) -> None:
    for generation in range(1, 300):  # one chunk, saved again and again
        add(dense, generation, range(generation, generation + 1), remove=range(generation - 1, generation))
    before = dense.snapshot()
    assert dense._state.log.row_count == 299
    assert dense.maintain(lambda: False, SMALL)
    assert (dense._state.log.row_count, dense._state.log.record_count) == (1, 3)
    assert dense.generation == 299
    assert before.ids().tolist() == dense.snapshot().ids().tolist() == [299]
    assert len(list(tmp_path.glob("tail-*"))) == 2


def test_maintenance_stops_when_asked_and_changes_nothing(dense: Dense, tmp_path: Path) -> None:
    add(dense, 1, range(1, 1001))
    files = {path.name for path in tmp_path.iterdir()}
    for patience in range(2):
        answers = iter([False] * patience)
        assert not dense.maintain(lambda: next(answers, True), Thresholds(tail_rows=60))  # noqa: B023
        assert {path.name for path in tmp_path.iterdir()} == files
        assert shape(dense) == (1000, [])


def test_what_is_applied_meanwhile_is_in_the_successor(dense: Dense) -> None:
    add(dense, 1, range(1, 701))
    asked = 0

    def apply_meanwhile() -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:  # the segment is being built
            add(dense, 2, range(5000, 5010), remove=range(1, 11))
            dense.apply(3, [(20, vector_of(20, version=1))], [5000])
        return False

    assert dense.maintain(apply_meanwhile, Thresholds(tail_rows=60))
    assert asked >= 3
    assert dense.generation == 3
    assert dense.snapshot().ids().tolist() == [*range(11, 701), *range(5001, 5010)]
    assert shape(dense) == (10, [689])
    found = dense.snapshot().vector(20)
    assert found is not None
    assert found.tolist() == rounded(vector_of(20, version=1)).tolist()


def test_an_old_snapshot_outlives_its_files(dense: Dense) -> None:
    add(dense, 1, range(1, 101))
    tail_only = dense.snapshot()
    dense.maintain(lambda: False, SMALL)
    segmented = dense.snapshot()
    add(dense, 2, range(101, 102), remove=range(1, 90))
    dense.maintain(lambda: False, SMALL)
    dense.close()
    query = np.frombuffer(vector_of(50), dtype="<f2").astype(np.float32)
    for snapshot in (tail_only, segmented):
        assert snapshot.ids().tolist() == list(range(1, 101))
        assert snapshot.search(query, 1)[0].tolist() == [50]


def test_the_scan_agrees_with_numpy() -> None:
    for dimensions in (1, 7, 16, 256, 384):
        matrix = to_int8(clustered(5000, dimensions))
        expected = cosines_in_blocks(matrix, matrix[17])
        np.testing.assert_allclose(cosines(matrix, matrix[17]), expected, atol=1e-5, rtol=0)
        strided = np.asfortranarray(matrix)[::3]
        np.testing.assert_allclose(cosines(strided, matrix[17]), expected[::3], atol=1e-5, rtol=0)


def test_numpy_is_used_without_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = to_int8(clustered(100, 16))
    expected = cosines(matrix, matrix[3])
    monkeypatch.setattr(arithmetic, "numkong", None)
    np.testing.assert_allclose(cosines(matrix, matrix[3]), expected, atol=1e-5)


def test_rows_of_zeros_have_the_cosine_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = to_int8(np.array([[0, 0, 0], [1, 2, 3], [-1, -2, -3]], dtype=np.float16))
    for query, expected in ((matrix[1], [0, 1, -1]), (matrix[0], [0, 0, 0])):
        np.testing.assert_allclose(cosines(matrix, query), expected, atol=1e-6)
        np.testing.assert_allclose(cosines_in_blocks(matrix, matrix[1]), [0, 1, -1], atol=1e-6)


def test_int8_keeps_cosines() -> None:
    vectors = clustered(2000, 256).astype(np.float32)
    expected = vectors @ vectors[5]
    rows = to_int8(vectors)
    assert (rows.min(), rows.max()) == (-127, 127)
    np.testing.assert_allclose(cosines(rows, rows[5]), expected, atol=4e-3)


@pytest.mark.parametrize("rows_at_a_time", [8, 304, 1000])
@pytest.mark.parametrize("dimensions", [1, 63, 64, 65, 256, 384])
def test_the_nearest_codes_are_those_with_the_fewest_different_signs(
    monkeypatch: pytest.MonkeyPatch, rows_at_a_time: int, dimensions: int
) -> None:
    monkeypatch.setattr(arithmetic, "_CACHED_ROWS", rows_at_a_time)
    matrix = to_int8(clustered(700, dimensions))
    differing = (matrix > 0) != (matrix[7] > 0)
    half = 64 * -(-dimensions // 128)
    some = np.random.default_rng(1).random(300) < 0.3
    parts = [(codes_of(matrix[:300]), some), (codes_of(matrix[300:400]), None), (codes_of(matrix[400:]), None)]
    counted = np.concatenate([some, np.ones(400, dtype=bool)])
    for count in (1, 5, 60, 10_000):
        roughly = counted & _near(differing[:, :half].sum(axis=1), counted, 16 * count if half < dimensions else count)
        expected = np.flatnonzero(roughly & _near(differing.sum(axis=1), roughly, count)).tolist()
        first, second, third = nearest(parts, codes_of(matrix[7:8]), count)
        assert [*first.tolist(), *(300 + second).tolist(), *(400 + third).tolist()] == expected


def _near(distances: NDArray[np.int_], counted: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Return the rows that are as near as the last one of the ``count`` nearest of those that are counted."""
    return np.less_equal(distances, np.sort(distances[counted])[:count][-1])


def test_of_no_rows_none_are_near() -> None:
    codes = codes_of(to_int8(clustered(20, 64)))
    assert [rows.tolist() for rows in nearest([(codes, np.zeros(20, dtype=bool))], codes[:, :1], 3)] == [[]]
    assert nearest([], codes[:, :1], 3) == []


def test_the_codes_of_a_segment_are_those_of_its_rows(dense: Dense) -> None:
    add(dense, 1, range(1, 151))
    dense.maintain(lambda: False, SMALL)
    (segment,) = dense._state.segments
    assert np.array_equal(segment.codes, codes_of(segment.matrix))
