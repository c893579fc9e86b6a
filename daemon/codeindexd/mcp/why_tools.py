"""The tools ``why``, ``history`` and ``together``: what commits say about lines, files and definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codeindexd.errors import UsageError
from codeindexd.mcp import freshness
from codeindexd.mcp.answers import Answer, Part, assembled, budget_with, page_of, with_notes
from codeindexd.mcp.arguments import Kind, Parameter
from codeindexd.mcp.call_scope import scope_of
from codeindexd.mcp.excerpts import MAX_LINE_CHARS, MAX_PATH_CHARS, safe_cut
from codeindexd.mcp.tool import MAX_TOKENS, NUMBER, PAGE, ROOTS, SYNC, TEXT, TEXTS, Call, Tool, output_schema
from codeindexd.mcp.tool_errors import for_model
from codeindexd.protocol.methods import MAX_LIMIT
from codeindexd.protocol.printable import day_of, safe
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import CompanionEntry, HistoryResult, WhyResult
    from codeindexd.mcp.scope import Scope

_MOST_COMMITS = 200
_MOST_COMPANIONS = 100
_FRAME_TOKENS = 60
_BODY_SHARE = 2  # the messages get at most half of the room
_EARLIER = 5


async def _why(call: Call, values: dict[str, Any]) -> Answer:
    path, line = values["path"], values["line"]
    if line is None:
        raise UsageError("why needs a line", hint="give path and line, or path as path:line")
    if values["last_line"] is not None and values["last_line"] < line:
        raise UsageError(f"last_line {values['last_line']} is before line {line}", hint="give the smaller number first")
    result = await call.client.why(path, line, last_line=values["last_line"], limit=_EARLIER)
    budget = budget_with(values["max_tokens"], map(for_model, result.get("notes", [])))
    parts = [*_origins(result), *_messages(result, budget.left // _BODY_SHARE), *_earlier(result)]
    head = f"{safe_cut(result['path'], MAX_PATH_CHARS)}:{result['start_line']}-{result['end_line']}"
    shown = page_of(
        [part.cost for part in parts], values["page"], room=budget.left - _FRAME_TOKENS, most=len(parts) or 1
    )
    left = len(parts) - shown.stop if shown else 0
    more = f"{left:,} more; repeat the call with page={values['page'] + 1}" if left else None
    answer = assembled(parts[shown.start : shown.stop], "history", budget, more=more)
    return Answer("\n".join(filter(None, (head, answer.text, more and f"({more})"))), answer.structured)


def _origins(result: WhyResult) -> list[Part]:
    """Return which commit each run of lines comes from."""
    by_id = {commit["id"]: commit for commit in result["commits"]}
    parts = []
    for run in result["lines"]:
        last = run["line"] + run["count"] - 1
        lines = f"{run['line']}" if run["count"] == 1 else f"{run['line']}-{last}"
        commit = by_id.get(run["commit"] or "")
        origin = "not committed yet" if commit is None else f"{commit['short_id']} {day_of(commit['date'])}"
        text = f"lines {lines}: {origin}"
        parts.append(Part(text, text))
    return parts


def _messages(result: WhyResult, room: int) -> list[Part]:
    """Return what the commits say, each message cut to its share of the room."""
    parts = []
    most = max(200, 4 * room // max(1, len(result["commits"])))  # characters; a token has about four
    for commit in result["commits"]:
        message = f"{_brief(commit)}\n{safe(commit['body'])}".strip()
        names = ", ".join(f"#{number}" for number in commit["references"][:10])
        text = message if len(message) <= most else f"{message[:most]} ..."
        text = f"{text}\nnames {names}" if names else text
        parts.append(Part(text, text))
    return parts


def _earlier(result: WhyResult) -> list[Part]:
    if not result["earlier"]:
        return []
    definition = result["definition"]
    what = definition["symbol"] if definition else "these lines"
    texts = [f"earlier changes of {safe_cut(what, 100)}:", *(_brief(commit) for commit in result["earlier"])]
    if result["more_earlier"]:
        texts.append("there are more; call history with this path and line")
    return [Part(text, text) for text in texts]


async def _history(call: Call, values: dict[str, Any]) -> Answer:
    name, path, line = values["name"], values["path"], values["line"]
    if name is None and path is None:
        raise UsageError("history needs name or path", hint="give a file, a file and a line, or a definition's name")
    scope = await scope_of(call, values["roots"])
    notes = await freshness.sync_roots(call.client, scope.roots) if values["sync"] else []
    result = await call.client.history(
        name, path=path, line=line, roots=scope.roots, limit=min(_MOST_COMMITS * values["page"], MAX_LIMIT)
    )
    notes += [*scope.notes, *map(for_model, result.get("notes", []))]
    if similar := result.get("similar"):
        notes.append(f"no definition has this name; similar are: {', '.join(similar[:10])}")
    budget = budget_with(values["max_tokens"], notes)
    texts = [_with_changes(commit) for commit in result["commits"]]
    head = _history_head(result, scope)
    unread = result["total"] - len(texts) or (None if result["truncated"] else 0)
    return _paged(head, texts, "commits", budget, values["page"], total=result["total"], unread=unread)


def _history_head(result: HistoryResult, scope: Scope) -> str:
    count = quantity(result["total"], "commit")
    places = [
        f"{safe_cut(scope.shown(definition.get('root', ''), definition['path']), MAX_PATH_CHARS)}:{definition['line']}"
        for definition in result.get("definitions", [])
    ]
    return f"{count}, newest first" + (f"; defined at {', '.join(places[:3])}" if places else "")


def _with_changes(commit: Mapping[str, Any]) -> str:
    changes = commit.get("changes", [])
    if len(changes) == 1 and changes[0].get("old_path"):
        return f"{_brief(commit)} (renamed from {safe_cut(changes[0]['old_path'], MAX_PATH_CHARS)})"
    if len(changes) == 1 and changes[0].get("copied_from"):
        return f"{_brief(commit)} (copied from {safe_cut(changes[0]['copied_from'], MAX_PATH_CHARS)})"
    if len(changes) == 1 and changes[0]["added"] >= 0:
        return f"{_brief(commit)} (+{changes[0]['added']} -{changes[0]['removed']})"
    return _brief(commit)


async def _together(call: Call, values: dict[str, Any]) -> Answer:
    name, path = values["name"], values["path"]
    if name is None and path is None:
        raise UsageError("together needs name or path", hint="give a file, or the name of a definition")
    scope = await scope_of(call, values["roots"])
    result = await call.client.together(name, path=path, roots=scope.roots, limit=_MOST_COMPANIONS)
    budget = budget_with(values["max_tokens"], [*scope.notes, *map(for_model, result.get("notes", []))])
    texts = []
    for title, entries in (
        ("definitions", result.get("definitions", [])),
        ("files", result["files"]),
        ("tests", result["tests"]),
    ):
        texts += [f"{title}:", *(_companion(companion, result["commits"]) for companion in entries)] if entries else []
    head = f"changed in {result['commits']:,} commits; with it changed, with the number of these commits:"
    if not texts:
        changed = f"changed in {result['commits']:,} commits; nothing changed with it more than once"
        unknown = "only large commits changed it" if result["large_commits"] else "no known commit changed it"
        head = changed if result["commits"] else unknown
    return _paged(head, texts, "together", budget, values["page"], total=result["total"])


def _companion(companion: CompanionEntry, commits: int) -> str:
    what = safe_cut(companion["path"], MAX_PATH_CHARS) + (
        f" {safe_cut(companion['symbol'], 100)}" if "symbol" in companion else ""
    )
    return f"{companion['count']} of {commits} ({companion['confidence']:.0%})  {what}"


def _brief(commit: Mapping[str, Any]) -> str:
    author = safe_cut(commit["author"]["name"], 40)
    return f"{commit['short_id']} {day_of(commit['date'])} {author}: {safe_cut(commit['subject'], MAX_LINE_CHARS)}"


def _paged(
    head: str, texts: Sequence[str], name: str, budget: Any, page: int, *, total: int, unread: int | None = 0
) -> Answer:
    """Return the lines of a page that fit into the budget; ``unread`` more follow after ``texts``, None if unknown."""
    parts = [Part(text, text) for text in texts]
    if not parts:
        return with_notes(head, {name: [], "total": total}, budget)
    room = budget.left - Part(head, "").cost - _FRAME_TOKENS
    shown = page_of([part.cost for part in parts], page, room=room, most=len(parts))
    left = len(parts) - shown.stop + (unread or 0) if shown else 0
    counted = f"at least {left + 1:,}" if shown and unread is None else f"{left:,}"
    more = f"{counted} more; repeat the call with page={page + 1}" if counted != "0" else None
    answer = assembled(parts[shown.start : shown.stop], name, budget, total=total, more=more)
    return Answer("\n".join(filter(None, (head, answer.text, more and f"({more})"))), answer.structured)


_PATH = Parameter("path", Kind.PATH, "A file; as path:line, a line of it.", aliases=("file", "file_path", "filename"))
_NAME = Parameter("name", Kind.TEXT, "The name of a definition, plain or qualified.", aliases=("symbol", "query"))

WHY = Tool(
    name="why",
    title="Why a line is there",
    description=(
        "Find out why code is as it is: which commit wrote a line, what its message says, which issue or pull request "
        "it names, and which commits changed the definition around it before. Call it before changing code whose "
        "purpose is unclear, instead of git blame and git log."
    ),
    parameters=(
        Parameter(
            "path",
            Kind.PATH,
            "The file; path:line and path:line-line are understood, too.",
            required=True,
            aliases=("file", "file_path", "filename"),
        ),
        Parameter("line", Kind.INTEGER, "The line, from 1.", aliases=("start_line", "first_line")),
        Parameter("last_line", Kind.INTEGER, "The last line of a range.", aliases=("end_line", "end")),
        MAX_TOKENS,
        PAGE,
    ),
    output=output_schema(history=TEXTS, more=TEXT),
    run=_why,
)

HISTORY = Tool(
    name="history",
    title="History of a file or definition",
    description=(
        "List the commits that changed a file, a directory or a definition, newest first, also before the file was "
        "renamed. Use it to learn when and how something changed, also for a definition that was removed."
    ),
    parameters=(
        _NAME,
        _PATH,
        Parameter("line", Kind.INTEGER, "A line of the definition in that file, from 1."),
        ROOTS,
        MAX_TOKENS,
        PAGE,
        SYNC,
    ),
    output=output_schema(commits=TEXTS, total=NUMBER, more=TEXT),
    run=_history,
)

TOGETHER = Tool(
    name="together",
    title="What changes together",
    description=(
        "Find what usually changes in the same commits as a file or a definition, tests apart, with how often. Call it "
        "after an edit, to find what else may have to change, such as a counterpart, a list, a test or a document."
    ),
    parameters=(_NAME, _PATH, ROOTS, MAX_TOKENS, PAGE),
    output=output_schema(together=TEXTS, total=NUMBER, more=TEXT),
    run=_together,
)
