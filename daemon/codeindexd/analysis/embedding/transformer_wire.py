"""The messages between the daemon and the process of a sentence-transformers model."""

from __future__ import annotations

import enum

import msgspec


class Load(msgspec.Struct, tag="load"):
    """The first message: the model to load (a directory or a hub name), its device, and when to unload it.

    With ``offline``, the hub is not contacted. ``nice`` is the priority after loading.
    """

    model: str
    device: str
    idle_s: float
    nice: int
    offline: bool


class Encode(msgspec.Struct, tag="encode"):
    """A request to embed ``texts`` in one batch; the answer has the same ``number``."""

    number: int
    texts: list[str]
    query: bool


class Loaded(msgspec.Struct, tag="loaded"):
    """The answer to :class:`Load`: the model is loaded."""

    dimensions: int
    device: str


class Encoded(msgspec.Struct, tag="encoded"):
    """The answer to :class:`Encode`: ``rows`` are the vectors as little-endian float32, concatenated."""

    number: int
    rows: bytes


class FailureKind(enum.StrEnum):
    """The cause of a failed request."""

    MEMORY = "memory"  # a smaller batch may succeed
    LOAD = "load"  # the process exits
    OTHER = "other"


class Failed(msgspec.Struct, tag="failed"):
    """The answer to a request that failed; ``number`` is 0 for :class:`Load`."""

    number: int
    kind: FailureKind
    error: str


ToProcess = Load | Encode
ToDaemon = Loaded | Encoded | Failed

to_process: msgspec.msgpack.Decoder[ToProcess] = msgspec.msgpack.Decoder(ToProcess)
to_daemon: msgspec.msgpack.Decoder[ToDaemon] = msgspec.msgpack.Decoder(ToDaemon)
