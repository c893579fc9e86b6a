"""The two streams that watch one root: starts, replaces and stops them without losing events."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

from codeindexd.watch.change_reader import ChangeReader
from codeindexd.watch.cookies import Cookies
from codeindexd.watch.coverage import WatchableDirectories
from codeindexd.watch.stream import Changes, EventSource, Stream, StreamError, StreamErrorKind

_DRAIN_S = 2.0


class StreamPair:
    """A main stream, and a recent one for the directories that appeared since the main one was started.

    A stream cannot be extended, so it is replaced by one with more directories. A replaced stream is stopped only once
    it has delivered the event of a marker file (cookie) written while its successor was live, so that no event is lost
    between them. ``deliver``, ``on_stall`` and ``on_broken`` are passed to each :class:`Stream`.
    """

    def __init__(
        self,
        root: Path,
        cookies: Cookies,
        reader: ChangeReader,
        source: EventSource,
        *,
        recursive: bool,
        deliver: Callable[[Stream, Changes], None],
        on_stall: Callable[[float], None],
        on_broken: Callable[[Stream, StreamError], None],
    ) -> None:
        self.main: Stream | None = None
        self.recent: Stream | None = None
        self._root = root
        self._cookies = cookies
        self._reader = reader
        self._source = source
        self._recursive = recursive
        self._deliver = deliver
        self._on_stall = on_stall
        self._on_broken = on_broken

    @property
    def live(self) -> list[Stream]:
        """The streams that exist: main, then recent."""
        return [stream for stream in (self.main, self.recent) if stream is not None]

    @property
    def recent_directories(self) -> frozenset[bytes]:
        """The directories that the recent stream watches, relative to the root."""
        return self.recent.directories if self.recent is not None else frozenset()

    async def start(
        self, tasks: anyio.abc.TaskGroup, found: WatchableDirectories, *, on_live: Callable[[], None]
    ) -> Stream:
        """Start a stream over ``found.paths`` and return it once it is live, for ``replace_all`` or ``replace_recent``.

        ``on_live()`` is called when it watches them, before its first event. Raises StreamError.
        """
        try:
            self._cookies.prepare()
        except OSError as error:
            raise StreamError(StreamErrorKind.BROKEN, f"no cookie directory: {error}") from error
        stream = Stream(
            found.paths, on_live=on_live, deliver=self._deliver, on_stall=self._on_stall, on_broken=self._on_broken
        )
        paths = [str(self._root)] if self._recursive else list(found.paths.values())
        filtered = {str(self._cookies.directory): self._cookies.owns}
        if not self._recursive:  # a rule file may lie in the user's home, which is too large to watch recursively
            rules = await anyio.to_thread.run_sync(self._reader.rule_directories)
            filtered |= dict.fromkeys(rules, self._reader.is_rule_file)
        owner = str(self._root)
        tasks.start_soon(partial(stream.serve, paths, filtered, self._source, owner=owner, recursive=self._recursive))
        await stream.wait_until_ready()
        return stream

    async def replace_all(self, stream: Stream) -> bool:
        """Make a started ``stream`` the only one; return False if events of its predecessors may be lost."""
        replaced, self.main, self.recent = self.live, stream, None
        return await self._retire(replaced)

    async def replace_recent(self, stream: Stream) -> bool:
        """Make a started ``stream`` the recent one; return False if events of its predecessor may be lost."""
        replaced, self.recent = self.recent, stream
        return await self._retire([replaced] if replaced is not None else [])

    def detach(self, broken: Stream | None) -> list[Stream]:
        """Detach the recent stream if it is ``broken``, else all, and return what to give to :meth:`stop_undrained`."""
        if broken is not None and broken is self.recent:
            self.recent = None
            return [broken]
        detached, self.main, self.recent = self.live, None, None
        return detached

    async def stop_undrained(self, detached: Collection[Stream]) -> None:
        """Stop ``detached`` streams at once; events they have not delivered are lost."""
        for stream in detached:
            self._cookies.forget(stream, drained=False)
            await stream.stop()

    async def _retire(self, replaced: Collection[Stream]) -> bool:
        """Stop streams whose successor is live; return False if one did not deliver all of its events in time."""
        self._cookies.draining.update(replaced)
        all_drained = True
        for stream in replaced:
            drained = False
            with anyio.move_on_after(_DRAIN_S):
                drained = await self._cookies.pass_through([stream])
            self._cookies.forget(stream, drained=drained)
            await stream.stop()
            all_drained &= drained
        return all_drained
