"""Changes of what git tracks reach the index, in every kind of work tree, and cost a look at what they decide."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import RealDaemon, real_daemon
from support.trees import tree


@pytest.fixture
def daemon() -> Iterator[RealDaemon]:
    with real_daemon("[workers]\nnice = 0\n[watch]\nreconcile_minutes = 100000\n") as running:
        yield running


def git(directory: Path, *arguments: str) -> None:
    settings = ("user.name=t", "user.email=t@example.invalid", "protocol.file.allow=always")
    flags = [flag for setting in settings for flag in ("-c", setting)]
    subprocess.run(["git", *flags, *arguments], cwd=directory, check=True, capture_output=True)


FILES = {
    ".gitignore": "build/\n",
    "build/release.py": "def make_release(): pass\n",
    "build/scratch.py": "def make_scratch(): pass\n",
    "java/com/shop/vendor/VendorService.java": "public class VendorService { int payout(int c) { return c / 10; } }\n",
    "ts/base.exp": "proc gdb_start {} { spawn gdb }\n",
    "libfoo.map": "V1 { global: foo_init; local: *; };\n",
    ".github/workflows/ci.yml": "name: continuous\n",
    ".settings/tool.toml": "name = 1\n",
    ".eslintrc": "{}\n",
}


def test_changes_of_the_index_are_followed_in_every_kind_of_work_tree(daemon: RealDaemon, tmp_path: Path) -> None:
    main = tree(tmp_path / "main", FILES)
    git(main, "init", "-q", "-b", "main")
    git(main, "add", "-A")
    git(main, "commit", "-q", "-m", "all")
    origin = tmp_path / "origin"
    git(tmp_path, "clone", "-q", str(main), str(origin))
    git(main, "submodule", "add", "-q", str(origin), "module")
    git(main, "worktree", "add", "-q", str(tmp_path / "tree"))
    git(main, "clone", "-q", str(origin), "nested")
    roots = {
        main: main,
        main / "module": main,
        main / "nested": main,
        tmp_path / "tree": tmp_path / "tree",
    }
    for root in dict.fromkeys(roots.values()):
        daemon.call("roots.add", path=str(root), wait=True)

    def is_indexed(path: Path, root: Path) -> bool:
        synced = daemon.call("sync", path=str(root))
        assert synced["how"] == "cookie", "no walk for git's index"
        return bool(daemon.call("explain", path=str(path))["indexed"])

    for top, root in roots.items():
        place = tree(top, {"build/release.py": FILES["build/release.py"], "build/scratch.py": "x = 1\n"})
        release, scratch = place / "build/release.py", place / "build/scratch.py"
        assert not is_indexed(release, root)
        git(top, "add", "-f", "build/release.py")
        assert is_indexed(release, root), top
        assert not is_indexed(scratch, root)
        git(top, "status")
        assert is_indexed(release, root)
        git(top, "add", "-f", "build/scratch.py")
        assert is_indexed(scratch, root)
        release.write_text("def make_release_again(): pass\n")
        daemon.call("sync", path=str(root))
        assert daemon.call("symbol", name="make_release_again", roots=[str(root)])["definitions"]
        git(top, "rm", "-q", "--cached", "-f", "build/release.py", "build/scratch.py")
        assert not is_indexed(release, root)
        assert not is_indexed(scratch, root)


def test_first_party_files_that_git_tracks_are_found(daemon: RealDaemon, tmp_path: Path) -> None:
    root = tree(tmp_path / "root", FILES)
    git(root, "init", "-q")
    git(root, "add", "-f", "-A")
    daemon.call("roots.add", path=str(root), wait=True)
    for path in FILES:
        explained = daemon.call("explain", path=str(root / path))
        assert explained["indexed"], explained
    assert daemon.call("symbol", name="VendorService", roots=[str(root)])["definitions"]


def test_backups_foreign_ignore_files_and_stand_ins_are_left_out(daemon: RealDaemon, tmp_path: Path) -> None:
    source = "def real_thing(): pass\n"
    root = tree(
        tmp_path / "root",
        {
            ".hg": None,
            ".hgignore": "syntax: glob\nbuild\n",
            ".ignore": "fx/\n",
            ".rgignore": "rg/\n",
            "build/b.py": source,
            "fx/f.py": source,
            "rg/r.py": source,
            "jj/.jj": None,
            "jj/.gitignore": "*.gen.py\n",
            "jj/a.gen.py": source,
            **{f"src/{name}": source for name in ("m.py~", "#m.py#", ".#m.py", "m.py.orig", "m.py.rej", "m.py.bak")},
            "src/m.py": source,
            "model.py": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        },
    )
    (root / "crypt.py").write_bytes(b"\0GITCRYPT\0" + bytes(range(200)))
    daemon.call("roots.add", path=str(root), wait=True)
    found = daemon.call("symbol", name="real_thing", roots=[str(root)])["definitions"]
    assert [hit["path"] for hit in found] == ["src/m.py"]

    def explained(path: str) -> tuple[str, str]:
        answer = daemon.call("explain", path=str(root / path))
        return answer["reason"], answer["rule"]

    assert explained("build/b.py") == ("ignored", ".hgignore:2: build")
    assert explained("fx/f.py") == ("ignored", ".ignore:1: fx/")
    assert explained("rg/r.py") == ("ignored", ".rgignore:1: rg/")
    assert explained("jj/a.gen.py") == ("ignored", "jj/.gitignore:1: *.gen.py")
    assert explained("src/m.py~") == ("backup", "default: name of an editor's backup")
    assert explained("src/m.py.orig") == ("backup", "default: *.orig")
    assert explained("model.py")[0] == "lfs pointer"
    assert explained("crypt.py")[0] == "git-crypt"
    (root / ".hg").rmdir()
    (root / ".ignore").unlink()
    daemon.call("sync", path=str(root))
    found = daemon.call("symbol", name="real_thing", roots=[str(root)])["definitions"]
    assert sorted(hit["path"] for hit in found) == ["build/b.py", "fx/f.py", "src/m.py"]
    assert daemon.call("verify", path=str(root))["ok"]
