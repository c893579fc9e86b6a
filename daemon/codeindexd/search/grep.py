"""Exact search: every line that matches a pattern, in every file that is indexed.

The text index returns the contents that may match. Each is read from the disk and matched, so every line of an answer
is on the disk now. Files that the text index does not know (they failed, are not processed yet, or are too large to be
chunked) are always read. The answer says how many files could not be searched, and why.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import TypeAlias

import xxhash
from msgspec import Struct, field
from msgspec.structs import replace

from codeindexd.analysis import secrets
from codeindexd.analysis.chunking.indexed_text import IndexedText, indexed_text
from codeindexd.analysis.chunking.notebook import CellLine
from codeindexd.analysis.long_runs import RUN_BYTES, may_contain
from codeindexd.errors import EXHAUSTED
from codeindexd.scan.relpath import is_covered
from codeindexd.scan.safe_read import NO_SUCH_FILE, read_beneath
from codeindexd.scan.size_limits import MOST_TEXT_BYTES
from codeindexd.search.confirm import cannot_verify
from codeindexd.search.line_matcher import LineMatch, LineMatcher
from codeindexd.search.query import ParsedQuery, glob_below
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.catalog.filters import is_of_language
from codeindexd.storage.catalog.path_globs import path_filter
from codeindexd.storage.catalog.skipped_texts import TEXTUAL_REASONS, SkippedText, is_unchanged
from codeindexd.storage.snapshot import Snapshot
from codeindexd.storage.text import All, Query
from codeindexd.types import Outcome, StoredFile

SHOWN_LINE_BYTES = 4096
"""Bytes of a line that are shown unless more is asked for; longer ones are cut around the match."""

_BEFORE_MATCH = 200
_AT_ONCE = 500

FileToSearch: TypeAlias = "tuple[StoredFile, bool]"
"""A file that may match, and whether it may contain secrets."""


class GrepRequest(Struct, frozen=True):
    """What to look for, where, and how much to return.

    ``below`` are files and directories relative to the root; without any, all of it is searched. ``include`` and
    ``exclude`` are path filters, ``language`` and ``languages_left_out`` are names as the catalog has them. ``before``
    and ``after`` are numbers of context lines. ``max_count`` bounds the matching lines that are looked for in each
    file, ``limit`` only those that are returned, not their count (None: no bound); ``budget_s`` bounds the time. With
    ``names_only``, the search of a file ends at its first match. With ``every_match``, all matches of a line are
    returned instead of the first. Lines longer than ``max_line_bytes`` are cut around their first match. With
    ``invert``, the lines that do not match are looked for instead of those that do, and with ``files_without``, the
    files that have none of the lines that are looked for.
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
    limit: int | None = 1000
    names_only: bool = False
    every_match: bool = False
    invert: bool = False
    files_without: bool = False
    max_line_bytes: int = SHOWN_LINE_BYTES
    budget_s: float = 10.0

    @property
    def selects_by_match(self) -> bool:
        """True if only files in which the pattern matches can be part of the answer."""
        return not (self.invert or self.files_without)

    @property
    def rules_out(self) -> Callable[[bytes], bool]:
        """Returns True for the bytes of a file that surely has none of the lines that are looked for."""
        return _rules_nothing_out if self.invert else self.matcher.rules_out

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

    def for_root(self, root: SearchableRoot) -> GrepRequest:
        """Return the request with path filters as they are for the files of ``root``."""
        below = os.fsdecode(root.spec.raw)
        include = [glob_below(below, glob) for glob in self.include]
        exclude = [glob_below(below, glob) for glob in self.exclude]
        return replace(self, include=include, exclude=exclude)


class MatchedLine(Struct, frozen=True):
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


class FileCount(Struct, frozen=True):
    """The number of matching lines of a file."""

    root: SearchableRoot
    path: bytes
    count: int


class GrepTotals(Struct):
    """What a search has counted so far.

    ``total`` is the number of matching lines, ``files`` that of files with any, ``searched`` that of files that were
    read; ``left_out`` has the number of files that were not searched, by reason.
    """

    total: int = 0
    files: int = 0
    searched: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


class GrepResult(GrepTotals):
    """Matching lines in the order of paths and lines. ``lines`` are those returned, ``total`` counts all found.

    ``counts`` has the number of matching lines by path.
    """

    lines: list[MatchedLine] = field(default_factory=list)
    counts: dict[bytes, int] = field(default_factory=dict)


def grep_root(root: SearchableRoot, snapshot: Snapshot, request: GrepRequest, *, mask_secrets: bool) -> GrepResult:
    """Search one root. Blocking. Raises FailedError when nothing can be read."""
    result = GrepResult()
    request = request.for_root(root)
    for found in grep_files(root, files_to_search(root, snapshot, request), request, result, mask_secrets=mask_secrets):
        if isinstance(found, MatchedLine):
            result.lines.append(found)
        elif found is not None:
            result.counts[found.path] = found.count
    return result


def grep_files(
    root: SearchableRoot,
    files: Sequence[FileToSearch],
    request: GrepRequest,
    totals: GrepTotals,
    *,
    mask_secrets: bool,
) -> Iterator[MatchedLine | FileCount | None]:
    """Search ``files`` one after the other; a file is read when the results of earlier ones have been consumed.

    Yield the lines of a file up to the request's limit, then their number; None for a file that is not part of the
    answer. ``totals`` are kept up to date. Blocking. Raises FailedError when nothing can be read.
    """
    changed: set[bytes] = set()
    most = 1 if request.names_only or request.files_without else request.max_count
    returned = 0
    for file, found, may_be_masked in _texts(root, files, request, totals.left_out):
        path = file.entry.path
        if not found.is_current:
            changed.add(path)
        count = 0
        is_searched = found.is_ruled_out
        totals.searched += found.text is not None or found.is_ruled_out
        if found.text is not None and is_affordable(request.matcher, found.text.utf8, totals.left_out):
            is_searched = True
            may_have_secrets = mask_secrets and (may_be_masked or not found.is_current)
            shown, lines = _looked_for(found.text.utf8, request, mask_secrets=may_have_secrets)
            for line in itertools.islice(lines, most):
                count += 1
                if request.limit is None or returned < request.limit:
                    returned += 1
                    yield _matched_line(root, path, found.text, shown, line, request)
        is_found = is_searched and not count if request.files_without else bool(count)
        totals.total += count
        totals.files += is_found
        yield FileCount(root, path, count) if is_found else None
    if changed:
        root.hint_from_thread(changed)


def texts_to_search(
    root: SearchableRoot, snapshot: Snapshot, request: GrepRequest, left_out: Counter[str]
) -> Iterator[tuple[StoredFile, FileText, bool]]:
    """Yield each file that may match, what was read of it, and whether it may contain secrets; in the order of paths.

    Files that cannot be read, are too large, or are not reached in time are counted in ``left_out`` by reason.
    Blocking. Raises FailedError when nothing can be read.
    """
    return _texts(root, files_to_search(root, snapshot, request), request, left_out)


def _texts(
    root: SearchableRoot, files: Sequence[FileToSearch], request: GrepRequest, left_out: Counter[str]
) -> Iterator[tuple[StoredFile, FileText, bool]]:
    """Yield files with what was read of each, and whether secrets may have to be masked in it.

    Files that cannot be read, or not within the budget, are counted in ``left_out`` by reason.
    """
    deadline = time.monotonic() + request.budget_s
    for number, (file, may_be_masked) in enumerate(files):
        if time.monotonic() > deadline:
            left_out["not searched in time"] += len(files) - number
            return
        found = read_text(root.spec.raw, file, request.rules_out)
        if found.error:
            left_out[f"unreadable ({found.error})"] += 1
        if found.is_too_large:
            left_out[f"larger than {MOST_TEXT_BYTES >> 20} MiB"] += 1
        yield file, found, may_be_masked


def is_affordable(matcher: LineMatcher, text: bytes, left_out: Counter[str]) -> bool:
    """Return True if matching ``text`` takes a few seconds at most; else count it in ``left_out``."""
    if matcher.is_affordable(text):
        return True
    left_out["too large for this pattern"] += 1
    return False


def files_to_search(root: SearchableRoot, snapshot: Snapshot, request: GrepRequest) -> list[FileToSearch]:
    """Return the files that have to be read, in the order of their paths, and whether each may contain secrets.

    Blocking.
    """
    passes = _scope(request)
    found: dict[int, FileToSearch] = {}

    def take(files: Iterable[StoredFile], masked: Mapping[bytes, bool]) -> None:
        """Take the files that pass; contents that ``masked`` does not know may contain secrets."""
        for file in files:
            if passes(file.entry.path, file.language):
                found[file.file_id] = file, masked.get(file.entry.hash, True)

    skipped = {text for text in snapshot.catalog.skipped_texts(snapshot.read_round) if passes(text.path, text.language)}
    unread = {text for text in skipped if not is_unchanged(root.spec.raw, text)}
    known = {text.content for text in skipped - unread}
    masked: dict[bytes, bool] = {}
    query = request.matcher.query if request.selects_by_match else All()
    candidates = _candidates(snapshot, query)
    while part := dict(itertools.islice(candidates, _AT_ONCE)):
        take(snapshot.catalog.files_with_hashes(list(part)), part)
        masked.update((content, part[content]) for content in known & part.keys())
    take(snapshot.catalog.files_to_read(), {})
    literal = request.matcher.literal if request.selects_by_match else None
    lacking = _lacking_the_literal(snapshot, literal, skipped - unread, masked.keys())
    to_read = {
        text.file_id: masked.get(text.content, True)
        for text in skipped - lacking
        if text in unread or text.content in masked
    }
    for file_id, file in snapshot.catalog.files_by_id(to_read).items():
        found[file_id] = file, to_read[file_id]
    if unread:
        root.note_unread_texts()
    return sorted(found.values(), key=lambda item: item[0].entry.path)


def _lacking_the_literal(
    snapshot: Snapshot, literal: bytes | None, texts: Collection[SkippedText], candidates: Collection[bytes]
) -> set[SkippedText]:
    """Return those of ``texts`` with a content among ``candidates`` that lack ``literal``, which every match contains.

    None if there is no such text, or if files without a match count.
    """
    if literal is None or len(literal) < RUN_BYTES:
        return set()
    by_id = {text.file_id: text for text in texts if text.content in candidates}
    long_runs = snapshot.catalog.long_runs_of_files(by_id)
    return {by_id[file_id] for file_id, runs in long_runs.items() if not may_contain(runs, literal)}


def _scope(request: GrepRequest) -> Callable[[bytes, str], bool]:
    """Return a function that returns True for paths and languages that the request includes."""
    passes = path_filter(request.include, request.exclude)
    below = frozenset(request.below)

    def includes(path: bytes, language: str) -> bool:
        return (
            passes(path)
            and (not below or is_covered(path, below))
            and (request.language is None or is_of_language(language, path, request.language))
            and not any(is_of_language(language, path, name) for name in request.languages_left_out)
        )

    return includes


def is_searched(file: StoredFile) -> bool:
    """Return True if a search of the whole root includes ``file``: it is indexed, or skipped but may be text."""
    return file.outcome is not Outcome.SKIPPED or (file.reason or file.entry.reason) in TEXTUAL_REASONS


def _candidates(snapshot: Snapshot, query: Query) -> Iterator[tuple[bytes, bool]]:
    """Yield the hashes of contents that may match or that the text index lacks, and whether each may have secrets."""
    yield from snapshot.text.candidates(query)
    if not snapshot.text_is_complete:
        known = snapshot.text.contents()
        yield from (
            (content, True) for content in set(snapshot.catalog.indexed_content_hashes()) if content not in known
        )


class FileText(Struct, frozen=True):
    """A file's text, and whether its content is still the one in the catalog.

    ``text`` is None if the file is gone, binary, too large or unreadable, or if it was ruled out because of its bytes.
    ``error`` says why a file that exists cannot be read; "" if it was read or is gone.
    """

    text: IndexedText | None
    is_current: bool
    is_too_large: bool = False
    is_ruled_out: bool = False
    error: str = ""


def _rules_nothing_out(_: bytes) -> bool:
    return False


def read_text(root: bytes, file: StoredFile, rules_out: Callable[[bytes], bool] = _rules_nothing_out) -> FileText:
    """Read a file of the catalog, and decode it unless ``rules_out`` returns True for its bytes. Blocking.

    Raises FailedError when the process can read no file at all.
    """
    try:
        data = read_beneath(root, file.entry.path, max_bytes=MOST_TEXT_BYTES).data
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise cannot_verify(error) from error
        reason = "" if error.errno in NO_SUCH_FILE else error.strerror or str(error)
        return FileText(None, is_current=False, error=reason)
    if len(data) > MOST_TEXT_BYTES:
        return FileText(None, is_current=True, is_too_large=True)
    is_current = file.outcome is not Outcome.INDEXED or xxhash.xxh3_128_digest(data) == file.entry.hash
    if rules_out(data):
        return FileText(None, is_current, is_ruled_out=True)
    return FileText(indexed_text(data), is_current)


def _looked_for(text: bytes, request: GrepRequest, *, mask_secrets: bool) -> tuple[bytes, Iterator[LineMatch]]:
    """Return the text to show, with its secrets masked if that is asked for, and the lines of it to look for."""
    shown, lines = _matching(text, request.matcher, mask_secrets=mask_secrets)
    if not request.invert:
        return shown, lines
    matching = {line.line_start for line in lines}
    if mask_secrets and not matching:  # else it is masked already
        shown = secrets.mask(text)
    return shown, _lines_except(text, matching)


def _lines_except(text: bytes, starts: Set[int]) -> Iterator[LineMatch]:
    """Yield the lines of ``text`` that do not begin at the offsets ``starts``, each as a match of its whole length."""
    start = 0
    for number in itertools.count(1):
        if start >= len(text):
            return
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        if start not in starts:
            yield LineMatch(number, start, end, start, end)
        start = end + 1


def _matching(text: bytes, matcher: LineMatcher, *, mask_secrets: bool) -> tuple[bytes, Iterator[LineMatch]]:
    """Return the text to show, with its secrets masked if that is asked for, and the lines of it that match."""
    lines = matcher.lines(text)
    first = next(lines, None)
    if first is None:
        return text, iter(())
    shown = secrets.mask(text) if mask_secrets else text
    if shown == text:
        return text, itertools.chain([first], lines)
    return shown, (line for line in matcher.lines(shown) if _is_visible(matcher, text, shown, line))


def _is_visible(matcher: LineMatcher, text: bytes, shown: bytes, line: LineMatch) -> bool:
    """Return True if a match of the line is outside masked text."""
    return any(text[start:end] == shown[start:end] for start, end in matcher.spans(shown, line))


def _matched_line(
    root: SearchableRoot, path: bytes, found: IndexedText, text: bytes, line: LineMatch, request: GrepRequest
) -> MatchedLine:
    """Return a line of ``text``, the text of ``found`` with its secrets masked if that is asked for."""
    all_spans = request.every_match and not request.invert
    spans = list(request.matcher.spans(text, line)) if all_spans else [(line.start, line.end)]
    low, high = line.line_start, line.line_end
    most = request.max_line_bytes
    if high - low > most:
        low = max(low, min(line.start - _BEFORE_MATCH, high - most))
        high = min(high, low + most)
        low = _letter_start(text, low)
        high = _letter_start(text, high)
    inside = [(max(start, low) - low, min(end, high) - low) for start, end in spans if start <= high and end >= low]
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    if request.before or request.after:
        low_context, high_context = found.paragraph(line.line_start)
        before, after = _around(text, line, request, low_context, high_context)
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


def _around(text: bytes, line: LineMatch, request: GrepRequest, low: int, high: int) -> tuple[list[str], list[str]]:
    """Return the lines of context around ``line``, between the offsets ``low`` and ``high``."""
    earlier: list[str] = []
    end = line.line_start - 1
    while len(earlier) < request.before and end >= low:
        start = max(low, text.rfind(b"\n", low, end) + 1)
        earlier.insert(0, _shown(text[start:end][: request.max_line_bytes]))
        end = start - 1
    later: list[str] = []
    start = line.line_end + 1
    while len(later) < request.after and start < high:
        end = text.find(b"\n", start, high)
        end = high if end < 0 else end
        later.append(_shown(text[start:end][: request.max_line_bytes]))
        start = end + 1
    return earlier, later


def _shown(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
