"""One daemon for one user: clients of every environment reach it, and replace it when nobody can."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemons import until
from support.places import DAEMON
from support.processes import is_running
from support.trees import tree


class Account:
    """A user's home, in which clients start the daemon as they do outside tests."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runtime = home / "run"
        self.runtime.mkdir(mode=0o700)
        self.project = tree(home / "project", {"hello.py": "def greet_everybody():\n    return 'hello'\n"})
        self.package = DAEMON

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a login shell."""
        return self.bare_environment | {"XDG_RUNTIME_DIR": str(self.runtime)}

    @property
    def bare_environment(self) -> dict[str, str]:
        """Return what cron and many host programs pass."""
        kept = {"PATH": os.environ["PATH"], "TMPDIR": str(self.home)}
        return kept | {"HOME": str(self.home), "PYTHONPATH": str(self.package)}

    @property
    def state(self) -> Path:
        """The daemon's state directory."""
        return self.home / ".local/state/codeindexd"

    @property
    def pid(self) -> int:
        """The process that holds the lock, 0 if none does."""
        try:
            return int((self.state / "lock").read_text() or 0)
        except FileNotFoundError:
            return 0

    def run(
        self, *words: str, environ: dict[str, str] | None = None, expect: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run ``codeindex`` in the project; the exit code must be ``expect``."""
        done = subprocess.run(
            [sys.executable, "-m", "codeindexd.cli.codeindex", *words],
            env=self.environment if environ is None else environ,
            cwd=self.project,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == expect, done
        return done

    def check_of_doctor(self, name: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
        """Return one check of ``codeindex doctor``."""
        words = [sys.executable, "-m", "codeindexd.cli.codeindex", "doctor", "--json"]
        environ = self.environment if environ is None else environ
        done = subprocess.run(words, env=environ, cwd=self.project, capture_output=True, text=True, check=False)
        (check,) = (one for one in json.loads(done.stdout)["checks"] if one["name"] == name)
        return dict(check)


@pytest.fixture
def account() -> Iterator[Account]:
    """A user whose daemon runs and has indexed a project."""
    one = Account(Path(tempfile.mkdtemp(prefix="cix")))
    try:
        one.run("add")
        yield one
    finally:
        if one.pid:
            os.kill(one.pid, signal.SIGKILL)
        until(lambda: not one.pid or not is_running(one.pid))
        shutil.rmtree(one.home, ignore_errors=True)


def test_clients_of_every_environment_reach_the_same_daemon(account: Account) -> None:
    pid = account.pid
    other = account.home / "other"
    other.mkdir(mode=0o700)
    for change in (
        {},
        {"XDG_RUNTIME_DIR": str(other)},
        {"XDG_RUNTIME_DIR": "/nowhere/at/all"},
        {"XDG_RUNTIME_DIR": ""},
        {"TMPDIR": str(other)},
        {"CODEINDEXD_SOCKET": str(other / "s")},
    ):
        environ = account.bare_environment | change
        assert account.run("search", "greet_everybody", "--files", environ=environ).stdout == "hello.py\n", change
        assert account.run("search", "greet_everybody", "--no-start", environ=environ).returncode == 0, change
        check = account.check_of_doctor("daemon", environ)
        assert check["state"] == "ok", change
        assert f"pid {pid}" in check["detail"], change
    assert account.pid == pid


def test_the_asynchronous_client_reaches_it_too(account: Account) -> None:
    program = (
        "import anyio\n"
        "from codeindexd.client import AsyncClient\n"
        "async def main():\n"
        "    async with AsyncClient(start=False) as client:\n"
        "        print((await client.info())['pid'])\n"
        "anyio.run(main)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=account.bare_environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == account.pid


def test_a_daemon_that_starts_without_a_runtime_directory_is_found_with_one(account: Account) -> None:
    account.run("stop")
    account.run("search", "greet_everybody", environ=account.bare_environment)
    pid = account.pid
    account.run("search", "greet_everybody")
    assert account.pid == pid


@pytest.mark.parametrize("replacement", ["nothing", "file", "socket"])
def test_a_daemon_whose_socket_is_gone_listens_again(account: Account, replacement: str) -> None:
    pid = account.pid
    shutil.rmtree(account.runtime / "codeindexd")
    if replacement != "nothing":
        (account.runtime / "codeindexd").mkdir(mode=0o700)
        if replacement == "file":
            (account.runtime / "codeindexd/codeindexd.sock").write_text("not a socket")
        else:
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(account.runtime / "codeindexd/codeindexd.sock"))
    account.run("search", "greet_everybody")
    assert account.pid == pid
    (account.project / "later.py").write_text("def greet_later(): pass\n")
    account.run("sync", "--timeout", "20")
    assert account.run("search", "greet_later", "--files").stdout.startswith("later.py\n")


def test_a_daemon_without_a_runtime_directory_listens_in_the_state_directory(account: Account) -> None:
    pid = account.pid
    shutil.rmtree(account.runtime)
    account.runtime.write_text("no directory can be made here")
    account.run("search", "greet_everybody")
    assert account.pid == pid
    assert json.loads((account.state / "daemon.json").read_text())["socket"] == str(account.state / "codeindexd.sock")
    (account.project / "later.py").write_text("def greet_later(): pass\n")
    account.run("sync")
    assert account.run("search", "greet_later", "--files").stdout.startswith("later.py\n")
    cookies = account.state / "cookies"
    until(cookies.is_dir, what="another place for cookies")
    until(lambda: json.loads(account.run("sync", "--json").stdout)["how"] == "cookie")
    assert json.loads(account.run("status", "--json").stdout)["roots"][0]["state"] == "fresh"


def test_a_daemon_that_cannot_be_reached_is_replaced(account: Account) -> None:
    """It neither answers nor listens again: stopped as a debugger stops it, and its socket is gone."""
    pid = account.pid
    os.kill(pid, signal.SIGSTOP)
    shutil.rmtree(account.runtime / "codeindexd")
    check = account.check_of_doctor("daemon")
    assert check["state"] == "warning"
    assert f"pid {pid}" in check["detail"]
    assert check["remedy"] == "to replace it: codeindex restart"
    refused = account.run("search", "greet_everybody", "--no-start", expect=4)
    assert "hint: to replace it: codeindex restart" in refused.stderr
    assert account.pid == pid
    assert account.run("search", "greet_everybody", "--files").stdout == "hello.py\n"
    assert account.pid != pid
    assert not is_running(pid)


def test_many_clients_replace_an_unreachable_daemon_by_one(account: Account) -> None:
    os.kill(account.pid, signal.SIGSTOP)
    shutil.rmtree(account.runtime / "codeindexd")
    command = [sys.executable, "-m", "codeindexd.cli.codeindex", "status", "--json"]
    clients = [
        subprocess.Popen(command, env=account.environment, cwd=account.project, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    pids = {json.loads(client.communicate(timeout=100)[0])["pid"] for client in clients}
    assert pids == {account.pid}


@pytest.mark.parametrize("change", ["removed", "changed"])
def test_a_daemon_that_lost_its_installation_is_replaced(account: Account, change: str) -> None:
    account.run("stop")
    account.package = account.home / "package"
    shutil.copytree(DAEMON / "codeindexd", account.package / "codeindexd")
    assert json.loads(account.run("status", "--json").stdout)["installation"] == "intact"
    pid = account.pid
    account.run("search", "greet_everybody")
    assert account.pid == pid
    if change == "removed":
        shutil.rmtree(account.package)
        account.package = DAEMON
    else:
        os.utime(account.package / "codeindexd/__init__.py", ns=(1, 1))
    check = account.check_of_doctor("daemon")
    assert check["state"] == "warning"
    assert change in check["detail"]
    (account.project / "later.py").write_text("def greet_later(): pass\n")
    assert account.run("symbol", "greet_later").stdout.startswith("later.py:1"), "not even the first answer lacks it"
    assert account.pid != pid


def test_stop_restart_and_logs(account: Account) -> None:
    pid = account.pid
    assert json.loads(account.run("restart", "--json").stdout)["pid"] == account.pid != pid
    assert account.run("stop").stdout == f"stopped the daemon (pid {account.pid or pid})\n" or account.pid == 0
    assert not account.pid
    assert account.run("stop").stdout == "no daemon was running\n"
    assert json.loads(account.run("stop", "--json").stdout) == {"stopped": False, "pid": None}
    assert "ready" in account.run("logs").stdout
    logs = json.loads(account.run("logs", "--json", "-n", "1").stdout)
    assert logs["path"] == str(account.state / "codeindexd.log")
    assert len(logs["lines"]) == 1
    account.run("logs", "-f", "--json", expect=2)


def test_stop_ends_a_daemon_that_cannot_be_reached(account: Account) -> None:
    pid = account.pid
    os.kill(pid, signal.SIGSTOP)
    shutil.rmtree(account.runtime / "codeindexd")
    assert account.run("stop").stdout == f"stopped the daemon (pid {pid})\n"
    assert not is_running(pid)


def test_status_names_the_log_and_the_cache_with_their_size(account: Account) -> None:
    status = until(
        lambda: (found := json.loads(account.run("status", "--json").stdout))["cache"]["bytes"] and found,
        what="the size of the cache",
    )
    assert status["log"]["kind"] == "file"
    assert status["log"]["path"] == str(account.state / "codeindexd.log")
    assert status["log"]["bytes"] > 0
    assert status["cache"]["path"] == str(account.home / ".cache/codeindexd")
    assert f"cache {account.home}/.cache/codeindexd  " in account.run("status").stdout
