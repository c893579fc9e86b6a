"""All errors of codeindexd, with their error codes and exit codes.

Exceptions of libraries are translated into these. Only the command line uses the exit codes.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN})
"""Errno values that mean that this process or the machine lacks resources, not that the file is at fault.

EAGAIN means that no thread or process could be started: files are never read or written in non-blocking mode.
"""

EXHAUSTED_HINT = "close programs, or raise the limit of open files, processes or memory"


class CodeindexError(Exception):
    """The base of all errors that a user may see. ``hint`` says what to do.

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
    """Yield the errors inside ``error`` if it is a group, as task groups raise it, and otherwise ``error`` itself."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from leaf_errors(member)
    else:
        yield error


def first_error(error: BaseException) -> BaseException:
    """Return the first CodeindexError in ``error`` and its nested groups, otherwise the first error."""
    leaves = list(leaf_errors(error))
    return next((leaf for leaf in leaves if isinstance(leaf, CodeindexError)), leaves[0])


def place_of(error: BaseException) -> str:
    """Return the class of an unexpected exception and where it was raised: ``KeyError (split.py:120 in cut)``.

    The message is omitted, since it may quote a file or a query.
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
    """A path belongs to no root."""

    code = 1
    exit_code = 3
    name = "not_indexed"


class InvalidQueryError(CodeindexError):
    """The query is invalid."""

    code = 2
    exit_code = 2
    name = "invalid_query"


class TimedOutError(CodeindexError):
    """A request did not finish within its timeout."""

    code = 3
    exit_code = 6
    name = "timed_out"


class PathRefusedError(CodeindexError):
    """A path cannot become a root, or is not one."""

    code = 4
    exit_code = 2
    name = "path_refused"


class FailedError(CodeindexError):
    """A valid request failed."""


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
    """A configuration file or variable is wrong; the message names the file, the key and what was expected."""

    exit_code = 2
    name = "config"


class AlreadyRunningError(CodeindexError):
    """Another daemon of this user holds the lock."""

    name = "already_running"


class StoreDamagedError(CodeindexError):
    """A store cannot be opened or fails its checksum; it is rebuilt from its undamaged parts."""

    name = "store_damaged"


class StoreVersionError(StoreDamagedError):
    """A store was written by another version of codeindexd; it is rebuilt as a damaged one is."""


class StoreFullError(CodeindexError):
    """A store cannot be written (disk full, read-only, quota); nothing was committed, and the write is retried."""

    name = "store_full"


class WatchError(CodeindexError):
    """A root, or part of it, cannot be watched; it is polled instead, and the root is ``degraded``."""

    name = "watch"


class EmbedderError(CodeindexError):
    """An embedding model cannot be loaded or reached; text search works meanwhile, vectors are pending."""

    name = "embedder"


class WorkerError(CodeindexError):
    """The worker pool cannot start a process."""

    name = "worker"


class NoHistoryError(CodeindexError):
    """A root has no history that can be searched; the message says why."""

    name = "no_history"


class MissingObjectError(NoHistoryError):
    """A repository lacks an object: it was cloned partially, or it is damaged. Nothing is ever fetched."""

    def __init__(self, object_id: bytes, repository: str) -> None:
        super().__init__(
            f"{repository} lacks the object {object_id.hex()}",
            hint="fetch what a partial clone lacks, for example: git fetch --refetch; or check it: git fsck",
        )
        self.object_id = object_id
