"""Creation of the configured embedding model; imports only what that model needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codeindexd.analysis.embedding.base import Embedder
    from codeindexd.config import Embedding


BUNDLED_MODEL = "bundled"
"""The name of the bundled model in a configuration."""


def create(embedding: Embedding, *, cache_file: Path | None = None) -> Embedder:
    """Return the embedder that a configuration names: "bundled", an endpoint's URL, a directory or a model's name.

    Blocking: it may hash a model's files, download a model or query an endpoint. ``cache_file`` keeps the results for
    later starts. Raises `EmbedderError` if the model cannot be found or used.
    """
    from codeindexd.analysis.embedding.model_cache import ModelCache

    if embedding.model == BUNDLED_MODEL:
        from codeindexd.analysis.embedding.static_embedder import BundledEmbedder

        return BundledEmbedder()
    cache = ModelCache(cache_file)
    if embedding.model.startswith(("http://", "https://")):
        from codeindexd.analysis.embedding.http import HttpEmbedder

        return HttpEmbedder.open(embedding.model, batch_size=embedding.batch_size, cache=cache)
    from codeindexd.analysis.embedding.transformer import TransformerEmbedder

    return TransformerEmbedder.open(
        embedding.model,
        batch_size=embedding.batch_size,
        device=embedding.device,
        idle_s=embedding.idle_unload_minutes * 60,
        cache=cache,
    )
