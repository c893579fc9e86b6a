"""The stores of a stopped daemon, opened directly to falsify or to inspect them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from codeindexd.storage.dense import Dense
from codeindexd.storage.lexical import Lexical
from codeindexd.storage.text import TextIndex
from support.daemons import RealDaemon


class Stores:
    """The stores that a daemon with one root left in its cache directory."""

    def __init__(self, daemon: RealDaemon) -> None:
        self.cache = daemon.home / "cache/codeindexd"
        (self.root,) = (self.cache / "roots").iterdir()

    @property
    def catalog(self) -> Path:
        """The root's catalog."""
        return self.root / "catalog.db"

    @property
    def vectors(self) -> Path:
        """The vector store."""
        return self.cache / "vectors.db"

    def sql(self, database: Path, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run one statement on a database, commit, and return its rows."""
        with closing(sqlite3.connect(database)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()

    @property
    def store_uuid(self) -> str:
        """The catalog's own id, which the projections refer to."""
        return str(self.sql(self.catalog, "SELECT value FROM meta WHERE key = 'store_uuid'")[0][0])

    def chunk_of(self, name: str) -> int:
        """Return the id of the first chunk of the file called ``name``."""
        select = "SELECT min(chunk_id) FROM chunk c JOIN file f USING (file_id) WHERE f.name = ?"
        return int(str(self.sql(self.catalog, select, name.encode())[0][0]))

    @contextmanager
    def lexical(self) -> Iterator[Lexical]:
        """Open the lexical index for writing."""
        index = Lexical.open(self.root / "lexical", self.store_uuid)
        try:
            yield index
        finally:
            index.close()

    @contextmanager
    def dense(self) -> Iterator[Dense]:
        """Open the dense index of the only model for writing."""
        (place,) = (self.root / "dense").iterdir()
        index = Dense.open(place, store_uuid=self.store_uuid, identity=place.name, dimensions=256)
        try:
            yield index
        finally:
            index.close()

    @contextmanager
    def text(self) -> Iterator[TextIndex]:
        """Open the text index for writing."""
        place = self.root / "text"
        binding = json.loads((place / "manifest.json").read_bytes())["store_uuid"]
        index = TextIndex.open(place, binding, verify=True)
        try:
            yield index
        finally:
            index.close()


def some_vector(seed: int = 1, *, dimensions: int = 256) -> bytes:
    """Return a unit vector that no text has."""
    numbers = np.random.default_rng(seed).normal(size=dimensions)
    return (numbers / np.linalg.norm(numbers)).astype("<f2").tobytes()
