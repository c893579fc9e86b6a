"""Gives ``\\w``, ``\\d`` and ``\\s`` in regexes the letters, digits and spaces of any script; RE2's are ASCII only.

``\\b`` remains RE2's and knows ASCII letters only. So do ``\\W`` and ``\\S`` inside a class, where RE2 has no syntax
for such a complement.
"""

from __future__ import annotations

from typing import Final

_MEMBERS: Final = {
    "w": r"\pL\pM\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}",
    "d": r"\p{Nd}",
    "s": r"\t\n\v\f\r\x{85}\pZ",
}
_IN_CLASS: Final = {**_MEMBERS, "D": r"\P{Nd}"}


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
