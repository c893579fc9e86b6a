"""Creates the configured embedding model, importing only what that model needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codeindexd.analysis.embedding.base import Embedder
    from codeindexd.config import Embedding


BUNDLED_MODEL = "bundled"
"""The name of the bundled model in the configuration."""


def create(embedding: Embedding, *, cache_file: Path | None = None) -> Embedder:
    """Return the configured embedder. Its model is "bundled", an endpoint's URL, a directory, or a hub model's name.

    Blocking: it may hash the model's files, download the model or query the endpoint. ``cache_file`` stores the results
    for later starts. Raises `EmbedderError` if the model cannot be found or used.
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
