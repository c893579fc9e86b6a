"""Recognizes lines that a commit only reformatted: by the pairs of characters that they share, as git does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_REACH = 10  # lines before and after the expected place in which a line is looked for


def similar_lines(old: Sequence[bytes], new: Sequence[bytes]) -> list[int | None]:
    """Return, for each of the ``new`` lines that replaced the ``old`` ones, the place of the old line it came from.

    Places never descend. Several lines can come from one. None where no line is similar.
    """
    found: list[int | None] = [None] * len(new)
    if old and new:
        _match([_pairs(line) for line in old], [_pairs(line) for line in new], found, 0, len(old), 0, len(new))
    return found


def _match(
    old: list[Counter[bytes]],
    new: list[Counter[bytes]],
    found: list[int | None],
    old_start: int,
    old_end: int,
    new_start: int,
    new_end: int,
) -> None:
    """Match the line whose best match stands out most, then those before and after it, in between what is left."""
    ranges = [(old_start, old_end, new_start, new_end)]
    while ranges:
        old_start, old_end, new_start, new_end = ranges.pop()
        surest, surest_line, surest_match = 0, -1, -1
        for line in range(new_start, new_end):
            expected = line * len(old) // len(new)
            first, last = max(old_start, expected - _REACH), min(old_end, expected + _REACH + 1)
            best, second, match = 0, 0, -1
            for place in range(first, last):
                similarity = (old[place] & new[line]).total() * 1000 - abs(place - expected)
                if similarity > best:
                    best, second, match = similarity, best, place
                elif similarity > second:
                    second = similarity
            if match >= 0 and best * 2 - second > surest:
                surest, surest_line, surest_match = best * 2 - second, line, match
        if surest_line < 0:
            continue
        found[surest_line] = surest_match
        old[surest_match] = old[surest_match] - new[surest_line]
        ranges.append((old_start, surest_match + 1, new_start, surest_line))
        ranges.append((surest_match, old_end, surest_line + 1, new_end))


def _pairs(line: bytes) -> Counter[bytes]:
    text = b" " + b" ".join(line.lower().split()) + b" "
    return Counter(text[start : start + 2] for start in range(len(text) - 1))
