"""What queries to the lexical index find, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from codeindexd.storage.lexical import Lexical, LexicalChunk, LexicalQuery, LexicalSnapshot
from codeindexd.storage.lexical.query import MAX_TERMS, distinct_terms

CHUNKS = [
    LexicalChunk(
        1, 10, "def get user by id return user", "get_user_by_id", "client get user by id", "python", "method",
        ("Client.get_user_by_id",),
    ),
    LexicalChunk(2, 10, "call get user by id here", "get_user_by_id", "main", "python", "function", ("main",)),
    LexicalChunk(3, 11, "parse a file and return a list", "", "parse", "go", "function", ("Parse",)),
    LexicalChunk(4, 12, "nothing to parse in this long text about users and files", "", "", "markdown", "section"),
    LexicalChunk(5, 12, "user id by get", "", "", "python", "window"),
]  # fmt: skip
PATHS = [(10, "src client py"), (11, "src parse go"), (12, "docs users md")]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LexicalSnapshot]:
    lexical = Lexical.open(tmp_path_factory.mktemp("query") / "lexical", "store")
    lexical.apply(1, add_chunks=CHUNKS, add_paths=PATHS)
    yield lexical.snapshot()
    lexical.close()


def ids(snapshot: LexicalSnapshot, limit: int = 10, **query: object) -> list[int]:
    return [one for one, _, _ in snapshot.search(LexicalQuery(**query), limit)]  # type: ignore[arg-type]


def test_any_word_suffices_and_more_score_higher(snapshot: LexicalSnapshot) -> None:
    assert set(ids(snapshot, words=["user", "list"])) == {1, 2, 3, 5}
    hits = snapshot.search(LexicalQuery(words=["get", "user", "by", "id"]), 10)
    assert hits[0][:2] == (1, 10)
    scores = [score for _, _, score in hits]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0


def test_the_definition_of_an_identifier_comes_before_its_uses(snapshot: LexicalSnapshot) -> None:
    assert ids(snapshot, identifiers=["get_user_by_id"]) == [1, 2]
    assert ids(snapshot, identifiers=["client.get_user_by_id"]) == [1]


def test_a_function_named_by_the_word_comes_first(snapshot: LexicalSnapshot) -> None:
    assert ids(snapshot, words=["parse"]) == [3, 4]


def test_phrases_are_required_side_by_side(snapshot: LexicalSnapshot) -> None:
    assert set(ids(snapshot, phrases=[["get", "user"]])) == {1, 2}
    assert ids(snapshot, words=["parse"], phrases=[["by", "id"], ["call", "get"]]) == [2]
    assert ids(snapshot, phrases=[["user", "get"]]) == []
    assert set(ids(snapshot, phrases=[["parse"]])) == {3, 4}
    assert ids(snapshot, phrases=[[], [""]]) == []


def test_required_identifiers_must_all_be_there(snapshot: LexicalSnapshot) -> None:
    assert ids(snapshot, identifiers=["get_user_by_id", "main"], required=True) == [2]
    assert ids(snapshot, identifiers=["nowhere"], words=["user"], required=True) == []


def test_filters_restrict_and_score_nothing(snapshot: LexicalSnapshot) -> None:
    everything = {one: score for one, _, score in snapshot.search(LexicalQuery(words=["user", "parse"]), 10)}
    filtered = snapshot.search(LexicalQuery(words=["user", "parse"], language="python", kind="function"), 10)
    assert [one for one, _, _ in filtered] == [2]
    assert filtered[0][2] == pytest.approx(everything[2])
    assert ids(snapshot, words=["user", "parse"], file_ids=[11, 12]) == [3, 5, 4]
    assert ids(snapshot, words=["user", "parse"], file_ids=[]) == []
    assert ids(snapshot, words=["user", "parse"], chunk_ids=np.array([2, 3, 77])) == [3, 2]
    assert ids(snapshot, words=["user"], language="PYTHON") == []


def test_queries_without_terms_or_limit_find_nothing(snapshot: LexicalSnapshot) -> None:
    assert ids(snapshot) == []
    assert ids(snapshot, language="python") == []
    assert ids(snapshot, words=["", ""]) == []
    assert ids(snapshot, 0, words=["user"]) == []
    assert snapshot.search_paths([], 5) == []
    assert snapshot.search_paths(["src"], 0) == []


def test_query_syntax_has_no_meaning(snapshot: LexicalSnapshot) -> None:
    for odd in ("user AND", '"user', "words:user", "us*", "/u.*/", "+user", "[a TO b]", "\x00", "x" * 100_000):
        assert ids(snapshot, words=[odd], identifiers=[odd], phrases=[["user", odd]]) == []


def test_limits(snapshot: LexicalSnapshot) -> None:
    assert len(ids(snapshot, 2, words=["user", "parse"])) == 2
    assert len(ids(snapshot, 10**9, words=["user", "parse"])) == 5


def test_paths(snapshot: LexicalSnapshot) -> None:
    assert [one for one, _ in snapshot.search_paths(["parse", "src"], 5)] == [11, 10]
    assert snapshot.document_frequency("parse") == 2
    assert snapshot.document_frequency("get_user_by_id", "identifiers") == 2


def test_a_pasted_file_becomes_a_bounded_query(snapshot: LexicalSnapshot) -> None:
    noise = [f"word{n}" for n in range(900)]
    assert ids(snapshot, words=[*noise, "list", *noise])[0] == 3
    counted = {f"w{n}": n for n in range(2000)}
    assert distinct_terms(list(counted) * 2, counted.__getitem__) == [f"w{n}" for n in range(1, MAX_TERMS + 1)]


def test_long_id_lists_filter_as_short_ones_do(tmp_path: Path) -> None:
    lexical = Lexical.open(tmp_path, "store")
    many = [LexicalChunk(n, n % 6000, "alpha " * (1 + n % 13) + "beta") for n in range(1, 20_001)]
    lexical.apply(1, add_chunks=many)
    snapshot = lexical.snapshot()
    everything = snapshot.search(LexicalQuery(words=["alpha"]), 20_000)
    for allowed in (range(1, 20_001, 4), range(19_000, 30_000), range(10_000, 15_000)):
        expected = [hit for hit in everything if hit[0] in allowed]
        assert snapshot.search(LexicalQuery(words=["alpha"], chunk_ids=allowed), 20_000) == expected
        few = snapshot.search(LexicalQuery(words=["alpha"], chunk_ids=allowed), 50)
        assert [score for *_, score in few] == [score for *_, score in expected[:50]]
        assert {one for one, *_ in few} <= set(allowed)
    files = range(1000, 5500)
    hits = snapshot.search(LexicalQuery(words=["alpha"], file_ids=files, chunk_ids=range(1, 10)), 50)
    assert hits == []
    assert {file for _, file, _ in snapshot.search(LexicalQuery(words=["alpha"], file_ids=files), 9000)} == set(files)
    lexical.close()


def test_files_with_tokens_side_by_side(snapshot: LexicalSnapshot) -> None:
    assert snapshot.files_with_tokens(["get", "user", "by", "id"], 10) == ([10], True)
    assert snapshot.files_with_tokens(["get_user", "by_id"], 10) == ([10], True)  # the words of an identifier
    assert snapshot.files_with_tokens(["user", "get"], 10) == ([], True)
    assert snapshot.files_with_tokens(["user"], 1) == ([10], False)
    assert snapshot.files_with_tokens(["_"], 10) == ([], False)  # no words: any file may have it


def test_files_with_tokens_in_any_case(snapshot: LexicalSnapshot) -> None:
    assert snapshot.files_with_tokens(["USER", "By"], 10, any_case=True) == ([10], True)
    assert snapshot.files_with_tokens(["def", "GET_USER_BY_ID"], 10, any_case=True) == ([10], True)
    # The same letters in other words: what is side by side is not known then.
    assert snapshot.files_with_tokens(["return", "GET_USER_bY_ID"], 10, any_case=True) == ([10], True)
    assert snapshot.files_with_tokens(["return", "GET_USER_bY_ID"], 10) == ([], True)
    assert snapshot.files_with_tokens(["zebra", "GET_USER_bY_ID"], 10, any_case=True) == ([], True)


@pytest.mark.parametrize("share", [2, 50])
def test_the_best_that_pass_a_long_filter(
    share: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codeindexd.storage.lexical.snapshot._IDS_IN_QUERY", 1)
    lexical = Lexical.open(tmp_path_factory.mktemp("many") / "lexical", "store")
    lexical.apply(1, add_chunks=[LexicalChunk(n, n % 7, "word " + "other " * (n % 90)) for n in range(1, 1_000)])
    every = lexical.snapshot().search(LexicalQuery(words=["word"]), 1_000)
    allowed = np.arange(share, 1_000, share)
    for limit in (1, 5, 1_000):
        expected = [hit for hit in every if hit[0] % share == 0][:limit]
        assert lexical.snapshot().search(LexicalQuery(words=["word"], chunk_ids=allowed), limit) == expected
    expected = [hit for hit in every if hit[0] % share == 0 and hit[1] in (2, 3)]
    both = LexicalQuery(words=["word"], chunk_ids=allowed, file_ids=[2, 3])
    assert lexical.snapshot().search(both, 1_000) == expected
    lexical.close()
