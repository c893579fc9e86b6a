"""The table of methods with their parameters, and validation against it."""

from __future__ import annotations

import base64
import binascii
import enum
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from codeindexd.errors import PathRefusedError, UsageError
from codeindexd.protocol.faults import UNKNOWN_METHOD, ProtocolError
from codeindexd.protocol.places import text_of_path

MAX_LINES: Final = 100_000  # lines in an answer of grep that is not streamed; a line is cut at 4 KB
MAX_LINE_BYTES: Final = 16 << 20  # of a line in an answer of grep that is streamed
MAX_CONTEXT: Final = 1000  # lines around a match
MAX_DEPTH: Final = 20  # edges of the code graph
MAX_TOKENS: Final = 100_000  # of a map
MAX_WORKERS: Final = 256
HOW_TO_NARROW: Final = "narrow the search with a path, a glob or a longer pattern"  # ends a note on lines left out
MAX_LIMIT: Final = 1000  # hits in one answer; snippets are whole chunks, so this is a few megabytes


class ParamKind(enum.Enum):
    """The type of a parameter; the value describes it in error messages."""

    TEXT = "a string"
    PATH = "an absolute path"
    NAME = "a path relative to its root"
    PATHS = "a list of absolute paths"
    TEXTS = "a list of strings"
    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "true or false"


class Param(NamedTuple):
    """A parameter of a method. If ``default`` is None, the method's handler decides.

    In the text of an ``exact`` parameter, a lone surrogate (a byte that is not UTF-8) is an error; in any other it is
    replaced.
    """

    name: str
    kind: ParamKind
    required: bool = False
    default: Any = None
    minimum: float = -math.inf
    maximum: float = math.inf
    exact: bool = False


_PATH = Param("path", ParamKind.PATH, required=True)
_OPTIONAL_PATH = Param("path", ParamKind.PATH)
_ROOTS = Param("roots", ParamKind.PATHS)
_NAME = Param("name", ParamKind.TEXT, exact=True)
_LINE = Param("line", ParamKind.INTEGER, minimum=1, maximum=1 << 40)
_COLUMN = Param("column", ParamKind.INTEGER, minimum=1, maximum=1 << 40)
_DEPTH = Param("depth", ParamKind.INTEGER, default=1, minimum=1, maximum=MAX_DEPTH)
_LIMIT = Param("limit", ParamKind.INTEGER, minimum=1, maximum=MAX_LIMIT)
_GRAPH_LIMIT = Param("limit", ParamKind.INTEGER, default=100, minimum=1, maximum=MAX_LIMIT)
_HISTORY_LIMIT = Param("limit", ParamKind.INTEGER, default=20, minimum=1, maximum=MAX_LIMIT)
_PROGRESS = Param(
    "progress", ParamKind.BOOLEAN, default=False
)  # sends notifications on this connection until the answer
_SECONDS = Param("timeout_s", ParamKind.NUMBER, minimum=0, maximum=7 * 24 * 3600)

METHODS: Final[Mapping[str, tuple[Param, ...]]] = {
    "server.info": (),
    "shutdown": (),
    "metrics": (),
    "roots.add": (
        _PATH,
        Param("wait", ParamKind.BOOLEAN, default=False),
        Param("force", ParamKind.BOOLEAN, default=False),
        Param("workers", ParamKind.INTEGER, minimum=0, maximum=MAX_WORKERS),
        _PROGRESS,
    ),
    "roots.remove": (_PATH,),
    "roots.list": (),
    "search": (
        Param("query", ParamKind.TEXT, required=True),
        _ROOTS,
        _LIMIT,
        Param("language", ParamKind.TEXT),
        Param("path", ParamKind.TEXTS),
        Param("kind", ParamKind.TEXT),
        Param("sync", ParamKind.BOOLEAN, default=False),
        Param("explain", ParamKind.BOOLEAN, default=False),
        Param("level", ParamKind.TEXT, default="chunk"),
        Param("last_commit", ParamKind.BOOLEAN, default=False),
    ),
    "grep": (
        Param("pattern", ParamKind.TEXT, required=True, exact=True),
        Param("others", ParamKind.TEXTS),
        _ROOTS,
        Param("path", ParamKind.TEXTS),
        Param("language", ParamKind.TEXT),
        Param("fixed", ParamKind.BOOLEAN, default=False),
        Param("ignore_case", ParamKind.BOOLEAN, default=False),
        Param("word", ParamKind.BOOLEAN, default=False),
        Param("whole_line", ParamKind.BOOLEAN, default=False),
        Param("invert", ParamKind.BOOLEAN, default=False),
        Param("before", ParamKind.INTEGER, default=0, minimum=0, maximum=MAX_CONTEXT),
        Param("after", ParamKind.INTEGER, default=0, minimum=0, maximum=MAX_CONTEXT),
        Param("context", ParamKind.INTEGER, default=0, minimum=0, maximum=MAX_CONTEXT),
        Param("max_count", ParamKind.INTEGER, minimum=1, maximum=1 << 40),
        Param("limit", ParamKind.INTEGER, minimum=1, maximum=1 << 40),
        Param("files_only", ParamKind.BOOLEAN, default=False),
        Param("files_without", ParamKind.BOOLEAN, default=False),
        Param("count", ParamKind.BOOLEAN, default=False),
        Param("every_match", ParamKind.BOOLEAN, default=False),
        Param("max_line_bytes", ParamKind.INTEGER, minimum=400, maximum=MAX_LINE_BYTES),
        Param("budget_s", ParamKind.NUMBER, minimum=0.01, maximum=600),
        Param("sync", ParamKind.BOOLEAN, default=False),
        Param("stream", ParamKind.BOOLEAN, default=False),
    ),
    "related": (
        Param("root", ParamKind.PATH, required=True),
        Param("path", ParamKind.NAME, required=True),
        Param("line", ParamKind.INTEGER, required=True, minimum=1, maximum=1 << 40),
        _LIMIT,
    ),
    "symbol": (
        Param("name", ParamKind.TEXT, required=True, exact=True),
        _ROOTS,
        Param("references", ParamKind.BOOLEAN, default=False),
        Param("language", ParamKind.TEXT),
        Param("path", ParamKind.TEXTS),
        Param("kind", ParamKind.TEXT),
        Param("limit", ParamKind.INTEGER, default=MAX_LIMIT, minimum=1, maximum=MAX_LIMIT),
    ),
    "refs": (
        _NAME,
        _OPTIONAL_PATH,
        _LINE,
        _COLUMN,
        _ROOTS,
        _GRAPH_LIMIT,
        Param("possible", ParamKind.BOOLEAN, default=False),
    ),
    "callers": (_NAME, _OPTIONAL_PATH, _LINE, _COLUMN, _ROOTS, _DEPTH, _GRAPH_LIMIT),
    "callees": (_NAME, _OPTIONAL_PATH, _LINE, _COLUMN, _ROOTS, _DEPTH, _GRAPH_LIMIT),
    "impact": (
        _NAME,
        _OPTIONAL_PATH,
        _LINE,
        _COLUMN,
        _ROOTS,
        Param("changed", ParamKind.BOOLEAN, default=False),
        Param("depth", ParamKind.INTEGER, default=4, minimum=1, maximum=MAX_DEPTH),
        _GRAPH_LIMIT,
    ),
    "outline": (_PATH,),
    "map": (_PATH, Param("tokens", ParamKind.INTEGER, default=1000, minimum=100, maximum=MAX_TOKENS)),
    "history.log": (
        Param("query", ParamKind.TEXT, default=""),
        _ROOTS,
        _LIMIT,
        Param("sync", ParamKind.BOOLEAN, default=False),
    ),
    "history.why": (
        _PATH,
        Param("line", ParamKind.INTEGER, required=True, minimum=1, maximum=1 << 40),
        Param("last_line", ParamKind.INTEGER, minimum=1, maximum=1 << 40),
        Param("limit", ParamKind.INTEGER, default=5, minimum=0, maximum=MAX_LIMIT),
    ),
    "history.of": (_NAME, _OPTIONAL_PATH, _LINE, _ROOTS, _HISTORY_LIMIT),
    "history.together": (_NAME, _OPTIONAL_PATH, _ROOTS, _HISTORY_LIMIT),
    "sync": (_OPTIONAL_PATH, Param("clock", ParamKind.TEXT), _SECONDS, _PROGRESS),
    "status": (_OPTIONAL_PATH,),
    "verify": (
        _OPTIONAL_PATH,
        Param("repair", ParamKind.BOOLEAN, default=False),
        _PROGRESS,
    ),
    "explain": (_PATH,),
    "reindex": (_PATH, Param("wait", ParamKind.BOOLEAN, default=False), _PROGRESS),
    "pause": (_PATH,),
    "resume": (_PATH,),
    "subscribe": (_ROOTS,),
    "unsubscribe": (_ROOTS,),
}


def validate(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of ``method``, checked and with defaults; unknown fields are dropped.

    A path may be given as ``NAME_b64`` instead of ``NAME``. Raises UsageError (-32602), which names the field,
    PathRefusedError for a path that is not absolute, ProtocolError for an unknown method.
    """
    if method not in METHODS:
        raise ProtocolError(UNKNOWN_METHOD, f"unknown method: {method}")
    checked: dict[str, Any] = {}
    for param in METHODS[method]:
        value = params.get(param.name)
        if value is None and param.kind in {ParamKind.PATH, ParamKind.NAME}:
            value = _from_base64(param.name, params.get(f"{param.name}_b64"))
        if value is None:
            if param.required:
                raise UsageError(f"{method}: {param.name} is missing", hint=f"{param.name} is {param.kind.value}")
            value = param.default
        else:
            value = _check(method, param, value)
        checked[param.name] = value
    return checked


def _check(method: str, param: Param, value: Any) -> Any:
    typed = _typed(param, value)
    if typed is None:
        raise UsageError(f"{method}: {param.name} must be {param.kind.value}, not {_json_type(value)}")
    if param.exact and isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        hint = "write it in UTF-8; that also finds text in files of other encodings"
        raise UsageError(f"{method}: {param.name} is not UTF-8", hint=hint)
    if isinstance(typed, int | float) and not param.minimum <= typed <= param.maximum:
        bounds = f"{_number(param.minimum)} to {_number(param.maximum)}"
        raise UsageError(f"{method}: {param.name} must be {bounds}", hint=f"{value} is out of range")
    return typed


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _typed(param: Param, value: Any) -> Any:
    """Return ``value`` as Python type of ``param``, None if it has the wrong JSON type."""
    match param.kind, value:
        case ParamKind.BOOLEAN, bool():
            return value
        case _, bool():
            return None
        case ParamKind.INTEGER, int():
            return value
        case ParamKind.INTEGER, float() if value.is_integer():  # JSON has one kind of number
            return int(value)
        case ParamKind.NUMBER, int() | float() if isinstance(value, int) or math.isfinite(value):
            return value
        case ParamKind.TEXT, str():
            return value.encode("utf-8", "replace").decode("utf-8")  # replaces lone surrogates
        case ParamKind.PATH, str():
            return _absolute(param.name, value)
        case ParamKind.NAME, str():
            return _storable(param.name, value)
        case ParamKind.TEXTS, str():
            return [value.encode("utf-8", "replace").decode("utf-8")]
        case ParamKind.TEXTS, list() if all(isinstance(item, str) for item in value):
            return [item.encode("utf-8", "replace").decode("utf-8") for item in value]
        case ParamKind.PATHS, list() if all(isinstance(item, str) for item in value):
            return [_absolute(param.name, item) for item in value]
    return None


def _json_type(value: Any) -> str:
    names = {bool: "a boolean", str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "null")


def _absolute(name: str, value: str) -> str:
    if not _storable(name, value).startswith("/"):
        raise PathRefusedError(f"{name} is not an absolute path: {value!r}", hint="use an absolute path")
    return value


def _storable(name: str, value: str) -> str:
    """Return ``value`` if a file system can store it as a path. Raises UsageError otherwise."""
    if not value or "\0" in value:
        raise UsageError(f"{name} must not be empty or contain a NUL byte")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError(f"{name} is not a path: it contains a lone surrogate") from None
    return value


def _from_base64(name: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        return text_of_path(base64.b64decode(value, validate=True))
    except (binascii.Error, TypeError, ValueError):
        raise UsageError(f"{name}_b64 must be the base64 of a path's bytes") from None
