"""The writing side of the text index."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from codeindexd.storage.durable import LOCK, lock_directory, storing
from codeindexd.storage.sharing import share_files
from codeindexd.storage.text.manifest import NAME, Manifest
from codeindexd.storage.text.segment import STORE_NAME, Document, Segment, merge_segments, write_segment
from codeindexd.storage.text.snapshot import TextSnapshot


class Thresholds(Struct, frozen=True):
    """When documents become segments, and when segments are merged.

    ``recent`` documents, or ``postings`` trigrams of them, collect in memory before they become a segment, ``many``
    documents in quiet times. ``fan_in`` segments of similar size are merged, up to ``largest`` documents; with
    ``crowd`` segments, merging does not wait for a quiet time. Writing takes about 50 bytes of memory for a posting,
    and merging as much as the result takes on the disk.
    """

    recent: int = 512
    postings: int = 1_000_000
    many: int = 64
    fan_in: int = 8
    largest: int = 1 << 14
    crowd: int = 48


class TextIndex:
    """The trigrams of a root's contents. One thread applies, another may maintain, any may query snapshots.

    Contents that :meth:`apply` adds are found at once; they are on the disk after :meth:`flush`, :meth:`close`, or once
    there are enough for a segment. After a kill, the index opens with the contents on the disk and their generation;
    then :meth:`missing_from` tells which contents have to be added again.
    """

    def __init__(
        self, directory: Path, lock: int, manifest: Manifest, segments: Sequence[Segment], thresholds: Thresholds
    ) -> None:
        """Use :meth:`open` or :meth:`create` instead."""
        self._directory = directory
        self._lock = lock
        self._manifest = manifest
        self._segments = tuple(segments)
        self._thresholds = thresholds
        self._recent: dict[bytes, Document] = {}
        self._generation = manifest.generation
        self._changing = threading.Lock()
        self._maintaining = threading.Lock()
        self._known = {content for segment in segments for content in segment.contents()}
        self._added_again: set[bytes] | None = None  # contents that were added, though present, during a merge
        self._current = TextSnapshot(self._segments, self._recent)

    @classmethod
    def open(cls, directory: Path, store_uuid: str, *, verify: bool, thresholds: Thresholds | None = None) -> TextIndex:
        """Open the index in ``directory``, or create an empty one if there is none.

        ``verify`` compares every segment with its checksum. Raises StoreDamagedError if the index is damaged or belongs
        to a different catalog (then :meth:`create` it and add everything), StoreFullError, AlreadyRunningError.
        """
        with ExitStack() as undo:
            undo.callback(os.close, lock := lock_directory(directory, STORE_NAME))
            manifest = Manifest.load(directory, store_uuid)
            if manifest is None:
                manifest = Manifest(store_uuid)
                manifest.save(directory)
            _remove_orphans(directory, manifest)
            segments = [Segment(_segment_path(directory, serial)) for serial in manifest.serials]
            if verify:
                for segment in segments:
                    segment.verify()
            undo.pop_all()
            return cls(directory, lock, manifest, segments, thresholds or Thresholds())

    @classmethod
    def create(cls, directory: Path, store_uuid: str) -> TextIndex:
        """Create an empty index of generation 0, replacing any other. Raises StoreFullError, AlreadyRunningError."""
        with ExitStack() as undo:
            undo.callback(os.close, lock := lock_directory(directory, STORE_NAME))
            manifest = Manifest(store_uuid)
            manifest.save(directory)
            _remove_orphans(directory, manifest)
            undo.pop_all()
            return cls(directory, lock, manifest, (), Thresholds())

    @property
    def generation(self) -> int:
        """The catalog generation whose contents are all in the index, as far as they could be read."""
        return self._generation

    def snapshot(self) -> TextSnapshot:
        """Return a snapshot of the state after the last change. Copies nothing."""
        return self._current

    def missing_from(self, contents: Iterable[bytes]) -> list[bytes]:
        """Return the content hashes in ``contents`` that are missing from the index, without duplicates."""
        return [content for content in dict.fromkeys(contents) if content not in self._known]

    # changing

    def apply(self, generation: int, documents: Collection[Document]) -> None:
        """Add documents, ignoring those that are present, and set the generation that is complete with them.

        Raises StoreFullError if the documents in memory cannot be written; they are found all the same, and the next
        call tries again.
        """
        with self._changing:
            new = {document.content: document for document in documents if document.content not in self._known}
            if self._added_again is not None:
                self._added_again.update(document.content for document in documents if document.content not in new)
            if new:
                self._recent = {**self._recent, **new}
                self._known.update(new)
            self._generation = max(generation, self._generation)
            self._publish()
            if self._is_full():
                self._flush()
        if len(self._segments) >= self._thresholds.crowd:
            self.maintain(None, lambda: False)

    def _is_full(self) -> bool:
        """Return True if the documents in memory should become a segment now."""
        postings = sum(len(document.trigrams) for document in self._recent.values())
        return len(self._recent) >= self._thresholds.recent or postings >= self._thresholds.postings

    def flush(self) -> None:
        """Write the documents in memory to the disk. Raises StoreFullError; they stay in memory then."""
        with self._changing:
            self._flush()

    def _flush(self) -> None:
        if self._recent:
            serial = self._manifest.last_serial + 1
            path = _segment_path(self._directory, serial)
            documents = list(self._recent.values())
            self._switch([], serial, lambda: write_segment(path, documents))
            self._recent = {}
            self._publish()
        elif self._manifest.generation != self._generation:
            self._save(replace(self._manifest, generation=self._generation))

    def _switch(self, replaced: Sequence[Segment], serial: int, write: Callable[[], object]) -> None:
        """Call ``write()``, which writes the segment ``serial``, and replace other segments by it."""
        path = _segment_path(self._directory, serial)
        try:
            write()
            fresh = Segment(path)
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        self._replace(replaced, [(serial, fresh)], last_serial=serial)

    def _replace(self, replaced: Sequence[Segment], fresh: Sequence[tuple[int, Segment]], *, last_serial: int) -> None:
        kept = [
            (serial, segment)
            for serial, segment in zip(self._manifest.serials, self._segments, strict=True)
            if segment not in replaced
        ]
        parts = [*kept, *fresh]
        complete = not self._recent or not replaced  # a flush writes all recent documents, a merge none
        generation = self._generation if complete else self._manifest.generation
        serials = tuple(serial for serial, _ in parts)
        self._save(replace(self._manifest, generation=generation, last_serial=last_serial, serials=serials))
        self._segments = tuple(segment for _, segment in parts)
        for segment in replaced:
            with suppress(OSError):  # the next open removes it
                segment.path.unlink()

    def _save(self, manifest: Manifest) -> None:
        manifest.save(self._directory)
        self._manifest = manifest

    def _publish(self) -> None:
        self._current = TextSnapshot(self._segments, self._recent)

    def forget(self, contents: Collection[bytes]) -> None:
        """Remove contents whose trigrams are wrong. Raises StoreFullError; some may be left then."""
        wrong = frozenset(contents)
        with self._maintaining:
            for segment in self._segments:
                if not wrong.isdisjoint(segment.contents()):
                    self._merge([segment], wrong=wrong)
        with self._changing:
            self._recent = {content: document for content, document in self._recent.items() if content not in wrong}
            self._known -= wrong
            self._publish()

    # maintenance

    def maintain(self, live: Callable[[], Collection[bytes]] | None, should_stop: Callable[[], bool]) -> bool:
        """Merge segments of similar size, dropping contents that are not in ``live()`` (None: keep all).

        Many documents in memory become a segment first: a query looks at them one by one. May run while :meth:`apply`
        does; only the switch waits for its turn. Stops after a merge once ``should_stop()`` returns True. Returns True
        if a segment was written. Raises StoreFullError; the old segments stay then.
        """
        changed = len(self._recent) >= self._thresholds.many
        if changed:
            self.flush()
        with self._maintaining:
            while not should_stop() and (chosen := self._next_merge()):
                if not self._merge_live(chosen, live):
                    break
                changed = True
        return changed

    def _next_merge(self) -> list[Segment]:
        """Return the segments to merge: those of the lowest size tier that has enough of them; [] if none has.

        The limit of a tier is ``fan_in`` times that of the tier below.
        """
        tiers: dict[int, list[Segment]] = {}
        for segment in self._segments:
            tier, limit = 0, self._thresholds.recent * 2
            while segment.documents > limit:
                tier, limit = tier + 1, limit * self._thresholds.fan_in
            tiers.setdefault(tier, []).append(segment)
        for _, members in sorted(tiers.items()):
            chosen: list[Segment] = []
            documents = 0
            for segment in members:
                if documents + segment.documents <= self._thresholds.largest:
                    chosen.append(segment)
                    documents += segment.documents
            if len(chosen) >= self._thresholds.fan_in:
                return chosen
        return []

    def _merge_live(self, chosen: Sequence[Segment], live: Callable[[], Collection[bytes]] | None) -> bool:
        """Replace ``chosen`` by one segment with the contents in ``live()``; return False if that has to be repeated.

        A content may come back after ``live()`` was asked. It is not written again, since the old segments have it.
        """
        with self._changing:
            self._added_again = set()
        try:
            return self._merge(chosen, live=None if live is None else frozenset(live()))
        finally:
            with self._changing:
                self._added_again = None

    def _merge(
        self, chosen: Sequence[Segment], *, live: Collection[bytes] | None = None, wrong: Collection[bytes] = ()
    ) -> bool:
        """Replace ``chosen`` by one segment; return False if they stay, since a content that it lacks came back.

        Drops the contents in ``wrong`` and, if ``live`` is given, those not in it. Raises StoreFullError; the old
        segments stay then, too.
        """
        kept = []
        dropped: set[bytes] = set()
        for segment in chosen:
            contents = segment.contents()
            alive = np.array(
                [(live is None or content in live) and content not in wrong for content in contents], np.bool_
            )
            kept.append(alive)
            dropped.update(content for content, keep in zip(contents, alive.tolist(), strict=True) if not keep)
        with self._changing:
            serial = self._manifest.last_serial + 1
            self._manifest = replace(self._manifest, last_serial=serial)  # so that a flush meanwhile takes another
        path = _segment_path(self._directory, serial)
        try:
            written = merge_segments(path, chosen, kept)
            fresh = [(serial, Segment(path))] if written else []
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        with self._changing:
            if self._added_again is not None and not dropped.isdisjoint(self._added_again):
                with suppress(OSError):  # the next open removes it
                    path.unlink(missing_ok=True)
                return False
            self._known -= dropped - self._recent.keys()
            self._replace(chosen, fresh, last_serial=self._manifest.last_serial)
            self._publish()
        return True

    def copy_to(self, directory: Path) -> None:
        """Write a copy of the index into the new ``directory``, which shares its segments. Raises StoreFullError."""
        with self._changing, storing(STORE_NAME):
            self._flush()
            directory.mkdir(mode=0o700)
            names = [_segment_path(directory, serial).name for serial in self._manifest.serials]
            share_files(self._directory, directory, names)
            self._manifest.save(directory)

    def check(self) -> None:
        """Compare every segment with its checksum. Raises StoreDamagedError."""
        with self._maintaining:
            for segment in self._segments:
                segment.verify()

    def close(self) -> None:
        """Write the documents in memory and unlock the directory. Raises StoreFullError; it is closed all the same."""
        try:
            self.flush()
        finally:
            os.close(self._lock)


def _segment_path(directory: Path, serial: int) -> Path:
    return directory / f"{serial:08}.trigrams"


def _remove_orphans(directory: Path, manifest: Manifest) -> None:
    """Remove files that the manifest does not name; a kill during a merge or flush leaves such files."""
    wanted = {_segment_path(directory, serial).name for serial in manifest.serials} | {NAME, LOCK}
    with storing(STORE_NAME):
        for path in directory.iterdir():
            if path.name not in wanted:
                path.unlink()
