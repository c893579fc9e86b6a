"""What both clients share: parameters, paths, answers, and when a daemon is too old. No I/O but path resolution."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeAlias

from codeindexd import __version__, protocol
from codeindexd.errors import CodeindexError, FailedError, NoDaemonError, NotIndexedError, UsageError

KEPT_NOTIFICATIONS = 1000
PathLike: TypeAlias = "str | bytes | os.PathLike[str]"


def absolute(path: PathLike) -> str:
    """``path`` as the protocol wants it: absolute, ``~`` expanded, symlinks resolved but the last part's.

    Raises UsageError for what can be no path.
    """
    place = os.path.expanduser(_usable(path))  # noqa: PTH111 - pathlib costs a fifth of a search's time
    parent, name = os.path.split(place.rstrip("/"))
    if name in {"", ".", ".."}:
        return os.path.realpath(place)
    return os.path.join(os.path.realpath(parent), name)  # noqa: PTH118


def absolute_all(paths: Iterable[PathLike] | None) -> list[str] | None:
    """The same for a list; None stays None: all roots."""
    return None if paths is None else [absolute(path) for path in paths]


def absolute_or_none(path: PathLike | None) -> str | None:
    """The same where None means all roots."""
    return None if path is None else absolute(path)


def relative_name(path: PathLike) -> str:
    """A path below a root, as text. Raises UsageError for what can be no path."""
    return _usable(path)


def _usable(path: PathLike) -> str:
    text = os.fsdecode(path)
    if not text:  # which would mean the current directory, where a script's variable is not set
        raise UsageError("a path is empty", hint="Write . for the current directory.")
    try:
        if b"\0" not in os.fsencode(text):
            return text
    except UnicodeEncodeError:
        pass
    raise UsageError(f"no path can be {text!a}", hint="It holds a NUL byte or a lone surrogate.")


def split_at_root(path: PathLike, roots: Iterable[str]) -> tuple[str, str]:
    """(root, path below it) for the innermost of ``roots`` around ``path``. Raises NotIndexedError."""
    place = absolute(path)
    around = [root for root in roots if place.startswith(f"{root.rstrip('/')}/")]
    if not around:
        raise NotIndexedError(f"{place} is not indexed", hint="Index its directory: codeindex add PATH")
    root = max(around, key=len)
    return root, place[len(root.rstrip("/")) + 1 :]


def answered(message: Any) -> Any:
    """The result in an answer; raises the error that it carries instead, as its own class."""
    if not isinstance(message, dict):
        raise FailedError("the daemon sent something that is no answer", hint="Is another program on this socket?")
    if "error" in message:
        raise protocol.error_from_json(message["error"])
    if "result" not in message:
        raise FailedError("the daemon sent an answer without a result", hint="Is another program on this socket?")
    return message["result"]


def closed() -> CodeindexError:
    """The connection ended in the middle of a conversation."""
    return NoDaemonError("the daemon closed the connection", hint="Try again: codeindex starts it when needed.")


def no_daemon(path: str, reason: str) -> NoDaemonError:
    """Nobody answers at ``path``."""
    return NoDaemonError(
        f"no daemon answers at {path}: {reason}",
        hint="Start it with `codeindexd`, `codeindex service install`, or leave out --no-start.",
    )


def is_older(version: str) -> bool:
    """Whether a daemon of ``version`` is older than this client. Versions that cannot be compared are not."""
    try:
        return _numbers(version) < _numbers(__version__)
    except ValueError:
        return False


def older_stays(version: str, program: str) -> str:
    """What the user should know of an older daemon that cannot be replaced, since ``program`` would be started."""
    return (
        f"note: the daemon is version {version}, this is {__version__}; its service runs {program}: upgrade that, "
        "or install the service from here: codeindex service install"
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split("."))
