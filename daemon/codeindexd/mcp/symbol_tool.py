"""The tool ``symbol``: where a name is defined, where it is used, what calls it and what it calls."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from codeindexd.mcp import freshness
from codeindexd.mcp.answers import Answer, Budget, Part, budget_with, cut_to, with_notes
from codeindexd.mcp.arguments import Kind, Parameter
from codeindexd.mcp.call_scope import scope_of
from codeindexd.mcp.call_trees import call_tree
from codeindexd.mcp.excerpts import MAX_NAME_CHARS, MAX_PATH_CHARS, cut_line, middle_cut, words_of
from codeindexd.mcp.lines_by_file import FileLine, page_of_lines, shown_lines
from codeindexd.mcp.ranked import HIT_FIELDS, ranked_answer
from codeindexd.mcp.tool import MAX_TOKENS, NUMBER, PAGE, ROOTS, SYNC, TEXT, TEXTS, Call, Tool, listed, output_schema
from codeindexd.mcp.tool_errors import for_model
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import (
        GraphTarget,
        ReferenceEntry,
        RefsResult,
        SymbolResult,
    )
    from codeindexd.mcp.scope import Scope

_GREP_INSTEAD = "It may be used without being defined here: call grep with this name as pattern and word=true."
_MOST_USES = 1_000


class Relation(enum.Enum):
    """What is looked up of a symbol."""

    DEFINITIONS = "definitions"
    REFERENCES = "references"
    CALLERS = "callers"
    CALLEES = "callees"


_MATCHES = {
    "last_part": "no definition has this qualified name; these have its last part",
    "prefix": "no definition has this name; these names begin with it",
    "part": "no definition has this name; these names contain it",
    "spelling": "no definition has this name; these names resemble it",
}
_MOST_DEFINITIONS = 50
_FRAME_TOKENS = 40  # what is said after the uses


async def _symbol(call: Call, values: dict[str, Any]) -> Answer:
    relation = Relation(values["of"])
    scope = await scope_of(call, values["roots"])
    notes = await freshness.sync_roots(call.client, scope.roots) if values["sync"] else []
    name, roots = values["name"], scope.roots
    result: Any
    match relation:
        case Relation.DEFINITIONS:
            result = await call.client.symbol(name, roots=roots)
        case Relation.REFERENCES:
            result = await call.client.refs(name, roots=roots, limit=_MOST_USES)
        case Relation.CALLERS:
            result = await call.client.callers(name, roots=roots, depth=values["depth"], limit=_MOST_USES)
        case Relation.CALLEES:
            result = await call.client.callees(name, roots=roots, depth=values["depth"], limit=_MOST_USES)
    notes += [*scope.notes, *map(for_model, result.get("notes", []))]
    notes += await freshness.state_notes(call.client, result.get("state", "fresh"), roots)
    if relation is Relation.DEFINITIONS:
        return _definitions(result, scope, notes, values)
    if similar := result.get("similar"):
        notes.insert(0, f"no definition has this name; similar are: {', '.join(similar[:10])}")
    budget = budget_with(values["max_tokens"], notes)
    if relation is Relation.REFERENCES:
        return _references(result, scope, budget, values)
    name = cut_to(name, values["max_tokens"] // 8)
    head = f"{quantity(result['total'], relation.value.removesuffix('s'))} of {name}"
    if defined := _places(result["targets"], scope, values["max_tokens"]):
        head += f", defined at {defined}"
    elif not result["total"]:
        head = f"No definition of {name} is known. {_GREP_INSTEAD}"
    return call_tree(result[relation.value], relation.value, head, result["total"], scope, budget, values["page"])


def _definitions(result: SymbolResult, scope: Scope, notes: list[str], values: dict[str, Any]) -> Answer:
    if result.get("similar"):
        notes.insert(0, _MATCHES.get(result.get("match", ""), "no definition has this name; these are similar"))
    return ranked_answer(
        [*result["definitions"], *result.get("similar", [])],
        scope,
        budget_with(values["max_tokens"], notes),
        query=values["name"],
        limit=_MOST_DEFINITIONS,
        page=values["page"],
        nothing=f"No definition of {values['name'][:100]} is known. {_GREP_INSTEAD}",
    )


def _references(result: RefsResult, scope: Scope, budget: Budget, values: dict[str, Any]) -> Answer:
    """Return the references on a page, below the places of the definitions."""
    page, words, total = values["page"], words_of(values["name"]), result["total"]
    lines = [
        FileLine(
            middle_cut(scope.shown(reference["root"], reference["path"]), MAX_PATH_CHARS),
            f"{reference['line']}: {cut_line(reference['text'].strip(), words)}{_inside(reference)}",
        )
        for reference in sorted(
            result["references"], key=lambda reference: (reference["root"], reference["path"], reference["line"])
        )
    ]
    head = f"{quantity(total, 'use')} in {quantity(result['files'], 'file')}"
    structured: dict[str, Any] = {"total": total, "files": result["files"]}
    if defined := _places(result["targets"], scope, values["max_tokens"]):
        structured["defined"] = defined
        head += f", defined at {defined}"
    elif not total:
        head = f"No definition of {values['name'][:100]} is known. {_GREP_INSTEAD}"
        structured["message"] = head
    room = budget.left - Part(head, structured).cost - _FRAME_TOKENS
    shown = page_of_lines(lines, page, room)
    if not shown:
        return with_notes(head if page == 1 else f"No page {page}: {head}", structured, budget)
    text, structured["uses"] = shown_lines(lines[shown.start : shown.stop], room)
    if left := total - shown.stop:
        structured["more"] = f"{left:,} more; repeat the call with page={page + 1}"
        text = f"{text}\n({structured['more']})"
    return with_notes(f"{head}\n{text}", structured, budget)


def _inside(reference: ReferenceEntry) -> str:
    kind = "" if reference["reference"] == "use" else reference["reference"]
    where = f"in {middle_cut(reference['symbol'], MAX_NAME_CHARS)}" if reference["symbol"] else ""
    said = ", ".join(filter(None, (kind, where)))
    return f"  ({said})" if said else ""


def _places(targets: Sequence[GraphTarget], scope: Scope, max_tokens: int) -> str:
    """Return the place of the first target, and how many more there are; "" if there is none."""
    if not targets:
        return ""
    first = f"{scope.shown(targets[0]['root'], targets[0]['path'])}:{targets[0]['line']}"
    more = f" and {len(targets) - 1} more" if len(targets) > 1 else ""
    return cut_to(first, max_tokens // 8) + more


SYMBOL = Tool(
    name="symbol",
    title="Look up a symbol",
    description=(
        "Look up a name that you know: where a function, class, method, type or constant is defined, what uses or "
        "calls it, or what it calls. "
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
            "definitions: where it is defined; references: every use; callers: what calls it; callees: what it calls.",
            default=Relation.DEFINITIONS.value,
            choices=tuple(relation.value for relation in Relation),
            aliases=("what", "relation"),
        ),
        Parameter("depth", Kind.INTEGER, "For callers and callees: how many steps to follow.", default=1, maximum=8),
        ROOTS,
        MAX_TOKENS,
        PAGE,
        SYNC,
    ),
    output=output_schema(
        hits=listed(**HIT_FIELDS),
        further=TEXTS,
        uses=listed(path=TEXT, lines=TEXTS),
        total=NUMBER,
        files=NUMBER,
        callers=TEXTS,
        callees=TEXTS,
        defined=TEXT,
        more=TEXT,
        message=TEXT,
    ),
    run=_symbol,
)
