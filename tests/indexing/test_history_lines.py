"""Questions about lines, as a worker answers them from a repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from codeindexd.errors import FailedError, UsageError
from codeindexd.indexing import history_lines
from codeindexd.indexing.history_lines import answer
from codeindexd.indexing.line_questions import LineAnswer, LineQuestion
from support.git_repository import TestRepository


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    return TestRepository(tmp_path / "r")


def ask(repository: TestRepository, path: str, *, below: str = "", **lines: int) -> LineAnswer:
    root = repository.top / below
    location = locate(root)
    opened = GitRepository(location, read_heads(location))
    tracked_as = location.prefix + os.fsencode(path)
    question = LineQuestion(os.fsencode(root), os.fsencode(path), os.fsencode(repository.top), tracked_as, **lines)
    return answer(question, opened, None, mask_secrets=True)


def subjects(found: LineAnswer) -> list[str]:
    by_id = {commit.id: commit.subject for commit in found.commits}
    return [by_id[change.commit] for change in found.changes]


def numbered(count: int, **changed: str) -> str:
    return "".join(changed.get(f"at{number}", f"line number {number}") + "\n" for number in range(1, count + 1))


def test_origins_and_earlier_changes(repository: TestRepository) -> None:
    repository.commit({"a.py": numbered(10)}, "Begin")
    second = repository.commit({"a.py": numbered(10, at5="five")}, "Write five, see #12\n\nThe reason.")
    repository.commit({"a.py": numbered(10, at5="five", at7="seven")}, "Write seven")
    found = ask(repository, "a.py", first=5, last=5, changed_first=3, changed_last=8, limit=5)
    assert [(lines.line, lines.count, lines.commit) for lines in found.origins] == [(5, 1, bytes.fromhex(second))]
    assert subjects(found) == ["Begin"]  # what is newer is not a reason
    alone = ask(repository, "a.py", changed_first=3, changed_last=8, limit=5)
    assert subjects(alone) == ["Write seven", "Write five, see #12", "Begin"]
    assert found.text == ["five"]
    commit = next(commit for commit in found.commits if commit.id == bytes.fromhex(second))
    assert (commit.subject, commit.body, commit.references) == ("Write five, see #12", "The reason.", [12])
    assert found.line_count == 10


def test_a_limit(repository: TestRepository) -> None:
    for number in range(5):
        repository.commit({"a.py": numbered(5, at2=f"version {number}")}, f"Version {number}")
    found = ask(repository, "a.py", changed_first=1, changed_last=5, limit=2)
    assert subjects(found) == ["Version 4", "Version 3"]
    assert found.has_more
    assert not ask(repository, "a.py", changed_first=1, changed_last=5, limit=5).has_more


def test_lines_that_edits_have_shifted(repository: TestRepository) -> None:
    repository.commit({"a.py": numbered(10)}, "Begin")
    repository.commit({"a.py": numbered(10, at5="five")}, "Write five")
    (repository.top / "a.py").write_text("new\nlines\n" + numbered(10, at5="five"))
    found = ask(repository, "a.py", first=1, last=7, changed_first=7, changed_last=7, limit=5)
    assert [lines.commit is None for lines in found.origins] == [True, False, False]
    assert subjects(found) == []
    assert subjects(ask(repository, "a.py", changed_first=7, changed_last=7, limit=5)) == ["Write five", "Begin"]


def test_a_root_below_the_top(repository: TestRepository) -> None:
    commit = repository.commit({"sub/dir/a.py": numbered(3)})
    found = ask(repository, "a.py", below="sub/dir", first=1, last=3)
    assert [(lines.commit, lines.path) for lines in found.origins] == [(bytes.fromhex(commit), b"sub/dir/a.py")]


def test_a_branch_without_commits(repository: TestRepository) -> None:
    (repository.top / "a.py").write_text(numbered(3))
    found = ask(repository, "a.py", first=1, last=3, changed_first=1, changed_last=3, limit=3)
    assert [(lines.line, lines.count, lines.commit) for lines in found.origins] == [(1, 3, None)]
    assert found.changes == []


def test_commits_that_the_repository_asks_to_look_through(repository: TestRepository) -> None:
    first = repository.commit({"a.py": "value = compute(first, second)\n"})
    second = repository.commit({"a.py": "value = compute(\n    first, second\n)\n"})
    (repository.top / ".git-blame-ignore-revs").write_text(f"# reformatting\n{second}  # black\nnot an id\n")
    found = ask(repository, "a.py", first=1, last=2)
    assert {lines.commit for lines in found.origins} == {bytes.fromhex(first)}
    assert found.ignored == 1


def test_the_boundary_of_a_shallow_clone(repository: TestRepository, tmp_path: Path) -> None:
    repository.commit({"a.py": numbered(3)})
    second = repository.commit({"a.py": numbered(4)})
    repository.git("clone", "-q", "--depth=1", f"file://{repository.top}", str(tmp_path / "shallow"))
    found = ask(TestRepository(tmp_path / "shallow"), "a.py", first=1, last=4)
    assert found.boundary == [bytes.fromhex(second)]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"one\ntwo\n", 3, "a.py has no line 3"),
        (b"", 1, "a.py has no line 1"),
        (b"a\0b\n", 1, "a.py is binary"),
        (None, 1, "there is no file a.py"),
    ],
)
def test_lines_that_do_not_exist(repository: TestRepository, content: bytes | None, line: int, message: str) -> None:
    repository.commit({"other.py": "x\n"} if content is None else {"a.py": content})
    with pytest.raises(UsageError, match=message):
        ask(repository, "a.py", first=line, last=line)


def test_the_text_of_lines_up_to_the_end(repository: TestRepository) -> None:
    repository.commit({"a.py": numbered(3), "b.py": numbered(300)})
    assert ask(repository, "a.py", first=2, last=10**9).text == ["line number 2", "line number 3"]
    assert len(ask(repository, "b.py", first=101, last=10**9).text) == 200
    assert ask(repository, "b.py", first=100, last=10**9).text == []


def test_what_is_no_file(repository: TestRepository) -> None:
    repository.commit({"a.py": "x\n", "src/b.py": "x\n"})
    (repository.top / "link.py").symlink_to("a.py")
    (repository.top / "a.py").unlink()
    os.mkfifo(repository.top / "pipe")
    for path, message in (
        ("a.py", "there is no file a.py"),
        ("src", "src is a directory"),
        ("link.py", "link.py is a symbolic link"),
        ("pipe", "pipe is not a regular file"),
    ):
        with pytest.raises(UsageError, match=message):
            ask(repository, path, first=1, last=1)


def test_a_file_in_lfs(repository: TestRepository) -> None:
    repository.commit({"a.txt": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"})
    (repository.top / "a.txt").write_text("one\n")
    with pytest.raises(UsageError, match="Git LFS"):
        ask(repository, "a.txt", first=1, last=1)


def test_a_history_that_takes_too_long(repository: TestRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.commit({"a.py": numbered(3)})
    monkeypatch.setattr(history_lines, "BUDGET_S", -1.0)
    with pytest.raises(FailedError, match="too long"):
        ask(repository, "a.py", first=1, last=1)


def test_credentials_in_messages_are_masked(repository: TestRepository) -> None:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    repository.commit({"a.py": numbered(3)}, f"Use the token {token}")
    found = ask(repository, "a.py", first=1, last=1)
    assert token not in found.commits[0].message


def test_grafts_that_make_a_circle(repository: TestRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    first = repository.commit({"a.py": numbered(3)})
    second = repository.commit({"b.py": "x\n"})
    (repository.top / ".git/info").mkdir(exist_ok=True)
    (repository.top / ".git/info/grafts").write_text(f"{first} {second}\n")
    monkeypatch.setattr(history_lines, "BUDGET_S", 0.2)
    with pytest.raises(FailedError, match="too long"):
        ask(repository, "a.py", first=1, last=1)
