"""Nothing outside a root is ever indexed or shown, whatever links it contains and however they change."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
import tantivy
from xxhash import xxh3_128_digest

from support.daemons import RealDaemon, until
from support.trees import Link, tree

OUTSIDE = {
    "app.py": "def outsiders_only(zzqx_outside):\n    return zzqx_outside\n",
    "deep/more.py": "def more_outsiders_only(zzqx_outside):\n    return zzqx_outside, 2\n",
    "id_rsa": "zzqx_outside\n",
    "notes.md": "# zzqx_outside\n\nzzqx_outside_prose\n",
}
INSIDE = {
    "app.py": "def insiders_only(account):\n    return account\n",
    "deep/more.py": "def more_insiders_only(account):\n    return account, 2\n",
    "notes.md": "# Notes\n\nprose of our own\n",
}


def stores(daemon: RealDaemon) -> Iterator[Path]:
    """Yield every file in which the daemon stores anything."""
    for name in ("cache", "state", "run"):
        yield from (path for path in (daemon.home / name).rglob("*") if path.is_file() and not path.is_symlink())
    yield daemon.home / "daemon.log"


def traces_of(daemon: RealDaemon, outside: Path) -> list[str]:
    """Return what the stores and answers of a daemon hold of the files in ``outside``: their text, terms or hashes."""
    files = [path for path in outside.rglob("*") if path.is_file()]
    needles = {b"zzqx", b"utsiders_only", b"outsiders only"} | {xxh3_128_digest(path.read_bytes()) for path in files}
    found = []
    for path in stores(daemon):
        held = path.read_bytes()
        found += [f"{path.name}: {needle!r}" for needle in needles if needle in held]
    for meta in daemon.home.rglob("meta.json"):
        index = tantivy.Index.open(str(meta.parent))
        for field in ("words", "identifiers", "name", "symbol"):
            for term in ("zzqx", "outside", "outsider", "outsiders", "zzqx_outside", "outsiders_only"):
                query = tantivy.Query.term_query(index.schema, field, term)
                if index.searcher().search(query, 1).count:
                    found.append(f"tantivy {field}: {term}")
    for query in ("zzqx_outside", "outsiders_only", "return zzqx"):
        found += [hit["path"] for hit in daemon.call("search", query=query)["hits"] if "zzqx" in hit["snippet"]]
    return found


@contextmanager
def swapping(place: Path, aside: Path, link: Path) -> Iterator[list[int]]:
    """Swap ``place`` with ``link`` and back, over and over, until the end of the block; yields the count."""
    over = threading.Event()
    random, count = Random(0), [0]

    def run() -> None:
        while not over.is_set():
            place.rename(aside)
            place.symlink_to(link)
            over.wait(random.random() * 0.01)  # any moment of a reader may fall into either state
            place.unlink()
            aside.rename(place)
            over.wait(random.random() * 0.01)
            count[0] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield count
    finally:
        over.set()
        thread.join()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return tree(tmp_path / "outside", OUTSIDE)


def test_links_in_every_position_are_leaves(daemon: RealDaemon, outside: Path, tmp_path: Path) -> None:
    links = {
        "link.py": Link(str(outside / "app.py")),
        "relative.py": Link("../outside/app.py"),
        "directory": Link(str(outside)),
        "src/above": Link("../.."),
        "src/loop": Link("loop"),
        "src/dangling.py": Link("nowhere"),
        "chain": Link("directory"),
        ".gitignore": Link(str(outside / "notes.md")),
        ".codeindexignore": Link(str(outside / "notes.md")),
        ".codeindex.toml": Link(str(outside / "notes.md")),
    }
    root = tree(tmp_path / "root", {**INSIDE, **links})
    os.mkfifo(root / "fifo.py")
    os.mkfifo(root / "deep/.gitignore")
    os.mknod(root / "null.py", 0o666 | 0o020000, os.makedev(1, 3)) if os.geteuid() == 0 else None
    daemon.call("roots.add", path=str(root), wait=True)
    assert daemon.call("search", query="more_insiders_only")["hits"][0]["path"] == "deep/more.py"
    assert daemon.call("explain", path=str(root / "link.py"))["reason"] == "symlink"
    problem = daemon.call("status")["roots"][0]["problems"][0]["message"]
    assert problem.endswith(".codeindex.toml is a symbolic link")
    assert traces_of(daemon, outside) == []


def test_dots_and_links_in_requests_lead_nowhere(daemon: RealDaemon, outside: Path, tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {**INSIDE, "directory": Link(str(outside))})
    daemon.call("roots.add", path=str(root), wait=True)
    client = daemon.client()
    dotted = f"{root}/deep/../../outside/app.py"
    for method, params in {
        "explain": {"path": dotted},
        "sync": {"path": dotted},
        "status": {"path": dotted},
        "search": {"query": "zzqx", "roots": [dotted]},
        "symbol": {"name": "outsiders_only", "roots": [dotted]},
        "subscribe": {"roots": [dotted]},
    }.items():
        assert client.call(method, **params)["error"]["data"]["name"] == "not_indexed", method
    for name in ("../outside/app.py", "directory/app.py", str(outside / "app.py"), "deep/../../outside/app.py"):
        assert "error" in client.call("related", root=str(root), path=name, line=1), name
    told = daemon.call("explain", path=str(root / "directory/app.py"))
    assert (told["indexed"], told["chunks"]) == (False, [])
    assert traces_of(daemon, outside) == []
    (tmp_path / "to_root").symlink_to(root)
    added = daemon.call("roots.add", path=str(tmp_path / "to_root"), wait=True)
    assert [one["path"] for one in added["roots"]] == [str(root)], "a root is what a link leads to now, not the link"


def test_a_link_that_is_named_means_what_it_leads_to(daemon: RealDaemon, outside: Path, tmp_path: Path) -> None:
    root, other = tree(tmp_path / "root", INSIDE), tree(tmp_path / "other", {"other.py": "account = 2\n"})
    for path in (root, other):
        assert daemon.call("roots.add", path=str(path), wait=True)["roots"][0]["state"] == "fresh"
    links = {"whole": root, "root/part": root / "deep", "root/elsewhere": other, "root/file": root / "app.py"}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    expected = {
        "whole": ["app.py", "deep/more.py"],
        "root/part": ["deep/more.py"],
        "root/part/more.py": ["deep/more.py"],
        "root/elsewhere": ["other.py"],
        "root/file": ["app.py"],
    }
    for name, files in expected.items():
        answer = daemon.call("grep", pattern="account", files_only=True, roots=[str(tmp_path / name)], sync=True)
        assert [one["path"] for one in answer["counts"]] == files, name
        assert "notes" not in answer, name
    for name in ("root/part", "root/file"):
        target = links[name]
        hint = daemon.call("explain", path=str(tmp_path / name))["hint"]
        assert hint == f"it leads to {target}, which a root covers: codeindex explain {target}"
    (root / "away").symlink_to(outside)
    refused = daemon.client().call("grep", pattern="zzqx", roots=[str(root / "away")])
    assert "symbolic links are not followed" in refused["error"]["message"]


@pytest.mark.parametrize("what", ["deep", "deep/more.py", "app.py"])
def test_swapping_a_path_for_a_link_while_it_is_read_gains_nothing(
    daemon: RealDaemon, outside: Path, tmp_path: Path, what: str
) -> None:
    root = tree(tmp_path / "root", INSIDE)
    daemon.call("roots.add", path=str(root), wait=True)
    client = daemon.client()
    with swapping(root / what, tmp_path / "aside", outside / what) as swaps:
        for _ in range(15):
            begun = swaps[0]
            client.call("reindex", path=str(root))
            client.call("sync", timeout_s=1)  # its answer does not matter: the changes never end
            client.call("search", query="more_insiders_only outsiders_only zzqx_outside")
            client.call("explain", path=str(root / what))
            assert traces_of(daemon, outside) == []
            until(lambda begun=begun: swaps[0] > begun + 5, what="many swaps")  # type: ignore[misc]
    daemon.call("sync")
    assert daemon.call("search", query="more_insiders_only", sync=True)["hits"][0]["path"] == "deep/more.py"
    assert traces_of(daemon, outside) == []
    assert daemon.call("verify")["ok"]


def test_a_root_whose_path_becomes_a_link_is_missing(daemon: RealDaemon, outside: Path, tmp_path: Path) -> None:
    root = tree(tmp_path / "root", INSIDE)
    daemon.call("roots.add", path=str(root), wait=True)
    root.rename(tmp_path / "aside")
    root.symlink_to(outside)
    until(lambda: daemon.call("status")["roots"][0]["state"] == "missing", what="the missing root")
    assert daemon.call("search", query="more_insiders_only outsiders_only")["hits"] == []
    assert traces_of(daemon, outside) == []
    root.unlink()
    (tmp_path / "aside").rename(root)
    until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="the root")
    assert daemon.call("search", query="more_insiders_only")["hits"]


def test_traces_are_found_where_there_are_some(daemon: RealDaemon, outside: Path) -> None:
    """Without this the tests above prove nothing."""
    daemon.call("roots.add", path=str(outside), wait=True)
    found = "\n".join(traces_of(daemon, outside))
    for where in ("catalog.db", "tantivy words", "tantivy identifiers", "tantivy name", "app.py"):
        assert where in found, where
