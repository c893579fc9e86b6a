"""The OpenAI-compatible embeddings protocol: URLs, requests, answers, errors, retry pauses. No I/O."""

from __future__ import annotations

import datetime
import email.utils
import ipaddress
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import msgspec
import numpy as np
import xxhash
from msgspec import Struct

from codeindexd.analysis.embedding.base import Vectors
from codeindexd.errors import EmbedderError

if TYPE_CHECKING:
    import httpx

MAX_PAUSE_S = 30.0
_MIN_SECRET_CHARS = 4  # shorter strings occur in any text by chance
_FORM = "set [embedding] model to a URL such as http://localhost:8080/v1#model=NAME"
_ESCAPES = "in a user name or password, write : / ? # [ ] @ as %3A %2F %3F %23 %5B %5D %40"
_OPTIONS = "options are model, dimensions, query_prompt, document_prompt; write a # in a password as %23"
_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_REFUSED = frozenset({400, 413, 422})


class RefusedError(EmbedderError):
    """The endpoint refuses this request, but may accept others."""


class _Item(msgspec.Struct):
    embedding: list[float]
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Item]


class Endpoint(Struct, frozen=True):
    """The endpoint of an embedding model.

    ``dimensions`` 0 means the model's default; the prompts are prepended to texts. ``repr`` shows no credentials.
    """

    url: str
    model: str
    dimensions: int
    query_prompt: str
    document_prompt: str
    credentials: tuple[str, str] | None
    is_local: bool

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Parse ``scheme://[user:password@]host[:port][/v1[/embeddings]][#model]``.

        ``/v1/embeddings`` is appended to any other path. The part after the ``#`` may also consist of options:
        ``model=..&dimensions=..&query_prompt=..&document_prompt=..`` (percent-encoded). Raises EmbedderError for an
        invalid URL.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
            options = _options(parts.fragment)
            dimensions = int(options.get("dimensions", "0"))
        except ValueError:  # its message may quote any part of the URL, including a password
            raise EmbedderError("cannot parse the endpoint's URL", hint=f"{_FORM}; {_ESCAPES}") from None
        if options.keys() - {"model", "dimensions", "query_prompt", "document_prompt"}:
            raise EmbedderError("the endpoint's URL has unknown options after the #", hint=_OPTIONS)
        if parts.scheme not in ("http", "https") or not host or dimensions < 0:
            raise EmbedderError("the endpoint's URL has a wrong scheme, host or dimensions", hint=_FORM)
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
    def public_url(self) -> str:
        """The URL without the query string, which may contain a key; for messages."""
        return self.url.partition("?")[0]

    @property
    def name(self) -> str:
        """The name shown to users."""
        return f"{self.public_url}#{self.model}" if self.model else self.public_url

    @property
    def key(self) -> str:
        """A cache key: everything that determines a vector, without credentials and query string."""
        return "\n".join(
            ("http1", self.public_url, self.model, str(self.dimensions), self.query_prompt, self.document_prompt)
        )

    def request(self, texts: list[str]) -> bytes:
        """Return the body of a request for ``texts``. Empty texts are sent as a space, since endpoints refuse them."""
        body: dict[str, object] = {"input": [text or " " for text in texts], "encoding_format": "float"}
        if self.model:
            body["model"] = self.model
        if self.dimensions:
            body["dimensions"] = self.dimensions
        return msgspec.json.encode(body)


def rows(endpoint: Endpoint, body: bytes, count: int, dimensions: int) -> Vectors:
    """Return the vectors (count, d) in an answer's ``body``, in the order of the request, not normalised.

    Raises EmbedderError if the answer is malformed, or has the wrong number of vectors or ``dimensions`` (0: any).
    """
    try:
        items = msgspec.json.decode(body, type=_Answer).data
    except msgspec.MsgspecError as error:
        raise EmbedderError(f"{endpoint.public_url} did not answer with embeddings: {error}", hint=_FORM) from None
    if any(item.index is not None for item in items):
        items.sort(key=lambda item: -1 if item.index is None else item.index)
        if [item.index for item in items] != list(range(count)):
            raise EmbedderError(f"{endpoint.public_url} numbered its answers to {count} texts wrongly", hint=_FORM)
    if len(items) != count:
        raise EmbedderError(f"{endpoint.public_url} returned {len(items)} vectors for {count} texts", hint=_FORM)
    found = {len(item.embedding) for item in items}
    if len(found) != 1 or 0 in found or (dimensions and found != {dimensions}):
        sizes = " and ".join(map(str, sorted(found)))
        raise EmbedderError(
            f"{endpoint.public_url} returned vectors of {sizes} dimensions, not {dimensions or 'one size'}",
            hint="the model there has changed: name it in [embedding] model and restart the daemon",
        )
    with np.errstate(over="ignore"):
        return np.array([item.embedding for item in items], dtype=np.float64).astype(np.float32)


def is_transient(status: int) -> bool:
    """Return True if a request with this HTTP status may succeed when it is retried."""
    return status in _TRANSIENT


def refusal(endpoint: Endpoint, response: httpx.Response) -> EmbedderError:
    """Return the error for a response with a status other than 200; it quotes no secret."""
    status = response.status_code
    excerpt = "" if _repeats_secrets(endpoint, response) else " ".join(response.text[:300].split())
    message = f"{endpoint.public_url} answered {status} {response.reason_phrase}"
    if status in (401, 403, 407):  # without the excerpt, which may repeat a part of the key
        return EmbedderError(message, hint="set CODEINDEXD_EMBEDDING_API_KEY in the daemon's environment")
    message += f": {excerpt}" if excerpt else ""
    if status in _REFUSED:
        return RefusedError(message, hint="check the model's name, and that it is an embedding model")
    if status == 404:
        return EmbedderError(message, hint=f"no such model or path; {_FORM}")
    if 300 <= status < 400:
        return EmbedderError(message, hint="redirects are not followed: use the final URL")
    return EmbedderError(message, hint="check the endpoint; missing vectors are computed once it recovers")


def _repeats_secrets(endpoint: Endpoint, response: httpx.Response) -> bool:
    """Return True if a response repeats credentials of its request: some quote its headers or its whole URL."""
    query = urlsplit(endpoint.url).query
    sent = [response.request.headers.get("authorization", "").partition(" ")[2], query, *(endpoint.credentials or ())]
    sent += [value for values in parse_qs(query).values() for value in values]
    return any(len(secret) >= _MIN_SECRET_CHARS and secret in response.text for secret in sent)


def unreachable(endpoint: Endpoint, error: Exception, *, timed_out: bool) -> EmbedderError:
    """Return the error for a request that got no response."""
    if timed_out:
        return EmbedderError(f"{endpoint.public_url} did not answer in time", hint="check its load and the URL")
    detail = str(error) or type(error).__name__
    return EmbedderError(f"cannot reach {endpoint.public_url}: {detail}", hint="check that the server is running")


def backoff(attempt: int, pause_s: float) -> float:
    """Return the seconds to wait after the ``attempt``-th failure: exponential from ``pause_s``, half of it random."""
    pause: float = min(MAX_PAUSE_S, pause_s * 2.0 ** (attempt - 1))
    return pause * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret


def retry_after(headers: Mapping[str, str], now: datetime.datetime | None = None) -> float | None:
    """Return the seconds that the header ``Retry-After`` asks for, at most ``MAX_PAUSE_S``; None without it."""
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
    """Return a hash of ``text`` with 32 hex digits, for use as an identity."""
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
