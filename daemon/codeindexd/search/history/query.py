"""The query language of ``codeindex log``: filters, phrases, regexes, issues and ids among the words of a query.

``author:ada since:2024-05 until:"2 weeks ago" path:src/** touches:Client.get "exact phrase" /regex/ #1234 1f3a9c2``:
everything else is the text that is searched for. A ``-`` before a filter, a phrase or a regex excludes what it matches.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from codeindexd.errors import InvalidQueryError
from codeindexd.search.query import glob_below
from codeindexd.search.regexes import LineRegex, compile_regexes

MAX_QUERY_CHARS: Final = 16 << 10
_FILTERS: Final = ("author", "since", "after", "until", "before", "path", "touches")
_ALIASES: Final = {"after": "since", "before": "until"}
_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
_END: Final = r"(?=\s|$)"
_FILTER: Final = re.compile(rf"(-?)({'|'.join(_FILTERS)}):(?:{_QUOTED}|([^\s\"]\S*)){_END}", re.IGNORECASE)
_AGE: Final = r"\d{1,3} (?:minute|hour|day|week|month|year)s?(?: ago)?"
_AGE_FILTER: Final = re.compile(rf"(-?)(since|after|until|before):()({_AGE}){_END}", re.IGNORECASE)
_PHRASE: Final = re.compile(rf"(-?){_QUOTED}{_END}", re.DOTALL)
_REGEX: Final = re.compile(rf"(-?)/((?:[^/\\\n]|\\.)+)/{_END}")
_ISSUE: Final = re.compile(rf"(?:#|GH-|!)(\d{{1,9}}){_END}")
_ID: Final = re.compile(r"[0-9a-f]{7,40}\Z")
_SHORT_ID: Final = re.compile(r"(?=.*\d)[0-9a-f]{4,40}\Z")
_WORD: Final = re.compile(r"\S+")
_AGO: Final = re.compile(r"(\d{1,6}) ?(minute|hour|day|week|month|year|min|h|d|w|mo|y)s?(?: ago)?\Z", re.IGNORECASE)
_SECONDS: Final = {"mi": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "mo": 30 * 86400, "y": 365 * 86400}
_DATE: Final = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?(Z)?\Z")


class CommitQuery(Struct, frozen=True):
    """A query for commits. Empty fields do not restrict it.

    ``text`` holds the words, separated by spaces. ``since`` (inclusive) and ``until`` (exclusive) are seconds since
    the epoch. A commit is by one of ``authors`` and none of ``authors_left_out``; it changed a path that matches one
    of the globs ``include`` and none of ``exclude``, touches each of ``touches``, contains each of ``phrases`` letter
    by letter, ignoring case, and has a line that each of ``regexes`` matches. It names each of ``issues``. ``ids`` are
    words that may be the beginnings of ids, and are part of the text as well.
    """

    text: str = ""
    authors: tuple[str, ...] = ()
    authors_left_out: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()
    touches_left_out: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    phrases_left_out: tuple[str, ...] = ()
    regexes: tuple[LineRegex, ...] = ()
    regexes_left_out: tuple[LineRegex, ...] = ()
    issues: tuple[int, ...] = ()
    ids: tuple[str, ...] = ()

    def below(self, root: str) -> CommitQuery:
        """Return the query for one root: absolute path filters become relative to it."""
        if not (self.include or self.exclude):
            return self
        include = tuple(glob_below(root, glob) for glob in self.include)
        return replace(self, include=include, exclude=tuple(glob_below(root, glob) for glob in self.exclude))


def parse_commit_query(text: str, *, now: datetime) -> CommitQuery:
    """Parse a query; an empty one asks for the newest commits. ``now`` has the user's time zone.

    Raises InvalidQueryError for dates that cannot be read, and for regexes that are invalid or too large.
    """
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidQueryError(f"the query is longer than {MAX_QUERY_CHARS} characters", hint="use fewer words")
    values: defaultdict[str, list[str]] = defaultdict(list)
    for role, value in _tokens(text):
        values[role].append(value)
    for name in ("-since", "-until"):
        if values[name]:
            raise InvalidQueryError(f"{name}: cannot be excluded", hint="use since: and until: without a -")
    return CommitQuery(
        text=" ".join(values["word"]),
        authors=tuple(values["author"]),
        authors_left_out=tuple(values["-author"]),
        since=max((parse_date(text, now=now) for text in values["since"]), default=None),
        until=min((parse_date(text, now=now, is_end=True) for text in values["until"]), default=None),
        include=tuple(values["path"]),
        exclude=tuple(values["-path"]),
        touches=tuple(values["touches"]),
        touches_left_out=tuple(values["-touches"]),
        phrases=tuple(values["phrase"]),
        phrases_left_out=tuple(values["-phrase"]),
        regexes=compile_regexes(values["regex"]),
        regexes_left_out=compile_regexes(values["-regex"]),
        issues=tuple(int(number) for number in values["issue"]),
        ids=_ids(values["word"]),
    )


def _ids(words: list[str]) -> tuple[str, ...]:
    """Return the words that may be ids or their beginnings: alone, a short one or a number suffices."""
    lowered = [word.lower() for word in words]
    if len(lowered) == 1 and _SHORT_ID.match(lowered[0]):
        return (lowered[0],)
    return tuple(word for word in lowered if _ID.match(word) and not word.isdigit() and not word.isalpha())


def parse_date(text: str, *, now: datetime, is_end: bool = False) -> int:
    """Return a date as seconds since the epoch: the beginning of the period that it names, or with ``is_end`` its end.

    ``2024``, ``2024-05``, ``2024-05-17``, ``2024-05-17T10:30``, ``today``, ``yesterday``, ``3 weeks ago`` and ``3w``
    are understood. Raises InvalidQueryError.
    """
    text = text.strip()
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if text.lower() in ("now", "today", "yesterday"):
            start = {"now": now, "today": day, "yesterday": day - timedelta(days=1)}[text.lower()]
            return int((start + timedelta(days=1) if is_end and text.lower() != "now" else start).timestamp())
        if match := _AGO.match(text):
            unit = match[2].lower()
            seconds = _SECONDS.get(unit if unit == "mo" else unit[:2] if unit[:2] in ("mi", "mo") else unit[0])
            return int((now - timedelta(seconds=int(match[1]) * (seconds or 1))).timestamp())
        if match := _DATE.match(text):
            return _from_digits(match, now, is_end=is_end)
    except (ValueError, OverflowError, OSError):
        pass
    raise InvalidQueryError(
        f"not a date: {text}", hint='write 2024, 2024-05, 2024-05-17, "3 weeks ago", 3w, today or yesterday'
    )


def _from_digits(match: re.Match[str], now: datetime, *, is_end: bool) -> int:
    """Return the time of a date, or with ``is_end`` the end of the year, month, day or minute that it names."""
    year, month, day, hour, minute, second, _ = match.groups()
    zone = datetime.fromisoformat("2000-01-01T00:00:00+00:00").tzinfo if match[7] else now.tzinfo
    start = datetime(
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=zone
    )
    if not is_end:
        return int(start.timestamp())
    if hour:
        return int(start.timestamp()) + (1 if second else 60)
    if day:
        return int((start + timedelta(days=1)).timestamp())
    if month:
        later = start.replace(year=start.year + (start.month == 12), month=start.month % 12 + 1)
        return int(later.timestamp())
    return int(start.replace(year=start.year + 1).timestamp())


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield (role, value) of the parts of a query; a role with a ``-`` excludes."""
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        at, role, value = _token(text, at)
        if value:
            yield role, value


def _token(text: str, start: int) -> tuple[int, str, str]:
    """Return the end, the role and the value of the part that begins at ``start``."""
    # shells remove the quotes of since:"2 weeks ago"
    if match := _AGE_FILTER.match(text, start) or _FILTER.match(text, start):
        minus, name, quoted, plain = match.groups()
        value = plain or _unescaped(quoted)
        return match.end(), minus + _ALIASES.get(name.lower(), name.lower()), value
    if match := _PHRASE.match(text, start):
        return match.end(), f"{match[1]}phrase", _unescaped(match[2]).strip()
    if match := _REGEX.match(text, start):
        return match.end(), f"{match[1]}regex", match[2].replace("\\/", "/")
    if match := _ISSUE.match(text, start):
        return match.end(), "issue", match[1]
    word = _WORD.match(text, start)
    assert word is not None
    return word.end(), "word", word[0]


def _unescaped(quoted: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", quoted)
