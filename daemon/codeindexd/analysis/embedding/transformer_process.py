"""The process of a sentence-transformers model: loads it, embeds batch after batch, ends when nobody asks any more."""

from __future__ import annotations

import importlib
import os
import select
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from codeindexd.analysis.embedding import transformer_wire as wire
from codeindexd.workers import guard
from codeindexd.workers.wire import BrokenStreamError, Channel

EXIT_IDLE = 79
EXIT_NOT_LOADED = 80


class Model(Protocol):
    """What is needed of a loaded model."""

    dimensions: int
    device: str

    def encode(self, texts: list[str], *, query: bool) -> Any:
        """Array of shape (len(texts), dimensions)."""


_SAMPLE = ("how is the configuration read?", "def read(path):\n    return tomllib.load(path)\n")
_AGREES = 0.9995  # cosine above which vectors may be mixed in one index

LOADER = "codeindexd.analysis.embedding.transformer_process:SentenceModel"


def main(arguments: list[str]) -> int:
    """Runs until the daemon closes its end or ``idle_s`` passed.

    ``arguments``: the parent's pid, the import path of what makes a `Model` of a `wire.Load`.
    """
    parent, loader = arguments
    channel = guard.adopt(int(parent))
    module, _, name = loader.partition(":")
    try:
        return _serve(channel, getattr(importlib.import_module(module), name))
    except (BrokenPipeError, BrokenStreamError):
        return guard.EXIT_ORPHANED


def _serve(channel: Channel, load: Callable[[wire.Load], Model]) -> int:
    body = channel.receive()
    if body is None:
        return 0
    start = wire.to_process.decode(body)
    if not isinstance(start, wire.Load):
        raise BrokenStreamError("the first message must say what to load")
    try:
        model = load(start)
    except Exception as error:  # noqa: BLE001 - whatever the library raises is told to the daemon, which gives up
        channel.send(wire.Failed(0, "load", describe(error)))
        return EXIT_NOT_LOADED
    guard.lower_cpu_priority(start.nice)  # not before: a question may be waiting for the model
    channel.send(wire.Loaded(model.dimensions, model.device))
    while True:
        readable, _, _ = select.select([channel.read_fd], [], [], start.idle_s)
        if not readable:
            return EXIT_IDLE
        body = channel.receive()
        if body is None:
            return 0
        request = wire.to_process.decode(body)
        if not isinstance(request, wire.Encode):
            raise BrokenStreamError("a model is loaded already")
        channel.send(_encode(model, request))


def _encode(model: Model, request: wire.Encode) -> wire.Encoded | wire.Failed:
    try:
        rows = np.ascontiguousarray(model.encode(request.texts, query=request.query), dtype="<f4")
    except Exception as error:  # noqa: BLE001 - told to the daemon
        kind = "memory" if is_out_of_memory(error) else "other"
        return wire.Failed(request.number, cast("Any", kind), describe(error))
    if rows.shape != (len(request.texts), model.dimensions):
        return wire.Failed(request.number, "other", f"the model gave an array of shape {rows.shape}")
    return wire.Encoded(request.number, rows.tobytes())


def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU has matrix units for bfloat16 (AMX): only then is it faster than float32, nearly threefold.

    With AVX512-BF16 alone it was measured to be slower by a fifth, with neither three times slower.
    """
    try:
        lines = cpuinfo.read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    return any("amx_bf16" in line.split() for line in lines if line.startswith("flags"))


def is_out_of_memory(error: BaseException) -> bool:
    """torch says it in several ways: a MemoryError, an OutOfMemoryError, a RuntimeError of the allocator."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


def describe(error: BaseException) -> str:
    """The first lines of an error, fit for the wire."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class SentenceModel:
    """A sentence-transformers model; ``device`` "auto" takes CUDA or MPS where there is one.

    On a CPU that is faster with bfloat16, documents are embedded with it, unless the model's vectors suffer.
    """

    def __init__(self, start: wire.Load) -> None:
        if start.offline:
            os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import torch
        from sentence_transformers import SentenceTransformer

        device = None if start.device == "auto" else start.device
        self._torch = torch
        self._threads = torch.get_num_threads()
        self._model = SentenceTransformer(start.model, device=device, trust_remote_code=False)
        self._model.eval()
        self.device = str(self._model.device)
        self._autocast: AbstractContextManager[Any] = nullcontext()
        sample = self.encode(list(_SAMPLE), query=False)
        self.dimensions = int(sample.shape[1])
        if self.device == "cpu" and multiplies_bfloat16():
            self._autocast = torch.autocast("cpu", dtype=torch.bfloat16)
            if not self._agrees_with(sample):
                self._autocast = nullcontext()

    def _agrees_with(self, sample: Any) -> bool:
        """Whether the model's vectors of `_SAMPLE` are what they were."""
        try:
            again = self.encode(list(_SAMPLE), query=False)
        except RuntimeError:  # a model that does a step of its own in float32
            return False
        lengths = np.linalg.norm(again, axis=1) * np.linalg.norm(sample, axis=1)
        return bool(np.all((again * sample).sum(axis=1) > _AGREES * lengths))

    def encode(self, texts: list[str], *, query: bool) -> Any:
        """One forward pass. ``encode_query`` and ``encode_document`` use the model's own prompts for each."""
        by_role = getattr(self._model, "encode_query" if query else "encode_document", None)
        options: dict[str, Any] = {
            "batch_size": len(texts),
            "show_progress_bar": False,
            "convert_to_numpy": True,
            "normalize_embeddings": True,
        }
        if by_role is None:  # before sentence-transformers 5
            name = "query" if query else "document"
            if name in (getattr(self._model, "prompts", None) or {}):
                options["prompt_name"] = name
            by_role = self._model.encode
        # A question is over before a second thread is awake: on a busy CPU one thread took 25 ms, two took 150 to 400.
        self._torch.set_num_threads(1 if query else self._threads)
        # Nor is it worth to convert all weights for.
        with self._torch.inference_mode(), nullcontext() if query else self._autocast:
            return by_role(texts, **options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
