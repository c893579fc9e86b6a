"""The tool ``symbol``: where a name is defined, or where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codeindexd.mcp import freshness
from codeindexd.mcp.answers import Answer, Budget, Part, cut_to, noted, with_notes
from codeindexd.mcp.arguments import Kind, Parameter
from codeindexd.mcp.excerpts import MAX_NAME_CHARS, MAX_PATH_CHARS, best_line, cut_line, headline, middle_cut, words_of
from codeindexd.mcp.lines_by_file import FileLine, page_of_lines, shown_lines
from codeindexd.mcp.ranked import HIT_FIELDS, ranked_answer
from codeindexd.mcp.scoped import scope_of
from codeindexd.mcp.tool import MAX_TOKENS, NUMBER, PAGE, ROOTS, SYNC, TEXT, Call, Tool, listed, output_schema
from codeindexd.mcp.tool_errors import for_model

if TYPE_CHECKING:
    from codeindexd.client.results import Place, SymbolResult
    from codeindexd.mcp.scope import Scope

_DEFINITIONS, _REFERENCES = "definitions", "references"
_MATCHES = {
    "last_part": "no definition has this qualified name; these have its last part",
    "prefix": "no definition has this name; these names begin with it",
    "part": "no definition has this name; these names contain it",
    "spelling": "no definition has this name; these names resemble it",
}
_MOST_DEFINITIONS = 50
_FRAME_TOKENS = 40  # what is said after the uses


async def _symbol(call: Call, values: dict[str, Any]) -> Answer:
    scope = await scope_of(call, values["roots"])
    notes = await freshness.synced(call.client, scope.roots) if values["sync"] else []
    of_uses = values["of"] == _REFERENCES
    result = await call.client.symbol(values["name"], roots=scope.roots, references=of_uses)
    notes += [*scope.notes, *map(for_model, result.get("notes", []))]
    notes += await freshness.state_notes(call.client, result.get("state", "fresh"), scope.roots)
    if result.get("similar"):
        notes.insert(0, _MATCHES.get(result.get("match", ""), "no definition has this name; these are similar"))
    if of_uses:
        return _uses(result, scope, noted(values["max_tokens"], notes), values)
    found = [*result["definitions"], *result.get("similar", [])]
    return ranked_answer(
        found,
        scope,
        noted(values["max_tokens"], notes),
        query=values["name"],
        limit=_MOST_DEFINITIONS,
        page=values["page"],
        nothing=f"No definition of {values['name']} is known. It may be used without being defined here: call grep "
        f"with pattern={values['name']} and word=true.",
    )


def _uses(result: SymbolResult, scope: Scope, budget: Budget, values: dict[str, Any]) -> Answer:
    """Return the uses on a page, below the places of the definitions."""
    uses, page = result["references"], values["page"]
    words = words_of(values["name"])
    lines = [_shown(use, scope, words) for use in uses]
    files = len({(use["root"], use["path"]) for use in uses})
    head = f"{len(uses):,} {'use' if len(uses) == 1 else 'uses'} in {files:,} {'file' if files == 1 else 'files'}"
    structured: dict[str, Any] = {"total": len(uses), "files": files}
    if places := [headline(one, scope.shown(one["root"], one["path"])) for one in result["definitions"]]:
        defined = cut_to(places[0].partition("  ")[0], values["max_tokens"] // 8)
        structured["defined"] = f"{defined} and {len(places) - 1} more" if len(places) > 1 else defined
        head += f", defined at {structured['defined']}"
    room = budget.left - Part(head, structured).cost - _FRAME_TOKENS
    shown = page_of_lines(lines, page, room)
    if not shown:
        return with_notes(head if page == 1 else f"No page {page}: {head}", structured, budget)
    text, structured["uses"] = shown_lines(lines[shown.start : shown.stop], room)
    if left := len(uses) - shown.stop:
        structured["more"] = f"{left:,} more; repeat the call with page={page + 1}"
        text = f"{text}\n({structured['more']})"
    return with_notes(f"{head}\n{text}", structured, budget)


def _shown(use: Place, scope: Scope, words: frozenset[str]) -> FileLine:
    """Return the line of a use, with the symbol that contains it."""
    inside = f"  (in {middle_cut(use['symbol'], MAX_NAME_CHARS)})" if use["symbol"] else ""
    path = middle_cut(scope.shown(use["root"], use["path"]), MAX_PATH_CHARS)
    return FileLine(path, f"{best_line(use)}: {_line_text(use, words)}{inside}")


def _line_text(use: Place, words: frozenset[str]) -> str:
    lines = use["snippet"].splitlines()
    row = use.get("best_cell_line", best_line(use)) - use.get("cell_line", use["start_line"])
    return cut_line(lines[row].strip(), words) if 0 <= row < len(lines) else ""


SYMBOL = Tool(
    name="symbol",
    title="Look up a symbol",
    description=(
        "Look up a name that you know: where a function, class, method, type or constant is defined, or what uses it. "
        "Use it instead of grepping for `def name` or `class name`: it knows 30 languages, and returns the definition "
        "with its signature and lines. Then open the file at that line."
    ),
    parameters=(
        Parameter(
            "name",
            Kind.TEXT,
            "The name, plain or qualified: connect, Client.connect, net::Client.",
            required=True,
            aliases=("symbol", "query", "q"),
        ),
        Parameter(
            "of",
            Kind.CHOICE,
            "definitions: where it is defined; references: every use.",
            default=_DEFINITIONS,
            choices=(_DEFINITIONS, _REFERENCES),
            aliases=("what", "relation"),
        ),
        ROOTS,
        MAX_TOKENS,
        PAGE,
        SYNC,
    ),
    output=output_schema(
        hits=listed(**HIT_FIELDS),
        further={"type": "array", "items": TEXT},
        uses=listed(path=TEXT, lines={"type": "array", "items": TEXT}),
        total=NUMBER,
        files=NUMBER,
        defined=TEXT,
        more=TEXT,
        message=TEXT,
    ),
    run=_symbol,
)
