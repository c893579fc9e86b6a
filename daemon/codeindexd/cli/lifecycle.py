"""The commands ``stop``, ``restart`` and ``logs``."""

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
from codeindexd.client.installed_service import SYSTEMD_UNIT, is_installed
from codeindexd.client.stop import stop_daemon
from codeindexd.client.sync import Client
from codeindexd.errors import FailedError, NoDaemonError

_FOLLOW_S = 0.25
_BLOCK_BYTES = 1 << 16


def stop(environ: Mapping[str, str]) -> dict[str, Any]:
    """Stop the daemon and return ``{"stopped", "pid"}``; ``stopped`` is False if none was running."""
    pid = stop_daemon(environ)
    return {"stopped": pid is not None, "pid": pid}


def restart(environ: Mapping[str, str]) -> dict[str, Any]:
    """Stop the daemon if one is running, start a new one, and return its ``server.info``.

    Raises ConfigError, with the daemon still running, if the configuration would keep the new one from starting.
    """
    from codeindexd.analysis.embedding.create import require_model
    from codeindexd.config import sources  # imports msgspec, which stop does not need
    from codeindexd.daemon.paths import Paths

    # a service has an environment of its own
    config = sources.load(Paths.of_user(environ).config_file, {} if is_installed(environ) else environ)
    require_model(config.embedding)
    stop_daemon(environ)
    with Client(environ=environ) as client:
        return dict(client.info())


def log_destination(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return where the daemon logs: ``{"kind": "journal", "file" or "stderr", "path", "bytes"}``.

    If no daemon is running, this is the log file of a detached daemon.
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
    """Print the last ``lines`` lines of the log, and with ``follow`` also new ones until interrupted.

    Raises FailedError if there is no log that can be read.
    """
    destination = log_destination(environ)
    if destination["kind"] == "journal":
        _show_journal(environ, lines=lines, follow=follow)
        return
    path = _log_file(destination)
    for line in last_lines(path, lines):
        terminal.print(safe(line))
    terminal.flush()
    if follow:
        for text in _appended(path):
            terminal.print(safe(text))
            terminal.flush()


def read_logs(environ: Mapping[str, str], *, lines: int) -> dict[str, Any]:
    """Return the last ``lines`` lines of the log as ``{"kind", "path", "bytes", "lines"}``. Raises FailedError."""
    destination = log_destination(environ)
    if destination["kind"] == "journal":
        done = subprocess.run(
            _journalctl(lines), env=dict(environ), capture_output=True, text=True, errors="replace", check=False
        )
        return {**destination, "lines": done.stdout.splitlines()}
    return {**destination, "lines": last_lines(_log_file(destination), lines)}


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last ``count`` lines of a file, reading only its end."""
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
    """Yield the lines that are appended to a file from now on, also after the file is rotated."""
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


def _log_file(destination: Mapping[str, Any]) -> Path:
    """Return the path of the log file. Raises FailedError if the log is not a file or does not exist yet."""
    path = Path(destination["path"])
    if destination["kind"] == "stderr":
        raise FailedError("the daemon logs to the terminal or pipe that it was started from", hint="look there")
    if not path.exists():
        raise FailedError(f"there is no log yet: {path} does not exist", hint="start the daemon: codeindex status")
    return path


def _show_journal(environ: Mapping[str, str], *, lines: int, follow: bool) -> None:
    done = subprocess.run([*_journalctl(lines), *(["--follow"] if follow else [])], env=dict(environ), check=False)
    if done.returncode:
        raise FailedError("journalctl failed", hint=f"to see why: journalctl --user --unit {SYSTEMD_UNIT}")


def _journalctl(lines: int) -> list[str]:
    if shutil.which("journalctl") is None:
        raise FailedError(
            "the daemon logs to the journal, but journalctl is not installed", hint="install systemd's journalctl"
        )
    return ["journalctl", "--user", "--unit", SYSTEMD_UNIT, "--no-pager", "--lines", str(lines)]
