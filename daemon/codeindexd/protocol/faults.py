"""Errors on the wire: their codes, and conversion to and from the classes of errors.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from codeindexd.errors import (
    AlreadyRunningError,
    CodeindexError,
    ConfigError,
    EmbedderError,
    FailedError,
    InvalidQueryError,
    NoDaemonError,
    NotIndexedError,
    PathRefusedError,
    ShuttingDownError,
    StoreDamagedError,
    StoreFullError,
    TimedOutError,
    UsageError,
    WatchError,
    WorkerError,
)

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
UNKNOWN_METHOD: Final = -32601
INVALID_PARAMS: Final = -32602

RequestId = str | int | float | None


class ProtocolError(CodeindexError):
    """A line that is not a request of this protocol. ``request_id`` is the id to answer with, if it could be read."""

    name = "protocol"

    def __init__(self, code: int, message: str, *, hint: str = "", request_id: RequestId = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.request_id = request_id


_BY_NAME: Final[Mapping[str, type[CodeindexError]]] = {
    kind.name: kind
    for kind in (
        NotIndexedError,
        InvalidQueryError,
        TimedOutError,
        PathRefusedError,
        FailedError,
        ShuttingDownError,
        NoDaemonError,
        UsageError,
        ConfigError,
        AlreadyRunningError,
        StoreDamagedError,
        StoreFullError,
        WatchError,
        EmbedderError,
        WorkerError,
    )
}
_BY_CODE: Final[Mapping[int, type[CodeindexError]]] = {
    kind.code: kind
    for kind in (NotIndexedError, InvalidQueryError, TimedOutError, PathRefusedError, ShuttingDownError, UsageError)
}


def error_to_json(error: CodeindexError) -> dict[str, Any]:
    """Return ``{"code", "message", "data": {"hint", "name"}}``."""
    return {"code": error.code, "message": error.message, "data": {"hint": error.hint, "name": error.name}}


def error_from_json(value: Any) -> CodeindexError:
    """Return the error in an answer, as its own class if that is known. Never raises."""
    fields = value if isinstance(value, dict) else {}
    data = fields.get("data")
    data = data if isinstance(data, dict) else {}
    code, message, hint = fields.get("code"), str(fields.get("message", "unknown error")), str(data.get("hint", ""))
    kind = _BY_NAME.get(str(data.get("name"))) or (_BY_CODE.get(code) if isinstance(code, int) else None)
    if kind is not None:
        return kind(message, hint=hint)
    if isinstance(code, int) and code < 0:
        return ProtocolError(code, message, hint=hint)
    return FailedError(message, hint=hint)
