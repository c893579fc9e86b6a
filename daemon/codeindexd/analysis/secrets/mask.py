"""Finds credentials in source text and masks them, so that no index, model or snippet contains them.

Masked are tokens of known providers, private keys, passwords in connection strings, authorization headers, and values
assigned to names like ``password`` or ``api_key`` if they look real. Masked bytes become ``*``: length and lines stay
the same.

It is fast because little text is examined twice: long runs of token characters are found with numpy, words with
``bytes.find``, and only these are matched with regexes. Everything except a private key is recognised within its own
line, so a piece of a file is masked like the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from codeindexd.analysis.secrets.assigned_values import (
    Credential,
    credential_of_name,
    is_placeholder,
    is_random,
    is_secret_value,
    is_token,
)
from codeindexd.analysis.secrets.private_keys import KEY_REACH, key_ranges, mentions_key
from codeindexd.analysis.secrets.provider_tokens import LOOSE_TOKENS, TOKENS

__all__ = ["KEY_REACH", "SECRETS_VERSION", "mask", "mentions_key", "secret_ranges"]

SECRETS_VERSION = "3"
"""Part of every fingerprint: raise it whenever the same bytes are masked differently."""

Ranges = list[tuple[int, int]]

_MIN_TOKEN_BYTES = 20  # of the shortest provider token
_TOKEN_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/=.~:%$@?&"
_OUTSIDE = bytes(byte not in _TOKEN_BYTES for byte in range(256))  # translate to 0 and 1: faster than numpy's take
_MIXED = re.compile(rb"[0-9]|hf_")


def _any_of(patterns: Iterable[str]) -> re.Pattern[bytes]:
    """Return one regex for all patterns, between characters that cannot continue a token."""
    return re.compile(f"(?<![A-Za-z0-9])(?:{'|'.join(patterns)})(?![A-Za-z0-9])".encode())


_PROVIDERS = _any_of(TOKENS.values())
_LOOSE = _any_of(LOOSE_TOKENS.values())

_URL = re.compile(rb"://[^\s:/@'\"`<>]{0,100}:([^\s@/'\"`<>]{1,200})@[\w\[$%{.-]")
_WORDS = (b"secret", b"passw", b"passphrase", b"pwd", b"token", b"key", b"auth", b"cred", b"bearer")
_NAME = re.compile(rb"[A-Za-z0-9_.$-]*")
_NAME_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.$-")
_AFTER_NAME = frozenset(b"\"'`]) \t=:,(>\\")
_ASSIGNED = re.compile(
    rb"""
    (?:\\?["'`\])]){0,3}[ \t]{0,12}                                   # the rest of a quoted or indexed name
    (?::[ \t]?[A-Za-z_][\w.\[\]|,\ ]{0,40}?[ \t]?(?==))?              # a type annotation
    (?:(?P<op>:=|=>|={1,3}|!=|:|,|\(|<-|[ ](?:value|content)=)[ \t]{0,12}|(?P<tag>>)|(?P<gap>[ \t]{1,4}))
    (?:
        (?:@?[bBrRuUfF]{1,2}|new[ ]\w+\()?
        (?P<quote>\\?["'`])(?P<quoted>(?:(?!(?P=quote)).){1,400})(?P=quote)
        |(?P<bare>[^\s"'`,;(){}\[\]<>\\]{6,400})
    )""",
    re.VERBOSE,
)
_HEADER = re.compile(
    rb"""
    [\w-]{0,20}["'`]?[ \t]{0,4}[:=,]?[ \t]{0,4}["'`]?
    (?:(?:bearer|basic|token|apikey|negotiate)[ \t:]{1,4})?
    ([A-Za-z0-9_.~+/-]{12,4000}={0,2})""",
    re.VERBOSE | re.IGNORECASE,
)
_PARSER_NAME = re.compile(rb"(?:split|parse|strip)[_a-z]")
_CURL = re.compile(rb"(?:-u|--user)[ =]{1,2}[\"']?[\w.@%+-]{1,100}:([^\s\"':]{6,100})")


def mask(text: bytes, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """Return ``text`` with every secret replaced by ``*``: same length, same line ends. ``mask(mask(x)) == mask(x)``.

    Masks what :func:`secret_ranges` finds. Never raises. A piece of a file, cut between lines, is masked as in its file
    if ``before`` and ``after`` are the surrounding bytes, up to :data:`KEY_REACH` of them.
    """
    ranges = secret_ranges(text)
    if before or after:
        first, last = len(before), len(before) + len(text)
        cut = ((max(start, first), min(end, last)) for start, end in key_ranges(before + text + after))
        ranges = _merged([*ranges, *((start - first, end - first) for start, end in cut if start < end)])
    if not ranges:
        return text
    out = bytearray(text)
    for start, end in ranges:
        out[start:end] = _stars(text[start:end])
    return bytes(out)


def _stars(secret: bytes) -> bytes:
    if b"\n" not in secret and b"\r" not in secret:
        return b"*" * len(secret)
    return bytes(byte if byte in b"\r\n" else 42 for byte in secret)


def secret_ranges(text: bytes) -> Ranges:
    """Return the byte ranges ``[start, end)`` to mask, sorted and disjoint.

    Prefer whole files (a chunk may begin in the middle of a private key): their ranges can be applied to pieces.
    """
    found = (_tokens(text), key_ranges(text), _urls(text), _assignments(text))
    return _merged([(start, _after_character(text, end)) for ranges in found for start, end in ranges])


def _merged(ranges: Ranges) -> Ranges:
    ranges.sort()
    out = ranges[:1]
    for start, end in ranges[1:]:
        if start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def _after_character(text: bytes, end: int) -> int:
    """Return ``end``, moved after a UTF-8 character that a length limit split."""
    while end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return end


def _tokens(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield provider tokens: long runs of token characters with a digit."""
    if len(text) < _MIN_TOKEN_BYTES:
        return
    outside = np.flatnonzero(np.frombuffer(text.translate(_OUTSIDE), np.bool_))
    bounds = np.concatenate(([-1], outside, [len(text)]))
    long = np.flatnonzero(np.diff(bounds) > _MIN_TOKEN_BYTES)
    for start, end in zip((bounds[long] + 1).tolist(), bounds[long + 1].tolist(), strict=True):
        if not _MIXED.search(text, start, end):
            continue
        for match in _PROVIDERS.finditer(text, start, end):
            group = match.lastindex or 0
            if is_token(match[group]) or match[0].startswith(b"hf_"):
                yield match.span(group)
        for match in _LOOSE.finditer(text, start, end):
            if is_random(match[0]) and not is_placeholder(match[0]):
                yield match.span()


def _urls(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield passwords in ``scheme://user:password@host``, and in curl's ``-u user:password``."""
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
    lowered = value.lower()
    if lowered.startswith((b"$", b"%", b"{", b"<", b"*")) or len(value) < 6 or b"${" in value or b"{{" in value:
        return True
    return is_placeholder(value) or lowered.isalpha()


def _assignments(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield values assigned to names of credentials."""
    lowered = text.lower()
    seen = -1
    hits: list[int] = []
    for word in _WORDS:
        at = lowered.find(word)
        while at >= 0:
            hits.append(at)
            at = lowered.find(word, at + len(word))
    hits.sort()
    for at in hits:
        if at < seen:
            continue
        named = _NAME.match(text, at)
        end = named.end() if named else at
        seen = end
        if end >= len(text) or text[end] not in _AFTER_NAME:
            continue
        if lowered[at:end] in (b"authorization", b"bearer") and not lowered[at - 1 : at].isalnum():
            yield from _header(text, end)
        start = at
        while start > 0 and at - start < 80 and text[start - 1] in _NAME_BYTES:
            start -= 1
        yield from _assigned(text, start, end)


def _header(text: bytes, end: int) -> Iterator[tuple[int, int]]:
    match = _HEADER.match(text, end)
    if match and is_random(match[1], least=12) and not is_placeholder(match[1]):
        yield match.span(1)


def _assigned(text: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    match = _ASSIGNED.match(text, end)
    if match is None:
        return
    name = text[start:end]
    passed = match["op"] in (b"(", b",")  # to a function of that name, or after an argument of that name
    credential = credential_of_name(name.rpartition(b".")[2] if passed else name)
    if credential is None or (passed and _PARSER_NAME.match(name.rpartition(b".")[2])):
        return
    if match["gap"] is not None and not _is_option(text, start, name):
        return
    if match["op"] == b"," and b"]" in text[end : match.start("op")]:
        return  # a slice or an optional part, not a key
    if text.startswith(b"::", start - 2) and text[end] in b"\"'":
        return  # the last part of a quoted type name
    if match["op"] == b":" and (text.startswith(b":", start - 1) or (match["bare"] or b"").count(b":") > 1):
        return  # a part of a resource's name, as in arn:aws:...:secret:name
    if match["tag"] is not None and text[start - 1 : start] != b"<":
        return
    quoted = match["quoted"]
    if quoted is not None:
        if is_secret_value(quoted, credential, quoted=True):
            yield match.span("quoted")
    elif (
        match["op"] not in (b",", b"(")
        and not text.startswith(b"(", match.end())
        and is_secret_value(match["bare"], credential, quoted=match["tag"] is not None)
    ):
        yield match.span("bare")


def _is_option(text: bytes, start: int, name: bytes) -> bool:
    """Return True if a space may separate name and value: ``--password x``, netrc's ``password x``."""
    if name.startswith(b"--"):
        return True
    line = text[text.rfind(b"\n", 0, start) + 1 : start]
    return b"login " in line or b"machine " in line
