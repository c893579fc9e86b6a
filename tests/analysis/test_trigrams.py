"""The trigrams of a text, against the plainest way to find them."""

from __future__ import annotations

import random

import pytest

from codeindexd.analysis import trigrams
from codeindexd.analysis.trigrams import fold, trigrams_of


def plainly(text: bytes) -> list[int]:
    """Return the trigrams of a text, one after the other."""
    runs = {text[at : at + 3] for at in range(len(text) - 2)}
    return sorted(int.from_bytes(fold(run)) for run in runs if b"\n" not in run)


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 64, 1 << 20])
def test_pieces_of_any_size_give_the_same(piece_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigrams, "_PIECE_BYTES", piece_bytes)
    chosen = random.Random(piece_bytes)
    for size in (*range(12), 63, 64, 65, 66, 67, 300):
        text = bytes(chosen.choices(b"abC\n\xc3\xa4", k=size))
        assert trigrams_of(text).tolist() == plainly(text)
