"""Git's wildcard matching, translated to regular expressions over bytes.

The rules are those of git's ``dir.c`` (how a line of an ignore file is read) and ``wildmatch.c`` (what a pattern
matches), including their corner cases; the tests ask git itself. Every ``*`` but the last of a path component and
every ``**`` but the last becomes an atomic group: the leftmost match is always good enough there, so no pattern can
make the matcher backtrack exponentially.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

_SPECIAL = frozenset(b"*?[\\")
_SLASH = frozenset(b"/")
_NOT_SLASH = frozenset(range(256)) - _SLASH
_MOST_VARIANTS = 32
_LONGEST_PATH = 4096  # bytes; what must be longer can match nothing, and would take seconds to compile


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


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file.

    ``by_path`` patterns are matched against the path relative to the file's directory, the others against the last
    component. Exactly one of ``literals``, ``suffixes`` and ``regex`` is set: the texts it equals, the texts it ends
    with, or an expression it matches as a whole. ``home`` may say in which directories that can be.
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
    """The pattern can match nothing."""


@dataclass(frozen=True, slots=True)
class _Atom:
    """Exactly one byte out of ``members``."""

    members: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Star:
    """Any run of bytes; ``deep`` runs cross slashes, ``optional_dirs`` stands for ``**/``."""

    deep: bool = False
    optional_dirs: bool = False


_Token = _Atom | _Star
_LITERALS = [_Atom(frozenset((code,))) for code in range(256)]
_ANY = _Atom(_NOT_SLASH)


def parse(content: bytes) -> list[Pattern]:
    """The patterns of an ignore file in order; lines that can never match are left out. Never raises."""
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
    found = (_parse_line(number, line) for number, line in enumerate(content.split(b"\n"), 1))
    return [pattern for pattern in found if pattern is not None]


def _parse_line(number: int, line: bytes) -> Pattern | None:
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
    """``**/name`` says no more than ``name`` does."""
    name = body.removeprefix(b"/")
    while name.startswith(b"**/"):
        name = name[3:]
    return body if not name or b"/" in name or len(body) - len(name) < 3 else name


def _home(body: bytes) -> bytes:
    """An expression for the directories that hold what a path pattern matches; empty when that is not obvious."""
    directory, _, name = body.removeprefix(b"/").rpartition(b"/")
    if not directory or b"**" in name or directory.endswith(b"*") or b"[" in body or b"\\" in body:
        return b""
    literals, _, regex = _path_matcher(directory)
    return regex or re.escape(literals[0])


def _without_trailing_spaces(line: bytes) -> bytes:
    """Trailing spaces do not count unless one is escaped; other white space does count."""
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
    if isinstance(tokens[0], _Star) and (variants := _variants(tokens[1:])):
        return (), variants, b""
    return (), (), _regex(tokens)


def _path_matcher(body: bytes) -> _Matcher:
    """As git does, compare the part before the first wildcard literally and match only the rest.

    That matters: in ``foo**/bar`` the rest starts with ``**/``, which then crosses directories.
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


def _star(pattern: bytes, start: int, *, pathname: bool) -> tuple[_Star, int]:
    at = start
    while pattern[at : at + 1] == b"*":
        at += 1
    if not pathname or at - start == 1 or pattern[:start][-1:] not in (b"", b"/"):
        return _Star(), at
    if at == len(pattern) or pattern.startswith(b"\\/", at):
        return _Star(deep=True), at
    if pattern[at : at + 1] == b"/":
        return _Star(optional_dirs=True), at + 1
    return _Star(), at


def _bracket(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """The bytes a bracket expression matches and the position behind it; ``at`` is just after the ``[``."""
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
    at += pattern[at] == 0x5C
    if at >= len(pattern):
        raise _Malformed
    return pattern[at], at + 1


def _named_class(pattern: bytes, at: int) -> tuple[frozenset[int], int] | None:
    """``[:alpha:]`` at ``at``; None when it is no named class but an ordinary ``[`` inside the brackets."""
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
    """Every text that ``tokens`` stand for when they are few: ``[Bb]in`` is ``Bin`` or ``bin``."""
    count = 1
    choices: list[frozenset[int]] = []
    for token in tokens:
        if isinstance(token, _Star):
            return ()
        count *= len(token.members)
        if not count:
            raise _Malformed
        if count > _MOST_VARIANTS:
            return ()
        choices.append(token.members)
    return tuple(bytes(codes) for codes in itertools.product(*map(sorted, choices)))


def _regex(tokens: list[_Token]) -> bytes:
    """An expression for ``fullmatch``: groups between ``**`` are settled by their leftmost match."""
    groups: list[list[_Token]] = [[]]
    gaps: list[_Star] = []
    for token in tokens:
        if isinstance(token, _Star) and (token.optional_dirs or token.deep):
            gaps.append(token)
            groups.append([])
        else:
            groups[-1].append(token)
    parts = [_group(groups[0])]
    for number, (gap, group) in enumerate(zip(gaps, groups[1:], strict=True), 1):
        between = b".*" if gap.deep else b"(?:[^/]*/)*"
        parts.append(between + _group(group) if number == len(gaps) else b"(?>%s?%s)" % (between, _group(group)))
    return b"".join(parts)


def _group(tokens: list[_Token]) -> bytes:
    parts: list[bytes] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if isinstance(token, _Atom):
            parts.append(_atom(token.members))
        else:
            run_end = at
            while run_end < len(tokens) and isinstance(nxt := tokens[run_end], _Atom) and nxt.members != _SLASH:
                run_end += 1
            run = b"".join(_atom(atom.members) for atom in tokens[at:run_end] if isinstance(atom, _Atom))
            more = run_end < len(tokens) and isinstance(tokens[run_end], _Star)
            parts.append(b"(?>[^/]*?%s)" % run if more else b"[^/]*%s" % run)
            at = run_end
    return b"".join(parts)


def _atom(members: frozenset[int]) -> bytes:
    if len(members) == 1:
        return re.escape(bytes(members))
    if members == _NOT_SLASH:
        return b"[^/]"
    if not members:
        raise _Malformed
    return b"[%s]" % b"".join(b"\\x%02x" % code for code in sorted(members))
