"""The options of ``codeindex mcp``."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from codeindexd.cli.mcp import _token


def test_a_token_is_made_once_and_kept_for_its_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    token, kept_in = _token({})
    assert len(token) > 30
    assert stat.S_IMODE(Path(kept_in).stat().st_mode) == 0o600
    assert _token({}) == (token, kept_in)
    Path(kept_in).write_text("\n")  # cut off by a full disk: an empty token would admit everybody
    assert len(_token({})[0]) > 30
    assert _token({"CODEINDEX_MCP_TOKEN": "given"}) == ("given", "CODEINDEX_MCP_TOKEN")
