"""Batches of hints: no hint is lost, waits past the deadline, or lies below another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.roots.debounce import Debouncer
from codeindexd.scan.relpath import collapse

names = st.sampled_from([b"a", b"b", b"a-b", b"a.py", b"\xff"])
paths = st.lists(names, max_size=4).map(b"/".join)
hints = st.lists(paths, max_size=6)
steps = st.lists(st.tuples(st.floats(0, 3), hints), max_size=30)
limits = st.integers(1, 8)


def covers(batch: frozenset[bytes], path: bytes) -> bool:
    return any(path == top or top == b"" or path.startswith(top + b"/") for top in batch)


def test_a_batch_is_due_after_the_debounce_time() -> None:
    debouncer = Debouncer(0.1, 1.0, 10)
    debouncer.add([b"a"], 5.0)
    debouncer.add([b"b"], 5.05)
    assert debouncer.next_due() == pytest.approx(5.15)
    assert debouncer.due(5.1) is None
    assert debouncer.due(5.15) == {b"a", b"b"}
    assert debouncer.next_due() is None
    assert debouncer.due(9.0) is None


def test_a_batch_is_due_at_the_deadline_during_constant_hints() -> None:
    debouncer = Debouncer(0.1, 1.0, 10)
    for tick in range(100):
        debouncer.add([b"log"], tick * 0.05)
        if (batch := debouncer.due(tick * 0.05)) is not None:
            assert tick * 0.05 == pytest.approx(1.0)
            assert batch == {b"log"}
            return
    pytest.fail("the deadline passed and nothing was due")


def test_adding_no_hints_changes_no_deadline() -> None:
    debouncer = Debouncer(0.1, 1.0, 10)
    debouncer.add([b"a"], 0.0)
    debouncer.add(iter(()), 0.09)
    assert debouncer.due(0.1) == {b"a"}
    assert debouncer.flush() is None


def test_too_many_hints_collapse_to_parents_and_at_last_to_the_root() -> None:
    debouncer = Debouncer(0.1, 1.0, 3)
    debouncer.add([b"src/x/1", b"src/x/2", b"src/x/3", b"top"], 0.0)
    assert debouncer.flush() == {b"src/x", b"top"}
    debouncer.add([b"a", b"b", b"c", b"d"], 0.0)
    assert debouncer.flush() == {b""}


def test_names_with_a_common_prefix_are_not_below_each_other() -> None:
    assert collapse([b"a", b"a-b", b"a/b", b"a.py", b"a-b/c/d"]) == {b"a", b"a-b", b"a.py"}


def test_invalid_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="deadline"):
        Debouncer(1.0, 0.5, 10)
    with pytest.raises(ValueError, match="at least one"):
        Debouncer(0.1, 1.0, 0)


@given(steps, limits)
def test_no_hint_is_lost_and_none_is_late(timeline: list[tuple[float, list[bytes]]], limit: int) -> None:
    debouncer = Debouncer(0.5, 2.0, limit)
    waiting: dict[bytes, float] = {}
    now = 0.0
    for pause, new in timeline:
        now += pause
        if (batch := debouncer.due(now)) is not None:
            waiting = {path: since for path, since in waiting.items() if not covers(batch, path)}
            assert not waiting, "a batch takes every hint that waits"
            assert len(batch) <= limit
            assert collapse(batch) == batch
        for since in waiting.values():
            assert now - since < 2.0, "a hint waited past the deadline"
        debouncer.add(new, now)
        for path in new:
            waiting.setdefault(path, now)
        assert (debouncer.next_due() is not None) == bool(waiting)
        assert len(debouncer) <= limit
    last = debouncer.flush() or frozenset()
    assert all(covers(last, path) for path in waiting)


@given(st.lists(paths, max_size=20))
def test_collapsing_covers_the_same_places_with_fewer_paths(every: list[bytes]) -> None:
    collapsed = collapse(every)
    assert all(covers(collapsed, path) for path in every)
    assert collapsed <= set(every)
    for path in collapsed:
        assert not covers(collapsed - {path}, path)
