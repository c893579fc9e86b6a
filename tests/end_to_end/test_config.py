"""Every number of the configuration at its smallest and largest: what is accepted works."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.inspect import FloatType, IntType

from codeindexd.config import Config
from support.daemons import RealDaemon, real_daemon
from support.trees import tree

LEAST_ABOVE_0 = 1e-9
WAITED_FOR = {"debounce_ms", "deadline_ms"}


def extreme(*, greatest: bool) -> str:
    """A config.toml, less what a test would have to wait for at its greatest; ``workers.count``, which would fill the
    machine with processes, stays "auto"."""
    lines = []
    for section in msgspec.structs.fields(Config):
        lines.append(f"[{section.name}]")
        for field in msgspec.structs.fields(section.type):
            number = msgspec.inspect.type_info(field.type)
            if isinstance(number, IntType | FloatType) and not (greatest and field.name in WAITED_FOR):
                least = LEAST_ABOVE_0 if number.ge is None else number.ge
                lines.append(f"{field.name} = {number.le if greatest else least}")
    return "\n".join(lines)


@pytest.mark.parametrize("greatest", [False, True], ids=["least", "greatest"])
def test_the_daemon_indexes_and_answers_with(greatest: bool) -> None:
    with real_daemon(extreme(greatest=greatest)) as daemon:
        root = tree(daemon.home / "project", {"a.py": "def first_of_all():\n    return 1\n"})
        daemon.call("roots.add", path=str(root), wait=True)
        assert symbols(daemon, "first_of_all") == {"first_of_all"}
        (root / "b.py").write_text("def second_of_all():\n    return 2\n")
        assert "second_of_all" in symbols(daemon, "second_of_all")
        assert daemon.call("verify")["ok"]
        assert daemon.stop() == 0
        assert "error" not in daemon.log


def symbols(daemon: RealDaemon, query: str) -> set[str]:
    """Return what is found once everything written so far is indexed."""
    return {hit["symbol"] for hit in daemon.call("search", query=query, sync=True)["hits"]}
