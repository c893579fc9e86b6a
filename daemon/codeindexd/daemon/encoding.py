"""Encodes answers. Parts that are encoded already are inserted unchanged."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from codeindexd.protocol import RequestId

_LINE_ENDS = {"\u0085": b"\\u0085", "\u2028": b"\\u2028", "\u2029": b"\\u2029"}


def encode_json(value: Any) -> bytes:
    """Return ``value`` as JSON on one line; instances of :class:`msgspec.Raw` in it are JSON already.

    All Unicode line separators are escaped, since line readers in Node.js also split at U+2028, in Python at U+0085.
    NaN and infinity become null. Raises TypeError for values that JSON cannot represent.
    """
    try:
        data = msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):  # a lone surrogate in a path or text; a request id beyond 64 bits
        return json.dumps(value, default=_decode_raw, separators=(",", ":")).encode("ascii")
    for character, escape in _LINE_ENDS.items():
        if (raw := character.encode()) in data:
            data = data.replace(raw, escape)
    return data


def result(request_id: RequestId, value: Any) -> bytes:
    """Return an answer as one line, with its newline."""
    return encode_json({"jsonrpc": "2.0", "id": request_id, "result": value}) + b"\n"


def notification(method: str, params: Any) -> bytes:
    """Return a notification as one line, with its newline."""
    return encode_json({"jsonrpc": "2.0", "method": method, "params": params}) + b"\n"


def _decode_raw(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value))
    raise TypeError(f"{type(value).__name__} is not JSON")
