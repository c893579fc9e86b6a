"""Recognises pasted reports, and separates their headline, the rest and the boilerplate.

A report says what it is about in its headline; the rest has names, sample code and output that only hint at the place.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from codeindexd.search.places import places_in
from codeindexd.search.query import ParsedQuery

_MOST_WORDS_OF_A_QUESTION: Final = 20
_MOST_LINES_OF_A_QUESTION: Final = 2
_MOST_WORDS_OF_A_HEADLINE: Final = 40
_LEAST_FRAMES: Final = 0.25  # share of the lines of a trace; in Python's, every second line is code
_MOSTLY_FRAMES: Final = 0.5  # whatever the first line says
_PROSE_WORDS: Final = 4

_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_VERSION_LINE: Final = re.compile(r"[\s>*|-]*[\w .()/-]{1,40}?\s*(?:[:=|]|==|\s)\s*v?\d+(?:\.\w+){1,4}\S*\s*")
_HEADING_MARK: Final = re.compile(r"[\s#>*-]*")
_SENTENCE: Final = re.compile(r".*?[.?!](?=\s|\Z)")
_MESSAGE: Final = re.compile(
    r"[\w$.:\\ =*#!\[\]()-]{0,200}(?:error|exception|warning|fatal|panic|traceback|thread)\b", re.IGNORECASE
)
_WORD: Final = re.compile(r"[A-Za-z']+[,.:;]?")


class Report(Struct, frozen=True):
    """A pasted text: its headline, and its whole text without boilerplate. The two may be the same."""

    headline: str
    body: str


def report_in(parsed: ParsedQuery) -> Report | None:
    """Return a query as a report; None for a stack trace, and for a text of at most two lines and 20 words."""
    text = parsed.text
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) <= _MOST_LINES_OF_A_QUESTION and len(text.split()) <= _MOST_WORDS_OF_A_QUESTION:
        return None
    if _is_trace(lines):
        return None
    body = _without_boilerplate(text)
    return Report(_headline(body), body)


def _is_trace(lines: list[str]) -> bool:
    """Return True if a text is a stack trace and little else."""
    first = lines[0]
    is_prose = not (_MESSAGE.match(first.strip()) or places_in(first)) and len(_WORD.findall(first)) >= _PROSE_WORDS
    least = _MOSTLY_FRAMES if is_prose else _LEAST_FRAMES
    return sum(1 for line in lines if places_in(line.strip() + " ")) >= least * len(lines)


def _without_boilerplate(text: str) -> str:
    """Return a report without the comments of its template and tables of versions; all of it if nothing is left."""
    kept = [line for line in _COMMENT.sub(" ", text).splitlines() if not _VERSION_LINE.fullmatch(line)]
    return "\n".join(kept).strip() or text.strip()


def _headline(body: str) -> str:
    """Return at most 40 words of the first line: its first sentence, if the line is longer than that."""
    line = _HEADING_MARK.sub("", body.partition("\n")[0], count=1) or body.partition("\n")[0]
    if len(line.split()) > _MOST_WORDS_OF_A_HEADLINE and (sentence := _SENTENCE.match(line)):
        line = sentence[0]
    return " ".join(line.split()[:_MOST_WORDS_OF_A_HEADLINE])
