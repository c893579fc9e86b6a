"""Every error of ours, with its fate: what becomes of the request, the file or the daemon that met it.

Adapters translate foreign exceptions into these; only the command line maps them to exit codes.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errno values that say that this process or the machine has run out of something, not that the file is bad."""


class CodeindexError(Exception):
    """Base of all errors that a user may see. ``hint`` says what to do about it.

    ``code`` is the JSON-RPC error code of the protocol, ``exit_code`` the command line's.
    """

    code = 5
    exit_code = 5
    name = "failed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def leaf_errors(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error``, or the errors inside of nested groups, which task groups put around what their tasks raise."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from leaf_errors(member)
    else:
        yield error


def first_error(error: BaseException) -> BaseException:
    """Return the error that a group is about: its first CodeindexError, otherwise its first error."""
    leaves = list(leaf_errors(error))
    return next((leaf for leaf in leaves if isinstance(leaf, CodeindexError)), leaves[0])


def place_of(error: BaseException) -> str:
    """An exception that nobody foresaw, by its kind and where it was raised: ``KeyError (split.py:120 in cut)``.

    Not by its message, which may quote the file or the question that it met.
    """
    inner = error.__traceback__
    while inner is not None and inner.tb_next is not None:
        inner = inner.tb_next
    if inner is None:
        return type(error).__name__
    code = inner.tb_frame.f_code
    file = code.co_filename.rpartition("/")[2]
    return f"{type(error).__name__} ({file}:{inner.tb_lineno} in {code.co_name})"


class NotIndexedError(CodeindexError):
    """The path asked about belongs to no root."""

    code = 1
    exit_code = 3
    name = "not_indexed"


class InvalidQueryError(CodeindexError):
    """The query cannot be answered as it stands."""

    code = 2
    exit_code = 2
    name = "invalid_query"


class TimedOutError(CodeindexError):
    """What was waited for did not happen in the time given."""

    code = 3
    exit_code = 6
    name = "timed_out"


class PathRefusedError(CodeindexError):
    """A path that cannot become, or is not, a root."""

    code = 4
    exit_code = 2
    name = "path_refused"


class FailedError(CodeindexError):
    """The request was fine and could not be carried out."""


class ShuttingDownError(CodeindexError):
    """The daemon is stopping."""

    code = 6
    exit_code = 4
    name = "shutting_down"


class NoDaemonError(CodeindexError):
    """No daemon answers on the socket."""

    exit_code = 4
    name = "no_daemon"


class UsageError(CodeindexError):
    """The command line or a request's parameters are wrong."""

    code = -32602
    exit_code = 2
    name = "usage"


class ConfigError(CodeindexError):
    """A configuration file or variable is wrong; the message names file, key and what was expected."""

    exit_code = 2
    name = "config"


class AlreadyRunningError(CodeindexError):
    """Another daemon of this user holds the lock."""

    name = "already_running"


class StoreDamagedError(CodeindexError):
    """A store cannot be opened or fails its checksum; it is rebuilt from what is whole."""

    name = "store_damaged"


class StoreFullError(CodeindexError):
    """A store cannot be written (disk full, read-only, quota); nothing was committed, the work is retried."""

    name = "store_full"


class WatchError(CodeindexError):
    """Events cannot be had for (part of) a root; it is polled instead and the root says ``degraded``."""

    name = "watch"


class EmbedderError(CodeindexError):
    """An embedding model cannot be loaded or reached; text search goes on, vectors wait."""

    name = "embedder"


class WorkerError(CodeindexError):
    """The worker pool cannot start a process."""

    name = "worker"
