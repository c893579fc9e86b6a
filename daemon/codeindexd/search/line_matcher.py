"""Finds the lines of a text that match a pattern, as grep does: RE2, line by line, in time linear in the text."""

from __future__ import annotations

import contextlib
import heapq
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import re2
from msgspec import Struct
from msgspec.structs import replace

from codeindexd.analysis.chunking.notebook import may_be_notebook
from codeindexd.errors import InvalidQueryError
from codeindexd.search.regexes import invalid_regex
from codeindexd.search.trigram_query import literal_query, regex_query
from codeindexd.search.unicode_classes import NO_WORD, AnyScript, for_any_script
from codeindexd.storage.text import Query, any_of

MAX_PATTERN_CHARS: Final = 10_000
_MAX_COMPILED_BYTES: Final = 4 << 20
_MAX_STEPS: Final = 1_000_000_000  # instructions times bytes: some seconds when RE2's cache of states overflows
_METACHARACTER: Final = re.compile(r"[\\^$.|?*+()\[\]{}]")
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]")


class LineMatch(Struct, frozen=True):
    """The first match of a line: byte offsets in the text, the end excluded. ``number`` counts lines from 1."""

    number: int
    line_start: int
    line_end: int
    start: int
    end: int


class LineMatcher:
    """A compiled pattern. ``query`` finds in the text index all contents in which it may match.

    ``literal`` is in every match, letter by letter; None for a regex, for several patterns, or if case is ignored.
    """

    def __init__(
        self,
        pattern: str,
        *,
        others: Sequence[str] = (),
        fixed: bool = False,
        ignore_case: bool = False,
        word: bool = False,
        whole_line: bool = False,
    ) -> None:
        """Compile ``pattern`` and ``others``: regexes in RE2's syntax or, with ``fixed``, plain texts.

        A line matches if any of them does. ``^`` and ``$`` are the ends of a line. With ``word``, a match must begin
        and end at the edge of a word; with ``whole_line``, it must be the whole line. Raises InvalidQueryError if a
        pattern is empty, too long or invalid, or if all together are too large when compiled.
        """
        patterns = [pattern, *others]
        for text in patterns:
            _check(text, is_alone=fixed or not others)
        is_plain = not others and (fixed or _METACHARACTER.search(pattern) is None) and not ignore_case
        self.literal = pattern.encode("utf-8", "surrogatepass") if is_plain else None
        query_of = literal_query if fixed else regex_query
        self.query: Query = any_of([query_of(text, ignore_case=ignore_case) for text in patterns])
        sources = [re2.escape(text) if fixed else text for text in patterns]
        source = "|".join(f"(?:{text})" for text in sources) if others else sources[0]
        if whole_line:
            source, word = rf"^(?:{source})\r?$", False
        words = AnyScript(source, 0, source) if fixed else for_any_script(source, ignore_case=ignore_case)
        any_script, self._group, inside = words
        # The regex for whole words is large and slow, so it is given only lines that the plain one matches.
        word_source = rf"(?:^|{NO_WORD})({inside})(?:{NO_WORD}|$)"
        try:
            self._compiled: Any = _compiled(f"(?m){source}", ignore_case)
            self._word: Any = _compiled(word_source, ignore_case) if word else None
        except re2.error as error:
            raise invalid_regex(" | ".join(patterns), error) from error
        # The regex with classes of any script is large, too: it is given only lines that are not ASCII.
        self._any_script: Any = None
        if any_script != source:
            with contextlib.suppress(re2.error):  # too large: \w{500}
                self._any_script = _compiled(f"(?m){any_script}", ignore_case)
        re2.purge()  # its cache would keep the memory of 128 regexes

    def is_affordable(self, text: bytes) -> bool:
        """Return True if matching ``text`` takes a few seconds at most, whatever it contains."""
        return len(text) * int(self._compiled.programsize) <= _MAX_STEPS

    def rules_out(self, data: bytes) -> bool:
        """Return True if the text of a file with these bytes surely has no match; much cheaper than decoding it.

        Tells only of files whose text is their bytes: in ASCII, and no notebook. Other threads run meanwhile.
        """
        if not data.isascii() or b"\0" in data:  # with NUL, it may be UTF-16
            return False
        if (b"\n" not in data and b"\r" in data) or may_be_notebook(data):  # \r alone becomes \n in the text
            return False
        if self.is_affordable(data):
            return self._compiled.search(data) is None
        return self.literal is not None and self.literal not in data

    def lines(self, text: bytes) -> Iterator[LineMatch]:
        """Yield the matching lines of a UTF-8 text. Other threads run while RE2 works."""
        if self._any_script is None or text.isascii():
            return self._whole_words(text, self._matching(text))
        return self._whole_words(text, self._matching_in_any_script(text))

    def _matching_in_any_script(self, text: bytes) -> Iterator[LineMatch]:
        """Yield the lines that match, judging those that are not ASCII by classes of any script."""
        ascii_lines = (line for line in self._matching(text) if text[line.line_start : line.line_end].isascii())
        return heapq.merge(ascii_lines, self._matching_beyond_ascii(text), key=lambda line: line.number)

    def _matching_beyond_ascii(self, text: bytes) -> Iterator[LineMatch]:
        """Yield the matching lines with characters beyond ASCII; classes are ASCII in lines that are too long."""
        number, counted = 1, 0
        for start, end in _lines_beyond_ascii(text):
            is_affordable = (end - start) * int(self._any_script.programsize) <= _MAX_STEPS
            if match := (self._any_script if is_affordable else self._compiled).search(text[start:end]):
                number += text.count(b"\n", counted, start)
                counted = start
                first, last = match.span(self._group if is_affordable else 0)
                yield LineMatch(number, start, end, start + first, start + last)

    def _whole_words(self, text: bytes, lines: Iterator[LineMatch]) -> Iterator[LineMatch]:
        """Yield those of ``lines`` that match as a whole word, or all of them if that is not asked for."""
        for line in lines:
            if self._word is None:
                yield line
            elif whole := self._word.search(text[line.line_start : line.line_end]):
                start, end = whole.start(1) + line.line_start, whole.end(1) + line.line_start
                yield replace(line, start=start, end=end)

    def _matching(self, text: bytes) -> Iterator[LineMatch]:
        at = counted = 0
        number = 1
        while at < len(text) and (match := self._compiled.search(text, at)) is not None:
            start, end = match.span()
            line_start = text.rfind(b"\n", 0, start) + 1
            if line_start == len(text) and text:  # the end of the last line is not a line of its own
                return
            line_end = text.find(b"\n", start)
            line_end = len(text) if line_end < 0 else line_end
            at = line_end + 1
            number += text.count(b"\n", counted, line_start)
            counted = line_start
            yield LineMatch(number, line_start, line_end, start, end)

    def spans(self, text: bytes, line: LineMatch) -> Iterator[tuple[int, int]]:
        """Yield the start and end of every match in a line, as byte offsets in the text."""
        inside = text[line.line_start : line.line_end]
        regex, group = (self._compiled, 0) if self._word is None else (self._word, 1)
        if self._any_script is not None and self._word is None and not inside.isascii():
            regex, group = self._any_script, self._group
        at = 0
        while at <= len(inside) and (match := regex.search(inside, at)) is not None:
            start, end = match.span(group)
            yield start + line.line_start, end + line.line_start
            at = max(end, start + 1)


def _check(pattern: str, *, is_alone: bool) -> None:
    """Raise InvalidQueryError for a pattern that is empty or too long, or a regex that is invalid without others."""
    if not pattern:
        raise InvalidQueryError("the pattern is empty", hint="give the text or the regex to look for")
    if len(pattern) > MAX_PATTERN_CHARS:
        raise InvalidQueryError(
            f"the pattern is longer than {MAX_PATTERN_CHARS} characters", hint="look for a part of it"
        )
    if is_alone:  # compiled later
        return
    try:
        _compiled(f"(?m){pattern}", ignore_case=False)
    except re2.error as error:
        raise invalid_regex(pattern, error) from error


def _lines_beyond_ascii(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the start and end of every line that is not ASCII. (A regex for whole lines backtracks in all others.)"""
    end = 0
    while found := _BEYOND_ASCII.search(text, end):
        start = text.rfind(b"\n", 0, found.start()) + 1
        end = text.find(b"\n", found.end())
        end = len(text) if end < 0 else end
        yield start, end


def _compiled(source: str, ignore_case: bool) -> Any:
    """Compile a regex for single lines. Raises re2.error."""
    options = re2.Options()
    options.max_mem = _MAX_COMPILED_BYTES
    options.log_errors = False
    options.never_nl = True
    options.case_sensitive = not ignore_case
    return re2.compile(source.encode("utf-8", "surrogatepass"), options)
