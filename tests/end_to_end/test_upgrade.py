"""Indexes that earlier versions wrote: they answer at once, and are brought up to date in the background."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing

import pytest

from codeindexd.storage.catalog.migrations import ADDED, SCHEMA_VERSION
from support.daemons import RealDaemon, real_daemon, until
from support.places import PROJECT
from support.trees import tree

ARCHIVES = sorted((PROJECT / "tests/storage/old_indexes").glob("*.tar.xz"))
FILES = {
    "src/auth.py": '''\
"""Passwords."""


def check_password(given: str, stored: str) -> bool:
    """Return True if the password is right."""
    return hash_password(given) == stored


def hash_password(text: str) -> str:
    return text[::-1]
''',
    "README.md": "# Notes\n\nHow passwords are checked.\n",
}
pytestmark = pytest.mark.processes


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def upgraded(request: pytest.FixtureRequest) -> Iterator[RealDaemon]:
    """A home with the index of an earlier version, and the files that it is of; no daemon has run yet."""
    with real_daemon("[workers]\nnice = 0\n", start=False) as daemon:
        root = tree(daemon.home / "project", FILES)
        roots = daemon.home / "cache/codeindexd/roots"
        roots.mkdir(parents=True, mode=0o700)
        with tarfile.open(request.param) as archive:
            archive.extractall(roots, filter="data")
        [directory] = roots.iterdir()
        status = root.stat()
        entry = {"id": directory.name, "path": str(root), "device": status.st_dev, "inode": status.st_ino}
        (daemon.home / "state/codeindexd").mkdir(mode=0o700)
        (daemon.home / "state/codeindexd/roots.json").write_text(json.dumps({"format": 1, "roots": [entry]}))
        yield daemon


def version_of(daemon: RealDaemon) -> int:
    [catalog] = (daemon.home / "cache/codeindexd/roots").glob("*/catalog.db")
    with closing(sqlite3.connect(catalog)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_index_of_an_earlier_version_answers_and_is_brought_up_to_date(upgraded: RealDaemon) -> None:
    before = version_of(upgraded)
    assert before < SCHEMA_VERSION
    upgraded.start()
    found = upgraded.call("search", query="check_password")
    assert found["hits"][0]["symbol"] == "check_password"
    upgraded.call("sync", path=str(upgraded.home / "project"))
    until(lambda: upgraded.call("status")["roots"][0]["state"] == "fresh", what="the upgrade of the index")
    assert upgraded.call("verify")["ok"]
    [definition] = upgraded.call("symbol", name="check_password")["definitions"]
    assert definition["name_line"] == 4
    assert upgraded.call("refs", name="hash_password")["references"][0]["line"] == 6
    assert "catalog_rebuilt" not in upgraded.log
    assert upgraded.stop() == 0
    assert version_of(upgraded) == SCHEMA_VERSION


def test_there_is_an_index_of_every_version_that_can_be_upgraded() -> None:
    assert [path.name for path in ARCHIVES] == [f"schema-{version - 1}.tar.xz" for version in ADDED]
    assert max(ADDED) == SCHEMA_VERSION
