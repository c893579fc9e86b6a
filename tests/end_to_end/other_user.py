"""A second user of the machine: real processes under another uid that own nothing of ours. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.daemons import until

UID = 61234
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or ""
_LISTEN = """
import socket, sys
heard = open(sys.argv[2], "wb", buffering=0)
raw = socket.socket(socket.AF_UNIX)
raw.bind(sys.argv[1])
__import__("os").chmod(sys.argv[1], 0o777)
raw.listen(16)
print("listening", flush=True)
while True:
    client = raw.accept()[0]
    while data := client.recv(65536):
        heard.write(data)
        client.sendall(b'{"jsonrpc":"2.0","id":1,"result":{"version":"99.0","pid":1,"uptime_s":1,"hits":[]}}\\n')
    client.close()
"""


def why_not() -> str:
    """Return what is missing for a second user, or "" when nothing is."""
    if os.geteuid() != 0:
        return "needs root to become another user"
    return "" if PYTHON else "needs a python3 that every user can run"


def as_other(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program as the second user, with no group of ours and nothing of our environment."""
    return subprocess.run(
        command,
        user=UID,
        group=UID,
        extra_groups=[],
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=60,
    )


def python_as_other(code: str, *arguments: str) -> str:
    """Return what a program of the second user prints. Raises AssertionError when it fails."""
    done = as_other(PYTHON, "-I", "-c", code, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def impostor(socket_path: Path, heard: Path) -> Iterator[None]:
    """A process of the second user that listens at ``socket_path``, writes what it receives to ``heard`` and agrees."""
    command = [PYTHON, "-I", "-c", _LISTEN, str(socket_path), str(heard)]
    with subprocess.Popen(
        command, user=UID, group=UID, extra_groups=[], cwd="/", stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            until(socket_path.is_socket)
            yield
        finally:
            process.kill()
