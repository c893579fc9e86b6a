"""What usually changes together, computed from plain values."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from codeindexd.search.history.together import CommitItems, companions


def commits(*changed: str, files: int | None = None) -> list[CommitItems[bytes]]:
    """Return commits, newest first; each is given as the paths that it changed, separated by spaces."""
    return [
        CommitItems(number, [path.encode() for path in paths.split()], files or len(paths.split()))
        for number, paths in enumerate(changed)
    ]


def totals(**known: int) -> object:
    def of(items: Collection[bytes]) -> Mapping[bytes, int]:
        return {item: known.get(item.decode(), 0) for item in items}

    return of


def test_counts_and_confidence() -> None:
    found = companions(commits("a b", "a b c", "a c", "a"), {b"a"}, totals(b=2, c=4))  # type: ignore[arg-type]
    assert [(one.item, one.count, one.total, one.confidence) for one in found.found] == [
        (b"b", 2, 2, 0.5),
        (b"c", 2, 4, 0.5),
    ]
    assert found.found[0].commits == (0, 1)
    assert found.found[0].score == pytest.approx(2 / (4 * 2) ** 0.5 / 2)
    assert (found.counted, found.large) == (4, 0)


def test_what_changes_all_the_time_comes_last() -> None:
    history = commits("a b changelog", "a b changelog", "a changelog", "a changelog")
    found = companions(history, {b"a"}, totals(b=2, changelog=1000))  # type: ignore[arg-type]
    assert [one.item for one in found.found] == [b"b", b"changelog"]


def test_two_commits_are_little_evidence() -> None:
    history = commits(*["a b"] * 8, *["a c"] * 2, *["a"] * 10)
    found = companions(history, {b"a"}, totals(b=32, c=2))  # type: ignore[arg-type]
    assert [one.item for one in found.found] == [b"b", b"c"]


def test_large_commits_say_nothing() -> None:
    history = commits("a b", "a b", "a c", "a c") + commits("a d", "a d", files=51)
    found = companions(history, {b"a"}, totals())  # type: ignore[arg-type]
    assert {one.item for one in found.found} == {b"b", b"c"}
    assert (found.counted, found.large) == (4, 2)


def test_one_commit_in_common_is_a_coincidence_unless_there_are_few() -> None:
    assert not companions(commits("a b", "a", "a", "a"), {b"a"}, totals()).found  # type: ignore[arg-type]
    assert companions(commits("a b", "a"), {b"a"}, totals()).found[0].item == b"b"  # type: ignore[arg-type]


def test_former_names_are_not_companions() -> None:
    assert not companions(commits("a old", "old"), {b"a", b"old"}, totals()).found  # type: ignore[arg-type]


def test_no_commits() -> None:
    found = companions([], {b"a"}, totals())  # type: ignore[arg-type]
    assert (found.found, found.counted) == ([], 0)
