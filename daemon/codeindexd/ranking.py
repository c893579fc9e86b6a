"""From the candidates of two retrievers to one order: reciprocal rank fusion, then what the code itself says.

Fusion after Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning
Methods" (SIGIR 2009). Pure: candidates in, scored candidates out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_RANK_CONSTANT = 60


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each signal counts, in units of one first place of a retriever."""

    lexical: float = 1.0
    dense: float = 1.0
    path: float = 0.5
    definition: float = 0.3  # a definition that is called as words of the question
    exact: float = 2.0  # a definition whose whole name, of several words, stands in the question
    mention: float = 1.5  # a use of such a name
    test: float = 0.35  # taken off for test files unless the question asks for tests
    same_file: float = 0.45  # factor for each further chunk of a file already shown


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that some retriever found, with all that ranking may look at. Ranks count from 1, 0 = not found."""

    chunk_id: int
    file_id: int
    path: bytes
    symbol_words: frozenset[str] = frozenset()
    defines: frozenset[str] = frozenset()  # whole names, lowercase
    mentions: bool = False  # holds a whole name that stands in the question
    lexical_rank: int = 0
    dense_rank: int = 0
    path_rank: int = 0


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate's place: ``parts`` says where its score came from."""

    candidate: Candidate
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)


_TEST_PARTS = frozenset(b"test tests testing spec specs __tests__ testdata fixtures".split())
_ASKS_FOR_TESTS = frozenset({"test", "tests", "testing", "spec", "fixture", "fixtures", "mock"})


def is_test(path: bytes) -> bool:
    """Whether a path looks like a test's."""
    *directories, name = path.lower().split(b"/")
    stem = name.split(b".")[0]
    return (
        any(part in _TEST_PARTS for part in directories)
        or stem.startswith(b"test_")
        or stem.endswith((b"_test", b"_spec", b"-test"))
        or b".test." in name
        or b".spec." in name
    )


def _reciprocal(rank: int) -> float:
    """One at rank 1, falling as reciprocal rank fusion does; 0 for a candidate that was not found."""
    return (_RANK_CONSTANT + 1) / (_RANK_CONSTANT + rank) if rank else 0.0


def score(candidate: Candidate, words: frozenset[str], names: frozenset[str], weights: Weights) -> Ranked:
    """A candidate's score before its neighbours are looked at."""
    parts = {
        "lexical": weights.lexical * _reciprocal(candidate.lexical_rank),
        "dense": weights.dense * _reciprocal(candidate.dense_rank),
        "path": weights.path * _reciprocal(candidate.path_rank),
    }
    if candidate.symbol_words and words:
        named = len(candidate.symbol_words & words) / len(candidate.symbol_words)
        parts["definition"] = weights.definition * named
    if candidate.defines & names:
        parts["exact"] = weights.exact
    elif candidate.mentions:
        parts["mention"] = weights.mention
    if is_test(candidate.path) and not words & _ASKS_FOR_TESTS:
        parts["test"] = -weights.test
    return Ranked(candidate, sum(parts.values()), {name: part for name, part in parts.items() if part})


def shortlist(lexical: Mapping[int, int], dense: Mapping[int, int], limit: int) -> list[int]:
    """The ``limit`` chunk ids best by fusion alone, out of their ranks: only these are worth a closer look."""
    fused = {
        chunk_id: _reciprocal(lexical.get(chunk_id, 0)) + _reciprocal(dense.get(chunk_id, 0))
        for chunk_id in lexical.keys() | dense.keys()
    }
    return sorted(fused, key=lambda chunk_id: (-fused[chunk_id], chunk_id))[:limit]


def rank(
    candidates: Iterable[Candidate],
    words: Sequence[str],
    names: Sequence[str] = (),
    weights: Weights | None = None,
) -> list[Ranked]:
    """``candidates`` best first, for a question of ``words`` with the whole identifiers ``names`` in it.

    Each further chunk of one file counts less, so that answers show many places. Equal scores keep a fixed order
    (path, then chunk id), so that the same question has the same answer.
    """
    weights = weights or Weights()
    asked, named = frozenset(words), frozenset(names)
    scored = sorted(
        (score(candidate, asked, named, weights) for candidate in candidates),
        key=lambda ranked: (-ranked.score, ranked.candidate.path, ranked.candidate.chunk_id),
    )
    seen: dict[int, int] = {}
    shown = []
    for ranked in scored:
        earlier = seen.get(ranked.candidate.file_id, 0)
        seen[ranked.candidate.file_id] = earlier + 1
        damped = ranked.score * weights.same_file**earlier if ranked.score > 0 else ranked.score
        shown.append(Ranked(ranked.candidate, damped, ranked.parts))
    return sorted(shown, key=lambda ranked: (-ranked.score, ranked.candidate.path, ranked.candidate.chunk_id))
