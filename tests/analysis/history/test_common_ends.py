"""What texts have in common at their ends, and parts of them whose diff is that of the whole."""

from __future__ import annotations

import random

import pytest
from pygit2 import Patch
from pygit2.enums import DiffOption

from codeindexd.analysis.history.common_ends import common_ends, differing_part

_SAID = b"  # what makes a line about as long as it is in real programs"
_LINES = (
    b"",
    b"",
    *(start + _SAID for start in (b"}", b"    }", b"    return x", b"def f():", b"  x = 1", b"\tx = 1", b"x  =  1")),
)
_WORDS = [b" " * indent + b"word" + _SAID for indent in (0, 1, 2, 4, 8)]
_FAR = [b"line %d" % number + _SAID for number in range(300)]
Hunks = list[tuple[int, int, int, int]]


def hunks(old: bytes, new: bytes, flags: DiffOption) -> Hunks:
    patch = Patch.create_from(old, new, flag=flags | DiffOption.FORCE_TEXT, context_lines=0, interhunk_lines=0)
    return [(one.old_start, one.old_lines, one.new_start, one.new_lines) for one in patch.hunks]


def flags_for(*, ignore_whitespace: bool, indent_heuristic: bool) -> DiffOption:
    flags = DiffOption.INDENT_HEURISTIC if indent_heuristic else DiffOption.NORMAL
    return flags | DiffOption.IGNORE_WHITESPACE if ignore_whitespace else flags


def hunks_of_part(old: bytes, new: bytes, flags: DiffOption) -> Hunks | None:
    """The hunks that a part shows, in the whole texts; None if there is no part."""
    ignored = bool(flags & DiffOption.IGNORE_WHITESPACE)
    part = differing_part(old, new, common_ends(old, new), ignore_whitespace=ignored)
    if part is None:
        return None
    assert part.start < part.old_end
    assert old[: part.start] == new[: part.start]
    assert old[part.old_end :] == new[part.new_end :]
    before = old.count(b"\n", 0, part.start)
    found = hunks(old[part.start : part.old_end], new[part.start : part.new_end], flags)
    return [(a + before, b, c + before, d) for a, b, c, d in found]


def text(lines: list[bytes], *, ends_with_newline: bool = True) -> bytes:
    joined = b"\n".join(lines)
    return joined + b"\n" if ends_with_newline and lines else joined


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ignore_whitespace", [True, False])
@pytest.mark.parametrize("indent_heuristic", [True, False])
def test_the_diff_of_the_part_is_that_of_the_whole(seed: int, ignore_whitespace: bool, indent_heuristic: bool) -> None:
    chance = random.Random(seed)
    flags = flags_for(ignore_whitespace=ignore_whitespace, indent_heuristic=indent_heuristic)
    found = 0
    for _ in range(100):
        alphabet = _LINES if chance.random() < 0.7 else _LINES[:3]
        lines = [chance.choice(alphabet) for _ in range(chance.randrange(400))]
        if chance.random() < 0.3:  # a text that repeats itself, in which changes can be moved far
            period = lines[: chance.randrange(1, 60)]
            lines = period * (len(lines) // max(1, len(period)) + 1)
        if chance.random() < 0.8:
            lines = [*_FAR, *lines] if chance.random() < 0.5 else [*lines, *_FAR]
        changed = list(lines)
        place = chance.randrange(len(lines) + 1)
        added = chance.choices((*alphabet, b"new %d" % chance.randrange(9)), k=chance.choice((0, 1, 3, 40)))
        if chance.random() < 0.3:
            added = lines[place : place + chance.randrange(1, 50)] or added  # lines said twice
        changed[place : place + chance.choice((0, 0, 1, 2, 30))] = added
        old = text(lines, ends_with_newline=chance.random() < 0.9)
        new = text(changed, ends_with_newline=chance.random() < 0.9)
        of_part = hunks_of_part(old, new, flags) if old != new else None
        assert of_part in (None, hunks(old, new, flags))
        found += of_part is not None
    assert found > 20


@pytest.mark.parametrize("ignore_whitespace", [True, False])
def test_what_decides_where_a_movable_change_is_shown(ignore_whitespace: bool) -> None:
    """A unit is said once more, so the change can be moved; blank lines keep the words apart that decide where to."""
    chance = random.Random(1)
    flags = flags_for(ignore_whitespace=ignore_whitespace, indent_heuristic=True)
    found = 0
    for _ in range(600):
        unit = [chance.choice(_WORDS) for _ in range(chance.choice((1, 2)))]
        count = chance.randrange(20, 66) // len(unit)
        above = [*_FAR, chance.choice(_WORDS), *[b""] * chance.choice((0, 1, 2, 3, 5, 30))]
        below = [*[b""] * chance.choice((0, 1, 2, 3)), chance.choice(_WORDS), *_FAR]
        old, new = text([*above, *unit * count, *below]), text([*above, *unit * (count + 1), *below])
        of_part = hunks_of_part(old, new, flags)
        assert of_part in (None, hunks(old, new, flags))
        found += of_part is not None
    assert 50 < found < 600


def test_lines_in_both_need_the_whole_texts() -> None:
    old = text(_FAR)
    new = old.replace(_FAR[100] + b"\n", b"").replace(_FAR[150], _FAR[100])
    assert differing_part(old, new, common_ends(old, new), ignore_whitespace=True) is None
    spaced = old.replace(b"line 100 ", b"line  100 ").replace(b"line 101 ", b"other ")
    assert differing_part(old, spaced, common_ends(old, spaced), ignore_whitespace=True) is None
    assert differing_part(old, spaced, common_ends(old, spaced), ignore_whitespace=False) is not None


def test_a_change_that_can_be_moved_far_needs_the_whole_texts() -> None:
    old = text(_WORDS[:1] * 300)
    new = old + text(_WORDS[:1])
    assert differing_part(old, new, common_ends(old, new), ignore_whitespace=True) is None


@pytest.mark.parametrize(
    ("old", "new", "ends"),
    [
        (b"a\nb\nc\n", b"a\nx\nc\n", (2, 2)),
        (b"a\n", b"a\nb\n", (2, 0)),
        (b"b\n", b"a\nb\n", (0, 2)),
        (b"ab\n", b"b\n", (0, 0)),  # whole lines only
        (b"", b"a\n", (0, 0)),
        (b"a\na\n", b"a\na\na\n", (4, 0)),
    ],
)
def test_common_whole_lines(old: bytes, new: bytes, ends: tuple[int, int]) -> None:
    assert common_ends(old, new).in_whole_lines(old, new) == ends


def test_common_bytes() -> None:
    chance = random.Random(3)
    for _ in range(500):
        old = bytes(chance.choices(b"ab", weights=(20, 1), k=chance.randrange(60)))
        new = bytes(chance.choices(b"ab", weights=(20, 1), k=chance.randrange(60)))
        assert common_ends(old, new) == (length_of_prefix(old, new), length_of_prefix(old[::-1], new[::-1]))


@pytest.mark.parametrize("length", [8191, 8192, 8193, 16384, 40_000])
def test_common_bytes_of_long_texts(length: int) -> None:
    chance = random.Random(length)
    old = chance.randbytes(length)
    for place in (0, 1, 8190, 8191, 8192, 8193, length // 2, length - 1, length):
        for removed, added in ((0, b"x"), (1, b""), (0, b"long " * 3000), (100, b"y" * 100), (0, b"")):
            new = old[:place] + added + old[place + removed :]
            assert common_ends(old, new) == (length_of_prefix(old, new), length_of_prefix(old[::-1], new[::-1]))


def length_of_prefix(one: bytes, other: bytes) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
