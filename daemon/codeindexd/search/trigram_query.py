"""Converts a pattern to a query for the trigrams that every matching line must contain.

The method is that of Russ Cox, *Regular Expression Matching with a Trigram Index* (2012). For each part of a pattern it
derives whether it can match the empty string, which strings it matches if they are few, what its matches begin and end
with, and which trigrams all of them contain. The query may admit texts that do not match, but never rejects one that
does. Syntax that this parser does not know admits everything.

Strings here are UTF-8 with ASCII letters in lower case, as the index has them.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from codeindexd.analysis.trigrams import fold
from codeindexd.storage.text.query import All, Query, Trigram, all_of, any_of

_MOST_EXACT = 7
_MOST_AFFIXES = 16
_MOST_CLASS = 8
_MOST_REPEATS = 3
_MOST_DEPTH = 100
_EMPTY = frozenset({b""})  # as affixes: nothing is known of them
_ALL = All()


def literal_query(text: str, *, ignore_case: bool = False) -> Query:
    """Return a query that admits every text in which a line contains ``text``."""
    if not ignore_case:
        return _trigrams_of(fold(text.encode("utf-8", "surrogatepass")))
    pieces = [b""]
    for letter in text:
        if letter.isascii() and letter not in "kKsS":  # the Kelvin sign and the long s match these, in more bytes
            pieces[-1] += fold(letter.encode())
        else:
            pieces.append(b"")
    return all_of([_trigrams_of(piece) for piece in pieces])


def regex_query(pattern: str, *, ignore_case: bool = False) -> Query:
    """Return a query that admits every text in which a line matches ``pattern``, a regex in RE2's syntax."""
    try:
        parser = _Parser(pattern, ignore_case)
        return _finished(parser.parse())
    except _UnknownSyntaxError:
        return All()


class _UnknownSyntaxError(Exception):
    """The pattern contains syntax that this parser does not know."""


class _Part(Struct, frozen=True):
    """What is known about the strings that an expression matches.

    ``exact`` has all of them if they are few, else None. Then each begins with one of ``prefixes``, ends with one of
    ``suffixes``, and satisfies ``inner``. ``empty`` says that one of them may be empty.
    """

    empty: bool
    exact: frozenset[bytes] | None
    prefixes: frozenset[bytes] = _EMPTY
    suffixes: frozenset[bytes] = _EMPTY
    inner: Query = _ALL


_NOTHING_WRITTEN = _Part(empty=True, exact=_EMPTY)
_ANY_LETTER = _Part(empty=False, exact=None)
_ANYTHING = _Part(empty=True, exact=None)


def _trigrams_of(text: bytes) -> Query:
    windows = (text[at : at + 3] for at in range(len(text) - 2))
    return all_of([Trigram(w[0] << 16 | w[1] << 8 | w[2]) for w in windows if b"\n" not in w])


def _one_of(texts: Iterable[bytes]) -> Query:
    return any_of([_trigrams_of(text) for text in texts])


def _finished(part: _Part) -> Query:
    if part.exact is not None:
        return all_of([part.inner, _one_of(part.exact)])
    return all_of([part.inner, _one_of(part.prefixes), _one_of(part.suffixes)])


def _inexact(part: _Part) -> _Part:
    """Return ``part`` without the exact matches, but with what they begin with, end with and contain."""
    if part.exact is None:
        return part
    inner = all_of([part.inner, _one_of(part.exact)])
    return _bounded(_Part(part.empty, None, part.exact, part.exact, inner))


def _bounded(part: _Part) -> _Part:
    """Return ``part`` with sets that have grown too large shortened or dropped, and their trigrams kept."""
    if part.exact is not None:
        return part if len(part.exact) <= _MOST_EXACT else _inexact(part)
    inner = all_of([part.inner, _one_of(part.prefixes), _one_of(part.suffixes)])
    prefixes = _EMPTY if b"" in part.prefixes else part.prefixes
    suffixes = _EMPTY if b"" in part.suffixes else part.suffixes
    for length in (3, 2, 1, 0):
        if len(prefixes) > _MOST_AFFIXES or any(len(text) > 3 for text in prefixes):
            prefixes = frozenset(text[:length] for text in prefixes)
        if len(suffixes) > _MOST_AFFIXES or any(len(text) > 3 for text in suffixes):
            suffixes = frozenset(text[len(text) - min(length, len(text)) :] for text in suffixes)
    return _Part(part.empty, None, prefixes, suffixes, inner)


def _cross(left: Iterable[bytes], right: frozenset[bytes]) -> frozenset[bytes]:
    return frozenset(a + b for a in left for b in right)


def _concatenated(left: _Part, right: _Part) -> _Part:
    """Return what is known of the matches of ``left`` followed by ``right``."""
    empty = left.empty and right.empty
    if left.exact is not None and right.exact is not None:
        return _bounded(_Part(empty, _cross(left.exact, right.exact), inner=all_of([left.inner, right.inner])))
    inner = [left.inner, right.inner]
    ends = left.exact if left.exact is not None else left.suffixes
    begins = right.exact if right.exact is not None else right.prefixes
    if left.exact is not None:
        prefixes = _cross(left.exact, begins)
    else:
        prefixes = left.prefixes | begins if left.empty else left.prefixes
    if right.exact is not None:
        suffixes = _cross(ends, right.exact)
    else:
        suffixes = right.suffixes | ends if right.empty else right.suffixes
    if len(ends) * len(begins) <= _MOST_AFFIXES**2:
        inner.append(_one_of(_cross(ends, begins)))  # the trigrams across the seam
    return _bounded(_Part(empty, None, prefixes, suffixes, all_of(inner)))


def _alternated(left: _Part, right: _Part) -> _Part:
    empty = left.empty or right.empty
    if left.exact is not None and right.exact is not None and left.inner == right.inner == All():
        return _bounded(_Part(empty, left.exact | right.exact))
    left, right = _inexact(left), _inexact(right)
    inner = any_of([left.inner, right.inner])
    return _bounded(_Part(empty, None, left.prefixes | right.prefixes, left.suffixes | right.suffixes, inner))


def _repeated(part: _Part, least: int, most: int | None) -> _Part:
    if most == 0:
        return _NOTHING_WRITTEN
    if least == 0:
        if most == 1 and part.exact is not None and part.inner == All():
            return _bounded(_Part(True, part.exact | _EMPTY))
        return _ANYTHING
    whole = part
    for _ in range(min(least, _MOST_REPEATS) - 1):
        whole = _concatenated(whole, part)
    if most == least <= _MOST_REPEATS:
        return whole
    whole = _inexact(whole)
    return _Part(whole.empty, None, whole.prefixes, whole.suffixes, whole.inner)


class _Parser:
    """A recursive-descent parser for the syntax of RE2."""

    def __init__(self, pattern: str, ignore_case: bool) -> None:
        self._text = pattern
        self._at = 0
        self._ignore_case = ignore_case
        self._depth = 0

    def parse(self) -> _Part:
        part = self._alternatives()
        if self._at < len(self._text):
            raise _UnknownSyntaxError
        return part

    def _is_next(self, what: str) -> bool:
        return self._text.startswith(what, self._at)

    def _take(self, what: str) -> bool:
        if not self._is_next(what):
            return False
        self._at += len(what)
        return True

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise _UnknownSyntaxError
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self) -> _Part:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise _UnknownSyntaxError
        outer = self._ignore_case
        part = self._sequence()
        while self._take("|"):
            part = _alternated(part, self._sequence())
        self._ignore_case = outer
        self._depth -= 1
        return part

    def _sequence(self) -> _Part:
        whole = _NOTHING_WRITTEN
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            whole = _concatenated(whole, self._quantified(self._atom()))
        return whole

    def _quantified(self, part: _Part) -> _Part:
        while self._at < len(self._text):
            if self._take("*"):
                part = _repeated(part, 0, None)
            elif self._take("+"):
                part = _repeated(part, 1, None)
            elif self._take("?"):
                part = _repeated(part, 0, 1)
            elif self._is_next("{") and (bounds := self._bounds()):
                part = _repeated(part, *bounds)
            else:
                break
            self._take("?")  # lazy: which match is preferred does not matter here
        return part

    def _bounds(self) -> tuple[int, int | None] | None:
        """Read ``{least,most}``; ``most`` is None if there is no upper bound. Return None if it is not a repetition."""
        end = self._text.find("}", self._at)
        least, comma, most = self._text[self._at + 1 : end].partition(",")
        if end < 0 or not least.isdecimal() or not (most.isdecimal() or not most):
            return None
        self._at = end + 1
        return int(least), int(most) if most else (None if comma else int(least))

    def _atom(self) -> _Part:
        letter = self._next()
        match letter:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return _ANY_LETTER
            case "^" | "$":
                return _NOTHING_WRITTEN
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise _UnknownSyntaxError
            case _:
                return self._letters({letter})

    def _letters(self, letters: set[str]) -> _Part:
        """Return the part that matches exactly one of ``letters``."""
        texts = set()
        for letter in letters:
            if self._ignore_case and (not letter.isascii() or letter in "kKsS"):
                return _ANY_LETTER
            texts.add(fold(letter.encode("utf-8", "surrogatepass")))
        return _Part(False, frozenset(texts)) if len(texts) <= _MOST_CLASS else _ANY_LETTER

    def _group(self) -> _Part:
        if self._take("?"):
            if self._take("P<") or (self._is_next("<") and self._text[self._at + 1 : self._at + 2] not in ("=", "!")):
                end = self._text.find(">", self._at)
                if end < 0:
                    raise _UnknownSyntaxError
                self._at = end + 1
            elif not self._flags():  # they are for the rest of the enclosing group
                if self._text[self._at : self._at + 1] in ("*", "+", "?", "{"):
                    raise _UnknownSyntaxError  # RE2 repeats what is before them
                return _NOTHING_WRITTEN
            else:
                return self._closed(self._scoped_flags)
        return self._closed(self._ignore_case)

    def _flags(self) -> bool:
        """Read the flags of a group; return True if an expression follows in it."""
        on, ignore_case = True, self._ignore_case
        while True:
            letter = self._next()
            if letter == "i":
                ignore_case = on
            elif letter == "-":
                on = False
            elif letter == ":":
                self._scoped_flags = ignore_case
                return True
            elif letter == ")":
                self._ignore_case = ignore_case
                return False
            elif letter not in "msU":
                raise _UnknownSyntaxError

    def _closed(self, ignore_case: bool) -> _Part:
        outer, self._ignore_case = self._ignore_case, ignore_case
        part = self._alternatives()
        self._ignore_case = outer
        if not self._take(")"):
            raise _UnknownSyntaxError
        return part

    def _escape(self) -> _Part:
        """Parse an escape, after its backslash."""
        letter = self._next()
        if letter in "AzbB":
            return _NOTHING_WRITTEN
        if letter in "dDwWsSC":
            return _ANY_LETTER
        if letter in "pP":
            self._skip_property()
            return _ANY_LETTER
        if letter == "Q":
            end = self._text.find("\\E", self._at)
            quoted = self._text[self._at : end if end >= 0 else len(self._text)]
            self._at = len(self._text) if end < 0 else end + 2
            whole = _NOTHING_WRITTEN
            for character in quoted:
                whole = _concatenated(whole, self._letters({character}))
            return whole
        return self._letters({self._escaped(letter)})

    def _skip_property(self) -> None:
        if self._take("{"):
            end = self._text.find("}", self._at)
            if end < 0:
                raise _UnknownSyntaxError
            self._at = end + 1
        else:
            self._next()

    def _escaped(self, letter: str) -> str:
        """Return the letter that an escape stands for."""
        if letter in (controls := {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}):
            return controls[letter]
        if letter == "x":
            if self._take("{"):
                end = self._text.find("}", self._at)
                digits, self._at = self._text[self._at : end], end + 1
            else:
                digits, self._at = self._text[self._at : self._at + 2], self._at + 2
            try:
                return chr(int(digits, 16))
            except (ValueError, OverflowError) as error:
                raise _UnknownSyntaxError from error
        if letter.isalnum():
            raise _UnknownSyntaxError
        return letter

    def _class(self) -> _Part:
        """Parse a class, after its ``[``: its letters if they are few, else any letter."""
        negated = self._take("^")
        letters: set[str] = set()
        large = negated
        first = True
        while first or not self._is_next("]"):
            first = False
            if self._take("[:"):
                end = self._text.find(":]", self._at)
                if end < 0:
                    raise _UnknownSyntaxError
                self._at, large = end + 2, True
                continue
            low = self._class_letter()
            if low is None:
                large = True
                continue
            if self._is_next("-") and not self._is_next("-]"):
                self._at += 1
                high = self._class_letter()
                if high is None:
                    raise _UnknownSyntaxError
                if ord(high) - ord(low) > _MOST_CLASS:
                    large = True
                letters.update(map(chr, range(ord(low), min(ord(high), ord(low) + _MOST_CLASS) + 1)))
            else:
                letters.add(low)
        self._at += 1
        return _ANY_LETTER if large else self._letters(letters)

    def _class_letter(self) -> str | None:
        """Return the next letter of a class, or None for an escape that stands for many."""
        letter = self._next()
        if letter != "\\":
            return letter
        letter = self._next()
        if letter in "dDwWsS":
            return None
        if letter in "pP":
            self._skip_property()
            return None
        return self._escaped(letter)
