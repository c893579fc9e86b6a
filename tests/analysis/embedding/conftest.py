"""Endpoints on loopback, and an environment in which child processes find the test models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analysis.embedding.embedding_server import EmbeddingServer
from support.places import TESTS


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.delenv("CODEINDEXD_EMBEDDING_API_KEY", raising=False)


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as server:
        yield server
