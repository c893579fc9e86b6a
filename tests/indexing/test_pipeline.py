"""What the pipeline makes of one file, without a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeindexd.analysis.trigrams import trigrams_of
from codeindexd.indexing import pipeline
from codeindexd.indexing.pipeline import Pipeline
from codeindexd.workers.jobs import FileJob, FileResult, FileStatus, WorkerSettings

LIMIT = 100


def process(place: Path, content: bytes, *, text_only: bool) -> FileResult:
    (place / "a.json").write_bytes(content)
    return Pipeline(WorkerSettings(max_file_bytes=LIMIT)).process(
        FileJob(1, bytes(place), b"a.json", text_only=text_only)
    )


def test_a_file_that_is_too_large_has_trigrams_and_no_chunks(tmp_path: Path) -> None:
    text = b'{"needle": 1}\n' * LIMIT
    assert process(tmp_path, text, text_only=False).status is FileStatus.VANISHED
    found = process(tmp_path, text, text_only=True)
    assert (found.status, found.chunks, found.bytes_read) == (FileStatus.INDEXED, (), len(text))
    assert found.trigrams == trigrams_of(text).astype("<u4").tobytes()


def test_a_binary_file_has_no_trigrams(tmp_path: Path) -> None:
    found = process(tmp_path, b"\0\1\2" * LIMIT, text_only=True)
    assert (found.status, found.reason, found.trigrams) == (FileStatus.SKIPPED, "binary", b"")


def test_text_beyond_what_exact_search_reads_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MOST_TEXT_BYTES", 3 * LIMIT)
    assert process(tmp_path, b"x" * (3 * LIMIT), text_only=True).status is FileStatus.INDEXED
    assert process(tmp_path, b"x" * (3 * LIMIT + 1), text_only=True).status is FileStatus.VANISHED
