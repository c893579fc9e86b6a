"""The tools ``status`` and ``add_root``: what is indexed, and indexing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codeindexd.errors import NotIndexedError
from codeindexd.mcp.answers import Answer, Part, assembled, budget_with, page_of
from codeindexd.mcp.arguments import Kind, Parameter
from codeindexd.mcp.call_scope import add_root, scope_of
from codeindexd.mcp.excerpts import middle_cut
from codeindexd.mcp.scope import ALL
from codeindexd.mcp.tool import MAX_TOKENS, NUMBER, ROOTS, TEXT, TEXTS, Call, Tool, listed, output_schema
from codeindexd.mcp.tool_errors import for_model
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeindexd.client.results import RootStatus

_MOST_FAILURES = 10
_BUSY = frozenset({"indexing", "reconciling"})


async def _status(call: Call, values: dict[str, Any]) -> Answer:
    notes = []
    requested = values["roots"]
    try:
        scope = await scope_of(call, requested)
        roots, notes = scope.roots, [*scope.notes]
    except NotIndexedError as error:
        if requested and requested != ALL:
            raise
        roots = None
        notes.append(f"{error.message}. {error.hint}")
    statuses = [status for status in (await call.client.status())["roots"] if roots is None or status["path"] in roots]
    if not statuses:
        text = "Nothing is indexed yet. Call add_root with the path of a directory."
        return assembled([], "roots", budget_with(values["max_tokens"], [text, *notes]))
    budget = budget_with(values["max_tokens"], notes)
    room = budget.left - 20
    parts = [_root(status, room) for status in statuses]
    shown = page_of([part.cost for part in parts], 1, room=room, most=len(parts))
    more = f"{len(parts) - len(shown)} more; ask for one with roots" if len(shown) < len(parts) else None
    answer = assembled(parts[: len(shown)], "roots", budget, more=more)
    return Answer("\n".join(filter(None, (answer.text, more and f"({more})"))), answer.structured)


def _root(status: RootStatus, room: int) -> Part:
    """Return the state of a root, with as many details as fit into ``room`` tokens."""
    first, *details = _lines(status)
    data: dict[str, Any] = {
        "path": status["path"],
        "state": status["state"],
        "files": status["files"],
        "chunks": status["chunks"],
        "pending_files": status["pending_files"],
        "failed_files": status["failed_files"],
    }
    while details:
        part = Part("\n".join([first, *details]), {**data, "details": [line.strip() for line in details]})
        if part.cost <= room:
            return part
        details.pop()
    return Part(first, data)


def _lines(status: RootStatus) -> Iterator[str]:
    progress = status["progress"]
    at_least = "at least " if progress.get("scanning") else ""
    left = f", {at_least}{quantity(status['pending_files'], 'file')} left" if status["pending_files"] else ""
    if status["state"] in _BUSY and progress["eta_s"]:
        left += f", about {progress['eta_s']:.0f} s"
    size = f"{quantity(status['files'], 'file')}, {quantity(status['chunks'], 'chunk')}"
    yield f"{status['path']}: {status['state']}, {size}{left}"
    for problem in status.get("problems", []):
        yield f"  {for_model(problem['message'])} ({for_model(problem['hint'])})"
    for note in status.get("notes", []):
        yield f"  {for_model(note)}"
    for failure in status["failures"][:_MOST_FAILURES]:
        yield f"  not indexed: {middle_cut(failure['path'], 200)}: {middle_cut(failure['error'], 200)}"
    if (more := status["failed_files"] - _MOST_FAILURES) > 0:
        yield f"  and {quantity(more, 'more file is', 'more files are')} not indexed"


async def _add_root(call: Call, values: dict[str, Any]) -> Answer:
    result = await add_root(call, values["path"], wait=values["wait"])
    parts = [
        Part(
            f"{root['path']}: {root['state']}, {quantity(root['files'], 'file')}",
            {"path": root["path"], "state": root["state"], "files": root["files"]},
        )
        for root in result["roots"]
    ]
    notes = [for_model(note) for root in result["roots"] for note in root.get("notes", [])]
    if any(root["state"] in _BUSY for root in result["roots"]):
        notes.append("indexing continues; what is indexed can be searched, and status shows how much is left")
    return assembled(parts, "roots", budget_with(values["max_tokens"], notes))


_ROOT_FIELDS = {"path": TEXT, "state": TEXT, "files": NUMBER}

STATUS = Tool(
    name="status",
    title="Index status",
    description=(
        "Show what is indexed, whether it is as fresh as the disk, and which files could not be indexed and why. Call "
        "it when an answer carries a note about the index, not before every search."
    ),
    parameters=(ROOTS, MAX_TOKENS),
    output=output_schema(
        roots=listed(
            **_ROOT_FIELDS,
            chunks=NUMBER,
            pending_files=NUMBER,
            failed_files=NUMBER,
            details=TEXTS,
        ),
        more=TEXT,
    ),
    run=_status,
)

ADD_ROOT = Tool(
    name="add_root",
    title="Index a directory",
    description=(
        "Index a directory and keep its index fresh from then on. Call it when another tool says that a directory is "
        "not indexed. A large one takes minutes; what is indexed already can be searched meanwhile."
    ),
    parameters=(
        Parameter(
            "path",
            Kind.PATH,
            "The directory, preferably the top of a repository.",
            required=True,
            aliases=("root", "directory"),
        ),
        Parameter("wait", Kind.BOOLEAN, "Wait until all of it can be searched, at most 30 seconds.", default=True),
        MAX_TOKENS,
    ),
    output=output_schema(roots=listed(**_ROOT_FIELDS)),
    run=_add_root,
    read_only=False,
)
