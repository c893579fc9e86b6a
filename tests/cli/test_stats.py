"""``codeindex stats``."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from codeindexd.cli import stats
from codeindexd.cli.terminal import Terminal
from codeindexd.mcp import usage
from codeindexd.mcp.answers import Answer


def test_a_table_shows_the_tools_and_their_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    out, err = io.StringIO(), io.StringIO()
    stats.show(Terminal(out, err, {}), stats.result())
    assert err.getvalue() == "no agent has asked anything yet: codeindex agents install\n"
    for tool in ("search", "search", "grep"):
        usage.record(stats.usage_file(), tool, Answer("word " * 1000, {}), "/p")
    result = stats.result()
    assert (result["calls"], result["tokens"], result["saved"]) == (3, 3000, 0)
    stats.show(Terminal(out, err, {}), result)
    lines = out.getvalue().splitlines()
    assert lines[1].split() == ["search", "2", "2,000", "0"]
    assert lines[3].split() == ["all", "3", "3,000", "0"]
    assert "as if the first three files" in lines[4]
