"""The shared vector store when it cannot be used: text stays searchable, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from support.daemons import RealDaemon, real_daemon, until
from support.trees import tree

CONFIG = "[workers]\nnice = 0\n"


def state(daemon: RealDaemon) -> str:
    found: str = daemon.call("status")["roots"][0]["state"]
    return found


def found(daemon: RealDaemon, query: str) -> str:
    """Return the path of the first hit."""
    hits = daemon.call("search", query=query)["hits"]
    return str(hits[0]["path"]) if hits else ""


def test_a_daemon_starts_and_answers_while_the_vector_store_cannot_be_used(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", {"first.py": "def first_function():\n    return 1\n"})
    with real_daemon(CONFIG) as daemon:
        daemon.call("roots.add", path=str(project), wait=True)
        daemon.stop()
        vectors = daemon.home / "cache/codeindexd/vectors.db"
        vectors.rename(vectors.with_name("aside"))
        vectors.mkdir()
        (project / "second.py").write_text("def second_function():\n    return 2\n")
        daemon.start()
        until(lambda: state(daemon) == "degraded", what="the commit that waits")
        assert found(daemon, "first_function") == "first.py"
        (problem,) = daemon.call("status")["roots"][0]["problems"]
        assert (problem["message"] != "", problem["hint"] != "") == (True, True)
        vectors.rmdir()
        vectors.with_name("aside").rename(vectors)
        assert daemon.call("search", query="second_function", sync=True)["hits"][0]["path"] == "second.py"
        until(lambda: state(daemon) == "fresh", what="recovery")
        assert daemon.call("verify")["ok"]


def test_a_vector_store_deleted_under_the_daemon_is_made_anew(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", {"first.py": "def first_function():\n    return 1\n"})
    with real_daemon(CONFIG) as daemon:
        daemon.call("roots.add", path=str(project), wait=True)
        for file in daemon.home.glob("cache/codeindexd/vectors.db*"):
            file.unlink()
        (project / "second.py").write_text("def second_function():\n    return 2\n")
        until(lambda: found(daemon, "second_function") == "second.py", what="the new file")
        until(lambda: state(daemon) == "fresh", what="recovery")
        assert daemon.call("verify")["ok"]
        assert daemon.stop() == 0
