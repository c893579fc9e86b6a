"""Which embedding models the daemon has at hand: the configured one, the bundled one, and those configured before.

The others only ever embed questions, for roots whose vectors of the configured model are not complete yet.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
import structlog

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.analysis.embedding.create import create
from codeindexd.config import Embedding
from codeindexd.errors import EmbedderError
from codeindexd.storage.durable import replace_file

log = structlog.get_logger(__name__)


class Embedders:
    """``configured`` embeds code; ``by_identity`` holds every model that a question can be embedded with."""

    def __init__(self, configured: Embedder, others: Mapping[str, Embedder]) -> None:
        self.configured = configured
        self.others = dict(others)
        self.by_identity = {**others, configured.identity: configured}

    @classmethod
    def open(cls, embedding: Embedding, *, state: Path, in_use: Collection[str]) -> Embedders:
        """Blocking. ``in_use`` are the identities that some root holds an index of: their models are remembered.

        Raises EmbedderError when the configured model cannot be had; the others may be missing.
        """
        remembered, last = state / "models.json", state / "last-model"
        configured = create(embedding, remembered=remembered)
        others = {}
        names = [embedding.model]
        for name in dict.fromkeys(["bundled", *_read(last)]):
            if name == embedding.model:
                continue
            try:
                other = create(msgspec.structs.replace(embedding, model=name), remembered=remembered)
            except EmbedderError as error:
                log.info("a former model is not at hand", error=error.message)  # its name may be a URL with a password
                continue
            others[other.identity] = other
            if other.identity in in_use:
                names.append(name)
        _write(last, names)
        return cls(configured, others)

    async def aclose(self) -> None:
        """End processes and connections of all models."""
        for embedder in self.by_identity.values():
            await embedder.aclose()


def _read(path: Path) -> list[str]:
    """The names of the models configured before; the first version kept one alone."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return []
    names = found if isinstance(found, list) else [found]
    return [name for name in names if isinstance(name, str) and name]


def _write(path: Path, names: list[str]) -> None:
    try:
        replace_file(path, json.dumps(names).encode())
    except OSError as error:
        log.warning("the models in use cannot be noted", path=str(path), error=error.strerror)
