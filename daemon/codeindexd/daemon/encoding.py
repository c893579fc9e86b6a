"""Answers as bytes. Parts that were encoded before are taken over as they are."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from codeindexd.protocol import RequestId


def encoded(value: Any) -> bytes:
    """Return ``value`` as JSON without line ends; values of :class:`msgspec.Raw` in it are JSON already.

    NaN and infinity become null. Raises TypeError for what is not JSON.
    """
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair in a path or a text; an id of many digits
        return json.dumps(value, default=_loaded, separators=(",", ":")).encode("ascii")


def result(request_id: RequestId, value: Any) -> bytes:
    """Return the line of an answer."""
    return encoded({"jsonrpc": "2.0", "id": request_id, "result": value}) + b"\n"


def _loaded(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value))
    raise TypeError(f"{type(value).__name__} is not JSON")
