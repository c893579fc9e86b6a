"""The asynchronous tests of this folder run on asyncio, as the daemon does, mostly over a root of one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.trees import tree


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path / "root", {"src/a.py": "a"})


@pytest.fixture
def cookies(tmp_path: Path) -> Path:
    return tmp_path / "cookies"
