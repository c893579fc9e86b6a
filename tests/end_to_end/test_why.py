"""Questions about the history of lines, files and definitions, over a real daemon."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from support.daemons import RealDaemon
from support.git_repository import TestRepository

pytestmark = pytest.mark.processes

CODE = "class Session:\n    def refresh(self):\n        return {0}\n\n    def close(self):\n        return {1}\n"


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    made = TestRepository(tmp_path / "project")
    made.commit({"src/session.py": CODE.format(1, 2), "tests/test_session.py": "first = 1\n"}, "Begin")
    made.commit(
        {"src/session.py": CODE.format(3, 2), "tests/test_session.py": "first = 3\n"},
        "Refresh thrice (#12)\n\nTwice was not enough.",
    )
    made.commit({"src/session.py": CODE.format(3, 4), "tests/test_session.py": "first = 4\n"}, "Close later")
    return made


@pytest.fixture
def indexed(daemon: RealDaemon, repository: TestRepository) -> TestRepository:
    daemon.call("roots.add", path=str(repository.top), wait=True)
    deadline = time.monotonic() + 60
    while daemon.call("status")["roots"][0]["history"]["state"] != "complete":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return repository


def run(daemon: RealDaemon, top: Path, *words: str) -> tuple[int, Any]:
    done = daemon.run(*words, "--json", cwd=top)
    return done.returncode, json.loads(done.stdout)


def test_why_a_line_is_there(daemon: RealDaemon, indexed: TestRepository) -> None:
    code, found = run(daemon, indexed.top, "why", "src/session.py:3")
    assert code == 0
    (commit,) = found["commits"]
    assert (commit["subject"], commit["body"], commit["references"]) == (
        "Refresh thrice (#12)",
        "Twice was not enough.",
        [12],
    )
    assert commit["lines"] == [[3, 3]]
    assert found["text"] == ["        return 3"]
    assert found["definition"]["symbol"] == "Session.refresh"
    assert [one["subject"] for one in found["earlier"]] == ["Begin"]
    shown = daemon.run("why", "src/session.py:3", cwd=indexed.top).stdout
    assert "Refresh thrice (#12)" in shown
    assert "    Twice was not enough." in shown
    assert "earlier changes of Session.refresh:" in shown


def test_lines_that_are_not_committed(daemon: RealDaemon, indexed: TestRepository) -> None:
    (indexed.top / "src/session.py").write_text("# new\n" + CODE.format(3, 4))
    _, found = run(daemon, indexed.top, "why", "src/session.py:1-4")
    assert (found["lines"][0]["line"], found["lines"][0]["commit"]) == (1, None)
    assert found["commits"][0]["subject"] == "Refresh thrice (#12)"
    assert "not committed" in daemon.run("why", "src/session.py:1", cwd=indexed.top).stdout


def test_why_answers_while_the_history_is_read(daemon: RealDaemon, repository: TestRepository) -> None:
    daemon.call("roots.add", path=str(repository.top), wait=True)
    found = daemon.call("history.why", path=str(repository.top / "src/session.py"), line=3)
    assert found["commits"][0]["subject"] == "Refresh thrice (#12)"


def test_the_history_of_a_file_and_of_a_definition(daemon: RealDaemon, indexed: TestRepository) -> None:
    _, found = run(daemon, indexed.top, "history", "src/session.py")
    assert [one["subject"] for one in found["commits"]] == ["Close later", "Refresh thrice (#12)", "Begin"]
    assert found["commits"][0]["changes"] == [
        {
            "path": "src/session.py",
            "kind": "M",
            "added": 1,
            "removed": 1,
            "definitions": ["Session.close"],
        }
    ]
    _, found = run(daemon, indexed.top, "history", "Session.refresh")
    assert [one["subject"] for one in found["commits"]] == ["Refresh thrice (#12)", "Begin"]
    _, found = run(daemon, indexed.top, "history", "src/session.py:6")
    assert [one["subject"] for one in found["commits"]] == ["Close later", "Begin"]
    shown = daemon.run("history", "Session.refresh", cwd=indexed.top).stdout.splitlines()
    assert shown[0] == "src/session.py:2  method  Session.refresh"
    assert shown[1].endswith("Refresh thrice (#12)")


def test_a_commit_made_just_before_a_question(daemon: RealDaemon, indexed: TestRepository) -> None:
    indexed.commit({"new.py": "def fresh():\n    return 1\n", "other.py": "x = 1\n"}, "Add something new")
    _, found = run(daemon, indexed.top, "history", "new.py")
    assert [one["subject"] for one in found["commits"]] == ["Add something new"]
    indexed.commit({"new.py": "def fresh():\n    return 2\n", "other.py": "x = 2\n"}, "Change both")
    _, found = run(daemon, indexed.top, "together", "new.py")
    assert [one["path"] for one in found["files"]] == ["other.py"]
    indexed.commit({"new.py": "def fresh():\n    return 3\n"}, "Fresher")
    _, found = run(daemon, indexed.top, "log", "-n", "1")
    assert found["commits"][0]["subject"] == "Fresher"
    indexed.commit({"new.py": "def fresh():\n    return 4\n"}, "Freshest")
    _, found = run(daemon, indexed.top, "search", "--sync", "--last-commit", "fresh", "-n", "1")
    assert found["hits"][0]["last_commit"]["subject"] == "Freshest"


def test_a_rename_that_is_not_committed(daemon: RealDaemon, indexed: TestRepository) -> None:
    indexed.git("mv", "src/session.py", "src/sessions.py")
    code, found = run(daemon, indexed.top, "history", "src/sessions.py")
    assert (code, found["commits"]) == (1, [])
    assert found["notes"] == [
        "it is there, but not committed; if it was renamed, it has its history once the rename is committed"
    ]
    indexed.git("commit", "-qm", "Rename")
    code, found = run(daemon, indexed.top, "history", "src/sessions.py")
    assert (code, len(found["commits"]), "notes" in found) == (0, 4, False)


def test_a_file_that_began_as_a_copy(daemon: RealDaemon, indexed: TestRepository) -> None:
    indexed.commit({"src/client.py": CODE.format(3, 4) + "# more\n"}, "Begin the client")
    indexed.commit({"src/client.py": CODE.format(3, 4) + "# less\n"}, "Change the client")
    daemon.call("sync", path=str(indexed.top))
    code, found = run(daemon, indexed.top, "history", "src/client.py")
    log = indexed.git("log", "--follow", "--format=%H", "--", "src/client.py").split()
    assert (code, [one["id"] for one in found["commits"]], found["total"]) == (0, log, 5)
    assert found["commits"][1]["changes"][0]["copied_from"] == "src/session.py"
    shown = daemon.run("history", "src/client.py", cwd=indexed.top).stdout
    assert "(added, copied from src/session.py)" in shown
    assert "(+1 -1, as src/session.py)" in shown


def test_a_definition_that_was_removed(daemon: RealDaemon, indexed: TestRepository) -> None:
    indexed.commit({"src/session.py": "class Session:\n    def refresh(self):\n        return 3\n"}, "Never close")
    daemon.call("sync", path=str(indexed.top))
    code, found = run(daemon, indexed.top, "history", "Session.close")
    assert code == 0
    assert [one["subject"] for one in found["commits"]] == ["Never close", "Close later", "Begin"]
    assert found["notes"] == ["no definition has this name now; these commits touched one that had it"]


def test_a_file_that_was_removed(daemon: RealDaemon, indexed: TestRepository) -> None:
    (indexed.top / "tests/test_session.py").unlink()
    indexed.commit({}, "Test nothing")
    daemon.call("sync", path=str(indexed.top))
    _, found = run(daemon, indexed.top, "history", "tests/test_session.py")
    assert found["commits"][0]["subject"] == "Test nothing"


def test_a_file_that_was_removed_from_the_top(daemon: RealDaemon, indexed: TestRepository) -> None:
    indexed.commit({"old.py": "x = 1\n", "src/session.py": CODE.format(5, 6), "docs/a.md": "a\n"}, "Add old")
    indexed.commit({"old.py": "x = 2\n", "src/session.py": CODE.format(7, 8)}, "Change old")
    indexed.git("rm", "-q", "old.py", "docs/a.md")
    indexed.commit({}, "Remove old")
    daemon.call("sync", path=str(indexed.top))
    code, found = run(daemon, indexed.top, "history", "old.py")
    assert (code, found["path"]) == (0, "old.py")
    assert [one["subject"] for one in found["commits"]] == ["Remove old", "Change old", "Add old"]
    assert run(daemon, indexed.top, "history", "docs")[1]["total"] == 2
    code, found = run(daemon, indexed.top, "together", "old.py")
    assert (code, [one["path"] for one in found["files"]]) == (0, ["docs/a.md", "src/session.py"])
    for place, name in ((indexed.top / "src", "old.py"), (indexed.top, "/nowhere/old.py"), (indexed.top, "old.p")):
        assert run(daemon, place, "history", name)[0] == 1
    shown = daemon.run("why", "old.py:1", cwd=indexed.top)
    assert (shown.returncode, "codeindex history old.py" in shown.stderr) == (2, True)


def test_what_changes_together(daemon: RealDaemon, indexed: TestRepository) -> None:
    code, found = run(daemon, indexed.top, "together", "src/session.py")
    assert code == 0
    assert found["commits"] == 3
    assert [(one["path"], one["count"], one["confidence"]) for one in found["tests"]] == [
        ("tests/test_session.py", 3, 1.0)
    ]
    assert "3 of 3 (100%)  tests/test_session.py" in daemon.run("together", "src/session.py", cwd=indexed.top).stdout
    for command in ("history", "together"):  # as a search without hits
        nothing = daemon.run(command, "nothing_like_this", cwd=indexed.top)
        assert (nothing.returncode, nothing.stdout) == (1, "")
        assert "no known commit" in nothing.stderr
        code, found = run(daemon, indexed.top, command, "Session.refrehs")
        assert (code, found["similar"]) == (1, ["refresh"])
    _, found = run(daemon, indexed.top, "together", "Session.refresh")
    assert [one["path"] for one in found["tests"]] == ["tests/test_session.py"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("why", "src/session.py:99"), 2, "src/session.py has no line 99"),
        (("why", "src/nothing.py:1"), 2, "there is no file src/nothing.py"),
        (("why", "src/session.py"), 2, "not PATH:LINE: src/session.py"),
        (("together", "."), 2, "{top} is the whole root, so nothing else changes with it"),
    ],
)
def test_what_cannot_be_answered(
    daemon: RealDaemon, indexed: TestRepository, words: tuple[str, ...], code: int, message: str
) -> None:
    returned, found = run(daemon, indexed.top, *words)
    assert returned == code
    assert found["error"]["message"] == message.format(top=indexed.top)
    assert found["error"]["hint"]


def test_a_name_that_nobody_knows(daemon: RealDaemon, indexed: TestRepository) -> None:
    code, found = run(daemon, indexed.top, "history", "nothing_like_this")
    assert code == 1
    assert found["notes"] == ["no definition is called nothing_like_this, and no known commit touched one"]


def test_a_file_in_a_submodule(daemon: RealDaemon, indexed: TestRepository, tmp_path: Path) -> None:
    library = TestRepository(tmp_path / "library")
    library.commit({"part.py": "part = 1\n"}, "Begin the library")
    indexed.git("submodule", "--quiet", "add", str(library.top), "library")
    indexed.commit({}, "Use the library")
    daemon.call("sync", path=str(indexed.top))
    _, found = run(daemon, indexed.top, "why", "library/part.py:1")
    assert [one["subject"] for one in found["commits"]] == ["Begin the library"]
    code, found = run(daemon, indexed.top, "history", "library/part.py")
    assert (code, [one["subject"] for one in found["commits"]]) == (0, ["Begin the library"])
    assert Path(found["root"], found["path"]) == indexed.top / "library" / "part.py"
    for directory, query, expected in [
        (indexed.top / "library", "", ["Begin the library"]),
        (indexed.top, "path:library/part.py", ["Begin the library"]),
        (indexed.top, "", ["Use the library", "Close later", "Refresh thrice (#12)", "Begin"]),
    ]:
        _, found = run(daemon, directory, "log", query)
        assert [one["subject"] for one in found["commits"]] == expected
        assert "notes" not in found
    _, found = run(daemon, indexed.top, "log", "/Begin the library/")
    assert found["commits"] == []
    assert "1 repository inside it was not: ask in its directory" in found["notes"][-1]
    hits = run(daemon, indexed.top, "search", "--last-commit", "part", "-n", "1")[1]["hits"]
    assert hits[0]["last_commit"]["subject"] == "Begin the library"
    (status,) = daemon.call("status")["roots"]
    assert [(one["path"], one["commits"]) for one in status["nested_histories"]] == [("library", 1)]
    _, found = run(daemon, indexed.top / "src", "log", f"path:{indexed.top}/src/**", "-n", "1")
    assert (found["commits"][0]["subject"], "notes" in found) == ("Close later", False)


def test_a_submodule_as_such(daemon: RealDaemon, indexed: TestRepository, tmp_path: Path) -> None:
    """Which commit of it is checked out is recorded by the repository around it."""
    library = TestRepository(tmp_path / "library")
    library.commit({"part.py": "one\n"}, "Begin the library")
    indexed.git("submodule", "--quiet", "add", str(library.top), "library")
    indexed.commit({"src/session.py": CODE.format(5, 6)}, "Use the library")
    daemon.call("sync", path=str(indexed.top))
    code, found = run(daemon, indexed.top, "history", "library")
    assert (code, [one["subject"] for one in found["commits"]]) == (0, ["Use the library"])
    code, found = run(daemon, indexed.top, "together", "library")
    assert (code, {one["path"] for one in found["files"]}) == (0, {".gitmodules", "src/session.py"})


def test_a_file_with_credentials_is_never_read(daemon: RealDaemon, repository: TestRepository) -> None:
    repository.commit({".env": "PASSWORD=something\n"})
    daemon.call("roots.add", path=str(repository.top), wait=True)
    code, found = run(daemon, repository.top, "why", ".env:1")
    assert code == 2
    assert found["error"]["message"].startswith(".env is never read: sensitive")


def test_a_linked_worktree(daemon: RealDaemon, repository: TestRepository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    daemon.call("roots.add", path=str(tmp_path / "other"), wait=True)
    (tmp_path / "other/src/session.py").write_text("# edited\n" + CODE.format(3, 4))
    _, found = run(daemon, tmp_path / "other", "why", "src/session.py:4")
    assert [one["subject"] for one in found["commits"]] == ["Refresh thrice (#12)"]


def test_no_repository(daemon: RealDaemon, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/a.py").write_text("x = 1\n")
    daemon.call("roots.add", path=str(tmp_path / "plain"), wait=True)
    for words in (("why", "a.py:1"), ("history", "a.py"), ("together", "a.py")):
        code, found = run(daemon, tmp_path / "plain", *words)
        assert code == 5
        assert "is in no git repository" in found["error"]["message"]


def test_a_root_without_repository_costs_the_others_nothing(
    daemon: RealDaemon, indexed: TestRepository, tmp_path: Path
) -> None:
    plain = tmp_path / "a_plain_directory"  # which is asked first
    plain.mkdir()
    (plain / "session.py").write_text(CODE.format(1, 2))
    daemon.call("roots.add", path=str(plain), wait=True)
    code, found = run(daemon, indexed.top, "together", "--all", "Session.refresh")
    assert (code, found["root"]) == (0, str(indexed.top))
    code, found = run(daemon, indexed.top, "history", "--all", "Session.refresh")
    assert (code, [one["subject"] for one in found["commits"]]) == (0, ["Refresh thrice (#12)", "Begin"])
    indexed.commit({"src/session.py": "class Session:\n    pass\n"}, "Remove methods")
    (plain / "session.py").unlink()
    daemon.call("sync", path=str(plain))
    daemon.call("sync", path=str(indexed.top))
    code, found = run(daemon, indexed.top, "history", "--all", "Session.close")
    assert (code, found["commits"][0]["subject"]) == (0, "Remove methods")
    code, found = run(daemon, plain, "together", "Session.refresh")
    assert (code, "no git repository" in found["error"]["message"]) == (5, True)


def test_people_are_shown_by_the_mailmap(daemon: RealDaemon, indexed: TestRepository) -> None:
    """As by git, in every answer, and without indexing anything again when it is edited."""
    top = indexed.top
    old = indexed.git("log", "-1", "--format=%an <%ae>").strip()
    name, _, email = old.rpartition(" ")

    def names() -> set[str]:
        found = [
            *(one["author"]["name"] for one in run(daemon, top, "why", "src/session.py:1")[1]["commits"]),
            *(one["author"]["name"] for one in run(daemon, top, "history", "src/session.py")[1]["commits"]),
            *(one["author"]["name"] for one in run(daemon, top, "history", "Session.refresh")[1]["commits"]),
            *(one["committer"]["name"] for one in run(daemon, top, "log")[1]["commits"]),
            *(one["author"]["name"] for one in run(daemon, top, "log", "author:" + shown_as)[1]["commits"]),
            *(one["author"]["name"] for one in run(daemon, top, "log", f"author:{email[1:-1]}")[1]["commits"]),
        ]
        hits = run(daemon, top, "search", "refresh", "--last-commit")[1]["hits"]
        return {*found, *(hit["last_commit"]["author"] for hit in hits if hit["last_commit"])}

    def of_git() -> set[str]:
        return set(indexed.git("log", "--format=%aN%n%cN").splitlines())

    shown_as = name.split()[0]
    before = names()
    assert name in before <= of_git()
    for shown_as in ("Mapped", "Renamed"):
        (top / ".mailmap").write_text(f"{shown_as} Person <new@example.org> {email}\n")
        assert names() == {one if one != name else f"{shown_as} Person" for one in before} <= of_git()
        assert {"name": f"{shown_as} Person", "email": "new@example.org"} in [
            one["author"] for one in run(daemon, top, "log")[1]["commits"]
        ]
    assert run(daemon, top, "log", "author:Mapped")[0] == 1
    (top / ".mailmap").unlink()
    (top / ".mailmap").symlink_to("elsewhere")
    shown_as = name.split()[0]
    assert names() == before
