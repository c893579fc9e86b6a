"""Prints hits and definitions: the place of the best line, symbol and kind, and the lines around it."""

from __future__ import annotations

import os
import re
import string
from typing import TYPE_CHECKING, Any

from codeindexd.cli.ages import age_of
from codeindexd.cli.columns import cut_around, width_of
from codeindexd.cli.signals import describe_part
from codeindexd.cli.terminal import Terminal, safe, safe_line
from codeindexd.errors import UsageError
from codeindexd.protocol.snippets import lines_of
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from codeindexd.client.results import (
        Definition,
        Group,
        Hit,
        LastCommit,
        Line,
        LineCount,
        Place,
        SearchResult,
        SymbolResult,
    )

_WORD = re.compile(r"[^\W_]+")
_IDENTIFIER = re.compile(r"\w+")
_CAMEL = re.compile(r"[a-z0-9]+|[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
_WIDE = re.compile(r"\d{5}")
_FILTER = re.compile(r'-?(?:lang|language|path|kind|symbol):(?:"[^"]*"|\S*)')
_STOP_WORDS = (
    " a an and are as at be by can do does for from has have how i if in into is it its not of on or that the their "
    "there this to was we what when where which who why will with "
)
_LEAST_SIGNATURE = 10  # columns; less of it says nothing
_MAX_LINE_CHARS = 200  # where output does not go to a terminal
FIELDS = (
    "path", "line", "column", "start_line", "end_line", "symbol", "kind", "language", "score", "text", "root", "copies",
)  # fmt: skip
"""The fields that ``--format`` may name."""


def print_hits(
    terminal: Terminal, result: SearchResult, *, context: int, cwd: str, explain: bool = False, copies: bool = False
) -> None:
    """Print all hits with their best lines; with ``explain`` also the scores, with ``copies`` the places of copies.

    The last commit of a hit is printed below its place, if the answer has it.
    """
    words = wanted_words(result["query"])
    for number, hit in enumerate(result["hits"]):
        if number:
            terminal.print()
        terminal.print(_headline(terminal, hit, cwd, explain=explain))
        _details(terminal, hit, cwd, "    ", explain=explain, copies=copies)
        _snippet(terminal, hit, words, context)


def print_groups(
    terminal: Terminal, result: SearchResult, *, cwd: str, explain: bool = False, copies: bool = False
) -> None:
    """Print the files or directories of an answer, each with its best places in one line each.

    What :func:`print_hits` prints about a hit, apart from its code, is printed below its line.
    """
    words = wanted_words(result["query"])
    for number, group in enumerate(result["groups"]):
        if number:
            terminal.print()
        hits = [result["hits"][position] for position in group["hits"]]
        is_directory = "files" in group
        suffix = f"{'/' if group['path'] else ''}" if is_directory else ""
        parts = [_link(terminal, group, cwd, suffix)]
        if is_directory:
            parts.append(terminal.style("dim", quantity(group["files"], "file")))
        terminal.print("  ".join(parts))
        for hit in hits:
            place = f"{hit['path'].rpartition('/')[2]}:{_best_line(hit)}" if is_directory else str(_best_line(hit))
            text = safe(_best_text(hit)).strip()
            cell = "" if hit.get("cell") is None else f"cell {hit['cell']}"
            about = "  ".join(filter(None, (cell, safe(hit["symbol"]), hit["kind"])))
            room = terminal.out_width - width_of(f"    {place}  {about}  ") if terminal.full_screen else _MAX_LINE_CHARS
            line = f"    {terminal.style('path', safe_line(place))}  {terminal.style('symbol', about)}"
            if room > _LEAST_SIGNATURE:
                start = next((begin for begin, _ in matches(text, words)), 0)
                line += f"  {highlighted(terminal, cut_around(text, start, room), words)}"
            terminal.print(line.rstrip())
            _details(terminal, hit, cwd, "        ", explain=explain, copies=copies)


def print_paths(terminal: Terminal, result: SearchResult, cwd: str) -> None:
    """Print the paths of all hits, or of the files or directories of an answer, each once, best first."""
    for path in dict.fromkeys(shown_path(place, cwd) for place in result.get("groups", result["hits"])):
        terminal.print(safe_line(path) if terminal.full_screen else path)


def print_vimgrep(terminal: Terminal, result: SearchResult, cwd: str) -> None:
    """Print every hit as ``path:line:column:text``, which editors read."""
    for hit in result["hits"]:
        values = _values(hit, wanted_words(result["query"]), cwd)
        terminal.print("{path}:{line}:{column}:{text}".format_map(values))


def print_formatted(terminal: Terminal, result: SearchResult, template: str, cwd: str) -> None:
    """Print every hit as ``template`` says, which :func:`parse_template` returned."""
    for hit in result["hits"]:
        terminal.print(template.format_map(_values(hit, wanted_words(result["query"]), cwd)))


def parse_template(template: str) -> str:
    """Return the argument of ``--format`` with its escapes replaced. Raises UsageError for an invalid template."""
    template = template.replace("\\t", "\t").replace("\\n", "\n").replace("\\0", "\0")
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
        unknown = [name for name in names if name not in FIELDS]
        if _WIDE.search(template):
            raise ValueError("fields can be at most 9,999 characters wide")
        if not unknown:
            template.format_map(dict.fromkeys(FIELDS, 1))
    except ValueError as error:
        raise UsageError(f"--format: {error}", hint="for example: --format '{path}:{line} {symbol}'") from None
    if unknown:
        raise UsageError(f"--format: no such field: {{{unknown[0]}}}", hint=f"fields are: {', '.join(FIELDS)}")
    return template


def print_definitions(terminal: Terminal, result: SymbolResult, cwd: str) -> None:
    """Print definitions, or else those of similar names, and uses, one line each."""
    for definition in [*result["definitions"], *result.get("similar", [])]:
        terminal.print(_definition(terminal, definition, cwd))
    if result["references"]:
        terminal.print(terminal.style("dim", "used in"))
        for place in result["references"]:
            terminal.print(_headline(terminal, place, cwd))


def _definition(terminal: Terminal, definition: Definition, cwd: str) -> str:
    line, column = definition.get("name_line", definition["start_line"]), definition.get("column", 1)
    place, symbol = f":{line}:{column}", safe(definition["symbol"])
    cells = [f"cell {cell}"] if (cell := definition.get("cell")) is not None else []
    parts = [
        _link(terminal, definition, cwd, place),
        *cells,
        definition["kind"],
        terminal.style("symbol", symbol),
    ]
    if signature := definition.get("signature"):
        plain = [f"{safe_line(shown_path(definition, cwd))}{place}", *cells, definition["kind"], symbol]
        taken = sum(width_of(part) + 2 for part in plain)
        room = terminal.out_width - taken if terminal.full_screen else _MAX_LINE_CHARS
        if room > _LEAST_SIGNATURE:
            parts.append(terminal.style("dim", cut_around(safe(signature), 0, room)))
    return "  ".join(parts)


def last_commit_text(commit: LastCommit) -> str:
    """Return the id, the age, the author and the subject of a hit's last commit."""
    return f"{commit['short_id']}  {age_of(commit['date'])}  {commit['author']}  {commit['subject']}"


def _headline(terminal: Terminal, place: Hit | Place, cwd: str, *, explain: bool = False) -> str:
    parts = [_link(terminal, place, cwd, f":{_best_line(place)}")]
    if (cell := place.get("cell")) is not None:
        parts.append(f"cell {cell}")
    if place["symbol"]:
        parts.append(terminal.style("symbol", safe(place["symbol"])))
    parts.append(place["kind"])
    if explain and (score := place.get("score")) is not None:
        parts.append(terminal.style("dim", f"{score:.4f}"))
    if isinstance(count := place.get("copy_count"), int):
        parts.append(terminal.style("dim", f"and {quantity(count, 'identical copy', 'identical copies')}"))
    return "  ".join(parts)


def _link(terminal: Terminal, place: Hit | Place | Group, cwd: str, suffix: str) -> str:
    target = f"{place['root'].rstrip('/')}/{place['path']}"
    return terminal.link(target, terminal.style("path", f"{safe_line(shown_path(place, cwd))}{suffix}"))


def _best_line(place: Hit | Place) -> int:
    return place.get("best_line", place["start_line"])


def _best_row(hit: Hit) -> int:
    """Return the index of the best line in the lines of the snippet."""
    if (in_cell := hit.get("best_cell_line")) is not None:
        return in_cell - hit.get("cell_line", in_cell)
    return _best_line(hit) - hit["start_line"]


def _details(terminal: Terminal, hit: Hit, cwd: str, indent: str, *, explain: bool, copies: bool) -> None:
    """Print the parts of a hit's score and the places of its copies if asked for, and its last commit if it has one."""
    if explain:
        for part, value in hit.get("explain", {}).items():
            terminal.print(terminal.style("dim", f"{indent}{value:+8.2f}  {safe(describe_part(part, value))}"))
    if last := hit.get("last_commit"):
        terminal.print(terminal.style("dim", f"{indent}{safe_line(last_commit_text(last))}"))
    if copies:
        _copies(terminal, hit, cwd, indent)


def _copies(terminal: Terminal, hit: Hit, cwd: str, indent: str) -> None:
    listed = hit.get("copies", [])
    for copy in listed:
        terminal.print(f"{indent}{terminal.style('path', safe_line(shown_path(copy, cwd)))}:{copy['start_line']}")
    if more := hit.get("copy_count", 0) - len(listed):
        terminal.print(terminal.style("dim", f"{indent}and {more} more"))


def shown_path(place: Mapping[str, Any] | Hit | Place | Group | Line | LineCount, cwd: str) -> str:
    """Return the path relative to ``cwd`` if that is inside the root of ``place``, else the absolute path."""
    root = place["root"]
    path = f"{root.rstrip('/')}/{place['path']}".rstrip("/") or "/"
    if cwd == root or cwd.startswith(f"{root.rstrip('/')}/"):
        return os.path.relpath(path, cwd)
    return path


def wanted_words(query: str) -> frozenset[str]:
    """Return the words of a query to highlight, in lowercase, without its filters; of camelCase also the parts."""
    plain = _FILTER.sub(" ", query)
    words = {part.lower() for word in _WORD.findall(plain) for part in (word, *_CAMEL.findall(word))}
    words |= {name.lower() for name in _IDENTIFIER.findall(plain)}
    return frozenset(word for word in words if len(word) > 1 and f" {word} " not in _STOP_WORDS)


def matches(text: str, words: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each identifier in ``text`` that is, or contains, one of ``words``."""
    for match in _IDENTIFIER.finditer(text):
        name = match[0]
        parts = {part.lower() for word in _WORD.findall(name) for part in (word, *_CAMEL.findall(word))}
        if name.lower() in words or parts & words:
            yield match.span()


def _values(hit: Hit, words: frozenset[str], cwd: str) -> dict[str, Any]:
    """Return the fields of a hit for ``--format``; the column counts bytes from 1, as Vim does."""
    text = _best_text(hit)
    indented = len(text) - len(text.lstrip())
    start = next((first for first, _ in matches(text, words)), indented)
    return {
        **{name: hit.get(name) for name in FIELDS},
        "path": safe_line(shown_path(hit, cwd)),
        "line": _best_line(hit),
        "column": len(text[:start].encode("utf-8", "surrogatepass")) + 1,
        "text": safe(text),
        "symbol": safe(hit["symbol"]),
        "copies": hit.get("copy_count", 0),
    }


def _best_text(hit: Hit) -> str:
    """Return the best line of a hit, as it stands in the file."""
    lines = lines_of(hit["snippet"])
    row = _best_row(hit)
    return lines[row] if row < len(lines) else ""


def _snippet(terminal: Terminal, hit: Hit, words: frozenset[str], context: int) -> None:
    lines = lines_of(hit["snippet"])
    best = _best_row(hit)
    first, last = max(0, best - context), min(len(lines), best + context + 1)
    first_line = hit.get("cell_line", hit["start_line"])  # in a notebook, lines are counted in the cell
    margin = len(str(first_line + last))
    room = terminal.out_width - margin - 2 if terminal.full_screen else _MAX_LINE_CHARS
    for number in range(first, last):
        text = safe(lines[number]).expandtabs(4).rstrip()
        start = next((begin for begin, _ in matches(text, words)), 0)
        label = terminal.style("dim", f"{first_line + number:>{margin}}:")
        terminal.print(f"{label} {highlighted(terminal, cut_around(text, start, room), words)}".rstrip())


def highlighted(terminal: Terminal, text: str, words: frozenset[str]) -> str:
    """Return ``text`` with the words in it emphasised, on a terminal with colours."""
    if not (terminal.colour and words):
        return text
    shown, at = [], 0
    for start, end in matches(text, words):
        shown += [text[at:start], terminal.style("match", text[start:end])]
        at = end
    return "".join([*shown, text[at:]])
