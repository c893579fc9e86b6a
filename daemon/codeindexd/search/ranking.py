"""From the candidates of two retrievers to one order: a sum of normalised scores and of what the code itself says.

Pure: candidates in, scored candidates out. Normalised scores order better here than reciprocal ranks (Cormack et al.,
SIGIR 2009), which lose by how much the first beats the second. The weights were chosen on the questions of eleven
annotated repositories and evaluated on those of ten others; `docs/performance.md` has the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight of each signal, in units of a retriever's best hit."""

    lexical: float = 0.7
    dense: float = 1.0
    path: float = 0.5  # times the share of the file's name that the query has
    definition: float = 0.05  # times the share of the symbol's name that the query has
    exact: float = 1.5  # a definition whose whole name is in the query: a compound name, or the query's only word
    mention: float = 1.2  # a use of such a name, in any inflection if it is a single word
    test: float = 0.7  # subtracted for test files unless the query asks for tests
    prose: float = 0.15  # subtracted for documents, data and configuration
    neighbour: float = 0.1  # times the score of each other good chunk of the same file, up to `max_neighbours`
    max_neighbours: int = 7
    same_file: float = 0.3  # factor for each further chunk of a file
    place: float = 40.0  # a place that the query names; those named first have a little more
    qualified: float = 20.0  # a definition whose qualified name is the query
    literal: float = 10.0  # the query, or the longest fixed part of a message, stands there
    partial: float = 5.0  # besides: the query is part of a name that is defined there


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that a retriever found. ``lexical`` and ``dense`` are `normalised` scores, 0 if not found.

    ``symbol_stems`` and ``file_stems`` (of the file's name without its extension) are compared with the query's stems.
    """

    chunk_id: int
    file_id: int
    path: bytes
    lexical: float = 0.0
    dense: float = 0.0
    symbol_stems: frozenset[str] = frozenset()
    file_stems: frozenset[str] = frozenset()
    defines: frozenset[str] = frozenset()  # whole names, lowercase
    mentions: bool = False  # has a whole name of the query, or its only word
    is_prose: bool = False
    asked_for: Mapping[str, float] = field(default_factory=dict)  # parts of the score that put it before others


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its score, and the ``parts`` that add up to it."""

    candidate: Candidate
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)


def normalised(scores: Mapping[int, float], *, floor: float | None = None) -> dict[int, float]:
    """Return the scores scaled to 1 for the best and 0 at ``floor`` (default: the lowest of them).

    Use floor 0 for BM25. Cosines need their lowest: even the hundredth hit has one well above 0.
    """
    if not scores:
        return {}
    top = max(scores.values())
    low = min(scores.values()) if floor is None else floor
    width = top - low
    return {key: (value - low) / width if width > 0 else 1.0 for key, value in scores.items()}


_TEST_PARTS = frozenset(b"test tests testing spec specs __tests__ testdata fixtures".split())
_ASKS_FOR_TESTS = frozenset({"test", "spec", "fixtur", "mock"})  # stems


def is_test(path: bytes) -> bool:
    """Return True if ``path`` looks like a test's."""
    *directories, name = path.lower().split(b"/")
    stem = name.split(b".")[0]
    return (
        any(part in _TEST_PARTS for part in directories)
        or stem.startswith(b"test_")
        or stem.endswith((b"_test", b"_spec", b"-test"))
        or b".test." in name
        or b".spec." in name
    )


def clean_cut(scores: Mapping[int, float], limit: int) -> dict[int, float]:
    """Return the first ``limit`` of ``scores`` (best first), without those that tie with the first one cut off.

    The order of equal chunks depends on the order in which they were indexed, and answers must not. If ``limit``
    scores or more are all equal, the first ``limit`` are kept.
    """
    if len(scores) < limit:
        return dict(scores)
    ordered = list(scores.items())
    bound = ordered[min(limit, len(ordered) - 1)][1]
    return {key: value for key, value in ordered[:limit] if value > bound} or dict(ordered[:limit])


def shortlist(lexical: Mapping[int, float], dense: Mapping[int, float], limit: int) -> list[int]:
    """Return the ``limit`` chunk ids with the best weighted sum of both scores: only these are ranked."""
    weights = Weights()
    fused = {
        chunk_id: weights.lexical * lexical.get(chunk_id, 0.0) + weights.dense * dense.get(chunk_id, 0.0)
        for chunk_id in lexical.keys() | dense.keys()
    }
    return list(clean_cut(dict(sorted(fused.items(), key=lambda item: -item[1])), limit))


def score(candidate: Candidate, stems: frozenset[str], whole_names: frozenset[str], weights: Weights) -> Ranked:
    """Score a candidate without regard to other chunks of its file; stems and lowercase names are the query's."""
    parts = {
        "lexical": weights.lexical * candidate.lexical,
        "dense": weights.dense * candidate.dense,
        "path": weights.path * _share(candidate.file_stems, stems),
        "definition": weights.definition * _share(candidate.symbol_stems, stems),
    }
    if candidate.defines & whole_names:
        parts["exact"] = weights.exact
    elif candidate.mentions:
        parts["mention"] = weights.mention
    if candidate.is_prose:
        parts["prose"] = -weights.prose
    if is_test(candidate.path) and not stems & _ASKS_FOR_TESTS:
        parts["test"] = -weights.test
    return Ranked(candidate, sum(parts.values()), {name: part for name, part in parts.items() if part})


def rank(
    candidates: Iterable[Candidate],
    words: Iterable[str],
    names: Sequence[str] = (),
    weights: Weights | None = None,
) -> list[Ranked]:
    """Return ``candidates`` best first, for a query with the stems ``words`` and the whole identifiers ``names``.

    A file with many good chunks lifts all of them, but each further chunk of a file counts less, so that answers show
    many files. Equal scores are ordered by path, then chunk id: the same query has the same answer.
    """
    weights = weights or Weights()
    stems, whole_names = frozenset(words), frozenset(names)
    by_file: defaultdict[int, list[Ranked]] = defaultdict(list)
    for candidate in candidates:
        by_file[candidate.file_id].append(score(candidate, stems, whole_names, weights))
    ranked: list[Ranked] = []
    for of_file in by_file.values():
        of_file.sort(key=_order)
        neighbours = of_file[1 : 1 + weights.max_neighbours]
        bonus = weights.neighbour * sum(max(0.0, one.score) for one in neighbours)
        for position, one in enumerate(of_file):
            parts = {**one.parts, "company": bonus} if bonus else one.parts  # the protocol's name for it
            total = one.score + bonus
            total = total * weights.same_file**position if total > 0 else total
            asked_for = one.candidate.asked_for
            ranked.append(Ranked(one.candidate, total + sum(asked_for.values()), {**parts, **asked_for}))
    return sorted(ranked, key=_order)


def _share(name: frozenset[str], words: frozenset[str]) -> float:
    return len(name & words) / len(name) if name else 0.0


def _order(ranked: Ranked) -> tuple[float, bytes, int]:
    return (-ranked.score, ranked.candidate.path, ranked.candidate.chunk_id)
