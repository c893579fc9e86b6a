"""The daemon's listening socket: private to its user, and removed when the daemon stops."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

from codeindexd import protocol
from codeindexd.daemon.paths import check_parents
from codeindexd.errors import AlreadyRunningError, FailedError

_BACKLOG = 1024
_PROBE_S = 1.0


class Listener:
    """A bound, listening, non-blocking unix socket.

    ``close`` unlinks the path, unless the socket was inherited or the path now belongs to another socket.
    """

    def __init__(self, raw: socket.socket, path: Path, *, inherited: bool = False) -> None:
        self.socket = raw
        raw.setblocking(False)
        self.path = path
        self._inherited = inherited
        self._identity = _identity(path)

    @classmethod
    def inherit(cls, raw: socket.socket) -> Listener:
        """Use a listening socket of the service manager, which owns its path."""
        name = raw.getsockname()
        return cls(raw, Path(os.fsdecode(name)), inherited=True)

    @property
    def is_reachable(self) -> bool:
        """True if the path still leads to this socket."""
        return self._identity is not None and _identity(self.path) == self._identity

    @classmethod
    def open(cls, path: Path) -> Listener:
        """Listen at ``path``, with mode 0600. Replaces a socket there on which nobody listens.

        The caller holds the daemon's lock. Raises ConfigError if the path is too long, AlreadyRunningError if a daemon
        answers there, FailedError if the path cannot be used or another user could replace the socket.
        """
        protocol.check_socket_path(str(path))
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_parents(path)
            _remove_stale(path)
            os.fchmod(raw.fileno(), 0o600)  # on Linux the file gets this mode when it is created
            raw.bind(str(path))
            path.chmod(0o600)
            raw.listen(_BACKLOG)
            return cls(raw, path)
        except OSError as error:
            raw.close()
            hint = "check the directory, or set CODEINDEXD_SOCKET to another path"
            raise FailedError(f"cannot listen on {path}: {error.strerror or error}", hint=hint) from error
        except BaseException:
            raw.close()
            raise

    def close(self) -> None:
        """Stop listening."""
        if not self._inherited and self.is_reachable:
            with contextlib.suppress(OSError):  # it was removed meanwhile
                self.path.unlink()
        self.socket.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the socket at ``path``, None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def _remove_stale(path: Path) -> None:
    """Remove a socket on which nobody listens. Raises AlreadyRunningError and FailedError if that is not what it is."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if found.st_uid != os.geteuid():
        hint = "set CODEINDEXD_SOCKET to a path in a directory of your own"
        raise FailedError(f"{path} belongs to another user (uid {found.st_uid})", hint=hint)
    if not stat.S_ISSOCK(found.st_mode):
        hint = "move it away, or set CODEINDEXD_SOCKET to another path"
        raise FailedError(f"{path} exists and is not a socket", hint=hint)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            protocol.connect(probe, str(path), _PROBE_S)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except TimeoutError:
            pass  # alive, with a full backlog
    raise AlreadyRunningError(f"a daemon already answers on {path}", hint="stop it first: codeindex stop")
