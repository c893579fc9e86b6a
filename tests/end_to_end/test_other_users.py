"""Another user of the machine gets nothing out of a daemon and cannot impersonate one. Real processes, real uids."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from codeindexd.client import AsyncClient, Client
from codeindexd.errors import CodeindexError, FailedError
from end_to_end.other_user import UID, as_other, impostor, python_as_other, why_not
from support.daemons import RealDaemon, real_daemon, until
from support.trees import tree

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "possible")

SOURCE = {"app.py": "def transfer_money(account):\n    return account\n"}
CONNECT = """
import json, socket, sys
raw = socket.socket(socket.AF_UNIX)
raw.settimeout(5)
try:
    raw.connect(sys.argv[1])
except OSError as error:
    sys.exit(print(type(error).__name__))
request = {"jsonrpc": "2.0", "id": 1, "method": "search", "params": {"query": "transfer money"}}
said = b""
try:
    raw.sendall(json.dumps(request).encode() + b"\\n")
except BrokenPipeError:
    pass  # turned away before it was heard
try:
    while data := raw.recv(65536):
        said += data
except ConnectionResetError:
    pass  # closed with our question unread
print(said.decode())
"""
LOOK = """
import os, sys
got = []
for place in sys.argv[1:]:
    for attempt in (os.listdir, lambda p: open(p, "rb").read(1), lambda p: open(p, "ab"), os.unlink,
                    lambda p: os.rename(p, p + ".x"), lambda p: os.symlink("/tmp", p + "/x")):
        try:
            attempt(place)
        except OSError:
            continue
        got.append(place)
print(sorted(set(got)))
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[RealDaemon]:
    """A daemon with an index, below directories that everybody can read."""
    with real_daemon() as running:
        for directory in (running.home, *(running.home / name for name in ("run", "cache", "state", "config"))):
            directory.chmod(0o755)
        root = tree(running.home / "code", SOURCE)
        running.call("roots.add", path=str(root), wait=True)
        yield running


def everything_of(daemon: RealDaemon) -> list[Path]:
    """Return every file and directory that the daemon created."""
    tops = [daemon.home / name / "codeindexd" for name in ("run", "cache", "state")]
    return [*tops, *(path for top in tops for path in top.rglob("*"))]


def test_nobody_else_can_connect_list_read_or_change_anything(daemon: RealDaemon) -> None:
    places = everything_of(daemon)
    assert {"codeindexd.sock", "vectors.db", "catalog.db", "meta.json", "roots.json", "lock", "cookies"} <= {
        path.name for path in places
    }
    assert python_as_other(LOOK, *map(str, places)) == "[]"
    assert python_as_other(CONNECT, str(daemon.socket)) == "PermissionError"
    assert all(path.lstat().st_mode & 0o077 == 0 for path in places)


@pytest.mark.parametrize("mode", [0o1777, 0o755])
def test_where_everybody_reaches_the_socket_the_uid_decides(tmp_path: Path, mode: int) -> None:
    """The mode keeps others away; where even that is lost, other users still get no answer."""
    with real_daemon(start=False) as daemon:
        shared = daemon.home / "shared"
        shared.mkdir()
        shared.chmod(mode)
        daemon.home.chmod(0o755)
        daemon.extra = {"CODEINDEXD_SOCKET": str(shared / "s")}
        daemon.start()
        daemon.call("roots.add", path=str(tree(tmp_path / "code", SOURCE)), wait=True)
        assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600
        assert python_as_other(CONNECT, str(daemon.socket)) == "PermissionError"
        daemon.socket.chmod(0o777)
        answer = python_as_other(CONNECT, str(daemon.socket))
        assert json.loads(answer)["error"]["message"] == "this daemon serves another user"
        assert "transfer" not in answer
        assert [hit["path"] for hit in daemon.call("search", query="transfer money")["hits"]] == ["app.py"]


def test_a_directory_where_others_could_replace_the_socket_is_refused(tmp_path: Path) -> None:
    with real_daemon(start=False) as daemon:
        (daemon.home / "open").mkdir()
        (daemon.home / "open").chmod(0o777)
        daemon.extra = {"CODEINDEXD_SOCKET": str(daemon.home / "open/s")}
        daemon.start(wait=False)
        assert daemon.process is not None
        assert daemon.process.wait(30) == 5
        assert "is writable by everybody" in daemon.log
        checks = json.loads(daemon.run("doctor", "--json").stdout)["checks"]
        (check,) = (check for check in checks if check["name"] == "daemon")
        assert check["state"] == "problem"
        assert check["remedy"].startswith(f"chmod o-w {daemon.home / 'open'}")


def test_a_runtime_directory_of_another_user_is_not_used(tmp_path: Path) -> None:
    """It is what ``su`` leaves in the environment, or was created before its user's first login."""
    with real_daemon(start=False) as daemon:
        foreign = daemon.home / "foreign"
        foreign.mkdir()
        os.chown(foreign, UID, UID)
        foreign.chmod(0o777)
        daemon.extra = {"XDG_RUNTIME_DIR": str(foreign), "TMPDIR": str(daemon.home)}
        daemon.start(wait=False)
        address = daemon.home / "state/codeindexd/daemon.json"
        used = until(lambda: address.exists() and json.loads(address.read_text())["socket"], what="the daemon's socket")
        assert not used.startswith(str(foreign))
        assert daemon.run("status", "--no-start").returncode == 0
        assert list(foreign.iterdir()) == []


@pytest.fixture
def squatted(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A socket of the second user in the daemon's place, and what it received."""
    with real_daemon(start=False) as daemon:
        daemon.home.chmod(0o755)
        shared, heard = daemon.home / "shared", daemon.home / "heard"
        shared.mkdir()
        shared.chmod(0o1777)
        heard.touch()
        heard.chmod(0o666)
        with impostor(shared / "s", heard):
            yield shared / "s", heard


@pytest.mark.parametrize("start", [True, False])
def test_no_client_asks_an_impostor(squatted: tuple[Path, Path], tmp_path: Path, start: bool) -> None:
    path, heard = squatted
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "CODEINDEXD_SOCKET": str(path)}
    with Client(path, start=start, environ=environ) as client, pytest.raises(FailedError, match="another user's"):
        client.search("my unpublished idea")

    async def ask() -> None:
        async with AsyncClient(path, start=start, environ=environ) as client:
            await client.search("my unpublished idea")

    with pytest.raises(FailedError, match="another user's"):
        anyio.run(ask)
    assert heard.read_bytes() == b""


@pytest.mark.parametrize("command", [["search", "idea"], ["status"], ["add", "."], ["mcp"], ["doctor"]])
def test_no_command_asks_an_impostor(squatted: tuple[Path, Path], tmp_path: Path, command: list[str]) -> None:
    path, heard = squatted
    asker = RealDaemon(tmp_path / "home")
    asker.extra = {"CODEINDEXD_SOCKET": str(path)}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "index_status", "arguments": {}}}
    done = asker.run(*command, input=json.dumps(call) + "\n")
    assert "another user's socket" in done.stdout + done.stderr
    assert heard.read_bytes() == b""


def test_the_daemon_does_not_take_an_impostor_for_itself(squatted: tuple[Path, Path], tmp_path: Path) -> None:
    from codeindexd.daemon.listener import Listener

    with pytest.raises(FailedError, match="belongs to another user"):
        Listener.open(squatted[0])
    assert squatted[0].is_socket()


def test_the_second_user_is_one() -> None:
    """Without this the tests above prove nothing."""
    assert as_other("id", "-u").stdout.strip() == str(UID)
    assert as_other("id", "-G").stdout.strip() == str(UID)
    assert issubclass(FailedError, CodeindexError)
