"""The lines of a snippet, counted as everywhere: by editors, git and grep."""

from __future__ import annotations


def lines_of(text: str) -> list[str]:
    """Return the lines of a text without their ends, which are ``\\n`` and ``\\r\\n`` only.

    ``str.splitlines`` also splits at form feeds, U+2028 and others, so that all later lines get wrong numbers.
    """
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]
