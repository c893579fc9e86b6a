"""The lines of a chunk that are shown."""

from __future__ import annotations

from typing import Any

from client.fake_daemon import place
from codeindexd.mcp.excerpts import MAX_LINE_CHARS, Detail, excerpt, headline, words_of

BODY = "\n".join(
    ["@cache", "def load(path):", *(f"    step_{number}()" for number in range(30)), "", "", "    return 1"]
)


def hit(**fields: Any) -> Any:
    return place(
        "/p", **{"snippet": BODY, "start_line": 100, "end_line": 135, "best_line": 120, "symbol": "load", **fields}
    )


def test_the_signature_stays_above_the_best_line() -> None:
    assert excerpt(hit(), Detail.CORE, frozenset()) == (
        "101: def load(path):\n118:     step_16()\n    step_17()\n    step_18()\n    step_19()\n    step_20()"
    )


def test_more_detail_shows_more() -> None:
    sizes = [len(excerpt(hit(), detail, frozenset())) for detail in Detail]
    assert sizes == sorted(sizes)
    assert sizes[0] == 0
    assert excerpt(hit(), Detail.WHOLE, frozenset()) == f"100: {BODY}"


def test_a_form_feed_ends_no_line() -> None:
    text = "def load():\n    a\n\f\n    b\n    c"
    assert excerpt(hit(snippet=text, best_line=103), Detail.LINE, frozenset()) == "103:     b"


def test_blank_lines_at_the_ends_of_a_run_are_left_out() -> None:
    assert excerpt(hit(best_line=134), Detail.CORE, frozenset()) == "101: def load(path):\n134:     return 1"
    assert excerpt(hit(best_line=132), Detail.LINE, frozenset()) == ""
    assert excerpt(hit(best_line=133), Detail.CORE, frozenset()) == (
        "101: def load(path):\n131:     step_29()\n\n\n    return 1"
    )


def test_a_long_line_is_cut_around_the_match() -> None:
    line = f"{'x ' * 5000}needle{' y' * 5000}"
    shown = excerpt(hit(snippet=line, best_line=100), Detail.LINE, words_of("the needle"))
    assert "needle" in shown
    assert len(shown) < MAX_LINE_CHARS + 20


def test_a_signature_is_not_looked_for_in_comments() -> None:
    text = "# load reads\n# more\ndef load():\n    a\n    b\n    c\n    d\n    e"
    assert excerpt(hit(snippet=text, best_line=107), Detail.CORE, frozenset()).startswith("102: def load():\n105:")


def test_lines_of_a_notebook_are_counted_in_the_cell() -> None:
    shown = excerpt(
        hit(snippet="import a\nload()", cell=3, cell_line=1, best_cell_line=2, best_line=240, start_line=238),
        Detail.LINE,
        frozenset(),
    )
    assert shown == "2: load()"


def test_a_headline_names_place_symbol_kind_and_copies() -> None:
    assert headline(hit(copy_count=1, cell=3), "a.ipynb") == "a.ipynb:120  cell 3  load  function  +1 identical copy"
    assert len(headline(hit(symbol="s" * 5000), "p" * 5000)) < 600
