"""Gives ``\\w``, ``\\d`` and ``\\s`` in regexes the letters, digits and spaces of any script; RE2's are ASCII only.

``\\b`` at the ends of a pattern is the edge of a word of any script. Inside a pattern RE2 cannot express that: there it
may match where no word ends. ``\\W`` and ``\\S`` inside a class, where RE2 has no syntax for such a complement, remain
ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_MEMBERS: Final = {
    "w": r"\pL\pM\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}",
    "d": r"\p{Nd}",
    "s": r"\t\n\v\f\r\x{85}\pZ",
}
_IN_CLASS: Final = {**_MEMBERS, "D": r"\P{Nd}"}


NO_WORD: Final = r"[^\pL\pM\pN\p{Pc}]"
_FLAGS: Final = re.compile(r"\(\?[a-zA-Z]+\)")
_BEGINS_WORD: Final = re.compile(r"\\[wdpP]|[\w\[(]")
_ENDS_WORD: Final = re.compile(r".*(?<!\\)(?:\\\\)*(?:\\[wd]|[\w\])])[*+?]?", re.DOTALL)


def for_any_script(pattern: str) -> tuple[str, int]:
    """Return ``pattern``, a regex in RE2's syntax, for text in any script, and the group that is its match.

    It is unchanged, and the group 0, if it has neither classes nor edges of words.
    """
    flags = match[0] if (match := _FLAGS.match(pattern)) else ""
    body = pattern[len(flags) :]
    start = body.startswith(r"\b") and _BEGINS_WORD.match(body, 2) is not None
    rest = body[2:] if start else body
    end = rest.endswith(r"\b") and _ENDS_WORD.fullmatch(rest[:-2]) is not None
    rest = rest[:-2] if end else rest
    if _has_alternatives(rest):
        start, end, rest = False, False, body
    inner = with_unicode_classes(_without_edges_inside(rest))
    if not start and not end:
        return (flags + inner, 0)
    before, after = (f"(?:^|{NO_WORD})" if start else ""), (f"(?:{NO_WORD}|$)" if end else "")
    return f"{flags}{before}({inner}){after}", 1


def _parts(pattern: str) -> Iterator[tuple[int, str, int]]:
    """Yield (offset, letter or escape, depth of groups) outside of classes; a class is one part."""
    at = depth = 0
    while at < len(pattern):
        size = 1
        if pattern[at] == "\\":
            size = 2
            if pattern.startswith("Q", at + 1):
                end = pattern.find("\\E", at)
                size = len(pattern) - at if end < 0 else end + 2 - at
        elif pattern[at] == "[":
            size = _class_size(pattern, at)
        depth += {"(": 1, ")": -1}.get(pattern[at : at + size], 0)
        yield at, pattern[at : at + size], depth
        at += size


def _class_size(pattern: str, at: int) -> int:
    end = at + 1 + pattern.startswith("^", at + 1)
    end += pattern.startswith("]", end)
    while end < len(pattern) and pattern[end] != "]":
        if pattern.startswith("[:", end) and (posix := pattern.find(":]", end)) > 0:
            end = posix + 1
        end += 2 if pattern[end] == "\\" else 1
    return min(end + 1, len(pattern)) - at


def _has_alternatives(pattern: str) -> bool:
    return any(part == "|" and depth == 0 for _, part, depth in _parts(pattern))


def _without_edges_inside(pattern: str) -> str:
    """Return ``pattern`` without each ``\\b`` beside which no letter of ASCII stands: RE2 would miss matches there."""
    found = []
    parts = list(_parts(pattern))
    for number, (_, part, _) in enumerate(parts):
        beside = [parts[other][1] for other in (number - 1, number + 1) if 0 <= other < len(parts)]
        if part != r"\b" or any(one.isascii() and (one.isalnum() or one == "_") for one in beside):
            found.append(part)
    return "".join(found)


def with_unicode_classes(pattern: str) -> str:
    """Return ``pattern``, a regex in RE2's syntax, with its classes extended to any script; unchanged if it has none.

    An invalid pattern stays invalid.
    """
    found: list[str] = []
    at = 0
    in_class = False
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\" and at + 1 < len(pattern):
            if pattern[at + 1] == "Q" and not in_class:
                end = pattern.find("\\E", at)
                end = len(pattern) if end < 0 else end + 2
                found.append(pattern[at:end])
                at = end
                continue
            found.append(_in_class(pattern[at + 1]) if in_class else _outside(pattern[at + 1]))
            at += 2
            continue
        if not in_class and letter == "[":
            in_class = True
            start = at + 1 + pattern.startswith("^", at + 1)
            end = start + pattern.startswith("]", start)  # a bracket at the start stands for itself
            found.append(pattern[at:end])
            at = end
            continue
        if in_class and pattern.startswith("[:", at):  # a POSIX class, which is ASCII by definition
            end = pattern.find(":]", at)
            end = len(pattern) if end < 0 else end + 2
            found.append(pattern[at:end])
            at = end
            continue
        if in_class and letter == "]":
            in_class = False
        found.append(letter)
        at += 1
    return "".join(found)


def _outside(letter: str) -> str:
    if letter in _MEMBERS:
        return f"[{_MEMBERS[letter]}]"
    if letter.lower() in _MEMBERS:
        return f"[^{_MEMBERS[letter.lower()]}]"
    return f"\\{letter}"


def _in_class(letter: str) -> str:
    return _IN_CLASS.get(letter, f"\\{letter}")
