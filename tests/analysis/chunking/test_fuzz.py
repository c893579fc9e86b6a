"""Mutated real files in every grammar: nothing raises, all guarantees hold, equal input gives equal chunks."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from analysis.chunking.test_chunker import check
from codeindexd.analysis.chunking.chunker import chunk
from codeindexd.analysis.chunking.grammars import LANGUAGES

SAMPLES = Path(__file__).parent / "samples"
SECONDS = 0.5  # for each language
ROUNDS = 60
_NOISE = [
    b"\0",
    b"\xff",
    b"{",
    b"}",
    b"(",
    b'"',
    b"'",
    b"\n",
    b"\r",
    b"/*",
    b"*/",
    b"`",
    b"<",
    b"#",
    b"\xe2\x80\xa8",
    b"  ",
]


def mutated(text: bytes, random: Random, other: bytes) -> bytes:
    """Return ``text`` with a few cuts, repeats, swaps, noise, and pieces of another language."""
    data = bytearray(text)
    for _ in range(random.randrange(1, 8)):
        at = random.randrange(len(data) + 1)
        to = min(len(data), at + random.randrange(1, 80))
        match random.randrange(5):
            case 0:
                del data[at:to]
            case 1:
                data[at:at] = data[at:to] * random.randrange(1, 6)
            case 2:
                data[at:at] = random.choice(_NOISE) * random.randrange(1, 4)
            case 3:
                start = random.randrange(len(other))
                data[at:to] = other[start : start + 60]
            case _:
                data[at:to] = bytes(reversed(data[at:to]))
    return bytes(data)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_all_guarantees_hold_for_mutated_files(language: str) -> None:
    name = language if (SAMPLES / f"{language}.sample").exists() else "ocaml"
    text = (SAMPLES / f"{name}.sample").read_bytes()
    others = [path.read_bytes() for path in sorted(SAMPLES.glob("*.sample"))]
    random = Random(language)
    stop = time.monotonic() + SECONDS  # limits the time; every round is the same on every machine
    for _ in range(ROUNDS):
        broken = mutated(text, random, random.choice(others))
        target = random.choice((60, 300, 1000))
        spans = chunk(broken, language, target_chars=target)
        check(broken, spans)
        assert spans == chunk(broken, language, target_chars=target)
        if time.monotonic() > stop:
            break


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_all_guarantees_hold_for_files_of_other_languages(language: str) -> None:
    for path in SAMPLES.glob("*.sample"):
        text = path.read_bytes()
        check(text, chunk(text, language, target_chars=200))
