"""Files that git tracks are kept though its rules match them, as git itself sees its work tree."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codeindexd.scan.git_excludes import GitConfigLocations
from codeindexd.scan.scanner import Scan, Scanner
from codeindexd.scan.tracked import RepositoryPaths, TrackedSet
from codeindexd.types import NodeKind
from scan.scans import LATER, NOTHING, NOWHERE, everything, reasons, scanner
from support.trees import tree


def git(directory: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "HOME": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.invalid",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.invalid",
    }
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True)
    return done.stdout.decode()


def repository(place: Path, files: dict[str, str], *forced: str, options: tuple[str, ...] = ()) -> Path:
    """Make a repository in which all is added that git does not ignore, and ``forced``."""
    tree(place, files)
    git(place, "init", "-q", "-b", "main", *options)
    git(place, "add", "-A")
    if forced:
        git(place, "add", "-f", *forced)
    return place


def files_of(scan: Scan) -> set[str]:
    return {os.fsdecode(entry.path) for entry in scan.tree.leaves() if entry.kind is NodeKind.FILE}


IGNORING = {
    ".gitignore": "build/\n*.log\n!keep.log\n/top.py\n",
    "build/release.py": "r",
    "build/other.py": "o",
    "build/deep/tool.py": "t",
    "build/keep.log": "k",
    "top.py": "t",
    "a.log": "a",
    "b.log": "b",
    "src/main.py": "m",
}
FORCED = ("build/release.py", "build/deep/tool.py", "top.py", "a.log")


def test_tracked_files_are_kept_and_nothing_else_that_git_ignores(tmp_path: Path) -> None:
    root = repository(tmp_path, IGNORING, *FORCED)
    scan = everything(root)
    assert files_of(scan) == {".gitignore", "src/main.py", *FORCED}
    assert {path: reason for path, reason in reasons(scan).items() if path != ".git"} == {
        "b.log": "ignored",
        "build/other.py": "ignored",
        "build/keep.log": "ignored",  # a negation cannot reach below an ignored directory
    }
    assert scanner(root).explain(b"build/release.py") is None
    verdict = scanner(root).explain(b"build/other.py")
    assert verdict is not None
    assert verdict.rule == ".gitignore:1: build/"


@pytest.mark.parametrize(
    "change",
    [
        ("update-index", "--index-version", "4"),
        ("update-index", "--split-index"),
        ("commit", "-q", "-m", "all"),
    ],
)
def test_every_form_of_the_index_is_understood(tmp_path: Path, change: tuple[str, ...]) -> None:
    root = repository(tmp_path, IGNORING, *FORCED)
    git(root, *change)
    assert files_of(everything(root)) == {".gitignore", "src/main.py", *FORCED}


def test_repositories_with_long_ids_are_understood(tmp_path: Path) -> None:
    root = repository(tmp_path, IGNORING, *FORCED, options=("--object-format=sha256",))
    assert files_of(everything(root)) == {".gitignore", "src/main.py", *FORCED}


def _fifo(index: Path) -> None:
    index.unlink()
    os.mkfifo(index)


@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        lambda index: index.write_bytes(b""),
        lambda index: index.write_bytes(index.read_bytes()[:100]),
        lambda index: index.write_bytes(os.urandom(5000)),
        _fifo,
    ],
)
def test_without_a_usable_index_nothing_is_tracked(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    root = repository(tmp_path, IGNORING, *FORCED)
    harm(root / ".git/index")
    assert files_of(everything(root)) == {".gitignore", "src/main.py"}


def test_own_rules_sensitive_names_and_defaults_are_stronger(tmp_path: Path) -> None:
    files = {
        ".gitignore": "*\n",
        ".codeindexignore": "/secret/\n",
        ".env": "PASSWORD=x",
        "secret/a.py": "a",
        "node_modules/p/i.js": "i",
        "app.min.js": "m",
        "kept.py": "k",
        "excluded.py": "e",
    }
    root = repository(tmp_path, files, *files)
    scan = everything(root, exclude=("excluded.py",))
    assert files_of(scan) == {".gitignore", ".codeindexignore", "kept.py"}
    assert {path: reason for path, reason in reasons(scan).items() if path != ".git"} == {
        ".env": "sensitive",
        "secret": "ignored",
        "node_modules": "vendored",
        "app.min.js": "minified",
        "excluded.py": "excluded",
    }


def test_a_negation_of_ours_reveals_the_rest_of_an_ignored_directory(tmp_path: Path) -> None:
    root = repository(tmp_path, {**IGNORING, ".codeindexignore": "!build/\n"}, *FORCED)
    assert {"build/other.py", "build/release.py"} <= files_of(everything(root))


def test_tracked_files_in_hidden_directories_are_kept(tmp_path: Path) -> None:
    files = {".config/tool.toml": "t", ".config/local.toml": "l", ".cache/x": "x", ".eslintrc": "e"}
    root = repository(tmp_path, files)
    git(root, "rm", "-q", "--cached", ".config/local.toml", ".cache/x")
    scan = everything(root)
    assert files_of(scan) == {".config/tool.toml", ".eslintrc"}
    assert reasons(scan)[".config/local.toml"] == "hidden"
    assert reasons(scan)[".cache"] == "hidden"
    assert {".config/local.toml", ".cache/x"} <= files_of(everything(root, hidden=True))


def test_nested_repositories_and_worktrees_have_an_index_each(tmp_path: Path) -> None:
    outer = repository(tmp_path / "outer", {".gitignore": "*.gen\n", "a.gen": "a", "b.gen": "b"}, "a.gen")
    git(outer, "commit", "-q", "-m", "all")
    repository(outer / "inner", {".gitignore": "*.py\n", "c.py": "c", "d.py": "d", "e.gen": "e"}, "c.py")
    git(outer, "worktree", "add", "-q", "../tree", "-b", "tree")
    tree(tmp_path / "tree", {"b.gen": "untracked here too"})
    git(outer, "rm", "-q", "--cached", "a.gen")
    assert files_of(everything(outer)) == {".gitignore", "inner/.gitignore", "inner/c.py", "inner/e.gen"}
    assert files_of(everything(tmp_path / "tree")) == {".gitignore", "a.gen"}
    assert "tree/a.gen" in files_of(everything(tmp_path))


def test_a_worktree_inside_its_own_repository_is_left_out(tmp_path: Path) -> None:
    main = repository(tmp_path / "main", {"a.py": "a", "sub/b.py": "b"})
    git(main, "commit", "-q", "-m", "all")
    git(main, "worktree", "add", "-q", "sub/tree", "-b", "inside")
    git(main, "worktree", "add", "-q", "../beside", "-b", "beside")
    git(main / "sub/tree", "worktree", "add", "-q", "deeper", "-b", "deeper")
    scan = everything(main)
    assert files_of(scan) == {"a.py", "sub/b.py"}
    assert reasons(scan)["sub/tree"] == "worktree"
    assert b"sub/tree" in scan.directories, "watched, since its .git decides"
    verdict = scanner(main).explain(b"sub/tree/a.py")
    assert verdict is not None
    assert verdict.rule == "default: linked worktree of the repository around it"
    assert files_of(everything(main / "sub/tree")) == {"a.py", "sub/b.py"}, "its own linked worktree is left out, too"
    assert files_of(everything(main / "sub")) == {"b.py"}, "the root may begin below the repository's top"
    assert "beside/a.py" in files_of(everything(tmp_path)), "not inside"
    tree(main, {".codeindexignore": "!tree/\n"})
    assert "sub/tree/a.py" in files_of(everything(main))
    (main / ".codeindexignore").unlink()
    (main / "sub/tree/.git").unlink()
    again = scanner(main).scan([b"sub/tree/.git"], scan.tree, now_ns=time.time_ns() + LATER)
    assert "sub/tree/a.py" in files_of(again)


def test_a_root_below_the_top_uses_the_index_around_it(tmp_path: Path) -> None:
    root = repository(tmp_path, {".gitignore": "*.log\n", "p/a.log": "a", "p/b.log": "b", "a.log": "x"}, "p/a.log")
    assert files_of(everything(root / "p")) == {"a.log"}


def test_submodules_have_their_own_index(tmp_path: Path) -> None:
    origin = repository(tmp_path / "origin", {".gitignore": "*.log\n", "a.log": "a"}, "a.log")
    git(origin, "commit", "-q", "-m", "all")
    top = repository(tmp_path / "top", {"x.py": "x"})
    git(top, "submodule", "add", "-q", str(origin), "module")
    tree(top, {"module/b.log": "b"})
    assert {"module/a.log"} == {path for path in files_of(everything(top)) if path.endswith(".log")}


@pytest.mark.parametrize("seed", range(25))
def test_random_work_trees_are_seen_as_git_sees_them(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    names = ["a", "b", "c.py", "d.log", "e"]
    paths = {"/".join(dice.choices(names, k=dice.randrange(1, 5))) for _ in range(30)}
    paths = {path for path in paths if not any(other.startswith(path + "/") for other in paths)}
    directories = {"", *(str(parent) + "/" for path in paths for parent in Path(path).parents if str(parent) != ".")}
    patterns = ["a/", "/b", "*.log", "!*.log", "!a/", "e", "c.py", "*", "!*/", "a/*", "**/b"]
    for directory in dice.sample(sorted(directories), min(3, len(directories))):
        paths.add(f"{directory}.gitignore")
    files = {
        path: "\n".join(dice.choices(patterns, k=3)) + "\n" if path.endswith(".gitignore") else path
        for path in sorted(paths)
    }
    root = repository(tmp_path, files, *dice.sample(sorted(files), len(files) // 3))
    git(root, "rm", "-q", "--cached", "--ignore-unmatch", "-r", dice.choice(names))

    def seen_by_git() -> set[str]:
        listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        return {path for path in listed if path and (root / path).exists()}

    scan = everything(root, hidden=True, defaults=False)
    assert files_of(scan) == seen_by_git()
    decided = scan.decided_by_git
    for _ in range(4):  # changes of the index alone, followed by a look at what it decides about
        if dice.random() < 0.5:
            git(root, "add", "-f", *dice.sample(sorted(files), 2))
        else:
            git(root, "rm", "-q", "--cached", "--ignore-unmatch", *dice.sample(sorted(files), 3))
        partial = scanner(root, hidden=True, defaults=False).scan(
            [b".git/index"], scan.tree, now_ns=time.time_ns() + LATER, decided_by_git=decided
        )
        changed = {os.fsencode(path) for path in files_of(scan) ^ seen_by_git()}
        covered = {path for path in changed if any(path == top or path.startswith(top + b"/") for top in partial.below)}
        assert covered == changed
        scan = everything(root, hidden=True, defaults=False)
        assert files_of(scan) == seen_by_git()
        decided = scan.decided_by_git


def test_an_index_with_other_stats_only_leads_to_no_look(tmp_path: Path) -> None:
    root = repository(tmp_path, IGNORING, *FORCED)
    scan = everything(root)

    def looked_at() -> tuple[bytes, ...]:
        now = time.time_ns() + LATER
        return scanner(root).scan([b".git/index"], scan.tree, now_ns=now, decided_by_git=scan.decided_by_git).below

    (root / "src/main.py").touch()
    git(root, "status")
    assert looked_at() == ()
    git(root, "add", "-f", "b.log", "build/other.py")
    assert looked_at() == (b"b.log", b"build/other.py")
    git(root, "rm", "-q", "--cached", "b.log", "build/deep/tool.py", "src/main.py")
    assert looked_at() == (b"build/deep", b"build/other.py"), "not src/main.py: git ignores it either way"


def test_a_directory_that_is_left_out_for_what_it_holds_is_looked_at_when_git_tracks_nothing_in_it(
    tmp_path: Path,
) -> None:
    """Why it is left out changes: from the mark in it to the rule that git's index had overridden."""
    tag = "Signature: 8a477f597d28d172789f06886806bc55\n"
    root = repository(
        tmp_path, {".gitignore": "cache/\n", "cache/a.py": "a\n", "cache/CACHEDIR.TAG": tag}, "cache/a.py"
    )
    scan = everything(root)
    assert reasons(scan)["cache"] == "generated"
    git(root, "rm", "-q", "--cached", "cache/a.py")
    now = time.time_ns() + LATER
    partial = scanner(root).scan([b".git/index"], scan.tree, now_ns=now, decided_by_git=scan.decided_by_git)
    assert partial.below == (b"cache",)
    assert reasons(partial)["cache"] == "ignored"


def test_indexes_elsewhere_are_followed_without_reading_them(tmp_path: Path) -> None:
    outer = repository(tmp_path / "outer", {".gitignore": "*.log\n", "p/a.log": "a"})
    git(outer, "commit", "-q", "-m", "all")
    git(outer, "worktree", "add", "-q", str(tmp_path / "tree"))

    def hints(root: Path, *arguments: str) -> set[bytes]:
        scan = Scanner(root, git_locations=NOWHERE).scan([b""], NOTHING, now_ns=time.time_ns() + LATER)
        assert not scan.rule_files.now().changed_from(scan.rule_files)
        git(root, *arguments)
        return scan.rule_files.now().changed_from(scan.rule_files)

    assert hints(outer, "add", "-f", "p/a.log") == set(), "events tell"
    assert hints(outer / "p", "rm", "-q", "--cached", "-f", "a.log") == {b".git/index"}
    assert hints(tmp_path / "tree", "rm", "-q", "--cached", ".gitignore") == {b".git/index"}
    assert hints(tmp_path, "-C", "tree", "add", ".gitignore") == {b"tree/.git/index"}


def test_files_without_a_repository_are_not_tracked(tmp_path: Path) -> None:
    tree(tmp_path, {".gitignore": "*.log\n", "a.log": "a"})
    scan = Scanner(tmp_path, git_locations=GitConfigLocations(None, None, None)).scan(
        [b""], NOTHING, now_ns=time.time_ns()
    )
    assert files_of(scan) == {".gitignore"}
    assert scan.decided_by_git == {}


def test_a_tracked_set_answers_for_files_and_directories() -> None:
    paths = [b"a/%d" % number for number in range(1000)]
    tracked = TrackedSet(paths, [b"", b"a"])
    assert all(path in tracked.files for path in paths)
    assert not any(path + b"x" in tracked.files or path in tracked.directories for path in paths)
    assert b"" in tracked.directories
    assert b"" not in TrackedSet().directories


def test_paths_decided_by_git_are_collected_over_scans() -> None:
    paths = RepositoryPaths({b"kept"}, {b"entered"}, {b"left"})
    paths.add(RepositoryPaths({b"left"}, set(), {b"kept", b"entered"}))
    assert not paths.entered
    assert (paths.kept, paths.left_out) == ({b"left"}, {b"kept", b"entered"})
