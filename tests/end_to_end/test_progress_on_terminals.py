"""What a person sees while a command waits, in a real terminal (tmux) of several widths."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.daemons import RealDaemon, until
from support.trees import tree

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
PROGRAM = f"{shlex.quote(sys.executable)} -m codeindexd.cli.codeindex"


@contextmanager
def terminal(daemon: RealDaemon, width: int, command: str, cwd: Path) -> Iterator[list[str]]:
    """Run ``command`` in a terminal; yield the tmux command line that drives it."""
    tmux = ["tmux", "-S", str(daemon.home / f"tmux-{command.split()[0]}"), "-f", "/dev/null"]
    environ = daemon.environment | {"TERM": "screen", "LC_ALL": "C.UTF-8"}
    script = f"{PROGRAM} {command}; echo code=$?; exec sleep 100"
    size = ["-x", str(width), "-y", "40"]
    subprocess.run([*tmux, "new-session", "-d", *size, script], env=environ, cwd=cwd, check=True)
    try:
        yield tmux
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def screen(tmux: list[str]) -> list[str]:
    """Return the lines that are on the screen now."""
    done = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line]


def watched(tmux: list[str]) -> tuple[list[list[str]], list[str]]:
    """Return the screens until the command ended, and the last one."""
    seen: list[list[str]] = []
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        lines = screen(tmux)
        if any(line.startswith("code=") for line in lines):
            return seen, lines
        seen.append(lines)
        time.sleep(0.05)
    raise AssertionError(seen[-1])


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A project that takes some seconds."""
    body = "\n\n".join(f"def work_{n}(value):\n    return value * {n}" for n in range(150))
    return tree(tmp_path / "large", {f"package/module_{n}.py": f"NUMBER = {n}\n\n{body}\n" for n in range(120)})


@pytest.mark.parametrize("width", [20, 80, 200])
def test_add_and_verify_show_one_line_that_fits(daemon: RealDaemon, large: Path, width: int) -> None:
    for command, word in (("add", "fresh"), ("verify", "equal to the disk"), ("reindex", "fresh")):
        with terminal(daemon, width, command, large) as tmux:
            seen, last = watched(tmux)
        shown = [lines for lines in seen if lines and f"{large}:" not in "".join(lines)]  # : ends the summary
        assert shown, f"{command} was silent"
        assert all(len(lines) == 1 for lines in shown), f"{command} left rows behind: {shown}"
        text = "".join(last).replace(" ", "")  # the screen has no spaces at the ends of its rows
        assert word.replace(" ", "") in text, command
        assert "code=0" in text, command
        assert "120files" in text, command
        assert "covered" not in text, command


def test_an_interrupted_add_goes_on_and_says_so(daemon: RealDaemon, large: Path) -> None:
    with terminal(daemon, 80, "add", large) as tmux:
        until(lambda: screen(tmux), what="the progress line")
        subprocess.run([*tmux, "send-keys", "C-c"], check=True)
        _, last = watched(tmux)
    text = "".join(last)
    assert "indexing continues in the background; to stop it: codeindex pause" in text
    assert "code=130" in text
    state = until(lambda: daemon.call("roots.list")["roots"][0]["state"] == "fresh", timeout_s=60)
    assert state


def test_the_time_left_counts_from_the_start_of_the_run(daemon: RealDaemon, large: Path) -> None:
    """A root that was idle for days once made it "9 days left"."""
    daemon.call("roots.add", path=str(large), wait=True)
    time.sleep(3)
    client = daemon.client()
    began = time.monotonic()
    client.call("reindex", path=str(large), wait=True, progress=True)
    seconds = time.monotonic() - began
    shown = [one["params"] for one in client.notifications if one["method"] == "progress"]
    assert {one["files_total"] for one in shown} >= {120}
    early = [one["eta_s"] for one in shown if one["eta_s"] is not None and one["files_done"] > 30]
    assert all(eta_s < 10 * seconds for eta_s in early)
    assert client.call("subscribe", roots=[]).result is not None
