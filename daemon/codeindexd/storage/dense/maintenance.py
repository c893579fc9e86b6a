"""Maintenance of a dense index: decides which segments to build, merge or compact, and builds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from codeindexd.storage.dense.arithmetic import Codes, Ids, Int8Rows, Rows, codes_of
from codeindexd.storage.dense.log import STORE_NAME
from codeindexd.storage.dense.segment import SUFFIXES, Segment, SegmentFiles, checksum
from codeindexd.storage.dense.state import DenseState
from codeindexd.storage.durable import storing
from codeindexd.storage.sharing import create_file

_BLOCK = 4096


class Thresholds(Struct, frozen=True):
    """When maintenance acts. Guesses, except for ``tail_rows``: an exact scan of 50,000 x 256 takes 0.8 ms."""

    tail_rows: int = 50_000  # a tail with this many live vectors becomes a segment
    segment_rows: int = 100_000  # target size of a segment
    dead_share: float = 0.3  # a segment or tail with a larger share of dead rows is rewritten
    slack: int = 1024  # up to this many dead rows never cause a rewrite of the tail
    records: int = 16_384  # up to this many superfluous log records never cause a rewrite of the tail


class Plan(Struct, frozen=True):
    """One step of maintenance: ``segments`` and the ``tail_rows`` lowest live ids of the tail become one new segment.

    Every step also rewrites the tail without its dead rows.
    """

    segments: tuple[Segment, ...] = ()
    tail_rows: int = 0


class Source(Struct, frozen=True):
    """Vectors to copy: the vectors of ``ids`` (n,) are the rows ``rows`` (n,) of ``matrix``."""

    ids: Ids
    matrix: Int8Rows
    rows: Rows


def next_step(state: DenseState, limits: Thresholds) -> Plan | None:
    """Return the most useful step, or None if nothing needs to be done. Repeated steps always end there."""
    tail_live = len(state.row_of)
    if tail_live >= limits.tail_rows:
        fits = tail_live <= limits.segment_rows + limits.tail_rows  # leave no small remainder
        return Plan(tail_rows=tail_live if fits else limits.segment_rows)
    merging = _to_merge(state.segments, limits)
    if merging:
        return Plan(segments=merging)
    dead_rows = state.log.row_count - tail_live
    dead_elsewhere = sum(len(segment.ids) - segment.live for segment in state.segments)
    needed = 2 + tail_live + dead_elsewhere
    log_too_long = state.log.record_count - needed > max(limits.records, needed)
    return Plan() if dead_rows > max(limits.slack, limits.dead_share * state.log.row_count) or log_too_long else None


def _to_merge(segments: Sequence[Segment], limits: Thresholds) -> tuple[Segment, ...]:
    """Return the segments to merge (or a single one to rewrite): segments with many dead rows, and small segments."""
    by_size = sorted(segments, key=lambda segment: segment.live)
    sparse = [one for one in by_size if one.live < (1 - limits.dead_share) * len(one.ids)]
    small = [one for one in by_size if one not in sparse and one.live <= limits.segment_rows // 2]
    chosen: list[Segment] = []
    rows = 0
    for segment in [*sparse, *small]:
        if not chosen or rows + segment.live <= limits.segment_rows:
            chosen.append(segment)
            rows += segment.live
    return tuple(chosen) if sparse or len(chosen) > 1 else ()


def build_segment(
    directory: Path, serial: int, sources: Sequence[Source], should_stop: Callable[[], bool]
) -> SegmentFiles | None:
    """Write and sync the files of a segment with all vectors of ``sources``; if stopped, leave none and return None.

    Until a manifest names the files, the next open removes them. Raises StoreFullError.
    """
    ids = np.concatenate([source.ids for source in sources])
    order = np.argsort(ids)
    bare = SegmentFiles(serial, len(ids), {})
    dimensions = sources[0].matrix.shape[1]
    try:
        with storing(STORE_NAME):
            codes = _write_sorted(bare.path(directory, "i8"), sources, order, dimensions, should_stop)
            if codes is None:
                remove_files(directory, bare)
                return None
            for suffix, data in (
                ("codes", codes.tobytes()),
                ("ids", np.ascontiguousarray(ids[order], "<i8").tobytes()),
            ):
                with os.fdopen(create_file(bare.path(directory, suffix)), "wb") as file:
                    file.write(data)
            return SegmentFiles(serial, len(ids), {s: _synced_checksum(bare.path(directory, s)) for s in SUFFIXES})
    except BaseException:
        remove_files(directory, bare)
        raise


def remove_files(directory: Path, files: SegmentFiles) -> None:
    """Delete the files of a segment; missing ones are ignored, and mappings in use stay valid."""
    for suffix in SUFFIXES:
        files.path(directory, suffix).unlink(missing_ok=True)


def _write_sorted(
    path: Path, sources: Sequence[Source], order: Rows, dimensions: int, should_stop: Callable[[], bool]
) -> Codes | None:
    """Write the rows of all sources in ``order``, block by block, so that there is never a full copy in memory.

    Return the codes of the rows; None if stopped.
    """
    bounds = np.cumsum([0, *(len(source.ids) for source in sources)])
    codes = np.empty((-(-dimensions // 64), len(order)), dtype="<u8")
    with os.fdopen(create_file(path), "wb") as file:
        for start in range(0, len(order), _BLOCK):
            if should_stop():
                return None
            places = order[start : start + _BLOCK]
            block = np.empty((len(places), dimensions), dtype=np.int8)
            for number, source in enumerate(sources):
                here = np.flatnonzero((places >= bounds[number]) & (places < bounds[number + 1]))
                block[here] = source.matrix[source.rows[places[here] - bounds[number]]]
            file.write(block.tobytes())
            codes[:, start : start + len(places)] = codes_of(block)
    return codes


def _synced_checksum(path: Path) -> tuple[int, int]:
    """Sync a file; return its size and its xxh3_64. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return checksum(path)
