"""Exact search: every line that matches a pattern, in every file that is indexed.

The text index returns the contents that may match. Each is read from the disk and matched, so every line of an answer
is on the disk now. Files that the text index does not know (they failed, are not processed yet, or are too large to be
chunked) are read in any case. The answer says how many files could not be searched, and why.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import xxhash

from codeindexd.analysis import secrets
from codeindexd.analysis.chunking.indexed_text import IndexedText, indexed_text
from codeindexd.analysis.chunking.notebook import CellLine
from codeindexd.errors import EXHAUSTED, FailedError
from codeindexd.scan.relpath import is_covered
from codeindexd.scan.safe_read import NO_SUCH_FILE, read_beneath
from codeindexd.search.line_matcher import LineMatch, LineMatcher
from codeindexd.search.query import ParsedQuery, glob_below
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.catalog.filters import is_of_language
from codeindexd.storage.catalog.path_globs import path_filter
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import Outcome, StoredFile

TEXTUAL_REASONS = frozenset({"oversized", "generated", "minified"})
"""The reasons for which files without chunks may nevertheless be text."""

MAX_TEXT_BYTES = 32 << 20
_MAX_LINE_BYTES = 4096  # of a line that is shown; longer ones are cut around the match
_BEFORE_MATCH = 200
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class GrepRequest:
    """What to look for, where, and how much to return.

    ``below`` are files and directories relative to the root; without any, all of it is searched. ``include`` and
    ``exclude`` are path filters, ``language`` and ``languages_left_out`` are names as the catalog has them. ``before``
    and ``after`` are numbers of context lines. ``max_count`` bounds the matching lines that are looked for in each
    file, ``limit`` only those that are returned, not their count; ``budget_s`` bounds the time. With ``names_only``,
    the search of a file ends at its first match. With ``every_match``, all matches of a line are returned instead of
    the first.
    """

    matcher: LineMatcher
    below: Collection[bytes] = ()
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    language: str | None = None
    languages_left_out: Sequence[str] = ()
    before: int = 0
    after: int = 0
    max_count: int | None = None
    limit: int = 1000
    names_only: bool = False
    every_match: bool = False
    budget_s: float = 10.0

    @classmethod
    def within(cls, parsed: ParsedQuery, matcher: LineMatcher, budget_s: float) -> GrepRequest:
        """Return a request for the matches in the files that pass the path and language filters of a query."""
        return cls(
            matcher,
            include=parsed.include,
            exclude=parsed.exclude,
            language=parsed.language or None,
            languages_left_out=parsed.languages_left_out,
            budget_s=budget_s,
        )


@dataclass(frozen=True, slots=True)
class MatchedLine:
    """A line of an answer. ``spans`` are its matches as byte offsets in the UTF-8 of ``text``.

    ``column`` is that of the first match, in bytes from 1, in the whole line; ``cut`` says that ``text`` is only a part
    of it. ``before`` and ``after`` are the lines around it, ``before_lines`` and ``after_lines`` their numbers. In a
    notebook, the lines are those of its cells, each numbered by the line of the JSON in which it begins; ``cell`` is
    the place in the cells, None in other files.
    """

    root: SearchableRoot
    path: bytes
    line: int
    column: int
    text: str
    spans: Sequence[tuple[int, int]]
    cut: bool = False
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    before_lines: Sequence[int] = ()
    after_lines: Sequence[int] = ()
    cell: CellLine | None = None


@dataclass(slots=True)
class GrepResult:
    """Matching lines in the order of paths and lines. ``lines`` are those returned, ``total`` counts all found.

    ``searched`` is the number of files that were read, ``counts`` has the number of matching lines by path, and
    ``left_out`` the number of files that were not searched, by reason.
    """

    lines: list[MatchedLine] = field(default_factory=list)
    total: int = 0
    searched: int = 0
    counts: dict[bytes, int] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def files(self) -> int:
        """The number of files with a match."""
        return len(self.counts)


def grep_root(root: SearchableRoot, snapshot: Snapshot, request: GrepRequest, *, mask_secrets: bool) -> GrepResult:
    """Search one root. Blocking. Raises FailedError when nothing can be read."""
    result = GrepResult()
    changed: set[bytes] = set()
    include = [glob_below(os.fsdecode(root.spec.raw), glob) for glob in request.include]
    exclude = [glob_below(os.fsdecode(root.spec.raw), glob) for glob in request.exclude]
    request = replace(request, include=include, exclude=exclude)
    for file, found, may_be_masked in texts_to_search(root, snapshot, request, result.left_out):
        if not found.is_current:
            changed.add(file.entry.path)
        if found.text is None:
            continue
        result.searched += 1
        if is_affordable(request.matcher, found.text.utf8, result.left_out):
            mask_it = mask_secrets and (may_be_masked or not found.is_current)
            _search_text(root, file.entry.path, found.text, request, result, mask_secrets=mask_it)
    if changed:
        root.hint_from_thread(changed)
    return result


def texts_to_search(
    root: SearchableRoot, snapshot: Snapshot, request: GrepRequest, left_out: Counter[str]
) -> Iterator[tuple[StoredFile, FileText, bool]]:
    """Yield each file that may match, what was read of it, and whether it may contain secrets; in the order of paths.

    Files that cannot be read, are too large, or are not reached in time are counted in ``left_out`` by reason.
    Blocking. Raises FailedError when nothing can be read.
    """
    deadline = time.monotonic() + request.budget_s
    files = files_to_search(snapshot, request)
    for number, (file, may_be_masked) in enumerate(files):
        if time.monotonic() > deadline:
            left_out["not searched in time"] += len(files) - number
            return
        found = read_text(root.spec.raw, file)
        if found.error:
            left_out[f"unreadable ({found.error})"] += 1
        if found.is_too_large:
            left_out[f"larger than {MAX_TEXT_BYTES >> 20} MiB"] += 1
        yield file, found, may_be_masked


def is_affordable(matcher: LineMatcher, text: bytes, left_out: Counter[str]) -> bool:
    """Return True if matching ``text`` takes a few seconds at most; else count it in ``left_out``."""
    if matcher.is_affordable(text):
        return True
    left_out["too large for this pattern"] += 1
    return False


def files_to_search(snapshot: Snapshot, request: GrepRequest) -> list[tuple[StoredFile, bool]]:
    """Return the files that have to be read, in the order of their paths, and whether each may contain secrets."""
    passes = path_filter(request.include, request.exclude)
    below = frozenset(request.below)
    found: dict[int, tuple[StoredFile, bool]] = {}

    def take(files: Iterable[StoredFile], masked: Mapping[bytes, bool]) -> None:
        for file in files:
            path = file.entry.path
            if (
                passes(path)
                and (not below or is_covered(path, below))
                and (request.language is None or is_of_language(file.language, path, request.language))
                and not any(is_of_language(file.language, path, one) for one in request.languages_left_out)
            ):
                found[file.file_id] = file, masked.get(file.entry.hash, True)

    candidates = _candidates(snapshot, request.matcher)
    while part := dict(itertools.islice(candidates, _AT_ONCE)):
        take(snapshot.catalog.files_with_hashes(list(part)), part)
    take(snapshot.catalog.files_without_chunks(TEXTUAL_REASONS), {})
    return sorted(found.values(), key=lambda item: item[0].entry.path)


def is_searched(file: StoredFile) -> bool:
    """Return True if a search of the whole root includes ``file``: it is indexed, or skipped but may be text."""
    return file.outcome is not Outcome.SKIPPED or (file.reason or file.entry.reason) in TEXTUAL_REASONS


def _candidates(snapshot: Snapshot, matcher: LineMatcher) -> Iterator[tuple[bytes, bool]]:
    """Yield the hashes of contents that may match or that the text index lacks, and whether each may have secrets."""
    yield from snapshot.text.candidates(matcher.query)
    if not snapshot.text_is_complete:
        known = snapshot.text.contents()
        yield from (
            (content, True) for content in set(snapshot.catalog.indexed_content_hashes()) if content not in known
        )


@dataclass(frozen=True, slots=True)
class FileText:
    """A file's text, and whether its content is still the one in the catalog.

    ``text`` is None if the file is gone, binary, too large or unreadable. ``error`` says why a file that exists cannot
    be read; "" if it was read or is gone.
    """

    text: IndexedText | None
    is_current: bool
    is_too_large: bool = False
    error: str = ""


def read_text(root: bytes, file: StoredFile) -> FileText:
    """Read a file of the catalog. Blocking. Raises FailedError when the process can read no file at all."""
    try:
        data = read_beneath(root, file.entry.path, max_bytes=MAX_TEXT_BYTES).data
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise FailedError(
                f"cannot verify results against the disk: {error.strerror}",
                hint="close programs, or raise the limit of open files or memory",
            ) from error
        reason = "" if error.errno in NO_SUCH_FILE else error.strerror or str(error)
        return FileText(None, is_current=False, error=reason)
    if len(data) > MAX_TEXT_BYTES:
        return FileText(None, is_current=True, is_too_large=True)
    is_current = file.outcome is not Outcome.INDEXED or xxhash.xxh3_128_digest(data) == file.entry.hash
    return FileText(indexed_text(data), is_current)


def _search_text(
    root: SearchableRoot,
    path: bytes,
    found: IndexedText,
    request: GrepRequest,
    result: GrepResult,
    *,
    mask_secrets: bool,
) -> None:
    text = found.utf8
    lines = request.matcher.lines(text)
    first = next(lines, None)
    if first is None:
        return
    shown = secrets.mask(text) if mask_secrets else text
    if shown == text:
        matching: Iterable[LineMatch] = _chained(first, lines)
    else:
        matching = (line for line in request.matcher.lines(shown) if _is_visible(request.matcher, text, shown, line))
    count = 0
    for line in matching:
        count += 1
        returned = request.max_count is None or count <= request.max_count
        if returned and len(result.lines) < request.limit and not (request.names_only and count > 1):
            result.lines.append(_matched_line(root, path, found, shown, line, request))
        if request.names_only or (request.max_count is not None and count >= request.max_count):
            break
    if count:
        result.counts[path] = count
        result.total += count


def _chained(first: LineMatch, rest: Iterator[LineMatch]) -> Iterator[LineMatch]:
    yield first
    yield from rest


def _is_visible(matcher: LineMatcher, text: bytes, shown: bytes, line: LineMatch) -> bool:
    """Return True if a match of the line is outside masked text."""
    return any(text[start:end] == shown[start:end] for start, end in matcher.spans(shown, line))


def _matched_line(
    root: SearchableRoot, path: bytes, found: IndexedText, text: bytes, line: LineMatch, request: GrepRequest
) -> MatchedLine:
    """Return a line of ``text``, the text of ``found`` with its secrets masked if that is asked for."""
    spans = list(request.matcher.spans(text, line)) if request.every_match else [(line.start, line.end)]
    low, high = line.line_start, line.line_end
    if high - low > _MAX_LINE_BYTES:
        low = max(low, min(line.start - _BEFORE_MATCH, high - _MAX_LINE_BYTES))
        high = min(high, low + _MAX_LINE_BYTES)
        low = _letter_start(text, low)
        high = _letter_start(text, high)
    inside = [(max(start, low) - low, min(end, high) - low) for start, end in spans if start <= high and end >= low]
    low_context, high_context = found.paragraph(line.line_start)
    before, after = _around(text, line, request.before, request.after, low_context, high_context)
    return MatchedLine(
        root,
        path,
        found.source_line(line.number),
        line.start - line.line_start + 1,
        _shown(text[low:high]),
        inside,
        cut=(low, high) != (line.line_start, line.line_end),
        before=before,
        after=after,
        before_lines=[found.source_line(line.number - number) for number in range(len(before), 0, -1)],
        after_lines=[found.source_line(line.number + number) for number in range(1, len(after) + 1)],
        cell=found.cell_line(line.number),
    )


def _letter_start(text: bytes, at: int) -> int:
    """Return the offset of the character that the byte at ``at`` belongs to."""
    while 0 < at < len(text) and text[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _around(text: bytes, line: LineMatch, before: int, after: int, low: int, high: int) -> tuple[list[str], list[str]]:
    """Return up to ``before`` and ``after`` lines around ``line``, between the offsets ``low`` and ``high``."""
    earlier: list[str] = []
    end = line.line_start - 1
    while len(earlier) < before and end >= low:
        start = max(low, text.rfind(b"\n", low, end) + 1)
        earlier.insert(0, _shown(text[start:end][:_MAX_LINE_BYTES]))
        end = start - 1
    later: list[str] = []
    start = line.line_end + 1
    while len(later) < after and start < high:
        end = text.find(b"\n", start, high)
        end = high if end < 0 else end
        later.append(_shown(text[start:end][:_MAX_LINE_BYTES]))
        start = end + 1
    return earlier, later


def _shown(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
