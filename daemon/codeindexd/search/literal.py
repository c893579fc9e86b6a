"""Finds the chunks that contain a query literally: all of it, or the longest part of a message that is in the code.

The values in a message (quoted text, numbers, paths) are holes that the code fills when it runs, and a long message is
broken over lines. So runs of words between the holes are looked up in the text index, the longest first, until one is
found.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from codeindexd.analysis import secrets
from codeindexd.analysis.tokens import split_identifier, tokens_of
from codeindexd.search.exact import chunks_on_lines
from codeindexd.search.file_roles import is_test
from codeindexd.search.grep import read_text
from codeindexd.search.line_matcher import LineMatcher
from codeindexd.search.prepared_query import stems_of
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.search.trigram_query import literal_query
from codeindexd.storage.lexical import LexicalQuery
from codeindexd.storage.snapshot import Snapshot

_BUDGET_S: Final = 0.1
_MOST_CONTENTS: Final = 100
_MOST_CHUNKS: Final = 200
_MOST_PARTS: Final = 120
_MIN_BYTES: Final = 3  # a trigram; one letter of many scripts
_MIN_RUN_CHARS: Final = 12
_MIN_RUN_WORDS: Final = 3
_MIN_RUN_WORDS_OF_EXCEPTION: Final = 2
_MIN_RUN_WORDS_OF_PROSE: Final = 5
_MOST_WORDS: Final = 24
_MOST_LINE_CHARS: Final = 1_000
_MOST_LINES: Final = 3  # from each end of a pasted text
_EXCEPTION: Final = re.compile(r"^(?:[\w$]+[.:\\/]+)*[A-Z]\w*(?:\s*\[\w+\])?:\s+")
# Not quotations: two or three plain words that name a subject, and a question without punctuation.
_SUBJECT: Final = re.compile(r"[^\W\d_]+(?: [^\W\d_]+){1,2}")
_PLAIN_QUESTION: Final = re.compile(r"(?:how|what|where|which|why|when|who)(?: [\w-]+){3,}\??", re.IGNORECASE)
_LOOKS_LIKE_A_MESSAGE: Final = re.compile(r"[\"'`%]|<[^>]+>|:\s|\s\d|[.!]$")
_QUESTION: Final = re.compile(r"(?:how|what|where|which|why|when|who|find|show)\b|.*\?$", re.IGNORECASE)
_PUNCTUATION: Final = ":;,."
_QUOTE: Final = re.compile(rb"[\"'`]")
_HOLE: Final = re.compile(
    r"""'[^']*' | "[^"]*" | `[^`]*` | <[^>]*> | \{[^}]*\} | \w+://\S+ | (?:[A-Za-z]:)?(?:[/\\][\w.-]+)+
    | \b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b | \b0x[0-9a-fA-F]+\b | \b\d[\w.,:]*""",
    re.VERBOSE,
)


def literal_chunks(root: SearchableRoot, snapshot: Snapshot, text: str) -> dict[int, int]:
    """Return the chunks that contain ``text``, or else its longest part in the code, by id with the first such line.

    Parts are tried from the longest to the shortest, until one is in code that is not a test. Shorter parts are
    tried, too, after one that is only in tests, which quote messages with their values, or nowhere behind a quotation
    mark, as in documents. All chunks found on the way are returned.

    This is a best effort within a tenth of a second, over the contents that the text index knows: use it to rank an
    answer, not to complete one. Text inside a masked secret does not count. Blocking.
    """
    deadline = time.monotonic() + _BUDGET_S
    elsewhere: dict[int, int] = {}

    def may_be_there(run: str) -> bool:
        # Large files contain all trigrams of most runs, but seldom these words side by side.
        words = stems_of(word for token in tokens_of(run) for word in split_identifier(token))
        return not words or bool(snapshot.lexical.search(LexicalQuery(phrases=[words], required=True), 1))

    for part, is_whole in itertools.islice(_parts(text, may_be_there), _MOST_PARTS):
        if time.monotonic() > deadline:
            break
        # The text index ignores the case of ASCII letters, so these contents serve both cases.
        contents = dict(itertools.islice(snapshot.text.candidates(literal_query(part)), _MOST_CONTENTS))
        if not contents:
            continue
        found, quoted = _chunks_with(root, snapshot, LineMatcher(part, fixed=True), contents, deadline)
        if not found and is_whole:
            matcher = LineMatcher(part, fixed=True, ignore_case=True)
            found, quoted = _chunks_with(root, snapshot, matcher, contents, deadline)
        conclusive = found if is_whole else quoted
        if any(not is_test(chunk.path) for chunk in snapshot.catalog.chunks(sorted(conclusive)).values()):
            return elsewhere | found
        elsewhere |= found
    return elsewhere


def _chunks_with(
    root: SearchableRoot, snapshot: Snapshot, matcher: LineMatcher, contents: Mapping[bytes, bool], deadline: float
) -> tuple[dict[int, int], set[int]]:
    """Return the chunks with a match, by id with its first line, and those where it follows a quotation mark."""
    found: dict[int, int] = {}
    quoted: set[int] = set()
    for file in sorted(snapshot.catalog.files_with_hashes(list(contents)), key=lambda file: file.entry.path):
        if len(found) > _MOST_CHUNKS or time.monotonic() > deadline:
            break
        text = read_text(root.spec.raw, file).text
        if text is None:
            continue
        shown = text.utf8
        if contents.get(file.entry.hash, True) and any(True for _ in matcher.lines(shown)):
            shown = secrets.mask(shown)
        lines = list(matcher.lines(shown))
        found.update(chunks_on_lines(snapshot, file, text, lines))
        in_quotes = [line for line in lines if _QUOTE.search(shown, line.line_start, line.start)]
        quoted.update(chunks_on_lines(snapshot, file, text, in_quotes))
    return found, quoted


def is_long_enough(text: str) -> bool:
    """Return True if the text index can find ``text``: it is at least three bytes long, a trigram."""
    return len(text.encode("utf-8", "replace")) >= _MIN_BYTES


def _parts(text: str, may_be_there: Callable[[str], bool]) -> Iterator[tuple[str, bool]]:
    """Yield the parts of ``text`` to look for, best first, and whether each is all of it, whose case may be ignored.

    ``may_be_there`` returns False for runs of words that are not in the index, at the cost of a query to it.
    """
    lines = [line.strip()[:_MOST_LINE_CHARS] for line in text.splitlines() if line.strip()]
    if len(lines) > 2 * _MOST_LINES:
        lines = lines[:_MOST_LINES] + lines[-_MOST_LINES:]
    wholes = [line for line in lines if is_long_enough(line) and not _is_not_quoted(line)]
    messages = [_EXCEPTION.sub("", line) for line in wholes]
    if len(wholes) == 1:
        yield wholes[0], True
    yield from (
        (one, False) for one in messages if len(one) >= _MIN_RUN_CHARS and (one not in wholes or len(wholes) > 1)
    )
    runs = [
        run
        for message in messages
        if (least := _least_words(message, is_raised=message not in wholes)) is not None
        for run in _runs(message, least, may_be_there)
    ]
    runs.sort(key=lambda run: -run[0])
    yield from ((run, False) for _, run in runs)


def _is_not_quoted(line: str) -> bool:
    """Return True if a line is a subject or a question in the asker's own words, not a copy of text in the code."""
    return _SUBJECT.fullmatch(line) is not None or _PLAIN_QUESTION.fullmatch(line) is not None


def _least_words(message: str, *, is_raised: bool) -> int | None:
    """Return the least number of words in a row that count as a quotation; None if no number does.

    A text after the name of an exception is surely a message, so two words do. Plain words need more, because they may
    be the asker's own.
    """
    if is_raised:
        return _MIN_RUN_WORDS_OF_EXCEPTION
    if _QUESTION.match(message):
        return None
    return _MIN_RUN_WORDS if _LOOKS_LIKE_A_MESSAGE.search(message) else _MIN_RUN_WORDS_OF_PROSE


def _runs(message: str, least: int, may_be_there: Callable[[str], bool]) -> Iterator[tuple[int, str]]:
    """Yield every run of at least ``least`` words without a hole that may be in the index, as (words, run).

    A run is ruled out by any of its parts of exactly ``least`` words. These are few, and in most questions none of them
    is in the index.
    """
    for fixed in _HOLE.split(message):
        words = list(re.finditer(r"\S+", fixed))[:_MOST_WORDS]

        def run_of(first: int, last: int, fixed: str = fixed, words: Sequence[re.Match[str]] = words) -> str:
            return fixed[words[first].start() : words[last].end()].rstrip(_PUNCTUATION)  # the code may add it apart

        shortest = [may_be_there(run_of(first, first + least - 1)) for first in range(len(words) - least + 1)]
        for first, last in itertools.combinations(range(len(words)), 2):
            count = last - first + 1
            if count >= least and all(shortest[first : last - least + 2]):
                run = run_of(first, last)
                if len(run) >= _MIN_RUN_CHARS:
                    yield count, run
