"""The catalog compared with a dictionary after any sequence of transactions."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from codeindexd.scan.merkle import Tree
from codeindexd.storage.catalog import Catalog
from codeindexd.types import CommittedChanges, Failure, FileUpdate, Move, NodeKind, Outcome, Transaction
from storage.catalog.transactions import directory, draft, leaf, skipped, stat

names = st.sampled_from([b"a", b"b", b"c.py", b"a-", b"a0", b"\xff"])
paths = st.lists(names, min_size=1, max_size=3).map(b"/".join)
contents = st.lists(st.sampled_from(["x", "y", "z", "C.get"]), max_size=5).map(" ".join)
outcomes = st.sampled_from([Outcome.INDEXED] * 5 + [Outcome.FAILED, Outcome.UNPROCESSED, Outcome.SKIPPED])


@dataclass(frozen=True)
class Held:
    """What the model knows of a leaf."""

    update: FileUpdate
    words: tuple[str, ...]


def make_update(path: bytes, content: str, outcome: Outcome, seed: int) -> FileUpdate:
    if outcome is Outcome.SKIPPED:
        return skipped(path, ("binary", "ignored")[seed % 2])
    chunks = tuple(draft(word, line) for line, word in enumerate(content.split(), 1))
    indexed = outcome is Outcome.INDEXED
    entry = leaf(path, content, seed=seed)
    return FileUpdate(entry, outcome, "python", "utf-8", b"f", chunks=chunks if indexed else ())


updates = st.builds(make_update, paths, contents, outcomes, st.integers(1, 3))


class AgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.catalog = Catalog.open(self.place / "catalog.db", root_id="r")
        self.leaves: dict[bytes, Held] = {}
        self.directories: set[bytes] = set()
        self.failures: dict[bytes, Failure] = {}
        self.alive: set[int] = set()  # chunk ids, according to the results of commits
        self.searchable: dict[int, bytes] = {}
        self.born: set[int] = set()
        self.generation = 0

    def teardown(self) -> None:
        self.catalog.close()
        shutil.rmtree(self.place)

    # the model

    def drop(self, path: bytes) -> None:
        for held in [p for p in self.leaves if p == path or p.startswith(path + b"/")]:
            del self.leaves[held]
        self.directories -= {p for p in self.directories if p == path or p.startswith(path + b"/")}
        for key in [p for p in self.failures if p == path or p.startswith(path + b"/")]:
            del self.failures[key]

    def make_directory(self, path: bytes) -> None:
        while path:
            if path in self.leaves:
                del self.leaves[path]
                self.failures.pop(path, None)
            self.directories.add(path)
            path = path.rpartition(b"/")[0]

    def put(self, update: FileUpdate) -> None:
        path = update.entry.path
        if path in self.directories:
            self.drop(path)
        self.make_directory(path.rpartition(b"/")[0])
        self.leaves[path] = Held(update, tuple(c.span.symbol for c in update.chunks))
        self.failures.pop(path, None)

    def commit(self, changes: Transaction) -> CommittedChanges:
        committed = self.catalog.commit(changes)
        added = [chunk.chunk_id for chunk in committed.added]
        assert not self.born & set(added), "an id was assigned twice"
        assert set(committed.removed) <= self.alive
        assert len(set(committed.removed)) == len(committed.removed)
        self.born.update(added)
        self.alive = (self.alive - set(committed.removed)) | set(added)
        for file_id in committed.paths_removed:
            del self.searchable[file_id]
        for file_id, path in committed.paths_added:
            assert file_id not in self.searchable
            self.searchable[file_id] = path
        assert committed.generation in (self.generation, self.generation + 1)
        if committed.generation == self.generation:
            assert committed == CommittedChanges(self.generation)
        self.generation = committed.generation
        return committed

    # operations

    @rule(changes=st.lists(updates, min_size=1, max_size=5))
    def update(self, changes: list[FileUpdate]) -> None:
        self.commit(Transaction(updates=changes))
        for change in changes:
            self.put(change)

    @precondition(lambda self: self.leaves)
    @rule(data=st.data(), content=contents)
    def modify(self, data: st.DataObject, content: str) -> None:
        path = data.draw(st.sampled_from(sorted(self.leaves)))
        change = make_update(path, content, Outcome.INDEXED, 1)
        words = Counter(self.leaves[path].words) & Counter(content.split())
        with self.catalog.snapshot() as before:
            self.commit(Transaction(updates=[change]))
            old, old_chunks = before.file(path), before.chunks_of_file(path)
        self.put(change)
        with self.catalog.snapshot() as after:
            new, new_chunks = after.file(path), after.chunks_of_file(path)
        assert old is not None
        assert new is not None
        assert old.file_id == new.file_id
        if old.outcome is Outcome.INDEXED:
            kept = {c.chunk_id for c in old_chunks} & {c.chunk_id for c in new_chunks}
            assert len(kept) == words.total()

    @rule(removals=st.lists(paths, min_size=1, max_size=3), directories=st.lists(paths, max_size=2))
    def remove(self, removals: list[bytes], directories: list[bytes]) -> None:
        self.commit(Transaction(removals=removals, directories=[directory(path) for path in directories]))
        for path in removals:
            self.drop(path)
        for path in directories:
            self.make_directory(path)

    @precondition(lambda self: self.leaves)
    @rule(data=st.data(), goals=st.lists(paths, min_size=1, max_size=3, unique=True))
    def move(self, data: st.DataObject, goals: list[bytes]) -> None:
        sources = data.draw(st.lists(st.sampled_from(sorted(self.leaves)), max_size=len(goals), unique=True))
        moves = [
            Move(source, replace(self.leaves[source].update.entry, path=target))
            for source, target in zip(sources, goals, strict=False)
        ]
        alive = set(self.alive)
        self.commit(Transaction(moves=moves))
        assert self.alive <= alive, "moves create no chunks"
        lifted = {move.source: (self.leaves.pop(move.source), self.failures.pop(move.source, None)) for move in moves}
        for move in moves:
            held, _ = lifted[move.source]
            self.put(replace(held.update, entry=move.entry))
        for move in moves:
            failure = lifted[move.source][1]
            if failure is not None and move.entry.path in self.leaves:
                self.failures[move.entry.path] = replace(failure, path=move.entry.path)

    @precondition(lambda self: self.leaves)
    @rule(data=st.data(), seed=st.integers(1, 5))
    def touch(self, data: st.DataObject, seed: int) -> None:
        path = data.draw(st.sampled_from(sorted(self.leaves)))
        held = self.leaves[path]
        entry = replace(held.update.entry, stat=stat(seed))
        generation = self.generation
        self.commit(Transaction(touched=[entry]))
        assert self.generation == generation
        self.leaves[path] = Held(replace(held.update, entry=entry), held.words)

    @rule(path=paths, retry=st.integers(0, 9))
    def fail(self, path: bytes, retry: int) -> None:
        failure = Failure(path, "chunk", "broken", 1, retry)
        self.commit(Transaction(failures=[failure]))
        self.failures[path] = failure

    @rule()
    def reopen(self) -> None:
        self.catalog.close()
        self.catalog = Catalog.open(self.place / "catalog.db", root_id="r")

    # invariants

    @invariant()
    def the_tree_is_the_models(self) -> None:
        entries = [held.update.entry for held in self.leaves.values()] + [directory(p) for p in self.directories]
        model = Tree.build(entries)
        tree = self.catalog.tree()
        assert self.catalog.root_hash == model.root_hash
        waiting = [b""]
        while waiting:
            path = waiting.pop()
            assert tree.node(path) == model.node(path)
            children = tree.children(path)
            assert children == model.children(path)
            waiting += [entry.path for entry in children.values() if entry.kind is NodeKind.DIRECTORY]

    @invariant()
    def the_chunks_are_the_models(self) -> None:
        with self.catalog.snapshot() as snapshot:
            assert snapshot.generation == self.generation
            assert set(snapshot.all_chunk_ids().tolist()) == self.alive
            assert {c.chunk_id for c in snapshot.all_chunks()} == self.alive
            found = {file.entry.path: file for file in snapshot.files()}
            assert found.keys() == self.leaves.keys()
            for path, held in self.leaves.items():
                chunks = snapshot.chunks_of_file(path)
                assert [(c.span.symbol, c.span.start_line) for c in chunks] == [
                    (w, i) for i, w in enumerate(held.words, 1)
                ]
                assert (found[path].outcome, found[path].chunks) == (held.update.outcome, len(chunks))
            indexed = {file.file_id: file.entry.path for file in snapshot.indexed_files()}
            assert indexed == self.searchable
            assert snapshot.file_ids().tolist() == sorted(indexed)

    @invariant()
    def it_agrees_with_itself(self) -> None:
        assert self.catalog.check() == []
        assert sorted(self.catalog.failures(), key=lambda f: f.path) == [
            self.failures[p] for p in sorted(self.failures)
        ]


TestAgainstModel = AgainstModel.TestCase
TestAgainstModel.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
