"""Creates the configured embedding model, importing only what that model needs."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from codeindexd.errors import ConfigError, EmbedderError

if TYPE_CHECKING:
    from codeindexd.analysis.embedding.base import Embedder
    from codeindexd.config import Embedding


BUNDLED_MODEL = "bundled"
"""The name of the bundled model in the configuration."""
ENDPOINT_REMEDY = "pip install 'codeindexd[endpoint]', or set [embedding] model = \"bundled\" in config.toml"
"""What to do where the library for endpoints is missing."""


def check_model(model: str) -> None:
    """Raise EmbedderError if a configured model cannot be one: a wrong URL, name or directory, or a misspelling.

    Neither the hub nor an endpoint is asked, and no library is needed.
    """
    if model == BUNDLED_MODEL:
        return
    if model.startswith(("http://", "https://")):
        from codeindexd.analysis.embedding.openai_api import Endpoint

        Endpoint.parse(model)
        return
    if difflib.get_close_matches(model.strip().lower(), [BUNDLED_MODEL], cutoff=0.8):
        raise EmbedderError(f"{model} is not a model", hint=f'did you mean "{BUNDLED_MODEL}"?')
    from codeindexd.analysis.embedding import model_files

    model_files.find(model)


def require_model(embedding: Embedding) -> None:
    """Raise ConfigError, after which a service is not started again, if :func:`check_model` refuses the model."""
    try:
        check_model(embedding.model)
    except EmbedderError as error:
        raise ConfigError(f"[embedding] model: {error.message}", hint=error.hint) from None


def needs_download(model: str) -> bool:
    """Return True if :func:`create` has to fetch ``model`` from the hub, which may take minutes.

    Raises EmbedderError.
    """
    if model == BUNDLED_MODEL or model.startswith(("http://", "https://")):
        return False
    from codeindexd.analysis.embedding import model_files

    return model_files.find(model) is None and not model_files.is_offline()


def create(embedding: Embedding, *, cache_file: Path | None = None) -> Embedder:
    """Return the configured embedder. Its model is "bundled", an endpoint's URL, a directory, or a hub model's name.

    Blocking: it may hash the model's files, download the model or query the endpoint. ``cache_file`` stores the results
    for later starts. Raises EmbedderError if the model cannot be found or used.
    """
    from codeindexd.analysis.embedding.model_cache import ModelCache

    if embedding.model == BUNDLED_MODEL:
        from codeindexd.analysis.embedding.static_embedder import BundledEmbedder

        return BundledEmbedder()
    check_model(embedding.model)
    cache = ModelCache(cache_file)
    if embedding.model.startswith(("http://", "https://")):
        if importlib.util.find_spec("httpx") is None:
            message = "an embedding endpoint is configured, but httpx is not installed"
            raise EmbedderError(message, hint=ENDPOINT_REMEDY)
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
