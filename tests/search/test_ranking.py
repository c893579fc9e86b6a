"""Ranking: normalised scores, cuts, and the signals of the code."""

from __future__ import annotations

import itertools
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from codeindexd.search.ranking import Candidate, clean_cut, is_test, normalised, rank, shortlist

scores = st.floats(0, 1)
candidates = st.lists(
    st.builds(
        Candidate,
        chunk_id=st.integers(1, 10**6),
        file_id=st.integers(1, 5),
        path=st.sampled_from([b"src/a.py", b"tests/test_a.py", b"lib/b.go"]),
        lexical=scores,
        dense=scores,
        symbol_stems=st.frozensets(st.sampled_from(["pars", "arg", "socket"]), max_size=2),
        file_stems=st.frozensets(st.sampled_from(["pars", "arg"]), max_size=2),
        mentions=st.booleans(),
        is_prose=st.booleans(),
    ),
    unique_by=lambda candidate: candidate.chunk_id,
    max_size=30,
)


@given(candidates, st.lists(st.sampled_from(["pars", "arg", "test"]), max_size=3), st.integers())
def test_the_ranking_does_not_depend_on_the_order_of_candidates(
    found: list[Candidate], words: list[str], seed: int
) -> None:
    shuffled = found[:]
    Random(seed).shuffle(shuffled)
    ranked = rank(found, words)
    assert ranked == rank(shuffled, words)
    assert {r.candidate.chunk_id for r in ranked} == {c.chunk_id for c in found}
    assert all(a.score >= b.score for a, b in itertools.pairwise(ranked))


@given(st.dictionaries(st.integers(), st.floats(-1, 100), max_size=20))
def test_normalised_scores_keep_their_order_between_zero_and_one(found: dict[int, float]) -> None:
    result = normalised(found)
    assert result.keys() == found.keys()
    assert all(0 <= value <= 1 for value in result.values())
    assert all(result[a] <= result[b] for a in found for b in found if found[a] <= found[b])


def test_a_chunk_from_both_retrievers_beats_one_from_a_single_retriever() -> None:
    both = Candidate(1, 1, b"a.py", lexical=0.8, dense=0.8)
    one = Candidate(2, 2, b"b.py", lexical=1.0)
    assert [r.candidate.chunk_id for r in rank([one, both], ["x"])] == [1, 2]


def test_further_chunks_of_a_file_rank_below_other_files() -> None:
    same = [Candidate(n, 1, b"a.py", lexical=1 - n / 10, dense=1 - n / 10) for n in (1, 2, 3)]
    other = Candidate(9, 2, b"b.py", lexical=0.5, dense=0.5)
    assert [r.candidate.chunk_id for r in rank([*same, other], [])][:2] == [1, 9]


def test_a_file_with_many_good_chunks_is_lifted() -> None:
    crowded = [Candidate(n, 1, b"a.py", dense=0.8) for n in range(1, 6)]
    alone = Candidate(9, 2, b"b.py", dense=0.9)
    assert rank([*crowded, alone], [])[0].candidate.file_id == 1


def test_tests_rank_lower_unless_the_query_asks_for_them() -> None:
    source = Candidate(1, 1, b"src/parser.py", lexical=0.8)
    test = Candidate(2, 2, b"tests/test_parser.py", lexical=1.0)
    assert rank([source, test], ["parser"])[0].candidate is source
    assert rank([source, test], ["test", "parser"])[0].candidate is test


def test_tests_are_recognised_by_their_paths() -> None:
    assert all(map(is_test, [b"tests/x.py", b"a/test_x.py", b"x_test.go", b"x.spec.ts", b"src/__tests__/x.js"]))
    assert not any(map(is_test, [b"src/contest.py", b"latest/x.py", b"attestation.go"]))


def test_a_definition_of_a_whole_name_in_the_query_comes_first() -> None:
    near = Candidate(1, 1, b"src/greet.go", lexical=0.9, dense=1.0, file_stems=frozenset({"greet"}))
    defined = Candidate(2, 2, b"src/hello.py", lexical=1.0, defines=frozenset({"greet_politely"}))
    assert rank([near, defined], ["greet", "polite"], ["greet_politely"])[0].candidate is defined


def test_a_use_of_the_whole_name_beats_a_similar_symbol() -> None:
    similar = Candidate(1, 1, b"src/a.py", lexical=0.9, dense=1.0, symbol_stems=frozenset({"fresh", "word"}))
    uses = Candidate(2, 2, b"src/b.py", lexical=1.0, mentions=True)
    assert rank([similar, uses], ["fresh", "word", "x"], ["fresh_word_x"])[0].candidate is uses


def test_the_shortlist_keeps_the_best_of_both_retrievers() -> None:
    lexical = {chunk_id: 1 / chunk_id for chunk_id in range(1, 101)}
    dense = {chunk_id: 1 / (chunk_id - 90) for chunk_id in range(91, 191)}
    chosen = shortlist(lexical, dense, 20)
    assert len(chosen) == 20
    assert {1, 2, 91, 92} <= set(chosen)


def test_a_cut_never_separates_equal_scores() -> None:
    scores = {1: 0.9, 2: 0.8, 3: 0.5, 4: 0.5, 5: 0.5}
    assert clean_cut(scores, 4) == {1: 0.9, 2: 0.8}
    assert clean_cut(scores, 2) == {1: 0.9, 2: 0.8}
    assert clean_cut(scores, 9) == scores
    assert clean_cut({1: 0.5, 2: 0.5, 3: 0.5}, 2) == {1: 0.5, 2: 0.5}
