"""Planted credentials of every kind: in no store, log, answer or message of the real daemon; nor are questions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tantivy

from analysis.secrets import secret_files
from codeindexd.analysis.secrets.mask import mask
from codeindexd.analysis.tokens import Tokenizer
from support.daemons import RealDaemon, real_daemon
from support.trees import tree

ONE, OTHER = secret_files.everything(11), secret_files.everything(12)
SECRETS = secret_files.secrets(11)
KEYS = [f"path:key_{bits}_{letters}*" for bits in (2048, 4096) for letters in ("[A-b]", "[c-k]", "[l-z]")]
QUESTIONS = [
    "unpublishedidea",
    "/unpublishedidea(/",
    'lang:python "unpublishedidea',
    "kind:unpublishedidea",
    "x" * 9000,
]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealDaemon, Path]]:
    """A daemon at log level debug, with a root full of secrets."""
    root = tree(tmp_path_factory.mktemp("planted") / "root", dict(ONE))
    with real_daemon("[index]\nmax_chunk_bytes = 600\n", start=False) as running:
        running.start("--log-level", "debug")
        running.call("roots.add", path=str(root), wait=True)
        yield running, root


def secrets_in(held: bytes) -> list[str]:
    """Return the names of the secrets in ``held``, ignoring case, since terms are lowercase."""
    lowered = held.lower()
    return [name for name, secret in SECRETS.items() if secret.lower().encode() in lowered]


def files_of(daemon: RealDaemon) -> list[Path]:
    places = [path for name in ("cache", "state", "run") for path in (daemon.home / name).rglob("*") if path.is_file()]
    return [*places, daemon.home / "daemon.log"]


def test_no_store_and_no_log_holds_one(daemon: tuple[RealDaemon, Path]) -> None:
    running, _ = daemon
    files = files_of(running)
    assert {"vectors.db", "catalog.db", "roots.json", "daemon.log"} <= {path.name for path in files}
    assert {path.suffix for path in files} >= {".db", ".term", ".pos", ".store"}
    assert {path.name: found for path in files if (found := secrets_in(path.read_bytes()))} == {}


def test_no_answer_holds_one(daemon: tuple[RealDaemon, Path]) -> None:
    running, root = daemon
    hits = 0
    for query in ("password", "client secret token", "api_key", "deploy --token", "lang:yaml", "use_12", *KEYS):
        found = running.call("search", query=query, limit=200, explain=True)
        hits += len(found["hits"])
        assert secrets_in(json.dumps(found).encode()) == []
    assert hits > 100
    for path, line in (("functions.py", 10), ("functions.py", 100), ("key_4096_array.js", 20)):
        found = running.call("related", root=str(root), path=path, line=line, limit=100)
        assert secrets_in(json.dumps(found).encode()) == []
    for name in ("use_1", "use_50", "config", "PEM", "pem", "load"):
        found = running.call("symbol", name=name, references=True)
        assert secrets_in(json.dumps(found).encode()) == []
    for method in ("status", "metrics", "verify", "roots.list", "server.info"):
        assert secrets_in(json.dumps(running.call(method)).encode()) == []
    for name in ONE:
        assert secrets_in(json.dumps(running.call("explain", path=str(root / name))).encode()) == []


def test_asking_for_one_finds_nothing_of_it(daemon: tuple[RealDaemon, Path]) -> None:
    running, _ = daemon
    for kind, secret in list(SECRETS.items())[::10]:
        for hit in running.call("search", query=f'"{secret}"')["hits"]:
            assert secret not in hit["snippet"], kind


def test_an_agent_is_told_none(daemon: tuple[RealDaemon, Path]) -> None:
    running, root = daemon

    def use(number: int, tool: str, **arguments: Any) -> str:
        params = {"name": tool, "arguments": arguments}
        return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}) + "\n"

    calls = [
        use(1, "search_code", query="password token secret", limit=50),
        use(2, "find_symbol", name="use_3", references=True),
        use(3, "related_code", path=str(root / "functions.py"), line=20),
        use(4, "index_status"),
        use(5, "related_code", path=str(root / "key_4096_Added.java"), line=20, limit=50),
        *(use(number, "search_code", query=query, limit=50) for number, query in enumerate(KEYS, 6)),
    ]
    done = running.run("mcp", input="".join(calls))
    assert len(done.stdout.splitlines()) == len(calls)
    assert "********" in done.stdout
    assert secrets_in((done.stdout + done.stderr).encode()) == []


def test_the_lexical_index_keeps_no_text(daemon: tuple[RealDaemon, Path]) -> None:
    running, _ = daemon
    (meta,) = running.home.glob("cache/codeindexd/roots/*/lexical/meta.json")
    index = tantivy.Index.open(str(meta.parent))
    searcher = index.searcher()
    found = searcher.search(tantivy.Query.all_query(), 5000).hits
    assert len(found) > 300
    kept = {name for _, address in found for name in searcher.doc(address).to_dict()}
    assert kept == {"store", "generation"}


def test_no_term_of_the_lexical_index_is_a_piece_of_one(daemon: tuple[RealDaemon, Path]) -> None:
    running, _ = daemon
    tokenizer = Tokenizer()

    def terms_of(text: str) -> set[str]:
        terms = tokenizer.tokenize(text)
        return {term for term in (*terms.words, *terms.identifiers) if len(term) >= 4}

    harmless = terms_of("\n".join(mask(line.encode()).decode() for line, _ in secret_files.kinds(11).values()))
    pieces = {term for secret in SECRETS.values() for term in terms_of(secret)} - harmless
    assert len(pieces) > 300
    (meta,) = running.home.glob("cache/codeindexd/roots/*/lexical/meta.json")
    index = tantivy.Index.open(str(meta.parent))
    found = set()
    for field in ("words", "identifiers", "symbol", "name", "path"):
        for piece in pieces:
            if index.searcher().search(tantivy.Query.term_query(index.schema, field, piece), 1).count:
                found.add((field, piece))
    assert found == set()


def test_a_vector_does_not_depend_on_the_secret(daemon: tuple[RealDaemon, Path], tmp_path: Path) -> None:
    """A second root with other secrets in the same places needs no new vector."""
    running, _ = daemon
    before = embedded_texts(running)
    other = tree(tmp_path / "other", dict(OTHER))
    added = running.call("roots.add", path=str(other), wait=True)
    assert added["roots"][0]["chunks"] > 300
    assert embedded_texts(running) == before
    assert len(before) > 200
    running.call("roots.remove", path=str(other))


def embedded_texts(daemon: RealDaemon) -> set[bytes]:
    """Return the hash of every text that was given to the model, in all roots."""
    found: set[bytes] = set()
    for catalog in daemon.home.glob("cache/codeindexd/roots/*/catalog.db"):
        connection = sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)
        try:
            found.update(row[0] for row in connection.execute("SELECT embed_hash FROM chunk"))
        finally:
            connection.close()
    return found


def test_no_question_is_logged(daemon: tuple[RealDaemon, Path]) -> None:
    running, root = daemon
    client = running.client()
    for question in QUESTIONS:
        client.call("search", query=question)
        client.call("symbol", name=question)
        client.call("related", root=str(root), path=question, line=1)
        client.call("search", query="x", language=question, path=f"[{question}")
    client.call("unpublishedidea")
    log = running.log
    assert "request_refused" in log, "refusals are logged, without the query"
    assert "unpublishedidea" not in log
    assert "x" * 100 not in log
