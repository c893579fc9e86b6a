"""Standard streams that are closed, full, or of another encoding."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from client.fake_daemon import FakeDaemon, place
from codeindexd.cli.terminal import Terminal
from support.places import DAEMON

pytestmark = pytest.mark.processes

ENCODINGS = ["utf-8", "latin-1", "ascii", "cp1252", "gbk", "shift_jis", "iso2022_jp", "utf-16", "utf-32", "utf-7"]
REAL_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")


def shell(daemon: FakeDaemon, command: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``codeindex`` in a shell, which can close streams; its standard input is one MCP request."""
    program = shlex.join([sys.executable, "-m", "codeindexd.cli.codeindex"])
    return subprocess.run(
        ["/bin/sh", "-c", f"{program} {command}"],
        env={**os.environ, "CODEINDEXD_SOCKET": str(daemon.socket_path), "PYTHONPATH": str(DAEMON), **environ},
        input=b'{"id": 1, "method": "ping"}\n',
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("command", "code"), [("search x", 0), ("search nothing", 1), ("status /elsewhere", 3)])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_change_the_exit_code(daemon: FakeDaemon, command: str, code: int, closed: str) -> None:
    done = shell(daemon, f"{command} {closed}")
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert bool(done.stdout) == (command == "search x" and ">&-" not in closed.split())


def test_mcp_needs_both_streams(daemon: FakeDaemon) -> None:
    for closed in (">&-", "<&-"):
        done = shell(daemon, f"mcp {closed}")
        assert done.returncode == 2
        assert b"standard input and output" in done.stderr


@REAL_FULL
@pytest.mark.parametrize("command", ["search x", "search x -n 1 --json", "roots", "--help", "nonsense --json", "mcp"])
def test_a_full_disk_is_reported(daemon: FakeDaemon, command: str) -> None:
    done = shell(daemon, f"{command} >/dev/full")
    expected = b"codeindex: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (5, expected)


@REAL_FULL
def test_a_disk_that_fills_up_is_reported_once(daemon: FakeDaemon) -> None:
    root = next(iter(daemon.roots))
    hits = [place(root, path=f"{'x' * 200}{number}.py") for number in range(1000)]
    daemon.answers["search"] = {"query": "x", "state": "fresh", "dense_coverage": 1.0, "hits": hits}
    for options in ("", "--json"):
        done = shell(daemon, f"search x {options} >/dev/full")
        assert (done.returncode, done.stderr.count(b"\n")) == (5, 1)


@REAL_FULL
def test_unwritable_notes_do_not_change_the_exit_code(daemon: FakeDaemon) -> None:
    assert shell(daemon, "search nothing 2>/dev/full").returncode == 1
    assert shell(daemon, "status /elsewhere 2>/dev/full").returncode == 3
    assert shell(daemon, "search x >/dev/full 2>/dev/full").returncode == 5


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_character_can_be_written_in_every_encoding(daemon: FakeDaemon, encoding: str) -> None:
    root = next(iter(daemon.roots))
    snippet = "x = 'é 日本語 \ud800 \udce9 \U0001f600'\n"
    hits = [place(root, path=name, snippet=snippet) for name in ("a.py", "caf\udce9.py", "日本.py", "z.py")]
    daemon.answers["search"] = {"query": "x", "state": "fresh", "dense_coverage": 1.0, "hits": hits}
    done = shell(daemon, "search x", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "z.py" in done.stdout.decode(encoding, "replace")
    files = shell(daemon, "search x --files", PYTHONIOENCODING=encoding).stdout
    assert encoding in {"utf-16", "utf-32", "utf-7"} or b"caf\xe9.py" in files
    assert json.loads(shell(daemon, "search x --json", PYTHONIOENCODING=encoding).stdout.decode(encoding))["hits"]


def test_characters_outside_the_encoding_are_escaped(daemon: FakeDaemon) -> None:
    daemon.answers["search"] = {
        "query": "x",
        "state": "fresh",
        "dense_coverage": 1.0,
        "hits": [place(next(iter(daemon.roots)), path="日.py")],
    }
    assert shell(daemon, "search x --files", PYTHONIOENCODING="latin-1").stdout == b"\\u65e5.py\n"


def test_closed_streams_are_not_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    terminal = Terminal.standard({})
    terminal.print("a")
    terminal.note("b")
    terminal.line("c")
    terminal.flush()
    assert not any((terminal.live, terminal.colour, terminal.full_screen))


@pytest.mark.parametrize("seconds", ["inf", "-inf", "nan", "-1", "soon", "1e999", "1e9"])
def test_an_invalid_timeout_is_a_usage_error(daemon: FakeDaemon, seconds: str) -> None:
    done = shell(daemon, f"sync --timeout {seconds} --json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["name"] == "usage"
    assert done.stderr == b""
