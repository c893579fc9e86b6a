"""Cookies: files whose events prove that every earlier event of the same watcher has been delivered."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import structlog

from codeindexd.watch import filesystem
from codeindexd.watch.stream import Stream

log = structlog.get_logger(__name__)


@dataclass
class _Passage:
    """A cookie on its way through ``waiting`` streams; ``lost`` once one of them ended without delivering it."""

    waiting: set[Stream]
    lost: bool = False
    done: anyio.Event = field(default_factory=anyio.Event)


class Cookies:
    """Writes cookies into ``directory``, which every stream watches, and matches their events.

    It is the first of ``places`` that can be created: a logout may remove the runtime directory for good.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = places
        self.directory = places[0]
        self.identity: tuple[int, int] | None = None
        self._prefix = uuid.uuid4().hex  # several watchers share the directory
        self._numbers = itertools.count()
        self._passages: dict[str, _Passage] = {}
        self.leaving: set[Stream] = set()  # replaced, and may still hold events that no other stream has

    def owns(self, path: str) -> bool:
        """Return True if ``path``, in the cookie directory, is a cookie of this watcher."""
        return path.startswith(self._prefix, path.rfind("/") + 1)

    def prepare(self) -> None:
        """Create the directory if needed. Raises OSError if none of its places can be used."""
        for place in self._places:
            try:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError:
                if place is self._places[-1]:
                    raise
            else:
                self.directory = place
                self.identity = filesystem.identity(place)
                return

    async def pass_through(self, streams: Collection[Stream]) -> bool:
        """Write a cookie and return True once every stream, leaving ones included, has delivered its event.

        Returns False if a stream breaks meanwhile, or if no cookie can be written.
        """
        name = f"{self._prefix}-{next(self._numbers)}"
        passage = self._passages[name] = _Passage({*streams, *self.leaving})
        try:
            self._create_and_remove(name)
            for stream in tuple(passage.waiting):
                stream.pace.wake()
            await passage.done.wait()
        except OSError as error:
            log.warning("cookie_failed", directory=str(self.directory), error=error.strerror)
            return False
        finally:
            del self._passages[name]
        return not passage.lost

    def seen(self, stream: Stream, names: Iterable[str]) -> None:
        """Record that ``stream`` delivered the events of these cookies, and so every earlier event."""
        for name in names:
            if (passage := self._passages.get(name)) is not None:
                _remove(passage, stream)

    def forget(self, stream: Stream, *, delivered: bool) -> None:
        """Stop waiting for a ``stream`` that ends; ``delivered`` means that it held no event that others do not get."""
        self.leaving.discard(stream)
        for passage in self._passages.values():
            if stream in passage.waiting:
                passage.lost |= not delivered
                _remove(passage, stream)

    def _create_and_remove(self, name: str) -> None:
        path = self.directory / name
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        path.unlink(missing_ok=True)


def _remove(passage: _Passage, stream: Stream) -> None:
    passage.waiting.discard(stream)
    if not passage.waiting:
        passage.done.set()
