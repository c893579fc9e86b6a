"""An embedding model behind an OpenAI-compatible endpoint: ``POST <url>/v1/embeddings``.

Only this module sends text to another machine, and only to the configured URL: redirects are not followed. The API key
is read from the environment and appears in no log or message.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import anyio
import httpx
import numpy as np

from codeindexd.analysis.embedding import openai_api as wire
from codeindexd.analysis.embedding.base import RowsRefusedError, Vectors, unit
from codeindexd.analysis.embedding.model_cache import ModelCache, ModelFacts
from codeindexd.analysis.embedding.openai_api import Endpoint
from codeindexd.errors import EmbedderError

API_KEY = "CODEINDEXD_EMBEDDING_API_KEY"
_MAX_CONCURRENT = 4  # requests: hides the latency of a remote endpoint without overloading a local one
_ATTEMPTS = 5
_QUERY_ATTEMPTS = 2
_PROBE_TIMEOUT_S = 10.0
_TRANSIENT_ERRORS = (httpx.TimeoutException, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_HINT_TOO_LONG = "the endpoint refuses these texts but accepts others: try a smaller [index] max_chunk_bytes"


class HttpEmbedder:
    """An :class:`Embedder` that sends texts to an endpoint. Create it with :meth:`open`."""

    device = "remote"

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        dimensions: int,
        batch_size: int = 32,
        timeout_s: float = 60.0,
        pause_s: float = 0.5,
        api_key: str = "",
    ) -> None:
        self._endpoint = endpoint
        self._dimensions = dimensions
        self._batch_size = batch_size
        self._pause_s = pause_s
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _PROBE_TIMEOUT_S)),
            headers=_headers(api_key),
            auth=None if api_key else endpoint.credentials,
            trust_env=not endpoint.is_local,  # no proxy for this machine
        )
        self._limiter = anyio.CapacityLimiter(_MAX_CONCURRENT)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        batch_size: int = 32,
        timeout_s: float = 60.0,
        pause_s: float = 0.5,
        cache: ModelCache | None = None,
    ) -> HttpEmbedder:
        """Return the embedder for ``url``. Blocking.

        Its dimensions are taken from the URL, from ``cache``, or from one request. Raises EmbedderError if the URL is
        invalid, or if that request fails.
        """
        endpoint = Endpoint.parse(url)
        api_key = os.environ.get(API_KEY, "").strip()
        cache = cache or ModelCache(None)
        facts = cache.get(endpoint.key)
        dimensions = endpoint.dimensions or (facts.dimensions if facts else 0)
        if not dimensions:
            dimensions = _probe(endpoint, api_key, min(timeout_s, _PROBE_TIMEOUT_S))
            cache.put(endpoint.key, ModelFacts("", dimensions))
        return cls(
            endpoint,
            dimensions=dimensions,
            batch_size=batch_size,
            timeout_s=timeout_s,
            pause_s=pause_s,
            api_key=api_key,
        )

    @property
    def model(self) -> str:
        return self._endpoint.name

    @property
    def dimensions(self) -> int:
        return self._dimensions

    @functools.cached_property
    def identity(self) -> str:
        """A hash of the URL (without credentials), model, prompts and dimensions; the weights are not accessible."""
        return wire.digest(f"{self._endpoint.key}\n{self._dimensions}")

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        result = np.full((len(texts), self._dimensions), np.nan, dtype=np.float32)
        failures: list[EmbedderError] = []

        async def fill(start: int) -> None:
            part = [self._endpoint.document_prompt + text for text in texts[start : start + self._batch_size]]
            async with self._limiter:
                try:
                    if not failures:
                        result[start : start + len(part)] = await self._embed_or_split(part)
                except EmbedderError as error:
                    failures.append(error)

        async with anyio.create_task_group() as tasks:
            for start in range(0, len(texts), self._batch_size):
                tasks.start_soon(fill, start)
        if failures:
            raise failures[0]
        try:
            return unit(result)
        except RowsRefusedError as error:
            raise RowsRefusedError(error.message, rows=error.rows, vectors=error.vectors, hint=_HINT_TOO_LONG) from None

    async def embed_query(self, text: str) -> Vectors:
        rows = await self._embed([self._endpoint.query_prompt + text], attempts=_QUERY_ATTEMPTS)
        vector: Vectors = unit(rows)[0]
        return vector

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _embed_or_split(self, texts: list[str]) -> Vectors:
        """Return the vectors (n, d) of ``texts``; NaN for each text that the endpoint refuses even alone.

        Raises EmbedderError.
        """
        try:
            return await self._embed(texts, attempts=_ATTEMPTS)
        except wire.RefusedError as error:
            refused = error
        if len(texts) > 1:
            middle = len(texts) // 2
            return np.concatenate(
                [await self._embed_or_split(texts[:middle]), await self._embed_or_split(texts[middle:])]
            )
        try:
            await self._embed(["a"], attempts=_ATTEMPTS)  # finds out whether it refuses this text or every text
        except wire.RefusedError:
            raise EmbedderError(refused.message, hint=refused.hint) from None
        return np.full((1, self._dimensions), np.nan, dtype=np.float32)

    async def _embed(self, texts: list[str], *, attempts: int) -> Vectors:
        """Return the vectors of one request, which is repeated after transient errors. Raises EmbedderError."""
        body = self._endpoint.request(texts)
        for attempt in range(1, attempts + 1):
            try:
                response = await self._client.post(self._endpoint.url, content=body)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if attempt == attempts or not isinstance(error, _TRANSIENT_ERRORS):
                    raise _unreachable(self._endpoint, error) from error
                pause = wire.backoff(attempt, self._pause_s)
            else:
                if response.status_code == httpx.codes.OK:
                    return wire.rows(self._endpoint, response.content, len(texts), self._dimensions)
                if attempt == attempts or not wire.is_transient(response.status_code):
                    raise wire.refusal(self._endpoint, response)
                pause = wire.retry_after(response.headers) or wire.backoff(attempt, self._pause_s)
            await anyio.sleep(pause)
        raise AssertionError("unreachable")


def _probe(endpoint: Endpoint, api_key: str, timeout_s: float) -> int:
    """Return the dimensions of the endpoint's vectors. Blocking. Raises EmbedderError."""
    try:
        response = httpx.post(
            endpoint.url,
            content=endpoint.request(["dimensions"]),
            timeout=timeout_s,
            headers=_headers(api_key),
            auth=None if api_key else endpoint.credentials,
            trust_env=not endpoint.is_local,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(endpoint, error) from error
    if response.status_code != httpx.codes.OK:
        raise wire.refusal(endpoint, response)
    return int(wire.rows(endpoint, response.content, 1, 0).shape[1])


def _unreachable(endpoint: Endpoint, error: Exception) -> EmbedderError:
    return wire.unreachable(endpoint, error, timed_out=isinstance(error, httpx.TimeoutException))


def _headers(api_key: str) -> dict[str, str]:
    """Return the request headers.

    Raises EmbedderError if the key contains invalid characters; an error of httpx would quote it.
    """
    if not (api_key.isascii() and (not api_key or api_key.isprintable())):
        raise EmbedderError(
            f"{API_KEY} contains characters that are not allowed in an HTTP header", hint="copy the key again"
        )
    headers = {"content-type": "application/json", "user-agent": "codeindexd"}
    if api_key:
        headers["authorization"] = f"Bearer {api_key}"
    return headers
