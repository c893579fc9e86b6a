"""Answers as bytes. Parts that were encoded before are taken over as they are."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from codeindexd.protocol import RequestId

_LINE_ENDS = {"\u0085": b"\\u0085", "\u2028": b"\\u2028", "\u2029": b"\\u2029"}


def encoded(value: Any) -> bytes:
    """Return ``value`` as JSON; values of :class:`msgspec.Raw` in it are JSON already.

    It has no line ends of any kind: readers of lines in Node.js also split at U+2028, those in Python at U+0085.
    NaN and infinity become null. Raises TypeError for what is not JSON.
    """
    try:
        data = msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair in a path or a text; an id of many digits
        return json.dumps(value, default=_loaded, separators=(",", ":")).encode("ascii")
    for character, escape in _LINE_ENDS.items():
        if (raw := character.encode()) in data:
            data = data.replace(raw, escape)
    return data


def result(request_id: RequestId, value: Any) -> bytes:
    """Return the line of an answer."""
    return encoded({"jsonrpc": "2.0", "id": request_id, "result": value}) + b"\n"


def _loaded(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value))
    raise TypeError(f"{type(value).__name__} is not JSON")
