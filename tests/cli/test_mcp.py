"""The options of ``codeindex mcp``."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from codeindexd.cli.mcp import _token
from codeindexd.errors import UsageError


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


def test_blanks_around_a_token_do_not_count_since_a_header_loses_them() -> None:
    assert _token({"CODEINDEX_MCP_TOKEN": " given\n"}) == ("given", "CODEINDEX_MCP_TOKEN")


@pytest.mark.parametrize("token", ["  ", "two words", "tök", "tab\there"])
def test_a_token_that_no_host_can_present_is_an_error(token: str) -> None:
    with pytest.raises(UsageError, match="the token in CODEINDEX_MCP_TOKEN must consist of ASCII letters"):
        _token({"CODEINDEX_MCP_TOKEN": token})
