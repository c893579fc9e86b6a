"""Directories that a root leaves out: worktrees, nested clones, submodules."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemons import RealDaemon, real_daemon, until
from support.trees import Link, tree

NOT_INDEXED = 3


@pytest.fixture
def daemon() -> Iterator[RealDaemon]:
    with real_daemon("[workers]\nnice = 0\n") as running:
        yield running


def git(directory: Path, *arguments: str) -> None:
    settings = ("user.name=t", "user.email=t@example.invalid", "protocol.file.allow=always")
    flags = [flag for setting in settings for flag in ("-c", setting)]
    subprocess.run(["git", *flags, *arguments], cwd=directory, check=True, capture_output=True)


def repository(directory: Path, files: dict[str, Any]) -> Path:
    tree(directory, files)
    git(directory, "init", "-q", "-b", "main")
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", "all")
    return directory


def ask(daemon: RealDaemon, cwd: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = daemon.run(*arguments, "--json", cwd=cwd)
    return done.returncode, json.loads(done.stdout)


def places(answer: dict[str, Any], key: str = "definitions") -> set[str]:
    return {f"{hit['root']}/{hit['path']}" for hit in answer[key]}


def test_a_worktree_in_an_ignored_directory_answers_for_itself(daemon: RealDaemon, tmp_path: Path) -> None:
    main = repository(tmp_path / "shop", {"shop.py": "def price(x): return x\n", ".gitignore": "wt/\n"})
    assert daemon.run("add", ".", cwd=main).returncode == 0
    for name in (".worktrees/fix", "wt/fix", "neither-hidden-nor-ignored"):
        git(main, "worktree", "add", "-q", name, "-b", name.replace("/", "-").lstrip("."))
        inside = main / name
        (inside / "shop.py").write_text("def price(x): return x * 1.19\ndef tax_rate(): return 0.19\n")
        for command in (
            ("search", "price"),
            ("symbol", "price"),
            ("sync",),
            ("status", "."),
            ("verify", "."),
            ("reindex",),
            ("related", "shop.py:1"),
        ):
            code, answer = ask(daemon, inside, *command)
            assert code == NOT_INDEXED, (command, answer)
            assert f"codeindex add {inside}" in answer["error"]["hint"], command
        code, answer = ask(daemon, inside, "explain", "shop.py")
        assert (code, answer["indexed"]) == (0, False)
        assert daemon.run("search", "--add", "price", cwd=inside).returncode == 0
        assert places(ask(daemon, inside, "symbol", "tax_rate")[1]) == {f"{inside}/shop.py"}
        assert {hit["root"] for hit in ask(daemon, inside, "search", "price")[1]["hits"]} == {str(inside)}
        assert ask(daemon, inside, "related", "shop.py:1")[0] in {0, 1}
        assert ask(daemon, inside, "explain", "shop.py")[1]["root"] == str(inside)
        assert ask(daemon, inside, "sync")[0] == 0
        assert places(ask(daemon, main, "symbol", "price")[1]) == {f"{main}/shop.py"}


def test_a_root_below_an_ignored_directory_survives_the_root_above_it(daemon: RealDaemon, tmp_path: Path) -> None:
    outer = tree(tmp_path / "outer", {".gitignore": "external/\n", "o.py": "def outer_fn(): pass\n"})
    git(outer, "init", "-q")
    inner = repository(outer / "external/lib", {"l.py": "def lib_parser(): pass\n"})
    kept = tree(outer / "kept", {"k.py": "def kept_fn(): pass\n"})
    for path in (inner, kept, outer):
        daemon.call("roots.add", path=str(path), wait=True)

    def roots() -> list[str]:
        return [root["path"] for root in daemon.call("roots.list")["roots"]]

    def is_absorbed() -> bool:
        return str(kept) in " ".join(daemon.call("status", path=str(outer))["roots"][0]["notes"])

    until(is_absorbed, what="the absorption of the root inside")
    assert roots() == [str(outer), str(inner)]
    assert places(daemon.call("symbol", name="lib_parser", roots=[str(inner)])) == {f"{inner}/l.py"}
    assert places(daemon.call("symbol", name="kept_fn", roots=[str(kept)])) == {f"{outer}/kept/k.py"}
    assert not daemon.call("symbol", name="lib_parser", roots=[str(outer)])["definitions"]
    again = daemon.call("roots.add", path=str(inner), wait=True)
    assert again["roots"][0]["path"] == str(inner)
    daemon.stop()
    daemon.start()
    daemon.call("sync", path=str(outer))
    assert roots() == [str(outer), str(inner)], "after a restart too"


def test_submodules_and_nested_clones_belong_to_the_root_that_indexes_them(daemon: RealDaemon, tmp_path: Path) -> None:
    origin = repository(tmp_path / "origin", {"inside.py": "def inside_fn(): pass\n"})
    top = repository(tmp_path / "top", {"top.py": "def top_fn(): pass\n"})
    git(top, "submodule", "add", "-q", str(origin), "module")
    git(top, "clone", "-q", str(origin), "clone")
    daemon.call("roots.add", path=str(top), wait=True)
    for name in ("module", "clone"):
        code, answer = ask(daemon, top / name, "symbol", "inside_fn")
        assert (code, places(answer)) == (0, {f"{top}/module/inside.py", f"{top}/clone/inside.py"})
        assert ask(daemon, top / name, "sync")[0] == 0
        assert ask(daemon, top / name, "explain", "inside.py")[1]["indexed"]
        added = daemon.call("roots.add", path=str(top / name), wait=True)
        assert (added["already_covered"], added["roots"][0]["path"]) == (True, str(top))
    (top / ".codeindexignore").write_text("module/\n")
    daemon.call("sync", path=str(top))
    assert ask(daemon, top / "module", "search", "inside")[0] == NOT_INDEXED
    assert daemon.run("search", "--add", "inside", cwd=top / "module").returncode == 0
    assert places(ask(daemon, top / "module", "symbol", "inside_fn")[1]) == {f"{top}/module/inside.py"}
    assert ask(daemon, top / "module", "explain", "inside.py")[1]["root"] == str(top / "module")


def test_a_link_to_another_root_answers_from_that_root(daemon: RealDaemon, tmp_path: Path) -> None:
    tree(tmp_path, {"one/a.py": "def one_fn(): pass\n", "two/b.py": "def two_fn(): pass\n", "one/link": Link("../two")})
    daemon.call("roots.add", path=str(tmp_path / "one"), wait=True)
    link = str(tmp_path / "one/link")
    with daemon_error(daemon, "symbol", name="two_fn", roots=[link]) as error:
        assert error["code"] == 1
    daemon.call("roots.add", path=str(tmp_path / "two"), wait=True)
    assert places(daemon.call("symbol", name="two_fn", roots=[link])) == {f"{tmp_path}/two/b.py"}
    assert daemon.call("explain", path=link)["reason"] == "symlink"


def test_what_is_left_out_says_how_to_search_it(daemon: RealDaemon, tmp_path: Path) -> None:
    root = tree(
        tmp_path / "root",
        {
            ".git/HEAD": "",
            ".gitignore": "/old code/\n*.log\n",
            "old code/deep/a.py": "def old_fn(): pass\n",
            "a.log": "x\n",
            "link": Link("../elsewhere"),
            "../elsewhere/b.py": "",
        },
    )
    daemon.call("roots.add", path=str(root), wait=True)

    def hint(path: str) -> str:
        return str(daemon.call("explain", path=str(root / path)).get("hint", ""))

    wanted = f"to search it, index it as a root of its own: codeindex add '{root}/old code'"
    assert {hint(path) for path in ("old code", "old code/deep", "old code/deep/a.py")} == {wanted}
    assert hint("link").endswith(f"codeindex add {tmp_path}/elsewhere")
    assert [hint(path) for path in ("a.log", ".git", "missing", ".gitignore")] == [""] * 4
    assert wanted in daemon.run("explain", str(root / "old code")).stdout


class daemon_error:  # noqa: N801 - reads as a statement
    """The error that a method answers with."""

    def __init__(self, daemon: RealDaemon, method: str, **params: Any) -> None:
        client = daemon.client()
        try:
            self._reply = client.call(method, **params)
        finally:
            client.close()

    def __enter__(self) -> dict[str, Any]:
        error: dict[str, Any] = self._reply["error"]
        return error

    def __exit__(self, *_: object) -> None: ...


def test_a_root_of_which_everything_is_left_out_says_so(daemon: RealDaemon, tmp_path: Path) -> None:
    files = {f"linux-6.1/f{number}.py": f"def f{number}(): pass\n" for number in range(38)}
    root = tree(tmp_path / "root", {"linux-6.1/.gitignore": "\n\n/*\n", **files})
    said = "nothing indexed: 39 entries ignored by linux-6.1/.gitignore:3 `/*`"
    added = daemon.run("add", str(root))
    assert added.returncode == 0
    assert added.stdout.startswith(f"{root}: fresh, 0 files, 0 chunks")
    assert said in added.stderr
    assert said in daemon.run("status").stdout
    assert daemon.call("roots.list")["roots"][0]["notes"][0].startswith(said)
    (root / "linux-6.1/.codeindexignore").write_text("!/*\n")  # as the note says
    (root / "logo.png").write_bytes(b"\0")
    (root / "data.exp").write_bytes(b"\0" * 100)
    (root / "empty").mkdir()
    daemon.call("sync", path=str(root))
    assert "notes" not in daemon.call("roots.list")["roots"][0]
    explained = daemon.call("explain", path=str(root))
    assert explained["summary"] == {
        "indexed": 40,
        "failed": 0,
        "pending": 0,
        "left_out": [
            {"reason": "binary", "rule": "", "entries": 1},
            {"reason": "binary", "rule": "default: *.png", "entries": 1},
        ],
        "more_rules": 0,
    }
    text = daemon.run("explain", str(root)).stdout
    assert text == (f"{root}: indexed, 40 files\n  1 left out: binary\n  1 left out: binary  default: *.png\n")
    assert daemon.call("explain", path=str(root / "linux-6.1"))["summary"]["indexed"] == 40
    assert daemon.call("explain", path=str(root / "empty"))["summary"]["indexed"] == 0
    assert "summary" not in daemon.call("explain", path=str(root / "logo.png"))
