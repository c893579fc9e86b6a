"""Ranking: normalised scores, cuts, and the signals of the code."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.search.file_roles import FileRole
from codeindexd.search.ranking import (
    Candidate,
    FileEvidence,
    Weights,
    clean_cut,
    normalise,
    rank,
    rank_report,
    shortlist,
)

scores = st.floats(0, 1)
candidates = st.lists(
    st.builds(
        Candidate,
        chunk_id=st.integers(1, 10**6),
        file_id=st.integers(1, 5),
        path=st.sampled_from([b"src/a.py", b"tests/test_a.py", b"lib/b.go"]),
        lexical=scores,
        dense=scores,
        body=scores,
        exact=scores,
        mention=scores,
        asked_for=st.just({}),
    ),
    unique_by=lambda candidate: candidate.chunk_id,
    max_size=30,
)
evidence = st.dictionaries(
    st.integers(1, 5),
    st.builds(FileEvidence, name=scores, central=scores, crowd=scores, path=scores, named=scores, past=scores),
)


@given(candidates, evidence, st.integers())
def test_the_ranking_does_not_depend_on_the_order_of_candidates(
    found: list[Candidate], files: dict[int, FileEvidence], seed: int
) -> None:
    shuffled = found[:]
    Random(seed).shuffle(shuffled)
    for order in (rank, rank_report):
        ranked = order(found, files)
        assert ranked == order(shuffled, files)
        assert {r.candidate.chunk_id for r in ranked} == {c.chunk_id for c in found}
        assert all(a.score >= b.score for a, b in itertools.pairwise(ranked))


@given(candidates, evidence)
def test_the_parts_of_a_score_add_up_to_it(found: list[Candidate], files: dict[int, FileEvidence]) -> None:
    for order in (rank, rank_report):
        for ranked in order(found, files):
            assert ranked.score == pytest.approx(sum(ranked.parts.values()), abs=1e-6)


def test_a_function_comes_before_code_of_its_file_that_is_about_as_good() -> None:
    head = Candidate(1, 1, b"a.py", lexical=1.0, dense=0.8)
    function = Candidate(2, 1, b"a.py", lexical=0.8, dense=0.8, is_function=True)
    assert [r.candidate for r in rank([head, function])] == [function, head]
    assert rank([head, function])[0].score == rank([head, function._replace(is_function=False)])[0].score
    assert [r.candidate for r in rank([head, function._replace(dense=0.5)])] == [head, function._replace(dense=0.5)]
    asked = head._replace(asked_for={"declared": 1.5})
    assert rank([asked, function])[0].candidate is asked


def test_what_is_asked_for_is_the_first_chunk_of_its_file() -> None:
    near = Candidate(1, 1, b"a.py", lexical=1.0, dense=1.0)
    asked = Candidate(2, 1, b"a.py", lexical=0.2, asked_for={"declared": 3.0})
    first = rank([near, asked], {1: FileEvidence(name=1.0)})[0]
    assert first.candidate is asked
    assert first.parts["name"] == Weights().name
    assert "further" not in first.parts


def test_documents_step_back_further_where_they_cannot_answer() -> None:
    source = Candidate(1, 1, b"src/parser.py", lexical=0.8, dense=0.6)
    document = Candidate(2, 2, b"docs/parser.md", lexical=1.0, dense=1.0, role=FileRole.DOCUMENT)
    assert rank([source, document], {2: FileEvidence(name=0.2)})[0].candidate is document
    unwanted = rank([source, document], {2: FileEvidence(name=0.2)}, (), {FileRole.DOCUMENT})
    assert unwanted[0].candidate is source


def test_a_central_file_comes_first_of_equals() -> None:
    some, central = Candidate(1, 1, b"a.py", dense=0.8), Candidate(2, 2, b"b.py", dense=0.8)
    assert rank([some, central], {2: FileEvidence(central=1.0)})[0].candidate is central
    assert rank_report([some, central], {2: FileEvidence(central=1.0)})[0].candidate is some


def test_further_chunks_of_a_central_file_keep_most_of_that() -> None:
    found = [Candidate(1, 1, b"a.py", dense=1.0), Candidate(2, 1, b"a.py", dense=0.9)]
    plain = rank(found)[1].score
    assert rank(found, {1: FileEvidence(central=1.0)})[1].score > plain + 0.5 * Weights().central
    assert rank(found, {1: FileEvidence(name=1.0)})[1].score < plain + 0.5 * Weights().name


@given(st.dictionaries(st.integers(), st.floats(-1, 100), max_size=20))
def test_normalised_scores_keep_their_order_between_zero_and_one(found: dict[int, float]) -> None:
    result = normalise(found)
    assert result.keys() == found.keys()
    assert all(0 <= value <= 1 for value in result.values())
    assert all(result[a] <= result[b] for a in found for b in found if found[a] <= found[b])


def test_a_chunk_from_both_retrievers_beats_one_from_a_single_retriever() -> None:
    both = Candidate(1, 1, b"a.py", lexical=0.8, dense=0.8)
    one = Candidate(2, 2, b"b.py", lexical=1.0)
    assert [r.candidate.chunk_id for r in rank([one, both])] == [1, 2]


def test_further_chunks_of_a_file_rank_below_other_files() -> None:
    same = [Candidate(n, 1, b"a.py", lexical=1 - n / 10, dense=1 - n / 10) for n in (1, 2, 3)]
    other = Candidate(9, 2, b"b.py", lexical=0.6, dense=0.7)
    assert [r.candidate.chunk_id for r in rank([*same, other])][:2] == [1, 9]


def test_a_further_section_of_a_document_keeps_most_of_its_score() -> None:
    for path, role, order in (("a.py", FileRole.SOURCE, [1, 9, 2]), ("a.md", FileRole.DOCUMENT, [1, 2, 9])):
        same = [Candidate(n, 1, path.encode(), lexical=1.0, dense=1 - n / 100, role=role) for n in (1, 2)]
        other = Candidate(9, 2, b"b.md", lexical=0.9, dense=0.8, role=FileRole.DOCUMENT)
        found = rank([*same, other], {1: FileEvidence(name=1.0)}, wanted_roles={FileRole.DOCUMENT})
        assert [one.candidate.chunk_id for one in found] == order


def test_documents_that_are_asked_for_come_before_code_that_is_as_close() -> None:
    source = Candidate(1, 1, b"src/parser.py", lexical=1.0, dense=0.8)
    document = Candidate(2, 2, b"docs/parser.md", lexical=1.0, dense=0.7, role=FileRole.DOCUMENT)
    assert rank([source, document])[0].candidate is source
    assert rank([source, document], wanted_roles={FileRole.DOCUMENT})[0].candidate is document


def test_a_file_with_many_good_chunks_is_lifted() -> None:
    crowded = [Candidate(n, 1, b"a.py", dense=0.8) for n in range(1, 6)]
    alone = Candidate(9, 2, b"b.py", dense=0.9)
    assert rank([*crowded, alone])[0].candidate.file_id == 1


@pytest.mark.parametrize("role", [role for role in FileRole if role is not FileRole.SOURCE])
def test_everything_but_source_steps_back_unless_the_query_asks_for_it(role: FileRole) -> None:
    source = Candidate(1, 1, b"src/parser.py", lexical=0.8)
    other = Candidate(2, 2, b"other", lexical=1.0, role=role)
    assert rank([source, other])[0].candidate is source
    assert rank([source, other], wanted_roles={role})[0].candidate is other
    assert rank_report([source, other], {})[0].candidate is source


def test_an_older_version_steps_back() -> None:
    older = Candidate(1, 1, b"v1/parser.py", lexical=1.0)
    newer = Candidate(2, 2, b"v2/parser.py", lexical=0.8)
    assert rank([older, newer], {1: FileEvidence(is_older=True)})[0].candidate is newer


def test_the_name_of_a_file_decides_between_similar_chunks() -> None:
    there = Candidate(1, 1, b"util.py", lexical=1.0, dense=0.9)
    named = Candidate(2, 2, b"parser.py", lexical=0.8, dense=0.8)
    assert rank([there, named], {2: FileEvidence(name=1.0)})[0].candidate is named


def test_a_definition_of_a_name_in_the_query_comes_before_its_uses() -> None:
    near = Candidate(1, 1, b"src/greet.go", lexical=0.9, dense=1.0)
    uses = Candidate(2, 2, b"src/use.py", lexical=1.0, dense=0.5, mention=1.0)
    defines = Candidate(3, 3, b"src/hello.py", lexical=0.9, dense=0.5, exact=1.0)
    assert [r.candidate for r in rank([near, uses, defines])] == [defines, uses, near]


def test_a_short_chunk_counts_less_for_its_words_and_meaning() -> None:
    short = Candidate(1, 1, b"a.py", lexical=1.0, dense=0.9, size_bytes=60)
    long = Candidate(2, 2, b"b.py", lexical=0.9, dense=0.9, size_bytes=300)
    first, second = rank([short, long])
    assert (first.candidate, second.parts["short"]) == (long, pytest.approx(-0.24 * (0.6 + 0.63)))
    assert "short" not in first.parts


def test_what_is_asked_for_beats_any_similarity() -> None:
    near = Candidate(1, 1, b"a.py", lexical=1.0, dense=1.0, exact=1.0)
    asked = Candidate(2, 2, b"tests/b.py", role=FileRole.TEST, asked_for={"literal": 10.0})
    assert rank([near, asked], {1: FileEvidence(name=1.0)})[0].candidate is asked


def test_chunks_of_one_file_vote_together_for_a_report() -> None:
    says_it = Candidate(1, 1, b"a.py", lexical=0.9)
    does_it = Candidate(2, 1, b"a.py", body=0.9)
    half = Candidate(3, 2, b"b.py", lexical=1.0)
    ranked = rank_report([says_it, does_it, half], {})
    assert [r.candidate.file_id for r in ranked] == [1, 2, 1]


def test_a_report_shows_many_files_before_further_chunks() -> None:
    same = [Candidate(n, 1, b"a.py", lexical=1.0, dense=1.0, body=1.0) for n in (1, 2, 3)]
    others = [Candidate(n, n, f"{n}.py".encode(), body=0.3) for n in range(4, 10)]
    ranked = rank_report([*same, *others], {})
    assert [r.candidate.file_id for r in ranked] == [1, 4, 5, 6, 7, 8, 9, 1, 1]


def test_a_file_that_a_report_names_comes_first() -> None:
    near = Candidate(1, 1, b"a.py", lexical=1.0, dense=0.2)
    named = Candidate(2, 2, b"b.py", lexical=0.5)
    assert rank_report([near, named], {2: FileEvidence(named=1.0)})[0].candidate is named


def test_source_with_tests_inside_is_source_for_a_report() -> None:
    inside = Candidate(1, 1, b"src/a.rs", body=1.0, role=FileRole.TEST)
    beside = Candidate(2, 1, b"src/a.rs", body=0.1)
    other = Candidate(3, 2, b"src/b.rs", body=0.5)
    assert rank_report([inside, beside, other], {})[0].candidate.file_id == 1


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
