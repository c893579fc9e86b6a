"""Changing from one endpoint to another: the previous model answers, verify knows, and nothing keeps it forever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.embedding.embedding_server import EmbeddingServer
from support.daemons import RealDaemon, real_daemon, until
from support.trees import tree

PROJECT = {f"part{n}.py": f"def function_number_{n}(a, b):\n    return a * {n} + b\n" for n in range(6)}


@pytest.fixture
def endpoint() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tree(tmp_path / "project", {**PROJECT, "odd.py": "def odd():\n    return 'ODD'\n"})


def config(endpoint: EmbeddingServer, model: str) -> str:
    return f'[embedding]\nmodel = "{endpoint.url}/v1#model={model}&dimensions=16"\n[workers]\nnice = 0\n'


def configure(daemon: RealDaemon, text: str) -> None:
    daemon.stop()
    (daemon.home / "config/codeindexd/config.toml").write_text(text)
    daemon.start()


@pytest.fixture
def daemon(endpoint: EmbeddingServer, project: Path) -> Iterator[RealDaemon]:
    """A daemon with all vectors of the first model."""
    with real_daemon(config(endpoint, "first")) as started:
        started.call("roots.add", path=str(project), wait=True)
        until(lambda: pending(started) == 0, what="all vectors of the first model")
        yield started


def pending(daemon: RealDaemon) -> int:
    count: int = daemon.call("status")["embedder"]["pending"]
    return count


def answering(daemon: RealDaemon) -> set[str]:
    """Return the identities of the models that the root has an index for."""
    return {place.name for place in daemon.home.glob("cache/codeindexd/roots/*/dense/*")}


def test_verify_and_restarts_while_the_former_model_answers(daemon: RealDaemon, endpoint: EmbeddingServer) -> None:
    former = answering(daemon)
    endpoint.refuse = "function_number"
    endpoint.script = [500] * 10_000  # and what is not refused has to wait
    configure(daemon, config(endpoint, "second"))
    for _ in range(2):
        until(lambda: daemon.call("status")["roots"][0]["state"] in ("fresh", "degraded"), what="the first walk")
        daemon.call("sync")
        assert pending(daemon) == 7
        checked = daemon.call("verify")
        assert checked["ok"], checked
        configure(daemon, config(endpoint, "second"))
        assert former < answering(daemon), "its vectors are kept, and somebody can ask it"


def test_a_text_that_the_new_model_refuses_does_not_keep_the_former_one(
    daemon: RealDaemon, endpoint: EmbeddingServer, project: Path
) -> None:
    former = answering(daemon)
    endpoint.refuse = "ODD"
    configure(daemon, config(endpoint, "second"))
    until(lambda: answering(daemon).isdisjoint(former), what="the new model's turn")
    assert pending(daemon) == 1
    assert daemon.call("verify")["ok"]
    (project / "new.py").write_text("def brand_new_code():\n    return 1\n")
    daemon.call("sync")
    until(lambda: pending(daemon) == 1, what="the new file's vector")
    assert daemon.call("search", query="brand new code")["dense_coverage"] == pytest.approx(7 / 8)
    assert daemon.call("verify")["ok"]
