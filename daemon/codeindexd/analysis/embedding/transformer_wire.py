"""What the daemon and the process of a sentence-transformers model say to each other."""

from __future__ import annotations

from typing import Literal

import msgspec


class Load(msgspec.Struct, tag="load"):
    """First message: which model, where it runs, when to let go of it.

    ``offline``: the model is on this machine, so the hub is not asked for anything.
    """

    model: str
    device: str
    idle_s: float
    nice: int
    offline: bool


class Encode(msgspec.Struct, tag="encode"):
    """Embed ``texts`` in one batch; ``number`` comes back with the answer."""

    number: int
    texts: list[str]
    query: bool


class Loaded(msgspec.Struct, tag="loaded"):
    """The model is there."""

    dimensions: int
    device: str


class Encoded(msgspec.Struct, tag="encoded"):
    """``rows`` holds little-endian float32 vectors, one after the other."""

    number: int
    rows: bytes


class Failed(msgspec.Struct, tag="failed"):
    """``kind``: "memory" (a smaller batch may do), "load" (the process ends now), "other". ``number`` 0 = loading."""

    number: int
    kind: Literal["memory", "load", "other"]
    error: str


ToProcess = Load | Encode
ToDaemon = Loaded | Encoded | Failed

to_process: msgspec.msgpack.Decoder[ToProcess] = msgspec.msgpack.Decoder(ToProcess)
to_daemon: msgspec.msgpack.Decoder[ToDaemon] = msgspec.msgpack.Decoder(ToDaemon)
