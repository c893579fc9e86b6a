"""Messages between the daemon and the process of a sentence-transformers model."""

from __future__ import annotations

import enum

import msgspec


class Load(msgspec.Struct, tag="load"):
    """First message: which model to load, where it runs, when to unload it.

    With ``offline`` the hub is not contacted: the model is on this machine.
    """

    model: str
    device: str
    idle_s: float
    nice: int
    offline: bool


class Encode(msgspec.Struct, tag="encode"):
    """Embed ``texts`` in one batch; the answer repeats ``number``."""

    number: int
    texts: list[str]
    query: bool


class Loaded(msgspec.Struct, tag="loaded"):
    """The model is loaded."""

    dimensions: int
    device: str


class Encoded(msgspec.Struct, tag="encoded"):
    """Vectors: ``rows`` has them as little-endian float32, one after the other."""

    number: int
    rows: bytes


class FailureKind(enum.StrEnum):
    """Why a request failed."""

    MEMORY = "memory"  # a smaller batch may succeed
    LOAD = "load"  # the process exits
    OTHER = "other"


class Failed(msgspec.Struct, tag="failed"):
    """A request failed; ``number`` is 0 for loading."""

    number: int
    kind: FailureKind
    error: str


ToProcess = Load | Encode
ToDaemon = Loaded | Encoded | Failed

to_process: msgspec.msgpack.Decoder[ToProcess] = msgspec.msgpack.Decoder(ToProcess)
to_daemon: msgspec.msgpack.Decoder[ToDaemon] = msgspec.msgpack.Decoder(ToDaemon)
