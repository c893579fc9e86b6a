"""What is blanked out before a text is parsed takes time in proportion to the text."""

from __future__ import annotations

import time

import pytest

from codeindexd.analysis.chunking.noise import with_main_branches, without_noise, without_suspects


@pytest.mark.parametrize("language", ["c", "cpp"])
@pytest.mark.parametrize(
    "piece",
    [
        b"A_B ",
        b"LIB_X\n",
        b"LIB_X \n\n",
        b"A_B x(a) noexcept ",
        b"class LIB_X(a) B<",
        b"struct __a b<",
        b"A_B a::b<c>* ",
        b"A_B\ttemplate",
        b") const A_B(a) ",
        b"#if 0\n",
        b"#if A\nx\n#else\n",
    ],
)
def test_time_is_linear_in_the_text(language: str, piece: bytes) -> None:
    text = piece * (120_000 // len(piece)) + (b"#endif\n" * 30_000 if piece.startswith(b"#if") else b"")
    began = time.process_time()
    for blank in (without_noise, without_suspects, with_main_branches):
        assert len(blank(text, language)) == len(text)
    assert time.process_time() - began < 5


def test_macros_before_declarations_are_blanked_out() -> None:
    text = b"LIB_API static const std::map<int, T>* const names(int);\nLIB_API Point(int x) noexcept : x_(x) {}\n"
    assert without_suspects(text, "cpp") == text.replace(b"LIB_API", b"       ")
