"""Estimates how many tokens a text costs a language model, without a tokenizer.

Every model has its own tokenizer, so the estimate has to hold for all of them. On 600 source files of 18 languages it
is 1.15 times the count of OpenAI's o200k_base and cl100k_base (median; 0.99 times in the worst percentile), which
leaves room for the finer tokenizers of others.
"""

from __future__ import annotations

import re

_PIECE = re.compile(r"[A-Za-z]+|[0-9]+|\s+|[^\sA-Za-z0-9]+")
_LETTERS = 7  # a longer word is split
_DIGITS = 3
_SIGNS = 2  # ASCII punctuation: `);` and `->` are one token


def count(text: str) -> int:
    """Return the estimated number of tokens of ``text``."""
    return sum(_cost(match[0]) for match in _PIECE.finditer(text))


def _cost(piece: str) -> int:
    first = piece[0]
    if first.isspace():
        return int(len(piece) > 1 or first == "\n")  # one space belongs to the word after it
    if not piece.isascii():
        return (2 * len(piece.encode("utf-8", "surrogatepass")) + 4) // 5
    size = _LETTERS if first.isalpha() else _DIGITS if first.isdigit() else _SIGNS
    return -(-len(piece) // size)
