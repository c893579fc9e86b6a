"""Which embedding models the daemon has at hand: the configured one, the bundled one, and the one configured before.

The last two only ever embed questions, for roots whose vectors of the configured model are not complete yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from codeindexd.config import Embedding
from codeindexd.embed import create
from codeindexd.embed.base import Embedder
from codeindexd.errors import EmbedderError

log = structlog.get_logger(__name__)


class Models:
    """``configured`` embeds code; ``by_identity`` holds every model that a question can be embedded with."""

    def __init__(self, configured: Embedder, others: Mapping[str, Embedder]) -> None:
        self.configured = configured
        self.others = dict(others)
        self.by_identity = {**others, configured.identity: configured}

    @classmethod
    def open(cls, embedding: Embedding, *, state: Path) -> Models:
        """Blocking. Raises EmbedderError when the configured model cannot be had; the others may be missing."""
        remembered, last = state / "models.json", state / "last-model"
        configured = create(embedding, remembered=remembered)
        others = {}
        for name in {"bundled", _read(last)} - {"", embedding.model}:
            try:
                other = create(msgspec.structs.replace(embedding, model=name), remembered=remembered)
            except EmbedderError as error:
                log.info("a former model is not at hand", error=error.message)  # its name may be a URL with a password
                continue
            others[other.identity] = other
        last.write_text(json.dumps(embedding.model), "utf-8")
        return cls(configured, others)

    async def aclose(self) -> None:
        """End processes and connections of all models."""
        for embedder in self.by_identity.values():
            await embedder.aclose()


def _read(path: Path) -> str:
    try:
        return str(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return ""
