"""The commands for the life of the daemon: ``stop``, ``restart`` and ``logs``."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codeindexd.cli.terminal import Terminal, safe
from codeindexd.client import start
from codeindexd.client.installed_service import SYSTEMD_UNIT
from codeindexd.client.stop import stop_daemon
from codeindexd.client.sync import Client
from codeindexd.errors import FailedError, NoDaemonError

_FOLLOW_S = 0.25
_BLOCK_BYTES = 1 << 16


def stop(environ: Mapping[str, str]) -> dict[str, Any]:
    """Stop the daemon; return ``{"stopped": whether one was running, "pid"}``."""
    pid = stop_daemon(environ)
    return {"stopped": pid is not None, "pid": pid}


def restart(environ: Mapping[str, str]) -> dict[str, Any]:
    """Stop the daemon if one is running, and start one; return what the new one says about itself."""
    stop_daemon(environ)
    with Client(environ=environ) as client:
        return dict(client.info())


def log_place(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return where the daemon logs: ``{"kind": "journal", "file" or "stderr", "path", "bytes"}``.

    Without a daemon, this is where the last one left its log.
    """
    try:
        with Client(start=False, environ=environ, timeout_s=5.0) as client:
            if isinstance(log := client.status().get("log"), dict):
                return dict(log)
    except NoDaemonError:
        pass
    file = start.log_file(environ)
    return {"kind": "file", "path": str(file), "bytes": file.stat().st_size if file.exists() else 0}


def show_logs(terminal: Terminal, environ: Mapping[str, str], *, lines: int, follow: bool) -> None:
    """Print the last ``lines`` lines of the log, and with ``follow`` go on until interrupted. Raises FailedError."""
    place = log_place(environ)
    if place["kind"] == "journal":
        _show_journal(environ, lines=lines, follow=follow)
        return
    path = _log_file(place)
    for line in last_lines(path, lines):
        terminal.print(safe(line))
    terminal.flush()
    if follow:
        for text in _appended(path):
            terminal.print(safe(text))
            terminal.flush()


def read_logs(environ: Mapping[str, str], *, lines: int) -> dict[str, Any]:
    """Return ``{"kind", "path", "bytes", "lines"}``."""
    place = log_place(environ)
    if place["kind"] == "journal":
        done = subprocess.run(
            _journalctl(lines), env=dict(environ), capture_output=True, text=True, errors="replace", check=False
        )
        return {**place, "lines": done.stdout.splitlines()}
    return {**place, "lines": last_lines(_log_file(place), lines)}


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last ``count`` lines of a file, reading no more of it than needed."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        data = b""
        while position and data.count(b"\n") <= count:
            step = min(_BLOCK_BYTES, position)
            position -= step
            file.seek(position)
            data = file.read(step) + data
    return data.decode("utf-8", "replace").splitlines()[-count:] if count > 0 else []


def _appended(path: Path) -> Iterator[str]:
    """Yield the lines that are appended to a file from now on, also after it was rotated."""
    file = path.open("rb")
    file.seek(0, os.SEEK_END)
    rest = b""
    try:
        while True:
            if data := file.read(_BLOCK_BYTES):
                *whole, rest = (rest + data).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in whole)
            elif _was_rotated(path, file.fileno()):
                file.close()
                file = path.open("rb")
            else:
                time.sleep(_FOLLOW_S)
    finally:
        file.close()


def _was_rotated(path: Path, descriptor: int) -> bool:
    try:
        there, here = path.stat(), os.fstat(descriptor)
    except OSError:
        return False  # between two files
    return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def _log_file(place: Mapping[str, Any]) -> Path:
    path = Path(place["path"])
    if place["kind"] == "stderr":
        raise FailedError("the daemon logs to the terminal or pipe that it was started from", hint="look there")
    if not path.exists():
        raise FailedError(f"there is no log yet: {path} does not exist", hint="start the daemon: codeindex status")
    return path


def _show_journal(environ: Mapping[str, str], *, lines: int, follow: bool) -> None:
    done = subprocess.run([*_journalctl(lines), *(["--follow"] if follow else [])], env=dict(environ), check=False)
    if done.returncode:
        raise FailedError("journalctl failed", hint=f"for its reason, run: journalctl --user --unit {SYSTEMD_UNIT}")


def _journalctl(lines: int) -> list[str]:
    if shutil.which("journalctl") is None:
        raise FailedError(
            "the daemon logs to the journal, but journalctl is not installed", hint="install systemd's journalctl"
        )
    return ["journalctl", "--user", "--unit", SYSTEMD_UNIT, "--no-pager", "--lines", str(lines)]
