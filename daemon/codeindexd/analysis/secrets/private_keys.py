"""Private keys inside a text: their bodies, however they are quoted, commented out, cut into lines, or cut off.

A body is what stands between the lines that begin and end a key. It may be a list of strings, a chain of calls or a
comment, so everything in it that could be base64 is taken where base64 is most of it. Where one of the two lines is not
in the text, the body goes on for as long as line after line is mostly base64.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from codeindexd.analysis.secrets.assigned_values import is_random

_MAX_KEY = 20_000  # bytes between BEGIN and END
KEY_REACH = _MAX_KEY + 200
"""A key that a piece of a text cuts begins and ends within so many bytes before and behind the piece."""

_MARK = re.compile(rb"(-----|---- )(BEGIN|END) (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?(?: ----|-----)")
_BEFORE_NAME, _BEHIND_NAME = 64, 32  # bytes of a mark before and behind "PRIVATE KEY"
# "-----BEGIN " in base64, and a name that ends in "PRIVATE": how Kubernetes keeps keys
_ENCODED_START = b"LS0tLS1CRUdJTi"
_ENCODED = re.compile(
    rb"(?<![A-Za-z0-9+/])LS0tLS1CRUdJTiB(?:QUklWQVRF|SU0EgUFJJVkFUR|FQyBQUklWQVRF|EU0EgUFJJVkFUR|"
    rb"PUEVOU1NIIFBSSVZBVE|FTkNSWVBURUQgUFJJVkFUR|QR1AgUFJJVkFUR)"
)
_LONG = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")
_SHORT_RUN = re.compile(rb"(?<=\n)[A-Za-z0-9+/]{1,15}={0,2}(?=\r?\n)|(?<=[\"'`])[A-Za-z0-9+/]{1,15}={1,2}(?=[\"'`\\])")
_ANY = re.compile(rb"\\[nrt]|([A-Za-z0-9+/=]+)")
_PADDED = re.compile(rb"(?:^|[\s\"'`*>|+-])[A-Za-z0-9+/]{2,64}={1,2}(?=[\s\"'`\\]|\Z)")
_HEADER = re.compile(rb"[^A-Za-z0-9]*(?:[A-Z][A-Za-z-]{2,20}: .*)?\Z", re.DOTALL)
_HEADERS = 4  # lines of them in a row
_LAST = 200  # bytes of a line that may end a key
_PLAIN_LINE = re.compile(rb"[ \t]*[A-Za-z0-9+/]{60,76}={0,2}\r?\Z")
_PUTTY = re.compile(rb"^Private-Lines: *\d+\r?\n((?:[A-Za-z0-9+/=]+\r?(?:\n|\Z))+)", re.MULTILINE)


class _Mark(NamedTuple):
    """``start`` and ``end`` of what says that a key begins or ends; ``kind`` is "" for one that is base64 itself."""

    start: int
    end: int
    kind: str


def mentions_key(text: bytes) -> bool:
    """Whether a private key may begin or end in ``text``. Cheap."""
    return b"PRIVATE KEY" in text or b"Private-Lines:" in text or _ENCODED_START in text


def key_ranges(text: bytes) -> Iterator[tuple[int, int]]:
    """Byte ranges ``[start, end)`` of the base64 of private keys, in no order."""
    if mentions_key(text):
        yield from _blocks(text)
        for match in _PUTTY.finditer(text):
            yield match.span(1)
    elif len(text) > 240 and _is_plain(text):
        yield 0, len(text)


def _is_plain(text: bytes) -> bool:
    """Whether every line is base64 as wide as in a key: the middle of one, cut out."""
    at = 0
    while at < len(text):
        end = text.find(b"\n", at)
        end = end if end >= 0 else len(text)
        if not _PLAIN_LINE.match(text, at, end):
            return False
        at = end + 1
    return True


def _marks(text: bytes) -> list[_Mark]:
    marks = []
    done = 0
    for at in _places(text, b"PRIVATE KEY"):
        if match := _MARK.search(text, max(done, at - _BEFORE_NAME), at + _BEHIND_NAME):
            marks.append(_Mark(*match.span(), match[2].decode()))
            done = match.end()
    marks += [_Mark(at, at, "") for at in _places(text, _ENCODED_START) if _ENCODED.match(text, at)]
    return sorted(marks)


def _places(text: bytes, part: bytes) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _blocks(text: bytes) -> Iterator[tuple[int, int]]:
    marks = _marks(text)
    for number, mark in enumerate(marks):
        before = marks[number - 1] if number else _Mark(0, 0, "")
        behind = marks[number + 1] if number + 1 < len(marks) else _Mark(len(text), len(text), "")
        if mark.kind != "END":
            closed = (mark.kind, behind.kind) == ("BEGIN", "END") and behind.start - mark.end <= _MAX_KEY
            stop = behind.start if closed else _last_of(text, mark.end, behind.start)
            yield from _body(text, mark.end, stop)
        elif before.kind != "BEGIN" or mark.start - before.end > _MAX_KEY:
            yield from _body(text, _first_of(text, before.end, mark.start), mark.start)


def _body(text: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    runs = [match.span() for match in _LONG.finditer(text, start, stop)]
    if not _is_generated(text, runs):
        return
    if _is_mostly(runs, text[start:stop]):
        yield from (match.span(1) for match in _ANY.finditer(text, start, stop) if (match[1] or b"").strip(b"+/="))
        return
    yield from runs
    yield from (match.span() for match in _SHORT_RUN.finditer(text, start, stop))


def _is_generated(text: bytes, runs: list[tuple[int, int]]) -> bool:
    """Whether a run as long as a key's line looks generated, or three of a narrower key."""
    found = 0
    for first, last in runs:
        if last - first >= 24 and is_random(text[first:last]):
            found += 1
            if found >= 3 or last - first >= 40:
                return True
    return False


def _is_mostly(runs: list[tuple[int, int]], text: bytes) -> bool:
    return 2 * sum(last - first for first, last in runs) >= len(text.translate(None, b" \t\r\n"))


def _is_line(line: bytes) -> bool:
    """Whether a line looks like one of a key: base64, and little around it."""
    runs = [match.span() for match in _LONG.finditer(line)]
    return bool(runs) and _is_mostly(runs, line)


def _last_of(text: bytes, start: int, limit: int) -> int:
    """Where the body of a key that begins at ``start`` ends, without an END."""
    stop = at = _line_end(text, start, limit)
    headers = 0
    while at < limit and at - start < _MAX_KEY and headers <= _HEADERS:
        following = _line_end(text, at + 1, limit)
        line = text[at + 1 : following]
        if _is_line(line):
            stop, headers = following, 0
        elif _PADDED.search(line[:_LAST]):
            return following
        elif _HEADER.match(line):
            headers += 1
        else:
            break
        at = following
    return stop


def _line_end(text: bytes, start: int, limit: int) -> int:
    end = text.find(b"\n", start, limit)
    return end if end >= 0 else limit


def _first_of(text: bytes, limit: int, stop: int) -> int:
    """Where the body of a key that ends at ``stop`` begins, without a BEGIN. Its last line may look like anything."""
    last = start = at = max(limit, text.rfind(b"\n", limit, stop) + 1)
    headers = 0
    while at > limit and stop - at < _MAX_KEY and headers <= _HEADERS:
        before = max(limit, text.rfind(b"\n", limit, at - 1) + 1)
        line = text[before : at - 1]
        if _is_line(line):
            start, headers = before, 0
        elif at == last or _HEADER.match(line):
            headers += 1
        else:
            break
        at = before
    return start
