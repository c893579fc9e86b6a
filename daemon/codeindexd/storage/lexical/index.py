"""The writing side of the lexical index."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import tantivy

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.durable import (
    LOCK,
    lock_directory,
    replace_file,
    storing,
    trusted_files,
    write_clean_marker,
)
from codeindexd.storage.lexical.integrity import (
    MANAGED,
    META,
    check_files,
    committed_files,
    remove_orphans,
    superfluous_files,
)
from codeindexd.storage.lexical.schema import (
    SENTINEL,
    WHAT,
    LexicalChunk,
    build_schema,
    chunk_document,
    path_document,
    sentinel_document,
    translated,
)
from codeindexd.storage.lexical.snapshot import LexicalSnapshot
from codeindexd.storage.sharing import share_files

_HEAP_BYTES = 15_000_000  # tantivy's minimum: transactions are small, so more only costs memory
_COPY_ATTEMPTS = 5


class Lexical:
    """One root's lexical index. A single thread writes; any thread may take and search snapshots.

    Guarantees: :meth:`apply` is atomic, also against ``kill -9`` and power loss; after an error the index is at its
    last commit and can be written again; one process at a time has it open.
    """

    def __init__(self, directory: Path, store_uuid: str, lock: int) -> None:
        """Take over ``lock``, the descriptor that locks ``directory``. Use :meth:`open` or :meth:`create`."""
        self._directory = directory
        self._store_uuid = store_uuid
        self._lock = lock
        self._schema = build_schema()
        self._index: tantivy.Index
        self._writer: tantivy.IndexWriter | None = None
        self._current: LexicalSnapshot
        self._left: frozenset[str] = frozenset()  # files that the last call of tidy could not delete

    @classmethod
    def open(cls, directory: Path, store_uuid: str, *, same_boot: bool = False) -> Lexical:
        """Open the index in ``directory``, or create an empty one of generation 0 if there is none.

        Files that cannot be trusted are compared with their checksums (``same_boot`` is as in :func:`trusted_files`).
        Raises StoreDamagedError if the index is damaged, incomplete or of another store (then :meth:`create` it),
        StoreFullError if it cannot be written, AlreadyRunningError if another process has it open.
        """
        lock = lock_directory(directory, WHAT)
        lexical = cls(directory, store_uuid, lock)
        try:
            with storing(WHAT):
                empty = all(path.name == LOCK for path in directory.iterdir())
            if empty:
                lexical._make()
            else:
                check_files(directory, trusted=trusted_files(directory, same_boot=same_boot))
                remove_orphans(directory)
                lexical._connect()
        except BaseException:
            lexical._unlock()
            raise
        return lexical

    @classmethod
    def create(cls, directory: Path, store_uuid: str) -> Lexical:
        """Create an empty index of generation 0, replacing whatever is in ``directory``.

        Raises StoreFullError, AlreadyRunningError.
        """
        lock = lock_directory(directory, WHAT)
        lexical = cls(directory, store_uuid, lock)
        try:
            with storing(WHAT):
                # meta.json goes first: after a kill in between, the rest is damaged and not an index
                (directory / META).unlink(missing_ok=True)
                for path in directory.iterdir():
                    if path.name != LOCK:
                        path.unlink()
            lexical._make()
        except BaseException:
            lexical._unlock()
            raise
        return lexical

    def _make(self) -> None:
        self._commit(0, (), (), (), ())

    def _connect(self) -> None:
        with translated():
            self._open_index()
        self._refresh()

    def _open_index(self) -> None:
        self._index = tantivy.Index(self._schema, path=str(self._directory))
        self._index.config_reader("manual")

    def _start_writing(self) -> None:
        """Open the index and a writer. tantivy keeps 2 KB per commit until the index is opened again."""
        self._open_index()
        self._writer = self._index.writer(_HEAP_BYTES, 1)

    @property
    def generation(self) -> int:
        """The catalog generation of the last :meth:`apply`."""
        return self._current.generation

    @property
    def store_uuid(self) -> str:
        """The catalog that this index belongs to."""
        return self._store_uuid

    def apply(
        self,
        generation: int,
        delete_chunks: Sequence[int] = (),
        add_chunks: Sequence[LexicalChunk] = (),
        delete_paths: Sequence[int] = (),
        add_paths: Sequence[tuple[int, str]] = (),
    ) -> None:
        """Commit one generation; the next :meth:`snapshot` has it.

        ``delete_chunks`` are chunk ids, ``delete_paths`` file ids, ``add_paths`` (file id, path terms). Adding a
        present id replaces it, so applying the same change twice is harmless. Raises StoreFullError if the disk is
        full, after which nothing is visible and the call can be repeated; ValueError if ``generation`` is older than
        the index.
        """
        if generation < self.generation:
            raise ValueError(f"generation {generation} is older than the lexical index ({self.generation})")
        self._commit(generation, delete_chunks, add_chunks, delete_paths, add_paths)

    def _commit(
        self,
        generation: int,
        delete_chunks: Sequence[int],
        add_chunks: Sequence[LexicalChunk],
        delete_paths: Sequence[int],
        add_paths: Sequence[tuple[int, str]],
    ) -> None:
        """Replace documents, and commit them with the new generation."""
        chunks = {chunk.chunk_id: chunk for chunk in add_chunks}
        paths = dict(add_paths)
        # No local name for the writer: a kept traceback would keep it alive, and with it tantivy's lock.
        try:
            with translated():
                if self._writer is None:
                    self._start_writing()
                assert self._writer is not None
                for chunk_id in {*delete_chunks, *chunks}:
                    self._writer.delete_documents_by_term("chunk_id", int(chunk_id))
                for file_id in {*delete_paths, *paths}:
                    self._writer.delete_documents_by_term("path_id", int(file_id))
                for chunk in chunks.values():
                    self._writer.add_document(chunk_document(chunk, self._schema))
                for file_id, words in paths.items():
                    self._writer.add_document(path_document(file_id, words, self._schema))
                self._writer.delete_documents_by_term("meta", SENTINEL)
                self._writer.add_document(sentinel_document(self._store_uuid, generation, self._schema))
                self._writer.commit()
        except BaseException:
            self._roll_back()
            raise
        self._refresh()

    def _roll_back(self) -> None:
        """Go back to the last commit. A writer that cannot is dropped; the next apply creates another."""
        try:
            with translated():
                if self._writer is not None:
                    self._writer.rollback()
                    self._writer.garbage_collect_files()  # the disk may be full of files for the failed commit
        except Exception:  # noqa: BLE001 - the first error is the one to report
            self._writer = None

    def _refresh(self) -> None:
        with translated():
            self._index.reload()
            self._current = LexicalSnapshot(self._index.searcher(), self._schema, self._store_uuid)

    def snapshot(self) -> LexicalSnapshot:
        """Return the pinned state of the last commit; later commits and merges do not change what it finds."""
        return self._current

    def tidy(self) -> bool:
        """Delete the files of replaced segments; return False if some are left because a merge uses them.

        tantivy deletes them at each commit and merge, but misses those that a merge still uses at that moment, and for
        ever those that it has no record of. So what a second call in a row cannot delete is deleted without it, once no
        merge is running. The writer is closed then, with its six threads, until the next commit; the snapshot stays as
        it is. Call it on the writing thread. Raises StoreDamagedError, StoreFullError.
        """
        if self._superfluous():
            with translated():
                if self._writer is None:
                    self._start_writing()
                assert self._writer is not None
                self._writer.garbage_collect_files()
            left = frozenset(path.name for path in self._superfluous())
            if left - self._left:
                self._left = left
                return False
        writer, self._writer = self._writer, None
        if writer is not None:
            with translated():
                writer.wait_merging_threads()
        remove_orphans(self._directory)  # also what a merge that has just ended replaced
        self._left = frozenset()
        return True

    def _superfluous(self) -> list[Path]:
        with storing(WHAT):
            return superfluous_files(self._directory)

    def copy_to(self, directory: Path) -> None:
        """Write a copy of the last commit into the new ``directory``, which shares the files of its segments.

        Call it on the writing thread. tantivy never writes a file of a segment again: deletions become files of their
        own. Raises StoreDamagedError, StoreFullError.
        """
        for attempt in range(_COPY_ATTEMPTS):  # a merge that ends meanwhile replaces files
            try:
                with storing(WHAT):
                    directory.mkdir(mode=0o700)
                    replace_file(directory / META, (self._directory / META).read_bytes())
                    names = committed_files(directory)
                    share_files(self._directory, directory, [name for name in names if name != META])
                    replace_file(directory / MANAGED, json.dumps(names).encode())
                write_clean_marker(directory, names)
                return
            except StoreDamagedError:
                if attempt == _COPY_ATTEMPTS - 1:
                    raise
                shutil.rmtree(directory, ignore_errors=True)

    def check(self) -> None:
        """Compare every file of the last commit with its checksum. Raises StoreDamagedError.

        Call it on the writing thread. A merge that ends meanwhile may delete files, so a failure counts only if a
        second check finds it too.
        """
        try:
            check_files(self._directory)
        except StoreDamagedError:
            check_files(self._directory)

    def close(self) -> None:
        """Close the index. Nothing is pending between two calls of :meth:`apply`, so nothing is lost."""
        if self._lock < 0:
            return
        self._writer = None
        try:
            write_clean_marker(self._directory, committed_files(self._directory))
        except StoreDamagedError:
            pass  # without a marker the next open verifies the files and reports what is wrong
        finally:
            self._unlock()

    def _unlock(self) -> None:
        self._writer = None
        os.close(self._lock)
        self._lock = -1
