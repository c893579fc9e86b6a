"""The writing side of the dense index."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from codeindexd.storage.dense.arithmetic import Ids, Int8Rows, first_non_finite, to_int8
from codeindexd.storage.dense.log import STORE_NAME, Binding, CommitGroup, TailLog
from codeindexd.storage.dense.maintenance import Plan, Source, Thresholds, build_segment, next_step, remove_files
from codeindexd.storage.dense.manifest import NAME, Manifest
from codeindexd.storage.dense.segment import Segment, SegmentFiles, verify_files
from codeindexd.storage.dense.snapshot import DenseSnapshot
from codeindexd.storage.dense.state import DenseState, rows_marked_dead
from codeindexd.storage.durable import LOCK, lock_directory, storing, trusted_files, write_clean_marker
from codeindexd.storage.sharing import share_files

_LONG_TAIL = Thresholds().segment_rows
_SHARED_TAIL_ROWS = 1024
_SHARED_TAIL_SHARE = 0.05
_NO_PAIRS = np.empty((0, 2), dtype=np.int64)
_NO_IDS = np.empty(0, dtype=np.int64)


class Dense:
    """The vectors of one root under one model. One thread applies, another may maintain, any may search snapshots.

    Guarantees: the cost of :meth:`apply` depends on the size of the change, not of the index, and a ``kill -9`` leaves
    all of a change or nothing. After a power loss the index may open at an earlier commit, as its generation shows; the
    rest is added again from the catalog, so :meth:`apply` does not wait for the disk (:meth:`flush` does). Maintenance
    that is stopped or killed at any point leaves either the old parts or the new ones.
    """

    def __init__(self, directory: Path, lock: int, state: DenseState, manifest: Manifest) -> None:
        """Use :meth:`open` or :meth:`create` instead."""
        self._directory = directory
        self._lock = lock
        self._state = state
        self._manifest = manifest
        self._changing = threading.Lock()  # held during an apply, and while maintenance switches to new parts
        self._maintaining = threading.Lock()
        self._current = DenseSnapshot(state, state.log.generation)

    @classmethod
    def open(
        cls, directory: Path, *, store_uuid: str, identity: str, dimensions: int, same_boot: bool = False
    ) -> Dense:
        """Open the index in ``directory`` (one per model), or create an empty one if there is none.

        The tail is read whole and truncated after its last complete commit; segments that cannot be trusted are
        compared with their checksums (``same_boot`` is as in :func:`trusted_files`). Raises StoreDamagedError if no
        complete commit is left, or if the index belongs to a different catalog or model (then :meth:`create` it and add
        everything), StoreFullError if it cannot be used now, AlreadyRunningError if another process has it open.
        """
        binding = Binding(store_uuid, identity, dimensions)
        with ExitStack() as undo:
            undo.callback(os.close, lock := lock_directory(directory, STORE_NAME))
            trusted = trusted_files(directory, same_boot=same_boot)
            manifest = Manifest.load(directory, binding)
            if manifest is None:
                made = cls._make(directory, lock, binding)
                undo.pop_all()
                return made
            _remove_orphans(directory, manifest)
            for files in manifest.segments:
                if not all(path.name in trusted for path in files.paths(directory)):
                    verify_files(directory, files)
            segments = tuple(Segment(directory, files, dimensions) for files in manifest.segments)
            log, groups = TailLog.open(directory, manifest.tail, binding)
            undo.callback(log.close)
            state = DenseState(log, segments)
            for group in groups:
                state.absorb(group, 0)
            undo.pop_all()
            return cls(directory, lock, state, manifest)

    @classmethod
    def create(cls, directory: Path, *, store_uuid: str, identity: str, dimensions: int) -> Dense:
        """Create an empty index of generation 0, replacing any other. Raises StoreFullError, AlreadyRunningError."""
        with ExitStack() as undo:
            undo.callback(os.close, lock := lock_directory(directory, STORE_NAME))
            with storing(STORE_NAME):
                (directory / NAME).unlink(missing_ok=True)
            made = cls._make(directory, lock, Binding(store_uuid, identity, dimensions))
            undo.pop_all()
            return made

    @classmethod
    def _make(cls, directory: Path, lock: int, binding: Binding) -> Dense:
        manifest = Manifest(binding, tail=1)
        _remove_orphans(directory, None)
        log = TailLog.create(directory, manifest.tail, binding)
        try:
            log.append(CommitGroup(0, _NO_PAIRS, _NO_IDS, _NO_IDS), np.empty((0, binding.dimensions), dtype=np.int8))
            log.sync()
            manifest.save(directory)
        except BaseException:
            log.close()
            raise
        return cls(directory, lock, DenseState(log), manifest)

    @property
    def generation(self) -> int:
        """The catalog generation of the last :meth:`apply`."""
        return self._state.log.generation

    @property
    def dimensions(self) -> int:
        """The number of values in a vector."""
        return self._manifest.binding.dimensions

    @property
    def has_long_tail(self) -> bool:
        """True if the tail should become a segment even while vectors are being added, which bounds memory."""
        return len(self._state.row_of) >= _LONG_TAIL

    def snapshot(self) -> DenseSnapshot:
        """Return a snapshot of the state after the last :meth:`apply`. Copies nothing."""
        return self._current

    def apply(self, generation: int, add: Sequence[tuple[int, bytes]], remove: Sequence[int]) -> None:
        """Remove the ids ``remove``, then add ``add``: pairs of an id and a vector of norm 1 (little-endian float16).

        Adding a present id replaces its vector; if an id is given several times, the last vector counts. Removing an
        absent id does nothing. Raises ValueError if a vector has a wrong length or a value that is not finite, or if
        ``generation`` is lower than the index's; StoreFullError if the index cannot be written. After an error nothing
        has changed.
        """
        vectors = dict(add)
        added = np.fromiter(vectors, np.int64, len(vectors))
        rows = self._rows(added, list(vectors.values()))
        removed = np.array(sorted(set(remove) - vectors.keys()), dtype=np.int64)
        with self._changing:
            state = self._state
            if generation < state.log.generation:
                raise ValueError(f"generation {generation} is older than the {STORE_NAME} ({state.log.generation})")
            group = CommitGroup(generation, _NO_PAIRS, removed[state.contains(removed)], added)
            state.log.append(group, rows)
            state.absorb(group, state.epoch + 1)
            self._current = DenseSnapshot(state, generation)

    def _rows(self, ids: Ids, vectors: Sequence[bytes]) -> Int8Rows:
        for chunk_id, vector in zip(ids.tolist(), vectors, strict=True):
            if len(vector) != 2 * self.dimensions:
                raise ValueError(f"the vector of {chunk_id} has {len(vector)} bytes, not {2 * self.dimensions}")
        rows = np.frombuffer(b"".join(vectors), dtype=np.float16).reshape(len(ids), self.dimensions)
        bad = first_non_finite(rows)
        if bad >= 0:
            raise ValueError(f"the vector of {ids[bad]} has values that are not finite")
        return to_int8(rows)

    def maintain(self, should_stop: Callable[[], bool], thresholds: Thresholds | None = None) -> bool:
        """Build segments from a large tail, merge and compact segments; return True if something changed.

        :meth:`apply` in another thread waits only while new parts replace old ones. Stops soon after ``should_stop()``
        returns True, keeping the completed steps. Raises StoreFullError, FailedError.
        """
        limits, changed = thresholds or Thresholds(), False
        with self._maintaining:
            while not should_stop():
                with self._changing:
                    step = next_step(self._state, limits) if self._lock >= 0 else None
                if step is None or not self._carry_out(step, should_stop):
                    break
                changed = True
        return changed

    def _carry_out(self, step: Plan, should_stop: Callable[[], bool]) -> bool:
        """Write the new parts beside the old ones, then switch to them; return False if stopped before that."""
        with self._changing:
            state, tail, epoch = self._state, self._state.tail(), self._state.epoch
            generation, record_count = state.log.generation, state.log.record_count
        rows = np.flatnonzero(tail.alive(epoch))
        rows = rows[np.argsort(tail.ids[rows])]
        moving, staying = rows[: step.tail_rows], np.sort(rows[step.tail_rows :])
        sources = [Source(tail.ids[moving], tail.matrix, moving)]
        for segment in step.segments:
            alive = np.flatnonzero(segment.alive(epoch))
            sources.append(Source(segment.ids[alive], segment.matrix, alive))
        serial = self._manifest.next_serial()
        kept = tuple(segment for segment in state.segments if segment not in step.segments)
        files: SegmentFiles | None = None
        if any(len(source.ids) for source in sources):
            files = build_segment(self._directory, serial, sources, should_stop)
            if files is None:
                return False
        try:
            segments = kept if files is None else (*kept, Segment(self._directory, files, self.dimensions))
            log = TailLog.create(self._directory, serial + 1, self._manifest.binding)
        except BaseException:
            remove_files(self._directory, SegmentFiles(serial, 0, {}))
            raise
        try:
            base = CommitGroup(generation, rows_marked_dead(kept, epoch), _NO_IDS, tail.ids[staying])
            log.append(base, tail.matrix[staying])
            log.sync()
            successor = DenseState(log, segments)
            successor.absorb(base, 0)
            self._switch(successor, record_count)
        except BaseException:
            log.remove()
            remove_files(self._directory, SegmentFiles(serial, 0, {}))
            raise
        for segment in step.segments:
            remove_files(self._directory, segment.files)
        state.log.remove()
        return True

    def _switch(self, successor: DenseState, record_count: int) -> None:
        """Apply the commits since the old log had ``record_count`` records to ``successor``, and switch to it."""
        with self._changing:
            state = self._state
            missed = state.log.groups_after(record_count)
            at = state.log.row_count - sum(len(group.added) for group in missed)
            for group in missed:
                successor.log.append(group, state.log.matrix[at : at + len(group.added)])
                successor.absorb(group, state.epoch)
                at += len(group.added)
            successor.epoch = state.epoch
            segments = tuple(segment.files for segment in successor.segments)
            manifest = Manifest(self._manifest.binding, successor.log.serial, segments)
            manifest.save(self._directory)
            self._manifest, self._state = manifest, successor
            self._current = DenseSnapshot(successor, successor.log.generation)

    def seal_tail(self) -> bool:
        """Turn a tail with a large share of the vectors into a segment, because copies share only segments.

        Returns True if something changed. Raises StoreFullError, FailedError.
        """
        with self._changing:
            rows = len(self._state.row_of)
            is_large = rows >= _SHARED_TAIL_ROWS and rows >= _SHARED_TAIL_SHARE * self._state.live
        return is_large and self.maintain(lambda: False, Thresholds(tail_rows=rows))

    def copy_to(self, directory: Path) -> None:
        """Write a copy of the index into the new ``directory``, which shares its segments. Raises StoreFullError."""
        with self._changing, storing(STORE_NAME):
            state, manifest = self._state, self._manifest
            tail, epoch = state.tail(), state.epoch
            rows = np.flatnonzero(tail.alive(epoch))
            directory.mkdir(mode=0o700)
            names = [path.name for files in manifest.segments for path in files.paths(directory)]
            share_files(self._directory, directory, names)
            log = TailLog.create(directory, manifest.tail, manifest.binding)
            try:
                dead = rows_marked_dead(state.segments, epoch)
                log.append(CommitGroup(state.log.generation, dead, _NO_IDS, tail.ids[rows]), tail.matrix[rows])
                log.sync()
            finally:
                log.close()
            manifest.save(directory)
            write_clean_marker(directory, names)

    def check(self) -> None:
        """Compare all segments with their checksums (the tail is checked by :meth:`open`). Raises StoreDamagedError."""
        with self._maintaining:
            for files in self._manifest.segments:
                verify_files(self._directory, files)

    def flush(self) -> None:
        """Make everything applied survive a power loss. Raises StoreFullError."""
        with self._changing:
            self._state.log.sync()

    def close(self) -> None:
        """Flush and close the files; snapshots stay valid. Waits for maintenance to end. Raises StoreFullError."""
        with self._maintaining, self._changing:
            if self._lock < 0:
                return
            try:
                self._state.log.sync()
                write_clean_marker(
                    self._directory, [p.name for files in self._manifest.segments for p in files.paths(self._directory)]
                )
            finally:
                self._state.log.close()
                os.close(self._lock)
                self._lock = -1


def _remove_orphans(directory: Path, manifest: Manifest | None) -> None:
    """Delete every file that the manifest does not name; a kill during maintenance leaves such files."""
    keep = {LOCK}
    if manifest is not None:
        keep |= {NAME, f"tail-{manifest.tail}.log", f"tail-{manifest.tail}.i8"}
        keep |= {path.name for files in manifest.segments for path in files.paths(directory)}
    with storing(STORE_NAME):
        for path in directory.iterdir():
            if path.name not in keep:
                path.unlink()
