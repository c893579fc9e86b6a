"""Chooses the line of a hit that answers the query best: the line that an editor should open."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

from codeindexd.analysis.tokens import split_identifier, stem
from codeindexd.search.regexes import LineRegex
from codeindexd.types import Symbol

_CLOSING: Final = ")]}"
_MOST_LINES_TO_A_NAME: Final = 20  # decorators, attributes and comments may come before it
_STOP_WORDS: Final = (
    "a an and are as at be by can do does for from has have how i if in into is it its not of on or that the their "
    "there this to was we what when where which who why will with"
)
STOP_STEMS: Final = frozenset(map(stem, _STOP_WORDS.split()))
"""The stems of words that say nothing about what is searched for."""


class NamePlace(Struct, frozen=True):
    """Where a definition's name is: the line as an offset from the chunk's first, the column in characters from 0.

    If the name is not found, this is the start of the text on the definition's first line.
    """

    line_offset: int
    column: int


class BestLine(Struct, frozen=True):
    """Criteria for the best line of a hit, from the strongest to the weakest.

    The line contains the most ``literals`` and matches the most ``regexes``; it contains ``text``, best in the same
    case; it defines one of the lowercase ``names``; it contains the most of ``names`` as whole words; it contains the
    most words with one of ``stems``; it defines a name with the most of these and the fewest other words.
    """

    text: str = ""
    literals: Sequence[str] = ()
    regexes: Sequence[LineRegex] = ()
    names: Collection[str] = ()
    stems: Collection[str] = ()

    def offset(self, lines: Sequence[str], symbols: Sequence[Symbol]) -> int:
        """Return the index of the best of ``lines``, the first of equals.

        If no line meets any criterion, it is the line that defines the first of ``symbols``, or 0 if there are none.
        Raises InvalidQueryError when the time for regexes is used up.
        """
        defining = {name_place(lines, symbol).line_offset for symbol in symbols if symbol.name.lower() in self.names}
        stems = [stem for stem in self.stems if stem not in STOP_STEMS]
        named = self._named_lines(lines, symbols, stems)
        words = re.compile(rf"\b(?:{'|'.join(map(re.escape, self.names))})\b") if self.names else None
        best, most = 0, (0, 0, False, 0, 0, 0, 0)
        for number, line in enumerate(lines):
            lowered = line.lower()
            found = (
                sum(literal.lower() in lowered for literal in self.literals)
                + sum(regex.search(line) for regex in self.regexes),
                (self.text in line) + (self.text.lower() in lowered) if self.text else 0,
                number in defining,
                len(set(words.findall(lowered))) if words else 0,
                sum(_is_in(stem, lowered) for stem in stems),
                *named.get(number, (0, 0)),
            )
            if found > most:
                best, most = number, found
        if not any(most) and symbols:
            return name_place(lines, symbols[0]).line_offset
        return best

    @staticmethod
    def _named_lines(
        lines: Sequence[str], symbols: Sequence[Symbol], stems: Collection[str]
    ) -> dict[int, tuple[int, int]]:
        """Return the lines that define a name with any of ``stems``: with how many, and minus how many other words."""
        found: dict[int, tuple[int, int]] = {}
        for symbol in symbols:
            if not any(_is_in(stem, symbol.name.lower()) for stem in stems):
                continue
            words = [stem(word) for word in split_identifier(symbol.name)]
            known = sum(word in stems for word in words)
            number = name_place(lines, symbol).line_offset
            found[number] = max((known, known - len(words)), found.get(number, (0, 0)))
        return found


def name_place(lines: Sequence[str], symbol: Symbol) -> NamePlace:
    """Return where the name of ``symbol`` is in the ``lines`` of its chunk: at or shortly after its first line."""
    name = re.compile(rf"(?<!\w){re.escape(symbol.name)}(?!\w)")
    first = min(symbol.line_offset, max(0, len(lines) - 1))
    for offset in range(first, min(len(lines), first + _MOST_LINES_TO_A_NAME)):
        if match := name.search(lines[offset]):
            return NamePlace(offset, match.start())
    line = lines[first] if lines else ""
    return NamePlace(first, len(line) - len(line.lstrip()))


def definition_around(lines: Sequence[str], symbols: Sequence[Symbol], row: int) -> Symbol | None:
    """Return the innermost of ``symbols`` whose definition, judged by its indentation, contains ``row``; else None.

    ``row`` is an index of ``lines``. The lines of a definition are indented more than the line of its name, except for
    those that begin with a closing bracket.
    """
    for symbol in sorted(symbols, key=lambda symbol: -symbol.line_offset):
        first = name_place(lines, symbol).line_offset
        if symbol.line_offset <= row <= first:
            return symbol
        if first < row < len(lines):
            depth = _indentation(lines[first])
            inside = (line for line in lines[first + 1 : row + 1] if line.strip() and line.strip()[0] not in _CLOSING)
            if all(_indentation(line) > depth for line in inside):
                return symbol
    return None


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_in(stem_of_word: str, line: str) -> bool:
    """Return True if a lowercase line may contain a word with this stem."""
    return stem_of_word in line or (stem_of_word.endswith("i") and stem_of_word[:-1] + "y" in line)
