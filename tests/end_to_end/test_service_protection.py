"""The confinement of the installed service, rated by the service manager, and that the daemon works within it."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import codeindexd
from codeindexd.cli import service_manager
from codeindexd.errors import FailedError
from end_to_end.user_manager import UserManager, user_manager, why_not
from support.daemons import RawClient, until
from support.places import PROJECT
from support.trees import tree

pytestmark = [pytest.mark.systemd, pytest.mark.skipif(bool(why_not()), reason=why_not() or "possible")]

SERVICE = service_manager.SERVICE
SECURITY = PROJECT / "docs/security.md"
RECORDED = re.compile(r"exposure level is (?P<level>\d+\.\d) \(systemd (?P<version>\d+)\)")
FORBIDDEN = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def refused(call):
    try:
        call()
    except OSError:
        return True
def system_call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
attempts = {
    "packet socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "namespace": lambda: system_call(272, 0x10000000),
    "keyring": lambda: system_call(250, 0, -3, 1),
    "trace": lambda: system_call(101, 0, 0, 0, 0),
    "set-uid file": lambda: (open("s", "w").close(), os.chmod("s", 0o4755)),
    "other's memory": lambda: system_call(310, os.getpid(), 0, 0, 0, 0, 0),
}
print([name for name, attempt in attempts.items() if not refused(attempt)])
"""


@pytest.fixture(scope="module")
def manager() -> Iterator[UserManager]:
    """A user manager with the installed service."""
    with user_manager() as running:
        package = Path(codeindexd.__file__).parents[1]
        drop_in = f"[Service]\nEnvironment=PYTHONPATH={package}\nStandardOutput=append:{running.log_file}\n"
        tree(running.home / f".config/systemd/user/{SERVICE}.d", {"test.conf": f"{drop_in}StandardError=inherit\n"})
        service_manager.install(running.environment)
        yield running


def call(manager: UserManager, method: str, **params: Any) -> dict[str, Any]:
    """Send one request to the service and return its result."""
    client = RawClient(manager.runtime / "codeindexd/codeindexd.sock")
    try:
        return client.call(method, **params).result
    finally:
        client.close()


def test_its_exposure_is_not_above_the_recorded_one(manager: UserManager) -> None:
    said = manager.run("systemd-analyze", "--user", "security", "--no-pager", SERVICE, check=False)
    level = re.search(r"Overall exposure level for codeindexd\.service: (\d+\.\d)", said)
    recorded = RECORDED.search(SECURITY.read_text())
    assert level is not None, said
    assert recorded is not None, "docs/security.md records the level"
    version = re.search(r"systemd (\d+)", manager.run("systemctl", "--version"))
    assert version is not None
    other = 0.3 if version[1] != recorded["version"] else 0.0  # each version rates a little differently
    assert float(level[1]) <= float(recorded["level"]) + other, said


def test_it_works_like_that(manager: UserManager) -> None:
    """This includes its workers, inotify, and a root in the home directory."""
    root = tree(manager.home / "project", {"hello.py": "def greet_politely(name):\n    return name\n"})
    call(manager, "roots.add", path=str(root), wait=True)
    (root / "more.py").write_text("def farewell_warmly():\n    return 'bye'\n")
    until(lambda: call(manager, "search", query="farewell_warmly")["hits"], what="the change, told by inotify alone")
    assert call(manager, "sync")["how"] == "cookie"
    assert call(manager, "verify")["ok"]


def test_a_program_in_its_place_can_do_little(manager: UserManager) -> None:
    """Attempts by somebody who took over the daemon, under the very same unit."""
    script = tree(manager.home / "tried", {"it.py": FORBIDDEN}) / "it.py"
    unit = (manager.home / ".config/systemd/user" / SERVICE).read_text()
    unit = re.sub(r"(?m)^ExecStart=.*$", f"ExecStart={sys.executable} {script}", unit)
    unit = re.sub(r"(?m)^(Requires|After|Also|Type|WatchdogSec|Restart|NotifyAccess)=.*$", "", unit)
    out = manager.home / "tried/said"
    unit = unit.replace(
        "[Service]", f"[Service]\nType=oneshot\nWorkingDirectory={out.parent}\nStandardOutput=file:{out}"
    )
    tree(manager.home / ".config/systemd/user", {"tried.service": unit})
    manager.systemctl("daemon-reload")
    manager.systemctl("start", "tried.service")
    assert out.read_text() == "[]\n"


def test_without_an_endpoint_the_network_can_be_taken_away(manager: UserManager) -> None:
    drop_in = manager.home / f".config/systemd/user/{SERVICE}.d/offline.conf"
    drop_in.write_text("[Service]\nRestrictAddressFamilies=none\nRestrictAddressFamilies=AF_UNIX\n")
    try:
        manager.systemctl("daemon-reload")
        manager.systemctl("restart", SERVICE)
        assert manager.show(SERVICE, "RestrictAddressFamilies") == "AF_UNIX"
        assert call(manager, "server.info")["pid"] == int(manager.show(SERVICE, "MainPID"))
        root = tree(manager.home / "offline", {"a.py": "def works_offline():\n    pass\n"})
        call(manager, "roots.add", path=str(root), wait=True)
        assert call(manager, "search", query="works_offline")["hits"]
    finally:
        drop_in.unlink()
        manager.systemctl("daemon-reload")


def test_the_path_of_the_program_stays_one_word(manager: UserManager, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = manager.home / "50% off $HOME ${HOME} %h; -e"
    program = tree(odd, {"codeindexd": f'#!/bin/sh\necho "$0" "$2" > {shlex.quote(str(manager.home / "ran"))}\n'})
    (program / "codeindexd").chmod(0o755)
    monkeypatch.setattr(service_manager, "program", lambda: (str(odd / "codeindexd"), "one two", '$HOME "%h"'))
    units = service_manager.Systemd(manager.environment).rendered()
    unit = next(text for path, text in units.items() if path.name == SERVICE).decode()
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    tree(manager.home / ".config/systemd/user", {"odd.service": f"[Service]\nType=oneshot\n{command}\n"})
    manager.systemctl("daemon-reload")
    manager.systemctl("start", "odd.service")
    assert (manager.home / "ran").read_text() == f'{odd / "codeindexd"} $HOME "%h"\n'


@pytest.mark.parametrize("text", ["a\nExecStartPre=/bin/false", "a\rb", "a\0b", "a\x7f", 'a"b', "a'b", "a\\b"])
def test_a_path_cannot_add_a_line_to_the_unit(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(service_manager, "program", lambda: (f"/opt/{text}/codeindexd",))
    with pytest.raises(FailedError, match="cannot start"):
        service_manager.Systemd(os.environ).rendered()
