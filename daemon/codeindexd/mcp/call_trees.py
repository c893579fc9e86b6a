"""Trees of callers and callees as lines, each indented below the one that it calls or that calls it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from codeindexd.mcp.answers import Answer, Budget, Part, assembled, cut_to, page_of
from codeindexd.mcp.excerpts import MAX_NAME_CHARS, MAX_PATH_CHARS, cut_line, middle_cut
from codeindexd.mcp.scope import Scope

_FRAME_TOKENS = 40  # what is said after the lines
_CALLERS = "callers"


def call_tree(nodes: Sequence[Any], key: str, head: str, total: int, scope: Scope, budget: Budget, page: int) -> Answer:
    """Return a page of the tree ``nodes`` below ``head``; ``key`` is "callers" or "callees", ``total`` their number."""
    parts = [Part(text, text) for text in (cut_to(text, budget.left // 2) for text in _lines(nodes, key, scope, 0))]
    room = budget.left - Part(head, head).cost - _FRAME_TOKENS
    shown = page_of([part.cost for part in parts], page, room=room, most=len(parts) or 1)
    left = len(parts) - shown.stop if shown else 0
    more = f"{left:,} more; repeat the call with page={page + 1}" if left else None
    answer = assembled(parts[shown.start : shown.stop], key, budget, total=total, message=head, more=more)
    return Answer("\n".join(filter(None, (head, answer.text, more and f"({more})"))), answer.structured)


def _lines(nodes: Sequence[Any], key: str, scope: Scope, depth: int) -> Iterator[str]:
    """Yield ``path:line  symbol  (calls)``; for a caller the line is that of its first call, which follows."""
    for node in nodes:
        path = middle_cut(scope.shown(node["root"], node["path"]), MAX_PATH_CHARS)
        first = node["calls"][0] if node["calls"] and key == _CALLERS else None
        line = first["line"] if first else node.get("symbol_line", 1)
        facts = [f"{node['call_count']} calls" if node["call_count"] != 1 else "1 call"]
        facts += ["by name only"] if node["confidence"] == "name" else []
        facts += ["shown elsewhere"] if node.get("repeated") else []
        code = f": {cut_line(first['text'].strip(), frozenset())}" if first else ""
        what = middle_cut(node["symbol"], MAX_NAME_CHARS) or "top level"
        yield f"{'  ' * depth}{path}:{line}  {what}  ({', '.join(facts)}){code}"
        yield from _lines(node.get(key, []), key, scope, depth + 1)
