"""The real daemon in a process of its own, with its own directories, for end-to-end tests and benchmarks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from support.places import DAEMON

T = TypeVar("T")


def until(condition: Callable[[], T], *, timeout_s: float = 20.0, what: str = "the condition") -> T:
    """Poll ``condition`` until it is truthy and return its value. Raises AssertionError after ``timeout_s`` seconds."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true in {timeout_s} s"
        time.sleep(0.01)
    return value


class Reply(dict[str, Any]):
    """A JSON-RPC reply; ``result`` raises AssertionError if it is an error."""

    @property
    def result(self) -> dict[str, Any]:
        assert "result" in self, self
        value: dict[str, Any] = self["result"]
        return value


class RawClient:
    """A client that speaks the raw protocol, so that tests do not depend on the client they test elsewhere."""

    def __init__(self, path: Path, timeout_s: float = 60.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
            self._socket.settimeout(timeout_s)  # not earlier: a connect with a timeout fails on a full backlog
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")
        self._id = 0
        self.notifications: list[dict[str, Any]] = []

    def send(self, method: str, **params: Any) -> None:
        """Send one request."""
        self._id += 1
        request = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def call(self, method: str, **params: Any) -> Reply:
        """Send one request and wait for its reply, keeping notifications that come before it."""
        self.send(method, **params)
        while line := self._file.readline():
            message = json.loads(line)
            if message.get("id") == self._id:
                return Reply(message)
            self.notifications.append(message)
        raise ConnectionError("the daemon closed the connection")

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()


class RealDaemon:
    """A daemon that can be started, killed and asked; its directories below ``home`` outlast its processes.

    ``extra`` is added to the environment of later processes; ``prefix`` is a command that runs the
    daemon in its own process, ``umask`` what the daemon is started with (-1: ours).
    """

    def __init__(self, home: Path, config: str = "") -> None:
        self.home = home
        self.process: subprocess.Popen[bytes] | None = None
        self.prefix: list[str] = []
        self.extra: dict[str, str] = {}
        self.umask = -1
        self._clients: list[RawClient] = []
        for name in ("config/codeindexd", "cache", "state", "run"):
            (home / name).mkdir(parents=True, mode=0o700, exist_ok=True)
        (home / "config/codeindexd/config.toml").write_text(config)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment for a daemon or a client of this home."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "PYTHONPATH": str(DAEMON),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            **self.extra,
        }

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return Path(self.extra.get("CODEINDEXD_SOCKET") or self.home / "run/codeindexd/codeindexd.sock")

    @property
    def log(self) -> str:
        """Everything the daemon printed so far."""
        return (self.home / "daemon.log").read_text(errors="replace")

    def start(self, *arguments: str, wait: bool = True) -> RealDaemon:
        """Start the process and wait until it answers."""
        with (self.home / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "codeindexd", "--log-format", "json", *arguments],
                env=self.environment,
                umask=self.umask,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
            )
        if wait:
            until(self._answers, what="the daemon's first answer")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the daemon ended: {self.log[-3000:]}"
        try:
            client = RawClient(self.socket)
        except OSError:
            return False
        client.close()
        return True

    def client(self) -> RawClient:
        """Open a connection that is closed with the daemon."""
        client = RawClient(self.socket)
        self._clients.append(client)
        return client

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one request on a new connection and return its result."""
        client = RawClient(self.socket)
        try:
            return client.call(method, **params).result
        finally:
            client.close()

    def run(self, *arguments: str, cwd: Path | None = None, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run `codeindex` against this home."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "codeindexd.cli.codeindex", *arguments],
            env=self.environment,
            cwd=cwd or self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **kwargs,
        )

    def kill(self) -> None:
        """Kill with SIGKILL and wait until the process is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self._hang_up()

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self._hang_up()
        return status

    def _hang_up(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()

    def end(self) -> None:
        """End the daemon in whatever state it is, and remove its directories."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self._hang_up()
        shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def real_daemon(config: str = "", *, start: bool = True) -> Iterator[RealDaemon]:
    """Yield a daemon in a short temporary directory (socket paths are short) that is removed at the end."""
    daemon = RealDaemon(Path(tempfile.mkdtemp(prefix="cix")), config)
    try:
        yield daemon.start() if start else daemon
    finally:
        daemon.end()
