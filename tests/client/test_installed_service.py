"""Recognising whether the user's service would start our daemon or another installation's."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.fake_daemon import FakeDaemon
from codeindexd.cli.codeindex import run
from codeindexd.cli.terminal import Terminal
from codeindexd.client import Client, installed_service, start
from support.daemons import until
from support.places import DAEMON

pytestmark = pytest.mark.processes

HERE = Path(sys.executable).parent


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose service manager is a script that prints the file ``exec-start``."""
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    for name in ("CODEINDEXD_SOCKET", "XDG_DATA_HOME"):
        environ.pop(name, None)
    script(tmp_path / "bin/systemctl", f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {tmp_path}/exec-start\n')
    return environ | {"PATH": f"{tmp_path}/bin:{environ['PATH']}"}


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def installed(tmp_path: Path, program: Path) -> None:
    """Install a service that runs ``program``, as systemctl 252 shows it."""
    unit = tmp_path / "config/systemd/user/codeindexd.service"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text("[Service]\n")
    shown = f"path={program} ; argv[]={program} --log-format json ; ignore_errors=no ; start_time=[n/a] ; pid=0"
    (tmp_path / "exec-start").write_text(f"ExecStart={{ {shown} }}\n")


@pytest.mark.parametrize(
    "text",
    [
        f"#!{HERE}/python3.11\nimport sys\n",
        f"#!/bin/sh\n'''exec' \"{HERE}/python\" \"$0\" \"$@\"\n' '''\nimport sys\n",
        f"#!/bin/sh\nexec {HERE}/python -m codeindexd\n",
    ],
)
def test_a_script_that_this_interpreter_runs_is_ours(tmp_path: Path, environ: dict[str, str], text: str) -> None:
    program = script(tmp_path / "a place/codeindexd", text)
    (tmp_path / "linked").symlink_to(program)
    for path in (program, tmp_path / "linked", Path(sys.executable), HERE / "python3"):
        installed(tmp_path, path)
        assert installed_service.foreign_program(environ) == ""


@pytest.mark.parametrize("text", ["#!/other/venv/bin/python\n", "#!/usr/bin/env python3\n", "\x7fELF", ""])
def test_any_other_program_is_foreign(tmp_path: Path, environ: dict[str, str], text: str) -> None:
    program = script(tmp_path / "a place/codeindexd", text)
    for path in (program, tmp_path / "missing", tmp_path / "venv/bin/python"):
        installed(tmp_path, path)
        assert installed_service.foreign_program(environ) == str(path)


def test_another_environment_of_the_same_interpreter_is_foreign(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(os.path.realpath(sys.executable))
    installed(tmp_path, tmp_path / "venv/bin/python")
    assert installed_service.foreign_program(environ) == f"{tmp_path}/venv/bin/python"


def test_without_a_service_nothing_foreign_is_started(tmp_path: Path, environ: dict[str, str]) -> None:
    assert installed_service.foreign_program(environ) == ""
    assert not (tmp_path / "asked").exists()
    installed(tmp_path, tmp_path / "elsewhere/codeindexd")
    assert start.foreign_program({**environ, "CODEINDEXD_SOCKET": "/s"}) == ""  # no service listens there
    (tmp_path / "exec-start").unlink()
    assert installed_service.foreign_program(environ) == ""
    assert (tmp_path / "asked").read_text() == "--user show codeindexd.service --property=ExecStart\n"


def test_an_older_daemon_of_another_installation_is_kept(tmp_path: Path, environ: dict[str, str]) -> None:
    program = script(tmp_path / "other/codeindexd", "#!/other/venv/bin/python\n")
    installed(tmp_path, program)
    notes: list[str] = []
    with FakeDaemon(tmp_path / "s", version="0.0.1") as older:
        for _ in range(2):
            with Client(tmp_path / "s", environ=environ, note=notes.append) as client:
                assert client.roots() == {"roots": []}
    assert "shutdown" not in [method for method, _ in older.seen]
    assert len(notes) == 2
    assert "version 0.0.1" in notes[0]
    assert str(program) in notes[0]


def test_the_command_line_notes_a_kept_daemon_once(tmp_path: Path, environ: dict[str, str]) -> None:
    installed(tmp_path, tmp_path / "other/codeindexd")
    (tmp_path / "r/codeindexd").mkdir(parents=True)
    environ["XDG_RUNTIME_DIR"] = str(tmp_path / "r")
    out, err = io.StringIO(), io.StringIO()
    requests = b'{"id": 1, "method": "tools/call", "params": {"name": "index_status"}}\n' * 3
    with FakeDaemon(tmp_path / "r/codeindexd/codeindexd.sock", version="0.0.1"):
        assert run(["roots", "--json"], environ, Terminal(out, err, environ)) == 0
        assert err.getvalue().count("note: the daemon is version 0.0.1") == 1
        assert json.loads(out.getvalue()) == {"roots": []}
        done = subprocess.run(
            [sys.executable, "-m", "codeindexd.cli.codeindex", "mcp"],
            env=environ | {"PYTHONPATH": str(DAEMON)},
            input=requests,
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr.count(b"\n")) == (0, 3, 1)


def test_an_older_daemon_whose_service_is_ours_is_replaced(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, Path(sys.executable))
    path = tmp_path / "s"
    fresh = FakeDaemon(path)
    monkeypatch.setattr(start, "start_daemon", lambda place, *_, **__: [fresh.__enter__(), place][1])
    monkeypatch.setattr(start, "wait_for_exit", lambda _: until(lambda: not path.exists()))
    notes: list[str] = []
    with FakeDaemon(path, version="0.0.1"), Client(path, environ=environ, note=notes.append) as client:
        assert client.roots() == {"roots": []}
    fresh.__exit__()
    assert [method for method, _ in fresh.seen] == ["roots.list"]
    assert notes == []
