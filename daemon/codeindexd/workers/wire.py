"""The frames between the daemon and its child processes: four bytes of length (big-endian), then a msgpack value.

Messages are msgspec structs, so that one tagged union decodes them; they contain values of ``jobs`` and
``codeindexd.types``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import msgspec

from codeindexd.workers.jobs import (
    CentralityJob,
    CentralityResult,
    FileJob,
    FileResult,
    HistoryJob,
    HistoryResult,
    TextsJob,
    TextsResult,
    WorkerSettings,
)

_HEADER = struct.Struct(">I")
MAX_FRAME = 512 * 1024 * 1024  # bytes; far above any result, so a larger length means that the stream is corrupt


class BrokenStreamError(Exception):
    """The other side sent something that is not a frame, or ended inside one."""


class Start(msgspec.Struct, tag="start"):
    """The first message to a worker: its settings, and whether it runs at low priority from the start."""

    settings: WorkerSettings
    at_low_priority: bool


class LowerPriority(msgspec.Struct, tag="lower"):
    """A request to continue at low priority. It is not answered, and cannot be undone, which would take privileges."""


class RunFile(msgspec.Struct, tag="file"):
    """A job for ``Pipeline.process``."""

    job: FileJob


class RunTexts(msgspec.Struct, tag="texts"):
    """A job for ``Pipeline.texts``."""

    job: TextsJob


class RunHistory(msgspec.Struct, tag="history"):
    """A job for ``Pipeline.history``."""

    job: HistoryJob


class RunCentrality(msgspec.Struct, tag="centrality"):
    """A job for ``Pipeline.centrality``."""

    job: CentralityJob


class Ready(msgspec.Struct, tag="ready"):
    """The first message of a worker: it is ready for jobs. ``memory`` is its private memory in bytes."""

    memory: int


class FileDone(msgspec.Struct, tag="file_done"):
    """The answer to ``RunFile``, with the worker's private memory in bytes."""

    result: FileResult
    memory: int


class TextsDone(msgspec.Struct, tag="texts_done"):
    """The answer to ``RunTexts``, with the worker's private memory in bytes."""

    result: TextsResult
    memory: int


class HistoryDone(msgspec.Struct, tag="history_done"):
    """The answer to ``RunHistory``, with the worker's private memory in bytes."""

    result: HistoryResult
    memory: int


class CentralityDone(msgspec.Struct, tag="centrality_done"):
    """The answer to ``RunCentrality``, with the worker's private memory in bytes."""

    result: CentralityResult
    memory: int


ToWorker = Start | LowerPriority | RunFile | RunTexts | RunHistory | RunCentrality
ToDaemon = Ready | FileDone | TextsDone | HistoryDone | CentralityDone

_encoder = msgspec.msgpack.Encoder()
to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
to_daemon: msgspec.msgpack.Decoder[ToDaemon] = msgspec.msgpack.Decoder(ToDaemon)


def frame(message: msgspec.Struct) -> bytes:
    """Return ``message`` as a frame."""
    body = _encoder.encode(message)
    return _HEADER.pack(len(body)) + body


class FrameBuffer:
    """Splits a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        """True if the bytes so far end inside a frame."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add ``data``, and yield the bodies of the frames that are now complete. Raises BrokenStreamError."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise BrokenStreamError(f"a frame of {length} bytes was announced")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield body


class Channel:
    """The child process's blocking end of the pipe: one file descriptor to read, one to write."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd

    def receive(self) -> bytes | None:
        """Return the body of the next frame; None once the daemon has closed its end. Raises BrokenStreamError."""
        header = self._read(_HEADER.size)
        if header is None:
            return None
        (length,) = _HEADER.unpack(header)
        if length > MAX_FRAME:
            raise BrokenStreamError(f"a frame of {length} bytes was announced")
        body = self._read(length)
        if body is None and length:
            raise BrokenStreamError("the stream ended inside a frame")
        return body or b""

    def send(self, message: msgspec.Struct) -> None:
        """Write one message. Raises OSError if the daemon has ended."""
        view = memoryview(frame(message))
        while view:
            view = view[os.write(self.write_fd, view) :]

    def _read(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            piece = os.read(self.read_fd, min(size - len(data), 1 << 20))
            if not piece:
                if data:
                    raise BrokenStreamError("the stream ended inside a frame")
                return None
            data += piece
        return bytes(data)
