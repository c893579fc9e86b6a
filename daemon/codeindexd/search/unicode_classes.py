"""Gives ``\\w``, ``\\d`` and ``\\s`` in regexes the letters, digits and spaces of any script; RE2's are ASCII only.

``\\b`` and ``\\B`` at the ends of a pattern know words of any script if a letter of a word must be next to them.
Anywhere else RE2 cannot express that: there they may match where they should not, but never miss a match. ``\\W`` and
``\\S`` inside a class, where RE2 has no syntax for such a complement, remain ASCII.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_MEMBERS: Final = {
    "w": r"\pL\pM\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}",
    "d": r"\p{Nd}",
    "s": r"\t\n\v\f\r\x{85}\pZ",
}
_IN_CLASS: Final = {**_MEMBERS, "D": r"\P{Nd}"}

NO_WORD: Final = r"[^\pL\pM\p{Nd}\p{Nl}\p{Pc}]"
_WORD: Final = f"[{_MEMBERS['w']}]"
_BEFORE: Final = {r"\b": f"(?:^|{NO_WORD})", r"\B": _WORD}
_AFTER: Final = {r"\b": f"(?:{NO_WORD}|$)", r"\B": _WORD}
_FLAGS: Final = re.compile(r"\(\?[a-zA-Z]+\)")
_ESCAPE: Final = re.compile(r"\\(?:Q.*?(?:\\E|\Z)|[pP](?:\{[^}]*\}|.)|x(?:\{[^}]*\}|..)|[0-7]{2,3}|.)|\\", re.DOTALL)
_IN_A_CLASS: Final = re.compile(r"\[:.*?:\]|\\(.)", re.DOTALL)  # a POSIX class is ASCII by definition
_REPETITION: Final = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})\??")
_AT_LEAST_ONE: Final = re.compile(r"(?:\+\??|\{0*[1-9].*)?")
_GROUP: Final = re.compile(r"\((?:\?(?:P?<\w+>|[a-zA-Z-]*:))?(?!\?)")
_IGNORES_CASE: Final = re.compile(r"\(\?[a-zA-Z]*i")
_ASCII: Final = re.compile(r"[a-zA-Z0-9_](?![*?{])")
_ASCII_IN_ANY_CASE: Final = re.compile(r"[a-jl-rt-zA-JL-RT-Z0-9_](?![*?{])")
"""Without k and s: if case is ignored, they match the Kelvin sign and the long s as well."""

_WORD_LETTERS: Final = re.compile(
    r"\\[wd]|\\p(?:L|\{(?:L\w?|N[dl])\})|\[(?:\\[wd]|[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|\w(?!-))+\]|\w"
)

_MOST_DEPTH: Final = 10  # of groups


class AnyScript(NamedTuple):
    """A regex for text in any script: ``group`` of ``pattern`` is its match.

    ``inside`` lacks the edges of words at the ends of the pattern, for callers that look for whole words.
    """

    pattern: str
    group: int
    inside: str


def for_any_script(pattern: str, *, ignore_case: bool = False) -> AnyScript:
    """Return ``pattern``, a regex in RE2's syntax, for text in any script.

    It is unchanged, and the group 0, if it has neither classes nor edges of words. ``ignore_case`` says that it
    will be compiled as if it had the flag ``i``.
    """
    ascii_only = _ASCII_IN_ANY_CASE if ignore_case or _IGNORES_CASE.search(pattern) else _ASCII
    flags = match[0] if (match := _FLAGS.match(pattern)) else ""
    body = pattern[len(flags) :]
    parts = [part for _, part, _ in _parts(body)]
    if parts and parts[-1].startswith(r"\Q") and not parts[-1].endswith(r"\E"):
        parts[-1] += r"\E"  # otherwise what is put around it would be quoted, too
    before = _BEFORE.get(parts[0], "") if _is_word_at_end("".join(parts[1:]), 0) else ""
    rest = parts[1:] if before else parts
    after = _AFTER.get(rest[-1], "") if rest and _is_word_at_end("".join(rest[:-1]), -1) else ""
    rest = rest[:-1] if after else rest
    if len(_alternatives("".join(rest))) > 1:
        before, after, rest = "", "", parts
    inside = with_unicode_classes(_without_edges(rest, ascii_only))
    if not before and not after:
        return AnyScript(flags + inside, 0, flags + inside)
    return AnyScript(f"{flags}{before}({inside}){after}", 1, flags + inside)


def _parts(pattern: str) -> Iterator[tuple[int, str, int]]:
    """Yield (offset, letter or escape, depth of groups) outside classes; a class is one part."""
    at = depth = 0
    while at < len(pattern):
        size = 1
        if match := _ESCAPE.match(pattern, at):
            size = len(match[0])
        elif pattern[at] == "[":
            size = _class_size(pattern, at)
        depth += {"(": 1, ")": -1}.get(pattern[at : at + size], 0)
        yield at, pattern[at : at + size], depth
        at += size


def _class_size(pattern: str, at: int) -> int:
    """Return the length of the class (``[...]``) that starts at ``at``; it reaches to the end if nothing closes it."""
    end = at + 1 + pattern.startswith("^", at + 1)
    end += pattern.startswith("]", end)  # the first character of a class does not close it
    while end < len(pattern) and pattern[end] != "]":
        if pattern.startswith("[:", end) and (posix := pattern.find(":]", end)) > 0:
            end = posix + 1
        end += 2 if pattern[end] == "\\" else 1
    return min(end + 1, len(pattern)) - at


def _alternatives(pattern: str) -> list[str]:
    bars = [at for at, part, depth in _parts(pattern) if part == "|" and depth == 0]
    return [pattern[start + 1 : end] for start, end in itertools.pairwise([-1, *bars, len(pattern)])]


def _atoms(pattern: str) -> list[tuple[str, str]]:
    """Return the (atom, repetition) of a pattern without alternatives; a group is one atom, and so is a class."""
    found = []
    begin = after = 0
    for at, part, depth in _parts(pattern):
        if at < after or depth:  # in a repetition or a group
            begin = at if part == "(" and depth == 1 else begin
            continue
        end = at + len(part)
        repetition = match[0] if (match := _REPETITION.match(pattern, end)) else ""
        after = end + len(repetition)
        found.append((pattern[begin if part == ")" else at : end], repetition))
    return found


def _is_word_at_end(pattern: str, end: int, depth: int = 0) -> bool:
    """Return True if whatever matches ``pattern`` has a letter of words as its first (``end`` 0) or last (-1).

    Groups inside many others are not looked into.
    """
    for alternative in _alternatives(pattern):
        atoms = _atoms(alternative)
        if not atoms or not _AT_LEAST_ONE.fullmatch(atoms[end][1]):
            return False
        atom = atoms[end][0]
        if atom.startswith(r"\Q"):
            atom = atom[2:].removesuffix(r"\E")[end:][:1]
        if atom.startswith("("):
            group = _GROUP.match(atom)
            inside = "" if group is None or depth == _MOST_DEPTH else atom[group.end() : -1]
            if not _is_word_at_end(inside, end, depth + 1):
                return False
        elif not _WORD_LETTERS.fullmatch(atom) or any(unicodedata.category(letter) == "No" for letter in atom):
            return False
    return True


def _without_edges(parts: Sequence[str], ascii_only: re.Pattern[str]) -> str:
    """Return a pattern without ``\\B``, and without each ``\\b`` that is not certain to be next to an ASCII letter.

    RE2 would miss matches there.
    """
    found = []
    for number, part in enumerate(parts):
        before, after = parts[number - 1] if number else "", "".join(parts[number + 1 : number + 3])
        if part == r"\B" or (part == r"\b" and not (ascii_only.fullmatch(before) or ascii_only.match(after))):
            found.append("(?:)")
        else:
            found.append(part)
    return "".join(found)


def with_unicode_classes(pattern: str) -> str:
    """Return ``pattern``, a regex in RE2's syntax, with its classes extended to any script; unchanged if it has none.

    An invalid pattern stays invalid.
    """
    return "".join(_with_unicode(part) for _, part, _ in _parts(pattern))


def _with_unicode(part: str) -> str:
    if part.startswith("["):
        return part[0] + _IN_A_CLASS.sub(lambda match: _IN_CLASS.get(match[1], match[0]), part[1:])
    letter = part[1:] if part.startswith("\\") else ""
    if letter in _MEMBERS:
        return f"[{_MEMBERS[letter]}]"
    if letter.lower() in _MEMBERS:
        return f"[^{_MEMBERS[letter.lower()]}]"
    return part
