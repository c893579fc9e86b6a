"""Frames between the daemon and its processes: four bytes of length, then one msgpack value.

The messages are msgspec structs so that one tagged union decodes them; what they carry are the dataclasses of
`jobs` and `codeindexd.types`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import msgspec

from codeindexd.workers.jobs import FileJob, FileResult, TextsJob, TextsResult, WorkerSettings

_HEADER = struct.Struct(">I")
MAX_FRAME = 512 * 1024 * 1024  # far above any result: a larger length means that the stream is out of step


class BrokenStreamError(Exception):
    """The other side sent something that is no frame, or ended in the middle of one."""


class Start(msgspec.Struct, tag="start"):
    """First message to a worker: what it must know before its first job."""

    settings: WorkerSettings
    bulk: bool


class RunFile(msgspec.Struct, tag="file"):
    job: FileJob


class RunTexts(msgspec.Struct, tag="texts"):
    job: TextsJob


class Ready(msgspec.Struct, tag="ready"):
    """First message of a worker: it can take jobs now. ``memory`` is its private memory in bytes."""

    memory: int


class FileDone(msgspec.Struct, tag="file_done"):
    result: FileResult
    memory: int


class TextsDone(msgspec.Struct, tag="texts_done"):
    result: TextsResult
    memory: int


ToWorker = Start | RunFile | RunTexts
ToDaemon = Ready | FileDone | TextsDone

_encoder = msgspec.msgpack.Encoder()
to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
to_daemon: msgspec.msgpack.Decoder[ToDaemon] = msgspec.msgpack.Decoder(ToDaemon)


def frame(message: msgspec.Struct) -> bytes:
    """``message`` as it goes over the pipe."""
    body = _encoder.encode(message)
    return _HEADER.pack(len(body)) + body


class FrameBuffer:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        """Whether the stream stands in the middle of a frame."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Takes ``data`` and yields the bodies that are complete now; raises `BrokenStreamError`."""
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
    """The blocking end of the wire that a child process holds: one file descriptor to read, one to write."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd

    def receive(self) -> bytes | None:
        """The next frame's body; None when the daemon closed its end. Raises `BrokenStreamError`."""
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
        """Writes one message; raises `OSError` when the daemon is gone."""
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
