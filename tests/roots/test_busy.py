"""Files that change all the time are looked at less and less often."""

from __future__ import annotations

import pytest

from codeindexd.roots.busy import BusyFiles
from codeindexd.roots.debounce import Debouncer
from codeindexd.roots.hints import Hints

pytestmark = pytest.mark.anyio
LOG = b"server.log"


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class World:
    """Files that grow, and a scan loop that looks at what is due."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hints = Hints(Debouncer(0.0, 1.0, 1000), later_s=0.1, clock=self.clock)
        self.busy = BusyFiles(self.hints, clock=self.clock)
        self.looks: list[float] = []

    async def scan(self, size: int, *, changed: bool = True) -> None:
        """Scan what is due; a scanned log is found changed."""
        while (taken := await self.hints.next_batch(0.0)) is not None:
            number, batch = taken
            self.looks.append(self.clock.now)
            self.busy.record_scan(sorted(batch), {LOG: size} if changed and batch & {LOG, b""} else {})
            self.hints.mark_done(number)

    async def grow(self, seconds: float, *, size: int, every_s: float = 0.2) -> None:
        """Let the log change for a time."""
        for _ in range(round(seconds / every_s)):
            self.clock.now += every_s
            self.busy.add([LOG])
            await self.scan(size)


async def test_a_growing_log_is_looked_at_less_and_less_often() -> None:
    world = World()
    await world.grow(15, size=1_600_000)
    assert len(world.looks) <= 4
    await world.grow(600, size=1_600_000)
    pauses = [later - earlier for earlier, later in zip(world.looks, world.looks[1:], strict=False)]
    assert pauses == sorted(pauses)
    assert 100 < pauses[-1] <= 301
    [(path, every_s)] = world.busy.busy()
    assert path == LOG
    assert every_s > 100


async def test_what_is_put_off_does_not_count_as_outstanding() -> None:
    world = World()
    await world.grow(5, size=1_600_000)
    assert not world.hints.are_outstanding


async def test_whoever_needs_the_truth_gets_it_at_once() -> None:
    world = World()
    await world.grow(5, size=1_600_000)
    before = len(world.looks)
    world.busy.scan_delayed()
    await world.scan(1_600_000)
    assert len(world.looks) == before + 1
    assert world.looks[-1] == world.clock.now
    world.busy.scan_delayed()
    await world.scan(1_600_000)
    assert len(world.looks) == before + 1, "nothing changed since"


async def test_a_file_that_rested_is_looked_at_without_delay() -> None:
    world = World()
    await world.grow(5, size=1_600_000)
    world.clock.now += 60
    await world.scan(1_600_000)
    before = len(world.looks)
    world.clock.now += 60
    world.busy.add([LOG])
    await world.scan(1_600_000)
    assert len(world.looks) == before + 1
    assert world.busy.busy() == []


async def test_a_person_who_saves_again_and_again_never_waits() -> None:
    world = World()
    for _ in range(50):
        world.clock.now += 3
        world.busy.add([LOG])
        await world.scan(20_000)
        assert world.looks[-1] == world.clock.now
    assert world.busy.busy() == []


async def test_a_small_file_that_is_rewritten_all_the_time_is_put_off_in_the_end() -> None:
    world = World()
    await world.grow(60, size=2_000)
    assert len(world.looks) < 20
    assert world.busy.busy()


async def test_second_looks_at_a_busy_file_are_put_off_too() -> None:
    world = World()
    await world.grow(5, size=1_600_000)
    before = len(world.looks)
    world.clock.now += 0.2
    world.busy.add_later([LOG])
    world.busy.check_later([LOG])
    world.clock.now += 0.2
    await world.scan(1_600_000)
    assert len(world.looks) == before
    world.busy.check_later([b"other.py"])
    world.clock.now += 0.2
    await world.scan(1_600_000)
    assert len(world.looks) == before + 1


async def test_a_walk_counts_as_a_look() -> None:
    world = World()
    await world.grow(5, size=1_600_000)
    world.hints.add([b""])
    await world.scan(1_600_000, changed=False)
    before = len(world.looks)
    world.busy.scan_delayed()
    await world.scan(1_600_000)
    assert len(world.looks) == before
