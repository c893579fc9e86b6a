"""The tool ``grep``: every matching line, counted completely and shown within a budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from codeindexd.mcp import freshness
from codeindexd.mcp.answers import Answer, budget_with, with_notes
from codeindexd.mcp.arguments import Kind, Parameter
from codeindexd.mcp.call_scope import scope_of
from codeindexd.mcp.excerpts import MAX_PATH_CHARS, cut_at, middle_cut
from codeindexd.mcp.lines_by_file import FileLine, page_of_lines, shown_lines
from codeindexd.mcp.tool import (
    LANGUAGE,
    MAX_TOKENS,
    NUMBER,
    PAGE,
    PATHS,
    ROOTS,
    SYNC,
    TEXT,
    TEXTS,
    Call,
    Tool,
    listed,
    output_schema,
)
from codeindexd.mcp.tool_errors import for_model
from codeindexd.protocol.methods import HOW_TO_NARROW
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import GrepResult, Line
    from codeindexd.mcp.scope import Scope

_MOST_LINES = 100_000
_TOKENS_A_LINE = 4  # no line costs less
_FRAME_TOKENS = 90  # what is said before and after the lines


async def _grep(call: Call, values: dict[str, Any]) -> Answer:
    scope = await scope_of(call, values["roots"])
    notes = await freshness.sync_roots(call.client, scope.roots) if values["sync"] else []
    options = {
        "roots": scope.below or scope.roots,
        "path": scope.globs(values["path"]) if values["path"] else None,
        "language": values["language"],
        "fixed": values["fixed"],
        "ignore_case": values["ignore_case"],
        "word": values["word"],
    }
    most = min(values["page"] * values["max_tokens"] // _TOKENS_A_LINE, _MOST_LINES)
    result = await call.client.grep(
        values["pattern"], limit=most, before=values["context"], after=values["context"], **options
    )
    # pages take the place of a limit
    told = [for_model(note) for note in result.get("notes", []) if not note.endswith(HOW_TO_NARROW)]
    notes += [*scope.notes, *told]
    notes += await freshness.state_notes(call.client, result["state"], scope.roots)
    budget = budget_with(values["max_tokens"], notes)
    lines = _shown(result["matches"], scope)
    total = f"{quantity(result['total'], 'matching line')} in {quantity(result['files'], 'file')}"
    room = budget.left - _FRAME_TOKENS
    shown = page_of_lines(lines, values["page"], room)
    structured: dict[str, Any] = {"total": result["total"], "files": result["files"]}
    if not shown:
        text = f"No page {values['page']}: {total}." if result["total"] else _nothing(result)
        return with_notes(text, {**structured, "message": text}, budget)
    left = result["total"] - shown.stop
    head = f"{total}; lines {shown.start + 1} to {shown.stop}:" if left or shown.start else f"{total}:"
    text, structured["matches"] = shown_lines(lines[shown.start : shown.stop], room)
    if left:
        seen = len({(match["root"], match["path"]) for match in result["matches"][: shown.stop]})
        files = f" in {quantity(result['files'] - seen, 'other file')}" if result["files"] > seen else ""
        structured["more"] = f"{left:,} more{files}; narrow with path=..., or repeat with page={values['page'] + 1}"
        text = f"{text}\n({structured['more']})"
    return with_notes(f"{head}\n{text}", structured, budget)


def _nothing(result: GrepResult) -> str:
    return f"No line matches in {quantity(result['searched'], 'file')} that could contain it."


def _shown(matches: Sequence[Line], scope: Scope) -> list[FileLine]:
    """Return matching lines as the model sees them, with their numbers and their context, each line once."""
    lines = []
    for place, match in enumerate(matches):
        before, after = matches[max(0, place - 1) : place], matches[place + 1 : place + 2]
        first = next((_last_shown(neighbour) + 1 for neighbour in before if _is_in_same_file(neighbour, match)), 1)
        end = next((neighbour["line"] for neighbour in after if _is_in_same_file(neighbour, match)), math.inf)
        around = [*_context(match, "before", first, end), _numbered(match), *_context(match, "after", first, end)]
        path = middle_cut(scope.shown(match["root"], match["path"]), MAX_PATH_CHARS)
        lines.append(FileLine(path, "\n".join(around)))
    return lines


def _is_in_same_file(one: Line, other: Line) -> bool:
    return (one["root"], one["path"]) == (other["root"], other["path"])


def _last_shown(match: Line) -> int:
    return max((number for number, _ in _around(match, "after")), default=match["line"])


def _numbered(match: Line) -> str:
    place = f"{match['line']} cell {match['cell']}" if "cell" in match else str(match["line"])
    return f"{place}: {_cut(match)}"


def _context(match: Line, side: str, first: int, end: float) -> Iterator[str]:
    """Yield the lines on one side of a match that are neither before ``first`` nor at ``end`` or behind it."""
    for number, text in _around(match, side):
        if first <= number < end:
            yield f"{number}- {cut_at(text.rstrip(), 0)}"


def _around(match: Line, side: str) -> Iterator[tuple[int, str]]:
    """Return (number, text) of the lines on one ``side`` of a match, "before" or "after"."""
    lines: list[str] = match.get(side, [])  # type: ignore[assignment]
    first = match["line"] - len(lines) if side == "before" else match["line"] + 1
    numbers: Sequence[int] = match.get(f"{side}_lines", range(first, first + len(lines)))  # type: ignore[assignment]
    return zip(numbers, lines, strict=True)


def _cut(match: Line) -> str:
    """Return the line, without indentation unless there is context; of a long one, what is around the first match."""
    text = match["text"].rstrip()
    first = len(match["text"].encode("utf-8", "surrogatepass")[: match["spans"][0][0]].decode("utf-8", "replace"))
    if match.get("before") or match.get("after"):
        return cut_at(text, first)
    return cut_at(text.lstrip(), max(0, first - (len(text) - len(text.lstrip()))))


GREP = Tool(
    name="grep",
    title="Find every matching line",
    description=(
        "Find every line that matches a regex or a plain text, in all files of the project, complete and as they are "
        "on the disk now. Use it instead of running grep or ripgrep: it takes milliseconds, counts everything, and "
        "its answer never floods your context. Returns the number of lines and files, then `line: text` below the path "
        "of each file. Use search if you do not know the exact words."
    ),
    parameters=(
        Parameter(
            "pattern",
            Kind.TEXT,
            "A regex in RE2's syntax (no lookaround, no backreferences), or with fixed=true a plain text.",
            required=True,
            aliases=("query", "regex", "q"),
        ),
        Parameter("fixed", Kind.BOOLEAN, "The pattern is plain text.", default=False, aliases=("literal",)),
        Parameter("ignore_case", Kind.BOOLEAN, "Match letters of any case.", default=False, aliases=("i",)),
        Parameter("word", Kind.BOOLEAN, "Match whole words only.", default=False, aliases=("w",)),
        Parameter(
            "context", Kind.INTEGER, "Lines around each match.", default=0, minimum=0, maximum=50, aliases=("C",)
        ),
        PATHS,
        LANGUAGE,
        ROOTS,
        MAX_TOKENS,
        PAGE,
        SYNC,
    ),
    output=output_schema(
        total=NUMBER,
        files=NUMBER,
        matches=listed(path=TEXT, lines=TEXTS),
        more=TEXT,
        message=TEXT,
    ),
    run=_grep,
)
