"""Code shared by both clients: paths, requests, results, errors, versions. No I/O except resolving paths."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from codeindexd import __version__, protocol
from codeindexd.errors import FailedError, NoDaemonError, NotIndexedError, TimedOutError, UsageError

MAX_KEPT_NOTIFICATIONS = 1000
_WRONG_PROGRAM = "check that no other program listens on this socket"
PathLike: TypeAlias = "str | bytes | os.PathLike[str]"
Paths: TypeAlias = "PathLike | Iterable[PathLike]"


def absolute(path: PathLike) -> str:
    """Return ``path`` as the protocol expects it: absolute, ``~`` expanded, symlinks resolved except the last part.

    Raises UsageError for a string that cannot be a path, and for a relative path below a deleted current directory.
    """
    expanded = os.path.expanduser(_usable(path))  # noqa: PTH111 - pathlib costs a fifth of a search's time
    parent, name = os.path.split(expanded.rstrip("/"))
    try:
        if name in {"", ".", ".."}:
            return os.path.realpath(expanded)
        return os.path.join(os.path.realpath(parent), name)  # noqa: PTH118
    except FileNotFoundError:
        raise no_current_directory() from None


def no_current_directory() -> UsageError:
    """Return the error for a current directory that was deleted."""
    return UsageError("the current directory was deleted", hint="change to one that exists: cd")


def absolute_all(paths: Paths | None) -> list[str] | None:
    """Apply :func:`absolute` to one path or to each of several; None, which means all roots, stays None."""
    if paths is None:
        return None
    return [absolute(path) for path in ([paths] if isinstance(paths, str | bytes | os.PathLike) else paths)]


def absolute_or_none(path: PathLike | None) -> str | None:
    """Apply :func:`absolute`; None, which means all roots, stays None."""
    return None if path is None else absolute(path)


def enclosing_repository(directory: str) -> str:
    """Return the innermost repository that contains ``directory``, else ``directory``."""
    candidate = directory
    while True:
        if any(os.path.lexists(f"{candidate}/{name}") for name in (".git", ".hg", ".jj")):
            return candidate
        parent = os.path.dirname(candidate)  # noqa: PTH120 - pathlib costs a fifth of a search's time
        if parent == candidate:
            return directory
        candidate = parent


def graph_params(
    name: str | None, path: PathLike | None, line: int | None, column: int | None, roots: Paths | None
) -> dict[str, Any]:
    """Return the parameters that name a definition: its name, or a path and a line, perhaps with a column."""
    where = {"path": absolute_or_none(path), "line": line} | ({"column": column} if column is not None else {})
    return {"name": name, **where, "roots": absolute_all(roots)}


def texts(value: str | Iterable[str] | None) -> list[str] | None:
    """Return one string or several as a list; None, which means no restriction, stays None."""
    return [value] if isinstance(value, str) else None if value is None else list(value)


def relative_name(path: PathLike) -> str:
    """Return a path relative to a root as text. Raises UsageError for a string that cannot be a path."""
    return _usable(path)


def _usable(path: PathLike) -> str:
    """Return ``path`` as text. Raises UsageError if it is empty or cannot be a path."""
    text = os.fsdecode(path)
    if not text:  # not the current directory: more likely a script's unset variable
        raise UsageError("a path is empty", hint="use . for the current directory")
    try:
        if b"\0" not in os.fsencode(text):
            return text
    except UnicodeEncodeError:
        pass
    raise UsageError(
        f"{text!a} cannot be a path: it contains a NUL byte or a lone surrogate", hint="check where the path comes from"
    )


def grep_params(pattern: str, roots: Paths | None, path: Iterable[str] | None, **rest: Any) -> dict[str, Any]:
    """Return the parameters of ``grep``; ``rest`` are those that are sent as they are."""
    return {"pattern": pattern, "roots": absolute_all(roots), "path": texts(path), **rest}


def split_at_root(path: PathLike, roots: Iterable[str]) -> tuple[str, str]:
    """Return the innermost of ``roots`` that contains ``path``, and ``path`` relative to it. Raises NotIndexedError."""
    target = absolute(path)
    containing = [root for root in roots if target.startswith(f"{root.rstrip('/')}/")]
    if not containing:
        import shlex

        parent = os.path.dirname(target)  # noqa: PTH120
        directory = "PATH" if parent == "/" else shlex.quote(parent)
        raise NotIndexedError(f"{target} is not indexed", hint=f"index its directory: codeindex add {directory}")
    root = max(containing, key=len)
    return root, target[len(root.rstrip("/")) + 1 :]


def request_line(request_id: int, method: str, params: Mapping[str, Any]) -> bytes:
    """Return the line of a request. Raises FailedError if it is too long, UsageError for infinity and NaN."""
    line = protocol.request(request_id, method, params)
    if len(line) > protocol.MAX_REQUEST_BYTES:
        raise FailedError(
            f"the request is longer than {protocol.MAX_REQUEST_BYTES:,} bytes",
            hint="give a shorter query or fewer paths",
        )
    return line


def result_of(message: Any) -> Any:
    """Return the result in an answer. Raises the error in it, as its own class, or FailedError if it has neither."""
    if not isinstance(message, dict):
        raise not_an_answer()
    if "error" in message:
        raise protocol.error_from_json(message["error"])
    if "result" not in message:
        raise FailedError("the daemon sent an answer without a result", hint=_WRONG_PROGRAM)
    return message["result"]


def not_an_answer() -> FailedError:
    """Return the error for a message that does not follow the protocol."""
    return FailedError("the daemon sent a message that is not an answer", hint=_WRONG_PROGRAM)


def no_answer() -> TimedOutError:
    """Return the error for a request that was not answered in time."""
    return TimedOutError(
        "the daemon does not answer", hint="to see why: codeindex logs; to restart it: codeindex restart"
    )


def suspended_daemon(pid: int) -> NoDaemonError:
    """Return the error for a daemon that was stopped by a signal, and answers nobody until it is continued."""
    return NoDaemonError(
        f"the daemon (pid {pid}) is suspended", hint=f"continue it: kill -CONT {pid}; or replace it: codeindex restart"
    )


def connection_closed() -> NoDaemonError:
    """Return the error for a connection that ended before the answer."""
    return NoDaemonError("the daemon closed the connection", hint="try again: the daemon is started when needed")


def no_daemon(path: str, reason: str) -> NoDaemonError:
    """Return the error for a socket ``path`` on which nobody answers."""
    return NoDaemonError(
        f"no daemon answers at {path}: {reason}",
        hint="leave out --no-start, or start it yourself: codeindexd",
    )


def unreachable_daemon(path: str, pid: int) -> NoDaemonError:
    """Return the error for a daemon that runs, but answers neither at ``path`` nor at its advertised socket."""
    return NoDaemonError(
        f"a daemon is running (pid {pid or 'unknown'}), but it cannot be reached at {path}",
        hint="to replace it: codeindex restart",
    )


def has_lost_installation(info: Mapping[str, Any]) -> bool:
    """Return True if the files from which the daemon was started have been removed or changed since."""
    return bool(info.get("installation", "intact") != "intact")


def is_installed() -> bool:
    """Return True if the files of this client's own program still exist, so that it can start a daemon."""
    return os.path.exists(sys.executable) and os.path.exists(__file__)  # noqa: PTH110


def is_older(version: str) -> bool:
    """Return True if ``version`` is older than this client's; False if they cannot be compared."""
    try:
        return _numbers(version) < _numbers(__version__)
    except ValueError:
        return False


def kept_older_daemon(version: str, program: str) -> str:
    """Return the note that an older daemon of this ``version`` is kept, because its service would start ``program``."""
    return (
        f"note: the daemon is version {version}, this is {__version__}; its service runs {program}: upgrade that, "
        "or install the service from here: codeindex service install"
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split("."))
