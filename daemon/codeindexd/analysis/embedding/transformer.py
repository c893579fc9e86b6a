"""A sentence-transformers model in a process of its own: loaded on demand, let go of when nobody asks.

Importing the library costs seconds and hundreds of megabytes, a model as much again, and either may crash or run out
of memory; none of that may happen to the daemon. Questions go before documents, batch by batch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codeindexd.analysis.embedding import model_files
from codeindexd.analysis.embedding.base import Vectors, unit
from codeindexd.analysis.embedding.model_cache import Note, Notes
from codeindexd.analysis.embedding.model_process import BatchError, ModelProcess, load_once
from codeindexd.analysis.embedding.transformer_process import LOADER
from codeindexd.analysis.embedding.transformer_wire import Load
from codeindexd.errors import EmbedderError

NICE = 10  # behind what people wait for, before what nobody does: a question may be among the batches
_FAILURES = 6  # in a row, beyond those that it takes to find one text in a batch: a few of those may be neighbours
_HINT = "the log says more; text search goes on, vectors wait"


class TransformerEmbedder:
    """See the module. Create it with `open`."""

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
        notes: Notes | None = None,
        loader: str = LOADER,
    ) -> TransformerEmbedder:
        """The embedder of a directory or of a model's name on the hub.

        Blocking: hashes the model's files unless ``notes`` know them, fetches a model that is not here. Raises
        `EmbedderError` when the extra is not installed or there is no such model.
        """
        if loader == LOADER and importlib.util.find_spec("sentence_transformers") is None:
            raise EmbedderError(
                f"the model {model} needs sentence-transformers, which is not installed",
                hint="pip install 'codeindexd[transformers]'",
            )
        directory = model_files.find(model) or _fetch(model, device, loader)
        model_files.refuse_programs(directory)
        load = Load(model=str(directory), device=device, idle_s=idle_s, nice=NICE, offline=True)
        notes = notes or Notes(None)
        key = model_files.stat_key(directory)
        note = notes.get(key)
        if note is None:
            dimensions = model_files.declared_dimensions(directory) or load_once(load, loader)
            note = Note(model_files.content_identity(directory), dimensions)
            notes.put(key, note)
        return cls(
            load, name=model, identity=note.identity, dimensions=note.dimensions, batch_size=batch_size, loader=loader
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
        """See `Embedder`. A batch that ends the process or is too much for its memory is halved, down to one text.

        A text that ended the process alone gets a second try: it may have been somebody else, as where memory is short.
        """
        result = np.full((len(texts), self._dimensions), np.nan, dtype=np.float32)
        left = sorted(range(len(texts)), key=lambda row: len(texts[row]))  # equal lengths together: little padding
        size = self._batch_size
        failures = _Failures(self._batch_size.bit_length() + _FAILURES)
        while left:
            rows = left[-size:]  # the longest first: what does not fit, does not fit at once
            del left[-size:]
            fitted = await self._embed(texts, rows, result, failures)
            size = min(2 * size, self._batch_size) if fitted >= len(rows) else fitted
        return unit(result)

    async def _embed(self, texts: Sequence[str], rows: list[int], result: Vectors, failures: _Failures) -> int:
        """Fill ``rows`` of ``result``, as far as the model has vectors for them; the size of batch that suits the rest.

        Raises EmbedderError when nothing works any more.
        """
        waiting = [rows]
        suspects: set[int] = set()
        fitted, guilty = len(rows), False
        while waiting:
            part = waiting.pop()
            try:
                result[part] = await self._process.encode([texts[row] for row in part], query=False)
            except BatchError as error:
                if failures.too_many():
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
                failures.over()
        return len(rows) if guilty else fitted

    async def embed_query(self, text: str) -> Vectors:
        """See `Embedder`. Waits for loading, seconds, when the model has been let go of; may be cancelled meanwhile."""
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
        """Ends the process."""
        await self._process.aclose()


class _Failures:
    """Counts failures in a row: each costs a start of the process, and a model may fail at everything."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    def too_many(self) -> bool:
        """One more. Whether that is more than is borne."""
        self._count += 1
        return self._count > self._most

    def over(self) -> None:
        """Something worked."""
        self._count = 0


def _fetch(model: str, device: str, loader: str) -> Path:
    if model_files.is_offline():
        raise EmbedderError(
            f"the model {model} is not on this machine, and HF_HUB_OFFLINE forbids to fetch it",
            hint="fetch it once while online, or set embedding.model to a directory that holds it",
        )
    load_once(Load(model=model, device=device, idle_s=1.0, nice=NICE, offline=False), loader)
    directory = model_files.find(model)
    if directory is None:
        raise EmbedderError(
            f"the model {model} was fetched, but not to where the hub's cache should be",
            hint="set embedding.model to its directory",
        )
    return directory
