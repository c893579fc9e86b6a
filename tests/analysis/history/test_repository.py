"""Entries of trees and the trees of commits, read without parsing what is around them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from support.git_repository import TestRepository


@pytest.fixture
def made(tmp_path: Path) -> TestRepository:
    return TestRepository(tmp_path / "r")


def opened(made: TestRepository) -> GitRepository:
    location = locate(made.top)
    return GitRepository(location, read_heads(location))


def write_tree(made: TestRepository, data: bytes) -> bytes:
    """Write a tree object as it is, even one that git would not write."""
    file = made.top.parent / "tree"
    file.write_bytes(data)
    return bytes.fromhex(made.git("hash-object", "-t", "tree", "--literally", "-w", str(file)).strip())


def test_every_entry_is_found(made: TestRepository) -> None:
    files = {f"d{number % 7}/f{number}": f"text {number}" for number in range(300)}
    made.commit({**files, "link": "x", "d 1/a b": "spaces", "d 1/\u00e4": "umlaut"})
    repository = opened(made)
    trees = [repository.root_tree(bytes.fromhex(made.head))]
    while trees:
        tree = trees.pop()
        for mode, name, found in repository.tree(tree):
            assert repository.entry(tree, name) == (mode, found)
            assert repository.entry(tree, name[1:]) is None
            if mode == b"40000":
                trees.append(found)


def test_a_name_that_ends_like_an_entry(made: TestRepository) -> None:
    made.commit({"a 100644 foo": "other", "b 40000 bar": "other", "foo": "wanted", "bar/x": "wanted"})
    repository = opened(made)
    tree = repository.root_tree(bytes.fromhex(made.head))
    names = {name: (mode, found) for mode, name, found in repository.tree(tree)}
    for name in (b"foo", b"bar", b"a 100644 foo", b"b 40000 bar"):
        assert repository.entry(tree, name) == names[name]
    made.git("rm", "-q", "foo", "bar/x")
    made.commit({})
    repository = opened(made)
    tree = repository.root_tree(bytes.fromhex(made.head))
    assert repository.entry(tree, b"foo") is None
    assert repository.entry(tree, b"bar") is None


@pytest.mark.parametrize("mode", [b"40000", b"040000", b"100644", b"0100644", b"100664", b"120000", b"160000"])
@pytest.mark.parametrize("last_byte", [b"0", b"\0", b"1", b" "])
def test_modes_after_any_id(made: TestRepository, mode: bytes, last_byte: bytes) -> None:
    first, second = hashlib.sha1(b"1").digest()[:19] + last_byte, hashlib.sha1(b"2").digest()
    tree = write_tree(made, b"100644 a\0" + first + mode + b" b\0" + second)
    assert opened(made).entry(tree, b"b") == (mode.lstrip(b"0"), second)
    assert opened(made).entry(tree, b"a") == (b"100644", first)


def test_the_tree_of_a_commit_or_a_tag(made: TestRepository) -> None:
    commit = made.commit({"a": "1"})
    made.git("tag", "-a", "-m", "Release", "v1")
    tag = made.git("rev-parse", "v1").strip()
    expected = bytes.fromhex(made.git("rev-parse", "HEAD^{tree}").strip())
    assert opened(made).root_tree(bytes.fromhex(commit)) == expected
    assert opened(made).root_tree(bytes.fromhex(tag)) == expected
