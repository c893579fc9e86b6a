"""Stops the daemon of this user, even if it cannot be reached."""

from __future__ import annotations

from collections.abc import Mapping

from codeindexd.client import start
from codeindexd.client.lock_holder import end_holder
from codeindexd.client.sync import Client
from codeindexd.errors import CodeindexError, NoDaemonError, TimedOutError

_REQUEST_TIMEOUT_S = 5.0


def stop_daemon(environ: Mapping[str, str]) -> int | None:
    """Stop the daemon, and return its process id once it has exited; None if none was running.

    A daemon that cannot be reached, does not answer or does not exit is ended by signals. Raises NoDaemonError if that
    is impossible from here, FailedError if another user's process answers.
    """
    pid = _request_shutdown(environ)
    if pid is not None:
        start.wait_for_exit(pid)
    if (holder := start.running_daemon(environ)) is not None and (pid is None or holder.pid == pid):
        end_holder(holder)
        pid = holder.pid
        start.wait_for_exit(pid)  # its lock is free a moment before
    return pid


def _request_shutdown(environ: Mapping[str, str]) -> int | None:
    """Ask the daemon to stop, and return its process id; None if none answers."""
    try:
        with Client(start=False, environ=environ, timeout_s=_REQUEST_TIMEOUT_S) as client:
            pid = client.info()["pid"]
            client.shutdown()
            return pid
    except (NoDaemonError, TimedOutError):
        return None
    except CodeindexError as error:
        if error.exit_code == NoDaemonError.exit_code:  # it is stopping already
            return None
        raise
