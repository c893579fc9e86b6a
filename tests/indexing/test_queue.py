from __future__ import annotations

from codeindexd.indexing.queue import WorkQueue
from codeindexd.types import Entry, NodeKind


def entry(path: bytes, content: bytes = b"1") -> Entry:
    return Entry(path, NodeKind.FILE, content * 16)


def test_wishing_again_for_the_same_content_changes_nothing() -> None:
    pending = WorkQueue()
    first = pending.want(entry(b"a"), urgent=False)
    assert first is not None
    assert pending.want(entry(b"a"), urgent=False) is None
    assert pending.next(urgent=False) is first
    assert pending.want(entry(b"a"), urgent=False) is None, "also while a worker has it"


def test_new_content_supersedes_work_in_flight() -> None:
    pending = WorkQueue()
    old = pending.want(entry(b"a", b"1"), urgent=False)
    assert old is not None
    assert pending.next(urgent=False) is old
    new = pending.want(entry(b"a", b"2"), urgent=True)
    assert new is not None
    assert not pending.is_current(old)
    pending.done(old)
    assert b"a" in pending, "a late result of the old content must not end the wish for the new one"
    pending.done(new)
    assert b"a" not in pending


def test_a_save_moves_a_bulk_file_to_the_urgent_queue_once() -> None:
    pending = WorkQueue()
    pending.want(entry(b"a"), urgent=False)
    moved = pending.want(entry(b"a"), urgent=True)
    assert moved is not None
    assert pending.next(urgent=False) is None, "the bulk ticket is no longer current"
    assert pending.next(urgent=True) is moved
    assert pending.want(entry(b"a"), urgent=False) is None


def test_forgetting_a_directory_takes_what_is_below_and_nothing_else() -> None:
    pending = WorkQueue()
    for path in (b"src/a", b"src/b/c", b"srcs", b"src.py"):
        pending.want(entry(path), urgent=False)
    pending.forget({b"src"})
    assert sorted(ticket.path for ticket in pending) == [b"src.py", b"srcs"]
    pending.forget({b""})
    assert not len(pending)


def test_settled_looks_only_at_wishes_up_to_a_number() -> None:
    pending = WorkQueue()
    early = pending.want(entry(b"a"), urgent=False)
    assert early is not None
    number = pending.latest
    late = pending.want(entry(b"b"), urgent=False)
    assert not pending.settled(number)
    pending.done(early)
    assert pending.settled(number)
    assert late is not None
    assert not pending.settled(pending.latest)


def test_abandoned_work_comes_first_again() -> None:
    pending = WorkQueue()
    first = pending.want(entry(b"a"), urgent=False)
    pending.want(entry(b"b"), urgent=False)
    assert first is not None
    assert pending.next(urgent=False) is first
    pending.put_back(first)
    assert pending.next(urgent=False) is first


def test_whoever_waits_for_a_wish_waits_for_something_at_least_as_new() -> None:
    pending = WorkQueue()
    older = pending.want(entry(b"a", b"1"), urgent=True)
    first = pending.latest
    newer = pending.want(entry(b"a", b"2"), urgent=True)
    second = pending.latest
    assert older is not None
    assert newer is not None
    assert pending.counts(older)
    assert not pending.settled(first)
    pending.done(older)
    assert pending.settled(first)
    assert not pending.settled(second)
    pending.done(newer)
    assert pending.settled(second)


def test_what_is_older_than_something_done_or_was_forgotten_does_not_count() -> None:
    pending = WorkQueue()
    older = pending.want(entry(b"a", b"1"), urgent=True)
    newer = pending.want(entry(b"a", b"2"), urgent=True)
    assert older is not None
    assert newer is not None
    pending.want(entry(b"a", b"3"), urgent=True)
    pending.done(newer)
    assert not pending.counts(older)
    pending.forget({b"a"})
    pending.want(entry(b"a", b"4"), urgent=True)
    assert not pending.counts(newer)


def test_a_wish_follows_its_file_to_another_path() -> None:
    pending = WorkQueue()
    pending.want(entry(b"a"), urgent=True)
    number = pending.latest
    since = pending.since(b"a")
    pending.forget({b"a"})
    moved = pending.want(entry(b"b"), urgent=True, since=since)
    assert moved is not None
    assert not pending.settled(number)
    pending.done(moved)
    assert pending.settled(number)
