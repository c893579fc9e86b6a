"""What a root's stores hold, without ids and generations, so that two indexes of the same tree can be compared.

Reads the stores directly, on purpose without the product's own audit. Works on a copy, so the stores may belong to
a daemon: one that was stopped, or an idle one that is suspended while copying (it survives kill -9 at
any point, so such a copy equals what a kill would leave).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codeindexd.analysis.tokens import Tokenizer
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.catalog.snapshot import CatalogSnapshot
from codeindexd.storage.dense import Dense
from codeindexd.storage.dense.snapshot import DenseSnapshot
from codeindexd.storage.lexical import Lexical, LexicalQuery
from codeindexd.storage.lexical.snapshot import LexicalSnapshot
from codeindexd.types import Definition, NodeKind, Outcome, Reference, Span, StoredChunk
from support.daemons import RealDaemon

_MOST_WORDS = 2_000
_EVERY = 1 << 20

Place = tuple[bytes, int]
"""A chunk without its id: path, first byte."""


@dataclass(frozen=True)
class Chunk:
    """A chunk of a file. ``vector`` is None where the dense index has none, ``lexical`` whether that index has it."""

    span: Span
    span_hash: bytes
    embed_hash: bytes
    vector: bytes | None
    lexical: bool


@dataclass(frozen=True)
class Leaf:
    """What is known of a path that is no directory."""

    kind: NodeKind
    hash: bytes
    reason: str
    rule: str
    outcome: Outcome
    skipped_because: str
    language: str
    encoding: str
    definitions: tuple[Definition, ...]
    references: tuple[Reference, ...]
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class Contents:
    """Everything in a root's stores.

    ``found`` maps (kind of term, term) to the chunks (for ``path``: the files) that it finds; ``strays`` counts what
    the projections hold and the catalog does not.
    """

    root_hash: bytes
    directories: frozenset[bytes]
    leaves: dict[bytes, Leaf]
    failures: frozenset[bytes]
    found: dict[tuple[str, str], frozenset[Place]]
    strays: dict[str, int]

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return sum(len(leaf.chunks) for leaf in self.leaves.values())


@contextmanager
def copied_stores(daemon: RealDaemon, root: Path) -> Iterator[tuple[Path, str]]:
    """Yield a copy of the stores of ``root`` and the root's id.

    A running daemon has to be at rest: in sync, over a tree that nobody changes.
    """
    listed = json.loads((daemon.home / "state/codeindexd/roots.json").read_text())["roots"]
    (root_id,) = [entry["id"] for entry in listed if entry["path"] == str(root)]
    process = daemon.process if daemon.process is not None and daemon.process.poll() is None else None
    with tempfile.TemporaryDirectory(prefix="stores") as place:
        copy = Path(place) / "root"
        if process is not None:
            process.send_signal(signal.SIGSTOP)
        try:
            shutil.copytree(daemon.home / "cache/codeindexd/roots" / root_id, copy)
        finally:
            if process is not None:
                process.send_signal(signal.SIGCONT)
        yield copy, root_id


def contents_of(daemon: RealDaemon, root: Path, words: Iterable[str] = ()) -> Contents:
    """Return what the index of ``root`` holds; ``words`` are the terms to look up, see :func:`words_of`."""
    with copied_stores(daemon, root) as (place, root_id), ExitStack() as stack:
        catalog = stack.enter_context(closing(Catalog.open(place / "catalog.db", root_id=root_id, verify=True)))
        lexical = stack.enter_context(closing(Lexical.open(place / "lexical", catalog.store_uuid)))
        (dense_place,) = (place / "dense").iterdir()
        binding = json.loads((dense_place / "manifest.json").read_text())
        dense = stack.enter_context(
            closing(
                Dense.open(
                    dense_place,
                    store_uuid=catalog.store_uuid,
                    identity=binding["identity"],
                    dimensions=binding["dimensions"],
                )
            )
        )
        snapshot = stack.enter_context(catalog.snapshot())
        return _read(catalog, snapshot, lexical.snapshot(), dense.snapshot(), words)


def words_of(root: Path) -> list[str]:
    """Return words and identifiers of the files below ``root``, sorted; of very many only a sample."""
    tokenizer = Tokenizer()
    every: set[str] = set()
    for top, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name != ".git"]
        for name in names:
            path = Path(top, name)
            if path.is_file() and not path.is_symlink():
                terms = tokenizer.tokenize(path.read_bytes()[: 1 << 16].decode("utf-8", "replace"))
                every.update(terms.words, tokenizer.stems(terms.words), terms.identifiers)
    return sorted(every)[:: len(every) // _MOST_WORDS + 1]


def _read(
    catalog: Catalog,
    snapshot: CatalogSnapshot,
    lexical: LexicalSnapshot,
    dense: DenseSnapshot,
    words: Iterable[str],
) -> Contents:
    with_terms = frozenset(lexical.chunk_ids().tolist())
    leaves = {}
    places: dict[int, Place] = {}
    paths: dict[int, bytes] = {}
    for file in snapshot.files():
        stored = snapshot.chunks_of_file(file.file_id)
        places.update((chunk.chunk_id, (chunk.path, chunk.span.start_byte)) for chunk in stored)
        paths[file.file_id] = file.entry.path
        chunks = tuple(_chunk(chunk, dense, with_terms) for chunk in stored)
        entry = file.entry
        leaves[entry.path] = Leaf(
            entry.kind,
            entry.hash,
            entry.reason,
            entry.rule,
            file.outcome,
            file.reason,
            file.language,
            file.encoding,
            snapshot.definitions([file.file_id]).get(file.file_id, ()),
            tuple(snapshot.references([file.file_id]).get(file.file_id, ())),
            chunks,
        )
    all_ids = frozenset(places)
    strays = {
        "lexical chunks": len(with_terms - all_ids),
        "lexical paths": len(frozenset(lexical.file_ids().tolist()) ^ {f.file_id for f in snapshot.indexed_files()}),
        "dense": len(frozenset(dense.ids().tolist()) - all_ids),
        "chunks of no file": len(frozenset(snapshot.all_chunk_ids().tolist()) - all_ids),
    }
    return Contents(
        catalog.root_hash,
        frozenset(catalog.tree().directories()),
        leaves,
        frozenset(failure.path for failure in catalog.failures()),
        dict(_found(lexical, words, places, paths)),
        strays,
    )


def _chunk(chunk: StoredChunk, dense: DenseSnapshot, with_terms: frozenset[int]) -> Chunk:
    vector = dense.vector(chunk.chunk_id)
    packed = None if vector is None else np.asarray(vector, "<f2").tobytes()
    return Chunk(chunk.span, chunk.span_hash, chunk.embed_hash, packed, chunk.chunk_id in with_terms)


def _found(
    lexical: LexicalSnapshot, words: Iterable[str], places: dict[int, Place], paths: dict[int, bytes]
) -> Iterator[tuple[tuple[str, str], frozenset[Place]]]:
    """Yield which chunks and paths each word finds, in every kind of field. Ids without a chunk are not counted."""
    for word in words:
        for kind, query in (
            ("words", LexicalQuery(phrases=[[word]])),
            ("words and symbols", LexicalQuery(words=[word])),
            ("identifiers", LexicalQuery(identifiers=[word], required=True)),
            ("names", LexicalQuery(names=[word])),
        ):
            hits = lexical.search(query, _EVERY)
            yield (kind, word), frozenset(places[chunk_id] for chunk_id, _, _ in hits if chunk_id in places)
        files = lexical.search_paths([word], _EVERY)
        yield ("paths", word), frozenset((paths[file_id], 0) for file_id, _ in files if file_id in paths)


def differences(have: Contents, want: Contents) -> list[str]:
    """Return in words how ``have`` differs from ``want``; empty if both are equal and there are no strays."""
    found = [f"{name}: {count} too many in the index" for name, count in have.strays.items() if count]
    found += [f"{name}: {count} too many in the reference" for name, count in want.strays.items() if count]
    if have.root_hash != want.root_hash:
        found.append(f"the root hash is {have.root_hash.hex()} instead of {want.root_hash.hex()}")
    for path in sorted(have.directories ^ want.directories):
        found.append(f"{path!r}: a directory {'too many' if path in have.directories else 'is missing'}")
    for path in sorted(have.failures ^ want.failures):
        found.append(f"{path!r}: failed {'here' if path in have.failures else 'in the reference'} only")
    for path in sorted(have.leaves.keys() | want.leaves.keys()):
        found += _leaf_differences(path, have.leaves.get(path), want.leaves.get(path))
    for key in sorted(have.found.keys() | want.found.keys()):
        here, there = have.found.get(key, frozenset()), want.found.get(key, frozenset())
        if here != there:
            found.append(f"{key}: lacks {sorted(there - here)[:3]}, has {sorted(here - there)[:3]} too many")
    return found


def _leaf_differences(path: bytes, have: Leaf | None, want: Leaf | None) -> list[str]:
    if have == want:
        return []
    if have is None or want is None:
        return [f"{path!r}: {'is missing' if have is None else 'is no longer on disk'}: {have or want}"]
    found = [
        f"{path!r}: {name} is {getattr(have, name)!r} instead of {getattr(want, name)!r}"
        for name in Leaf.__dataclass_fields__
        if name != "chunks" and getattr(have, name) != getattr(want, name)
    ]
    if len(have.chunks) != len(want.chunks):
        return [*found, f"{path!r}: {len(have.chunks)} chunks instead of {len(want.chunks)}"]
    return found + [
        f"{path!r}: {name} of the chunk at {one.span.start_byte} is {getattr(one, name)!r}"
        f" instead of {getattr(other, name)!r}"
        for one, other in zip(have.chunks, want.chunks, strict=True)
        for name in Chunk.__dataclass_fields__
        if getattr(one, name) != getattr(other, name)
    ]
