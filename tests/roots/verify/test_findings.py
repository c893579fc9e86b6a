"""What lasts from one look to the next, although the root changes in between."""

from __future__ import annotations

from itertools import pairwise

from codeindexd.roots.verify.findings import Audit

LACKS = "lacks {count} chunks, the first is {first}"


def look(*ids: int, counted: int = 0) -> Audit:
    found = Audit()
    if ids:
        found.add_ids("dense index", LACKS, ids)
    if counted:
        found.add(b"", "catalog", f"the counters say {counted}", kind="the counters say")
    return found


def lasting(*looks: Audit) -> list[str]:
    for before, now in pairwise(looks):
        now.keep_lasting(before.differences)
    return [one.detail for one in looks[-1].differences]


def test_a_hole_lasts_while_others_come_and_go() -> None:
    assert lasting(look(3, 7, 9), look(7, 9, 11, 12), look(7, 20)) == ["lacks 1 chunks, the first is 7"]


def test_holes_that_come_and_go_are_none() -> None:
    assert lasting(look(3), look(7), look(9)) == []
    assert lasting(look(3), look(), look(3)) == []


def test_a_figure_that_changes_makes_no_other_difference() -> None:
    assert lasting(look(counted=3), look(counted=5), look(counted=9)) == ["the counters say 9"]


def test_differences_of_other_files_or_stores_are_others() -> None:
    first, second = Audit(), Audit()
    first.add(b"a.py", "chunks", "wrong")
    first.add(b"b.py", "dense index", "wrong")
    second.add(b"b.py", "chunks", "wrong")
    assert lasting(first, second) == []
