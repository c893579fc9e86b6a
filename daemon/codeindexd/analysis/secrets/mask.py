"""Finds credentials in source text and masks them, so that no index, model or snippet contains them.

Masks tokens of known providers, private keys, passwords in connection strings, authorization headers, and values that
are assigned to names like ``password`` or ``api_key`` and look real. Masked bytes become ``*``, so that lengths and
lines stay the same.

Each kind of credential has a module that finds it. They are fast because regexes are only applied to candidates: long
runs of token characters are found with numpy, words with ``bytes.find``. Everything except a private key is recognised
within its own line, so that a piece of a file is masked like the whole file.
"""

from __future__ import annotations

from codeindexd.analysis.secrets.assigned_values import assigned_ranges
from codeindexd.analysis.secrets.connection_passwords import connection_password_ranges
from codeindexd.analysis.secrets.private_keys import KEY_REACH, key_ranges, mentions_key
from codeindexd.analysis.secrets.provider_tokens import token_ranges

__all__ = ["KEY_REACH", "SECRETS_VERSION", "mask", "mentions_key", "secret_ranges"]

SECRETS_VERSION = "3"
"""Part of every fingerprint; increase it when the same bytes are masked differently."""

Ranges = list[tuple[int, int]]


def mask(text: bytes, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """Return ``text`` with the secrets that :func:`secret_ranges` finds replaced by ``*``. Never raises.

    Length and line ends stay the same, and masking again changes nothing. A piece of a file that was cut between lines
    is masked as it is in its file if ``before`` and ``after`` are the surrounding bytes (:data:`KEY_REACH` suffice).
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

    Use it on whole files if possible, since a chunk may begin in the middle of a private key.
    """
    found = (
        token_ranges(text),
        key_ranges(text),
        connection_password_ranges(text),
        assigned_ranges(text),
    )
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
    """Return ``end``, or the end of the UTF-8 character that it would split."""
    while end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return end
