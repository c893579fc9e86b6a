"""The history of a running root follows its repository: after ``sync`` it is what ``git log`` says."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from codeindexd.errors import NoHistoryError
from codeindexd.indexing import history
from codeindexd.indexing.history import HistoryIndexer
from codeindexd.indexing.history_status import HistoryPhase
from codeindexd.roots import Root
from codeindexd.roots.verify import verify
from codeindexd.waiting import Gate
from roots.real_root import Harness, harness
from support.repositories import GitRepositoryForTests
from support.waiting import eventually

pytestmark = pytest.mark.anyio


async def complete(root: Root) -> None:
    """Wait until the first reading is over."""
    unfinished = (HistoryPhase.WAITING, HistoryPhase.INDEXING)
    await eventually(lambda: root.history.status().phase not in unfinished, seconds=60)


def ids_of(root: Root) -> list[bytes]:
    return ids_in(root.history)


def ids_in(history: HistoryIndexer) -> list[bytes]:
    with history.snapshot() as snapshot:
        order = snapshot.order.tolist()
        ids = snapshot.ids(order)
        return [ids[number] for number in order]


@asynccontextmanager
async def repository(tmp_path: Path) -> AsyncIterator[tuple[GitRepositoryForTests, Harness]]:
    async with harness(tmp_path) as place:
        repo = GitRepositoryForTests(place.path)
        for number in range(3):
            repo.commit(f"commit {number}", {"a.py": f"def f():\n    return {number}\n"})
        yield repo, place


async def test_commits_amends_branches_and_rebases(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place), place.running() as root:
        await complete(root)
        assert ids_of(root) == repo.log()

        async def agrees() -> None:
            await root.sync(60)
            assert ids_of(root) == repo.log()

        repo.commit("more", {"b.py": "x = 1\n"})
        await agrees()
        repo.git("commit", "-q", "--amend", "-m", "amended")
        await agrees()
        repo.git("checkout", "-q", "-b", "topic", "HEAD~2")
        repo.commit("topic", {"c.py": "x = 2\n"})
        await agrees()
        repo.git("rebase", "-q", "main")
        await agrees()
        repo.git("checkout", "-q", "main")
        repo.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
        await agrees()
        repo.git("reset", "-q", "--hard", "HEAD~3")
        repo.git("reflog", "expire", "--expire=now", "--all")
        repo.git("branch", "-D", "topic")
        repo.git("gc", "-q", "--prune=now")
        await agrees()
        repo.git("checkout", "-q", "--orphan", "fresh")
        repo.commit("another beginning", {"z": "1\n"})
        await agrees()


async def test_a_commit_right_before_verify_is_not_lost(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place), place.running() as root:
        await complete(root)
        repo.commit("more", {"b.py": "x = 1\n"})
        check = await root.history.verify()
        assert not check.differences
        await root.sync(60)
        assert ids_of(root) == repo.log()


async def test_a_commit_is_noticed_without_sync(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place), place.running() as root:
        await complete(root)
        new = repo.commit("more")
        await eventually(lambda: new in ids_of(root), seconds=30)


async def test_a_question_waits_for_a_commit_made_before_it(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place), place.running() as root:
        await complete(root)
        assert await root.history.catch_up() == ""
        new = repo.commit("more", {"b.py": "x = 1\n"})
        assert await root.history.catch_up() == ""
        assert new in ids_of(root)


async def test_a_question_says_that_it_did_not_wait_for_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with repository(tmp_path) as (repo, place), place.running() as root:
        await complete(root)
        root.history.pause()
        repo.commit("more", {"b.py": "x = 1\n"})
        assert "codeindex resume" in await root.history.catch_up()
        monkeypatch.setattr(history, "_CATCH_UP_S", 0.0)
        with monkeypatch.context() as patched:
            patched.setattr(Gate, "is_open", property(lambda _: True))
            for _ in range(2):
                assert await root.history.catch_up() == "the newest commits may be missing: they are being indexed"
        root.history.resume()
        await root.sync(60)
        assert await root.history.catch_up() == ""
        assert ids_of(root) == repo.log()


async def test_a_root_that_was_paused_before_the_start_says_that_commits_may_be_missing(tmp_path: Path) -> None:
    async with repository(tmp_path) as (_, place):
        async with place.running() as root:
            await complete(root)
            await root.pause()
        paused = place.make()
        async with anyio.create_task_group() as tasks:
            await tasks.start(paused.serve)
            assert "codeindex resume" in await paused.history.catch_up()
            tasks.cancel_scope.cancel()


async def test_nothing_is_read_twice_after_a_restart(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place):
        async with place.running() as root:
            await complete(root)
        async with place.running() as root:
            await complete(root)
            assert ids_of(root) == repo.log()
            with root.history.snapshot() as snapshot:
                assert sorted(snapshot.order.tolist()) == [1, 2, 3]


async def test_a_store_that_is_damaged_while_stopped_is_read_again(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place):
        async with place.running() as root:
            [database] = (tmp_path / "history").glob("*/history.db")
        place.close_histories()
        database.write_bytes(b"no database")
        async with place.running() as root:
            with pytest.raises(NoHistoryError, match="it is being read"):  # opening it shows the damage
                ids_of(root)
            await root.sync(60)
            assert ids_of(root) == repo.log()


async def test_an_unborn_branch_gets_its_first_commit(tmp_path: Path) -> None:
    async with harness(tmp_path) as place:
        repo = GitRepositoryForTests(place.path)
        async with place.running() as root:
            await complete(root)
            assert root.history.status().phase is HistoryPhase.COMPLETE
            assert ids_of(root) == []
            repo.commit("first", {"a": "1\n"})
            await root.sync(60)
            assert ids_of(root) == repo.log()


async def test_a_short_history_is_complete_after_the_first_sync(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place), place.running() as root:  # which syncs once
        assert ids_of(root) == repo.log()


async def test_a_sync_waits_for_the_history_while_the_code_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_ready = False
    monkeypatch.setattr(Root, "is_caught_up", property(lambda _: is_ready))
    monkeypatch.setattr("codeindexd.indexing.history._CODE_FIRST_S", 0.01)
    async with repository(tmp_path) as (repo, place), place.running() as root:  # a sync waits some time only,
        with pytest.raises(NoHistoryError, match="the code comes first"):
            ids_of(root)
        monkeypatch.setattr("codeindexd.indexing.history._CODE_FIRST_S", 60.0)
        found: list[list[bytes]] = []

        async def wait(completely: bool) -> None:
            await (root.history.sync(completely=True) if completely else root.sync(60))
            found.append(ids_of(root))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, False)
            tasks.start_soon(wait, True)
            await anyio.wait_all_tasks_blocked()
            assert not found
            is_ready = True
            root._reported.notify_all()
        assert found == [repo.log()] * 2


async def test_a_complete_sync_waits_for_a_long_history_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeindexd.indexing.history._SHORT_HISTORY", -1)  # so that any history is long
    async with repository(tmp_path) as (repo, place), place.running() as root:
        await root.history.sync(completely=True)
        assert ids_of(root) == repo.log()


async def test_commits_follow_their_children_whatever_their_dates(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place), place.running() as root:
        for date in (1_900_000_000, 1_500_000_000, 1_800_000_000, 0, 1_700_000_000):
            repo.commit(f"at {date}", GIT_COMMITTER_DATE=f"@{date} +0000")
            await root.sync(60)
            assert ids_of(root) == repo.log()
        repo.git("reset", "-q", "--hard", "HEAD~2")
        await root.sync(60)
        assert ids_of(root) == repo.log()


async def test_a_repository_that_appears_above_the_root(tmp_path: Path) -> None:
    async with harness(tmp_path) as place, place.running() as root:
        assert root.history.status().phase is HistoryPhase.UNAVAILABLE
        repo = GitRepositoryForTests(tmp_path)
        repo.commit("first", {"code/a": "1\n"})
        await root.sync(60)
        assert ids_of(root) == repo.log()


async def test_missing_objects_that_come_back_are_read(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place):
        parent = repo.git("rev-parse", "HEAD~1").decode().strip()
        file = repo.path / ".git" / "objects" / parent[:2] / parent[2:]
        file.rename(tmp_path / "aside")
        async with place.running() as root:
            assert (ids_of(root), root.history.status().missing) == ([], 1)  # its parent is needed as well
            (tmp_path / "aside").rename(file)
            await root.sync(60)
            assert (ids_of(root), root.history.status().missing) == (repo.log(), 0)


async def test_objects_elsewhere_that_come_back_are_read(tmp_path: Path) -> None:
    async with harness(tmp_path) as place:
        origin = GitRepositoryForTests(tmp_path / "origin")
        origin.commit("first", {"a": "1\n"})
        origin.git("clone", "-q", "--shared", str(origin.path), str(place.path))
        origin.path.rename(tmp_path / "away")
        async with place.running() as root:
            assert (ids_of(root), root.history.status().missing) == ([], 1)
            (tmp_path / "away").rename(origin.path)
            await root.sync(60)
            assert (ids_of(root), root.history.status().missing) == (origin.log(), 0)


async def test_no_repository_and_one_that_appears(tmp_path: Path) -> None:
    async with harness(tmp_path) as place, place.running() as root:
        await complete(root)
        assert root.history.status().phase is HistoryPhase.UNAVAILABLE
        with pytest.raises(NoHistoryError, match="in no git repository"):
            ids_of(root)
        repo = GitRepositoryForTests(place.path)
        repo.commit("first", {"a": "1\n"})
        await eventually(lambda: root.history.status().phase is HistoryPhase.COMPLETE, seconds=30)
        assert ids_of(root) == repo.log()


def are_read(root: Root, count: int) -> bool:
    """Return True if a root has so many histories, and all were read, as far as that is possible."""
    return len(root.histories) == count and all(one.is_settled for one in root.histories)


async def test_repositories_inside_a_directory_without_one(tmp_path: Path) -> None:
    async with harness(tmp_path) as place:
        first = GitRepositoryForTests(place.path / "first")
        first.commit("begin", {"a.py": "x = 1\n"})
        async with place.running() as root:
            await eventually(lambda: are_read(root, 2), seconds=60)
            await root.sync(60)
            history, below = root.history_of(b"first/a.py")
            assert (below, ids_in(history)) == (b"a.py", first.log())
            assert root.history_of(b"other.py") == (root.history, b"other.py")

            second = GitRepositoryForTests(place.path / "group" / "second")
            second.commit("another", {"b.py": "x = 2\n"})
            first.commit("more", {"a.py": "x = 2\n"})
            await eventually(lambda: are_read(root, 3), seconds=60)
            await root.sync(60)
            assert [ids_in(one) for one in root.histories_at(b"")] == [first.log(), second.log()]
            assert [ids_in(one) for one in root.histories_at(b"group")] == [second.log()]
            checked = await verified(root)
            assert (checked["commits_checked"], checked["differences"]) == (3, [])

            shutil.rmtree(first.path)
            await eventually(lambda: are_read(root, 2), seconds=60)
            assert root.history_of(b"first/a.py") == (root.history, b"first/a.py")
        async with place.running() as root:
            await eventually(lambda: are_read(root, 2), seconds=60)
            assert ids_in(root.history_of(b"group/second")[0]) == second.log()


async def test_a_shallow_clone_that_is_deepened(tmp_path: Path) -> None:
    async with harness(tmp_path) as place:
        origin = GitRepositoryForTests(tmp_path / "origin")
        for number in range(6):
            origin.commit(f"commit {number}", {"a": f"{number}\n"})
        origin.git("clone", "-q", "--depth", "2", f"file://{origin.path}", str(place.path))
        async with place.running() as root:
            await complete(root)
            assert ids_of(root) == origin.log("-2")
            assert root.history.status().is_shallow
            origin.git("-C", str(place.path), "fetch", "-q", "--unshallow")
            await root.sync(60)
            assert ids_of(root) == origin.log()
            assert not root.history.status().is_shallow


async def test_a_commit_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place):
        tree = repo.git("rev-parse", "HEAD~1^{tree}").decode().strip()
        (repo.path / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
        async with place.running() as root:
            await complete(root)
            status = root.history.status()
            assert (status.phase, status.commits, status.total, status.unreadable) == (HistoryPhase.COMPLETE, 1, 3, 2)
            assert ids_of(root) == repo.log()[2:]


async def verified(root: Root, *, repair: bool = False) -> dict[str, Any]:
    async def rebuild(_: object) -> Root:
        raise AssertionError("the code is sound")

    return await verify.verify(root, repair=repair, rebuild=rebuild)


async def test_verify_compares_the_history_and_repairs_it(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place), place.running() as root:
        await complete(root)
        sound = await verified(root)
        assert (sound["differences"], sound["commits_checked"]) == ([], 3)
        key = root.history._stores.key_of(root.spec.id)
        database = tmp_path / "history" / str(key) / "history.db"
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE commits SET author_time = 7 WHERE number = 2")
            connection.execute("DELETE FROM commits WHERE number = 3")
        connection.close()
        wrong = await verified(root)
        details = sorted(one["detail"] for one in wrong["differences"])
        assert [one["what"] for one in wrong["differences"]] == ["history"] * len(details)
        assert any(detail.startswith("1 commit is missing") for detail in details)
        assert any(detail.startswith("the record of") for detail in details)
        assert (await verified(root, repair=True))["repaired"]
        assert (await verified(root))["differences"] == []
        assert ids_of(root) == repo.log()


async def test_verify_says_nothing_about_a_directory_without_repository(tmp_path: Path) -> None:
    async with harness(tmp_path) as place, place.running() as root:
        await complete(root)
        found = await verified(root)
        assert found["differences"] == []
        assert "notes" not in found


async def test_two_roots_of_one_repository_share_their_commits(tmp_path: Path) -> None:
    async with repository(tmp_path) as (repo, place), place.running() as root:
        await complete(root)
        repo.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "tree"))
        async with place.running_at(tmp_path / "tree") as other:
            await complete(other)
            assert ids_of(other) == repo.log()
            with root.history.snapshot() as first, other.history.snapshot() as second:
                assert first.order.tolist() == second.order.tolist()
            repo.commit("only on main")
            await root.sync(60)
            await other.sync(60)
            assert (len(ids_of(root)), len(ids_of(other))) == (4, 3)


async def test_a_history_that_fails_costs_the_code_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise RuntimeError("a bug")

    async with repository(tmp_path) as (repo, place):
        with monkeypatch.context() as patch:
            patch.setattr("codeindexd.indexing.wanted_commits.locate", fail)
            async with place.running() as root:
                await eventually(lambda: root.history.status().reason, seconds=30)
                assert "RuntimeError" in root.history.status().reason
                with pytest.raises(NoHistoryError, match="RuntimeError"):
                    ids_of(root)
                (place.path / "new.py").write_text("x = 1\n")
                assert (await root.sync(60)).generation > 0
        async with place.running() as root:
            await complete(root)
            assert ids_of(root) == repo.log()


async def test_the_mailmap_of_a_bare_repository_is_that_of_its_head(tmp_path: Path) -> None:
    origin = GitRepositoryForTests(tmp_path / "origin")
    origin.commit("first", {"a": "1\n"})
    email = origin.git("log", "-1", "--format=%ae").decode().strip()

    def authors(root: Root) -> set[str]:
        with root.history.snapshot() as snapshot:
            return {one.author.name for one in snapshot.commits(snapshot.order.tolist()).values()}

    async with harness(tmp_path) as place:
        origin.git("clone", "-q", "--bare", ".", str(place.path))
        async with place.running() as root:
            for name in ("One", "Two"):
                origin.commit("map", {".mailmap": f"{name} <{email}>\n"})
                origin.git("push", "-q", str(place.path), "HEAD")
                await root.history.refresh()
                assert authors(root) == {name}
