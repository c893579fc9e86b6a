"""A sentence-transformers model in a separate process: loaded on demand, unloaded when idle.

Importing the library takes seconds and hundreds of megabytes, loading a model as much again, and either may crash or
run out of memory, which must not happen to the daemon. Queries are embedded before waiting batches of documents.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codeindexd.analysis.embedding import model_files
from codeindexd.analysis.embedding.base import Vectors, unit
from codeindexd.analysis.embedding.model_cache import ModelCache, ModelFacts
from codeindexd.analysis.embedding.model_process import BatchError, ModelProcess, probe_model
from codeindexd.analysis.embedding.transformer_process import LOADER
from codeindexd.analysis.embedding.transformer_wire import Load
from codeindexd.errors import EmbedderError

NICE = 10  # below interactive programs, above bulk indexing: a query may be waiting
_EXTRA_FAILURES = 6  # successive ones, beyond those needed to find a bad text in a batch: several may be adjacent
_HINT = "see the daemon's log; text search works meanwhile"


class TransformerEmbedder:
    """An :class:`Embedder` that runs a sentence-transformers model in a process. Create it with :meth:`open`."""

    def __init__(
        self, load: Load, *, name: str, identity: str, dimensions: int, batch_size: int = 32, loader: str = LOADER
    ) -> None:
        self._load = load
        self._name = name
        self._identity = identity
        self._dimensions = dimensions
        self._batch_size = batch_size
        self._process = ModelProcess(load, dimensions=dimensions, loader=loader)

    @classmethod
    def open(
        cls,
        model: str,
        *,
        batch_size: int = 32,
        device: str = "auto",
        idle_s: float = 600.0,
        cache: ModelCache | None = None,
        loader: str = LOADER,
    ) -> TransformerEmbedder:
        """Return the embedder for ``model``, a directory or the name of a model on the hub.

        Blocking: hashes the model's files unless the result is in ``cache``, and downloads the model if necessary.
        Raises EmbedderError if sentence-transformers is not installed or there is no such model.
        """
        if loader == LOADER and importlib.util.find_spec("sentence_transformers") is None:
            raise EmbedderError(
                f"the model {model} needs sentence-transformers, which is not installed",
                hint="pip install 'codeindexd[transformers]'",
            )
        directory = model_files.find(model) or _download(model, device, loader)
        model_files.refuse_programs(directory)
        load = Load(model=str(directory), device=device, idle_s=idle_s, nice=NICE, offline=True)
        cache = cache or ModelCache(None)
        key = model_files.stat_key(directory)
        facts = cache.get(key)
        if facts is None:
            dimensions = model_files.declared_dimensions(directory) or probe_model(load, loader)
            facts = ModelFacts(model_files.content_identity(directory), dimensions)
            cache.put(key, facts)
        return cls(
            load, name=model, identity=facts.identity, dimensions=facts.dimensions, batch_size=batch_size, loader=loader
        )

    @property
    def model(self) -> str:
        return self._name

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @property
    def device(self) -> str:
        return self._process.device or self._load.device

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors, as :class:`Embedder` specifies.

        A batch that ends the process or exhausts its memory is halved, down to one text. A text that ended the process
        alone is retried once, because there may have been another cause.
        """
        result = np.full((len(texts), self._dimensions), np.nan, dtype=np.float32)
        left = sorted(
            range(len(texts)), key=lambda row: len(texts[row])
        )  # similar lengths together, for little padding
        size = self._batch_size
        failures = _FailureCounter(self._batch_size.bit_length() + _EXTRA_FAILURES)
        while left:
            rows = left[-size:]  # the longest first, so that a batch that does not fit fails early
            del left[-size:]
            fitted = await self._fill(texts, rows, result, failures)
            size = min(2 * size, self._batch_size) if fitted >= len(rows) else fitted
        return unit(result)

    async def _fill(self, texts: Sequence[str], rows: list[int], result: Vectors, failures: _FailureCounter) -> int:
        """Set those ``rows`` of ``result`` for which the model has vectors, and return the batch size for the rest.

        Raises EmbedderError after too many successive failures.
        """
        waiting = [rows]
        suspects: set[int] = set()
        fitted, guilty = len(rows), False
        while waiting:
            part = waiting.pop()
            try:
                result[part] = await self._process.encode([texts[row] for row in part], query=False)
            except BatchError as error:
                if failures.add_and_check():
                    raise EmbedderError(f"{self._name}: {error.message}", hint=_HINT) from None
                half = len(part) // 2
                if half:
                    waiting += [part[:half], part[half:]]
                    fitted = min(fitted, half)
                elif part[0] in suspects:
                    guilty = True
                else:
                    suspects.add(part[0])
                    waiting.append(part)
            else:
                failures.reset()
        return len(rows) if guilty else fitted

    async def embed_query(self, text: str) -> Vectors:
        """Return the vector, as :class:`Embedder` specifies.

        Loading the model may take seconds; the call can be cancelled.
        """
        try:
            rows = await self._process.encode([text], query=True)
        except BatchError:
            try:
                rows = await self._process.encode([text], query=True)
            except BatchError as error:
                raise EmbedderError(f"{self._name}: {error.message}", hint=_HINT) from None
        vector: Vectors = unit(rows)[0]
        return vector

    async def aclose(self) -> None:
        """Stop the process."""
        await self._process.aclose()


class _FailureCounter:
    """Counts successive failures: each costs a restart of the process, and a model may fail on every text."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0

    def add_and_check(self) -> bool:
        """Count a failure; return True if there are too many."""
        self._count += 1
        return self._count > self._limit

    def reset(self) -> None:
        """Reset the count after a success."""
        self._count = 0


def _download(model: str, device: str, loader: str) -> Path:
    if model_files.is_offline():
        raise EmbedderError(
            f"the model {model} is not on this machine, and HF_HUB_OFFLINE forbids downloading it",
            hint="download it while online, or set [embedding] model to its directory",
        )
    probe_model(Load(model=model, device=device, idle_s=1.0, nice=NICE, offline=False), loader)
    directory = model_files.find(model)
    if directory is None:
        raise EmbedderError(
            f"the model {model} was downloaded, but is not in the hub's cache",
            hint="set [embedding] model to its directory",
        )
    return directory
