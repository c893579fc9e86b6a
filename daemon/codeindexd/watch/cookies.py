"""Cookies: files whose events prove that every earlier event of the same watcher has been delivered."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import structlog

from codeindexd.watch import filesystem
from codeindexd.watch.stream import Stream

log = structlog.get_logger(__name__)


@dataclass
class _Passage:
    waiting: set[Stream]
    lost: bool = False
    done: anyio.Event = field(default_factory=anyio.Event)


class Cookies:
    """Writes cookies into ``directory``, which every stream watches, and matches their events."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.identity: tuple[int, int] | None = None
        self._prefix = uuid.uuid4().hex  # several watchers share the directory
        self._numbers = itertools.count()
        self._passages: dict[str, _Passage] = {}
        self.leaving: set[Stream] = set()  # they have a successor, and may still hold events that nobody else has

    def prepare(self) -> None:
        """Make sure that the directory is there. Raises OSError."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.identity = filesystem.identity(self.directory)

    async def pass_through(self, streams: Collection[Stream]) -> bool:
        """Whether a cookie written now came through every stream, and through those that are leaving.

        False when one broke or none can be written.
        """
        name = f"{self._prefix}-{next(self._numbers)}"
        passage = self._passages[name] = _Passage({*streams, *self.leaving})
        try:
            self._drop(name)
            for stream in tuple(passage.waiting):
                stream.pace.wake()
            await passage.done.wait()
        except OSError as error:
            log.warning("no cookie can be written, so sync walks", directory=str(self.directory), error=error.strerror)
            return False
        finally:
            del self._passages[name]
        return not passage.lost

    def seen(self, stream: Stream, names: Iterable[str]) -> None:
        """``stream`` delivered the events of these cookies, and with them everything before."""
        for name in names:
            if (passage := self._passages.get(name)) is not None:
                _leave(passage, stream)

    def forget(self, stream: Stream, *, delivered: bool) -> None:
        """``stream`` ends; ``delivered``: nothing that others do not see as well was left in it."""
        self.leaving.discard(stream)
        for passage in self._passages.values():
            if stream in passage.waiting:
                passage.lost |= not delivered
                _leave(passage, stream)

    def _drop(self, name: str) -> None:
        path = self.directory / name
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        path.unlink(missing_ok=True)


def _leave(passage: _Passage, stream: Stream) -> None:
    passage.waiting.discard(stream)
    if not passage.waiting:
        passage.done.set()
