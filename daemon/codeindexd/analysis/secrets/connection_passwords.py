"""Finds passwords in connection strings (``scheme://user:password@host``) and in curl's ``-u user:password``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from codeindexd.analysis.secrets.assigned_values import Credential, is_placeholder, is_secret_value

_URL = re.compile(rb"://[^\s:/@'\"`<>]{0,100}:([^\s@/'\"`<>]{1,200})@[\w\[$%{.-]")
_CURL = re.compile(rb"(?:-u|--user)[ =]{1,2}[\"']?[\w.@%+-]{1,100}:([^\s\"':]{6,100})")


def connection_password_ranges(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the byte ranges ``[start, end)`` of passwords in connection strings and in curl's ``-u``."""
    at = text.find(b"://")
    while at >= 0:
        match = _URL.match(text, at)
        if match and not _is_example_password(match[1]):
            yield match.span(1)
        at = text.find(b"://", at + 3)
    for option in (b" -u ", b" --user"):
        at = text.find(option)
        while at >= 0:
            match = _CURL.match(text, at + 1)
            if match and is_secret_value(match[1], Credential.PASSWORD, quoted=True):
                yield match.span(1)
            at = text.find(option, at + 4)


def _is_example_password(value: bytes) -> bool:
    """Return True if a password in a connection string is an example, a template or too short to be real."""
    lowered = value.lower()
    if lowered.startswith((b"$", b"%", b"{", b"<", b"*")) or len(value) < 6 or b"${" in value or b"{{" in value:
        return True
    return is_placeholder(value) or lowered.isalpha()
