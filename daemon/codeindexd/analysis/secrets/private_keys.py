"""Finds the bodies of private keys in a text, even if they are quoted, commented out, split into lines, or cut off.

A body is the text between the lines that begin and end a key. It may be a list of strings, a chain of calls or a
comment, so if most of it is base64, everything that could be base64 is masked. If one of the two lines is missing, the
body extends as long as each line is mostly base64.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from codeindexd.analysis.secrets.assigned_values import is_random

_MAX_KEY_BYTES = 20_000  # between BEGIN and END
KEY_REACH = _MAX_KEY_BYTES + 200
"""The distance in bytes from a piece of text within which a key that overlaps the piece begins or ends."""

_MARKER = re.compile(rb"(-----|---- )(BEGIN|END) (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?(?: ----|-----)")
_BEFORE_NAME, _AFTER_NAME = 64, 32  # bytes of a marker around "PRIVATE KEY"
# "-----BEGIN " in base64, and then a name that ends in "PRIVATE": the form in which Kubernetes stores keys
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
_MAX_HEADERS = 4  # consecutive lines
_MAX_LAST_BYTES = 200  # of a line that may end a key
_PLAIN_LINE = re.compile(rb"[ \t]*[A-Za-z0-9+/]{60,76}={0,2}\r?\Z")
_PUTTY = re.compile(rb"^Private-Lines: *\d+\r?\n((?:[A-Za-z0-9+/=]+\r?(?:\n|\Z))+)", re.MULTILINE)


class _Marker(NamedTuple):
    """A marker of a key's begin or end. ``kind`` is BEGIN, END, or "" for a begin that is encoded in base64."""

    start: int
    end: int
    kind: str


def mentions_key(text: bytes) -> bool:
    """Return True if a private key may begin or end in ``text``. A quick check."""
    return b"PRIVATE KEY" in text or b"Private-Lines:" in text or _ENCODED_START in text


def key_ranges(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the byte ranges ``[start, end)`` of the base64 of private keys, in no particular order."""
    if mentions_key(text):
        yield from _blocks(text)
        for match in _PUTTY.finditer(text):
            yield match.span(1)
    elif len(text) > 240 and _is_plain(text):
        yield 0, len(text)


def _is_plain(text: bytes) -> bool:
    """Return True if every line is base64 with the width of a key's lines, as in the middle of a key."""
    at = 0
    while at < len(text):
        end = text.find(b"\n", at)
        end = end if end >= 0 else len(text)
        if not _PLAIN_LINE.match(text, at, end):
            return False
        at = end + 1
    return True


def _markers(text: bytes) -> list[_Marker]:
    markers = []
    done = 0
    for at in _occurrences(text, b"PRIVATE KEY"):
        if match := _MARKER.search(text, max(done, at - _BEFORE_NAME), at + _AFTER_NAME):
            markers.append(_Marker(*match.span(), match[2].decode()))
            done = match.end()
    markers += [_Marker(at, at, "") for at in _occurrences(text, _ENCODED_START) if _ENCODED.match(text, at)]
    return sorted(markers)


def _occurrences(text: bytes, part: bytes) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _blocks(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the byte ranges of the bodies of keys: between two markers, or beside one whose partner is cut off."""
    markers = _markers(text)
    for number, marker in enumerate(markers):
        before = markers[number - 1] if number else _Marker(0, 0, "")
        following = markers[number + 1] if number + 1 < len(markers) else _Marker(len(text), len(text), "")
        if marker.kind != "END":
            is_near = following.start - marker.end <= _MAX_KEY_BYTES
            is_closed = marker.kind == "BEGIN" and following.kind == "END" and is_near
            stop = following.start if is_closed else _end_without_marker(text, marker.end, following.start)
            yield from _body(text, marker.end, stop)
        elif before.kind != "BEGIN" or marker.start - before.end > _MAX_KEY_BYTES:
            yield from _body(text, _start_without_marker(text, before.end, marker.start), marker.start)


def _body(text: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the byte ranges to mask in what may be the body of a key; none if it does not look generated."""
    runs = [match.span() for match in _LONG.finditer(text, start, stop)]
    if not _is_generated(text, runs):
        return
    if _is_mostly(runs, text[start:stop]):
        yield from (match.span(1) for match in _ANY.finditer(text, start, stop) if (match[1] or b"").strip(b"+/="))
        return
    yield from runs
    yield from (match.span() for match in _SHORT_RUN.finditer(text, start, stop))


def _is_generated(text: bytes, runs: list[tuple[int, int]]) -> bool:
    """Return True if one run as long as a key's line looks random, or three shorter runs do."""
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
    """Return True if a line looks like a line of a key, that is, if it is mostly base64."""
    runs = [match.span() for match in _LONG.finditer(line)]
    return bool(runs) and _is_mostly(runs, line)


def _end_without_marker(text: bytes, start: int, limit: int) -> int:
    """Return the end of the body of a key that begins at ``start`` and has no END; at most ``limit``."""
    stop = at = _line_end(text, start, limit)
    headers = 0
    while at < limit and at - start < _MAX_KEY_BYTES and headers <= _MAX_HEADERS:
        following = _line_end(text, at + 1, limit)
        line = text[at + 1 : following]
        if _is_line(line):
            stop, headers = following, 0
        elif _PADDED.search(line[:_MAX_LAST_BYTES]):
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


def _start_without_marker(text: bytes, limit: int, stop: int) -> int:
    """Return the start of the body of a key that ends at ``stop`` and has no BEGIN; at least ``limit``.

    The last line of the body may be anything.
    """
    last = start = at = max(limit, text.rfind(b"\n", limit, stop) + 1)
    headers = 0
    while at > limit and stop - at < _MAX_KEY_BYTES and headers <= _MAX_HEADERS:
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
