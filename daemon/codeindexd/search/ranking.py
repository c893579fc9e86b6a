"""From the candidates of two retrievers to one order: a sum of normalised scores, then what the code itself says.

Pure: candidates in, scored candidates out. Normalised scores order better here than reciprocal ranks (Cormack et al.,
SIGIR 2009), which forget by how much the first beats the second. The weights were chosen on the questions of eleven
annotated repositories and judged on those of ten others; `docs/performance.md` has the figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each signal counts, in units of a retriever's best hit. Chosen on annotated questions."""

    lexical: float = 0.7
    dense: float = 1.0
    path: float = 0.5  # share of the file's name that the question says
    definition: float = 0.05  # share of the symbol's name that the question says
    exact: float = 1.5  # a definition whose whole name stands in the question: of several words, or alone there
    mention: float = 1.2  # a use of such a name, in any inflection where it is one word
    test: float = 0.7  # taken off for test files unless the question asks for tests
    prose: float = 0.15  # taken off for documents, data and configuration
    company: float = 0.1  # of each other good chunk of the same file, up to `companions`
    companions: int = 7
    same_file: float = 0.3  # factor for each further chunk of a file already shown


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that some retriever found. ``lexical`` and ``dense`` are `normalised` scores, 0 where not found.

    ``symbol_words`` and ``name_words`` (of the file's name without its extension) are stems, as the question's are.
    """

    chunk_id: int
    file_id: int
    path: bytes
    lexical: float = 0.0
    dense: float = 0.0
    symbol_words: frozenset[str] = frozenset()
    name_words: frozenset[str] = frozenset()
    defines: frozenset[str] = frozenset()  # whole names, lowercase
    mentions: bool = False  # holds a whole name that stands in the question, or its only word
    prose: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate's place: ``parts`` says where its score came from."""

    candidate: Candidate
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)


def normalised(scores: Mapping[int, float], *, floor: float | None = None) -> dict[int, float]:
    """Scores from 1 for the best down to 0 at ``floor`` (default: at the least of them).

    BM25 is given floor 0; cosines their least, since what a hundredth hit still has says nothing.
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


def clean_cut(scores: Mapping[int, float], limit: int) -> dict[int, float]:
    """The first ``limit`` of ``scores`` (best first), less those that tie with the first one left out, or at the end.

    Which of equal chunks come first depends on the order in which they were indexed; the answer must not. When all of
    them are equal they are kept.
    """
    if len(scores) < limit:
        return dict(scores)
    ordered = list(scores.items())
    bound = ordered[min(limit, len(ordered) - 1)][1]
    return {key: value for key, value in ordered[:limit] if value > bound} or dict(ordered[:limit])


def shortlist(lexical: Mapping[int, float], dense: Mapping[int, float], limit: int) -> list[int]:
    """The ``limit`` chunk ids best by their normalised scores alone: only these are worth a closer look."""
    weights = Weights()
    fused = {
        chunk_id: weights.lexical * lexical.get(chunk_id, 0.0) + weights.dense * dense.get(chunk_id, 0.0)
        for chunk_id in lexical.keys() | dense.keys()
    }
    return list(clean_cut(dict(sorted(fused.items(), key=lambda item: -item[1])), limit))


def score(candidate: Candidate, words: frozenset[str], names: frozenset[str], weights: Weights) -> Ranked:
    """A candidate's score before its neighbours are looked at."""
    parts = {
        "lexical": weights.lexical * candidate.lexical,
        "dense": weights.dense * candidate.dense,
        "path": weights.path * _share(candidate.name_words, words),
        "definition": weights.definition * _share(candidate.symbol_words, words),
    }
    if candidate.defines & names:
        parts["exact"] = weights.exact
    elif candidate.mentions:
        parts["mention"] = weights.mention
    if candidate.prose:
        parts["prose"] = -weights.prose
    if is_test(candidate.path) and not words & _ASKS_FOR_TESTS:
        parts["test"] = -weights.test
    return Ranked(candidate, sum(parts.values()), {name: part for name, part in parts.items() if part})


def rank(
    candidates: Iterable[Candidate],
    words: Iterable[str],
    names: Sequence[str] = (),
    weights: Weights | None = None,
) -> list[Ranked]:
    """``candidates`` best first, for a question with the stems ``words`` and the whole identifiers ``names``.

    A file in which much was found lifts its chunks; each further chunk of a file counts less, so that answers show
    many places. Equal scores keep a fixed order (path, then chunk id): the same question has the same answer.
    """
    weights = weights or Weights()
    asked, named = frozenset(words), frozenset(names)
    files: defaultdict[int, list[Ranked]] = defaultdict(list)
    for candidate in candidates:
        files[candidate.file_id].append(score(candidate, asked, named, weights))
    shown: list[Ranked] = []
    for found in files.values():
        found.sort(key=_order)
        company = weights.company * sum(max(0.0, one.score) for one in found[1 : 1 + weights.companions])
        for place, one in enumerate(found):
            parts = {**one.parts, "company": company} if company else one.parts
            total = one.score + company
            shown.append(Ranked(one.candidate, total * weights.same_file**place if total > 0 else total, parts))
    return sorted(shown, key=_order)


def _share(name: frozenset[str], words: frozenset[str]) -> float:
    return len(name & words) / len(name) if name else 0.0


def _order(ranked: Ranked) -> tuple[float, bytes, int]:
    return (-ranked.score, ranked.candidate.path, ranked.candidate.chunk_id)
