"""What waits for its commit is bounded, and due in groups of a bounded size."""

from __future__ import annotations

from codeindexd.indexing.commit_buffer import CommitBuffer, ProcessedFile
from codeindexd.indexing.policy import MOST_COMMITS_DOUBLED, commit_limit
from codeindexd.indexing.queue import Task
from codeindexd.types import Entry, NodeKind
from codeindexd.workers.jobs import FileResult, FileStatus
from storage.catalog.transactions import draft

LARGEST = commit_limit(MOST_COMMITS_DOUBLED).chunks


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def processed(number: int, chunks: int, *, urgent: bool = False) -> ProcessedFile:
    path = f"src/file{number}.py".encode()
    result = FileResult(number, path, FileStatus.INDEXED, chunks=(draft("word"),) * chunks)
    return ProcessedFile(Task(number, Entry(path, NodeKind.FILE, bytes(16)), urgent), result)


def test_more_chunks_than_one_commit_holds_are_taken_in_parts() -> None:
    buffer = CommitBuffer(Clock())
    for number in range(10):
        buffer.add_processed(processed(number, 300))
    taken = []
    while files := buffer.take_due(pending_files=1000).bulk:
        taken.append([file.task.number for file in files])
    assert taken == [[0, 1], [2, 3, 4, 5]], "500 chunks in the first commit, 1,000 in the second; the rest is not due"
    assert [file.task.number for file in buffer.take_due(pending_files=4).bulk] == [6, 7, 8, 9], (
        "nothing else is pending"
    )
    assert buffer.file_count == 0


def test_old_files_are_due_however_few_they_are() -> None:
    clock = Clock()
    buffer = CommitBuffer(clock)
    buffer.add_processed(processed(1, 1))
    assert not buffer.take_due(pending_files=5).bulk
    clock.now = commit_limit(0).seconds
    assert len(buffer.take_due(pending_files=5).bulk) == 1


def test_urgent_files_are_due_at_once() -> None:
    buffer = CommitBuffer(Clock())
    buffer.add_processed(processed(1, 1, urgent=True))
    buffer.add_processed(processed(2, 1))
    due = buffer.take_due(pending_files=9)
    assert [file.task.number for file in due.urgent] == [1]
    assert not due.bulk


def test_it_is_full_when_a_commit_is_waiting() -> None:
    buffer = CommitBuffer(Clock())
    buffer.add_processed(processed(1, LARGEST))
    assert not buffer.is_full
    buffer.add_processed(processed(2, 1))
    assert buffer.is_full
    buffer.take_due(pending_files=1000)
    assert not buffer.is_full
