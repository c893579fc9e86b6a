from __future__ import annotations

import itertools

import pytest

from codeindexd.indexing.policy import commit_limit, in_bulk_order, retry_delay_ns
from codeindexd.types import Entry, FileStat, NodeKind


def entry(path: str, size: int = 1000) -> Entry:
    return Entry(path.encode(), NodeKind.FILE, b"0" * 16, FileStat(size, 1, 1, 1))


def test_edited_files_come_first_and_huge_files_last() -> None:
    entries = [
        entry("src/huge.c", 1_000_000),
        entry("tests/test_a.py"),
        entry("src/z.py"),
        entry("deep/er/main.py"),
        entry("README.md"),
        entry("src/edited.py"),
    ]
    order = [e.path.decode() for e in in_bulk_order(entries, edited={b"src/edited.py"})]
    assert order == ["src/edited.py", "README.md", "deep/er/main.py", "src/z.py", "tests/test_a.py", "src/huge.c"]


def test_commits_are_small_first_and_grow_to_a_bound() -> None:
    limits = [commit_limit(number) for number in range(8)]
    assert [limit.chunks for limit in limits] == [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000]
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(limits))


@pytest.mark.parametrize(
    ("chunks", "files", "age", "is_due"),
    [(499, 249, 0.4, False), (500, 0, 0.0, True), (0, 250, 0.0, True), (1, 1, 0.5, True)],
)
def test_any_bound_makes_a_commit_due(chunks: int, files: int, age: float, is_due: bool) -> None:
    assert commit_limit(0).is_reached(chunks, files, age) is is_due


def test_retry_delays_grow_to_a_day() -> None:
    assert max(retry_delay_ns(attempt, "read") for attempt in range(1, 40)) == 300e9
    delays = [retry_delay_ns(attempt) / 1e9 for attempt in range(1, 40)]
    assert delays[:4] == [30, 60, 120, 240]
    assert delays[-1] == 86_400
