"""Files or directories within a budget, each with its best places in one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeindexd.mcp.answers import Answer, Budget, Part, assembled, cut_to, page_of, with_notes
from codeindexd.mcp.excerpts import MAX_PATH_CHARS, Detail, excerpt, headline, middle_cut, words_of
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import Group, SearchResult
    from codeindexd.mcp.scope import Scope

_MOST_PART = 0.5  # of the budget for one group


def grouped_answer(
    result: SearchResult, scope: Scope, budget: Budget, *, query: str, limit: int, page: int, nothing: str
) -> Answer:
    """Return the files or directories of a page, at most ``limit``; ``nothing`` is the text if there are none."""
    words = words_of(query)
    most = int(budget.left * _MOST_PART)
    parts = [_part(group, result, scope, words, most) for group in result["groups"]]
    more = "for more, repeat the call with page={}"
    room = budget.left - Part(more, more).cost
    shown = page_of([part.cost for part in parts], page, room=room, most=limit)
    if not shown:
        text = nothing if page == 1 else f"There is no page {page}: {quantity(len(parts), 'result')} in all."
        return with_notes(text, {"hits": [], "message": text}, budget)
    rest = more.format(page + 1) if shown.stop < len(parts) else None
    answer = assembled(parts[shown.start : shown.stop], "hits", budget, more=rest)
    return Answer(f"{answer.text}\n({rest})", answer.structured) if rest else answer


def _part(group: Group, result: SearchResult, scope: Scope, words: frozenset[str], most: int) -> Part:
    """Return a group: its path, and its best places with their lines."""
    path = scope.shown(group["root"], group["path"]) or "."
    is_directory = "files" in group
    head = middle_cut(f"{path.removesuffix('/')}/" if is_directory else path, MAX_PATH_CHARS)
    if is_directory:
        head += f"  {quantity(group['files'], 'file')}"
    lines = []
    for position in group["hits"]:
        hit = result["hits"][position]
        name = hit["path"].rpartition("/")[2] if is_directory else ""
        place = headline(hit, name).removeprefix(":")
        text = excerpt(hit, Detail.LINE, words).partition(":")[2].strip()
        lines.append(f"  {place}  {text}".rstrip())
    listed = cut_to("\n".join(lines), most)
    return Part(f"{head}\n{listed}", {"place": head, "text": listed})
