"""A searchable root with real stores, whose files are committed one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from codeindexd.indexing.pipeline import Pipeline
from codeindexd.roots.registry import RootSpec
from codeindexd.scan.merkle import skipped_hash
from codeindexd.search.searchable_root import SearchableHistory
from codeindexd.storage.catalog.skipped_texts import ReadText
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.snapshot import Snapshot
from codeindexd.storage.text import Document
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import Entry, FileUpdate, NodeKind, Outcome, RootState, Transaction, VectorSpace
from codeindexd.workers.jobs import FileJob, FileStatus, WorkerSettings

PIPELINE = Pipeline(WorkerSettings(embed=True))


class Indexed:
    """A searchable root. ``meanwhile`` runs once, as soon as a query has its snapshot."""

    def __init__(self, directory: Path, name: str = "code") -> None:
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        self.spec = RootSpec("one", self.directory, 1, 1)
        self.state = RootState.FRESH
        self.meanwhile: Callable[[], None] = lambda: None
        self.history: SearchableHistory | None = None
        self.hints: set[bytes] = set()
        self.unread_noted = 0
        self.vectors = VectorStore.open(directory / "vectors.db")
        space = VectorSpace("bundled", 256)
        self.index = IndexWriter(directory / "stores", root_id="one", vectors=self.vectors, space=space)

    @property
    def query_model(self) -> str:
        return self.index.current.identity

    @property
    def clock(self) -> str:
        return self.spec.clock(self.index.current.generation)

    @property
    def is_at_rest(self) -> bool:
        return self.index.current.is_at_rest

    def wake(self) -> None:
        self.index.current.wake()

    @contextmanager
    def pin_snapshot(self) -> Iterator[Snapshot | None]:
        with self.index.current.pin() as snapshot:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
            yield snapshot

    def hint_from_thread(self, paths: Iterable[bytes]) -> None:
        self.hints.update(paths)

    def note_unread_texts(self) -> None:
        self.unread_noted += 1

    def skip(self, name: str, text: str | bytes, reason: str = "oversized") -> None:
        """Write a file and commit it as skipped."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        entry = Entry(name.encode(), NodeKind.SKIPPED, skipped_hash(reason), None, reason, "a rule")
        self.index.commit(Transaction(updates=[FileUpdate(entry, Outcome.SKIPPED, reason=reason)]))

    def read_skipped(self) -> None:
        """Read all skipped texts, as a running root does in quiet times."""
        with self.index.current.pin() as snapshot:
            assert snapshot is not None
            every = snapshot.catalog.skipped_texts(snapshot.read_round)
        for text in every:
            done = PIPELINE.process(FileJob(1, self.spec.raw, text.path, text_only=True))
            assert done.stat is not None
            document = Document.from_bytes(done.leaf, done.trigrams, is_masked=done.is_masked)
            self.index.add_read_texts([ReadText(text.file_id, done.leaf, done.stat, done.long_runs)], [document])

    def save(self, name: str, text: str | bytes) -> None:
        """Write a file and commit it, with its chunks and trigrams."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        done = PIPELINE.process(FileJob(1, self.spec.raw, name.encode()))
        assert done.stat is not None
        entry = Entry(name.encode(), NodeKind.FILE, done.leaf, done.stat)
        outcome = Outcome.INDEXED if done.status is FileStatus.INDEXED else Outcome.SKIPPED
        update = FileUpdate(
            entry,
            outcome,
            done.language,
            done.encoding,
            done.fingerprint,
            done.reason,
            chunks=done.chunks,
            trigrams=done.trigrams,
            is_masked=done.is_masked,
            definitions=done.definitions,
            is_partial=done.is_partial,
            references=done.references,
        )
        self.index.commit(Transaction(updates=[update]))

    def close(self) -> None:
        """Close the stores."""
        self.index.close()
        self.vectors.close()
