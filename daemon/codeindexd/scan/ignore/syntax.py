"""The syntax of ignore files: translates git's wildcards to regular expressions over bytes.

The rules are those of git's ``dir.c`` (how a line of an ignore file is read) and ``wildmatch.c`` (what a pattern
matches), including their corner cases; the tests compare with git itself.
"""

from __future__ import annotations

import itertools
import re

from msgspec import Struct

from codeindexd.scan.wildcards import Wildcard, to_regex

_SPECIAL = frozenset(b"*?[\\")
_SLASH = frozenset(b"/")
_NOT_SLASH = frozenset(range(256)) - _SLASH
_MOST_VARIANTS = 32
_LONGEST_PATH = 4096  # bytes; a longer pattern can match nothing, and would take seconds to compile


def _codes(test: str) -> frozenset[int]:
    return frozenset(ord(char) for char in test)


_DIGIT = _codes("0123456789")
_LOWER = _codes("abcdefghijklmnopqrstuvwxyz")
_UPPER = _codes("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_PRINT = frozenset(range(0x20, 0x7F))
_SPACE = _codes(" \t\n\r")
_CLASSES = {
    b"alnum": _DIGIT | _LOWER | _UPPER,
    b"alpha": _LOWER | _UPPER,
    b"blank": _codes(" \t"),
    b"cntrl": frozenset(range(0x20)) | {0x7F},
    b"digit": _DIGIT,
    b"graph": _PRINT - _SPACE,
    b"lower": _LOWER,
    b"print": _PRINT,
    b"punct": _PRINT - _DIGIT - _LOWER - _UPPER - _SPACE,
    b"space": _SPACE,
    b"upper": _UPPER,
    b"xdigit": _DIGIT | _codes("abcdefABCDEF"),
}


class Pattern(Struct, frozen=True):
    """One line of an ignore file: its number from 1, its text, and what it matches.

    ``by_path`` patterns are matched against the path relative to the file's directory, the others against the last
    component. Exactly one of ``literals``, ``suffixes`` and ``regex`` is set: the texts that match, the endings that
    match, or an expression for a full match. ``home``, if set, is an expression for the directories of all matches.
    """

    line: int
    text: bytes
    negative: bool
    dir_only: bool
    by_path: bool
    literals: tuple[bytes, ...] = ()
    suffixes: tuple[bytes, ...] = ()
    regex: bytes = b""
    home: bytes = b""


class _Malformed(Exception):  # noqa: N818 - never leaves this module
    """The pattern is invalid and matches nothing."""


class _Atom(Struct, frozen=True):
    """Matches exactly one byte, which must be in ``members``."""

    members: frozenset[int]


_Token = _Atom | Wildcard
_LITERALS = [_Atom(frozenset((code,))) for code in range(256)]
_ANY = _Atom(_NOT_SLASH)


def parse(content: bytes) -> list[Pattern]:
    """Return the patterns of an ignore file in order, without lines that match nothing. Never raises."""
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
    found = (_parse_line(number, line) for number, line in enumerate(content.split(b"\n"), 1))
    return [pattern for pattern in found if pattern is not None]


def _parse_line(number: int, line: bytes) -> Pattern | None:
    """Return the pattern in a line of an ignore file; None for a comment, and for what git never matches."""
    if not line or line.startswith(b"#"):
        return None
    line = _without_trailing_spaces(line.removesuffix(b"\r").split(b"\0", 1)[0])
    body = line
    if negative := body.startswith(b"!"):
        body = body[1:]
    if dir_only := body.endswith(b"/"):
        body = body[:-1]
    body = _at_any_depth(body)
    by_path = b"/" in body
    try:
        literals, suffixes, regex = _path_matcher(body) if by_path else _name_matcher(body)
    except _Malformed:
        return None
    home = _home(body) if by_path and regex else b""
    return Pattern(number, line, negative, dir_only, by_path, literals, suffixes, regex, home)


def _at_any_depth(body: bytes) -> bytes:
    """Return ``name`` for the equivalent ``**/name``, and other patterns unchanged."""
    name = body.removeprefix(b"/")
    while name.startswith(b"**/"):
        name = name[3:]
    return body if not name or b"/" in name or len(body) - len(name) < 3 else name


def _home(body: bytes) -> bytes:
    """Return an expression for the directories of a path pattern's matches; b"" if it is not easily found."""
    directory, _, name = body.removeprefix(b"/").rpartition(b"/")
    if not directory or b"**" in name or directory.endswith(b"*") or b"[" in body or b"\\" in body:
        return b""
    literals, _, regex = _path_matcher(directory)
    return regex or re.escape(literals[0])


def _without_trailing_spaces(line: bytes) -> bytes:
    """Return the line without trailing spaces, keeping an escaped one and other white space."""
    end = len(line)
    while end and line[end - 1] == 0x20:
        end -= 1
    if end == len(line):
        return line
    backslashes = end - len(line[:end].rstrip(b"\\"))
    return line[: end + backslashes % 2]


_Matcher = tuple[tuple[bytes, ...], tuple[bytes, ...], bytes]


def _name_matcher(body: bytes) -> _Matcher:
    if not body:
        raise _Malformed
    tokens = _tokenise(body, pathname=False)
    if variants := _variants(tokens):
        return variants, (), b""
    if isinstance(tokens[0], Wildcard) and (variants := _variants(tokens[1:])):
        return (), variants, b""
    return (), (), _regex(tokens)


def _path_matcher(body: bytes) -> _Matcher:
    """Return what a path pattern matches: as git does, literally up to the first wildcard, and only then by wildcards.

    This matters: in ``foo**/bar`` the second part starts with ``**/``, which therefore crosses directories. Raises
    _Malformed.
    """
    body = body.removeprefix(b"/")
    if not body:
        raise _Malformed
    cut = next((index for index, code in enumerate(body) if code in _SPECIAL), len(body))
    rest = _tokenise(body[cut:], pathname=True)
    if not rest:
        return (body,), (), b""
    return (), (), re.escape(body[:cut]) + _regex(rest)


def _tokenise(pattern: bytes, *, pathname: bool) -> list[_Token]:
    """Return the tokens of a pattern. Raises _Malformed."""
    tokens: list[_Token] = []
    at, end = 0, len(pattern)
    while at < end:
        code = pattern[at]
        if code == 0x5C:  # backslash: the next byte, literally
            if at + 1 == end:
                raise _Malformed
            tokens.append(_LITERALS[pattern[at + 1]])
            at += 2
        elif code == 0x3F:  # ?
            tokens.append(_ANY)
            at += 1
        elif code == 0x5B:  # [
            members, at = _bracket(pattern, at + 1)
            tokens.append(_Atom(members - _SLASH))
        elif code == 0x2A:  # *
            star, at = _star(pattern, at, pathname=pathname)
            tokens.append(star)
        else:
            tokens.append(_LITERALS[code])
            at += 1
    if sum(isinstance(token, _Atom) for token in tokens) > _LONGEST_PATH:
        raise _Malformed
    return tokens


def _star(pattern: bytes, start: int, *, pathname: bool) -> tuple[Wildcard, int]:
    """Return the wildcard that the asterisks at ``start`` are, and the offset after it."""
    at = start
    while pattern[at : at + 1] == b"*":
        at += 1
    if not pathname or at - start == 1 or pattern[:start][-1:] not in (b"", b"/"):
        return Wildcard.NAME, at
    if at == len(pattern) or pattern.startswith(b"\\/", at):
        return Wildcard.PATH, at
    if pattern[at : at + 1] == b"/":
        return Wildcard.DIRECTORIES, at + 1
    return Wildcard.NAME, at


def _bracket(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """Return the bytes that a bracket expression matches, and the offset after it; ``at`` is that after its ``[``."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    previous = -1
    first = True
    while True:
        if at >= len(pattern):
            raise _Malformed
        code = pattern[at]
        if code == 0x5D and not first:  # ]
            break
        first = False
        if code == 0x2D and previous >= 0 and pattern[at + 1 : at + 2] not in (b"", b"]"):  # a range
            last, at = _bracket_char(pattern, at + 1)
            members.update(range(previous, last + 1))
            previous = -1
        elif pattern.startswith(b"[:", at) and (named := _named_class(pattern, at)) is not None:
            members |= named[0]
            at, previous = named[1], -1
        else:
            previous, at = _bracket_char(pattern, at)
            members.add(previous)
    return (frozenset(range(256)) - members if negated else frozenset(members)), at + 1


def _bracket_char(pattern: bytes, at: int) -> tuple[int, int]:
    """Return the byte that is written at ``at`` in a bracket expression, and the offset after it."""
    at += pattern[at] == 0x5C
    if at >= len(pattern):
        raise _Malformed
    return pattern[at], at + 1


def _named_class(pattern: bytes, at: int) -> tuple[frozenset[int], int] | None:
    """Return the bytes of the named class (``[:alpha:]``) at ``at``, and the offset of the closing bracket + 1.

    Returns None if there is an ordinary ``[``. Raises _Malformed for an unknown class.
    """
    close = pattern.find(b"]", at + 2)
    if close < 0:
        raise _Malformed
    name = pattern[at + 2 : close]
    if not name.endswith(b":"):
        return None
    try:
        return _CLASSES[name[:-1]], close + 1
    except KeyError:
        raise _Malformed from None


def _variants(tokens: list[_Token]) -> tuple[bytes, ...]:
    """Return every text that ``tokens`` match, such as ``Bin`` and ``bin`` for ``[Bb]in``; () if there are too many."""
    count = 1
    choices: list[frozenset[int]] = []
    for token in tokens:
        if isinstance(token, Wildcard):
            return ()
        count *= len(token.members)
        if not count:
            raise _Malformed
        if count > _MOST_VARIANTS:
            return ()
        choices.append(token.members)
    return tuple(bytes(codes) for codes in itertools.product(*map(sorted, choices)))


def _regex(tokens: list[_Token]) -> bytes:
    """Return an expression for a full match of ``tokens``."""
    expression = to_regex([_one_of(token.members) if isinstance(token, _Atom) else token for token in tokens])
    return expression.encode("latin-1")


def _one_of(members: frozenset[int]) -> str:
    """Return an expression for one byte out of ``members``, with bytes written as the characters of Latin-1."""
    if len(members) == 1:
        return re.escape(bytes(members).decode("latin-1"))
    if members == _NOT_SLASH:
        return "[^/]"
    if not members:
        raise _Malformed
    codes = "".join(f"\\x{code:02x}" for code in sorted(members))
    return f"[{codes}]"
