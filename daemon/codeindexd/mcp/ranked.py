"""Ranked hits within a budget: every hit's place first, then lines for the best, then the places of further hits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codeindexd.mcp.answers import Answer, Budget, Part, assembled, cut_to, page_of, with_notes
from codeindexd.mcp.excerpts import Detail, best_line, excerpt, headline, middle_cut, words_of
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import Definition, Hit
    from codeindexd.mcp.scope import Scope

FURTHER = 40  # hits after those of a page, of which only places are shown
_PLACES_SHARE = 0.5
_FURTHER_SHARE = 0.2
# What room is left is given out in these steps: the ranks (from, to) whose lines are shown in more detail.
_STEPS = (
    (0, 3, Detail.CORE),
    (3, 10, Detail.LINE),
    (0, 1, Detail.AROUND),
    (3, 6, Detail.CORE),
    (0, 1, Detail.WHOLE),
    (1, 3, Detail.AROUND),
    (6, 50, Detail.CORE),
    (1, 3, Detail.WHOLE),
    (3, 50, Detail.AROUND),
    (3, 50, Detail.WHOLE),
)


@dataclass(frozen=True)
class _Entry:
    """A hit and how it can be shown; its place costs at most ``most`` tokens."""

    hit: Hit | Definition
    path: str
    words: frozenset[str]
    most: int

    def part(self, detail: Detail) -> Part:
        lines = excerpt(self.hit, detail, self.words)
        head = cut_to(headline(self.hit, self.path), self.most)
        return Part(f"{head}\n{lines}", {"place": head, "text": lines}) if lines else Part(head, {"place": head})


def ranked_answer(
    hits: Sequence[Hit | Definition],
    scope: Scope,
    budget: Budget,
    *,
    query: str,
    limit: int,
    page: int,
    nothing: str,
) -> Answer:
    """Return the hits of a page, of at most ``limit``, with as many lines as fit, and places of those after it.

    ``nothing`` is the text if there are no hits.
    """
    words, room = words_of(query), int(budget.left * _PLACES_SHARE)
    entries = [_Entry(hit, scope.shown(hit["root"], hit["path"]), words, room - 10) for hit in hits]
    places = [entry.part(Detail.PLACE) for entry in entries]
    shown = page_of([part.cost for part in places], page, room=room, most=limit)
    if not shown:
        text = nothing if page == 1 else f"There is no page {page}: {quantity(len(hits), 'hit')} in all."
        return with_notes(text, {"hits": [], "message": text}, budget)
    parts = places[shown.start : shown.stop]
    budget.left -= sum(part.cost for part in parts)
    further = _Further(entries[shown.stop :], page, int(budget.left * _FURTHER_SHARE))
    budget.left -= further.cost
    _add_lines(parts, entries[shown.start : shown.stop], budget)
    answer = assembled(parts, "hits", budget, further=further.places or None, more=further.more)
    return Answer(_joined(parts, further, budget), answer.structured)


def _add_lines(parts: list[Part], entries: Sequence[_Entry], budget: Budget) -> None:
    """Replace parts by more detailed ones, as long as the budget lasts."""
    for first, last, detail in _STEPS:
        for rank in range(first, min(last, len(parts))):
            better = entries[rank].part(detail)
            if budget.take(better.cost - parts[rank].cost):
                parts[rank] = better


def _joined(parts: Sequence[Part], further: _Further, budget: Budget) -> str:
    """Return the text: hits with lines are separated by blank lines, so that a place is not taken for code."""
    blocks: list[str] = []
    for has_lines, group in itertools.groupby(parts, key=lambda part: "\n" in part.text):
        blocks.append(("\n\n" if has_lines else "\n").join(part.text for part in group))
    if further.text:
        blocks.append(further.text)
    blocks += [f"Note: {note}" for note in budget.notes]
    return "\n\n".join(blocks)


class _Further:
    """Places of hits that come after those shown, grouped by file: ``src/a.py:12 parse, 40 Reader.read``."""

    def __init__(self, entries: Sequence[_Entry], page: int, room: int) -> None:
        self.places: list[str] = []
        self.more: str | None = None
        self.cost = 0
        if not entries:
            return
        self.more = f"for more, repeat the call with page={page + 1}"
        self.cost = Part(f"More: {self.more}", self.more).cost + 4
        for place in _by_file(entries):
            cost = Part(place, place).cost
            if self.cost + cost > room:
                break
            self.cost += cost
            self.places.append(place)

    @property
    def text(self) -> str:
        if self.more is None:
            return ""
        return "\n".join([*(["Also:", *self.places] if self.places else []), f"({self.more})"])


def _by_file(entries: Sequence[_Entry]) -> Iterator[str]:
    by_path: dict[str, list[str]] = {}
    for entry in entries:
        name = middle_cut(str(entry.hit["symbol"]).rpartition("\n")[2], 60)
        by_path.setdefault(middle_cut(entry.path, 200), []).append(f"{best_line(entry.hit)} {name}".rstrip())
    for path, places in by_path.items():
        yield f"{path}:{', '.join(places[:4])}"


HIT_FIELDS: dict[str, Any] = {
    "place": {"type": "string", "description": "path:line  symbol  kind"},
    "text": {"type": "string", "description": "Lines; each run of them begins with its line number."},
}
"""The fields of a hit in a structured answer."""
