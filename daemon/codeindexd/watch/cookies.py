"""Cookies: files whose events prove that every earlier event of the same watcher has been delivered."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import anyio
import structlog
from msgspec import Struct, field

from codeindexd.watch import filesystem
from codeindexd.watch.stream import Stream

log = structlog.get_logger(__name__)


class _PendingCookie(Struct):
    """A cookie whose event the ``waiting`` streams have yet to deliver; ``lost`` if one ended without doing so."""

    waiting: set[Stream]
    lost: bool = False
    done: anyio.Event = field(default_factory=anyio.Event)


class Cookies:
    """Writes cookies into ``directory``, which every stream watches, and matches their events.

    ``directory`` is the first of ``candidates`` that can be created: a logout may remove the runtime directory for
    good. ``identity`` is its (device, inode), None before :meth:`prepare`.
    """

    def __init__(self, candidates: Sequence[Path]) -> None:
        self._candidates = candidates
        self.directory = candidates[0]
        self.identity: tuple[int, int] | None = None
        self._prefix = uuid.uuid4().hex  # several watchers share the directory
        self._numbers = itertools.count()
        self._pending: dict[str, _PendingCookie] = {}
        self.draining: set[Stream] = set()  # replaced, and may still hold events that no other stream has

    def owns(self, path: str) -> bool:
        """Return True if ``path``, in the cookie directory, is a cookie of this watcher."""
        return path.startswith(self._prefix, path.rfind("/") + 1)

    def prepare(self) -> None:
        """Create the directory if needed. Raises OSError if none of the candidates can be created."""
        for candidate in self._candidates:
            try:
                candidate.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError:
                if candidate is self._candidates[-1]:
                    raise
            else:
                self.directory = candidate
                self.identity = filesystem.identity(candidate)
                return

    async def pass_through(self, streams: Collection[Stream]) -> bool:
        """Write a cookie and return True once every stream, draining ones included, has delivered its event.

        Returns False if a stream breaks meanwhile, or if no cookie can be written.
        """
        name = f"{self._prefix}-{next(self._numbers)}"
        cookie = self._pending[name] = _PendingCookie({*streams, *self.draining})
        try:
            self._create_and_remove(name)
            for stream in tuple(cookie.waiting):
                stream.pace.wake()
            await cookie.done.wait()
        except OSError as error:
            log.warning("cookie_failed", directory=str(self.directory), error=error.strerror)
            return False
        finally:
            del self._pending[name]
        return not cookie.lost

    def mark_delivered(self, stream: Stream, names: Iterable[str]) -> None:
        """Record that ``stream`` delivered the events of the cookies ``names``, and so every earlier event."""
        for name in names:
            if (cookie := self._pending.get(name)) is not None:
                _stop_waiting(cookie, stream)

    def forget(self, stream: Stream, *, drained: bool) -> None:
        """Stop waiting for a ``stream`` that ends; the cookies it has not delivered are lost unless it is ``drained``.

        A drained stream held no event that its successor does not get.
        """
        self.draining.discard(stream)
        for cookie in self._pending.values():
            if stream in cookie.waiting:
                cookie.lost |= not drained
                _stop_waiting(cookie, stream)

    def _create_and_remove(self, name: str) -> None:
        path = self.directory / name
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        path.unlink(missing_ok=True)


def _stop_waiting(cookie: _PendingCookie, stream: Stream) -> None:
    cookie.waiting.discard(stream)
    if not cookie.waiting:
        cookie.done.set()
