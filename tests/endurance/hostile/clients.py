"""Misbehaving clients, and a check that a daemon is the same afterwards."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from support.daemons import RealDaemon

_THREADS = 64  # idle ones of the thread pool stay for a while
_FILES = 24 + 40  # SQLite keeps the files of closed readers for the next ones, of which 40 threads have one each
_BYTES = 400 << 20
_SETTLED_S = 60.0
_BAD_WORDS = ("Traceback", "client failed", "request failed", "internal error", "close hook failed")


class Rude:
    """A raw connection."""

    def __init__(self, path: Path, timeout_s: float = 60.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))  # without a limit of time, which would not wait for a full backlog
        self.socket.settimeout(timeout_s)
        self._lines = self.socket.makefile("rb")

    def __enter__(self) -> Rude:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self.socket.close()

    def send(self, *lines: bytes) -> None:
        """Send lines as they are."""
        self.socket.sendall(b"".join(lines))

    def ask(self, method: str, identity: object, **params: object) -> None:
        """Send one request."""
        self.send(line(method, identity, **params))

    def replies(self) -> Iterator[dict[str, Any]]:
        """Yield replies until the daemon closes the connection."""
        while raw := self._lines.readline():
            yield json.loads(raw)

    def reply_to(self, identity: object) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the reply with this id, and those before it. Raises ConnectionError when the connection ends."""
        before = []
        for reply in self.replies():
            if reply.get("id") == identity:
                return reply, before
            before.append(reply)
        raise ConnectionError("the daemon hung up")


def line(method: str, identity: object, **params: object) -> bytes:
    """Return the line of a request."""
    return json.dumps({"jsonrpc": "2.0", "id": identity, "method": method, "params": params}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Level:
    """The resources of a daemon to which nobody is connected."""

    files: int
    threads: int
    bytes: int

    @classmethod
    def of(cls, daemon: RealDaemon) -> Level:
        """Now."""
        assert daemon.process is not None
        process = psutil.Process(daemon.process.pid)
        return cls(process.num_fds(), process.num_threads(), process.memory_info().rss)

    def exceeded_by(self, daemon: RealDaemon) -> str:
        """Return what grew beyond this level and a normal margin, or "" if nothing did."""
        now = Level.of(daemon)
        grown = [
            f"{name} from {before} to {after}"
            for name, before, after, more in (
                ("files", self.files, now.files, _FILES),
                ("threads", self.threads, now.threads, _THREADS),
                ("bytes", self.bytes, now.bytes, _BYTES),
            )
            if after > before + more
        ]
        return ", ".join(grown)

    def check(self, daemon: RealDaemon) -> None:
        """Check that a new client is answered, resources are back at this level, and the log has no internal error."""
        assert daemon.call("server.info")["pid"]
        deadline = time.monotonic() + _SETTLED_S
        while grown := self.exceeded_by(daemon):
            assert time.monotonic() < deadline, f"grown {_SETTLED_S:g} s later: {grown}"
            time.sleep(0.1)
        log = daemon.log
        for words in _BAD_WORDS:
            assert words not in log, log[max(0, log.index(words) - 1000) :][:3000]
