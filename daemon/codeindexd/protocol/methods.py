"""The table of methods with their parameters, and the check of a request against it."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from codeindexd.errors import PathRefusedError, UsageError
from codeindexd.protocol.faults import UNKNOWN_METHOD, ProtocolError
from codeindexd.protocol.places import text_of_path

MAX_LIMIT: Final = 1000  # hits of one answer; snippets are whole chunks, so this is some megabytes


class Param(NamedTuple):
    """One parameter of a method. Kinds: ``text``, ``path`` (absolute), ``name`` (a path below a root), ``paths``
    (list of absolute paths), ``integer``, ``number``, ``boolean``. ``default`` None means: the daemon decides."""

    name: str
    kind: str
    required: bool = False
    default: Any = None
    minimum: float = -math.inf
    maximum: float = math.inf


_PATH = Param("path", "path", required=True)
_ANY_PATH = Param("path", "path")
_ROOTS = Param("roots", "paths")
_LIMIT = Param("limit", "integer", minimum=1, maximum=MAX_LIMIT)
_SECONDS = Param("timeout_s", "number", minimum=0, maximum=7 * 24 * 3600)

METHODS: Final[Mapping[str, tuple[Param, ...]]] = {
    "server.info": (),
    "shutdown": (),
    "metrics": (),
    "roots.add": (
        _PATH,
        Param("wait", "boolean", default=False),
        Param("force", "boolean", default=False),
        Param("workers", "integer", minimum=0, maximum=256),
    ),
    "roots.remove": (_PATH,),
    "roots.list": (),
    "search": (
        Param("query", "text", required=True),
        _ROOTS,
        _LIMIT,
        Param("language", "text"),
        Param("path", "text"),
        Param("kind", "text"),
        Param("sync", "boolean", default=False),
        Param("explain", "boolean", default=False),
    ),
    "related": (
        Param("root", "path", required=True),
        Param("path", "name", required=True),
        Param("line", "integer", required=True, minimum=1, maximum=1 << 40),
        _LIMIT,
    ),
    "symbol": (Param("name", "text", required=True), _ROOTS, Param("references", "boolean", default=False)),
    "sync": (_ANY_PATH, Param("clock", "text"), _SECONDS),
    "status": (_ANY_PATH,),
    "verify": (_ANY_PATH, Param("repair", "boolean", default=False)),
    "explain": (_PATH,),
    "reindex": (_PATH,),
    "pause": (_PATH,),
    "resume": (_PATH,),
    "subscribe": (_ROOTS,),
    "unsubscribe": (_ROOTS,),
}


def validate(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of ``method``, all of them, typed, defaults filled in; unknown fields are dropped.

    A path may come as ``NAME_b64`` instead of ``NAME``. Raises UsageError (-32602) naming the field, PathRefusedError
    for a path that is not absolute, ProtocolError for an unknown method.
    """
    if method not in METHODS:
        raise ProtocolError(UNKNOWN_METHOD, f"unknown method: {method}")
    checked: dict[str, Any] = {}
    for param in METHODS[method]:
        value = params.get(param.name)
        if value is None and param.kind in {"path", "name"}:
            value = _from_base64(param.name, params.get(f"{param.name}_b64"))
        if value is None:
            if param.required:
                raise UsageError(f"{method}: {param.name} is missing", hint=f"{param.name} is {_EXPECTED[param.kind]}.")
            value = param.default
        else:
            value = _check(method, param, value)
        checked[param.name] = value
    return checked


_EXPECTED: Final = {
    "text": "a string",
    "path": "an absolute path",
    "name": "a path relative to its root",
    "paths": "a list of absolute paths",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def _check(method: str, param: Param, value: Any) -> Any:
    typed = _typed(param, value)
    if typed is None:
        expected = _EXPECTED[param.kind]
        raise UsageError(f"{method}: {param.name} must be {expected}, not {_json_type(value)}")
    if isinstance(typed, int | float) and not param.minimum <= typed <= param.maximum:
        bounds = f"{param.minimum:g} to {param.maximum:g}"
        raise UsageError(f"{method}: {param.name} must be {bounds}", hint=f"{value} is out of range.")
    return typed


def _typed(param: Param, value: Any) -> Any:
    match param.kind, value:
        case "boolean", bool():
            return value
        case _, bool():
            return None
        case "integer", int():
            return value
        case "integer", float() if value.is_integer():  # JSON has one kind of number
            return int(value)
        case "number", int() | float() if isinstance(value, int) or math.isfinite(value):
            return value
        case "text", str():
            return value.encode("utf-8", "replace").decode("utf-8")  # lone surrogates are no text
        case "path", str():
            return _absolute(param.name, value)
        case "name", str():
            return _storable(param.name, value)
        case "paths", list() if all(isinstance(item, str) for item in value):
            return [_absolute(param.name, item) for item in value]
    return None


def _json_type(value: Any) -> str:
    names = {bool: "a boolean", str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "null")


def _absolute(name: str, value: str) -> str:
    if not _storable(name, value).startswith("/"):
        raise PathRefusedError(f"{name} is not an absolute path: {value!r}", hint="Paths on the socket are absolute.")
    return value


def _storable(name: str, value: str) -> str:
    if not value or "\0" in value:
        raise UsageError(f"{name} must not be empty or hold a NUL byte")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError(f"{name} is not a path: it holds a lone surrogate") from None
    return value


def _from_base64(name: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        return text_of_path(base64.b64decode(value, validate=True))
    except (binascii.Error, TypeError, ValueError):
        raise UsageError(f"{name}_b64 must be the base64 of a path's bytes") from None
