"""Hostile texts in a child process: shapes that crashed, leaked or took forever, and a few more, per language."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from codeindexd.analysis.chunking.grammars import LANGUAGES
from endurance.hostile.cages import Cage, shrunk
from endurance.hostile.texts import SHAPES

pytestmark = pytest.mark.processes

_BYTES = 8_000
_SHAPES = 4
_KNOWN = (
    ("haskell", b"x\n" + b"let f x = x\n" * 3000),
    ("lua", b"\xea\xb0\x80\n" * 7547 + b"\xea\xb0"),
    ("c", b"namespace" + b" " * 100_000),
    ("c", b"f(" * 20_000),
    ("yaml", b"- " * 20_000),
    ("json", b'"' + b"-eyJ1" * 20_000 + b'"'),
    ("markdown", b"a" + b"\xcc\x81\xcc\xa3" * 20_000),
    ("html", b"<a " * 20_000),
    ("python", b"(" * 900 + b")" * 900),
    ("python", b"def a(a): return a\n" * 20_000),
    ("javascript", b"function a(a) { return a }\n" * 20_000),
)
_REPEATED = (  # took time in proportion to the square of their size
    ("c", b"/* a ", 20_000),
    ("c", b" __init", 20_000),
    ("elixir", b"      [] ->\n", 25_000),
    ("python", b"import subprocess\n", 50_000),
    ("rust", b"use std::pin::Pin;\n", 45_000),
)


@pytest.fixture(scope="module")
def cage() -> Iterator[Cage]:
    with Cage() as one:
        yield one


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_all_guarantees_hold_for_hostile_shapes(cage: Cage, language: str) -> None:
    for name in Random(language).sample(sorted(SHAPES), _SHAPES):
        outcome = cage.try_(language, SHAPES[name](_BYTES)[:_BYTES])
        assert outcome.fate == "fine", (name, outcome)


@pytest.mark.parametrize(("language", "text"), _KNOWN, ids=[f"{one[0]} {one[1][:12]!r}" for one in _KNOWN])
def test_former_failures(cage: Cage, language: str, text: bytes) -> None:
    assert cage.try_(language, text).fate == "fine"


@pytest.mark.parametrize(("language", "line", "count"), _REPEATED, ids=[str(one[0]) for one in _REPEATED])
def test_repeated_lines_take_a_fraction_of_what_a_file_may(language: str, line: bytes, count: int) -> None:
    with Cage(budget_s=5) as cage:
        assert cage.try_(language, line * count).fate == "fine"


def test_a_cage_reports_the_outcome_and_continues() -> None:
    with Cage(budget_s=0.0) as cage:
        assert cage.try_("x" * 70, b"text").fate in {"fine", "hang"}
        child = cage._child or cage._start()
        child.kill()
        assert cage.try_("python", b"x = 1\n").fate == "crash"


def test_shrinking_keeps_the_failing_part() -> None:
    assert shrunk(b"a" * 500 + b"!" + b"b" * 300, lambda text: b"!" in text, tries=200) == b"!"
