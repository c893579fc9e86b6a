from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from codeindexd.ranking import Candidate, is_test, rank, shortlist

candidates = st.lists(
    st.builds(
        Candidate,
        chunk_id=st.integers(1, 10**6),
        file_id=st.integers(1, 5),
        path=st.sampled_from([b"src/a.py", b"tests/test_a.py", b"lib/b.go"]),
        symbol_words=st.frozensets(st.sampled_from(["parse", "args", "socket"]), max_size=2),
        lexical_rank=st.integers(0, 100),
        dense_rank=st.integers(0, 100),
        path_rank=st.integers(0, 50),
    ),
    unique_by=lambda candidate: candidate.chunk_id,
    max_size=30,
)


@given(candidates, st.lists(st.sampled_from(["parse", "args", "test"]), max_size=3), st.randoms())
def test_the_order_does_not_depend_on_the_order_of_candidates(found: list[Candidate], words: list[str], random) -> None:
    shuffled = found[:]
    random.shuffle(shuffled)
    ranked = rank(found, words)
    assert ranked == rank(shuffled, words)
    assert {r.candidate.chunk_id for r in ranked} == {c.chunk_id for c in found}
    assert all(a.score >= b.score for a, b in itertools.pairwise(ranked))


def test_found_by_both_retrievers_beats_found_by_one() -> None:
    both = Candidate(1, 1, b"a.py", lexical_rank=5, dense_rank=5)
    one = Candidate(2, 2, b"b.py", lexical_rank=1)
    assert [r.candidate.chunk_id for r in rank([one, both], ["x"])] == [1, 2]


def test_further_chunks_of_a_file_give_way_to_other_places() -> None:
    same = [Candidate(n, 1, b"a.py", lexical_rank=n, dense_rank=n) for n in (1, 2, 3)]
    other = Candidate(9, 2, b"b.py", lexical_rank=4, dense_rank=4)
    assert [r.candidate.chunk_id for r in rank([*same, other], [])][:2] == [1, 9]


def test_tests_step_back_unless_asked_for() -> None:
    source = Candidate(1, 1, b"src/parser.py", lexical_rank=3)
    test = Candidate(2, 2, b"tests/test_parser.py", lexical_rank=1)
    assert rank([source, test], ["parser"])[0].candidate is source
    assert rank([source, test], ["test", "parser"])[0].candidate is test


def test_what_is_a_test() -> None:
    assert all(map(is_test, [b"tests/x.py", b"a/test_x.py", b"x_test.go", b"x.spec.ts", b"src/__tests__/x.js"]))
    assert not any(map(is_test, [b"src/contest.py", b"latest/x.py", b"attestation.go"]))


def test_a_definition_asked_for_by_its_whole_name_comes_first() -> None:
    near = Candidate(1, 1, b"src/greet.go", lexical_rank=2, dense_rank=1, path_rank=1)
    defined = Candidate(2, 2, b"src/hello.py", defines=frozenset({"greet_politely"}), lexical_rank=1, dense_rank=9)
    assert rank([near, defined], ["greet", "politely"], ["greet_politely"])[0].candidate is defined


def test_the_shortlist_keeps_the_best_of_both_retrievers() -> None:
    lexical = {chunk_id: chunk_id for chunk_id in range(1, 101)}
    dense = {chunk_id: chunk_id - 90 for chunk_id in range(91, 191)}
    chosen = shortlist(lexical, dense, 20)
    assert len(chosen) == 20
    assert set(range(91, 101)) <= set(chosen), "found by both"
    assert {1, 2, 3} <= set(chosen), "best of one"


def test_a_use_of_the_whole_name_beats_what_only_sounds_like_it() -> None:
    sounds = Candidate(1, 1, b"src/a.py", frozenset({"fresh", "word"}), lexical_rank=2, dense_rank=40)
    uses = Candidate(2, 2, b"src/b.py", mentions=True, lexical_rank=1)
    assert rank([sounds, uses], ["fresh", "word", "x"], ["fresh_word_x"])[0].candidate is uses
