"""What both clients share: parameters, paths, answers, and when a daemon is too old. No I/O but path resolution."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from codeindexd import __version__, protocol
from codeindexd.errors import CodeindexError, FailedError, NoDaemonError

KEPT_NOTIFICATIONS = 1000
PathLike: TypeAlias = "str | bytes | os.PathLike[str]"


def absolute(path: PathLike) -> str:
    """``path`` as the protocol wants it: absolute, ``~`` expanded, symlinks resolved but the last part's."""
    place = Path(os.fsdecode(path)).expanduser()
    if place.name in {"", ".", ".."}:
        return str(place.resolve())
    return str(place.parent.resolve() / place.name)


def absolute_all(paths: Iterable[PathLike] | None) -> list[str] | None:
    """The same for a list; None stays None: all roots."""
    return None if paths is None else [absolute(path) for path in paths]


def relative_name(path: PathLike) -> str:
    """A path below a root, as text."""
    return os.fsdecode(path)


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


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split("."))
