"""From which file a commit copied a new one, compared with ``git log --follow``."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from codeindexd.analysis.history.copies import CopiesNotFoundError, copied_from
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from support.git_repository import TestRepository


def text(seed: int, lines: int = 40) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices("abcdefgh ", k=20)) + "\n" for _ in range(lines)]


def joined(*parts: list[str]) -> str:
    return "".join(line for part in parts for line in part)


@pytest.fixture
def made(tmp_path: Path) -> TestRepository:
    repository = TestRepository(tmp_path / "r")
    files = {f"src/{number}.py": joined(text(number)) for number in range(4)}
    repository.commit({**files, "bin/data": b"\0" + bytes(range(256)) * 9, "empty.py": ""})
    return repository


def ours(made: TestRepository, path: str, *, budget_s: float = 60.0) -> str:
    location = locate(made.top)
    repository = GitRepository(location, read_heads(location))
    return copied_from(repository, bytes.fromhex(made.head), path.encode(), budget_s=budget_s).decode()


def of_git(made: TestRepository, path: str) -> str:
    """The former path in the first line of ``git log --follow``, for the newest commit."""
    rows = made.git("log", "--follow", "--name-status", "--format=", "-1", "--", path).split("\n")
    status, *paths = rows[0].split("\t")
    return paths[0] if status[:1] in ("C", "R") else ""


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        ({"copy.py": joined(text(1))}, "copy.py", "src/1.py"),
        ({"1.py": joined(text(1)), "src/1.py": "changed\n"}, "1.py", "src/1.py"),
        ({"copy.py": joined(text(2)[:30], text(9)[:10])}, "copy.py", "src/2.py"),
        ({"copy.py": joined(text(2)[:15], text(9)[:25])}, "copy.py", ""),
        ({"copy.py": joined(text(0)[:22], text(3)[:18])}, "copy.py", "src/0.py"),
        ({"copy.bin": b"\0" + bytes(range(256)) * 8 + b"more" * 20}, "copy.bin", "bin/data"),
        ({"other.py": ""}, "other.py", "empty.py"),
        ({"other.py": "something\n"}, "other.py", ""),
    ],
)
def test_one_copy(made: TestRepository, files: dict[str, str], path: str, expected: str) -> None:
    made.commit(files)
    assert ours(made, path) == expected == of_git(made, path)


def test_a_file_that_was_split(made: TestRepository) -> None:
    """Both parts come from the file that is gone, rather than from a more similar one that stays."""
    made.git("rm", "-q", "src/1.py")
    made.commit(
        {"a.py": joined(text(1)[:25]), "b.py": joined(text(1)[5:35]), "c.py": joined(text(1)[:24], text(2)[:16])}
    )
    for path in ("a.py", "b.py", "c.py"):
        assert ours(made, path) == "src/1.py" == of_git(made, path)


@pytest.mark.parametrize("seed", range(6))
def test_equally_similar_files_rank_as_in_git(made: TestRepository, seed: int) -> None:
    chance = random.Random(seed)
    files = {}
    for number in range(12):
        length = chance.choice([22, 22, 26, 30])
        files[f"{chance.choice(['a', 'a.b', 'b/c', 'b'])}/{number}.py"] = joined(
            text(5)[:length], text(50 + number)[:10]
        )
    made.commit(files)
    for old in chance.sample(sorted(files), 2):
        made.git("rm", "-q", old)
    made.commit({"copy.py": joined(text(5)[:30], text(99)[:6])})
    assert ours(made, "copy.py") == of_git(made, "copy.py") != ""


def test_equal_files_with_the_same_name_come_first(made: TestRepository) -> None:
    same = joined(text(7))
    made.commit({"a/one.py": same, "b/two.py": same})
    made.commit({"c/two.py": same})
    assert ours(made, "c/two.py") == "b/two.py" == of_git(made, "c/two.py")


def test_first_commits_and_merges_copy_nothing(made: TestRepository) -> None:
    assert ours(made, "src/1.py") == ""
    made.git("checkout", "-q", "-b", "other")
    made.commit({"x": "x\n"})
    made.git("checkout", "-q", "main")
    made.commit({"y": "y\n"})
    made.merge("other", files={"z": joined(text(1))})
    assert ours(made, "z") == ""


def test_files_that_are_too_many_to_compare(made: TestRepository) -> None:
    made.commit({"copy.py": joined(text(1))})
    with pytest.raises(CopiesNotFoundError):
        ours(made, "copy.py", budget_s=-1)
