"""Definitions in code that is hard to read: macros, templates, generics, decorators, unusual layouts.

The sources were written for this, and what they define was checked by reading them. Left out on purpose: imports,
variables inside functions, anonymous classes, and members with computed names.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from codeindexd.analysis.chunking.chunker import analyse

SOURCES = Path(__file__).parent / "difficult"
LANGUAGES = sorted(path.stem for path in SOURCES.glob("*.sample"))


def test_there_are_many_languages() -> None:
    assert len(LANGUAGES) >= 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_definition_is_found_on_its_line(language: str) -> None:
    found: dict[int, list[str]] = {}
    for one in analyse((SOURCES / f"{language}.sample").read_bytes(), language).definitions:
        found.setdefault(one.line, []).append(f"{one.kind} {one.qualified}")
    lines = [f"{line}: {', '.join(found[line])}" for line in sorted(found)]
    assert lines == (SOURCES / f"{language}.expected").read_text().splitlines()
