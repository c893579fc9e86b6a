"""The parameters of tools: their JSON Schema, and reading arguments as models and hosts really write them.

Understood are numbers as text (``"5"``) and with a fraction of zero (``5.0``), truth values as text, one value where a
list is expected, paths relative to the project, ``file://`` URIs, and the names under which other tools know the same
parameter. An unknown parameter is an error, since ignoring a filter would give a wrong answer.
"""

from __future__ import annotations

import difflib
import enum
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from codeindexd.errors import UsageError

_LINE_SUFFIX = re.compile(r"(?P<path>.+?):(?P<line>[0-9]+)(?:-(?P<last>[0-9]+)|:[0-9]+)?")


class Kind(enum.Enum):
    """The type of a parameter; the value says in an error what is expected."""

    TEXT = "a string"
    CHOICE = "one of"
    INTEGER = "a whole number"
    BOOLEAN = "true or false"
    PATH = "the path of a file or directory"
    TEXTS = "a string or a list of strings"
    ROOTS = '"all" or a list of directories'


_SCHEMAS: Mapping[Kind, Mapping[str, Any]] = {
    Kind.TEXT: {"type": "string"},
    Kind.CHOICE: {"type": "string"},
    Kind.INTEGER: {"type": "integer"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.PATH: {"type": "string"},
    Kind.TEXTS: {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    Kind.ROOTS: {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a tool. ``aliases`` are other names that are accepted but not advertised."""

    name: str
    kind: Kind
    description: str
    required: bool = False
    default: Any = None
    minimum: int = 1
    maximum: int = 1_000_000_000
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the parameter."""
        schema = {**_SCHEMAS[self.kind], "description": self.description}
        if self.kind is Kind.INTEGER:
            schema |= {"minimum": self.minimum, "maximum": self.maximum}
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.default is not None:
            schema["default"] = self.default
        return schema


def input_schema(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments."""
    return {
        "type": "object",
        "properties": {parameter.name: parameter.schema() for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }


def read(tool: str, parameters: Sequence[Parameter], arguments: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Return a value for every parameter, its default for one that is not given.

    A relative path is one below ``base``, and so is resolved against it. Raises UsageError that names the parameter and
    what it expects, also for unknown ones.
    """
    given = _by_name(tool, parameters, arguments)
    _split_line(parameters, given)
    values = {}
    for parameter in parameters:
        value = given.get(parameter.name)
        if value is None or (value == "" and not parameter.required):
            if parameter.required:
                raise UsageError(f"{tool}: {parameter.name} is missing", hint=_expected(parameter))
            values[parameter.name] = parameter.default
            continue
        read_value = _read(parameter, value, base)
        if read_value is None:
            shown = json.dumps(value)[:80]
            raise UsageError(f"{tool}: {parameter.name} cannot be {shown}", hint=_expected(parameter))
        values[parameter.name] = read_value
    return values


def _by_name(tool: str, parameters: Sequence[Parameter], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments by the names of the parameters. Raises UsageError for unknown ones."""
    names = {alias: parameter.name for parameter in parameters for alias in (*parameter.aliases, parameter.name)}
    given: dict[str, Any] = {}
    unknown = [name for name in arguments if name not in names]
    if unknown:
        known = [parameter.name for parameter in parameters]
        close = difflib.get_close_matches(unknown[0], known, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise UsageError(
            f"{tool} has no parameter {unknown[0]}", hint=f"{meant}its parameters are: {', '.join(known) or 'none'}"
        )
    for name, value in arguments.items():
        if value is not None and (name == names[name] or names[name] not in arguments):
            given[names[name]] = value
    return given


def _split_line(parameters: Sequence[Parameter], given: dict[str, Any]) -> None:
    """Move the line of ``path:line`` to the parameter ``line`` of a tool that has both.

    The last line of ``path:line-line`` moves to ``last_line`` of a tool that has that, too.
    """
    names = {parameter.name for parameter in parameters}
    if not {"path", "line"} <= names:
        return
    path = given.get("path")
    if given.get("line") is None and isinstance(path, str) and (match := _LINE_SUFFIX.fullmatch(path)):
        given["path"], given["line"] = match["path"], int(match["line"])
        if match["last"] and "last_line" in names:
            given.setdefault("last_line", int(match["last"]))


def _expected(parameter: Parameter) -> str:
    if parameter.kind is Kind.INTEGER:
        return f"{parameter.name} is a whole number from {parameter.minimum} to {parameter.maximum}"
    if parameter.kind is Kind.CHOICE:
        return f"{parameter.name} is one of: {', '.join(parameter.choices)}"
    return f"{parameter.name} is {parameter.kind.value}. {parameter.description}"


def _read(parameter: Parameter, value: Any, base: str) -> Any:
    """Return the value in its Python type, None if it is not one of the parameter's."""
    match parameter.kind:
        case Kind.TEXT:
            return value if isinstance(value, str) else None
        case Kind.CHOICE:
            return _choice(value, parameter.choices)
        case Kind.BOOLEAN:
            return _boolean(value)
        case Kind.INTEGER:
            number = _integer(value)
            return number if number is not None and parameter.minimum <= number <= parameter.maximum else None
        case Kind.PATH:
            return local_path(value, base) if isinstance(value, str) else None
        case Kind.TEXTS:
            return _texts(value)
        case Kind.ROOTS:
            return _roots(value, base)


def _choice(value: Any, choices: Sequence[str]) -> str | None:
    """Return the choice that is meant, ignoring case: itself, or its beginning (``reference`` for ``references``)."""
    wanted = value.strip().lower() if isinstance(value, str) else ""
    if wanted in choices:
        return wanted
    begun = [choice for choice in choices if wanted and choice.startswith(wanted)]
    return begun[0] if len(begun) == 1 else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else None


def _texts(value: Any) -> list[str] | None:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:  # a list that a host passed on as text
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        value = parsed if isinstance(parsed, list) else value
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return [value for value in values if value]


def _roots(value: Any, base: str) -> list[str] | str | None:
    texts = _texts(value)
    if texts is None:
        return None
    if [text.strip().lower() for text in texts] in (["all"], ["*"]):
        return "all"
    return [local_path(text, base) for text in texts]


def local_path(text: str, base: str) -> str:
    """Return a path or a ``file://`` URI as an absolute path; ``base`` is what a relative one is relative to.

    Raises UsageError for another URI and for what no path can be.
    """
    if text.lower().startswith("file:"):
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise UsageError(f"{text} is on another machine", hint="give the path of a file on this machine")
        text = unquote(parts.path, errors="surrogateescape")
    elif re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        raise UsageError(f"{text} is not a file", hint="give a path or a file:// URI")
    if not text or "\0" in text:
        raise UsageError(f"{text!a} cannot be a path", hint="give the path of a file or directory")
    return os.path.normpath(os.path.join(base, os.path.expanduser(text)))  # noqa: PTH111, PTH118 - text stays text
