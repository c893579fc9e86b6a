"""Streamed ``grep``: the iterator of the asynchronous client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc

from codeindexd.client import core
from codeindexd.client.grep_stream import READ_BYTES, StreamedAnswer

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from codeindexd.client import results


class AsyncGrepStream:
    """The results of ``grep`` as they are found. Iterate over it once.

    The items are lines or, with ``files_only`` or ``count``, counts of files. The daemon searches only as far as the
    items are read, and stops when this is closed: at the end of an ``async with`` block, or of the iteration.
    Iterating raises the errors of ``codeindexd.errors``.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[anyio.abc.ByteStream]],
        params: Mapping[str, Any],
        timeout_s: float | None,
    ) -> None:
        self._answer = StreamedAnswer(params)
        self._connect = connect
        self._timeout_s = timeout_s
        self._stream: anyio.abc.ByteStream | None = None

    @property
    def result(self) -> results.GrepResult:
        """The answer of :meth:`AsyncClient.grep`, without its lines and counts. Raises ValueError before the end."""
        if self._answer.result is None:
            raise ValueError("the results have not been read to the end")
        return self._answer.result

    async def batches(self) -> AsyncIterator[list[Any]]:
        """Yield the items in lists, as they arrive."""
        self._stream = await self._connect()
        try:
            with contextlib.suppress(anyio.BrokenResourceError):  # the daemon may have sent the reason before it closed
                await self._stream.send(self._answer.request)
            while self._answer.result is None:
                for batch in self._answer.feed(await self._receive()):
                    yield batch
        finally:
            await self.aclose()

    async def _receive(self) -> bytes:
        if self._stream is None:
            raise core.connection_closed()
        try:
            with anyio.fail_after(self._timeout_s):
                return await self._stream.receive(READ_BYTES)
        except TimeoutError as error:
            raise core.no_answer() from error
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise core.connection_closed() from error

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for batch in self.batches():
            for item in batch:
                yield item

    async def aclose(self) -> None:
        """Stop the search if it is still running."""
        if self._stream is not None:
            await anyio.aclose_forcefully(self._stream)
            self._stream = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
