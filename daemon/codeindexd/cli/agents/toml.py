"""Edits TOML with tomlkit, which keeps comments, order and layout."""

from __future__ import annotations

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
        if key not in at:
            at[key] = tomlkit.table(is_super_table=True)
        at = at[key]
        if not isinstance(at, dict):
            raise FailedError(f"{key} is not a table", hint="correct the file first")
    is_inline = isinstance(at, InlineTable)  # which can only have inline tables in it
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
    return str(tomlkit.dumps(document))


def _parsed(text: str) -> Any:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise FailedError(f"not valid TOML: {error}", hint="correct the file first") from None
