"""Edits TOML: an entry is a table of its own at the end, and tomlkit edits what has another form.

tomlkit writes a new table into the middle of others, where keys after dotted ones (``a.b = 1``) become its keys and
tables that are not together change their order. So it only replaces entries and edits inline tables.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from codeindexd.errors import FailedError


def entry(text: str, path: Sequence[str]) -> Any:
    """Return the value at ``path``, None if there is none. Raises FailedError for text that is not TOML."""
    at: Any = _parsed(text)
    for key in path:
        if not isinstance(at, dict) or key not in at:
            return None
        at = at[key]
    return at.unwrap() if hasattr(at, "unwrap") else at


def with_entry(text: str, path: Sequence[str], data: Any) -> str:
    """Return the text with ``data`` at ``path``; tables on the way are added. Raises FailedError."""
    import tomlkit
    from tomlkit.items import InlineTable

    document = _parsed(text)
    at: Any = document
    for key in path[:-1]:
        at = at.get(key, {})
        if not isinstance(at, dict):
            raise FailedError(f"{key} is not a table", hint="correct the file first")
    is_inline = isinstance(at, InlineTable)  # which can only have inline tables in it
    if path[-1] not in at and not is_inline:
        end = "" if text.endswith("\n") or not text else "\n"
        blank = "\n" if text else ""
        return f"{text}{end}{blank}{_header(path)}\n{tomlkit.dumps(data)}"
    table = tomlkit.inline_table() if is_inline else tomlkit.table()
    table.update(data)
    at[path[-1]] = table
    return str(tomlkit.dumps(document))


def without_entry(text: str, path: Sequence[str]) -> str:
    """Return the text without the entry at ``path``."""
    import tomlkit

    if entry(text, path) is None:
        return text
    document = _parsed(text)
    table = document
    for key in path[:-1]:
        table = table[key]
    del table[path[-1]]
    without_lines = _without_lines(text, path)
    if without_lines is not None and _parsed(without_lines).unwrap() == _without_empty(document.unwrap(), path):
        return without_lines
    return str(tomlkit.dumps(document))


def _header(path: Sequence[str]) -> str:
    return f"[{'.'.join(path)}]"


def _without_lines(text: str, path: Sequence[str]) -> str | None:
    """Return the text without the lines from the header of our table to a blank one, a comment or another header."""
    table = re.compile(rf"(?:^|(?<=\n)\n?){re.escape(_header(path))}[^\n]*\n(?:[^\n\[#][^\n]*(?:\n|$))*")
    found = table.search(text)
    return text[: found.start()] + text[found.end() :] if found else None


def _without_empty(document: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Return the document without the first table of ``path`` if nothing is left in it."""
    return {key: value for key, value in document.items() if key != path[0] or value != {}}


def _parsed(text: str) -> Any:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise FailedError(f"not valid TOML: {error}", hint="correct the file first") from None
