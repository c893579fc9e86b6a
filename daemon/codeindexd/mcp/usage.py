"""Counts what agents asked, in a small file on this machine: numbers only, no questions and no paths.

The tokens saved are an estimate, and a cautious one. Without an index, an agent finds code by reading the files that a
search of words leads it to. For an answer of ``search``, ``symbol`` or ``related`` we count the first three files whose
lines it shows, as if they had been read as a whole (80 KB at most, as tools for reading files cut off, at four bytes a
token), less the tokens of the answer, and nothing if that is negative. Not counted are what grep would have printed,
files that it would have led to in vain, and the parts of these files that the agent reads afterwards anyway.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from codeindexd.mcp import tokens
from codeindexd.mcp.answers import Answer

FILE_NAME = "agent-usage.json"
METHOD = (
    "as if the first three files shown by each answer of search, symbol and related had been read as a whole instead "
    "(at most 80 KB each, four bytes a token)"
)
_READING_TOOLS = frozenset({"search", "symbol", "related"})
_MOST_FILES = 3
_MOST_BYTES = 80_000
_BYTES_A_TOKEN = 4


class ToolUsage(TypedDict):
    """How often a tool answered, with how many tokens, and how many it saved by the estimate."""

    calls: int
    tokens: int
    saved: int


class Usage(TypedDict):
    """The usage of all tools since a date."""

    since: str
    tools: dict[str, ToolUsage]


def read(path: Path) -> Usage:
    """Return what has been counted; nothing if the file does not exist or is damaged."""
    try:
        return _checked(json.loads(path.read_text()))
    except (OSError, ValueError):
        return _checked(None)


def record(path: Path, tool: str, answer: Answer, base: str) -> None:
    """Count an answer. Relative paths in it are relative to ``base``. A failure to write is ignored."""
    returned = tokens.count(answer.text)
    saved = max(0, _read_instead(answer.structured, base) - returned) if tool in _READING_TOOLS else 0
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _count(file, tool, returned, saved)


def _count(file: Any, tool: str, returned: int, saved: int) -> None:
    try:
        usage = _checked(json.load(file))
    except ValueError:  # new, or cut off by a full disk
        usage = _checked(None)
    counted = usage["tools"].setdefault(tool, {"calls": 0, "tokens": 0, "saved": 0})
    counted["calls"] += 1
    counted["tokens"] += returned
    counted["saved"] += saved
    file.seek(0)
    file.write(json.dumps(usage))
    file.truncate()


def _checked(value: Any) -> Usage:
    """Return ``value`` if it is a usage, else an empty one."""
    if isinstance(value, dict) and isinstance(value.get("since"), str) and isinstance(value.get("tools"), dict):
        tools = {str(name): counts for name, counts in value["tools"].items() if _is_tool_usage(counts)}
        return {"since": value["since"], "tools": tools}
    return {"since": time.strftime("%Y-%m-%d"), "tools": {}}


def _is_tool_usage(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), int) for key in ("calls", "tokens", "saved"))


def _read_instead(structured: Mapping[str, Any], base: str) -> int:
    """Return the tokens of the first three files of which an answer shows lines."""
    hits: Iterable[Mapping[str, Any]] = structured.get("hits", [])
    shown = dict.fromkeys(hit["place"].partition(":")[0] for hit in hits if "text" in hit)
    total = 0
    for name in list(shown)[:_MOST_FILES]:
        with contextlib.suppress(OSError, ValueError):
            total += min(os.stat(os.path.join(base, name)).st_size, _MOST_BYTES) // _BYTES_A_TOKEN  # noqa: PTH116, PTH118
    return total
