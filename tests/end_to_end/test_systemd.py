"""The installed units under a real user manager: activation, watchdog, restart, protection."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import codeindexd
from codeindexd.cli import service_manager
from codeindexd.errors import FailedError
from end_to_end.user_manager import UserManager, user_manager, why_not
from support.daemons import RawClient, until
from support.trees import tree

pytestmark = [pytest.mark.systemd, pytest.mark.skipif(bool(why_not()), reason=why_not() or "possible")]

SERVICE = service_manager.SERVICE
DROP_IN = f"""[Service]
Environment=PYTHONPATH={Path(codeindexd.__file__).parents[1]}
"""


@pytest.fixture(scope="module")
def manager() -> Iterator[UserManager]:
    """A user manager with the service installed by the command that users run, not yet started."""
    with user_manager() as running:
        drop_in = f"{DROP_IN}StandardOutput=append:{running.log_file}\nStandardError=inherit\n"
        tree(running.home / f".config/systemd/user/{SERVICE}.d", {"test.conf": drop_in})
        yield running


def codeindex(manager: UserManager, *arguments: str) -> dict[str, Any]:
    """Return the JSON that ``codeindex`` prints in the manager's session."""
    answer = manager.run(
        sys.executable, "-m", "codeindexd.cli.codeindex", *arguments, "--json", PYTHONPATH=os.pathsep.join(sys.path)
    )
    document: dict[str, Any] = json.loads(answer)
    return document


def pid_of(manager: UserManager) -> int:
    return int(manager.show(SERVICE, "MainPID"))


def call(manager: UserManager, method: str, **params: Any) -> dict[str, Any]:
    """Send one request to the socket that systemd listens on and return its result."""
    client = RawClient(manager.runtime / "codeindexd/codeindexd.sock")
    try:
        return client.call(method, **params).result
    finally:
        client.close()


@pytest.fixture
def service(manager: UserManager) -> UserManager:
    """The installed service, running."""
    service_manager.install(manager.environment)
    manager.systemctl("start", SERVICE)
    return manager


def test_installing_is_idempotent_and_starts_the_daemon(manager: UserManager) -> None:
    first = codeindex(manager, "service", "install")
    assert first["changed"]
    assert first["running"]
    again = codeindex(manager, "service", "install")
    assert again == first | {"changed": False}
    shown = codeindex(manager, "service", "status")
    assert (shown["installed"], shown["current"], shown["enabled"], shown["running"]) == (True, True, True, True)
    assert f"pid {pid_of(manager)}" in shown["detail"]


def test_the_units_are_valid(service: UserManager) -> None:
    units = [str(service.home / ".config/systemd/user" / name) for name in (SERVICE, service_manager.SOCKET)]
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", *units],
        env=service.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "codeindexd" in line]
    assert ours == []
    assert done.returncode == 0


def test_it_is_ready_says_so_and_is_watched(service: UserManager) -> None:
    assert service.systemctl("is-active", SERVICE) == "active"
    assert "roots" in service.show(SERVICE, "StatusText")
    assert service.show(SERVICE, "WatchdogUSec") == "1min"
    assert service.show(SERVICE, "NotifyAccess") == "main"
    assert call(service, "server.info")["pid"] == pid_of(service)


def test_a_query_starts_it_and_is_answered(service: UserManager) -> None:
    began = time.monotonic()
    service.systemctl("stop", SERVICE)
    assert time.monotonic() - began < 5
    assert service.systemctl("is-active", SERVICE, check=False) == "inactive"
    path = service.runtime / "codeindexd/codeindexd.sock"
    assert path.is_socket()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    pid = call(service, "server.info")["pid"]
    until(lambda: pid_of(service) == pid, what="the activated service")


def test_it_indexes_and_finds_under_its_protection(service: UserManager) -> None:
    root = tree(service.home / "code", {"hello.py": 'def greet_politely(name):\n    return f"Good day, {name}"\n'})
    call(service, "roots.add", path=str(root), wait=True)
    assert [hit["path"] for hit in call(service, "search", query="greet politely")["hits"]] == ["hello.py"]
    (root / "more.py").write_text("def farewell_warmly():\n    return 'bye'\n")
    found = call(service, "search", query="farewell warmly", sync=True)["hits"]
    assert found[0]["path"] == "more.py"
    status = Path(f"/proc/{pid_of(service)}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert "CapEff:\t0000000000000000" in status
    assert "Umask:\t0077" in status


def test_it_comes_back_after_a_kill(service: UserManager) -> None:
    service.systemctl("reset-failed", SERVICE, check=False)
    before = pid_of(service)
    os.kill(before, signal.SIGKILL)
    until(lambda: pid_of(service) not in (0, before), what="the restart")
    assert call(service, "server.info")["pid"] == pid_of(service)


def test_a_daemon_that_hangs_is_replaced(service: UserManager) -> None:
    drop_in = service.home / f".config/systemd/user/{SERVICE}.d/hang.conf"
    drop_in.write_text("[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    try:
        service.systemctl("daemon-reload")
        service.systemctl("restart", SERVICE)
        before = pid_of(service)
        os.kill(before, signal.SIGSTOP)
        until(lambda: pid_of(service) not in (0, before), what="the watchdog", timeout_s=30)
        assert service.show(SERVICE, "NRestarts") == "1"
    finally:
        drop_in.unlink()
        service.systemctl("daemon-reload")


def test_a_wrong_configuration_is_not_tried_again(service: UserManager) -> None:
    config = tree(service.home / ".config/codeindexd", {"config.toml": "[watch]\nnonsense = 1\n"}) / "config.toml"
    try:
        service.systemctl("restart", SERVICE, check=False)
        until(lambda: service.show(SERVICE, "ActiveState") == "failed", what="the failure")
        assert service.show(SERVICE, "NRestarts") == "0"
    finally:
        config.unlink()
        service.systemctl("reset-failed")
        service.systemctl("start", SERVICE)


def test_a_daemon_that_runs_already_is_not_disturbed(service: UserManager) -> None:
    service.systemctl("stop", service_manager.SOCKET, SERVICE)
    command = [*service_manager.program()]
    environment = service.environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as detached:
        try:
            until(lambda: _answered_by(service) == detached.pid, what="the detached daemon")
            outcome = service_manager.install(service.environment)
            assert not outcome.running
            assert "another daemon is running" in outcome.notes[0]
            assert call(service, "server.info")["pid"] == detached.pid
        finally:
            detached.terminate()
    assert service_manager.install(service.environment).running


def _answered_by(manager: UserManager) -> int:
    try:
        return int(call(manager, "server.info")["pid"])
    except OSError:
        return 0


OLDER = """#!{interpreter}
import sys
import codeindexd

codeindexd.__version__ = "0.0.1"
from codeindexd.cli.codeindexd import main

sys.exit(main())
"""


def test_an_older_daemon_of_another_installation_is_not_restarted_for_every_command(service: UserManager) -> None:
    """The service comes from one environment and the newer client from another, so the service keeps starting the
    older daemon whatever the client does."""
    other = service.home / "other/bin"
    other.mkdir(parents=True)
    (other / "python").symlink_to(sys.executable)
    (other / "codeindexd").write_text(OLDER.format(interpreter=other / "python"))
    (other / "codeindexd").chmod(0o755)
    drop_in = (
        service.home / f".config/systemd/user/{SERVICE}.d/zz-other.conf"
    )  # after test.conf, whose PYTHONPATH it replaces
    path = f"Environment=PYTHONPATH={os.pathsep.join(sys.path)}"
    drop_in.write_text(f"[Service]\n{path}\nExecStart=\nExecStart={other}/codeindexd --log-level info\n")
    try:
        service.systemctl("daemon-reload")
        service.systemctl("restart", SERVICE)
        assert call(service, "server.info")["version"] == "0.0.1"
        before = pid_of(service)
        for _ in range(2):
            assert codeindex(service, "roots")["roots"] is not None
            assert pid_of(service) == before
    finally:
        drop_in.unlink()
        service.systemctl("daemon-reload")
    assert codeindex(service, "status")["version"] == codeindexd.__version__  # the service is ours again: replaced
    assert pid_of(service) not in (0, before)


def test_uninstalling_leaves_nothing(service: UserManager) -> None:
    outcome = codeindex(service, "service", "uninstall")
    assert outcome["changed"]
    assert service.show(SERVICE, "LoadState") in ("not-found", "masked")
    assert not (service.runtime / "codeindexd/codeindexd.sock").exists()
    links = [path for path in (service.home / ".config/systemd/user").rglob("codeindexd*") if path.is_symlink()]
    assert links == []
    assert not codeindex(service, "service", "uninstall")["changed"]
    assert not codeindex(service, "service", "status")["installed"]


def test_the_command_uninstall_removes_the_service_and_what_it_stored(service: UserManager) -> None:
    call(service, "server.info")
    removed = codeindex(service, "uninstall", "--purge", "--yes")
    assert removed["failures"] == []
    assert {Path(file).name for file in removed["service"]} == {SERVICE, service_manager.SOCKET}
    assert removed["stopped"]
    for unit in (SERVICE, service_manager.SOCKET):
        assert service.show(unit, "LoadState") == "not-found"
    places = [service.home / name for name in (".cache", ".config", ".local")]
    left = [path for place in places for path in place.rglob("codeindexd*")]
    assert [path for path in left if path.parent.name != f"{SERVICE}.d" and path.name != f"{SERVICE}.d"] == []
    assert not (service.runtime / "codeindexd").exists()


def test_without_a_user_manager_the_error_says_what_to_do(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    with pytest.raises(FailedError, match="no systemd user manager answers") as caught:
        service_manager.install(environ)
    assert "XDG_RUNTIME_DIR" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
