"""The writing side of the text index."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from codeindexd.storage.durable import LOCK, lock_directory, storing
from codeindexd.storage.text.manifest import NAME, Manifest
from codeindexd.storage.text.segment import WHAT, Document, Segment, merge_segments, write_segment
from codeindexd.storage.text.snapshot import TextSnapshot


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When documents become segments and segments are merged.

    ``recent`` documents are kept in memory before they become a segment. ``fan_in`` segments of similar size become
    one, up to ``largest`` documents; ``crowd`` segments are merged without waiting for a quiet time.
    """

    recent: int = 512
    fan_in: int = 8
    largest: int = 1 << 16
    crowd: int = 48


class TextIndex:
    """The trigrams of a root's contents. One thread applies, another may maintain; any may ask snapshots.

    Guarantees: what :meth:`apply` adds is found at once, and is on the disk after :meth:`flush`, :meth:`close`, or when
    enough has gathered. After a kill the index opens with what was on the disk, and its generation tells: then whoever
    knows the contents compares them with :meth:`lacking` and adds the rest.
    """

    def __init__(
        self, directory: Path, lock: int, manifest: Manifest, segments: Sequence[Segment], thresholds: Thresholds
    ) -> None:
        """Use :meth:`open` or :meth:`create`."""
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
        self._current = TextSnapshot(self._segments, self._recent)

    @classmethod
    def open(cls, directory: Path, store_uuid: str, *, verify: bool, thresholds: Thresholds | None = None) -> TextIndex:
        """Open the index in ``directory``, or make an empty one where there is none.

        With ``verify`` every segment is compared with its checksum. Raises StoreDamagedError when the index cannot be
        used (then :meth:`create` and add everything), StoreFullError, AlreadyRunningError.
        """
        with ExitStack() as undo:
            undo.callback(os.close, lock := lock_directory(directory, WHAT))
            manifest = Manifest.load(directory, store_uuid)
            if manifest is None:
                manifest = Manifest(store_uuid)
                manifest.save(directory)
            _remove_orphans(directory, manifest)
            segments = [Segment(_place(directory, serial)) for serial in manifest.serials]
            if verify:
                for segment in segments:
                    segment.verify()
            undo.pop_all()
            return cls(directory, lock, manifest, segments, thresholds or Thresholds())

    @classmethod
    def create(cls, directory: Path, store_uuid: str) -> TextIndex:
        """Make an empty index of generation 0, replacing what is there. Raises StoreFullError, AlreadyRunningError."""
        with ExitStack() as undo:
            undo.callback(os.close, lock := lock_directory(directory, WHAT))
            manifest = Manifest(store_uuid)
            manifest.save(directory)
            _remove_orphans(directory, manifest)
            undo.pop_all()
            return cls(directory, lock, manifest, (), Thresholds())

    @property
    def generation(self) -> int:
        """The catalog generation up to which every content was added."""
        return self._generation

    def snapshot(self) -> TextSnapshot:
        """Return the state of the last change; taking it costs nothing."""
        return self._current

    def lacking(self, contents: Iterable[bytes]) -> list[bytes]:
        """Return those of ``contents`` that the index does not have, each once."""
        return [content for content in dict.fromkeys(contents) if content not in self._known]

    # changing

    def apply(self, generation: int, documents: Collection[Document]) -> None:
        """Add documents and note the generation that is complete with them; present ones are ignored.

        Raises StoreFullError when gathered documents cannot be written; they are found all the same, and the next call
        tries again.
        """
        with self._changing:
            new = {one.content: one for one in documents if one.content not in self._known}
            if new:
                self._recent = {**self._recent, **new}
                self._known.update(new)
            self._generation = max(generation, self._generation)
            self._publish()
            if len(self._recent) >= self._thresholds.recent:
                self._flush()
        if len(self._segments) >= self._thresholds.crowd:
            self.maintain(None, lambda: False)

    def flush(self) -> None:
        """Write what is in memory to the disk. Raises StoreFullError; then nothing is lost from memory."""
        with self._changing:
            self._flush()

    def _flush(self) -> None:
        if self._recent:
            serial = self._manifest.last_serial + 1
            place = _place(self._directory, serial)
            documents = list(self._recent.values())
            self._switch([], serial, lambda: write_segment(place, documents))
            self._recent = {}
            self._publish()
        elif self._manifest.generation != self._generation:
            self._save(replace(self._manifest, generation=self._generation))

    def _switch(self, replaced: Sequence[Segment], serial: int, write: Callable[[], object]) -> None:
        """Write a segment and put it in the place of others."""
        place = _place(self._directory, serial)
        try:
            write()
            fresh = Segment(place)
        except BaseException:
            with suppress(OSError):
                place.unlink(missing_ok=True)
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
            with suppress(OSError):  # an orphan goes at the next open
                segment.path.unlink()

    def _save(self, manifest: Manifest) -> None:
        manifest.save(self._directory)
        self._manifest = manifest

    def _publish(self) -> None:
        self._current = TextSnapshot(self._segments, self._recent)

    def forget(self, contents: Collection[bytes]) -> None:
        """Remove contents whose trigrams proved wrong. Raises StoreFullError; then some may be left."""
        wrong = frozenset(contents)
        with self._maintaining:
            for segment in self._segments:
                if not wrong.isdisjoint(segment.contents()):
                    self._merge([segment], wrong=wrong)
        with self._changing:
            self._recent = {content: one for content, one in self._recent.items() if content not in wrong}
            self._known -= wrong
            self._publish()

    # maintenance

    def maintain(self, live: Callable[[], Collection[bytes]] | None, should_stop: Callable[[], bool]) -> bool:
        """Merge segments of similar size, and leave out contents that are not among ``live`` (None: keep all).

        Runs beside :meth:`apply`; only the switch waits for its turn. Returns True if something was merged. Raises
        StoreFullError; then the old segments stand.
        """
        merged = False
        with self._maintaining:
            while not should_stop() and (chosen := self._next_merge()):
                self._merge(chosen, live=None if live is None else frozenset(live()))
                merged = True
        return merged

    def _next_merge(self) -> list[Segment]:
        """Return the segments of the lowest crowded tier; tiers are ``fan_in`` times as large as the one before."""
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

    def _merge(
        self, chosen: Sequence[Segment], *, live: Collection[bytes] | None = None, wrong: Collection[bytes] = ()
    ) -> None:
        """Replace segments by one without ``wrong`` contents and, if ``live`` is given, without all others."""
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
            self._manifest = replace(self._manifest, last_serial=serial)  # nobody else may take it meanwhile
        place = _place(self._directory, serial)
        try:
            written = merge_segments(place, chosen, kept)
            fresh = [(serial, Segment(place))] if written else []
        except BaseException:
            with suppress(OSError):
                place.unlink(missing_ok=True)
            raise
        with self._changing:
            self._known -= dropped - self._recent.keys()
            self._replace(chosen, fresh, last_serial=self._manifest.last_serial)
            self._publish()

    def close(self) -> None:
        """Write what is in memory and let go of the directory. Raises StoreFullError; it is closed all the same."""
        try:
            self.flush()
        finally:
            os.close(self._lock)


def _place(directory: Path, serial: int) -> Path:
    return directory / f"{serial:08}.trigrams"


def _remove_orphans(directory: Path, manifest: Manifest) -> None:
    """Remove files that no manifest names: segments of an unfinished merge or flush."""
    wanted = {_place(directory, serial).name for serial in manifest.serials} | {NAME, LOCK}
    with storing(WHAT):
        for path in directory.iterdir():
            if path.name not in wanted:
                path.unlink()
