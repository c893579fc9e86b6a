"""Embedding models: the bundled one, sentence-transformers in a process of its own, an endpoint over HTTP.

Nothing heavy is imported before it is chosen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codeindexd.analysis.embedding.base import Embedder
    from codeindexd.config import Embedding


def create(embedding: Embedding, *, remembered: Path | None = None) -> Embedder:
    """The embedder that a configuration names: "bundled", the URL of an endpoint, a directory or a model's name.

    Blocking: it may hash a model's files, fetch a model or ask an endpoint once. ``remembered`` is a file where
    what was found out is kept, so that a later start needs neither. Raises `EmbedderError`.
    """
    from codeindexd.analysis.embedding.model_cache import Notes

    if embedding.model == "bundled":
        from codeindexd.analysis.embedding.static_embedder import BundledEmbedder

        return BundledEmbedder()
    notes = Notes(remembered)
    if embedding.model.startswith(("http://", "https://")):
        from codeindexd.analysis.embedding.http import HttpEmbedder

        return HttpEmbedder.open(embedding.model, batch_size=embedding.batch_size, notes=notes)
    from codeindexd.analysis.embedding.transformer import TransformerEmbedder

    return TransformerEmbedder.open(
        embedding.model,
        batch_size=embedding.batch_size,
        device=embedding.device,
        idle_s=embedding.idle_unload_minutes * 60,
        notes=notes,
    )
