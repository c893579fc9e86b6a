"""The OpenAI-compatible embeddings protocol as values: URLs, requests, answers, refusals, pauses. No I/O."""

from __future__ import annotations

import datetime
import email.utils
import ipaddress
import random
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import httpx
import msgspec
import numpy as np
import xxhash

from codeindexd.analysis.embedding.base import Vectors
from codeindexd.errors import EmbedderError

MAX_PAUSE_S = 30.0
_LEAST_SECRET = 4  # characters; what is shorter stands in any text by chance
_FORM = "set embedding.model to an URL such as http://localhost:8080/v1#model=NAME"
_ESCAPES = "in a name or password : / ? # [ ] @ are written %3A %2F %3F %23 %5B %5D %40"
_OPTIONS = "known are model, dimensions, query_prompt, document_prompt; a # in a password is written %23"
_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_REFUSED = frozenset({400, 413, 422})


class RefusedError(EmbedderError):
    """The endpoint will not take this request, but may take another."""


class _Item(msgspec.Struct):
    embedding: list[float]
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Item]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an embedding model answers. ``dimensions`` 0 = whatever it gives. ``repr`` shows no credentials."""

    url: str
    model: str
    dimensions: int
    query_prompt: str
    document_prompt: str
    credentials: tuple[str, str] | None
    is_local: bool

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """From ``scheme://[user:password@]host[:port][/v1[/embeddings]][#model]`` or, after the ``#``,
        ``model=..&dimensions=..&query_prompt=..&document_prompt=..`` (percent-encoded). Raises `EmbedderError`.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
            options = _options(parts.fragment)
            dimensions = int(options.get("dimensions", "0"))
        except ValueError:  # its text may quote any part of the URL, a password among them
            raise EmbedderError("the endpoint's URL cannot be read", hint=f"{_FORM}; {_ESCAPES}") from None
        if options.keys() - {"model", "dimensions", "query_prompt", "document_prompt"}:
            raise EmbedderError("the endpoint's URL cannot be used: it has unknown options after the #", hint=_OPTIONS)
        if parts.scheme not in ("http", "https") or not host or dimensions < 0:
            what = "scheme, host or dimensions are wrong"
            raise EmbedderError(f"the endpoint's URL cannot be used: {what}", hint=_FORM)
        path = parts.path.rstrip("/")
        if not path.endswith("/embeddings"):
            path += "/embeddings" if path.endswith("/v1") else "/v1/embeddings"
        netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
        user = (unquote(parts.username or ""), unquote(parts.password or ""))
        return cls(
            url=urlunsplit((parts.scheme, netloc, path, parts.query, "")),
            model=options.get("model", ""),
            dimensions=dimensions,
            query_prompt=options.get("query_prompt", ""),
            document_prompt=options.get("document_prompt", ""),
            credentials=user if any(user) else None,
            is_local=_is_local(host),
        )

    def __repr__(self) -> str:
        return f"Endpoint({self.name})"

    @property
    def place(self) -> str:
        """Scheme, host, port and path: fit for messages (a query string may hold a key)."""
        return self.url.partition("?")[0]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.place}#{self.model}" if self.model else self.place

    @property
    def key(self) -> str:
        """Everything but the dimensions that decides what a vector looks like; no credentials, no query string."""
        return "\n".join(
            ("http1", self.place, self.model, str(self.dimensions), self.query_prompt, self.document_prompt)
        )

    def request(self, texts: list[str]) -> bytes:
        """The body that asks for ``texts``; an empty text is sent as a blank, which endpoints accept."""
        body: dict[str, object] = {"input": [text or " " for text in texts], "encoding_format": "float"}
        if self.model:
            body["model"] = self.model
        if self.dimensions:
            body["dimensions"] = self.dimensions
        return msgspec.json.encode(body)


def rows(endpoint: Endpoint, body: bytes, count: int, dimensions: int) -> Vectors:
    """The vectors of an answer in the order of the request, shape (count, d), as the endpoint gave them.

    Raises `EmbedderError` when it is no answer, or one with other numbers of vectors or dimensions (0 = any).
    """
    try:
        items = msgspec.json.decode(body, type=_Answer).data
    except msgspec.MsgspecError as error:
        raise EmbedderError(f"{endpoint.place} did not answer with embeddings: {error}", hint=_FORM) from None
    if any(item.index is not None for item in items):
        items.sort(key=lambda item: -1 if item.index is None else item.index)
        if [item.index for item in items] != list(range(count)):
            raise EmbedderError(f"{endpoint.place} mixed up the order of {count} texts")
    if len(items) != count:
        raise EmbedderError(f"{endpoint.place} gave {len(items)} vectors for {count} texts")
    found = {len(item.embedding) for item in items}
    if len(found) != 1 or 0 in found or (dimensions and found != {dimensions}):
        raise EmbedderError(
            f"{endpoint.place} gave vectors of {sorted(found)} dimensions, not {dimensions or 'one size'}",
            hint="another model answers there now; name it in embedding.model and restart the daemon",
        )
    with np.errstate(over="ignore"):
        return np.array([item.embedding for item in items], dtype=np.float64).astype(np.float32)


def is_transient(status: int) -> bool:
    """Whether asking again may help."""
    return status in _TRANSIENT


def refusal(endpoint: Endpoint, response: httpx.Response) -> EmbedderError:
    """The error for an answer that is not 200."""
    status = response.status_code
    excerpt = "" if _repeats_secrets(endpoint, response) else " ".join(response.text[:300].split())
    message = f"{endpoint.place} answered {status} {response.reason_phrase}"
    if status in (401, 403, 407):  # without the excerpt, which may repeat a part of the key
        return EmbedderError(message, hint="set CODEINDEXD_EMBEDDING_API_KEY in the daemon's environment")
    message += f": {excerpt}" if excerpt else ""
    if status in _REFUSED:
        return RefusedError(message, hint="is the model's name right, and is it an embedding model?")
    if status == 404:
        return EmbedderError(message, hint=f"no such model or path; {_FORM}")
    if 300 <= status < 400:
        return EmbedderError(message, hint="redirects are not followed: give the final URL")
    return EmbedderError(message, hint="the endpoint has trouble; vectors are made up for when it has not")


def _repeats_secrets(endpoint: Endpoint, response: httpx.Response) -> bool:
    """Whether an answer holds what the request proved itself with: some repeat its headers or its whole URL."""
    query = urlsplit(endpoint.url).query
    sent = [response.request.headers.get("authorization", "").partition(" ")[2], query, *(endpoint.credentials or ())]
    sent += [value for values in parse_qs(query).values() for value in values]
    return any(len(secret) >= _LEAST_SECRET and secret in response.text for secret in sent)


def unreachable(endpoint: Endpoint, error: Exception) -> EmbedderError:
    """The error for a request without an answer."""
    if isinstance(error, httpx.TimeoutException):
        return EmbedderError(f"{endpoint.place} did not answer in time", hint="is it busy, or is the URL wrong?")
    detail = str(error) or type(error).__name__
    return EmbedderError(f"{endpoint.place} cannot be reached: {detail}", hint="is the server running there?")


def backoff(attempt: int, pause_s: float) -> float:
    """Seconds to wait after the ``attempt``-th failure: doubling, half of it by chance."""
    pause: float = min(MAX_PAUSE_S, pause_s * 2.0 ** (attempt - 1))
    return pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def retry_after(headers: Mapping[str, str], now: datetime.datetime | None = None) -> float | None:
    """Seconds that ``Retry-After`` asks for, at most `MAX_PAUSE_S`; None when it does not."""
    value: str = headers.get("retry-after", "").strip()
    if value.isdigit():
        return min(MAX_PAUSE_S, float(value))
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    seconds = float((when - (now or datetime.datetime.now(datetime.UTC))).total_seconds())
    return min(MAX_PAUSE_S, max(0.0, seconds))


def digest(text: str) -> str:
    """An identity: 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8"))


def _options(fragment: str) -> dict[str, str]:
    if "=" not in fragment:
        return {"model": unquote(fragment)} if fragment else {}
    return {name: values[-1] for name, values in parse_qs(fragment, strict_parsing=True).items()}


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
