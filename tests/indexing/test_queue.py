from __future__ import annotations

from codeindexd.indexing.queue import WorkQueue
from codeindexd.types import Entry, NodeKind


def entry(path: bytes, content: bytes = b"1") -> Entry:
    return Entry(path, NodeKind.FILE, content * 16)


def test_adding_the_same_content_again_changes_nothing() -> None:
    queue = WorkQueue()
    first = queue.add(entry(b"a"), urgent=False)
    assert first is not None
    assert queue.add(entry(b"a"), urgent=False) is None
    assert queue.take(urgent=False) is first
    assert queue.add(entry(b"a"), urgent=False) is None, "also while a worker has it"


def test_new_content_replaces_a_task_in_flight() -> None:
    queue = WorkQueue()
    old = queue.add(entry(b"a", b"1"), urgent=False)
    assert old is not None
    assert queue.take(urgent=False) is old
    new = queue.add(entry(b"a", b"2"), urgent=True)
    assert new is not None
    assert not queue.is_newest(old)
    queue.finish(old)
    assert b"a" in queue, "a late result of the old content must not finish the newer task"
    queue.finish(new)
    assert b"a" not in queue


def test_a_save_moves_a_bulk_file_to_the_urgent_queue_once() -> None:
    queue = WorkQueue()
    queue.add(entry(b"a"), urgent=False)
    moved = queue.add(entry(b"a"), urgent=True)
    assert moved is not None
    assert queue.take(urgent=False) is None, "the bulk task is not the newest any more"
    assert queue.take(urgent=True) is moved
    assert queue.add(entry(b"a"), urgent=False) is None


def test_removing_a_directory_removes_what_is_below_and_nothing_else() -> None:
    queue = WorkQueue()
    for path in (b"src/a", b"src/b/c", b"srcs", b"src.py"):
        queue.add(entry(path), urgent=False)
    queue.remove({b"src"})
    assert sorted(task.path for task in queue) == [b"src.py", b"srcs"]
    queue.remove({b""})
    assert not len(queue)


def test_is_finished_ignores_tasks_above_the_number() -> None:
    queue = WorkQueue()
    early = queue.add(entry(b"a"), urgent=False)
    assert early is not None
    number = queue.last_number
    late = queue.add(entry(b"b"), urgent=False)
    assert not queue.is_finished(number)
    queue.finish(early)
    assert queue.is_finished(number)
    assert late is not None
    assert not queue.is_finished(queue.last_number)


def test_a_task_that_is_put_back_comes_first() -> None:
    queue = WorkQueue()
    first = queue.add(entry(b"a"), urgent=False)
    queue.add(entry(b"b"), urgent=False)
    assert first is not None
    assert queue.take(urgent=False) is first
    queue.put_back(first)
    assert queue.take(urgent=False) is first


def test_a_task_is_finished_once_a_result_as_new_is_committed() -> None:
    queue = WorkQueue()
    older = queue.add(entry(b"a", b"1"), urgent=True)
    first = queue.last_number
    newer = queue.add(entry(b"a", b"2"), urgent=True)
    second = queue.last_number
    assert older is not None
    assert newer is not None
    assert queue.accepts(older)
    assert not queue.is_finished(first)
    queue.finish(older)
    assert queue.is_finished(first)
    assert not queue.is_finished(second)
    queue.finish(newer)
    assert queue.is_finished(second)


def test_results_older_than_a_committed_one_or_of_a_removed_path_are_not_accepted() -> None:
    queue = WorkQueue()
    older = queue.add(entry(b"a", b"1"), urgent=True)
    newer = queue.add(entry(b"a", b"2"), urgent=True)
    assert older is not None
    assert newer is not None
    queue.add(entry(b"a", b"3"), urgent=True)
    queue.finish(newer)
    assert not queue.accepts(older)
    queue.remove({b"a"})
    queue.add(entry(b"a", b"4"), urgent=True)
    assert not queue.accepts(newer)


def test_a_task_keeps_its_age_when_its_file_moves() -> None:
    queue = WorkQueue()
    queue.add(entry(b"a"), urgent=True)
    number = queue.last_number
    oldest = queue.oldest_number(b"a")
    queue.remove({b"a"})
    moved = queue.add(entry(b"b"), urgent=True, oldest=oldest)
    assert moved is not None
    assert not queue.is_finished(number)
    queue.finish(moved)
    assert queue.is_finished(number)
