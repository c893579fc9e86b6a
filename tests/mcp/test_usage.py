"""Counting what agents asked."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

from codeindexd.mcp import usage
from codeindexd.mcp.answers import Answer


def answer(*places: str, text: str = "word " * 100) -> Answer:
    return Answer(text, {"hits": [{"place": place, "text": "x"} for place in places]})


def test_answers_and_tokens_are_counted_by_tool(tmp_path: Path) -> None:
    file = tmp_path / "state/usage.json"
    usage.record(file, "search", answer(), "/p")
    usage.record(file, "search", answer(), "/p")
    usage.record(file, "grep", answer(), "/p")
    assert usage.read(file)["tools"] == {
        "search": {"calls": 2, "tokens": 200, "saved": 0},
        "grep": {"calls": 1, "tokens": 100, "saved": 0},
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "/p" not in file.read_text()


def test_the_first_three_files_shown_would_have_been_read(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.py").write_bytes(b"x" * 4000)
    (tmp_path / "big.py").write_bytes(b"x" * 1_000_000)
    file = tmp_path / "usage.json"
    usage.record(file, "search", answer(*(f"{number}.py:1  f  function" for number in (0, 0, 1, 2, 3))), str(tmp_path))
    assert usage.read(file)["tools"]["search"]["saved"] == 3 * 1000 - 100
    usage.record(file, "symbol", answer(f"{tmp_path}/big.py:1  f  function", "gone.py:1"), str(tmp_path))
    assert usage.read(file)["tools"]["symbol"]["saved"] == 20_000 - 100
    usage.record(file, "related", answer("0.py:1", text="word " * 5000), str(tmp_path))
    assert usage.read(file)["tools"]["related"]["saved"] == 0
    usage.record(file, "grep", answer("0.py:1"), str(tmp_path))
    assert usage.read(file)["tools"]["grep"]["saved"] == 0


def test_many_servers_count_together(tmp_path: Path) -> None:
    file = tmp_path / "usage.json"
    threads = [
        threading.Thread(target=lambda: [usage.record(file, "search", answer(), "/p") for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert usage.read(file)["tools"]["search"]["calls"] == 400


def test_a_damaged_or_unwritable_file_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "usage.json"
    for text in ("", "{", "[]", '{"since": 5}', '{"since": "2026", "tools": {"search": {"calls": "x"}}}'):
        file.write_text(text)
        assert usage.read(file)["tools"] == {}
        usage.record(file, "search", answer(), "/p")
        assert usage.read(file)["tools"]["search"]["calls"] == 1
    usage.record(tmp_path, "search", answer(), "/p")  # a directory
