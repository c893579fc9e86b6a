"""What subscribers are told about a root."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from codeindexd.daemon.subscriptions import Subscriptions
from codeindexd.indexing.progress import Progress
from codeindexd.roots.registry import RootSpec
from codeindexd.types import RootState


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self.told.append((method, params))


def test_progress_is_repeated_to_the_followers_of_a_root_only() -> None:
    subscriptions, follower, other = Subscriptions(), Listener(), Listener()
    subscriptions.subscribe(other, ["another root"])
    root: Any = SimpleNamespace(
        spec=RootSpec("one", Path("/code"), 1, 2),
        state=RootState.DEGRADED,
        progress=Progress(1, 2, 3, 4.0, is_idle=False),
    )
    with subscriptions.following(follower, ["one"]):
        for _ in range(2):
            subscriptions.repeat_progress(root)
    subscriptions.repeat_progress(root)
    assert [(method, told["root"], told["state"], told["files_total"]) for method, told in follower.told] == [
        ("progress", "/code", "degraded", 3)
    ] * 2
    assert other.told == []
