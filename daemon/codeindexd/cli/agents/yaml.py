"""Edits YAML with ruamel.yaml, which keeps comments, order, quotes and indentation.

The last part of a path names a member of a mapping or, in a list, the item whose ``name`` it is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from codeindexd.errors import FailedError

_SEQUENCE_INDENT = re.compile(r"^[^\s#-][^\n]*:[ \t]*\n(?:[ \t]*#[^\n]*\n)*( *)- ", re.MULTILINE)
_MAPPING_INDENT = re.compile(r"^[^\s#-][^\n]*:[ \t]*\n(?:[ \t]*#[^\n]*\n)*( +)[^\s-]", re.MULTILINE)

_START = re.compile(r"---[ \t]*\n")
_END = re.compile(r"^\.\.\.\s*\Z", re.MULTILINE)


def entry(text: str, path: Sequence[str]) -> Any:
    """Return the value at ``path``, None if there is none. Raises FailedError for text that is not YAML."""
    found = _found(_parsed(text), path)
    return _plain(found) if found is not None else None


def with_entry(text: str, path: Sequence[str], data: Any, *, in_list: bool = False) -> str:
    """Return the text with ``data`` at ``path``; with ``in_list``, as an item of the list there. Raises FailedError."""
    document = _parsed(text)
    made = _mapping()
    document = at = document if document is not None else made
    for number, key in enumerate(path[:-1]):
        if not isinstance(at, dict):
            raise FailedError(f"{'.'.join(path[:number]) or 'the top'} is not a mapping", hint="correct the file first")
        if at.get(key) is None:
            at[key] = _sequence() if in_list and number == len(path) - 2 else _mapping()
        at = at[key]
    if in_list and isinstance(at, list):
        index = _index(at, path[-1])
        if index is None:
            at.append(data)
        else:
            at[index] = data
    elif isinstance(at, dict) and not in_list:
        at[path[-1]] = data
    else:
        raise FailedError(f"{'.'.join(path[:-1])} has the wrong type", hint="correct the file first")
    return _written(document, text, is_new=document is made)


def without_entry(text: str, path: Sequence[str]) -> str:
    """Return the text without the entry at ``path``, or "" if nothing else is in it."""
    document = _parsed(text)
    if _found(document, path) is None:
        return text
    container, key = _found(document, path[:-1]), path[-1]
    del container[_index(container, key) if isinstance(container, list) else key]
    return _written(document, text) if len(document) else ""


def _found(at: Any, path: Sequence[str]) -> Any:
    for key in path:
        if isinstance(at, list):
            index = _index(at, key)
            at = at[index] if index is not None else None
        else:
            at = at.get(key) if isinstance(at, dict) else None
    return at


def _index(items: list[Any], name: str) -> int | None:
    return next((i for i, item in enumerate(items) if isinstance(item, dict) and item.get("name") == name), None)


def _plain(value: Any) -> Any:
    """Return a value without ruamel's types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _mapping() -> Any:
    from ruamel.yaml.comments import CommentedMap

    return CommentedMap()


def _sequence() -> Any:
    from ruamel.yaml.comments import CommentedSeq

    return CommentedSeq()


def _yaml(text: str) -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 20  # never folds lines
    yaml.explicit_start = bool(_START.match(text))
    yaml.explicit_end = bool(_END.search(text))
    items = _SEQUENCE_INDENT.search(text)
    members = _MAPPING_INDENT.search(text)
    offset = len(items[1]) if items else 2
    yaml.indent(mapping=len(members[1]) if members else 2, sequence=offset + 2, offset=offset)
    return yaml


def _parsed(text: str) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        return _yaml(text).load(text)
    except YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        what = (problem or str(error)).splitlines()[0]
        raise FailedError(f"not valid YAML{where}: {what}", hint="correct the file first") from None


def _written(document: Any, text: str, *, is_new: bool = False) -> str:
    """Return a document as text. With ``is_new``, ``text`` has only comments, which stay in front of it."""
    out = io.StringIO()
    if is_new and text and not text.endswith("\n"):
        text += "\n"
    _yaml("" if is_new else text).dump(document, out)
    return f"{text if is_new else ''}{out.getvalue()}"
