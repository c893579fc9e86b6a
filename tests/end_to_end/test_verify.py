"""Every kind of falsehood in a store is found, named, and repaired with the least work."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.embedding.embedding_server import EmbeddingServer
from codeindexd.analysis.trigrams import trigrams_of
from codeindexd.search.trigram_query import regex_query
from codeindexd.storage.durable import write_clean_marker
from codeindexd.storage.lexical import LexicalChunk
from codeindexd.storage.lexical.integrity import committed_files
from codeindexd.storage.text import Document
from codeindexd.storage.vectors.schema import checksum
from end_to_end.stopped_stores import Stores, some_vector
from support.daemons import RealDaemon, real_daemon, until
from support.trees import tree

CONFIG = "[workers]\nnice = 0\n"
PROJECT = {
    "README.md": "# Greeter\n\nSays hello to people in many languages.\n",
    "greeter/hello.py": 'def greet_politely(name):\n    """Return a greeting."""\n    return "Good day " + name\n',
    "greeter/server.go": "package greeter\n\nfunc ListenAndGreet(port int) error {\n\treturn serve(port)\n}\n",
}
VICTIM = "greet_politely"
FILE = "greeter/hello.py"
Falsify = Callable[[Stores], None]


def wrong_words(stores: Stores) -> None:
    victim = stores.chunk_of("hello.py")
    with stores.lexical() as index:
        index.apply(index.generation, add_chunks=[LexicalChunk(victim, 1, "word of another chunk")])


def a_word_less(stores: Stores) -> None:
    victim = stores.chunk_of("hello.py")
    with stores.lexical() as index:
        words = "greet polit name str return a greet day"
        index.apply(index.generation, add_chunks=[LexicalChunk(victim, 1, words, language="python", kind="function")])


def lost_document(stores: Stores) -> None:
    victim = stores.chunk_of("hello.py")
    with stores.lexical() as index:
        index.apply(index.generation, delete_chunks=[victim])


def document_too_many(stores: Stores) -> None:
    with stores.lexical() as index:
        index.apply(index.generation, add_chunks=[LexicalChunk(9999, 1, "left behind")])


def lost_path(stores: Stores) -> None:
    with stores.lexical() as index:
        index.apply(index.generation, delete_paths=index.snapshot().file_ids().tolist()[:1])


def wrong_path(stores: Stores) -> None:
    with stores.lexical() as index:
        index.apply(index.generation, add_paths=[(index.snapshot().file_ids().tolist()[0], "elsewhere")])


def wrong_vector(stores: Stores) -> None:
    victim = stores.chunk_of("hello.py")
    with stores.dense() as index:
        index.apply(index.generation, add=[], remove=[victim])
        index.apply(index.generation, add=[(victim, some_vector())], remove=[])


def lost_vector(stores: Stores) -> None:
    victim = stores.chunk_of("hello.py")
    with stores.dense() as index:
        index.apply(index.generation, add=[], remove=[victim])


def vector_too_many(stores: Stores) -> None:
    with stores.dense() as index:
        index.apply(index.generation, add=[(9999, some_vector())], remove=[])


def moved_lines(stores: Stores) -> None:
    stores.sql(stores.catalog, "UPDATE chunk SET start_line = 2 WHERE chunk_id = ?", stores.chunk_of("hello.py"))


def wrong_hash(stores: Stores) -> None:
    update = "UPDATE chunk SET span_hash = zeroblob(16) WHERE chunk_id = ?"
    stores.sql(stores.catalog, update, stores.chunk_of("hello.py"))


def wrong_encoding(stores: Stores) -> None:
    stores.sql(stores.catalog, "UPDATE file SET encoding = 'utf-16-le' WHERE name = CAST('hello.py' AS BLOB)")


def wrong_outline(stores: Stores) -> None:
    file_id = "(SELECT file_id FROM file WHERE name = CAST('hello.py' AS BLOB))"
    stores.sql(stores.catalog, f"UPDATE outline SET is_partial = 1 WHERE file_id = {file_id}")


def wrong_definition_name(stores: Stores) -> None:
    stores.sql(stores.catalog, "INSERT INTO definition_name VALUES (x'61', 1)")


def wrong_leaf(stores: Stores) -> None:
    stores.sql(stores.catalog, "UPDATE entry SET hash = zeroblob(16) WHERE name = CAST('hello.py' AS BLOB)")


def wrong_counter(stores: Stores) -> None:
    stores.sql(stores.catalog, "UPDATE state SET chunks = chunks + 1")


def number_for_text(stores: Stores) -> None:
    stores.sql(stores.catalog, "UPDATE chunk SET symbol = 1 WHERE chunk_id = ?", stores.chunk_of("hello.py"))


def wrong_trigrams(stores: Stores) -> None:
    """Give the victim's content the trigrams of another text."""
    with stores.text() as index:
        ((content, _),) = list(index.snapshot().candidates(regex_query(VICTIM)))[:1]
        index.forget([content])
        index.apply(index.generation, [Document(content, trigrams_of(b"another text altogether"))])


def lost_trigrams(stores: Stores) -> None:
    with stores.text() as index:
        index.forget([content for content, _ in index.snapshot().candidates(regex_query(VICTIM))][:1])


FALSEHOODS: list[tuple[Falsify, str, str]] = [
    (wrong_words, "lexical index", FILE),
    (a_word_less, "lexical index", FILE),
    (lost_document, "lexical index", ""),
    (document_too_many, "lexical index", ""),
    (lost_path, "lexical index", ""),
    (wrong_path, "lexical index", ""),
    (wrong_vector, "dense index", FILE),
    (vector_too_many, "dense index", ""),
    (wrong_trigrams, "text index", FILE),
    (lost_trigrams, "text index", FILE),
    (moved_lines, "chunks", FILE),
    (wrong_hash, "chunks", FILE),
    (wrong_encoding, "chunks", FILE),
    (wrong_outline, "definitions", FILE),
    (wrong_definition_name, "catalog", ""),
    (wrong_leaf, "catalog", ""),
    (wrong_counter, "catalog", ""),
    (number_for_text, "catalog", ""),
]


def differences(daemon: RealDaemon, **params: Any) -> set[tuple[str, str]]:
    (root,) = daemon.call("verify", **params)["roots"]
    return {(one["what"], one["path"]) for one in root["differences"]}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A project, and the directories of a stopped daemon that indexed it."""
    project = tree(tmp_path_factory.mktemp("indexed") / "project", PROJECT)
    with real_daemon(CONFIG) as daemon:
        daemon.call("roots.add", path=str(project), wait=True)
        daemon.stop()
        yield project, daemon.home


@pytest.fixture
def project(indexed: tuple[Path, Path]) -> Path:
    return indexed[0]


@pytest.fixture
def daemon(indexed: tuple[Path, Path]) -> Iterator[RealDaemon]:
    """A stopped daemon with its own copy of the stores."""
    with real_daemon(CONFIG, start=False) as stopped:
        shutil.copytree(indexed[1] / "cache", stopped.home / "cache", dirs_exist_ok=True)
        shutil.copytree(indexed[1] / "state", stopped.home / "state", dirs_exist_ok=True)
        yield stopped


@pytest.mark.parametrize(("falsify", "what", "path"), FALSEHOODS, ids=[one[0].__name__ for one in FALSEHOODS])
def test_a_falsehood_is_found_and_mended(daemon: RealDaemon, falsify: Falsify, what: str, path: str) -> None:
    stores = Stores(daemon)
    falsify(stores)
    write_clean_marker(
        stores.root, ["catalog.db"]
    )  # a clean shutdown: after an unclean one the start itself would repair some of it
    daemon.start()
    assert (what, path) in differences(daemon), daemon.log
    repaired = daemon.call("verify", repair=True)
    assert (repaired["ok"], repaired["roots"][0]["repaired"]) == (True, True)
    assert differences(daemon) == set()
    assert daemon.call("search", query=VICTIM)["hits"][0]["path"] == FILE
    assert FILE in {match["path"] for match in daemon.call("grep", pattern=VICTIM)["matches"]}


@pytest.mark.parametrize("suffix", [".pos", ".trigrams"])
def test_a_flipped_bit_in_a_file_is_found_and_repaired(daemon: RealDaemon, suffix: str) -> None:
    daemon.start()
    until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="fresh")
    root = Stores(daemon).root
    names = [*(f"lexical/{name}" for name in committed_files(root / "lexical")), *map(str, root.glob("text/*"))]
    file = next(root / name for name in names if name.endswith(suffix))
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    with file.open("r+b") as opened:  # in place, under the running daemon
        opened.write(content)
    assert ("files", "") in differences(daemon)
    assert daemon.call("verify", repair=True)["ok"]
    assert differences(daemon) == set()
    assert daemon.call("search", query=VICTIM)["hits"][0]["path"] == FILE


def test_a_lost_vector_is_not_even_a_difference(daemon: RealDaemon) -> None:
    """Opening the stores notices which chunks lack a vector and adds it."""
    lost_vector(Stores(daemon))
    daemon.start()
    assert differences(daemon) == set()
    assert daemon.call("search", query=VICTIM)["dense_coverage"] == 1.0


def test_a_wrong_vector_in_the_shared_store_is_found_and_computed_again(project: Path) -> None:
    """Only the vectors of slow models are kept there."""
    with EmbeddingServer() as endpoint:
        model = f'[embedding]\nmodel = "{endpoint.url}/v1#model=some&dimensions=16"\n'
        with real_daemon(model + CONFIG) as daemon:
            daemon.call("roots.add", path=str(project), wait=True)
            until(lambda: daemon.call("status")["roots"][0]["pending_vectors"] == 0, what="all vectors")
            daemon.stop()
            stores = Stores(daemon)
            query = "SELECT embed_hash FROM chunk WHERE chunk_id = ?"
            ((digest,),) = stores.sql(stores.catalog, query, stores.chunk_of("hello.py"))
            assert isinstance(digest, bytes)
            ((identity,),) = stores.sql(stores.vectors, "SELECT name FROM identity")
            update = "UPDATE vector SET data = ?, checksum = ? WHERE id = (SELECT vector_id FROM key WHERE hash = ?)"
            wrong = some_vector(dimensions=16)
            stores.sql(stores.vectors, update, wrong, checksum(str(identity), digest, wrong), digest)
            daemon.start()
            assert {what for what, _ in differences(daemon)} == {"dense index"}
            repaired = daemon.call("verify", repair=True)
            assert repaired["ok"], repaired
            assert differences(daemon) == set()


def test_a_root_whose_stores_cannot_be_opened_is_named_kept_and_rebuilt(daemon: RealDaemon, project: Path) -> None:
    stores = Stores(daemon)
    shutil.rmtree(stores.root / "lexical")
    (stores.root / "lexical").write_text("a file where a directory should be")
    other = project.with_name("other")
    other.mkdir()
    (other / "a.py").write_text("a = 1\n")
    daemon.start()

    (entry,) = daemon.call("status")["roots"]
    assert (entry["path"], entry["state"]) == (str(project), "degraded")
    assert entry["problems"][0]["message"]
    assert "verify --repair" in entry["problems"][0]["hint"]
    answer = daemon.call("search", query=VICTIM)
    assert answer["state"] == "degraded"
    assert str(project) in answer["notes"][0]
    asked = daemon.client().call("search", query=VICTIM, roots=[str(project)])
    assert "cannot be opened" in asked["error"]["message"]
    daemon.call("roots.add", path=str(other), wait=True)
    assert [root["path"] for root in daemon.call("roots.list")["roots"]] == sorted([str(project), str(other)])
    daemon.stop()
    daemon.start()
    assert len(daemon.call("roots.list")["roots"]) == 2, "saving the list again forgot nothing"
    assert stores.catalog.exists(), "its stores were not swept away"

    assert differences(daemon, path=str(project)) == {("stores", "")}
    assert daemon.call("verify", path=str(project), repair=True)["ok"]
    assert daemon.call("search", query=VICTIM)["state"] == "fresh"
    notes = {root["path"]: root["notes"] for root in daemon.call("status")["roots"]}
    assert notes == {str(project): ["the whole index was damaged and was rebuilt from the disk"], str(other): []}


def test_a_store_that_was_damaged_is_rebuilt_and_status_tells_it(daemon: RealDaemon) -> None:
    segment = next(Stores(daemon).root.glob("lexical/*.idx"))
    segment.write_bytes(segment.read_bytes()[:-9])
    daemon.start()
    until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="recovery")
    (note,) = daemon.call("status")["roots"][0]["notes"]
    assert note.startswith("the lexical index was rebuilt: ")
    assert note in daemon.run("status").stdout
    daemon.stop()
    daemon.start()
    assert daemon.call("status")["roots"][0]["notes"] == []


def test_a_root_that_could_not_be_opened_recovers_by_itself(daemon: RealDaemon) -> None:
    stores = Stores(daemon)
    place, aside = stores.root / "lexical", stores.root.parent / "aside"
    place.rename(aside)
    place.write_text("in the way")
    daemon.start()
    assert daemon.call("status")["roots"][0]["state"] == "degraded"
    place.unlink()
    aside.rename(place)
    until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="recovery")
    assert daemon.call("search", query=VICTIM, sync=True)["hits"]
