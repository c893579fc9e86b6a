"""Streamed ``grep``: the parsing of its answer, for both clients, and the iterator of the blocking client."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from codeindexd import protocol
from codeindexd.client import core

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from codeindexd.client import results

READ_BYTES = 1 << 18
_REQUEST_ID = 1


class StreamedAnswer:
    """Sorts the messages of a connection on which one streamed ``grep`` runs. ``result`` is None until the last one."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.request = core.request_line(_REQUEST_ID, "grep", {**params, "stream": True})
        self.result: results.GrepResult | None = None
        self._buffer = protocol.LineBuffer(limit=None)

    def feed(self, data: bytes) -> Iterator[list[Any]]:
        """Yield the lists of lines or counts that ``data`` completes. Raises the errors of ``codeindexd.errors``."""
        if not data:
            raise core.connection_closed()
        for line in self._buffer.feed(data):
            message = protocol.decode(line)
            if isinstance(message, dict) and "method" in message:
                found = _taken(message.get("params") or {})
            else:
                result = core.result_of(message)
                found = _taken(result)  # of a daemon that cannot stream: everything
                self.result = cast("results.GrepResult", result)
            if found:
                yield found


def _taken(message: dict[str, Any]) -> list[Any]:
    """Take the lines and counts out of a message."""
    found = [*message.get("matches", ()), *message.get("counts", ())]
    message.update({name: [] for name in ("matches", "counts") if name in message})
    return found


class GrepStream:
    """The results of ``grep`` as they are found. Iterate over it once.

    The items are lines or, with ``files_only`` or ``count``, counts of files. The daemon searches only as far as the
    items are read, and stops when this is closed: at the end of a ``with`` block, or of the iteration.
    Iterating raises the errors of ``codeindexd.errors``.
    """

    def __init__(
        self, connect: Callable[[], socket.socket], params: Mapping[str, Any], timeout_s: float | None
    ) -> None:
        self._answer = StreamedAnswer(params)
        self._connect = connect
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    @property
    def result(self) -> results.GrepResult:
        """The answer of :meth:`Client.grep`, without its lines and counts. Raises ValueError before the end."""
        if self._answer.result is None:
            raise ValueError("the results have not been read to the end")
        return self._answer.result

    def batches(self) -> Iterator[list[Any]]:
        """Yield the items in lists, as they arrive."""
        self._socket = self._connect()
        try:
            self._socket.settimeout(self._timeout_s)
            with contextlib.suppress(OSError):  # the daemon may have sent the reason before it closed the connection
                self._socket.sendall(self._answer.request)
            while self._answer.result is None:
                yield from self._answer.feed(self._receive())
        finally:
            self.close()

    def _receive(self) -> bytes:
        if self._socket is None:
            raise core.connection_closed()
        try:
            return self._socket.recv(READ_BYTES)
        except TimeoutError as error:
            raise core.no_answer() from error
        except OSError as error:
            raise core.connection_closed() from error

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches():
            yield from batch

    def close(self) -> None:
        """Stop the search if it is still running."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
