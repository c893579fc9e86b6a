"""The process of a sentence-transformers model: loads the model, embeds batches, and exits when idle."""

from __future__ import annotations

import importlib
import os
import select
import sys
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from codeindexd.analysis.embedding import transformer_wire as wire
from codeindexd.workers import process_limits
from codeindexd.workers.wire import BrokenStreamError, Channel

EXIT_IDLE = 79
EXIT_NOT_LOADED = 80


class Model(Protocol):
    """The interface of a loaded model."""

    dimensions: int
    device: str

    def encode(self, texts: list[str], *, query: bool) -> Any:
        """Return the vectors of ``texts`` as an array (len(texts), dimensions)."""


_SAMPLE = ("how is the configuration read?", "def read(path):\n    return tomllib.load(path)\n")
_MIN_COSINE = 0.9995  # between vectors computed with float32 and bfloat16, for both to share an index

LOADER = "codeindexd.analysis.embedding.transformer_process:SentenceModel"


def main(arguments: list[str]) -> int:
    """Run until the daemon closes the pipe or sends no request for too long, and return the exit status.

    ``arguments`` are the parent's pid and a function from :class:`wire.Load` to :class:`Model`, as "module:name".
    """
    parent, loader = arguments
    channel = process_limits.adopt(int(parent))
    module, _, name = loader.partition(":")
    try:
        return _serve(channel, getattr(importlib.import_module(module), name))
    except (BrokenPipeError, BrokenStreamError):
        return process_limits.EXIT_ORPHANED


def _serve(channel: Channel, load: Callable[[wire.Load], Model]) -> int:
    """Load the model that the first message names, then embed until idle or told to end; return the exit status."""
    body = channel.receive()
    if body is None:
        return 0
    start = wire.to_process.decode(body)
    if not isinstance(start, wire.Load):
        raise BrokenStreamError("the first message must say what to load")
    try:
        model = load(start)
    except Exception as error:  # noqa: BLE001 - reported to the daemon, which gives up
        channel.send(wire.Failed(0, wire.FailureKind.LOAD, describe(error)))
        return EXIT_NOT_LOADED
    process_limits.lower_cpu_priority(start.nice)  # only now, since a query may be waiting for the model
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
            raise BrokenStreamError("the model is already loaded")
        channel.send(_encode(model, request))


def _encode(model: Model, request: wire.Encode) -> wire.Encoded | wire.Failed:
    try:
        rows = np.ascontiguousarray(model.encode(request.texts, query=request.query), dtype="<f4")
    except Exception as error:  # noqa: BLE001 - reported to the daemon
        kind = wire.FailureKind.MEMORY if is_out_of_memory(error) else wire.FailureKind.OTHER
        return wire.Failed(request.number, kind, describe(error))
    if rows.shape != (len(request.texts), model.dimensions):
        return wire.Failed(request.number, wire.FailureKind.OTHER, f"the model returned an array of shape {rows.shape}")
    return wire.Encoded(request.number, rows.tobytes())


def has_bfloat16_units(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return True if the CPU has matrix units for bfloat16 (AMX), without which it is slower than float32.

    Measured: nearly three times as fast with AMX, 20 % slower with AVX512-BF16 alone, three times slower with neither.
    """
    try:
        lines = cpuinfo.read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    return any("amx_bf16" in line.split() for line in lines if line.startswith("flags"))


def is_out_of_memory(error: BaseException) -> bool:
    """Return True for a MemoryError, torch's OutOfMemoryError, and the allocator's RuntimeError."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


def describe(error: BaseException) -> str:
    """Return the first 500 characters of an error's text, as valid UTF-8."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def configure_libraries(environ: MutableMapping[str, str], *, offline: bool) -> None:
    """Set what the libraries read from the environment when they are loaded; what the user has set stays.

    Threads of OpenMP spin while they wait for each other, and on a busy CPU each waits for one that does not run: five
    short texts took 2 s that way, and 0.2 s with threads that sleep.
    """
    if offline:
        environ["HF_HUB_OFFLINE"] = "1"
    environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class SentenceModel:
    """A sentence-transformers model. The device "auto" is CUDA or MPS if available, otherwise the CPU.

    On a CPU that is faster with bfloat16, documents are embedded with it, unless that changes the vectors too much.
    """

    def __init__(self, start: wire.Load) -> None:
        configure_libraries(os.environ, offline=start.offline)
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
        if self.device == "cpu" and has_bfloat16_units():
            self._autocast = torch.autocast("cpu", dtype=torch.bfloat16)
            if not self._agrees_with(sample):
                self._autocast = nullcontext()

    def _agrees_with(self, sample: Any) -> bool:
        """Return True if the model's vectors of ``_SAMPLE`` are close to ``sample``."""
        try:
            again = self.encode(list(_SAMPLE), query=False)
        except RuntimeError:  # a model with a step that requires float32
            return False
        lengths = np.linalg.norm(again, axis=1) * np.linalg.norm(sample, axis=1)
        return bool(np.all((again * sample).sum(axis=1) > _MIN_COSINE * lengths))

    def encode(self, texts: list[str], *, query: bool) -> Any:
        """Run one forward pass, with the model's own prompts for queries and documents."""
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
        # A query takes less time than waking a second thread: on a busy CPU one thread took 25 ms, two took 150 to 400.
        self._torch.set_num_threads(1 if query else self._threads)
        # Nor is a query worth converting all weights to bfloat16.
        with self._torch.inference_mode(), nullcontext() if query else self._autocast:
            return by_role(texts, **options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
