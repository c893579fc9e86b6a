"""Commits searched over a real daemon: the command, the client, the tool, and what they say when they cannot."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.daemons import RealDaemon, real_daemon, until
from support.git_repository import TestRepository

pytestmark = pytest.mark.processes

CODE = "class Session:\n    def refresh(self):\n        return {0}\n"


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    made = TestRepository(tmp_path / "project")
    made.commit({"src/session.py": CODE.format(1), "README.md": "# Sessions\n"}, "Begin")
    made.commit(
        {"src/session.py": CODE.format(3600)},
        "Expire cookies after an hour (#41)\n\nStolen cookies were valid too long.",
    )
    made.commit({"docs/guide.md": "# Guide\n"}, "Write a guide")
    return made


def complete(daemon: RealDaemon) -> dict[str, Any]:
    def state() -> dict[str, Any] | None:
        history: dict[str, Any] = daemon.call("status")["roots"][0]["history"]
        return history if history["state"] in ("complete", "unavailable", "off") else None

    return until(state, timeout_s=60, what="the history")


@pytest.fixture
def indexed(daemon: RealDaemon, repository: TestRepository) -> TestRepository:
    daemon.call("roots.add", path=str(repository.top), wait=True)
    assert complete(daemon) == {"state": "complete", "commits": 3, "total": 3, "branch": "main"}
    return repository


@pytest.fixture
def run(daemon: RealDaemon, indexed: TestRepository) -> Callable[..., tuple[int, Any]]:
    def run(*words: str) -> tuple[int, Any]:
        done = daemon.run(*words, "--json", cwd=indexed.top)
        return done.returncode, json.loads(done.stdout)

    return run


def test_questions_and_filters(run: Callable[..., tuple[int, Any]], indexed: TestRepository) -> None:
    code, found = run("log", "why do cookies expire")
    assert code == 0
    best = found["commits"][0]
    assert (best["subject"], best["lines"]) == (
        "Expire cookies after an hour (#41)",
        ["Stolen cookies were valid too long."],
    )
    assert (best["changes"][0]["path"], best["changes"][0]["definitions"]) == ("src/session.py", ["Session.refresh"])
    assert (found["ranked"], found["searched"]) == (True, 3)
    assert run("log")[1]["commits"][0]["subject"] == "Write a guide"
    assert [one["subject"] for one in run("log", "#41")[1]["commits"]] == ["Expire cookies after an hour (#41)"]
    assert len(run("log", "-path:docs/**")[1]["commits"]) == 2
    assert run("search", "--commits", "guide")[1]["commits"][0]["subject"] == "Write a guide"
    assert run("log", "author:nobody")[0] == 1
    code, refused = run("log", "since:whenever")
    assert (code, refused["error"]["message"]) == (2, "not a date: whenever")


def test_text_for_people(daemon: RealDaemon, indexed: TestRepository) -> None:
    shown = daemon.run("log", "cookies", cwd=indexed.top).stdout
    assert "Expire cookies after an hour (#41)" in shown
    assert "    Stolen cookies were valid too long." in shown
    assert "    src/session.py +1 -1" in shown
    lines = daemon.run("log", "--oneline", "-n", "2", cwd=indexed.top).stdout.splitlines()
    assert [line.split("  ")[-1] for line in lines] == ["Write a guide", "Expire cookies after an hour (#41)"]
    nothing = daemon.run("log", "author:nobody", cwd=indexed.top)
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "no commit passes the filters" in nothing.stderr
    assert "history: 3 commits" in daemon.run("status", cwd=indexed.top).stdout


def test_the_last_commits_of_hits(daemon: RealDaemon, indexed: TestRepository) -> None:
    found = daemon.call("search", query="refresh", roots=[str(indexed.top)], last_commit=True)
    last = next(hit for hit in found["hits"] if hit["path"] == "src/session.py")["last_commit"]
    assert (last["subject"], last["of"]) == ("Expire cookies after an hour (#41)", "definition")
    plain = daemon.call("search", query="refresh", roots=[str(indexed.top)])
    assert "last_commit" not in plain["hits"][0]
    shown = daemon.run("search", "--last-commit", "Session.refresh", cwd=indexed.top).stdout
    assert "Expire cookies after an hour (#41)" in shown


def test_a_commit_is_there_after_sync(daemon: RealDaemon, indexed: TestRepository) -> None:
    indexed.commit({"src/new.py": "x = 1\n"}, "Add something new")
    found = daemon.call("history.log", roots=[str(indexed.top)], limit=1, sync=True)
    assert found["commits"][0]["subject"] == "Add something new"


def test_adding_a_repository_says_what_becomes_of_its_history(daemon: RealDaemon, repository: TestRepository) -> None:
    added = daemon.run("add", ".", cwd=repository.top)
    said = r"history: (3 commits|\d of 3 commits so far; .*|not read yet; .*)"
    assert re.fullmatch(said, added.stdout.splitlines()[-1])
    (repository.top.parent / "plain").mkdir()
    plain = daemon.run("add", ".", cwd=repository.top.parent / "plain")
    assert plain.stdout.count("\n") == 1
    assert "history" not in plain.stdout
    repository.commit({"src/new.py": "x = 1\n"}, "Add something new")
    logged = daemon.run("log", "--sync", "-n", "1", "--oneline", cwd=repository.top)
    assert logged.stdout.endswith("Add something new\n")


def test_commits_survive_a_kill(daemon: RealDaemon, indexed: TestRepository) -> None:
    indexed.commit({"src/new.py": "x = 1\n"}, "Before the kill")
    daemon.kill()
    daemon.start()
    found = until(
        lambda: [
            one["subject"]
            for one in daemon.call("history.log", roots=[str(indexed.top)], sync=True)["commits"]
            if one["subject"] == "Before the kill"
        ],
        timeout_s=60,
    )
    assert found == ["Before the kill"]
    assert daemon.call("verify", path=str(indexed.top))["ok"]


def test_a_removed_root_takes_its_history_along(daemon: RealDaemon, indexed: TestRepository) -> None:
    stores = daemon.home / "cache/codeindexd/history"
    assert [path for path in stores.iterdir() if path.is_dir()] != []
    daemon.call("roots.remove", path=str(indexed.top))
    assert [path for path in stores.iterdir() if path.is_dir()] == []


def test_a_directory_without_repository(daemon: RealDaemon, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.py").write_text("x = 1\n")
    daemon.call("roots.add", path=str(tmp_path / "plain"), wait=True)
    assert complete(daemon)["state"] == "unavailable"
    done = daemon.run("log", "anything", cwd=tmp_path / "plain")
    assert done.returncode == 5
    assert "is in no git repository" in done.stderr
    found = daemon.call("search", query="x", roots=[str(tmp_path / "plain")], last_commit=True)
    assert any("is in no git repository" in note for note in found["notes"])


def test_a_history_that_is_switched_off(repository: TestRepository) -> None:
    with real_daemon("[history]\nenabled = false\n") as daemon:
        daemon.call("roots.add", path=str(repository.top), wait=True)
        assert daemon.call("status")["roots"][0]["history"]["state"] == "off"
        done = daemon.run("log", "x", cwd=repository.top)
        assert done.returncode == 5
        assert "the history is switched off" in done.stderr
        assert not list((daemon.home / "cache/codeindexd/history").iterdir())


def test_only_the_newest_commits(repository: TestRepository) -> None:
    with real_daemon("[history]\nmax_commits = 2\n") as daemon:
        daemon.call("roots.add", path=str(repository.top), wait=True)
        assert complete(daemon)["truncated"]
        found = daemon.call("history.log", roots=[str(repository.top)])
        assert len(found["commits"]) == 2
        assert found["notes"] == ["only the newest 2 commits are indexed (history.max_commits)"]
