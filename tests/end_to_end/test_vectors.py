"""The shared vector store when it cannot be used: text stays searchable, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.embedding.embedding_server import EmbeddingServer
from support.daemons import RealDaemon, real_daemon, until
from support.trees import tree

CONFIG = "[workers]\nnice = 0\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tree(tmp_path / "project", {"first.py": "def first_function():\n    return 1\n"})


@pytest.fixture
def with_endpoint(project: Path) -> Iterator[RealDaemon]:
    """A daemon with a slow model, whose vectors are stored, and the project's vectors in its store."""
    with EmbeddingServer() as server:
        model = f'[embedding]\nmodel = "{server.url}/v1#model=some&dimensions=16"\n'
        with real_daemon(model + CONFIG) as daemon:
            daemon.call("roots.add", path=str(project), wait=True)
            until(lambda: pending(daemon) == 0, what="all vectors")
            yield daemon


def state(daemon: RealDaemon) -> str:
    found: str = daemon.call("status")["roots"][0]["state"]
    return found


def pending(daemon: RealDaemon) -> int:
    found: int = daemon.call("status")["roots"][0]["pending_vectors"]
    return found


def found(daemon: RealDaemon, query: str) -> str:
    """Return the path of the first hit."""
    hits = daemon.call("search", query=query)["hits"]
    return str(hits[0]["path"]) if hits else ""


def store_of(daemon: RealDaemon) -> Path:
    return daemon.home / "cache/codeindexd/vectors.db"


def test_a_daemon_starts_and_answers_while_the_vector_store_cannot_be_used(
    with_endpoint: RealDaemon, project: Path
) -> None:
    daemon = with_endpoint
    daemon.stop()
    vectors = store_of(daemon)
    vectors.rename(vectors.with_name("aside"))
    vectors.mkdir()
    (project / "second.py").write_text("def second_function():\n    return 2\n")
    daemon.start()
    until(lambda: state(daemon) == "degraded", what="the vectors that wait")
    assert found(daemon, "first_function") == "first.py"
    assert daemon.call("search", query="second_function", sync=True)["hits"][0]["path"] == "second.py"
    problem = daemon.call("status")["roots"][0]["problems"][0]
    assert (problem["message"] != "", problem["hint"] != "") == (True, True)
    vectors.rmdir()
    vectors.with_name("aside").rename(vectors)
    until(lambda: state(daemon) == "fresh" and pending(daemon) == 0, what="recovery", timeout_s=40)
    assert daemon.call("verify")["ok"]


def test_the_bundled_model_needs_no_vector_store(project: Path) -> None:
    with real_daemon(CONFIG) as daemon:
        daemon.call("roots.add", path=str(project), wait=True)
        daemon.stop()
        vectors = store_of(daemon)
        vectors.unlink()
        vectors.mkdir()
        daemon.start()
        (project / "second.py").write_text("def second_function():\n    return 2\n")
        assert daemon.call("search", query="second_function", sync=True)["hits"][0]["path"] == "second.py"
        status = daemon.call("status")["roots"][0]
        assert (status["state"], status["pending_vectors"], status["problems"]) == ("fresh", 0, [])
        assert daemon.call("verify")["ok"]


def test_a_vector_store_deleted_under_the_daemon_is_created_again(with_endpoint: RealDaemon, project: Path) -> None:
    daemon = with_endpoint
    for file in daemon.home.glob("cache/codeindexd/vectors.db*"):
        file.unlink()
    (project / "second.py").write_text("def second_function():\n    return 2\n")
    until(lambda: found(daemon, "second_function") == "second.py", what="the new file")
    until(lambda: state(daemon) == "fresh" and pending(daemon) == 0, what="recovery", timeout_s=40)
    assert daemon.call("verify")["ok"]
    assert daemon.stop() == 0
