"""The tools ``outline``, ``map`` and ``impact``: the definitions of a file or project, and what a change reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from codeindexd.errors import UsageError
from codeindexd.mcp import freshness, tokens
from codeindexd.mcp.answers import Answer, Part, assembled, budget_with, page_of, with_notes
from codeindexd.mcp.arguments import Kind, Parameter
from codeindexd.mcp.call_scope import scope_of
from codeindexd.mcp.excerpts import MAX_LINE_CHARS, MAX_PATH_CHARS, middle_cut
from codeindexd.mcp.lines_by_file import FileLine, page_of_lines, shown_lines
from codeindexd.mcp.tool import (
    MAX_TOKENS,
    NUMBER,
    PAGE,
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
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import ImpactResult, OutlineEntry
    from codeindexd.mcp.scope import Scope

_MOST_AFFECTED = 1_000
_FRAME_TOKENS = 60
_TESTS_SHARE = 4  # tests get at most a quarter of the room
_OUTLINE_OF = "lines of `line  kind  signature`, indented as they are nested"


async def _outline(call: Call, values: dict[str, Any]) -> Answer:
    result = await call.client.outline(values["path"])
    notes = [*map(for_model, result.get("notes", []))]
    notes += await freshness.state_notes(call.client, result["state"], [result["root"]])
    if result["partial"]:
        notes.append("not all of the file was understood; definitions may be missing")
    budget = budget_with(values["max_tokens"], notes)
    texts = list(_outlined(result["definitions"], 0))
    parts = [Part(text, text) for text in texts]
    total = f"{result['path']}: {quantity(result['total'], 'definition')}"
    head = Part(middle_cut(total, MAX_PATH_CHARS), "")
    shown = page_of(
        [part.cost for part in parts],
        values["page"],
        room=budget.left - head.cost - _FRAME_TOKENS,
        most=len(parts) or 1,
    )
    left = len(parts) - shown.stop if shown else 0
    more = f"{left:,} more; repeat the call with page={values['page'] + 1}" if left else None
    answer = assembled(parts[shown.start : shown.stop], "definitions", budget, total=result["total"], more=more)
    return Answer("\n".join(filter(None, (head.text, answer.text, more and f"({more})"))), answer.structured)


def _outlined(entries: Sequence[OutlineEntry], depth: int) -> Iterator[str]:
    for entry in entries:
        what = entry["signature"] or entry["name"]
        yield f"{'  ' * depth}{entry['line']}  {entry['kind']}  {middle_cut(what, MAX_LINE_CHARS)}"
        yield from _outlined(entry.get("children", []), depth + 1)


async def _map(call: Call, values: dict[str, Any]) -> Answer:
    path = values["path"]
    scope = await scope_of(call, [path] if path else None)
    if path is None:
        path = call.project.base if call.project.base and len(scope.roots or ()) == 1 else (scope.roots or [""])[0]
    budget = budget_with(values["max_tokens"], [])
    result = await call.client.map(path, tokens=max(100, budget.left))
    notes = [*scope.notes, *map(for_model, result.get("notes", []))]
    notes += await freshness.state_notes(call.client, result["state"], [result["root"]])
    if len(scope.roots or ()) > 1:
        others = ", ".join(root for root in scope.roots or () if root != result["root"])
        notes.append(f"only {result['root']} is shown; call map with path for {others}")
    budget = budget_with(values["max_tokens"], notes)
    lines: list[str] = []
    for line in result["text"].splitlines():
        short = middle_cut(line, MAX_LINE_CHARS)
        if not budget.take(1 + Part(short, short).cost):
            break
        lines.append(short)
    text = "\n".join(lines) or "No definitions are known here."
    return with_notes(text, {"map": text, "definitions": result["total"]}, budget)


async def _impact(call: Call, values: dict[str, Any]) -> Answer:
    name, path, line = values["name"], values["path"], values["line"]
    if name is None and path is None:
        raise UsageError("impact needs name or path", hint="give the name of a definition, or a file and a line in it")
    scope = await scope_of(call, values["roots"])
    notes = await freshness.sync_roots(call.client, scope.roots) if values["sync"] else []
    result = await call.client.impact(
        name, path=path, line=line, roots=scope.roots, depth=values["depth"], limit=_MOST_AFFECTED
    )
    notes += [*scope.notes, *map(for_model, result.get("notes", []))]
    notes += await freshness.state_notes(call.client, result["state"], scope.roots)
    if stopped := result.get("stopped"):
        notes.append(for_model(stopped))
    if similar := result.get("similar"):
        notes.append(f"no definition has this name; similar are: {', '.join(similar[:10])}")
    budget = budget_with(values["max_tokens"], notes)
    lines = _affected(result, scope)
    tests = [middle_cut(scope.shown(test["root"], test["path"]), MAX_PATH_CHARS) for test in result["tests"]]
    head = f"{quantity(result['total'], 'place')} affected, {quantity(len(tests), 'test file')}"
    shown_tests = _fitting(tests, budget.left // _TESTS_SHARE)
    test_part = Part(f"Tests: {', '.join(shown_tests)}", shown_tests)
    room = budget.left - test_part.cost - tokens.count(head) - _FRAME_TOKENS
    shown = page_of_lines(lines, values["page"], room)
    text, structured = "", {"total": result["total"], "tests": shown_tests, "test_files": len(tests)}
    if shown:
        text, structured["affected"] = shown_lines(lines[shown.start : shown.stop], room)
    if left := len(lines) - shown.stop if shown else 0:
        structured["more"] = f"{left:,} more; repeat the call with page={values['page'] + 1}"
        text = f"{text}\n({structured['more']})"
    whole = "\n".join(filter(None, (head, text, test_part.text if shown_tests else "")))
    return with_notes(whole, structured, budget)


def _affected(result: ImpactResult, scope: Scope) -> list[FileLine]:
    lines = []
    for affected in result["affected"]:
        path = middle_cut(scope.shown(affected["root"], affected["path"]), MAX_PATH_CHARS)
        sure = "" if affected["confidence"] != "name" else ", by name only"
        steps = f", {affected['distance']} steps away" if affected["distance"] > 1 else ""
        what = middle_cut(affected["symbol"], 100) or affected["kind"]
        lines.append(
            FileLine(
                path, f"{affected['line']}: {what} {affected['reason']} {middle_cut(affected['via'], 100)}{steps}{sure}"
            )
        )
    nearest = {path: place for place, path in reversed([*enumerate(line.path for line in lines)])}
    lines.sort(key=lambda line: nearest[line.path])  # the file with the nearest place first, and so within a file
    lines += [
        FileLine(middle_cut(scope.shown(file["root"], file["path"]), MAX_PATH_CHARS), "imports the changed file")
        for file in result["importers"]
    ]
    return lines


def _fitting(texts: Sequence[str], room: int) -> list[str]:
    """Return as many of the texts as fit into ``room`` tokens."""
    kept: list[str] = []
    for text in texts:
        room -= Part(text, text).cost + 1
        if room < 0:
            break
        kept.append(text)
    return kept


OUTLINE = Tool(
    name="outline",
    title="Outline of a file",
    description=(
        f"List the definitions in a file, as {_OUTLINE_OF}. Use it instead of reading a whole file to learn what is in "
        "it; then read only the lines that matter."
    ),
    parameters=(
        Parameter("path", Kind.PATH, "The file.", required=True, aliases=("file", "file_path", "filename")),
        MAX_TOKENS,
        PAGE,
    ),
    output=output_schema(definitions=TEXTS, total=NUMBER, more=TEXT),
    run=_outline,
)

MAP = Tool(
    name="map",
    title="Map of the project",
    description=(
        "Show the files and definitions that most of the project depends on. Call it once at the beginning, to get to "
        "know a code base, instead of listing directories and reading files."
    ),
    parameters=(
        Parameter("path", Kind.PATH, "Only this directory of the project.", aliases=("directory", "root")),
        MAX_TOKENS,
    ),
    output=output_schema(map=TEXT, definitions=NUMBER),
    run=_map,
)

IMPACT = Tool(
    name="impact",
    title="Impact of a change",
    description=(
        "Find what a change of a definition or a file reaches: who calls, uses, inherits or imports it, directly or "
        "over several steps, and which tests cover it. Call it before editing something that others may use."
    ),
    parameters=(
        Parameter("name", Kind.TEXT, "The name of a definition, plain or qualified.", aliases=("symbol", "query")),
        Parameter("path", Kind.PATH, "A file or, as path:line, the definition there.", aliases=("file", "file_path")),
        Parameter("line", Kind.INTEGER, "A line of the definition in that file, from 1."),
        Parameter("depth", Kind.INTEGER, "How many steps to follow.", default=2, maximum=8),
        ROOTS,
        MAX_TOKENS,
        PAGE,
        SYNC,
    ),
    output=output_schema(
        total=NUMBER,
        affected=listed(path=TEXT, lines=TEXTS),
        tests=TEXTS,
        test_files=NUMBER,
        more=TEXT,
    ),
    run=_impact,
)
