"""A worker's results do not depend on the secrets in a file: terms, names, hashes and vectors."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from analysis.secrets import secret_files
from codeindexd.indexing.pipeline import Pipeline
from codeindexd.workers.jobs import FileJob, FileResult, FileStatus, WorkerSettings

ONE, OTHER = secret_files.everything(1), secret_files.everything(2)
NAMES = sorted(ONE)


def processed(directory: Path, name: str, files: dict[str, bytes], **settings: bool) -> FileResult:
    """Return the result for the file of that name, cut into small chunks."""
    (directory / name).write_bytes(files[name])
    pipeline = Pipeline(WorkerSettings(embed=True, max_chunk_bytes=600, **settings))
    result = pipeline.process(FileJob(1, str(directory).encode(), name.encode()))
    assert result.status is FileStatus.INDEXED, result
    assert result.chunks
    return result


@pytest.mark.parametrize("name", NAMES)
def test_no_result_depends_on_a_secret(tmp_path: Path, name: str) -> None:
    one, other = processed(tmp_path, name, ONE), processed(tmp_path, name, OTHER)
    for mine, theirs in zip(one.chunks, other.chunks, strict=True):
        assert replace(mine, span_hash=b"") == replace(theirs, span_hash=b"")
        assert mine.vector
    assert one.leaf != other.leaf, "the files differ"


def test_without_masking_results_would_differ(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    one = processed(tmp_path, "functions.py", ONE, mask_secrets=False)
    other = processed(tmp_path, "functions.py", OTHER, mask_secrets=False)
    pairs = list(zip(one.chunks, other.chunks, strict=False))
    assert all(mine.embed_hash != theirs.embed_hash and mine.words != theirs.words for mine, theirs in pairs[:20])


def test_an_error_does_not_quote_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(text: bytes, *_: object, **__: object) -> None:
        raise ValueError(f"cannot cut {text.decode()}")

    monkeypatch.setattr("codeindexd.analysis.chunking.chunker.analyse", fails)
    (tmp_path / "a.py").write_text("their_unmasked_words = 1\n")
    result = Pipeline(WorkerSettings()).process(FileJob(1, str(tmp_path).encode(), b"a.py"))
    assert (result.status, result.stage) == ("failed", "chunk")
    assert result.error.startswith("ValueError (test_secrets_in_files.py:")
    assert "their_unmasked_words" not in result.error
