"""The thread that checks the environment of all roots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from codeindexd.scan.rule_files import RuleFileRecorder
from codeindexd.watch.rounds import Round, Rounds


class Member:
    def __init__(self, fail: type[Exception] | None = None) -> None:
        self.checks = 0
        self._fail = fail

    def check(self, now: Round) -> None:
        self.checks += 1
        if self._fail is not None:
            raise self._fail("broken")

    def report_jump(self, reason: str) -> None:
        raise AssertionError(reason)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def started_since(before: set[threading.Thread]) -> set[threading.Thread]:
    """Return the threads of rounds that run now and did not before; other tests' threads may end meanwhile."""
    return {thread for thread in threading.enumerate() if thread.name == "environment"} - before


def test_one_thread_checks_all_members_and_ends_with_the_last() -> None:
    rounds, before = Rounds(), set(threading.enumerate())
    members = [Member(ValueError), *(Member() for _ in range(20))]
    for member in members:
        rounds.join(member)
    assert len(started_since(before)) == 1
    wait_until(lambda: all(member.checks for member in members))
    for member in members:
        rounds.leave(member)
    wait_until(lambda: not started_since(before))


def test_a_member_whose_event_loop_is_closed_leaves() -> None:
    rounds, before = Rounds(), set(threading.enumerate())
    rounds.join(Member(RuntimeError))
    wait_until(lambda: not started_since(before))


def test_a_rule_file_that_may_have_changed_is_noticed(tmp_path: Path) -> None:
    present, absent = tmp_path / "ignore", tmp_path / "absent"
    present.write_text("*.log\n")
    recorder = RuleFileRecorder(tmp_path / "root")
    recorder.read(present)
    recorder.read(absent)
    assert not recorder.files.seem_unchanged(Round().stat), "it was too young to trust its stat"
    time.sleep(0.1)
    files = recorder.files.now()
    assert files.seem_unchanged(Round().stat)
    present.write_text("*.txt\n")
    assert not files.seem_unchanged(Round().stat)
    present.write_text("*.log\n")
    files = files.now()
    absent.touch()
    assert not files.seem_unchanged(Round().stat)
