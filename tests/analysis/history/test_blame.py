"""Blame equals ``git blame -w -M``, line by line: the commit, the line in it, and the path in it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from analysis.history.blame_of_git import blame_of_git, blame_of_ours, by_line
from codeindexd.analysis.history.blame import blame
from codeindexd.analysis.history.file_versions import FileVersions, VersionsCache
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from codeindexd.analysis.history.working_file import committed_versions
from codeindexd.errors import MissingObjectError
from support.git_repository import TestRepository


def lines(*texts: str) -> str:
    return "".join(f"{text}\n" for text in texts)


def function(name: str, *body: str) -> str:
    return lines(f"def {name}(argument, another_argument):", *(f"    {line}" for line in body), "")


READ = function("read_configuration", "with open(argument) as stream:", "return stream.read(another_argument)")
WRITE = function("write_configuration", "with open(argument, 'w') as stream:", "stream.write(another_argument)")
CHECK = function("check_configuration", "if argument not in another_argument:", "raise ValueError(argument)")


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    return TestRepository(tmp_path / "r")


def assert_equal_to_git(repository: TestRepository, path: str = "a.py") -> None:
    assert blame_of_ours(repository, path) == blame_of_git(repository, path)


def test_lines_of_several_commits(repository: TestRepository) -> None:
    first = repository.commit({"a.py": lines("one", "two", "three")})
    second = repository.commit({"a.py": lines("one", "2", "three", "four")})
    assert blame_of_ours(repository, "a.py") == {
        1: (first, 1, "a.py"),
        2: (second, 2, "a.py"),
        3: (first, 3, "a.py"),
        4: (second, 4, "a.py"),
    }
    assert_equal_to_git(repository)


def test_white_space_does_not_count(repository: TestRepository) -> None:
    first = repository.commit({"a.py": READ})
    repository.commit({"a.py": READ.replace("    ", "\t")})
    assert {origin[0] for origin in blame_of_ours(repository, "a.py").values()} == {first}
    assert_equal_to_git(repository)


def test_lines_that_moved_within_the_file(repository: TestRepository) -> None:
    first = repository.commit({"a.py": READ + WRITE + CHECK})
    repository.commit({"a.py": CHECK + WRITE + READ})
    assert {origin[0] for origin in blame_of_ours(repository, "a.py").values()} == {first}
    assert_equal_to_git(repository)


def test_short_lines_do_not_move(repository: TestRepository) -> None:
    repository.commit({"a.py": lines("a = 1", "b = 2") + READ})
    second = repository.commit({"a.py": READ + lines("a = 1", "b = 2")})
    assert second in {origin[0] for origin in blame_of_ours(repository, "a.py").values()}
    assert_equal_to_git(repository)


def test_copies_of_one_text_keep_their_commit(repository: TestRepository) -> None:
    repository.commit({"a.py": READ})
    repository.commit({"a.py": READ + WRITE + READ})
    repository.commit({"a.py": lines("# top") + READ + WRITE + READ.replace("open", "opened")})
    assert_equal_to_git(repository)


def test_a_renamed_file_keeps_its_lines(repository: TestRepository) -> None:
    first = repository.commit({"a.py": READ + WRITE})
    repository.git("mv", "a.py", "b.py")
    repository.commit()
    repository.commit({"b.py": READ + WRITE + CHECK})
    assert blame_of_ours(repository, "b.py")[1] == (first, 1, "a.py")
    assert_equal_to_git(repository, "b.py")


def test_renamed_and_changed_in_one_commit(repository: TestRepository) -> None:
    first = repository.commit({"old/a.py": READ + WRITE + CHECK, "other.py": WRITE})
    repository.git("mv", "old/a.py", "new.py")
    second = repository.commit({"new.py": READ + WRITE.replace("'w'", "'x'") + CHECK})
    origins = blame_of_ours(repository, "new.py")
    assert {origin[0] for origin in origins.values()} == {first, second}
    assert_equal_to_git(repository, "new.py")


def test_the_most_similar_removed_file_is_the_former_one(repository: TestRepository) -> None:
    repository.commit({"x.py": READ + CHECK, "y.py": READ + WRITE + CHECK, "dir/z.py": READ})
    for name in ("x.py", "y.py", "dir/z.py"):
        (repository.top / name).unlink()
    repository.commit({"z.py": READ + WRITE + CHECK.replace("not in", "in")})
    assert blame_of_ours(repository, "z.py")[1][2] == "y.py"
    assert_equal_to_git(repository, "z.py")


def test_a_removed_file_of_the_same_name_is_preferred(repository: TestRepository) -> None:
    repository.commit({"x.py": READ + WRITE + CHECK + "# 1\n", "dir/z.py": READ + WRITE + CHECK + "# 2\n# 3\n"})
    for name in ("x.py", "dir/z.py"):
        (repository.top / name).unlink()
    repository.commit({"z.py": READ + WRITE + CHECK + "# 1\n# 4\n"})
    assert blame_of_ours(repository, "z.py")[1][2] == "dir/z.py"
    assert_equal_to_git(repository, "z.py")


def test_both_sides_of_a_merge(repository: TestRepository) -> None:
    base = repository.commit({"a.py": READ + WRITE + CHECK})
    repository.git("checkout", "-q", "-b", "side")
    side = repository.commit({"a.py": READ.replace("read", "load") + WRITE + CHECK})
    repository.git("checkout", "-q", "main")
    main = repository.commit({"a.py": READ + WRITE + CHECK.replace("check", "test")})
    repository.merge("side")
    assert {origin[0] for origin in blame_of_ours(repository, "a.py").values()} == {base, side, main}
    assert_equal_to_git(repository)


def test_lines_that_a_merge_wrote_itself(repository: TestRepository) -> None:
    repository.commit({"a.py": READ})
    repository.git("checkout", "-q", "-b", "side")
    repository.commit({"a.py": READ.replace("argument", "left")})
    repository.git("checkout", "-q", "main")
    repository.commit({"a.py": READ.replace("argument", "right")})
    merge = repository.merge("side", files={"a.py": READ.replace("argument", "both")})
    assert merge in {origin[0] for origin in blame_of_ours(repository, "a.py").values()}
    assert_equal_to_git(repository)


def test_a_merge_of_three(repository: TestRepository) -> None:
    repository.commit({"a.py": READ + WRITE + CHECK, "b.py": ""})
    for name, text in (("one", "read"), ("two", "check")):
        repository.git("checkout", "-q", "-b", name, "main")
        repository.commit({"a.py": (READ + WRITE + CHECK).replace(text, name)})
    repository.git("checkout", "-q", "main")
    repository.commit({"b.py": "b\n"})
    repository.merge("one", "two")
    assert_equal_to_git(repository)


def test_edits_that_are_not_committed(repository: TestRepository) -> None:
    first = repository.commit({"a.py": READ + WRITE})
    (repository.top / "a.py").write_text(lines("# new") + READ + CHECK + WRITE)
    origins = blame_of_ours(repository, "a.py")
    assert origins[1][0] == ""
    assert origins[2] == (first, 1, "a.py")
    assert_equal_to_git(repository)


def test_a_merge_that_is_not_committed(repository: TestRepository) -> None:
    repository.commit({"a.py": READ + WRITE})
    repository.git("checkout", "-q", "-b", "side")
    side = repository.commit({"a.py": READ + WRITE + CHECK})
    repository.git("checkout", "-q", "main")
    repository.commit({"a.py": READ.replace("read", "load") + WRITE})
    repository.git("merge", "-q", "--no-ff", "--no-commit", "side")
    assert blame_of_ours(repository, "a.py")[9][0] == side
    assert_equal_to_git(repository)


def test_a_rename_that_is_not_committed(repository: TestRepository) -> None:
    first = repository.commit({"a.py": READ + WRITE})
    repository.git("mv", "a.py", "b.py")
    assert blame_of_ours(repository, "b.py")[1] == (first, 1, "a.py")
    assert_equal_to_git(repository, "b.py")


def test_a_new_file_has_no_commit(repository: TestRepository) -> None:
    repository.commit({"a.py": READ})
    (repository.top / "new.py").write_text(CHECK)
    assert {origin[0] for origin in blame_of_ours(repository, "new.py").values()} == {""}


def test_a_file_that_was_removed_and_came_back(repository: TestRepository) -> None:
    repository.commit({"a.py": READ, "b.py": CHECK})
    (repository.top / "a.py").unlink()
    repository.commit()
    third = repository.commit({"a.py": READ})
    assert {origin[0] for origin in blame_of_ours(repository, "a.py").values()} == {third}
    assert_equal_to_git(repository)


def test_line_endings_do_not_count(repository: TestRepository) -> None:
    first = repository.commit({"a.py": READ + WRITE})
    (repository.top / "a.py").write_bytes((READ + CHECK + WRITE).replace("\n", "\r\n").encode())
    origins = blame_of_ours(repository, "a.py")
    assert origins[1] == (first, 1, "a.py")
    assert {origin[0] for line, origin in origins.items() if 5 <= line <= 7} == {""}
    assert_equal_to_git(repository)


def test_a_last_line_without_newline(repository: TestRepository) -> None:
    repository.commit({"a.py": READ + "the end"})
    repository.commit({"a.py": READ + "the end\nafter it"})
    assert_equal_to_git(repository)


def test_names_that_are_not_utf8(repository: TestRepository) -> None:
    name = "d\udcff/f\udcfe.py"
    first = repository.commit({name: READ})
    assert blame_of_ours(repository, name)[1] == (first, 1, name)
    assert_equal_to_git(repository, name)


def test_a_part_of_the_lines(repository: TestRepository) -> None:
    repository.commit({"a.py": READ + WRITE + CHECK})
    repository.commit({"a.py": CHECK + READ + WRITE})
    repository.commit({"a.py": lines("# top") + CHECK + READ.replace("read", "load") + WRITE})
    whole = len((repository.top / "a.py").read_text().splitlines())
    for first in range(1, whole + 1):
        for last in (first, first + 3, whole):
            expected = blame_of_git(repository, "a.py", "-L", f"{first},{min(last, whole)}")
            assert blame_of_ours(repository, "a.py", first=first, last=last) == expected


def test_lines_beyond_the_end_and_an_empty_file(repository: TestRepository) -> None:
    repository.commit({"a.py": READ, "empty.py": ""})
    assert blame_of_ours(repository, "a.py", first=100) == {}
    assert blame_of_ours(repository, "empty.py") == {}


def test_the_boundary_of_a_shallow_clone(repository: TestRepository, tmp_path: Path) -> None:
    repository.commit({"a.py": READ})
    boundary = repository.commit({"a.py": READ + WRITE})
    newest = repository.commit({"a.py": READ + WRITE + CHECK})
    repository.git("clone", "-q", "--depth=2", f"file://{repository.top}", str(tmp_path / "shallow"))
    shallow = TestRepository(tmp_path / "shallow")
    assert {origin[0] for origin in blame_of_ours(shallow, "a.py").values()} == {boundary, newest}
    assert_equal_to_git(shallow)


def test_an_object_that_is_missing(repository: TestRepository) -> None:
    repository.commit({"a.py": READ})
    blob = repository.git("rev-parse", "HEAD:a.py").strip()
    repository.commit({"a.py": READ + WRITE})
    (repository.top / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(MissingObjectError, match=blob):
        blame_of_ours(repository, "a.py")


def test_commits_that_only_reformatted(repository: TestRepository) -> None:
    first = repository.commit({"a.py": "call(first_argument, second_argument,\n  third_argument)\n" + READ})
    second = repository.commit(
        {
            "a.py": "call(\n    first_argument,\n    second_argument,\n    third_argument,\n)\n"
            + READ
            + "brand = 'new'\n"
        }
    )
    origins = blame_of_ours(repository, "a.py", ignored={bytes.fromhex(second)})
    assert [origins[line][:2] for line in (2, 3, 4)] == [(first, 1), (first, 1), (first, 2)]
    assert origins[10][0] == second  # nothing before it resembles it
    assert origins == blame_of_git(repository, "a.py", "--ignore-rev", second)


@pytest.mark.parametrize("seed", range(12))
def test_random_histories(repository: TestRepository, seed: int) -> None:
    chance = random.Random(seed)
    text = [f"statement number {number} of the file" for number in range(40)]
    path = "a.py"
    repository.commit({path: lines(*text)})
    for step in range(25):
        action = chance.random()
        start = chance.randrange(len(text))
        if action < 0.4:
            text[start : start + chance.randrange(4)] = [f"step {step} line {n}" for n in range(chance.randrange(5))]
        elif action < 0.6:
            moved = text[start : start + 6]
            del text[start : start + 6]
            at = chance.randrange(len(text) + 1)
            text[at:at] = moved
        elif action < 0.7:
            text[start:start] = ["", "return", ""]
        elif action < 0.8:
            text = [f"  {line}" if chance.random() < 0.5 else line.strip() for line in text]
        elif action < 0.9:
            renamed = f"dir{step}/a.py" if chance.random() < 0.5 else f"b{step}.py"
            (repository.top / renamed).parent.mkdir(exist_ok=True)
            repository.git("mv", path, renamed)
            path = renamed
        else:
            repository.git("checkout", "-q", "-B", "side")
            side = [*text, f"from the side {step}"]
            repository.commit({path: lines(*side)})
            repository.git("checkout", "-q", "main")
            text.insert(0, f"at the top {step}")
            repository.commit({path: lines(*text)})
            repository.merge("side")
            text = (repository.top / path).read_text().splitlines()
        repository.commit({path: lines(*text)})
    assert_equal_to_git(repository, path)


def test_a_symbolic_link_that_became_a_file_has_no_former_name(repository: TestRepository) -> None:
    text = lines(*(f"line {number} of the license" for number in range(20)))
    repository.commit({"py/LICENSE": text})
    (repository.top / "LICENSE").symlink_to("py/LICENSE")
    repository.commit()
    (repository.top / "LICENSE").unlink()
    repository.git("rm", "-q", "py/LICENSE")
    changed = repository.commit({"LICENSE": text})
    assert {commit for commit, _, _ in blame_of_git(repository, "LICENSE").values()} == {changed}
    assert_equal_to_git(repository, "LICENSE")
    repository.commit({"LICENSE": text + "one more line of it\n"})
    assert_equal_to_git(repository, "LICENSE")


def test_a_file_that_replaces_a_directory_can_have_a_former_name(repository: TestRepository) -> None:
    text = lines(*(f"line {number} of the license" for number in range(20)))
    repository.commit({"old": text, "LICENSE/part": "x\n"})
    repository.git("rm", "-q", "LICENSE/part")
    repository.git("mv", "old", "LICENSE")
    repository.commit()
    assert_equal_to_git(repository, "LICENSE")


def test_questions_about_single_lines_share_what_was_compared(repository: TestRepository) -> None:
    """In any order, lines have the origins that git says; what was compared for one is not compared again."""
    chosen = random.Random(5)
    rows = [f"line {number} of a file" for number in range(120)]
    for edit in range(25):
        for _ in range(3):
            place = chosen.randrange(len(rows))
            rows[place : place + chosen.randrange(3)] = [f"edit {edit} at {place} {chosen.random()}", "", "return"][:2]
        repository.commit({"a.py": lines(*rows)})
    expected = blame_of_git(repository, "a.py")
    location = locate(repository.top)
    heads = read_heads(location)
    cache = VersionsCache()

    def ask(line: int) -> dict[int, tuple[str, int, str]]:
        versions = FileVersions(GitRepository(location, heads), cache=cache)
        data = (repository.top / "a.py").read_bytes()
        committed = committed_versions(versions, location, heads.head, b"a.py", data)
        return by_line(blame(versions, b"a.py", data, committed, first=line, last=line))

    order = chosen.sample(sorted(expected), len(expected))
    for line in order:
        assert ask(line) == {line: expected[line]}
    compared = dict(cache.hunks)
    assert 0 < len(compared) < 25
    for line in order:
        assert ask(line) == {line: expected[line]}
    assert all(cache.hunks[versions] is hunks for versions, hunks in compared.items())
    assert len(cache.hunks) == len(compared)
