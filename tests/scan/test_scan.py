"""Scans of real directories: what is found, what is hashed, and what only needs a stat."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeindexd.errors import PathRefusedError, ShuttingDownError
from codeindexd.scan import hashing
from codeindexd.scan.merkle import Tree, diff, leaf_hash
from codeindexd.scan.safe_read import is_settled
from codeindexd.scan.size_limits import SizeLimits
from codeindexd.types import Entry, FileStat, NodeKind
from scan.scans import LATER, NOTHING, everything, reasons, scanner
from support.trees import Link, tree


@contextmanager
def without_privileges() -> Iterator[None]:
    """Run as a user without root's permissions, even if the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Create a directory that every user can reach and read."""
    base = Path(os.path.realpath(os.environ.get("TMPDIR", "/tmp"))) / f"scan-{os.getpid()}-{random.getrandbits(32):x}"
    base.mkdir(mode=0o755)
    base.chmod(0o755)
    yield base
    for place in (base, *base.rglob("*")):
        if not place.is_symlink():
            place.chmod(0o755)
    shutil.rmtree(base)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists its mounts")
def test_what_shows_the_state_of_the_kernel_is_left_out() -> None:
    outer = scanner(Path("/"))
    found = outer.scan([b"proc"], NOTHING, now_ns=LATER)
    assert reasons(found) == {"proc": "special"}
    assert (found.stats.hashed, found.errors, found.directories) == (0, [], [])
    for path in (b"proc", b"proc/version"):
        verdict = outer.explain(path)
        assert verdict is not None
        assert verdict.rule == "default: the kernel's state, not files (proc)"
    assert scanner(Path("/proc/sys")).explain(b"kernel/ostype") is None, "a root that was added before is scanned"


def test_kinds_and_reasons(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "src/a.py": "a = 1\n",
            "src/empty.py": "",
            "void": None,
            "link": Link("src"),
            "broken": Link("nowhere"),
            "loop/up": Link(".."),
            "node_modules/x/y.js": "1",
            "big.txt": "x" * 101,
            ".env": "SECRET=1",
            "logo.png": b"\x89PNG",
        },
    )
    os.mkfifo(tmp_path / "pipe")
    scan = everything(tmp_path, size_limits=SizeLimits(100))
    assert reasons(scan) == {
        "node_modules": "vendored",
        "big.txt": "oversized",
        ".env": "sensitive",
        "logo.png": "binary",
        "pipe": "special",
    }
    kinds = {
        os.fsdecode(entry.path): entry.kind.name for entry in scan.tree.entries() if entry.kind is not NodeKind.SKIPPED
    }
    assert kinds == {
        "": "DIRECTORY",
        "src": "DIRECTORY",
        "src/a.py": "FILE",
        "src/empty.py": "FILE",
        "void": "DIRECTORY",
        "loop": "DIRECTORY",
        "loop/up": "SYMLINK",
        "link": "SYMLINK",
        "broken": "SYMLINK",
    }
    assert scan.tree.node(b"src/a.py").hash == leaf_hash(b"a = 1\n")  # type: ignore[union-attr]
    assert scan.tree.node(b"link").hash == leaf_hash(b"src")  # type: ignore[union-attr]
    assert sorted(scan.directories) == [b"", b"loop", b"src", b"void"]
    assert (scan.errors, scan.unsettled, scan.below) == ([], [], (b"",))
    assert (scan.stats.files, scan.stats.hashed, scan.stats.bytes) == (10, 2, 6)


def test_a_second_scan_reads_nothing_and_keeps_the_objects(tmp_path: Path) -> None:
    tree(tmp_path, {"a/b.py": "1", "c.py": "2", "l": Link("c.py"), "x.png": b"1", "dist.min.js": "1"})
    first = everything(tmp_path)
    second = everything(tmp_path, first.tree)
    assert second.stats.hashed == 0
    assert all(entry is first.tree.node(entry.path) for entry in second.tree.entries())
    assert not diff(first.tree, second.tree)


def test_the_known_tree_is_read_once_per_directory(tmp_path: Path) -> None:
    tree(tmp_path, {f"d{number % 4}/e{number}/f.py": "1" for number in range(12)})
    first = everything(tmp_path)
    asked: list[bytes] = []

    class Asked(Tree):
        def children(self, directory: bytes) -> Mapping[bytes, Entry]:
            asked.append(directory)
            return super().children(directory)

    everything(tmp_path, Asked.build(first.tree.entries()))
    assert sorted(asked) == sorted(first.directories)


def test_touched_and_changed(tmp_path: Path) -> None:
    tree(tmp_path, {"a/same.py": "1", "a/other.py": "2", "b/c.py": "3"})
    first = everything(tmp_path)
    os.utime(tmp_path / "a/same.py", ns=(5, 5))
    second = everything(tmp_path, first.tree)
    difference = diff(first.tree, second.tree)
    assert second.stats.hashed == 1
    assert [entry.path for entry in difference.touched] == [b"a/same.py"]
    assert second.tree.root_hash == first.tree.root_hash
    (tmp_path / "b/c.py").write_text("4")
    (tmp_path / "a/other.py").rename(tmp_path / "b/moved.py")
    difference = diff(second.tree, everything(tmp_path, second.tree).tree)
    assert [entry.path for entry in difference.modified] == [b"b/c.py"]
    assert [(move.source, move.entry.path) for move in difference.moved] == [(b"a/other.py", b"b/moved.py")]
    assert (difference.added, difference.removed, difference.touched) == ((), (), ())


def test_a_write_that_keeps_size_and_mtime_is_found(tmp_path: Path) -> None:
    tree(tmp_path, {"a.py": "x = 1"})
    first = everything(tmp_path)
    before = (tmp_path / "a.py").stat()
    (tmp_path / "a.py").write_text("x = 2")
    os.utime(tmp_path / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    if (tmp_path / "a.py").stat().st_ctime_ns != before.st_ctime_ns:
        assert [entry.path for entry in diff(first.tree, everything(tmp_path, first.tree).tree).modified] == [b"a.py"]


def test_young_files_are_hashed_again_until_they_settle(tmp_path: Path) -> None:
    tree(tmp_path, {"a.py": "1"})
    wrote = (tmp_path / "a.py").stat().st_ctime_ns
    first = scanner(tmp_path).scan([b""], NOTHING, now_ns=wrote + 1_000_000)
    assert (first.young, first.unsettled) == ([b"a.py"], [])
    assert first.tree.node(b"a.py").stat is None  # type: ignore[union-attr]
    (tmp_path / "a.py").write_text("2")  # within the same tick: neither size nor, perhaps, time changes
    second = scanner(tmp_path).scan(first.young, first.tree, now_ns=wrote + LATER)
    assert [entry.path for entry in diff(first.tree, second.tree, below=second.below).modified] == [b"a.py"]
    assert second.young == []
    assert second.tree.node(b"a.py").stat is not None  # type: ignore[union-attr]


def test_settling_depends_on_the_resolution_of_the_clock() -> None:
    fine, whole = 1_700_000_000_123_456_789, 1_700_000_000_000_000_000
    settled = {
        (time_ns, age): is_settled(FileStat(1, time_ns, time_ns, 1), time_ns + age)
        for time_ns in (fine, whole)
        for age in (-1, 0, 49_000_000, 50_000_000, 1_999_000_000, 2_000_000_000)
    }
    assert [settled[fine, age] for age in (-1, 0, 49_000_000, 50_000_000)] == [False, False, False, True]
    assert [settled[whole, age] for age in (50_000_000, 1_999_000_000, 2_000_000_000)] == [False, False, True]


def test_files_from_the_future_are_always_hashed_and_never_retried(tmp_path: Path) -> None:
    tree(tmp_path, {"a.py": "1"})
    future = time.time_ns() + 2 * LATER
    os.utime(tmp_path / "a.py", ns=(future, future))
    first = everything(tmp_path)
    assert (first.young, first.unsettled) == ([], [])
    assert everything(tmp_path, first.tree).stats.hashed == 1


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, {"once.py": "1", "ever.py": "1", "still.py": "1"})
    real, left = os.readv, {"once.py": 1, "ever.py": 9}

    def readv(descriptor: int, buffers: list[memoryview]) -> int:
        got = real(descriptor, buffers)
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if left.get(name, 0):
            left[name] -= 1
            with (tmp_path / name).open("a") as file:
                file.write("+")
        return got

    monkeypatch.setattr(hashing.os, "readv", readv)
    scan = everything(tmp_path)
    assert scan.unsettled == [b"ever.py"]
    assert scan.tree.node(b"once.py").hash == leaf_hash(b"1+")  # type: ignore[union-attr]
    assert scan.tree.node(b"ever.py").stat is None  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 700_000])
def test_files_of_any_size_are_hashed_correctly(tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    tree(tmp_path, {"f": content})
    scan = everything(tmp_path)
    assert scan.tree.node(b"f").hash == leaf_hash(content)  # type: ignore[union-attr]
    assert scan.stats.bytes == size


def test_threads_give_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, {f"d{number % 7}/f{number}.py": f"{number}" for number in range(1500)})
    alone = everything(tmp_path, threads=1)
    ticks = iter(range(10**9))
    monkeypatch.setattr(hashing.time, "perf_counter", lambda: float(next(ticks)))  # as if the disk were slow
    together = everything(tmp_path, threads=8)
    assert together.tree.root_hash == alone.tree.root_hash
    assert list(together.tree.entries()) == list(alone.tree.entries())


def test_unreadable_files_and_directories_stay_as_they_were(public: Path) -> None:
    tree(public, {"a.py": "1", "new": None, "sub/deep/b.py": "2", "c.py": "3"})
    first = everything(public)
    (public / "a.py").chmod(0)
    (public / "sub").chmod(0)
    tree(public, {"d.py": "4", "locked/e.py": "5"})
    (public / "d.py").chmod(0)
    (public / "locked").chmod(0)
    with without_privileges():
        second = everything(public, first.tree)
        hinted = scanner(public).scan([b"a.py", b"sub/deep/b.py"], first.tree, now_ns=time.time_ns() + LATER)
    assert [path for path, _ in second.errors] == [b"a.py", b"d.py", b"locked", b"sub"]
    assert reasons(second) == {"d.py": "unreadable", "locked": "unreadable"}
    difference = diff(first.tree, second.tree)
    assert (difference.removed, difference.modified) == ((), ())
    assert second.tree.node(b"sub/deep/b.py") is first.tree.node(b"sub/deep/b.py")
    assert not diff(first.tree, hinted.tree, below=hinted.below)
    (public / "a.py").chmod(0o644)
    (public / "d.py").chmod(0o644)
    third = everything(public, second.tree)
    assert [entry.path for entry in diff(second.tree, third.tree).modified] == [b"d.py"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    for name in (b"\xff\xfe.py", b"new\nline.py", "ünïcode.py".encode()):
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    scan = everything(tmp_path)
    assert {entry.path for entry in scan.tree.leaves()} == {b"\xff\xfe.py", b"new\nline.py", "ünïcode.py".encode()}


def test_very_deep_trees(tmp_path: Path) -> None:
    tree(tmp_path, {f"{name}/g.py": name for name in "abxyz"})
    held = len(list(Path("/dev/fd").iterdir()))
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):  # deeper than the longest path
        os.mkdir("deep", dir_fd=descriptor)
        below = os.open("deep", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("f.py", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    try:
        scan = everything(tmp_path)
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "deep"], check=True)
    assert scan.tree.node(b"deep/" * 1200 + b"f.py") is not None
    wide = {b"%c/g.py" % code for code in b"abxyz"}
    assert {entry.path for entry in scan.tree.leaves() if entry.path.endswith(b"/g.py")} == wide
    assert scan.errors == []
    assert len(list(Path("/dev/fd").iterdir())) == held


def test_a_missing_root_and_stopping_raise(tmp_path: Path) -> None:
    tree(tmp_path, {"a.py": "1", "file": "x"})
    for place in ("missing", "file"):
        with pytest.raises(PathRefusedError):
            everything(tmp_path / place)
    with pytest.raises(ShuttingDownError):
        scanner(tmp_path).scan([b""], NOTHING, now_ns=0, should_stop=lambda: True)


_NAMES = st.sampled_from(["a", "b", "c.py", "d"])
_LAYOUT = st.dictionaries(st.lists(_NAMES, min_size=1, max_size=3).map("/".join), st.text("xy", max_size=3), max_size=8)


@settings(max_examples=30, deadline=None)
@given(_LAYOUT, st.randoms(use_true_random=False))
def test_the_root_hash_is_a_function_of_the_content(
    tmp_path_factory: pytest.TempPathFactory, layout: dict[str, str], chance: random.Random
) -> None:
    layout = {path: text for path, text in layout.items() if not any(other.startswith(path + "/") for other in layout)}
    shuffled = list(layout.items())
    chance.shuffle(shuffled)
    one = tree(tmp_path_factory.mktemp("one"), layout)
    two = tree(tmp_path_factory.mktemp("two"), dict(shuffled))
    before = everything(one).tree.root_hash
    assert everything(two).tree.root_hash == before
    if layout:
        path = chance.choice(sorted(layout))
        (two / path).rename(two / "elsewhere")
        assert everything(two).tree.root_hash != before
        (two / "elsewhere").rename(two / path)
        assert everything(two).tree.root_hash == before
        (two / path).write_text(layout[path] + "z")
        assert everything(two).tree.root_hash != before


def test_directories_that_decide_about_others_are_watched_without_being_walked(tmp_path: Path) -> None:
    tree(tmp_path, {"env/pyvenv.cfg": "", "env/lib/a.py": "x", "tagged/CACHEDIR.TAG": "", "build/a.py": "x"})
    tree(tmp_path, {"nested/.git/HEAD": "ref: refs/heads/main\n", "nested/a.py": "x", "no/.git/config": ""})
    directories = set(everything(tmp_path).directories)
    assert directories == {b"", b"env", b"tagged", b"build", b"nested", b"nested/.git", b"nested/.git/info", b"no"}
    tree(tmp_path, {".gitignore": "build/\n", "tree/.git": f"gitdir: {tmp_path}/nested/.git/worktrees/tree\n"})
    tree(tmp_path / "nested/.git/worktrees/tree", {"HEAD": "ref: refs/heads/other\n", "commondir": "../..\n"})
    assert set(everything(tmp_path).directories) == (directories | {b"tree"}) - {b"build"}


def test_files_with_several_names_are_reported(tmp_path: Path) -> None:
    tree(tmp_path, {"d/one.py": "x", "single.py": "y", "ignored.log": "z", ".gitignore": "*.log\n"})
    (tmp_path / "two.py").hardlink_to(tmp_path / "d/one.py")
    (tmp_path / "linked.log").hardlink_to(tmp_path / "ignored.log")
    status = (tmp_path / "two.py").stat()
    assert everything(tmp_path).linked == dict.fromkeys([b"d/one.py", b"two.py"], (status.st_dev, status.st_ino))


def test_the_standard_library_twice(tmp_path: Path) -> None:
    for copy in ("one", "two"):
        shutil.copytree(Path(sysconfig.get_path("stdlib")) / "email", tmp_path / copy)
    scans = [everything(tmp_path / copy) for copy in ("one", "two")]
    assert scans[0].tree.root_hash == scans[1].tree.root_hash
    assert scans[0].stats.hashed > 20


def test_a_scan_with_a_limit_enters_no_directory_beyond_it(tmp_path: Path) -> None:
    tree(tmp_path, {f"{directory}/{name}.py": "x = 1\n" for directory in "abc" for name in "def"})
    first = scanner(tmp_path).scan([b""], NOTHING, now_ns=LATER, most_leaves=4)
    assert first.is_cut
    assert len(diff(NOTHING, first.tree).added) == 2 * (1 + 3) + 1
    whole = scanner(tmp_path).scan([b""], NOTHING, now_ns=LATER, most_leaves=9)
    assert not whole.is_cut
    assert whole.tree.root_hash == everything(tmp_path).tree.root_hash
