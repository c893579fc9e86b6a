"""The shapes of answers, as documented in the protocol. Fields that may be missing are marked."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Place(TypedDict):
    """A chunk on the disk. ``root`` is absolute, ``path`` relative to it; lines count from 1, both ends included.

    In a notebook, lines and bytes are those of the JSON; ``cell`` is the number of the cell, and ``cell_line`` the line
    in it at which the chunk begins, both from 1.
    """

    root: str
    path: str
    path_b64: NotRequired[str]
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    language: str
    kind: str
    symbol: str
    cell: NotRequired[int]
    cell_line: NotRequired[int]
    verified: bool
    best_line: NotRequired[int]
    best_cell_line: NotRequired[int]
    snippet: str


class Definition(Place):
    """A definition: the chunk that has it, and where its name stands. ``column`` counts bytes from 1."""

    name_line: NotRequired[int]
    column: NotRequired[int]
    signature: NotRequired[str]


class Copy(TypedDict):
    """A place with the same text as a hit."""

    root: str
    path: str
    path_b64: NotRequired[str]
    start_line: int
    end_line: int


class Hit(Place):
    """A chunk in a ranked answer. ``explain`` holds the parts of the score, if requested.

    There are ``copy_count`` other places with the same text; ``copies`` has at most a hundred of them.
    """

    score: float
    copy_count: NotRequired[int]
    copies: NotRequired[list[Copy]]
    explain: NotRequired[dict[str, float]]


class SearchResult(TypedDict):
    """The answer of ``search`` and ``related``; ``state`` is the worst of the roots searched.

    ``searched`` is the number of files that the filters leave, where there is no hit.
    """

    query: str
    took_ms: float
    clock: str
    state: str
    dense_coverage: float
    hits: list[Hit]
    searched: NotRequired[int]
    notes: NotRequired[list[str]]


class Line(TypedDict):
    """A matching line. ``column`` counts bytes from 1; ``spans`` are the matches as byte offsets in ``text``.

    ``cut`` says that ``text`` is only a part of the line. ``before`` and ``after`` are the lines around it.
    In a notebook, ``text`` is a line of a cell. ``line``, ``before_lines`` and ``after_lines`` count lines of the JSON;
    ``cell`` and ``cell_line`` are as in a hit.
    """

    root: str
    path: str
    path_b64: NotRequired[str]
    line: int
    column: int
    text: str
    spans: list[list[int]]
    cut: NotRequired[bool]
    before: NotRequired[list[str]]
    after: NotRequired[list[str]]
    before_lines: NotRequired[list[int]]
    after_lines: NotRequired[list[int]]
    cell: NotRequired[int]
    cell_line: NotRequired[int]


class LineCount(TypedDict):
    """How many lines of a file match."""

    root: str
    path: str
    path_b64: NotRequired[str]
    count: int


class GrepResult(TypedDict):
    """The answer of ``grep``. ``files`` and ``total`` count all, ``truncated`` says that some are missing."""

    pattern: str
    matches: list[Line]
    counts: NotRequired[list[LineCount]]
    files: int
    total: int
    searched: int
    truncated: bool
    left_out: dict[str, int]
    took_ms: float
    clock: str
    state: str
    notes: NotRequired[list[str]]


class SymbolResult(TypedDict):
    """Where a name is defined, and where it is used if requested; ``state`` is the worst of the roots searched.

    ``match`` is ``exact``, or how the names found match where none is equal: ``last_part``, ``prefix``, ``part`` or
    ``spelling``.
    """

    symbol: str
    state: NotRequired[str]
    match: NotRequired[str]
    notes: NotRequired[list[str]]
    definitions: list[Definition]
    references: list[Place]


class RootEntry(TypedDict):
    """A root in lists."""

    path: str
    path_b64: NotRequired[str]
    id: str
    state: str
    files: int
    chunks: int
    generation: int
    root_hash: str
    notes: NotRequired[list[str]]


class RootsResult(TypedDict):
    """All roots, or those that a call changed."""

    roots: list[RootEntry]
    already_covered: NotRequired[bool]


class RemovedRoot(TypedDict):
    """A root that was removed."""

    path: str
    id: str


class RemoveResult(TypedDict):
    """The answer of ``roots.remove``."""

    removed: list[RemovedRoot]


class Progress(TypedDict):
    """How far indexing is, or with ``activity`` "verify" a verification; ``eta_s`` is None while it is unknown."""

    files_done: int
    files_total: int
    chunks_done: int
    files_per_s: float
    eta_s: float | None
    state: NotRequired[str]
    root: NotRequired[str]
    activity: NotRequired[str]


class Failure(TypedDict):
    """A file that is not indexed; ``next_retry`` in seconds since the epoch, None = when it changes."""

    path: str
    stage: str
    error: str
    attempts: int
    next_retry: float | None


class Problem(TypedDict):
    """Why a root is degraded, and what to do about it."""

    message: str
    hint: str


class Stage(TypedDict):
    """Throughput of a stage since the start of the daemon."""

    items: int
    bytes: int
    seconds: float
    per_s: float
    p50_ms: float
    errors: int
    queue: int


class BusyFile(TypedDict):
    """A file that changes all the time, so that it is looked at only every ``every_s`` seconds, or by a sync."""

    path: str
    every_s: float


class RootStatus(TypedDict):
    """Health of one root."""

    path: str
    state: str
    clock: str
    root_hash: str
    files: int
    chunks: int
    pending_files: int
    pending_vectors: NotRequired[int]
    failed_files: int
    skipped: dict[str, int]
    failures: list[Failure]
    problems: NotRequired[list[Problem]]
    notes: NotRequired[list[str]]
    busy: NotRequired[list[BusyFile]]
    progress: Progress
    stages: dict[str, Stage]


class EmbedderStatus(TypedDict):
    """The embedding model in use; ``pending`` chunks wait for their vectors."""

    model: str
    identity: str
    dimensions: int
    device: str
    pending: int


class LogPlace(TypedDict):
    """Where the daemon logs: ``kind`` is "journal", "file" or "stderr"; path and size of a file."""

    kind: str
    path: str | None
    bytes: int | None


class CachePlace(TypedDict):
    """Where the indexes are; ``bytes`` is None until they were counted."""

    path: str
    bytes: int | None


class StatusResult(TypedDict):
    """Health of the daemon and of its roots."""

    version: str
    pid: int
    uptime_s: float
    rss_bytes: int
    socket: NotRequired[str]
    installation: NotRequired[str]
    log: NotRequired[LogPlace]
    cache: NotRequired[CachePlace]
    roots: list[RootStatus]
    embedder: EmbedderStatus


class SyncResult(TypedDict):
    """``how`` is "cookie" or "walk"."""

    clock: str
    took_ms: float
    how: str


class Difference(TypedDict):
    """Something in the index that differs from the disk."""

    path: str
    what: str
    detail: str


class VerifiedRoot(TypedDict):
    """The differences that ``verify`` found in one root."""

    path: str
    files_checked: int
    chunks_checked: int
    differences: list[Difference]
    repaired: NotRequired[bool]


class VerifyResult(TypedDict):
    """``ok`` is true if there are no differences, or all are repaired."""

    ok: bool
    roots: list[VerifiedRoot]


class ChunkEntry(TypedDict):
    """A chunk as ``explain`` lists it."""

    id: int
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    kind: str
    symbol: str
    cell: NotRequired[int]
    cell_line: NotRequired[int]


class LeftOut(TypedDict):
    """Entries that one rule, or their content, leaves out."""

    reason: str
    rule: str
    entries: int


class DirectorySummary(TypedDict):
    """Counts for everything below a directory. ``more_rules`` are not among the largest in ``left_out``."""

    indexed: int
    failed: int
    pending: int
    left_out: list[LeftOut]
    more_rules: int


class ExplainResult(TypedDict):
    """Why a path is or is not indexed.

    ``encoding_guessed`` is true where the file neither is Unicode nor says what it is.
    """

    path: str
    indexed: bool
    reason: str
    rule: str
    language: str
    encoding: NotRequired[str]
    encoding_guessed: NotRequired[bool]
    chunks: list[ChunkEntry]
    failure: Failure | None
    summary: NotRequired[DirectorySummary]
    hint: NotRequired[str]


class MetricsResult(TypedDict):
    """OpenMetrics text."""

    content_type: NotRequired[str]
    text: str


class ServerInfo(TypedDict):
    """Version and process of the daemon, and where it listens.

    ``installation`` is "intact", "changed" or "removed": what became of the files that the daemon was started from.
    """

    version: str
    pid: int
    uptime_s: float
    socket: NotRequired[str]
    installation: NotRequired[str]


class Notification(TypedDict):
    """A notification: ``method`` is "progress", "generation" or "state", ``params["root"]`` the root."""

    method: str
    params: dict[str, object]
