"""A fake daemon for the command-line tests, which run inside its only root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.fake_daemon import FakeDaemon


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    (tmp_path / "p").mkdir()
    monkeypatch.chdir(tmp_path / "p")
    with FakeDaemon(tmp_path / "s", roots={str(tmp_path / "p"): "fresh"}) as running:
        yield running
