"""The titles of sections."""

from __future__ import annotations

import pytest

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.headings import plain_title


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("Install", "Install"),
        ("[Guide](https://example.org/guide)", "Guide"),
        ("Posting ([.kt][Kotlin], [.java][Java])", "Posting (.kt, .java)"),
        ("Gyro [![Tests](https://example.org/b.svg?branch=main)][3] ![v1](v1.svg)", "Gyro"),
        ("[![Gyro](logo.png)](https://example.org)", "Gyro"),
        ("![Gyro](logo.png)", "Gyro"),
        ('<a name="use"></a>Use <img src="x.png">', "Use"),
        ('<img src="x.png">', '<img src="x.png">'),
        ("[Unreleased]", "[Unreleased]"),
        ("[1.2.3] - 2026-04-01", "[1.2.3] - 2026-04-01"),
        ("ctx.throw([status], [msg])", "ctx.throw([status], [msg])"),
        ("`Dict[str](x)` and Vec<T>", "`Dict[str](x)` and Vec<T>"),
        ("[`gyro.spin`](spin.md)", "`gyro.spin`"),
        ("a < b > c", "a < b > c"),
    ],
)
def test_a_title_is_what_a_reader_sees(heading: str, title: str) -> None:
    assert plain_title(heading) == title


def test_the_place_of_a_title_is_its_first_word() -> None:
    text = b"# Guide\n\n## [Spin](spin.md) the [gyro](gyro.md)\n\nSo.\n"
    found = analyse(text, "markdown").definitions[1]
    assert (found.name, found.qualified) == ("Spin the gyro", "Guide > Spin the gyro")
    assert (found.line, found.column) == (3, 5)


def test_long_headings_take_linear_time() -> None:
    for piece in ("[", "![", "[a](", "<a ", "`", "[![a]("):
        assert plain_title(piece * 20_000)
