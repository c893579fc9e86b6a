"""Edits JSON with comments and trailing commas without changing anything but the entry in question.

No maintained library for Python does that: those that read comments lose them when they write. An edit is a splice of
the text at the positions that a small parser finds; everything else stays byte for byte. Lines end with ``\n``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from codeindexd.errors import FailedError

_BLANK = re.compile(r"(?:[\s\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_ATOM = re.compile(r"[-+.\w]+")
_COMMENT_BEHIND = re.compile(r"[ \t]*(?://[^\n]*|/\*[^\n]*?\*/[ \t]*(?=\n))")
_REST_OF_LINE = re.compile(r"[ \t]*(?=\n|$)")
_INDENT = re.compile(r"\n([ \t]+)\S")


@dataclass
class _Member:
    """A member of an object: where its key begins, its value, and what follows."""

    key: str
    start: int
    value: _Value
    comma: int = -1  # the position of the comma after it, -1 if there is none


@dataclass
class _Value:
    """A value in the text, from ``start`` to ``end``; ``members`` if it is an object."""

    start: int
    end: int = 0
    members: list[_Member] | None = None
    data: Any = field(default=None)


def entry(text: str, path: Sequence[str]) -> Any:
    """Return the value at ``path``, None if there is none. Raises FailedError for text that is not JSON."""
    value = _value_at(_parsed(text), path)
    return value.data if value is not None else None


def with_entry(text: str, path: Sequence[str], data: Any) -> str:
    """Return the text with ``data`` at ``path``; objects on the way are added. Raises FailedError."""
    root = _parsed(text)
    indent = _indent_of(text)
    if root is None:
        return f"{text}{_written(_nested(path, data), indent, 0)}\n"
    at = root
    for depth, key in enumerate(path):
        if text[at.start : at.end] == "null":
            return text[: at.start] + _written(_nested(path[depth:], data), indent, depth) + text[at.end :]
        if at.members is None:
            raise FailedError(f"{'.'.join(path[:depth]) or 'the top'} is not an object", hint="correct the file first")
        member = _member(at, key)
        if member is None:
            return _inserted(text, at, key, _nested(path[depth + 1 :], data), indent, depth + 1)
        at = member.value
    return text[: at.start] + _written(data, indent, len(path)) + text[at.end :]


def without_entry(text: str, path: Sequence[str]) -> str:
    """Return the text without the entry at ``path``. Comments stay, except those inside the entry."""
    parent = _value_at(_parsed(text), path[:-1])
    member = _member(parent, path[-1]) if parent is not None else None
    return _removed(text, parent, member) if parent is not None and member is not None else text


def _nested(path: Sequence[str], data: Any) -> Any:
    for key in reversed(path):
        data = {key: data}
    return data


def _value_at(value: _Value | None, path: Sequence[str]) -> _Value | None:
    for key in path:
        member = _member(value, key) if value is not None else None
        value = member.value if member is not None else None
    return value


def _member(value: _Value, key: str) -> _Member | None:
    """Return the member that counts: of two with the same key, the last."""
    return next((member for member in reversed(value.members or ()) if member.key == key), None)


def _inserted(text: str, parent: _Value, key: str, data: Any, indent: str, depth: int) -> str:
    """Return the text with a new last member in ``parent``, whose members are indented ``depth`` times."""
    member = f"{json.dumps(key)}: {_written(data, indent, depth)}"
    inner, outer = f"\n{indent * depth}", f"\n{indent * (depth - 1)}"
    if not parent.members:
        inside = text[parent.start + 1 : parent.end - 1].rstrip()  # comments
        return f"{text[: parent.start + 1]}{inside}{inner}{member}{outer}{text[parent.end - 1 :]}"
    last = parent.members[-1]
    is_one_line = "\n" not in text[parent.start : last.start]
    has_comma = last.comma >= 0
    end = last.comma + 1 if has_comma else last.value.end
    comment = _COMMENT_BEHIND.match(text, end)
    behind = comment.end() if comment else end
    before = f"{text[:end]}{'' if has_comma else ','}{text[end:behind]}"
    return f"{before}{' ' if is_one_line else inner}{member}{',' if has_comma else ''}{text[behind:]}"


def _removed(text: str, parent: _Value, member: _Member) -> str:
    """Return the text without a member, its comma and, if nothing else is in them, its lines."""
    members = parent.members or []
    index = members.index(member)
    start, end = member.start, member.value.end
    if member.comma >= 0:
        end = member.comma + 1
    elif index:
        comma = members[index - 1].comma  # the last member has none, so the one before must not have one either
        text = text[:comma] + text[comma + 1 :]
        start, end = start - 1, end - 1
    line_start = text.rfind("\n", 0, start)
    rest = _REST_OF_LINE.match(text, end)
    if line_start >= 0 and rest is not None and not text[line_start:start].strip():
        return text[:line_start] + text[rest.end() :]
    kept = text[:start].rstrip(" \t")
    return kept + (text[end:].lstrip(" \t") if kept.endswith("{") else text[end:])


def _indent_of(text: str) -> str:
    match = _INDENT.search(text)
    return match[1] if match else "  "


def _written(data: Any, indent: str, depth: int) -> str:
    return json.dumps(data, indent=indent, ensure_ascii=False).replace("\n", f"\n{indent * depth}")


# parsing


def _parsed(text: str) -> _Value | None:
    """Return the value of the text, None if it has none."""
    start = _after_blank(text, 0)
    if start == len(text):
        return None
    value = _value(text, start)
    if _after_blank(text, value.end) != len(text):
        raise _error(text, value.end)
    return value


def _value(text: str, start: int) -> _Value:
    first = text[start : start + 1]
    if first == "{":
        return _object(text, start)
    if first == "[":
        return _array(text, start)
    match = _STRING.match(text, start) if first == '"' else _ATOM.match(text, start)
    if match is None:
        raise _error(text, start)
    return _Value(start, match.end(), None, _loaded(text, match))


def _loaded(text: str, match: re.Match[str]) -> Any:
    """Return the data of a string, number or word. Raises FailedError if it is none."""
    try:
        return json.loads(match[0])
    except ValueError:
        raise _error(text, match.start()) from None


def _object(text: str, start: int) -> _Value:
    """Parse the object that begins at ``start``. Raises FailedError."""
    members: list[_Member] = []
    at = _after_blank(text, start + 1)
    while text[at : at + 1] != "}":
        key = _STRING.match(text, at)
        colon = _after_blank(text, key.end()) if key else at
        if key is None or text[colon : colon + 1] != ":":
            raise _error(text, at)
        member = _Member(_loaded(text, key), at, _value(text, _after_blank(text, colon + 1)))
        members.append(member)
        at = _after_blank(text, member.value.end)
        if text[at : at + 1] == ",":
            member.comma = at
            at = _after_blank(text, at + 1)
        elif text[at : at + 1] != "}":
            raise _error(text, at)
    return _Value(start, at + 1, members, {member.key: member.value.data for member in members})


def _array(text: str, start: int) -> _Value:
    items: list[Any] = []
    at = _after_blank(text, start + 1)
    while text[at : at + 1] != "]":
        item = _value(text, at)
        items.append(item.data)
        at = _after_blank(text, item.end)
        if text[at : at + 1] == ",":
            at = _after_blank(text, at + 1)
        elif text[at : at + 1] != "]":
            raise _error(text, at)
    return _Value(start, at + 1, None, items)


def _after_blank(text: str, start: int) -> int:
    match = _BLANK.match(text, start)
    return match.end() if match else start


def _error(text: str, at: int) -> FailedError:
    line = text.count("\n", 0, at) + 1
    return FailedError(f"line {line} is not valid JSON", hint="correct the file first")
