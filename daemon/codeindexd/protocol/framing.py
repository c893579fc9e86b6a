"""Encodes and decodes requests, answers and notifications, one line each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from codeindexd.errors import CodeindexError, UsageError
from codeindexd.protocol.faults import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    UNKNOWN_METHOD,
    ProtocolError,
    RequestId,
    error_to_json,
)
from codeindexd.protocol.methods import METHODS, validate

MAX_REQUEST_BYTES: Final = 1 << 20


class Request(NamedTuple):
    """A well-formed request. A notification (a request without id) is not answered."""

    id: RequestId
    method: str
    params: Mapping[str, Any]
    is_notification: bool = False


class LineBuffer:
    """Splits a stream of bytes into lines.

    After a line longer than ``limit`` bytes, ``oversized`` is True and no more lines are returned. With ``limit`` None,
    lines may have any length.
    """

    def __init__(self, limit: int | None = MAX_REQUEST_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self.oversized = False

    def __len__(self) -> int:
        """Return the size of the unfinished line in bytes."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Append ``data``, and return the lines that it completes, stripped. Blank lines are dropped."""
        if self.oversized:
            return []
        searched = len(self._buffer)
        self._buffer += data
        lines: list[bytes] = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, searched))) >= 0:
            if self._limit is not None and end - start > self._limit:
                break
            if line := bytes(self._buffer[start:end]).strip():
                lines.append(line)
            start = end + 1
        del self._buffer[:start]
        if self._limit is not None and len(self._buffer) > self._limit:
            self.oversized = True
            self._buffer.clear()
        return lines


def encode(message: Mapping[str, Any]) -> bytes:
    """Return ``message`` as one line, with its newline.

    Raises ValueError for NaN and infinity, TypeError for values that JSON cannot represent.
    """
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> Any:
    """Return the JSON value of a line. Raises ProtocolError (-32700) if it is not JSON or nested too deeply."""
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:  # broken UTF-8, broken JSON, numbers of thousands of digits
        reason = str(error)
    raise ProtocolError(PARSE_ERROR, f"the line is not JSON: {reason}", hint="send one JSON object per line")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def request(request_id: RequestId, method: str, params: Mapping[str, Any]) -> bytes:
    """Return the line of a request. Parameters that are None are omitted: the daemon uses defaults.

    Raises UsageError for infinity and NaN.
    """
    kept = {name: value for name, value in params.items() if value is not None}
    try:
        return encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": kept})
    except ValueError:
        raise UsageError(f"{method}: a number is infinite or NaN", hint="use a finite number") from None


def notification(method: str, params: Mapping[str, Any]) -> bytes:
    """Return the line of a notification."""
    return encode({"jsonrpc": "2.0", "method": method, "params": params})


def result(request_id: RequestId, value: Any) -> bytes:
    """Return the line of an answer."""
    return encode({"jsonrpc": "2.0", "id": request_id, "result": value})


def failure(request_id: RequestId, error: CodeindexError) -> bytes:
    """Return the line of an answer that carries an error."""
    return encode({"jsonrpc": "2.0", "id": request_id, "error": error_to_json(error)})


def parse_request(line: bytes) -> Request:
    """Parse and validate a request, and fill in its defaults.

    Raises ProtocolError with the id to answer with: -32700 not JSON, -32600 not a request, -32601 unknown method,
    -32602 wrong parameters (the message names the field).
    """
    value = decode(line)
    if isinstance(value, list):
        raise ProtocolError(INVALID_REQUEST, "batches are not supported", hint="send one request object per line")
    if not isinstance(value, dict):
        raise ProtocolError(INVALID_REQUEST, "a request must be a JSON object", hint="see docs/protocol.md")
    request_id = value.get("id")
    is_infinite = isinstance(request_id, float) and not math.isfinite(request_id)  # 1e999: an answer cannot repeat it
    if is_infinite or isinstance(request_id, bool) or not isinstance(request_id, str | int | float | None):
        raise ProtocolError(INVALID_REQUEST, "id must be a string, a number or null")
    try:
        return Request(request_id, *_method_and_params(value), is_notification="id" not in value)
    except ProtocolError as error:
        error.request_id = request_id
        raise
    except CodeindexError as error:
        raise ProtocolError(error.code, error.message, hint=error.hint, request_id=request_id) from error


def _method_and_params(value: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if value.get("jsonrpc") != "2.0":
        raise ProtocolError(INVALID_REQUEST, 'jsonrpc must be "2.0"')
    method = value.get("method")
    if not isinstance(method, str):
        raise ProtocolError(INVALID_REQUEST, "method must be a string")
    if method not in METHODS:
        shown = method if len(method) <= 80 else method[:80] + "..."
        raise ProtocolError(UNKNOWN_METHOD, f"unknown method: {shown}", hint="methods are: " + ", ".join(METHODS))
    params = value.get("params")
    if params is not None and not isinstance(params, dict):
        raise ProtocolError(INVALID_PARAMS, "params must be an object", hint="pass parameters by name")
    return method, validate(method, params or {})
