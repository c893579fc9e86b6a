"""Finding the repository of a directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.errors import NoHistoryError
from support.repositories import GitRepositoryForTests


def test_a_root_below_the_top(tmp_path: Path) -> None:
    GitRepositoryForTests(tmp_path / "code")
    (tmp_path / "code" / "sub" / "deep").mkdir(parents=True)
    location = locate(tmp_path / "code" / "sub" / "deep")
    assert (location.top, location.prefix) == (tmp_path / "code", b"sub/deep/")
    assert locate(tmp_path / "code").prefix == b""


def test_worktrees_share_their_common_directory(tmp_path: Path) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    repo.commit("first", {"a": "1\n"})
    repo.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "tree"))
    location = locate(tmp_path / "tree")
    assert (location.top, location.common_dir) == (tmp_path / "tree", tmp_path / "code" / ".git")
    assert read_heads(location).branch == "topic"
    assert read_heads(location).head == repo.head()


def test_a_bare_repository_with_worktrees(tmp_path: Path) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    repo.commit("first", {"a": "1\n"})
    project = tmp_path / "project"
    project.mkdir()
    repo.git("clone", "-q", "--bare", str(repo.path), str(project / ".bare"))
    (project / ".git").write_text("gitdir: ./.bare\n")
    repo.git("-C", str(project), "worktree", "add", "-q", "main2")
    for place in (project, project / "main2", project / ".bare"):
        assert read_heads(locate(place)).head == repo.head()


def test_an_unborn_branch_and_a_detached_head(tmp_path: Path) -> None:
    repo = GitRepositoryForTests(tmp_path)
    assert (read_heads(locate(tmp_path)).head, read_heads(locate(tmp_path)).branch) == (b"", "main")
    assert read_heads(locate(tmp_path)).tips == ()
    first = repo.commit("first")
    repo.git("checkout", "-q", "--detach")
    assert (read_heads(locate(tmp_path)).head, read_heads(locate(tmp_path)).branch) == (first, "")


@pytest.mark.parametrize(("name", "system"), [(".hg", "Mercurial"), (".svn", "Subversion"), (".jj", "Jujutsu")])
def test_other_version_control_systems_are_named(tmp_path: Path, name: str, system: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(NoHistoryError, match=system):
        locate(tmp_path)


def test_no_repository_at_all(tmp_path: Path) -> None:
    with pytest.raises(NoHistoryError, match="is in no git repository"):
        locate(tmp_path)


def test_sha256_repositories_are_refused_with_the_reason(tmp_path: Path) -> None:
    repo = GitRepositoryForTests(tmp_path, "--object-format=sha256")
    repo.commit("first")
    with pytest.raises(NoHistoryError, match="SHA-256"):
        read_heads(locate(tmp_path))


def test_a_reftable_is_refused_with_the_remedy(tmp_path: Path) -> None:
    GitRepositoryForTests(tmp_path)
    (tmp_path / ".git" / "reftable").mkdir()  # as git 2.45 and later make it
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")
    with pytest.raises(NoHistoryError, match="reftable") as caught:
        read_heads(locate(tmp_path))
    assert "git refs migrate" in caught.value.hint


def test_a_reference_cannot_lead_out_of_the_repository(tmp_path: Path) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    (tmp_path / "outside").write_text("0" * 40)
    (repo.path / ".git" / "HEAD").write_text("ref: refs/heads/../../../outside\n")
    assert read_heads(locate(repo.path)).head == b""


def test_a_pipe_in_a_git_directory_is_not_waited_for(tmp_path: Path) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    repo.commit("first", {"a": "1\n"})
    os.mkfifo(repo.path / ".git" / "commondir")
    assert locate(repo.path).common_dir == repo.path / ".git"
