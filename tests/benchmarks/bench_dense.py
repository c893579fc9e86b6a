"""The dense index at 150,000 vectors of 256 values: in its tail, which is scored whole, then in segments with codes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from codeindexd.storage.dense import Dense
from codeindexd.storage.dense.arithmetic import cosines_in_blocks, to_int8
from codeindexd.storage.dense.maintenance import Thresholds
from storage.dense.sample_vectors import clustered

ROWS, DIMENSIONS = 150_000, 256


def run() -> dict[str, float]:
    """Milliseconds unless a name says otherwise; medians."""
    with TemporaryDirectory() as directory:
        return _measured(Path(directory) / "dense")


def _measured(directory: Path) -> dict[str, float]:
    names = {"store_uuid": "store", "identity": "model", "dimensions": DIMENSIONS}
    matrix = clustered(ROWS + 200, DIMENSIONS, clusters=500)
    queries = matrix[ROWS:].astype(np.float32)
    dense = Dense.open(directory, **names)  # type: ignore[arg-type]
    anonymous, began = _memory_mb("RssAnon"), time.perf_counter()
    for generation, start in enumerate(range(0, ROWS, 1000), 1):
        dense.apply(generation, [(n + 1, matrix[n].tobytes()) for n in range(start, start + 1000)], [])
    figures = {
        "dense_bulk_vectors_per_s": ROWS / (time.perf_counter() - began),
        "dense_tail_anonymous_mb": _memory_mb("RssAnon") - anonymous,
        "dense_disk_bytes_per_vector": sum(path.stat().st_blocks * 512 for path in directory.iterdir()) / ROWS,
    }
    fresh = matrix[-1].tobytes()
    generation = dense.generation
    figures["dense_save_ms"] = _median_ms(lambda: dense.apply(generation, [(7, fresh)], []), repeat=200)
    exact = _questions(dense, queries, figures, "tail")
    rows, query = to_int8(matrix[:ROWS]), to_int8(queries[:1])[0]
    figures["dense_numpy_scan_ratio"] = (
        _median_ms(lambda: cosines_in_blocks(rows, query), repeat=3) / figures["dense_tail_query_ms"]
    )
    began = time.perf_counter()
    assert dense.maintain(lambda: False, Thresholds(tail_rows=10_000, segment_rows=50_000))
    figures["dense_segments_vectors_per_s"] = ROWS / (time.perf_counter() - began)
    found = _questions(dense, queries, figures, "segments")
    figures["dense_segments_recall_at_100"] = statistics.mean(
        len(set(a.tolist()) & set(b.tolist())) / len(a) for a, b in zip(exact, found, strict=True)
    )
    figures["dense_check_ms"] = _median_ms(dense.check, repeat=3)
    dense.close()
    began = time.perf_counter()
    Dense.open(directory, **names).close()  # type: ignore[arg-type]
    figures["dense_reopen_ms"] = (time.perf_counter() - began) * 1e3
    return figures


def _questions(
    dense: Dense, queries: NDArray[np.float32], figures: dict[str, float], where: str
) -> list[NDArray[np.int64]]:
    snapshot = dense.snapshot()
    few, most = np.arange(1, ROWS, 16), np.arange(1, ROWS, 2)
    figures[f"dense_{where}_query_ms"] = _median_ms(lambda: snapshot.search(queries[0], 100), repeat=50)
    figures[f"dense_{where}_query_of_2000_ms"] = _median_ms(lambda: snapshot.search(queries[0], 100, few), repeat=50)
    figures[f"dense_{where}_query_of_half_ms"] = _median_ms(lambda: snapshot.search(queries[0], 100, most), repeat=50)
    return [snapshot.search(query, 100)[0] for query in queries]


def _median_ms(function: Callable[[], object], *, repeat: int) -> float:
    function()
    took = []
    for _ in range(repeat):
        began = time.perf_counter()
        function()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


def _memory_mb(kind: str) -> float:
    """Memory of this process of one kind; 0 where /proc does not tell."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{kind}:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
