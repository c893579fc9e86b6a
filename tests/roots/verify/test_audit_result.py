"""Differences that last from one audit to the next, although the root changes in between."""

from __future__ import annotations

from itertools import pairwise

from codeindexd.roots.verify.audit_result import AuditResult

LACKS = "lacks {count} chunks, the first is {first}"


def look(*ids: int, counted: int = 0) -> AuditResult:
    found = AuditResult()
    if ids:
        found.add_ids("dense index", LACKS, ids)
    if counted:
        found.add(b"", "catalog", f"the counters say {counted}", kind="the counters say")
    return found


def lasting(*looks: AuditResult) -> list[str]:
    for before, now in pairwise(looks):
        now.keep_lasting(before.differences)
    return [one.detail for one in looks[-1].differences]


def test_an_id_found_missing_twice_is_a_lasting_difference() -> None:
    assert lasting(look(3, 7, 9), look(7, 9, 11, 12), look(7, 20)) == ["lacks 1 chunks, the first is 7"]


def test_ids_found_missing_once_are_no_lasting_difference() -> None:
    assert lasting(look(3), look(7), look(9)) == []
    assert lasting(look(3), look(), look(3)) == []


def test_a_difference_stays_the_same_when_its_numbers_change() -> None:
    assert lasting(look(counted=3), look(counted=5), look(counted=9)) == ["the counters say 9"]


def test_differences_of_other_files_or_stores_do_not_last() -> None:
    first, second = AuditResult(), AuditResult()
    first.add(b"a.py", "chunks", "wrong")
    first.add(b"b.py", "dense index", "wrong")
    second.add(b"b.py", "chunks", "wrong")
    assert lasting(first, second) == []
