"""Answers of tools: text for a model and the same as structured content, both within a budget of tokens.

A host shows its model either the text or the structured content (Claude Code, Codex and OpenCode the latter). So both
are complete, and the budget holds for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from codeindexd.mcp import tokens

DEFAULT_TOKENS = 2_000
LEAST_TOKENS = 200
MOST_TOKENS = 10_000
_MOST_NOTE_CHARS = 400
_FRAME_TOKENS = 30  # braces, names of fields
_NOTES_SHARE = 4  # notes get at most a quarter of the budget


@dataclass(frozen=True)
class Answer:
    """What a tool answers."""

    text: str
    structured: Mapping[str, Any]
    is_error: bool = False


@dataclass(frozen=True)
class Part:
    """One entry of an answer, in both forms."""

    text: str
    data: Any

    @cached_property
    def cost(self) -> int:
        """The number of tokens of the larger form, with its separator."""
        return 1 + max(tokens.count(self.text), tokens.count(as_json(self.data)))


@dataclass
class Budget:
    """The tokens that are left for an answer."""

    left: int
    notes: list[str] = field(default_factory=list)

    def take(self, cost: int) -> bool:
        """Return True and take ``cost``, if so much is left."""
        if cost > self.left:
            return False
        self.left -= cost
        return True


def as_json(data: Any) -> str:
    """Return ``data`` as the JSON text that a host would show its model."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def budget_with(budget: int, notes: Iterable[str]) -> Budget:
    """Return a budget of ``budget`` tokens after subtracting the frame of an answer and as many ``notes`` as fit."""
    left = Budget(budget - _FRAME_TOKENS)
    for_notes = budget // _NOTES_SHARE
    for note in dict.fromkeys(notes):
        short = note if len(note) <= _MOST_NOTE_CHARS else f"{note[:_MOST_NOTE_CHARS]}..."
        cost = tokens.count(short) + 4
        if cost <= for_notes and left.take(cost):
            for_notes -= cost
            left.notes.append(short)
    return left


def assembled(parts: Sequence[Part], name: str, budget: Budget, **fields: Any) -> Answer:
    """Return the answer of ``parts``, which become the list ``name``, with the notes in ``budget`` after them.

    ``fields`` are added to the structured content unless they are None.
    """
    structured = {name: [part.data for part in parts]}
    structured |= {key: value for key, value in fields.items() if value is not None}
    return with_notes("\n".join(part.text for part in parts), structured, budget)


def with_notes(text: str, structured: Mapping[str, Any], budget: Budget) -> Answer:
    """Return an answer with the notes in ``budget``, in both of its forms."""
    notes = [f"Note: {note}" for note in budget.notes]
    return Answer(
        "\n".join(filter(None, (text, *notes))), {**structured, "notes": budget.notes} if notes else structured
    )


def cut_to(text: str, most: int) -> str:
    """Return ``text`` with its middle left out, if it costs more than ``most`` tokens in one of the forms."""
    kept, cut = len(text), text
    while kept > 1 and max(tokens.count(cut), tokens.count(as_json(cut))) > most:
        kept = kept * 3 // 4
        cut = f"{text[: kept // 2]}...{text[len(text) - kept // 2 :]}"
    return cut


def page_of(costs: Sequence[int], page: int, *, room: int, most: int) -> range:
    """Return the indexes of the entries on a page; pages are counted from 1.

    Each page has as many entries as fit into ``room`` tokens, at least one and not more than ``most``. The range is
    empty if there are fewer pages.
    """
    start = 0
    for number in range(1, page + 1):
        end, left = start, room
        while end < len(costs) and end - start < most and (end == start or costs[end] <= left):
            left -= costs[end]
            end += 1
        if number == page or end == start:
            return range(start, end)
        start = end
    return range(0)
