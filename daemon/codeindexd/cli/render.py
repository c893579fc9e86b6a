"""Hits as text: place, symbol, and the most relevant lines."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from codeindexd.cli.terminal import Terminal, safe

if TYPE_CHECKING:
    from codeindexd.client.results import Hit, Line, LineCount, Place, SearchResult, SymbolResult

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"[a-z0-9]+|[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
_FILTER = re.compile(r'-?(?:lang|language|path|kind):(?:"[^"]*"|\S*)')
_STOP_WORDS = re.compile(
    r"a|an|and|are|as|at|be|by|for|from|how|in|is|it|of|on|or|that|the|this|to|what|when|where|which"
)
_MAX_LINE_CHARS = 200


def search(terminal: Terminal, result: SearchResult, *, context: int, cwd: str, explain: bool = False) -> None:
    """Print all hits with their best lines."""
    words = wanted_words(result["query"])
    for number, hit in enumerate(result["hits"]):
        if number:
            terminal.print()
        terminal.print(_headline(terminal, hit, cwd))
        if explain and hit.get("explain"):
            parts = "  ".join(f"{name} {value:.4f}" for name, value in hit["explain"].items())
            terminal.print(terminal.style("dim", f"    {parts}"))
        _snippet(terminal, hit, words, context)


def files(terminal: Terminal, result: SearchResult, cwd: str) -> None:
    """Print the paths of all hits, each once, best first."""
    for path in dict.fromkeys(shown_path(hit, cwd) for hit in result["hits"]):
        terminal.print(path)


def symbol(terminal: Terminal, result: SymbolResult, cwd: str) -> None:
    """Print definitions and uses, one line each."""
    for place in result["definitions"]:
        terminal.print(_headline(terminal, place, cwd))
    if result["references"]:
        terminal.print(terminal.style("dim", "used in"))
        for place in result["references"]:
            terminal.print(_headline(terminal, place, cwd))


def _headline(terminal: Terminal, place: Hit | Place, cwd: str) -> str:
    where = f"{safe(shown_path(place, cwd))}:{place['start_line']}-{place['end_line']}"
    parts = [terminal.style("path", where)]
    if (cell := place.get("cell")) is not None:
        parts.append(f"cell {cell}")
    if place["symbol"]:
        parts.append(terminal.style("symbol", safe(place["symbol"])))
    parts.append(place["kind"])
    if (score := place.get("score")) is not None:
        parts.append(terminal.style("dim", f"{score:.4f}"))
    return "  ".join(parts)


def shown_path(place: Hit | Place | Line | LineCount, cwd: str) -> str:
    """Return the path relative to the current directory if that is in the hit's root, else the absolute path."""
    root = place["root"]
    path = f"{root.rstrip('/')}/{place['path']}"
    if cwd == root or cwd.startswith(f"{root.rstrip('/')}/"):
        return os.path.relpath(path, cwd)
    return path


def wanted_words(query: str) -> frozenset[str]:
    """Return the words of a query to highlight, in lowercase; words in camelCase also by their parts."""
    plain = _FILTER.sub(" ", query)
    words = {part.lower() for word in _WORD.findall(plain) for part in (word, *_CAMEL.findall(word))}
    return frozenset(word for word in words if len(word) > 1 and not _STOP_WORDS.fullmatch(word))


def _snippet(terminal: Terminal, hit: Hit, words: frozenset[str], context: int) -> None:
    lines = hit["snippet"].splitlines()
    best = best_line(lines, words)
    first, last = max(0, best - context), min(len(lines), best + context + 1)
    first_line = hit.get("cell_line", hit["start_line"])  # in a notebook, lines are counted in the cell
    margin = len(str(first_line + last))
    for number in range(first, last):
        text = safe(lines[number]).expandtabs(4).rstrip()
        if len(text) > _MAX_LINE_CHARS:
            text = text[: _MAX_LINE_CHARS - 1] + "\u2026"
        label = terminal.style("dim", f"{first_line + number:>{margin}}:")
        terminal.print(f"{label} {_highlighted(terminal, text, words)}".rstrip())


def best_line(lines: list[str], words: frozenset[str]) -> int:
    """Return the index of the line with the most words of the query, the first of equals."""
    best, most = 0, 0
    for number, line in enumerate(lines):
        lowered = line.lower()
        found = sum(word in lowered for word in words)
        if found > most:
            best, most = number, found
    return best


def _highlighted(terminal: Terminal, text: str, words: frozenset[str]) -> str:
    if not (terminal.colour and words):
        return text
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(pattern, lambda match: terminal.style("match", match[0]), text, flags=re.IGNORECASE)
