"""When a failed stream is started again, and when the user hears of it; with a clock of our own."""

from __future__ import annotations

import pytest

from codeindexd.watch.restarts import RestartSchedule
from codeindexd.watch.stream import StreamError, StreamErrorKind

pytestmark = pytest.mark.processes

VANISHED = StreamError(StreamErrorKind.VANISHED, "/root/gone: No such file or directory")


class Clock:
    """A clock in seconds that the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _tries(retries: RestartSchedule, clock: Clock, seconds: float) -> list[tuple[str, str] | None]:
    """Return the answers while every try fails, each made as early as allowed."""
    answers = []
    end = clock.now + seconds
    while clock.now < end:
        assert not retries.is_too_early
        answers.append(retries.record_failure(VANISHED))
        assert retries.wait_s > 0
        clock.now += retries.wait_s
    return answers


def test_vanishing_once_or_twice_is_retried_at_once_and_is_no_problem() -> None:
    clock = Clock()
    retries = RestartSchedule(30.0, clock=clock)
    for _ in range(100):
        assert retries.record_failure(VANISHED) is None
        assert retries.wait_s < 0.1
        retries.record_success()


def test_vanishing_repeatedly_is_a_problem_and_is_retried_ever_less_often() -> None:
    clock = Clock()
    answers = _tries(RestartSchedule(30.0, clock=clock), clock, 60.0)
    assert len(answers) < 40, "instead of 1,200"
    assert answers[0] is None
    assert answers[-1] is not None
    assert "/root/gone" in answers[-1][0]


def test_a_success_resets_the_pauses() -> None:
    clock = Clock()
    retries = RestartSchedule(30.0, clock=clock)
    _tries(retries, clock, 60.0)
    retries.record_success()
    assert retries.record_failure(VANISHED) is None


def test_the_larger_a_started_stream_the_longer_it_is_left_alone() -> None:
    clock = Clock()
    retries = RestartSchedule(30.0, clock=clock)
    retries.delay_next(500)
    assert retries.is_too_early
    clock.now += retries.wait_s
    assert not retries.is_too_early
