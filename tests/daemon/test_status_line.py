"""The line that the service manager shows."""

from __future__ import annotations

from dataclasses import dataclass

from codeindexd.daemon.status_line import StatusLine
from codeindexd.indexing.progress import Progress
from codeindexd.types import RootState


@dataclass
class ScriptedRoot:
    """A root that is asked for its state and progress."""

    state: RootState = RootState.FRESH
    left: int = 0

    @property
    def progress(self) -> Progress:
        return Progress(0, self.left, 0, 1.0, is_idle=not self.left)


def test_it_says_how_many_roots_there_are_and_what_is_left() -> None:
    roots = [ScriptedRoot(), ScriptedRoot(RootState.INDEXING, 7), ScriptedRoot(RootState.INDEXING, 5)]
    assert StatusLine(lambda: roots[:1]).current() == "1 root, all fresh"
    assert StatusLine(lambda: roots).current() == "3 roots, 2 indexing, 12 files to go"


def test_roots_are_asked_only_after_a_change_and_now_and_then() -> None:
    asked = 0
    root = ScriptedRoot()

    def roots() -> list[ScriptedRoot]:
        nonlocal asked
        asked += 1
        return [root]

    line = StatusLine(roots)
    assert line.update() == "1 root, all fresh"
    root.state = RootState.PAUSED
    assert [line.update() for _ in range(5)] == [None] * 5
    assert asked == 1
    line.mark_changed()
    assert line.update() == "1 root, 1 paused, 0 files to go"
    line.mark_changed()
    assert line.update() is None, "it is the same"
    root.state = RootState.FRESH
    assert [shown for _ in range(40) if (shown := line.update())] == ["1 root, all fresh"]
    assert asked == 4
