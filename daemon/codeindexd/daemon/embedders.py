"""The embedding models that the daemon can use: the configured one, the bundled one, and those configured before.

The configured model embeds code and queries. The others embed only queries, for roots whose vectors of the configured
model are not complete yet.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import structlog

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.analysis.embedding.create import create
from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.analysis.embedding.static_embedder import BundledEmbedder
from codeindexd.config import Embedding
from codeindexd.errors import EmbedderError
from codeindexd.storage.durable import replace_file

log = structlog.get_logger(__name__)


class Embedders:
    """The configured model, and all models that can embed queries, by identity."""

    def __init__(self, configured: Embedder, others: Mapping[str, Embedder]) -> None:
        self.configured = configured
        self.others = dict(others)
        self.by_identity = {**others, configured.identity: configured}

    @classmethod
    def open(cls, embedding: Embedding, *, state: Path, in_use: Collection[str]) -> Embedders:
        """Open the configured model, and the others as far as they are available. Blocking.

        ``in_use`` holds the identities of the models that have a dense index in some root. The names of these models
        are saved in the directory ``state``, so that they are opened again next time. An endpoint on a server that the
        configuration no longer names is not opened: questions must not be sent there any more.

        Raises EmbedderError if the configured model cannot be opened.
        """
        cache_file, names_file = state / "models.json", state / "last-model"
        configured = create(embedding, cache_file=cache_file)
        others = {}
        names = [embedding.model]
        for name in dict.fromkeys(["bundled", *_read_names(names_file)]):
            if name == embedding.model or not _may_be_asked(name, embedding.model):
                continue
            try:
                other = create(msgspec.structs.replace(embedding, model=name), cache_file=cache_file)
            except EmbedderError as error:
                log.info("previous_model_unavailable", error=error.message)  # its name may hold a password
                continue
            others[other.identity] = other
            if other.identity in in_use:
                names.append(name)
        _write_names(names_file, names)
        return cls(configured, others)

    @property
    def bundled(self) -> StaticModel | None:
        """The bundled model, None if its files are missing. It embeds names quickly, whatever model embeds code."""
        models = (embedder.static for embedder in self.by_identity.values() if isinstance(embedder, BundledEmbedder))
        return next(models, None)

    async def aclose(self) -> None:
        """Close the processes and connections of all models."""
        for embedder in self.by_identity.values():
            await embedder.aclose()


def _may_be_asked(name: str, configured: str) -> bool:
    """Return True if a model configured before is on this machine, or on the server of the configured endpoint."""
    server = _server(name)
    return server is None or server == _server(configured)


def _server(model: str) -> tuple[str, str | None, int | None] | None:
    """Return scheme, host and port of an endpoint, None for another model."""
    if not model.startswith(("http://", "https://")):
        return None
    try:
        parts = urlsplit(model)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return model, None, None


def _read_names(path: Path) -> list[str]:
    """Return the names of the models configured before, [] if unknown. The first version saved a single string."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return []
    names = found if isinstance(found, list) else [found]
    return [name for name in names if isinstance(name, str) and name]


def _write_names(path: Path, names: list[str]) -> None:
    try:
        replace_file(path, json.dumps(names).encode())
    except OSError as error:
        log.warning("used_models_not_saved", path=str(path), error=error.strerror)
