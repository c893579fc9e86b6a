"""The tool ``log``: commits that answer a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codeindexd.mcp import freshness
from codeindexd.mcp.answers import Answer, Part, assembled, budget_with, cut_to, page_of
from codeindexd.mcp.arguments import Kind, Parameter
from codeindexd.mcp.call_scope import scope_of
from codeindexd.mcp.excerpts import MAX_LINE_CHARS, MAX_PATH_CHARS, safe_cut
from codeindexd.mcp.tool import MAX_TOKENS, NUMBER, PAGE, ROOTS, SYNC, TEXT, Call, Tool, listed, output_schema
from codeindexd.mcp.tool_errors import for_model
from codeindexd.protocol.printable import day_of

if TYPE_CHECKING:
    from codeindexd.client.results import LoggedCommit

_MOST_COMMITS = 50
_FILES_SHOWN = 4
_SUBJECT_CHARS = 200
_FRAME_TOKENS = 40
_COMMIT_SHARE = 3  # one commit gets at most a third of the answer


async def _log(call: Call, values: dict[str, Any]) -> Answer:
    scope = await scope_of(call, values["roots"])
    notes = await freshness.sync_roots(call.client, scope.roots) if values["sync"] else []
    limit, page = values["limit"], values["page"]
    result = await call.client.log(values["query"], roots=scope.roots, limit=min(limit * page + 1, 1000))
    notes += [*scope.notes, *map(for_model, result.get("notes", []))]
    budget = budget_with(values["max_tokens"], notes)
    most = max(60, budget.left // _COMMIT_SHARE)
    parts = [_part(commit, most) for commit in result["commits"]]
    shown = page_of([part.cost for part in parts], page, room=budget.left - _FRAME_TOKENS, most=limit)
    left = len(parts) - shown.stop if shown else 0
    more = f"more commits: repeat the call with page={page + 1}" if left else None
    answer = assembled(parts[shown.start : shown.stop], "commits", budget, searched=result["searched"], more=more)
    if not shown:
        searched = result["searched"]
        none = f"No commit among {searched:,} that pass the filters." if searched else "No commit passes the filters."
        text = f"{none} Try other words, or fewer filters."
        return Answer("\n".join(filter(None, (text, answer.text))), {**answer.structured, "message": text})
    return Answer("\n".join(filter(None, (answer.text, more and f"({more})"))), answer.structured)


def _part(commit: LoggedCommit, most: int) -> Part:
    """Return a commit in both forms."""
    subject = safe_cut(commit["subject"], _SUBJECT_CHARS)
    author = safe_cut(commit["author"]["name"], 60)
    lines = [safe_cut(line, MAX_LINE_CHARS) for line in commit["lines"]]
    files = [safe_cut(change["path"], MAX_PATH_CHARS) for change in commit["changes"][:_FILES_SHOWN]]
    if left := commit["files"] - len(files):
        files.append(f"{left:,} more")
    head = f"{commit['short_id']}  {day_of(commit['date'])}  {author}  {subject}"
    text = "\n".join([head, *(f"  {line}" for line in lines), *([f"  changed: {', '.join(files)}"] if files else [])])
    data = {"id": commit["short_id"], "date": day_of(commit["date"]), "author": author, "subject": subject}
    if lines:
        data["lines"] = "\n".join(lines)
    if files:
        data["files"] = ", ".join(files)
    if Part(text, data).cost > most:
        short = cut_to(subject, most // 2)
        text = f"{commit['short_id']}  {day_of(commit['date'])}  {short}"
        data = {"id": commit["short_id"], "date": day_of(commit["date"]), "subject": short}
    return Part(text, data)


LOG = Tool(
    name="log",
    title="Search commits",
    description=(
        "Find the commits that answer a question about how the code came to be: when something changed, why it was "
        "added or removed, which commit fixed an issue. Ask in plain words, or give a name, #1234 or a commit id. "
        "Without words it lists the newest commits that pass the filters. Returns `id  date  author  subject` with the "
        "matching lines of the message and the changed files. Use it instead of git log --grep and git log -S. "
        "For code as it is now use search."
    ),
    parameters=(
        Parameter(
            "query",
            Kind.TEXT,
            "A question or words. May contain filters: author:ada since:2024-05 until:2w path:src/** "
            'touches:Client.get "exact phrase" /regex/ #1234. Empty for the newest commits.',
            default="",
            aliases=("q", "question", "text"),
        ),
        Parameter("limit", Kind.INTEGER, "Most commits on a page.", default=10, maximum=_MOST_COMMITS, aliases=("n",)),
        PAGE,
        ROOTS,
        SYNC,
        MAX_TOKENS,
    ),
    output=output_schema(
        commits=listed(id=TEXT, date=TEXT, author=TEXT, subject=TEXT, lines=TEXT, files=TEXT),
        searched=NUMBER,
        more=TEXT,
        message=TEXT,
    ),
    run=_log,
)
