"""Reads what a dead daemon left on the disk, from copies, so that reading changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from codeindexd.errors import CodeindexError
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.dense import Dense
from codeindexd.storage.dense.manifest import NAME
from codeindexd.storage.lexical import Lexical
from codeindexd.storage.lexical.integrity import committed_files
from codeindexd.storage.recovery import TRUST_MARKER
from codeindexd.storage.text.index import Thresholds
from codeindexd.storage.vectors.salvage import intact_vectors
from support.killing import quick_directory

SMALL_TEXT = Thresholds(recent=4, fan_in=3, largest=200, crowd=12)
"""Sizes at which a small tree has the text index flush and merge segments."""

Computed = set[tuple[str, str]]  # model identity and embed hash


@dataclass(frozen=True, slots=True)
class Position:
    """The generations of the catalog and of a projection (None: unreadable) when the daemon died."""

    catalog: int
    own: int | None

    @property
    def word(self) -> str:
        """``behind``, ``equal``, ``ahead`` or ``damaged``."""
        if self.own is None:
            return "damaged"
        return "behind" if self.own < self.catalog else "ahead" if self.own > self.catalog else "equal"


def positions(root: Path, root_id: str) -> dict[str, Position] | None:
    """Return the positions of the lexical index and of each dense one (as "dense"); None without a readable catalog."""
    with quick_directory() as copy:
        shutil.copytree(root, copy / "root")
        place = copy / "root"
        try:
            catalog = Catalog.open(place / "catalog.db", root_id=root_id)
        except CodeindexError:
            return None
        uuid, generation = catalog.store_uuid, catalog.generation
        catalog.close()
        found = {}
        if (place / "lexical").is_dir():
            found["lexical"] = Position(generation, _generation(lambda: Lexical.open(place / "lexical", uuid)))
        for dense in (place / "dense").iterdir() if (place / "dense").is_dir() else ():
            opened = _generation(
                lambda dense=dense: Dense.open(dense, store_uuid=uuid, identity=dense.name, dimensions=256)
            )
            found["dense"] = Position(generation, opened)
        return found


def _generation(opening: Callable[[], Lexical | Dense]) -> int | None:
    try:
        with closing(opening()) as store:
            return store.generation
    except CodeindexError:
        return None


def vectors_whole(path: Path) -> Computed:
    """Return every (model identity, embed hash) for which a stopped vector store holds an intact vector."""
    with quick_directory() as copy:
        for suffix in ("", "-wal"):
            if (source := path.with_name(path.name + suffix)).exists():
                shutil.copyfile(source, copy / source.name)
        return {(name, digest.hex()) for name, part in intact_vectors(copy / path.name) for digest, _ in part}


def left_over(home: Path) -> list[str]:
    """Return the files below ``home``'s cache, state, run and temporary directories that should not be there.

    A quiet daemon has exactly the files of its committed state, whatever happened before.
    """
    expected = set(_expected(home))
    found = {
        str(path.relative_to(home))
        for top in ("cache", "state", "run", "tmp")
        for path in (home / top).rglob("*")
        if not path.is_dir()
    }
    return sorted(found - expected)


def _expected(home: Path) -> Iterable[str]:
    cache, state = "cache/codeindexd", "state/codeindexd"
    yield from (f"{cache}/CACHEDIR.TAG", f"{cache}/vectors.db", f"{cache}/vectors.db-wal", f"{cache}/vectors.db-shm")
    yield from (f"{state}/{name}" for name in ("lock", "daemon.json", "roots.json", "roots-copy.json", "last-model"))
    yield "run/codeindexd/codeindexd.sock"
    for root in (home / cache / "roots").iterdir():
        at = f"{cache}/roots/{root.name}"
        yield from (f"{at}/{name}" for name in ("catalog.db", "catalog.db-wal", "catalog.db-shm", TRUST_MARKER))
        lexical = f"{at}/lexical"
        yield from (f"{lexical}/{name}" for name in committed_files(root / "lexical"))
        yield from (
            f"{lexical}/{name}" for name in ("lock", ".managed.json", ".tantivy-meta.lock", ".tantivy-writer.lock")
        )
        serials = json.loads((root / "text/manifest.json").read_bytes())["segments"]
        yield from (f"{at}/text/{name}" for name in ("lock", "manifest.json"))
        yield from (f"{at}/text/{serial:08}.trigrams" for serial in serials)
        for dense in (root / "dense").iterdir():
            yield from _dense_files(dense, f"{at}/dense/{dense.name}")
    yield from _history_files(home / cache / "history", f"{cache}/history")


def _history_files(histories: Path, at: str) -> Iterable[str]:
    yield f"{at}/roots.json"
    for store in (path for path in histories.iterdir() if path.is_dir()):
        names = ("history.db", "history.db-wal", "history.db-shm", "vectors.i8", "lock")
        yield from (f"{at}/{store.name}/{name}" for name in names)
        lexical = f"{at}/{store.name}/lexical"
        yield from (f"{lexical}/{name}" for name in committed_files(store / "lexical"))
        yield from (
            f"{lexical}/{name}" for name in ("lock", ".managed.json", ".tantivy-meta.lock", ".tantivy-writer.lock")
        )


def _dense_files(dense: Path, at: str) -> Iterable[str]:
    body = json.loads((dense / NAME).read_bytes())
    yield from (f"{at}/lock", f"{at}/{NAME}", f"{at}/tail-{body['tail']}.log", f"{at}/tail-{body['tail']}.i8")
    for segment in body["segments"]:
        yield from (f"{at}/segment-{segment['serial']}.{suffix}" for suffix in segment["files"])
