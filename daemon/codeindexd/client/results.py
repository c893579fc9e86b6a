"""The types of results, as documented in the protocol. ``NotRequired`` marks fields that may be missing.

There is a section for each group of methods.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

# hits and definitions: search, related, symbol


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
    """A definition: the chunk that contains it, and the position of its name. ``column`` counts bytes from 1.

    ``symbol`` is its qualified name as its language writes it, and ``extent`` its first and last line. ``doc`` is the
    first sentence of its documentation.
    """

    name: NotRequired[str]
    name_line: NotRequired[int]
    column: NotRequired[int]
    extent: NotRequired[list[int]]
    signature: NotRequired[str]
    doc: NotRequired[str]
    visibility: NotRequired[str]


class Copy(TypedDict):
    """A place with the same text as a hit."""

    root: str
    path: str
    path_b64: NotRequired[str]
    start_line: int
    end_line: int


class LastCommit(TypedDict):
    """The last commit of a hit: ``of`` its "definition", or of the whole "file"."""

    id: str
    short_id: str
    date: str
    author: str
    subject: str
    of: str


class Hit(Place):
    """A chunk in a ranked answer. ``explain`` has the parts of the score, if requested.

    There are ``copy_count`` other places with the same text; ``copies`` has at most a hundred of them.
    """

    score: float
    copy_count: NotRequired[int]
    copies: NotRequired[list[Copy]]
    explain: NotRequired[dict[str, float]]
    last_commit: NotRequired[LastCommit | None]


class Group(TypedDict):
    """A file or directory in a ranked answer. ``hits`` are the positions of its best hits in those of the answer.

    ``path`` is "" for the root itself. ``files`` is how many files below a directory are among the ranked hits.
    """

    root: str
    path: str
    path_b64: NotRequired[str]
    score: float
    hits: list[int]
    files: NotRequired[int]


class SearchResult(TypedDict):
    """The answer of ``search`` and ``related``; ``state`` is the worst state of the searched roots.

    ``dense_coverage`` is the share of chunks, 0 to 1, that can be found by meaning. If there is no hit, ``searched`` is
    the number of files that match the filters. ``groups`` are files or directories, if asked for.
    """

    query: str
    took_ms: float
    clock: str
    state: str
    dense_coverage: float
    hits: list[Hit]
    groups: NotRequired[list[Group]]
    searched: NotRequired[int]
    notes: NotRequired[list[str]]


class SymbolResult(TypedDict):
    """The places where a name is defined and, if requested, where it is used.

    ``state`` is the worst of the roots searched. Where no name is equal, ``similar`` has definitions of the names that
    match best, and ``match`` says how they do: ``last_part``, ``prefix``, ``part`` or ``spelling``.
    """

    symbol: str
    state: NotRequired[str]
    match: NotRequired[str]
    similar: NotRequired[list[Definition]]
    notes: NotRequired[list[str]]
    definitions: list[Definition]
    references: list[Place]


# lines: grep


class Line(TypedDict):
    """A matching line. ``column`` counts bytes from 1; ``spans`` are the matches as byte offsets in ``text``.

    ``cut`` is True if ``text`` is only a part of the line. ``before`` and ``after`` are the lines around it. In a
    notebook, ``text`` is a line of a cell. ``line``, ``before_lines`` and ``after_lines`` count lines of the JSON;
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
    """The number of matching lines of a file."""

    root: str
    path: str
    path_b64: NotRequired[str]
    count: int


class GrepResult(TypedDict):
    """The answer of ``grep``. ``files`` and ``total`` also count files and lines beyond ``limit``.

    With ``files_without``, ``files`` counts those without lines, and ``total`` lines of the others.

    ``truncated`` is True if matching lines are missing from the answer, or files were not searched; ``left_out`` has
    the number of those files by reason. ``searched`` is the number of files that were read.
    """

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


# the code graph: refs, callers, callees, impact, outline, map


class DefinitionEntry(TypedDict):
    """A definition. Lines and ``column`` (in bytes) count from 1; ``line`` and ``column`` are those of its name."""

    line: int
    column: int
    start_line: int
    end_line: int
    kind: str
    name: str
    symbol: str
    signature: str
    doc: NotRequired[str]
    visibility: NotRequired[str]


class GraphTarget(DefinitionEntry):
    """A definition in a file, about which the code graph was asked."""

    root: str
    path: str
    path_b64: NotRequired[str]
    language: str


class User(TypedDict):
    """Code that refers to something: a definition, or with ``kind`` "file" the code outside all definitions.

    ``confidence`` is "exact", "import", "name" or "possible": how the reference was resolved.
    """

    root: str
    path: str
    path_b64: NotRequired[str]
    language: str
    symbol: str
    kind: str
    symbol_line: NotRequired[int]
    signature: NotRequired[str]
    confidence: str


class ReferenceEntry(User):
    """A reference at ``line`` and ``column``; ``reference`` is "call", "use", "import" or "inherit"."""

    line: int
    column: int
    text: str
    reference: str


class GraphResult(TypedDict):
    """What the answers about the code graph have in common.

    ``name`` is what was asked about, ``targets`` are its definitions. Without any, ``similar`` has names that resemble
    it; ``samples`` counts definitions in the code samples of documents, if only these define it. ``truncated`` is True
    if there is more than the answer has.
    """

    name: str
    targets: list[GraphTarget]
    similar: NotRequired[list[str]]
    samples: NotRequired[int]
    total: int
    truncated: bool
    took_ms: float
    clock: str
    state: str
    notes: NotRequired[list[str]]


class RefsResult(GraphResult):
    """The answer of ``refs``, the surest references first. ``total`` and ``files`` count all.

    ``possible`` is the number of places left out because other definitions of the name are as likely.
    """

    references: list[ReferenceEntry]
    files: int
    possible: int


class CodeLine(TypedDict):
    """A line of code with a call."""

    line: int
    column: int
    text: str


class CallEntry(User):
    """A node in a tree of calls. ``call_count`` counts all its calls, ``calls`` has the first five.

    ``more`` is the number of nodes below that were left out. A ``repeated`` node is elsewhere in the tree.
    """

    calls: list[CodeLine]
    call_count: int
    more: NotRequired[int]
    repeated: NotRequired[bool]


class Caller(CallEntry):
    """A definition that calls the one above it in the tree."""

    callers: NotRequired[list[Caller]]


class Callee(CallEntry):
    """A definition that the one above it in the tree calls; ``calls`` are lines of the caller."""

    callees: NotRequired[list[Callee]]


class CallersResult(GraphResult):
    """The answer of ``callers``."""

    callers: list[Caller]


class CalleesResult(GraphResult):
    """The answer of ``callees``; ``unresolved`` has the called names that the root does not define."""

    callees: list[Callee]
    unresolved: list[str]


class Affected(User):
    """Code that a change reaches over ``distance`` references, the last one at ``line`` to the definition ``via``.

    ``reason`` is "calls", "uses", "inherits" or "imports"; ``confidence`` is that of the least sure reference.
    """

    line: int
    distance: int
    reason: str
    via: str


class FileEntry(TypedDict):
    """A file."""

    root: str
    path: str
    path_b64: NotRequired[str]
    language: NotRequired[str]


class ImpactResult(GraphResult):
    """The answer of ``impact``. ``tests`` are files; ``stopped`` says why the change was not followed further."""

    changed: list[GraphTarget]
    affected: list[Affected]
    importers: list[FileEntry]
    tests: list[FileEntry]
    stopped: NotRequired[str]


class OutlineEntry(DefinitionEntry):
    """A definition in an outline, with the definitions inside it."""

    children: NotRequired[list[OutlineEntry]]


class OutlineResult(TypedDict):
    """The answer of ``outline``. ``partial`` is True if not all of the file was understood."""

    root: str
    path: str
    path_b64: NotRequired[str]
    language: str
    definitions: list[OutlineEntry]
    total: int
    partial: bool
    truncated: bool
    took_ms: float
    clock: str
    state: str
    notes: NotRequired[list[str]]


class MappedFile(TypedDict):
    """A file in a map, with its most central definitions in the order of their lines."""

    path: str
    path_b64: NotRequired[str]
    language: str
    score: float
    definitions: list[DefinitionEntry]


class MapResult(TypedDict):
    """The answer of ``map``: ``text`` is the map as text. ``definitions`` of ``total`` definitions are shown."""

    root: str
    path: str
    path_b64: NotRequired[str]
    text: str
    files: list[MappedFile]
    definitions: int
    total: int
    truncated: bool
    took_ms: float
    clock: str
    state: str
    notes: NotRequired[list[str]]


# histories: log, why, history, together


class PersonEntry(TypedDict):
    """An author or a committer."""

    name: str
    email: str


class CommitEntry(TypedDict):
    """A commit. Dates are in ISO 8601; ``references`` are the issues and pull requests that the message names."""

    id: str
    short_id: str
    parents: list[str]
    author: PersonEntry
    date: str
    committer: PersonEntry
    commit_date: str
    subject: str
    body: str
    trailers: list[list[str]]
    references: list[int]


class CommitChange(TypedDict):
    """A changed path, relative to its root. ``kind`` is A, M, D, R or T; lines are -1 if they were not counted."""

    path: str
    path_b64: NotRequired[str]
    kind: str
    added: int
    removed: int
    old_path: NotRequired[str]
    old_path_b64: NotRequired[str]
    definitions: list[str]


class LoggedCommit(CommitEntry):
    """A commit in the answer of ``history.log``: the matching lines of its body, and the first of its ``files``."""

    root: str
    root_b64: NotRequired[str]
    score: float
    lines: list[str]
    files: int
    changes: list[CommitChange]


class LogResult(TypedDict):
    """The commits that answer a query: best first if they are ``ranked``, else newest first.

    ``searched`` is how many commits the filters left.
    """

    query: str
    took_ms: float
    commits: list[LoggedCommit]
    searched: int
    ranked: bool
    notes: NotRequired[list[str]]


class LinesOrigin(TypedDict):
    """Consecutive lines that come from one commit, None if they are not committed yet."""

    line: int
    count: int
    commit: str | None
    original_path: str
    original_path_b64: NotRequired[str]
    original_line: int


class WhyCommit(CommitEntry):
    """A commit from which lines come. ``boundary``: they may be older, but the repository has no older commits."""

    lines: list[list[int]]
    boundary: NotRequired[bool]


class EarlierCommit(CommitEntry):
    """A commit that changed a definition in ``original_path``; ``lines`` are its places after that, if known."""

    original_path: str
    original_path_b64: NotRequired[str]
    lines: NotRequired[list[list[int]]]


class HistoryDefinition(TypedDict):
    """A definition as it is now."""

    root: NotRequired[str]
    path: str
    path_b64: NotRequired[str]
    symbol: str
    kind: str
    line: int
    start_line: int
    end_line: int


class WhyResult(TypedDict):
    """The answer of ``history.why``. ``text`` has the lines asked about, unless they are very many."""

    root: str
    path: str
    path_b64: NotRequired[str]
    start_line: int
    end_line: int
    text: list[str]
    lines: list[LinesOrigin]
    commits: list[WhyCommit]
    definition: HistoryDefinition | None
    earlier: list[EarlierCommit]
    more_earlier: bool
    took_ms: float
    notes: NotRequired[list[str]]


class ChangeEntry(TypedDict):
    """What a commit did to a path. ``added`` and ``removed`` are lines, -1 if they were not counted."""

    path: str
    path_b64: NotRequired[str]
    kind: str
    added: int
    removed: int
    old_path: NotRequired[str]
    copied_from: NotRequired[str]
    definitions: list[str]


class ChangedDefinition(TypedDict):
    """A definition that a commit changed, and where it was after that."""

    symbol: str
    root: NotRequired[str]
    path: NotRequired[str]
    original_path: NotRequired[str]
    lines: NotRequired[list[list[int]]]


class HistoryCommit(CommitEntry):
    """A commit in a history: ``changes`` of the file or directory, or the definitions that it ``changed``."""

    changes: NotRequired[list[ChangeEntry]]
    changed: NotRequired[list[ChangedDefinition]]


class HistoryResult(TypedDict):
    """The answer of ``history.of``: for a path, or for the definitions of a name."""

    root: NotRequired[str]
    path: NotRequired[str]
    path_b64: NotRequired[str]
    name: NotRequired[str]
    definitions: NotRequired[list[HistoryDefinition]]
    similar: NotRequired[list[str]]
    commits: list[HistoryCommit]
    total: int
    truncated: bool
    took_ms: float
    notes: NotRequired[list[str]]


class BriefCommit(TypedDict):
    """A commit in short."""

    id: str
    short_id: str
    author: PersonEntry
    date: str
    subject: str


class CompanionEntry(TypedDict):
    """Something that changed in ``count`` of the commits; ``total`` is how many commits changed it at all.

    ``confidence`` is ``count`` as a part of all commits that were counted, and ``last`` the newest that changed both.
    """

    path: str
    path_b64: NotRequired[str]
    symbol: NotRequired[str]
    count: int
    total: int
    confidence: float
    score: float
    last: NotRequired[BriefCommit]


class TogetherResult(TypedDict):
    """The answer of ``history.together``. ``large_commits`` were left out of the ``commits`` that were counted.

    If no known commit changed a definition of the name, there is no ``root``, and perhaps ``similar`` names.
    """

    root: NotRequired[str]
    path: NotRequired[str]
    path_b64: NotRequired[str]
    name: NotRequired[str]
    symbols: NotRequired[list[str]]
    similar: NotRequired[list[str]]
    commits: int
    large_commits: int
    definitions: NotRequired[list[CompanionEntry]]
    files: list[CompanionEntry]
    tests: list[CompanionEntry]
    total: int
    took_ms: float
    notes: NotRequired[list[str]]


# roots: add, remove, list, and the progress of their indexing


class AdoptedIndex(TypedDict):
    """The root whose index was adopted, and how many of the new root's files were the same there, and how many not."""

    path: str
    path_b64: NotRequired[str]
    files_same: int
    files_to_process: int


class RootEntry(TypedDict):
    """A root in a list of roots."""

    path: str
    path_b64: NotRequired[str]
    id: str
    state: str
    files: int
    chunks: int
    generation: int
    root_hash: str
    adopted: NotRequired[AdoptedIndex]
    notes: NotRequired[list[str]]


class RootsResult(TypedDict):
    """All roots, or the roots that a call changed."""

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
    """The progress of indexing, or with ``activity`` "verify" of a verification; ``eta_s`` is None if unknown.

    ``scanning`` is there, and True, while more files may be found.
    """

    files_done: int
    files_total: int
    chunks_done: int
    files_per_s: float
    chunks_per_s: NotRequired[float]
    eta_s: float | None
    scanning: NotRequired[bool]
    state: NotRequired[str]
    root: NotRequired[str]
    root_b64: NotRequired[str]
    activity: NotRequired[str]


# health: status, sync, verify, explain


class Failure(TypedDict):
    """A file that could not be indexed. ``next_retry`` is a Unix time in seconds, None: only if the file changes."""

    path: str
    path_b64: NotRequired[str]
    stage: str
    error: str
    attempts: int
    next_retry: float | None


class Problem(TypedDict):
    """Why a root is degraded, and what to do about it."""

    message: str
    hint: str


class Stage(TypedDict):
    """Statistics of an indexing stage since the daemon started."""

    items: int
    bytes: int
    seconds: float
    per_s: float
    p50_ms: float
    errors: int
    queue: int


class BusyFile(TypedDict):
    """A file that changes all the time, so that it is scanned only every ``every_s`` seconds, or by a sync."""

    path: str
    path_b64: NotRequired[str]
    every_s: float


class HistoryEntry(TypedDict):
    """The status of a root's history: "off", "waiting", "indexing", "complete" or "unavailable", with the reason."""

    state: str
    commits: int
    total: int
    branch: NotRequired[str]
    truncated: NotRequired[bool]
    shallow: NotRequired[bool]
    missing: NotRequired[int]
    unreadable: NotRequired[int]
    reason: NotRequired[str]
    hint: NotRequired[str]


class NestedHistoryEntry(HistoryEntry):
    """The status of the history of a repository inside a root, in the directory ``path`` of it."""

    path: str
    path_b64: NotRequired[str]


class RootStatus(TypedDict):
    """Health of one root."""

    path: str
    path_b64: NotRequired[str]
    state: str
    clock: str
    root_hash: str
    files: int
    chunks: int
    definitions: NotRequired[int]
    references: NotRequired[int]
    pending_files: int
    pending_vectors: NotRequired[int]
    failed_files: int
    skipped: dict[str, int]
    failures: list[Failure]
    problems: NotRequired[list[Problem]]
    notes: NotRequired[list[str]]
    adopted: NotRequired[AdoptedIndex]
    busy: NotRequired[list[BusyFile]]
    progress: Progress
    history: NotRequired[HistoryEntry]
    nested_histories: NotRequired[list[NestedHistoryEntry]]
    stages: dict[str, Stage]


class EmbedderStatus(TypedDict):
    """The embedding model in use; ``pending`` is the number of chunks without a vector of it."""

    model: str
    identity: str
    dimensions: int
    device: str
    pending: int


class LogPlace(TypedDict):
    """Where the daemon logs. ``kind`` is "journal", "file" or "stderr"; the rest is None unless it is a file."""

    kind: str
    path: str | None
    bytes: int | None


class CachePlace(TypedDict):
    """The directory of the indexes; ``bytes`` is None until they have been counted."""

    path: str
    bytes: int | None


class StatusResult(TypedDict):
    """Health of the daemon and of its roots. ``schema`` is the version of its catalogs."""

    version: str
    schema: NotRequired[int]
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
    """The clock that a sync reached. ``how`` is "walk" if directories had to be walked, else "cookie"."""

    clock: str
    took_ms: float
    how: str


class Difference(TypedDict):
    """A difference between the index and the disk. ``what`` is its kind."""

    path: str
    path_b64: NotRequired[str]
    what: str
    detail: str


class VerifiedRoot(TypedDict):
    """The differences that ``verify`` found in one root; ``not_verified`` says why nothing was compared."""

    path: str
    path_b64: NotRequired[str]
    files_checked: int
    chunks_checked: int
    vectors_checked: NotRequired[int]
    failed_files: NotRequired[int]
    commits_checked: NotRequired[int]
    differences: list[Difference]
    repaired: NotRequired[bool]
    notes: NotRequired[list[str]]
    not_verified: NotRequired[str]


class VerifyResult(TypedDict):
    """The result of a verification. ``ok`` is True if there are no differences, or all have been repaired."""

    ok: bool
    roots: list[VerifiedRoot]


class ChunkEntry(TypedDict):
    """A chunk in the result of ``explain``."""

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
    """The number of entries that are left out for one reason, such as their content or an ignore rule."""

    reason: str
    rule: str
    entries: int


class DirectorySummary(TypedDict):
    """Counts for everything below a directory. ``left_out`` has the largest groups, ``more_rules`` is how many more."""

    indexed: int
    failed: int
    pending: int
    left_out: list[LeftOut]
    more_rules: int


class ExplainResult(TypedDict):
    """Why a path is or is not indexed.

    ``encoding_guessed`` is True if the file is not Unicode and does not declare its encoding; ``partly_understood`` is
    True if the syntax of some of it was not understood, so that definitions may be missing.
    """

    path: str
    path_b64: NotRequired[str]
    root: NotRequired[str]
    indexed: bool
    reason: str
    rule: str
    language: str
    encoding: NotRequired[str]
    encoding_guessed: NotRequired[bool]
    partly_understood: NotRequired[bool]
    chunks: list[ChunkEntry]
    failure: Failure | None
    summary: NotRequired[DirectorySummary]
    hint: NotRequired[str]


# the daemon: metrics, server information, notifications


class MetricsResult(TypedDict):
    """OpenMetrics text."""

    content_type: NotRequired[str]
    text: str


class ServerInfo(TypedDict):
    """Version and process of the daemon, and where it listens.

    ``installation`` is "intact", "changed" or "removed": the state of the files from which the daemon was started.
    ``schema`` is the version of its catalogs.
    """

    version: str
    schema: NotRequired[int]
    pid: int
    uptime_s: float
    socket: NotRequired[str]
    installation: NotRequired[str]


class Notification(TypedDict):
    """A notification. ``method`` is "progress", "generation" or "state"; ``params["root"]`` is the root's path."""

    method: str
    params: dict[str, object]
