"""Find credentials inside source text and blank them out, so that no index, no model and no snippet holds them.

What is hidden: tokens of known providers by their form, private keys, passwords in connection strings, authorization
headers, and values assigned to names like ``password`` or ``api_key`` when they look like the real thing. Hidden
bytes become ``*``; nothing moves: same length, same lines.

Fast because hardly any text is looked at twice: long runs of token characters are found with numpy, words with
``bytes.find``, and only what is found meets a regular expression. Everything but a private key is recognised within
its own line, so a piece of a file is masked as the whole file is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from codeindexd.analysis.secrets.assigned_values import (
    is_placeholder,
    is_random,
    is_secret_name,
    is_secret_value,
    is_token,
)
from codeindexd.analysis.secrets.private_keys import KEY_REACH, key_ranges, mentions_key
from codeindexd.analysis.secrets.provider_tokens import LOOSE_TOKENS, TOKENS

__all__ = ["KEY_REACH", "SECRETS_VERSION", "mask", "mentions_key", "secret_ranges"]

SECRETS_VERSION = "3"
"""Part of every file's fingerprint: raise it whenever the same bytes would be masked differently than before."""

Ranges = list[tuple[int, int]]

_RUN = 20  # bytes of the shortest provider token
_TOKEN_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/=.~:%$@?&"
_OUTSIDE = bytes(byte not in _TOKEN_BYTES for byte in range(256))  # a translation to 0 and 1: faster than numpy's take
_MIXED = re.compile(rb"[0-9]|hf_")


def _any_of(patterns: Iterable[str]) -> re.Pattern[bytes]:
    """One expression for all, standing between characters that cannot continue a token."""
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
_TAKES_APART = re.compile(rb"(?:split|parse|strip)[_a-z]")
_CURL = re.compile(rb"(?:-u|--user)[ =]{1,2}[\"']?[\w.@%+-]{1,100}:([^\s\"':]{6,100})")


def mask(text: bytes, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """``text`` with every secret overwritten by ``*``: same length, same line ends. ``mask(mask(x)) == mask(x)``.

    Never raises. What it hides is what :func:`secret_ranges` finds. A piece of a file, cut between lines, is masked as
    in its file when ``before`` and ``after`` are what stands around it, up to :data:`KEY_REACH` bytes.
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
    """The byte ranges ``[start, end)`` to hide, sorted and not overlapping.

    A whole file is the best context there is (a chunk may begin in the middle of a private key), so ranges found in
    it may be applied to its pieces.
    """
    found = (_tokens(text), key_ranges(text), _urls(text), _assignments(text))
    return _merged([(start, _whole_characters(text, end)) for ranges in found for start, end in ranges])


def _merged(ranges: Ranges) -> Ranges:
    ranges.sort()
    out = ranges[:1]
    for start, end in ranges[1:]:
        if start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def _whole_characters(text: bytes, end: int) -> int:
    """``end`` moved behind a UTF-8 character that a length limit cut in two."""
    while end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return end


def _tokens(text: bytes) -> Iterator[tuple[int, int]]:
    """Provider tokens, which are long runs of few characters with a digit somewhere."""
    if len(text) < _RUN:
        return
    outside = np.flatnonzero(np.frombuffer(text.translate(_OUTSIDE), np.bool_))
    bounds = np.concatenate(([-1], outside, [len(text)]))
    long = np.flatnonzero(np.diff(bounds) > _RUN)
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
    """Passwords in ``scheme://user:password@host``, and in curl's ``-u user:password``."""
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
            if match and is_secret_value(match[1], "password", quoted=True):
                yield match.span(1)
            at = text.find(option, at + 4)


def _is_example_password(value: bytes) -> bool:
    lowered = value.lower()
    if lowered.startswith((b"$", b"%", b"{", b"<", b"*")) or len(value) < 6 or b"${" in value or b"{{" in value:
        return True
    return is_placeholder(value) or lowered.isalpha()


def _assignments(text: bytes) -> Iterator[tuple[int, int]]:
    """Values given to names that promise a credential."""
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
    promise = is_secret_name(name.rpartition(b".")[2] if passed else name)
    if not promise or (passed and _TAKES_APART.match(name.rpartition(b".")[2])):
        return
    if match["gap"] is not None and not _is_option(text, start, name):
        return
    if match["op"] == b"," and b"]" in text[end : match.start("op")]:
        return  # a slice or an optional part, not a key
    if text.startswith(b"::", start - 2) and text[end] in b"\"'":
        return  # the last part of a type's name, in quotes
    if match["op"] == b":" and (text.startswith(b":", start - 1) or (match["bare"] or b"").count(b":") > 1):
        return  # a part of a resource's name, as in arn:aws:...:secret:name
    if match["tag"] is not None and text[start - 1 : start] != b"<":
        return
    quoted = match["quoted"]
    if quoted is not None:
        if is_secret_value(quoted, promise, quoted=True):
            yield match.span("quoted")
    elif (
        match["op"] not in (b",", b"(")
        and not text.startswith(b"(", match.end())
        and is_secret_value(match["bare"], promise, quoted=match["tag"] is not None)
    ):
        yield match.span("bare")


def _is_option(text: bytes, start: int, name: bytes) -> bool:
    """Whether a blank may stand between name and value: ``--password x``, netrc's ``password x``."""
    if name.startswith(b"--"):
        return True
    line = text[text.rfind(b"\n", 0, start) + 1 : start]
    return b"login " in line or b"machine " in line
