"""Lines of a snippet are those of an editor, of git and of grep."""

from __future__ import annotations

import pytest

from codeindexd.protocol.snippets import lines_of


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\nb\n", ["a", "b"]),
        ("a\r\n\r\nb", ["a", "", "b"]),
        ("\n\n", ["", ""]),
        ("a\n\f\nb\v\x1c\x85\u2028\u2029c\nd", ["a", "\f", "b\v\x1c\x85\u2028\u2029c", "d"]),
        ("a\rb\n", ["a\rb"]),
    ],
)
def test_lines(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines
