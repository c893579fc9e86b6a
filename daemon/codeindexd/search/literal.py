"""Finds the chunks that contain a query literally: all of it, or the longest part of a message that is in the code.

The values in a message (quoted text, numbers, paths) are holes that the code fills when it runs, and a long message is
broken over lines. So runs of words between the holes are looked up in the text index, the longest first, until one is
found.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import cache
from typing import Final

from codeindexd.analysis import secrets
from codeindexd.analysis.tokens import tokens_of
from codeindexd.search.exact import chunks_on_lines
from codeindexd.search.file_roles import FileRole, is_test, role_of
from codeindexd.search.grep import read_text
from codeindexd.search.line_matcher import LineMatch, LineMatcher
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.search.trigram_query import literal_query
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredFile

_BUDGET_S: Final = 0.1
_MOST_S: Final = 0.3  # where files come from a slow disk
_MOST_CONTENTS: Final = 100
_MOST_FILES: Final = 1_000
_MOST_FILES_OF_SUBJECT: Final = 20
_MOST_CHUNKS: Final = 200
_MOST_PARTS: Final = 120
_MIN_BYTES: Final = 3  # a trigram; one letter of many scripts
_MIN_RUN_CHARS: Final = 12
_MIN_RUN_WORDS: Final = 3
_MIN_RUN_WORDS_OF_EXCEPTION: Final = 2
_MIN_RUN_WORDS_OF_COMPLAINT: Final = 4
_MIN_RUN_WORDS_OF_PROSE: Final = 5
_MOST_WORDS: Final = 24
_MOST_VALUE_CHARS: Final = 60  # between two parts of a message
_MOST_LINE_CHARS: Final = 1_000
_MOST_LINES: Final = 3  # from each end of a pasted text
_EXCEPTION: Final = re.compile(r"^(?:[\w$]+[.:\\/]+)*[A-Z]\w*(?:\s*\[\w+\])?:\s+")
# Not quotations: two or three plain words that name a subject, and a question without punctuation.
_SUBJECT: Final = re.compile(r"[^\W\d_]+(?: [^\W\d_]+){1,2}")
_PLAIN_WORDS: Final = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+){2,}")  # the lexical index counts files with them
_COMPLAINT: Final = re.compile(
    r"\b(?:already|cannot|closed|denied|duplicate|exceeded|exists|expected|expired|fail(?:ed|s|ure)?|forbidden|ignored"
    r"|illegal|impossible|incompatible|invalid|malformed|mismatch|missing|must|no|not|out of|refused|required|timed out"
    r"|too|unable|undefined|unexpected|unknown|unrecognized|unsupported|without|wrong)\b",
    re.IGNORECASE,
)
_PLAIN_QUESTION: Final = re.compile(r"(?:how|what|where|which|why|when|who)(?: [\w-]+){3,}\??", re.IGNORECASE)
_LOOKS_LIKE_A_MESSAGE: Final = re.compile(r"[\"'`%]|<[^>]+>|:\s|\s\d|[.!]$")
_HAS_CODE: Final = re.compile(r"[_$()\[\]{}=]|[a-z][A-Z]")
_QUESTION: Final = re.compile(r"(?:how|what|where|which|why|when|who|find|show)\b|.*\?$", re.IGNORECASE)
_PUNCTUATION: Final = ":;,."
_NAMED_VALUE: Final = re.compile(r"(?<![\w.\\/-])(?:[A-Za-z_]\w*?[a-z][A-Z]\w*+|\w++(?:[._\\/-]\w++)++)(?![\w.\\/-])")
"""A name that a message has without quotation marks, such as that of a class or a module."""

_QUOTED_VALUE: Final = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`")
_BEFORE_VALUE: Final = r"[\s:=(\[.!?;,]{0,3}[%{$\"'`\\<+]"
"""What follows the fixed part of a message: a placeholder, the value's quotation mark, or the end of the string.

Punctuation may stand before it, which who types the message leaves out.
"""

_QUOTE: Final = re.compile(rb"[\"'`]")
_TESTS: Final = frozenset({FileRole.TEST})
_QUOTING: Final = _TESTS | {FileRole.DOCUMENT}
FilesWith = Callable[[str], Set[int] | None]
"""Returns the ids of the files that may contain a text; None if these are too many."""

_WRITTEN_OTHERWISE: Final = re.compile(r"(?P<quote>['`])(?P<text>[^'`]{3,})(?P=quote)|v(?P<version>\d+(?:\.\d+)+)")
"""A text that code may have in other quotation marks, and a version, which may stand there without its ``v``."""

_HOLE: Final = re.compile(
    r"""'[^']*' | "[^"]*" | `[^`]*` | <[^>]*> | \{[^}]*\} | \w+://\S+ | (?:[A-Za-z]:)?(?:[/\\][\w.-]+)+
    | \b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b | \b0x[0-9a-fA-F]+\b | \b\d[\w.,:]*""",
    re.VERBOSE,
)


def literal_chunks(root: SearchableRoot, snapshot: Snapshot, text: str) -> dict[int, int]:
    """Return the chunks that contain ``text``, or else its longest part in the code, by id with the first such line.

    Parts are tried from the longest to the shortest, until one is in code that is not a test. Shorter parts are
    tried, too, after one that is only in tests, which quote messages with their values, or nowhere behind a quotation
    mark, or only in documents, which quote messages with the name of the exception. All chunks found on the way are
    returned. If no code has all of ``text`` as whole words, it may begin and end inside a word; parts of it may not.

    This is a best effort within a tenth of a second, over the contents that the text index knows: use it to rank an
    answer, not to complete one. Text inside a masked secret does not count. Blocking.
    """
    budget = _Budget()
    raised = _EXCEPTION.sub("", text.strip()) if _EXCEPTION.match(text.strip()) else None
    elsewhere: dict[int, int] = {}

    @cache
    def files_with_tokens(tokens: tuple[str, ...], *, any_case: bool) -> frozenset[int] | None:
        return _files_with_tokens(snapshot, tokens, any_case=any_case)

    def files_with(part: str) -> frozenset[int] | None:
        return files_with_tokens(tuple(tokens_of(part)), any_case=False)

    for part, is_whole in itertools.islice(_parts(text, files_with), _MOST_PARTS):
        if budget.is_spent():
            break
        # Large files contain all trigrams of most parts, but seldom their words side by side.
        within = files_with_tokens(tuple(_tokens_inside(part)), any_case=True) if is_whole else files_with(part)
        if not _are_few(within) and _PLAIN_WORDS.fullmatch(part):
            within = files_with(part)
            if _are_many(within) or not (is_whole or raised or _are_few(within)):
                continue  # a phrase of everyday English
        files = _files_that_may_contain(snapshot, part, within)
        if not files:
            continue
        found, quoted = _chunks_with(root, snapshot, part, files, budget, is_whole=is_whole)
        conclusive = found if is_whole or part == raised else quoted
        chunks = snapshot.catalog.chunks(sorted(conclusive)).values()
        inconclusive = _QUOTING if raised else _TESTS
        if any(role_of(chunk.path, chunk.language) not in inconclusive for chunk in chunks):
            return elsewhere | found
        elsewhere |= found
    return elsewhere


def _are_few(files: Set[int] | None) -> bool:
    """Return True if so few files have plain words side by side that these may be a quotation."""
    return files is not None and len(files) <= _MOST_FILES_OF_SUBJECT


def _are_many(files: Set[int] | None) -> bool:
    """Return True for more files than are read for one text."""
    return files is None or len(files) > _MOST_CONTENTS


def message_chunks(root: SearchableRoot, snapshot: Snapshot, text: str) -> dict[int, int]:
    """Return the chunks that have the words of ``text`` around its values in quotes, as messages have.

    The values are quoted, or names in a text that says what is wrong (``Callable HomeController does not exist``).
    By id, with the first such line; documents do not count. All of the words count in their order on one line, or else
    three side by side before a placeholder; fewer than three say nothing. A best effort like :func:`literal_chunks`.
    Blocking.
    """
    if _QUESTION.match(text):
        return {}
    if _QUOTED_VALUE.search(text):
        between = _HOLE.split(text)
    elif "\n" not in text and is_complaint(text) and _NAMED_VALUE.search(text):
        between = [part for fixed in _HOLE.split(text) for part in _NAMED_VALUE.split(fixed)]
    else:
        return {}
    budget = _Budget()
    parts = [part for part in (part.strip(f" {_PUNCTUATION}") for part in between) if is_long_enough(part)]
    if not parts:
        return {}
    for some in [parts, *([part] for part in sorted(parts, key=len, reverse=True) if len(parts) > 1)]:
        enough = sum(len(part.split()) for part in some) >= _MIN_RUN_WORDS
        within = _files_with_tokens(snapshot, tokens_of(max(some, key=len))) if enough else frozenset()
        if found := _chunks_quoting(root, snapshot, some, within, budget):
            return found
    return {}


def short_message_chunks(root: SearchableRoot, snapshot: Snapshot, text: str) -> dict[int, int]:
    """Return the chunks of source that have ``text``, two or three plain words, as a message has them.

    In quotes, before a placeholder or the end; by id, with the first such line. What follows a colon may be the value
    of a message that says what is wrong (``unexpected option: foo``). Nothing for words that more than twenty
    files have, or for other texts. A best effort like :func:`literal_chunks`. Blocking.
    """
    head = text.partition(": ")[0]
    if not _SUBJECT.fullmatch(text) and is_complaint(head):
        text = head
    if not _SUBJECT.fullmatch(text):
        return {}
    within = _files_with_tokens(snapshot, tokens_of(text))
    if within is None or len(within) > _MOST_FILES_OF_SUBJECT:
        return {}
    found = _chunks_quoting(root, snapshot, [text], within, _Budget(), ignore_case=True)
    chunks = snapshot.catalog.chunks(sorted(found))
    return {chunk_id: line for chunk_id, line in found.items() if not is_test(chunks[chunk_id].path)}


def is_complaint(text: str) -> bool:
    """Return True if a text says what is wrong, as messages do and names of subjects do not."""
    return _COMPLAINT.search(text) is not None


def _chunks_quoting(
    root: SearchableRoot,
    snapshot: Snapshot,
    parts: Sequence[str],
    within: Set[int] | None,
    budget: _Budget,
    *,
    ignore_case: bool = False,
) -> dict[int, int]:
    """Return the chunks with a line that has a quotation mark, then ``parts`` in their order, all as whole words.

    They are in files with the ids ``within`` (None: in any).
    """
    files = _files_that_may_contain(snapshot, max(parts, key=len), within)
    pattern = f".{{0,{_MOST_VALUE_CHARS}}}".join(map(re.escape, parts))
    matcher = LineMatcher(pattern if len(parts) > 1 else rf"{pattern}{_BEFORE_VALUE}", ignore_case=ignore_case)
    found: dict[int, int] = {}
    for file, may_be_masked in files:
        if role_of(file.entry.path, file.language) is FileRole.DOCUMENT:
            continue
        if budget.is_spent() or len(found) > _MOST_CHUNKS:
            break
        text = read_text(root.spec.raw, file, matcher.rules_out).text
        if text is None:
            continue
        shown = secrets.mask(text.utf8) if may_be_masked else text.utf8
        quoting = (
            line
            for line in matcher.lines(shown)
            if _QUOTE.search(shown, line.line_start, line.start) and _has_whole_words(matcher, shown, line)
        )
        found.update(chunks_on_lines(snapshot, file, text, quoting))
    return found


class _Budget:
    """The time that a search may take: CPU time, which does not depend on what else the machine does, up to a limit."""

    def __init__(self) -> None:
        self._began, self._cpu_began = time.monotonic(), time.thread_time()

    def is_spent(self) -> bool:
        """Return True if no time is left."""
        passed = time.monotonic() - self._began
        return passed > _MOST_S or (passed > _BUDGET_S and time.thread_time() - self._cpu_began > _BUDGET_S)


def _files_with_tokens(snapshot: Snapshot, tokens: Sequence[str], *, any_case: bool = False) -> frozenset[int] | None:
    """Return the ids of the files with ``tokens`` side by side; None if these are too many."""
    ids, is_all = snapshot.lexical.files_with_tokens(tokens, _MOST_FILES, any_case=any_case)
    return frozenset(ids) if is_all else None


def _files_that_may_contain(snapshot: Snapshot, part: str, within: Set[int] | None) -> list[tuple[StoredFile, bool]]:
    """Return the files that may contain ``part`` in any case, and whether each has masked secrets; by path.

    They are among those with the ids ``within`` (None: among all). Of more than a hundred contents, only some are
    returned.
    """
    if within is not None and not within:
        return []
    if within is not None and not _are_many(within):
        found = list(snapshot.catalog.files_by_id(within).values())
        is_masked = snapshot.text.is_masked if snapshot.text_is_complete else lambda content: True
        masked = {file.entry.hash: is_masked(file.entry.hash) for file in found}
    else:
        # The text index ignores the case of ASCII letters, so these contents serve both cases.
        candidates = snapshot.text.candidates(literal_query(part))
        if within is not None:
            hashes = snapshot.catalog.content_hashes(within)
            candidates = (candidate for candidate in candidates if candidate[0] in hashes)
        masked = dict(itertools.islice(candidates, _MOST_CONTENTS))
        found = snapshot.catalog.files_with_hashes(list(masked))
    return [(file, masked[file.entry.hash]) for file in sorted(found, key=lambda file: file.entry.path)]


def _tokens_inside(part: str) -> list[str]:
    """Return the tokens of ``part`` that a text which has it in any case, even inside of words, has as whole tokens.

    Those at its ends may be longer in the text, and letters beyond ASCII may be in another case there, so there are
    none if it has any.
    """
    if not part.isascii():
        return []
    tokens = tokens_of(part)
    last = len(tokens) - 1 if _is_word_character(ord(part[-1])) else len(tokens)
    return tokens[1 if _is_word_character(ord(part[0])) else 0 : last]


def _chunks_with(
    root: SearchableRoot,
    snapshot: Snapshot,
    part: str,
    files: Iterable[tuple[StoredFile, bool]],
    budget: _Budget,
    *,
    is_whole: bool,
) -> tuple[dict[int, int], set[int]]:
    """Return the chunks with ``part``, by id with its first line, and those where it follows a quotation mark.

    With ``is_whole``, ``part`` may begin and end inside a word if it does so in every chunk, and if no chunk has it in
    this case, its case is ignored.
    """
    found: dict[int, int] = {}
    in_source = False
    quoted: set[int] = set()
    inside_words: dict[int, int] = {}
    in_other_case: dict[int, int] = {}
    matcher = LineMatcher(part, fixed=True, ignore_case=is_whole)
    needle = part.encode("utf-8", "surrogatepass")
    for file, may_be_masked in files:
        if len(found) > _MOST_CHUNKS or budget.is_spent():
            break
        text = read_text(root.spec.raw, file, matcher.rules_out).text
        if text is None:
            continue
        shown = text.utf8
        lines = list(matcher.lines(shown))
        if lines and may_be_masked:
            shown = secrets.mask(shown)
            lines = list(matcher.lines(shown))
        if is_whole:
            if not found and len(in_other_case) <= _MOST_CHUNKS:
                in_other_case.update(chunks_on_lines(snapshot, file, text, lines))
            lines = [line for line in lines if needle in shown[line.line_start : line.line_end]]
            if not in_source and len(inside_words) <= _MOST_CHUNKS:
                inside_words.update(chunks_on_lines(snapshot, file, text, lines))
        lines = [line for line in lines if _has_whole_words(matcher, shown, line)]
        if not is_whole:
            in_quotes = [line for line in lines if _QUOTE.search(shown, line.line_start, line.start)]
            quoted.update(chunks_on_lines(snapshot, file, text, in_quotes))
        found.update(chunks_on_lines(snapshot, file, text, lines))
        in_source |= bool(lines) and not is_test(file.entry.path)
    if is_whole and not in_source:  # tests quote messages with their values
        found = inside_words | found
    return found or in_other_case, quoted


def _has_whole_words(matcher: LineMatcher, text: bytes, line: LineMatch) -> bool:
    """Return True if a match of the line does not begin or end inside a word."""
    return any(
        not _is_inside_word(text, start) and not _is_inside_word(text, end) for start, end in matcher.spans(text, line)
    )


def _is_inside_word(text: bytes, at: int) -> bool:
    return 0 < at < len(text) and _is_word_character(text[at - 1]) and _is_word_character(text[at])


def _is_word_character(code: int) -> bool:
    """Return True for a letter, a digit, ``_``, and any byte or character beyond ASCII."""
    return code >= 0x80 or code == ord("_") or chr(code).isalnum()


def is_long_enough(text: str) -> bool:
    """Return True if the text index can find ``text``: it is at least three bytes long, a trigram."""
    return len(text.encode("utf-8", "replace")) >= _MIN_BYTES


def _parts(text: str, files_with: FilesWith) -> Iterator[tuple[str, bool]]:
    """Yield the parts of ``text`` to look for, best first, and whether each is all of it, whose case may be ignored.

    ``files_with`` is asked for short runs of words, at the cost of a query to the index.
    """
    lines = [line.strip()[:_MOST_LINE_CHARS] for line in text.splitlines() if line.strip()]
    if len(lines) > 2 * _MOST_LINES:
        lines = lines[:_MOST_LINES] + lines[-_MOST_LINES:]
    wholes = [line for line in lines if is_long_enough(line) and not _is_not_quoted(line)]
    messages = [_EXCEPTION.sub("", line) for line in wholes]
    if len(wholes) == 1:
        yield wholes[0], True
        if other := _WRITTEN_OTHERWISE.fullmatch(wholes[0]):
            yield other["text"] or other["version"], True
    yield from (
        (message, False)
        for message in messages
        if len(message) >= _MIN_RUN_CHARS and (message not in wholes or len(wholes) > 1)
    )
    runs = [
        run
        for message in messages
        if (least := _least_words(message, is_raised=message not in wholes)) is not None
        for run in _runs(message, least, files_with)
    ]
    runs.sort(key=lambda run: -run[0])
    yield from ((run, False) for _, run in runs)


def _is_not_quoted(line: str) -> bool:
    """Return True if a line is a subject or a question in the asker's own words, not a copy of text in the code."""
    return _SUBJECT.fullmatch(line) is not None or _PLAIN_QUESTION.fullmatch(line) is not None


def _least_words(message: str, *, is_raised: bool) -> int | None:
    """Return the least number of words in a row that count as a quotation; None if no number does.

    A text after the name of an exception is surely a message, so two words do. Plain words need more, because they may
    be the asker's own, and fewer if they say that something is wrong and have code among them.
    """
    if is_raised:
        return _MIN_RUN_WORDS_OF_EXCEPTION
    if _QUESTION.match(message):
        return None
    if _LOOKS_LIKE_A_MESSAGE.search(message):
        return _MIN_RUN_WORDS
    is_complaint_with_code = is_complaint(message) and _HAS_CODE.search(message)
    return _MIN_RUN_WORDS_OF_COMPLAINT if is_complaint_with_code else _MIN_RUN_WORDS_OF_PROSE


def _runs(message: str, least: int, files_with: FilesWith) -> Iterator[tuple[int, str]]:
    """Yield every run of at least ``least`` words without a hole that may be in the index, as (words, run).

    A run is ruled out if no file has all of its parts of exactly ``least`` words. These are few, and in most questions
    none of them is in the index.
    """
    for fixed in _HOLE.split(message):
        words = list(re.finditer(r"\S+", fixed))[:_MOST_WORDS]

        def run_of(first: int, last: int, fixed: str = fixed, words: Sequence[re.Match[str]] = words) -> str:
            return fixed[words[first].start() : words[last].end()].rstrip(_PUNCTUATION)  # the code may add it apart

        shortest = [files_with(run_of(first, first + least - 1)) for first in range(len(words) - least + 1)]
        for first, last in itertools.combinations(range(len(words)), 2):
            count = last - first + 1
            if count >= least and _may_have_a_file_in_common(shortest[first : last - least + 2]):
                run = run_of(first, last)
                if len(run) >= _MIN_RUN_CHARS:
                    yield count, run


def _may_have_a_file_in_common(sets: Iterable[Set[int] | None]) -> bool:
    known = [files for files in sets if files is not None]
    return not known or bool(frozenset[int].intersection(*map(frozenset, known)))
