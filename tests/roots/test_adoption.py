"""A new root adopts the index of a similar one: equal to a cold index, and never the other root's text."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest
from msgspec.structs import replace

from codeindexd.errors import StoreFullError
from codeindexd.roots import Root, adoption
from codeindexd.roots.adoption import Lender, most_similar
from codeindexd.scan.merkle import leaf_hash
from codeindexd.scan.scanner import Scanner
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.dense import Dense
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.lexical import Lexical
from codeindexd.storage.text import TextIndex
from codeindexd.types import FileUpdate, Outcome, RootState, Transaction
from roots.real_root import Harness, harness
from support.trees import Link, Node, tree

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


@pytest.fixture(autouse=True)
def _few_files_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "_FEWEST_FILES", 10)


CODE: dict[str, Node] = {
    **{f"pkg/m{number}.py": f"def function_{number}(): return {number}\n" for number in range(12)},
    "pkg/big.py": "\n\n".join(f"class Class{number}:\n    def method(self): pass" for number in range(20)),
    "README.md": "# Title\n\nWords about alpha.\n",
    "image.bin": b"\0\1\2" * 100,
    "link": Link("pkg/big.py"),
    ".gitignore": "*.log\n",
}


def contents(root: Root) -> dict[bytes, Any]:
    """Return what the catalog and the projections hold of each path, without ids."""
    index = root._parts.index
    with index.current.pin() as snapshot:
        assert snapshot is not None
        catalog = snapshot.catalog
        lexical, dense = set(snapshot.lexical.chunk_ids().tolist()), set(snapshot.dense.ids().tolist())
        assert lexical == dense == set(catalog.all_chunk_ids().tolist())
        assert index.text.missing_from(catalog.indexed_content_hashes()) == []
        held: dict[bytes, Any] = {}
        for file in catalog.files():
            chunks = [
                (chunk.span, chunk.span_hash, chunk.embed_hash) for chunk in catalog.chunks_of_file(file.entry.path)
            ]
            entry = file.entry
            definitions = catalog.definitions([file.file_id]).get(file.file_id, ())
            held[entry.path] = (entry.kind, entry.hash, file.outcome, file.language, chunks, definitions)
    assert index.catalog.check() == []
    assert index.text.generation == index.lexical.generation == index.dense.generation == index.catalog.generation
    return held


def defining(root: Root, name: str) -> list[bytes]:
    """Return the paths of the files that define ``name``."""
    with root.catalog_snapshot() as catalog:
        return sorted(file.entry.path for file in catalog.files_by_id(catalog.files_defining([name])).values())


def processed(root: Root) -> int:
    """Return how many files workers have processed for a root."""
    stages = root.status().stages
    return stages["read"].items if "read" in stages else 0


async def cold(made: Harness, path: Path) -> dict[bytes, Any]:
    """Return the contents of an index of the files at ``path`` that was made from nothing."""
    copy = path.with_name(f"{path.name}x")
    shutil.copytree(path, copy, symlinks=True)
    async with made.running_at(copy) as root:
        return contents(root)


def no_traces(made: Harness, path: Path) -> bool:
    """Return True if there are neither stores nor the beginning of some."""
    stores = made.stores_at(path)
    return not any(place.name.startswith(stores.name) for place in stores.parent.iterdir())


async def test_equal_files_are_taken_over_without_being_processed(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        async with made.running() as source, made.running_at(tmp_path / "b", [source]) as root:
            assert processed(root) == 0
            status = root.status()
            assert status.adoption is not None
            assert status.adoption.source == made.path
            assert (status.adoption.files_same, status.adoption.files_to_process) == (15, 0)
            assert status.state is RootState.FRESH
            assert contents(root) == contents(source) == await cold(made, tmp_path / "b")


async def test_what_the_other_root_has_yet_to_process_is_counted(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        async with made.running() as source:
            with source.catalog_snapshot() as catalog:
                file = catalog.file(b"pkg/m3.py")
            assert file is not None
            index = source._parts.index
            index.commit(Transaction(updates=[FileUpdate(file.entry, Outcome.UNPROCESSED)]))
            async with made.running_at(tmp_path / "b", [source]) as root:
                found = root.status().adoption
                assert found is not None
                assert (found.files_same, found.files_to_process, processed(root)) == (14, 1, 1)


def rewrite(path: Path) -> None:
    """Change a tree in every way that a branch may."""
    (path / "pkg/m1.py").write_text("def other(): return 'only here'\n")
    (path / "pkg/big.py").write_text((path / "pkg/big.py").read_text() + "\n\nclass Last: pass\n")
    (path / "pkg/m2.py").unlink()
    (path / "pkg/m3.py").rename(path / "pkg/moved.py")
    (path / "new").mkdir()
    (path / "new/file.py").write_text("def new_one(): pass\n")
    (path / "link").unlink()
    (path / "link").symlink_to("README.md")
    (path / "README.md").unlink()
    (path / "README.md").mkdir()
    (path / ".gitignore").write_text("*.log\nm4.py\n")
    (path / ".codeindex.toml").write_text('[index]\nexclude = ["m5.py"]\n')


async def test_what_differs_is_processed_and_nothing_else(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        rewrite(tmp_path / "b")
        async with made.running() as source, made.running_at(tmp_path / "b", [source]) as root:
            before = contents(source)
            assert processed(root) == 3 + 2, "two changed, one new, and two files with rules"
            assert contents(root) == await cold(made, tmp_path / "b")
            assert defining(root, "function_1") == defining(root, "function_4") == defining(root, "function_5") == []
            assert defining(root, "function_3") == [b"pkg/moved.py"]
            assert contents(source) == before


async def test_before_the_first_scan_nothing_of_the_other_root_is_known(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        rewrite(tmp_path / "b")
        async with made.running() as source:
            root = made.make_at(tmp_path / "b")
            await root.adopt([source])
            index = root._dependencies.open_index(made.stores_at(tmp_path / "b"), root.spec.id)
            with index.catalog.snapshot() as snapshot:
                files = {file.entry.path: file for file in snapshot.files()}
                assert not files.keys() & {b"pkg/m2.py", b"pkg/m3.py", b"README.md"}
                for path in (b"pkg/m1.py", b"pkg/big.py", b"new/file.py"):
                    assert files[path].outcome is Outcome.UNPROCESSED
                    assert list(snapshot.chunks_of_file(path)) == []
                    assert files[path].entry.hash == leaf_hash((tmp_path / "b" / os.fsdecode(path)).read_bytes())
                names = {chunk.span.symbol for path in files for chunk in snapshot.chunks_of_file(path)}
            assert "function_1" not in names
            assert "function_6" in names
            index.close()


STEPS: list[tuple[str, object, str]] = [
    ("the catalog's copy", Catalog, "copy_to"),
    ("the lexical index's copy", Lexical, "copy_to"),
    ("the dense index's copy", Dense, "copy_to"),
    ("the text index's copy", TextIndex, "copy_to"),
    ("the comparison", adoption, "reconcile"),
    ("a commit", IndexWriter, "commit"),
    ("the sync", adoption, "sync_directory"),
    ("the sample", adoption, "resemblance"),
]
ERRORS = [OSError(errno.ENOSPC, "No space left on device"), StoreFullError("full"), KeyError("a bug")]


@pytest.mark.parametrize(("owner", "name"), [step[1:] for step in STEPS], ids=[step[0] for step in STEPS])
async def test_an_adoption_that_fails_leaves_nothing_and_all_is_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        async with made.running() as source:
            before = contents(source)
            for number, error in enumerate(ERRORS):
                path = tmp_path / f"b{number}"
                shutil.copytree(made.path, path, symlinks=True)
                (path / "pkg/m1.py").write_text("def changed(): pass\n")
                root = made.make_at(path)
                with monkeypatch.context() as broken:

                    def fail(*_: Any, error: Exception = error, **__: Any) -> None:
                        raise error

                    broken.setattr(owner, name, fail)
                    await root.adopt([source])
                assert no_traces(made, path)
            async with made.running_at(tmp_path / "b0") as cold_root:
                assert cold_root.status().adoption is None
                assert contents(source) == before
                assert defining(cold_root, "changed") == [b"pkg/m1.py"]
                assert contents(cold_root).keys() == before.keys()


class Killed(BaseException):
    """The end of the process, as far as the code can see it."""


async def test_an_adoption_that_is_cut_off_is_not_taken_for_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        async with made.running() as source:
            root = made.make_at(tmp_path / "b")

            def die(*_: Any) -> None:
                raise Killed

            with monkeypatch.context() as broken:
                broken.setattr(adoption, "sync_directory", die)
                broken.setattr(shutil, "rmtree", lambda *_, **__: None)  # the process that would do it is gone
                with pytest.raises(Killed):
                    await root.adopt([source])
            stores = made.stores_at(tmp_path / "b")
            assert not stores.exists()
            assert stores.with_name(stores.name + adoption.UNFINISHED).exists()


async def test_content_that_could_not_be_read_is_not_taken_from_the_other_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned = Scanner.scan

    def scan(self: Scanner, *arguments: Any, **more: Any) -> Any:
        found = scanned(self, *arguments, **more)
        return replace(found, unsettled=[b"pkg/m1.py"], errors=[(b"pkg/m2.py", "denied"), (b"gone.py", "denied")])

    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        async with made.running() as source:
            with monkeypatch.context() as changed:
                changed.setattr(Scanner, "scan", scan)
                root = made.make_at(tmp_path / "b")
                await root.adopt([source])
            index = root._dependencies.open_index(made.stores_at(tmp_path / "b"), root.spec.id)
            with index.catalog.snapshot() as snapshot:
                assert snapshot.file(b"pkg/m1.py") is snapshot.file(b"pkg/m2.py") is None
                assert snapshot.file(b"pkg/m3.py") is not None
            index.close()
            async with made.running_at(tmp_path / "b") as again:
                assert contents(again) == contents(source)


async def test_a_root_that_cannot_be_read_adopts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = Scanner.scan
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        async with made.running() as source:
            monkeypatch.setattr(
                Scanner, "scan", lambda *given, **more: replace(scanned(*given, **more), errors=[(b"", "denied")])
            )
            await made.make_at(tmp_path / "b").adopt([source])
            assert no_traces(made, tmp_path / "b")


async def test_roots_with_other_files_are_not_adopted(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        tree(tmp_path / "b", {f"pkg/m{number}.py": f"x = {number}\n" for number in range(12)} | {"README.md": "else"})
        async with made.running() as source:
            await made.make_at(tmp_path / "b").adopt([source])
            assert no_traces(made, tmp_path / "b")


async def test_the_most_similar_root_is_adopted(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        shutil.copytree(made.path, tmp_path / "c", symlinks=True)
        for number in range(4):
            (made.path / f"pkg/m{number}.py").write_text("much longer than it was in the others\n")
        async with made.running() as first, made.running_at(tmp_path / "b") as second:
            lenders = [Lender(root.spec.path, root._parts.index) for root in (first, second)]
            for order in (lenders, lenders[::-1]):
                best = most_similar(tmp_path / "c", order)
                assert best is not None
                assert best.path == tmp_path / "b"


async def test_a_few_of_many_roots_are_compared_and_the_nearest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_MOST_COMPARED", 2)
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        for name in ("near/b", "near/new", "c"):
            shutil.copytree(made.path, tmp_path / name, symlinks=True)
        (tmp_path / "c/other").write_text("one name less in common\n")
        async with (
            made.running() as first,
            made.running_at(tmp_path / "near/b") as second,
            made.running_at(tmp_path / "c") as third,
        ):
            lenders = [Lender(root.spec.path, root._parts.index) for root in (third, first, second)]
            compared = []
            monkeypatch.setattr(adoption, "resemblance", lambda path, snapshot: compared.append(snapshot) or 0.0)
            with monkeypatch.context() as noted:
                opened = Catalog.snapshot
                noted.setattr(Catalog, "snapshot", lambda self: compared.append(self) or opened(self))
                assert most_similar(tmp_path / "near/new", lenders) is None
            catalogs = [one for one in compared if isinstance(one, Catalog)]
            assert catalogs == [second._parts.index.catalog, first._parts.index.catalog]
            monkeypatch.setattr(adoption, "_FEWEST_FILES", 100)
            assert most_similar(tmp_path / "near/new", lenders) is None
            assert len([one for one in compared if isinstance(one, Catalog)]) == 2, "none is large enough"


async def test_a_root_that_has_just_begun_or_lags_lends_nothing(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        async with made.running() as source:
            for attribute in ("lexical", "dense"):
                setattr(source._parts.index.lag, attribute, True)
                await made.make_at(tmp_path / "b").adopt([source])
                assert no_traces(made, tmp_path / "b")
                setattr(source._parts.index.lag, attribute, False)
            await source.pause()
            for number in range(12):
                (made.path / f"pkg/m{number}.py").write_text("changed = True\n")
            await source.reindex()
            await made.make_at(tmp_path / "b").adopt([source])
            assert no_traces(made, tmp_path / "b")
            await source.resume()


async def test_an_adopted_index_is_adopted_from_a_root_at_rest(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        for name in ("b", "c"):
            shutil.copytree(made.path, tmp_path / name, symlinks=True)
        (tmp_path / "b/pkg/only.py").write_text("def only_in_b(): pass\n")
        async with made.running() as source, made.running_at(tmp_path / "b", [source]) as second:
            assert second._parts.index.rest()
            async with made.running_at(tmp_path / "c", [second]) as third:
                assert third.status().adoption is not None
                assert processed(third) == 0
                assert defining(third, "only_in_b") == []
                assert contents(third) == contents(source)


async def test_edits_and_deletions_in_one_root_do_not_reach_the_other(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        async with made.running() as source:
            before = contents(source)
            async with made.running_at(tmp_path / "b", [source]) as root:
                for number in range(12):
                    (tmp_path / f"b/pkg/m{number}.py").write_text(f"def changed_{number}(): pass\n")
                await root.sync(60)
                await root._parts.index.maintain(lambda: False)
                assert contents(source) == before
                (made.path / "pkg/m1.py").write_text("def source_only(): pass\n")
                await source.sync(60)
                assert defining(root, "source_only") == []
                assert defining(root, "changed_1") == [b"pkg/m1.py"]
            shutil.rmtree(made.stores_at(tmp_path / "b"))
            assert await source._parts.index.damaged_files() == []
            assert defining(source, "source_only") == [b"pkg/m1.py"]
            assert defining(source, "function_2") == [b"pkg/m2.py"]


async def test_a_cancelled_adoption_stops_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with harness(tmp_path) as made:
        tree(made.path, CODE)
        shutil.copytree(made.path, tmp_path / "b", symlinks=True)
        async with made.running() as source:
            async with anyio.create_task_group() as tasks:
                compared = adoption.reconcile

                def compare(*arguments: Any, **more: Any) -> Any:
                    anyio.from_thread.run_sync(tasks.cancel_scope.cancel)
                    return compared(*arguments, **more)

                monkeypatch.setattr(adoption, "reconcile", compare)
                tasks.start_soon(made.make_at(tmp_path / "b").adopt, [source])
            assert no_traces(made, tmp_path / "b")
            assert source.state is RootState.FRESH
