"""The tools ``search`` and ``related``: ranked hits."""

from __future__ import annotations

import enum
import re
from typing import Any

from codeindexd.client.core import split_at_root
from codeindexd.mcp import freshness
from codeindexd.mcp.answers import Answer, budget_with
from codeindexd.mcp.arguments import Kind, Parameter
from codeindexd.mcp.call_scope import scope_of
from codeindexd.mcp.grouped import grouped_answer
from codeindexd.mcp.ranked import FURTHER, HIT_FIELDS, ranked_answer
from codeindexd.mcp.scope import Scope
from codeindexd.mcp.tool import (
    LANGUAGE,
    MAX_TOKENS,
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
from codeindexd.quantities import quantity

_MOST_HITS = 50
_SLASH = re.compile(r"(\\.)|/")
_FILTER = re.compile(r"\b(lang|language|path|kind|symbol):(?=\S)", re.IGNORECASE)


class Mode(enum.Enum):
    """How a query is understood."""

    AUTO = "auto"
    MEANING = "meaning"
    LITERAL = "literal"
    REGEX = "regex"
    NAME = "name"


def written_query(query: str, mode: Mode) -> str:
    """Return ``query`` in the query language, written so that it can only be understood as ``mode`` says."""
    match mode:
        case Mode.AUTO:
            return query
        case Mode.MEANING:
            return _FILTER.sub(r"\1 ", re.sub(r'["/]', " ", query))
        case Mode.LITERAL:
            return f'"{_quotable(query)}"'
        case Mode.REGEX:
            escaped = _SLASH.sub(lambda match: match[1] or "\\/", query)
            return f"/{escaped}/"
        case Mode.NAME:
            return f'symbol:"{_quotable(query)}"'


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


async def _search(call: Call, values: dict[str, Any]) -> Answer:
    scope = await scope_of(call, values["roots"])
    notes = await freshness.sync_roots(call.client, scope.roots) if values["sync"] else []
    limit, page, level = values["limit"], values["page"], values["level"]
    result = await call.client.search(
        written_query(values["query"], Mode(values["mode"])),
        roots=scope.roots,
        limit=min(limit * page + (FURTHER if level == "chunk" else 1), 1000),
        language=values["language"],
        path=scope.globs(values["path"]),
        kind=values["kind"],
        level=level,
    )
    notes += [*scope.notes, *map(for_model, result.get("notes", []))]
    notes += await freshness.state_notes(call.client, result["state"], scope.roots)
    if result["dense_coverage"] < 1:
        notes.append(f"{result['dense_coverage']:.0%} of the code can be found by meaning so far")
    searched = result.get("searched")
    files = "" if searched is None else f" in {quantity(searched, 'file')}"
    nothing = f"No hits{files}. Try other words, or grep for a word that must be in the code."
    budget, query = budget_with(values["max_tokens"], notes), values["query"]
    if "groups" in result:
        return grouped_answer(result, scope, budget, query=query, limit=limit, page=page, nothing=nothing)
    return ranked_answer(result["hits"], scope, budget, query=query, limit=limit, page=page, nothing=nothing)


async def _related(call: Call, values: dict[str, Any]) -> Answer:
    known = [root["path"] for root in (await call.client.roots())["roots"]]
    root, name = split_at_root(values["path"], known)
    notes = await freshness.sync_roots(call.client, [root]) if values["sync"] else []
    limit, page = values["limit"], values["page"]
    result = await call.client.related(root, name, values["line"], limit=min(limit * page + FURTHER, 1000))
    notes += [*map(for_model, result.get("notes", []))]
    notes += await freshness.state_notes(call.client, result["state"], [root])
    return ranked_answer(
        result["hits"],
        Scope([root], call.project.base),
        budget_with(values["max_tokens"], notes),
        query="",
        limit=limit,
        page=page,
        nothing="No similar code.",
    )


_LIMIT = Parameter(
    "limit",
    Kind.INTEGER,
    "Most hits on a page; the answer is limited by max_tokens in any case.",
    default=10,
    maximum=_MOST_HITS,
    aliases=("max_results", "top_k", "n"),
)
_OUTPUT = output_schema(hits=listed(**HIT_FIELDS), further=TEXTS, more=TEXT, message=TEXT)

SEARCH = Tool(
    name="search",
    title="Search code",
    description=(
        "Find the code that answers a question or contains some words. Use it first, instead of grep and of reading "
        "whole files, when you do not know where something is or what it is called: ask in plain words ('where are "
        "sessions expired'), or paste a name, an error message or a stack trace. Returns the best places as "
        "`path:line  symbol  kind` with the lines that matter (each run of lines begins with its line number), "
        "verified against the disk. Next: open the file at that line; do not search again for what is already shown. "
        "For every occurrence of a text use grep, for the definition or callers of a known name use symbol."
    ),
    parameters=(
        Parameter(
            "query",
            Kind.TEXT,
            "A question, keywords, a name, or a pasted message. May contain filters: lang:python path:src/** "
            '-path:tests/** kind:function symbol:Name "an exact phrase" /regex/',
            required=True,
            aliases=("q", "question", "text", "search_query"),
        ),
        Parameter(
            "mode",
            Kind.CHOICE,
            "auto decides by the query. meaning: a question without filters; literal: this exact text; regex: RE2 "
            "syntax; name: what defines this name.",
            default=Mode.AUTO.value,
            choices=tuple(mode.value for mode in Mode),
        ),
        PATHS,
        LANGUAGE,
        Parameter("kind", Kind.TEXT, "Only code of this kind: function, class, method, section, test, ..."),
        Parameter(
            "level",
            Kind.CHOICE,
            "chunk finds places in code; file and directory find where a subject is dealt with.",
            default="chunk",
            choices=("chunk", "file", "directory"),
        ),
        ROOTS,
        _LIMIT,
        MAX_TOKENS,
        PAGE,
        SYNC,
    ),
    output=_OUTPUT,
    run=_search,
)

RELATED = Tool(
    name="related",
    title="Find related code",
    description=(
        "Find code similar to that at a line: other implementations of the same thing, duplicates, tests and uses of "
        "the same idea under other names. Use it before changing code that may exist in several places. Returns "
        "places and lines like search."
    ),
    parameters=(
        Parameter(
            "path",
            Kind.PATH,
            "The file; path:line is understood too.",
            required=True,
            aliases=("file", "file_path", "filename"),
        ),
        Parameter("line", Kind.INTEGER, "A line of that code, from 1.", required=True, aliases=("line_number",)),
        _LIMIT,
        MAX_TOKENS,
        PAGE,
        SYNC,
    ),
    output=_OUTPUT,
    run=_related,
)
