"""Compiles wildcards to regular expressions that no pattern can make backtrack exponentially.

Patterns may be hostile, and the interpreter's lock is held while they are matched. So every wildcard that is followed
by another one of its kind becomes an atomic group around its leftmost match. That loses no match: whatever a longer
match would leave to the next wildcard, the shorter one leaves too.

Ignore files and the path filters of queries differ in their syntax and share this module.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence


class Wildcard(enum.Enum):
    """A token that matches any number of characters."""

    NAME = "*"  # inside one path component
    PATH = "**"  # across components
    DIRECTORIES = "**/"  # any number of whole components


Token = str | Wildcard
"""A wildcard, or a regular expression that matches exactly one character. A slash is always written ``"/"``."""

_IN_NAME = "[^/]*"
_GREEDY = {Wildcard.PATH: ".*", Wildcard.DIRECTORIES: "(?:.*/)?"}
_LAZY = {Wildcard.PATH: ".*?", Wildcard.DIRECTORIES: "(?:[^/]*/)*?"}


def to_regex(tokens: Sequence[Token]) -> str:
    """Return an expression for a full match of ``tokens``; compile it with ``re.DOTALL``."""
    groups: list[list[Token]] = [[]]  # the tokens before, between and after the wildcards that cross components
    gaps: list[Wildcard] = []
    for token in tokens:
        if token is Wildcard.PATH or token is Wildcard.DIRECTORIES:
            gaps.append(token)
            groups.append([])
        else:
            groups[-1].append(token)
    parts = [_group(groups[0], is_last=not gaps)]
    for gap, group in zip(gaps[:-1], groups[1:-1], strict=True):
        parts.append(f"(?>{_LAZY[gap]}{_group(group, is_last=False)})")
    if gaps:
        parts.append(_GREEDY[gaps[-1]] + _group(groups[-1], is_last=True))
    return "".join(parts)


def without_redundant_wildcards(tokens: Sequence[Token]) -> list[Token]:
    """Return equivalent tokens without wildcards that add nothing to their neighbour, as in ``***`` or ``**/**``."""
    kept: list[Token] = []
    for token in tokens:
        merged = _merged(kept[-1], token) if kept else None
        if merged is None:
            kept.append(token)
        else:
            kept[-1] = merged
    return kept


def _merged(left: Token, right: Token) -> Wildcard | None:
    """Return the one wildcard that is equivalent to both, or None if there is none."""
    match left, right:
        case Wildcard.NAME | Wildcard.PATH, Wildcard.NAME | Wildcard.PATH:
            return Wildcard.NAME if left is right is Wildcard.NAME else Wildcard.PATH
        case Wildcard.DIRECTORIES, Wildcard.DIRECTORIES:
            return Wildcard.DIRECTORIES
        case Wildcard.DIRECTORIES, Wildcard.PATH:
            return Wildcard.PATH
    return None


def _group(tokens: Sequence[Token], *, is_last: bool) -> str:
    """Return an expression for tokens without a wildcard that crosses components."""
    parts: list[str] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if isinstance(token, str):
            parts.append(token)
            continue
        end = at
        while end < len(tokens) and isinstance(tokens[end], str) and tokens[end] != "/":
            end += 1
        run = "".join(token for token in tokens[at:end] if isinstance(token, str))
        is_followed = not is_last if end == len(tokens) else isinstance(tokens[end], Wildcard)
        parts.append(f"(?>{_IN_NAME}?{run})" if is_followed else _IN_NAME + run)
        at = end
    return "".join(parts)
