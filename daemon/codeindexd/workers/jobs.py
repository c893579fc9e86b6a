"""Jobs and results, which the daemon and its workers exchange: frozen values that msgspec encodes.

Paths are bytes; the ``path`` of a job is relative to its ``root``. The caller chooses ``job_id``, and the result has
the same.
"""

from __future__ import annotations

import enum

from msgspec import Struct, field

from codeindexd.types import ChunkDraft, Definition, FileStat


class FileStatus(enum.StrEnum):
    """The outcome of a ``FileJob``."""

    INDEXED = "indexed"
    SKIPPED = "skipped"
    FAILED = "failed"
    VANISHED = "vanished"


class TextsStatus(enum.StrEnum):
    """The outcome of a ``TextsJob``."""

    OK = "ok"
    CHANGED = "changed"  # the file differs from the catalogued one
    FAILED = "failed"
    VANISHED = "vanished"


class WorkerSettings(Struct, frozen=True):
    """Settings that each worker of a pool gets when it starts.

    ``vectors_db`` is the path of the vector store (None: look no vector up), and ``identity`` the model whose vectors
    are looked up in it; with ``embed``, the worker computes missing vectors. ``nice`` is the priority of bulk workers
    (the warm worker always runs at normal priority). ``memory_limit_bytes`` limits private memory (0: no limit).
    ``file_budget_s`` is the wall-clock time in seconds that one file may take.
    """

    vectors_db: str | None = None
    identity: str = ""
    embed: bool = False
    max_chunk_bytes: int = 4096
    max_file_bytes: int = 2 * 1024 * 1024
    max_notebook_bytes: int = 32 * 1024 * 1024
    mask_secrets: bool = True
    nice: int = 19
    memory_limit_bytes: int = 2 * 1024 * 1024 * 1024
    file_budget_s: float = 20.0


class FileJob(Struct, frozen=True):
    """A job to read, chunk and hash one file.

    ``size`` is the expected size in bytes, used only for fairness and limits. With ``recompute_vectors``, every chunk
    is embedded, even if the store has its vector. With ``text_only``, the result has trigrams but no chunks, also
    of a file that is too large to be chunked.
    """

    job_id: int
    root: bytes
    path: bytes
    size: int = 0
    recompute_vectors: bool = False
    text_only: bool = False


class FileResult(Struct, frozen=True):
    """The result of a ``FileJob``.

    - ``reason``: why a file is SKIPPED; ``stage`` and ``error``: where and why it FAILED.
    - ``quarantined``: the file ended or stalled its worker twice.
    - ``leaf``: the hash of the bytes that were chunked; ``stat``: the stat after reading them.
    - ``steady``: the file did not change while it was read; ``settled``: any later write must also change its stat.
    - ``trigrams``: the trigrams of the masked text, as little-endian uint32; ``is_masked``: masking changed the text.
    - ``long_runs``: the filter of the masked text's runs of six bytes (see ``analysis.long_runs``), with ``text_only``.
    - ``is_partial``: the syntax of some of the text was not understood, so that definitions may be missing.
    - ``references``: the references in the text, as ``analysis.references`` encodes them.
    - ``seconds``: by stage.
    """

    job_id: int
    path: bytes
    status: FileStatus
    reason: str = ""
    stage: str = ""
    error: str = ""
    stat: FileStat | None = None
    leaf: bytes = b""
    steady: bool = True
    settled: bool = True
    language: str = ""
    encoding: str = ""
    fingerprint: bytes = b""
    chunks: tuple[ChunkDraft, ...] = ()
    trigrams: bytes = b""
    is_masked: bool = False
    long_runs: bytes = b""
    definitions: tuple[Definition, ...] = ()
    is_partial: bool = False
    references: bytes = b""
    bytes_read: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    quarantined: bool = False


class TextRange(Struct, frozen=True):
    """A chunk whose text is requested: the bytes from ``start_byte`` to ``end_byte`` (exclusive) of its file."""

    start_byte: int
    end_byte: int
    embed_hash: bytes


class TextsJob(Struct, frozen=True):
    """A job to read the texts of catalogued chunks, provided that the file's hash is still ``leaf``."""

    job_id: int
    root: bytes
    path: bytes
    leaf: bytes
    ranges: tuple[TextRange, ...]
    language: str = ""


class TextsResult(Struct, frozen=True):
    """The result of a ``TextsJob``: the texts in the order of its ranges; none unless ``status`` is OK."""

    job_id: int
    path: bytes
    status: TextsStatus
    texts: list[str] = field(default_factory=list)
    error: str = ""


class HistoryJob(Struct, frozen=True):
    """A job that reads the history of a repository.

    ``path`` names it in error messages, ``request`` is what ``indexing.history_requests`` encodes, and ``cost`` is in
    bytes, for fairness and limits.
    """

    job_id: int
    path: bytes
    request: bytes
    cost: int


class HistoryResult(Struct, frozen=True):
    """The result of a ``HistoryJob``: the encoded ``answer``, or the ``error`` that prevented it.

    ``ended_worker``: the job ended or stalled its worker twice.
    """

    job_id: int
    path: bytes
    answer: bytes = b""
    error: str = ""
    ended_worker: bool = False


class CentralityJob(Struct, frozen=True):
    """A job that computes the centrality of the files in the catalog at ``path``; ``cost`` is in bytes."""

    job_id: int
    path: bytes
    cost: int


class CentralityResult(Struct, frozen=True):
    """The result of a ``CentralityJob``, or the ``error`` that prevented it.

    ``file_ids`` are little-endian int64, sorted; ``ranks`` are theirs as float32, at the catalog's ``generation``.
    """

    job_id: int
    path: bytes
    generation: int = 0
    file_ids: bytes = b""
    ranks: bytes = b""
    error: str = ""


Job = FileJob | TextsJob | HistoryJob | CentralityJob
Result = FileResult | TextsResult | HistoryResult | CentralityResult

_UNKNOWN_COST = 16 * 1024
_COST_OF_A_BUDGET = 8 << 20  # of a job that grows with the catalog; it takes a tenth of that time
_TEXT_OF_A_BUDGET = 4 << 20  # of a file without chunks, whose size is not limited; it takes a twentieth of that time
_JOB_COST = 2 * 1024  # a guess at what a job costs besides its bytes


def cost(job: Job) -> int:
    """Return the cost of a job in bytes, for fairness and limits."""
    if isinstance(job, FileJob):
        return _JOB_COST + (job.size or _UNKNOWN_COST)
    if isinstance(job, (HistoryJob, CentralityJob)):
        return _JOB_COST + job.cost
    return _JOB_COST + sum(wanted.end_byte - wanted.start_byte for wanted in job.ranges)


def budget_s(job: Job, file_budget_s: float) -> float:
    """Return the wall-clock time in seconds that a job may take, given that of one file."""
    if isinstance(job, CentralityJob):
        return file_budget_s * (1 + job.cost / _COST_OF_A_BUDGET)
    if isinstance(job, FileJob) and job.text_only:
        return file_budget_s * (1 + job.size / _TEXT_OF_A_BUDGET)
    return file_budget_s


def failed(job: Job, error: str, *, quarantined: bool = False) -> Result:
    """Return the result of a job that its worker could not complete."""
    if isinstance(job, FileJob):
        return FileResult(job.job_id, job.path, FileStatus.FAILED, stage="worker", error=error, quarantined=quarantined)
    if isinstance(job, HistoryJob):
        return HistoryResult(job.job_id, job.path, error=error, ended_worker=quarantined)
    if isinstance(job, CentralityJob):
        return CentralityResult(job.job_id, job.path, error=error)
    return TextsResult(job.job_id, job.path, TextsStatus.FAILED, error=error)
