"""Ranks the candidates of the retrievers by a sum of normalised scores and of signals from the code itself.

Pure: candidates in, scored candidates out. A question ranks chunks (`rank`), a report ranks files (`rank_report`).
Normalised scores rank better here than reciprocal ranks (Cormack et al., SIGIR 2009), which ignore by how much the
first beats the second. The weights were chosen on one half of annotated questions and reports, and evaluated on the
other; `docs/ranking.md` says what each signal is for and what it earns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from codeindexd.search.file_roles import FileRole, role_of_definition
from codeindexd.storage.catalog.summaries import ChunkSummary
from codeindexd.types import FUNCTION_KINDS

_DIGITS = 6


class Weights(Struct, frozen=True):
    """The weight of each signal for a question. A retriever's best hit has the score 1."""

    lexical: float = 0.6
    dense: float = 0.7
    name: float = 1.0  # times the closeness of the file's name
    central: float = 0.4  # times how much of the code relies on the file
    exact: float = 1.5  # times how well it defines a name in the query: a compound name, or the query's only word
    mention: float = 1.2  # times the rarity of such a name that it uses, in any inflection if it is a single word
    test: float = 1.4  # subtracted, like `prose`, `data` and `aside`, unless the query asks for such files
    prose: float = 0.4
    unwanted: float = 2.0  # factor for what is subtracted from roles that cannot answer the query
    wanted_prose: float = 0.6  # added for documents if the query asks for them
    data: float = 0.5
    aside: float = 0.5
    older: float = 1.0  # subtracted from an older version of an interface, beside a newer one
    short: float = 0.3  # share of both that a chunk of no bytes loses; one of `enough_bytes` loses nothing
    enough_bytes: int = 300
    neighbour: float = 0.1  # times the score of each next chunk of the same file, up to `max_neighbours`
    max_neighbours: int = 7
    further: float = 0.65  # factor for the score of every further chunk of a file
    further_file: float = 0.3  # factor for the signals of the whole file, in every further chunk
    further_central: float = 0.75  # the same for `central`, which says nothing about a chunk
    function: float = 0.3  # how much better another chunk of a file must be to come before a function in it
    further_section: float = 0.8  # instead of these three in documents, whose sections are about different things
    place: float = 40.0  # a place that the query names
    next_place: float = 5.0  # how much more a place has than the next one that the query names
    declared: float = 20.0  # a definition whose name or head is the query, such as ``class Session``
    spelled: float = 3.0  # a definition whose name the words of the query are together, such as ``session store``
    literal: float = 10.0  # the chunk contains the query, or the longest fixed part of a message
    literal_elsewhere: float = 8.0  # the same outside of source
    quoted: float = 1.5  # the query is two or three plain words, which the chunk has as a message
    number: float = 1.5  # the chunk has a number with dots of the query, such as a version
    whole_name: float = 5.0  # the query is one compound name, which the chunk has
    partial: float = 8.0  # in addition, times its share: the query is part of a name that the chunk defines


class ReportWeights(Struct, frozen=True):
    """The weight of each signal for a report. In each list, a file has the score of its best chunk."""

    lexical: float = 0.7  # of the headline
    dense: float = 0.7  # of the headline
    body: float = 0.7  # BM25 of the whole report
    crowd: float = 0.5  # the five best chunks of the file for the whole report, together
    path: float = 0.5  # words of the path that occur in the report, by their rarity
    named: float = 1.0  # the report names the file
    past: float = 0.5  # commits that resemble the headline changed the file
    step_back: float = 1.5  # subtracted from everything that is not source
    further: float = 0.05  # factor for every further chunk of a file: nearly all files come first


class Candidate(NamedTuple):
    """A chunk that may answer a query.

    ``lexical``, ``dense`` and ``body`` are normalised scores, 0 if that retriever did not find it. ``exact`` and
    ``mention`` say, from 0 to 1, how much it defines and uses the names in the query.
    """

    chunk_id: int
    file_id: int
    path: bytes
    lexical: float = 0.0
    dense: float = 0.0
    body: float = 0.0
    exact: float = 0.0
    mention: float = 0.0
    role: FileRole = FileRole.SOURCE
    is_function: bool = False
    size_bytes: int = 0  # 0 if unknown
    asked_for: Mapping[str, float] = MappingProxyType({})  # parts of the score that put it before others
    span_hash: bytes = b""  # hash of its text: copies have the same
    start_line: int = 0
    line: int = 0  # the line that the query asks for, as the catalog counts; 0 if none
    defined: tuple[str, str] | None = None  # the definition on that line that it asks for: its qualified name and kind

    @classmethod
    def of(
        cls,
        chunk: ChunkSummary,
        lexical: Mapping[int, float],
        dense: Mapping[int, float],
        *,
        body: float = 0.0,
        exact: float = 0.0,
        mention: float = 0.0,
        asked_for: Mapping[str, float] = MappingProxyType({}),
        line: int = 0,
        defined: tuple[str, str] | None = None,
    ) -> Candidate:
        """Return a stored chunk as a candidate, given the scores of both retrievers by chunk id."""
        return cls(
            chunk.chunk_id,
            chunk.file_id,
            chunk.path,
            lexical.get(chunk.chunk_id, 0.0),
            dense.get(chunk.chunk_id, 0.0),
            body,
            exact,
            mention,
            role_of_definition(chunk.path, chunk.language, chunk.kind, chunk.symbol),
            chunk.kind in FUNCTION_KINDS,
            chunk.size_bytes,
            asked_for,
            chunk.span_hash,
            chunk.start_line,
            line,
            defined,
        )


class FileEvidence(Struct, frozen=True):
    """Signals of a file as a whole, from 0 to 1; the fields are named as in `Weights` and `ReportWeights`."""

    name: float = 0.0
    central: float = 0.0
    crowd: float = 0.0
    path: float = 0.0
    named: float = 0.0
    past: float = 0.0
    is_older: bool = False


class Ranked(NamedTuple):
    """A candidate with its score, and the ``parts`` that add up to it."""

    candidate: Candidate
    score: float
    parts: Mapping[str, float] = MappingProxyType({})


def normalise(scores: Mapping[int, float], *, floor: float | None = None) -> dict[int, float]:
    """Return the scores scaled to 1 for the best and 0 at ``floor`` (default: the lowest); all 1 if they are equal.

    Use ``floor=0`` for BM25, and the lowest for cosines: even the hundredth hit has a cosine well above 0.
    """
    if not scores:
        return {}
    top = max(scores.values())
    low = min(scores.values()) if floor is None else floor
    width = top - low
    return {key: (value - low) / width if width > 0 else 1.0 for key, value in scores.items()}


def clean_cut(scores: Mapping[int, float], limit: int) -> dict[int, float]:
    """Return the first ``limit`` of ``scores`` (best first), without those equal to the first one that is cut off.

    The order of equal chunks depends on the order in which they were indexed, and answers must not. Exactly ``limit``
    scores may have been cut off already, so those equal to the last of them are left out. If all are equal, the first
    ``limit`` are kept.
    """
    if len(scores) < limit:
        return dict(scores)
    ordered = list(scores.items())
    bound = ordered[min(limit, len(ordered) - 1)][1]
    return {key: value for key, value in ordered[:limit] if value > bound} or dict(ordered[:limit])


def shortlist(lexical: Mapping[int, float], dense: Mapping[int, float], limit: int) -> list[int]:
    """Return at most ``limit`` chunk ids: those with the best weighted sum of both scores, best first."""
    weights = Weights()
    fused = {
        chunk_id: weights.lexical * lexical.get(chunk_id, 0.0) + weights.dense * dense.get(chunk_id, 0.0)
        for chunk_id in lexical.keys() | dense.keys()
    }
    return list(clean_cut(dict(sorted(fused.items(), key=lambda item: -item[1])), limit))


def rank(
    candidates: Iterable[Candidate],
    files: Mapping[int, FileEvidence] | None = None,
    wanted_roles: Collection[FileRole] = (),
    unwanted_roles: Collection[FileRole] = (),
    weights: Weights | None = None,
) -> list[Ranked]:
    """Return ``candidates`` best first, for a question that asks for files of ``wanted_roles``; ``files`` by file id.

    Files of ``unwanted_roles`` cannot answer it. Many good chunks in a file raise the scores of all of them, but
    every further chunk of a file counts less, so that answers show many files. The first one is what is asked for.
    If nothing is, functions come before chunks that are about as good, because most questions are about what code does.
    Equal scores are ordered by path, then line: the same tree and query have the same answer, whatever the order in
    which files were indexed.
    """
    weights = weights or Weights()
    penalties = {
        FileRole.TEST: weights.test,
        FileRole.DOCUMENT: weights.prose,
        FileRole.DATA: weights.data,
        FileRole.ASIDE: weights.aside,
    }
    for role in wanted_roles:
        penalties[role] = -weights.wanted_prose if role is FileRole.DOCUMENT else 0.0
    for role in unwanted_roles:
        penalties[role] *= weights.unwanted
    ranked: list[Ranked] = []
    for file_id, of_file in _by_file(candidates).items():
        evidence = (files or {}).get(file_id, FileEvidence())
        scored = sorted((_of_question(one, penalties, weights) for one in of_file), key=_order)
        if any(one.candidate.asked_for for one in scored):
            scored.sort(key=lambda one: -(one.score + sum(one.candidate.asked_for.values())))
        else:
            scored = _functions_first(scored, weights.function)
        whole = {
            "name": weights.name * evidence.name,
            "central": weights.central * evidence.central,
            "older": -weights.older if evidence.is_older else 0.0,
        }
        neighbours = scored[1 : 1 + weights.max_neighbours]
        whole["company"] = weights.neighbour * sum(max(0.0, one.score) for one in neighbours)
        if scored[0].candidate.role is FileRole.DOCUMENT:
            ranked += _spread(scored, whole, weights.further_section, dict.fromkeys(whole, weights.further_section))
        else:
            factors = dict.fromkeys(whole, weights.further_file) | {"central": weights.further_central}
            ranked += _spread(scored, whole, weights.further, factors)
    return sorted(ranked, key=_order)


def rank_report(
    candidates: Iterable[Candidate],
    files: Mapping[int, FileEvidence],
    wanted_roles: Collection[FileRole] = (),
    weights: ReportWeights | None = None,
) -> list[Ranked]:
    """Return ``candidates`` best first, for a report, which ranks files: the best chunk of each comes first.

    A file is scored by its best chunk in each list, because one chunk seldom has both the words of the headline and
    those of the sample code. Everything but source and ``wanted_roles`` ranks lower. ``files`` are by file id.
    """
    weights = weights or ReportWeights()
    ranked: list[Ranked] = []
    for file_id, of_file in _by_file(candidates).items():
        evidence = files.get(file_id, FileEvidence())
        scored = sorted((_of_report(one, weights) for one in of_file), key=_order)
        whole = {
            "crowd": weights.crowd * evidence.crowd,
            "path": weights.path * evidence.path,
            "named": weights.named * evidence.named,
            "past": weights.past * evidence.past,
        }
        roles = {one.candidate.role for one in scored}  # source may have tests inside
        if roles.isdisjoint({FileRole.SOURCE, *wanted_roles}):
            whole[scored[0].candidate.role.value] = -weights.step_back
        for name in ("lexical", "dense", "body"):  # what other chunks of the file have beyond the first one
            best = max(one.parts.get(name, 0.0) for one in scored)
            whole[f"{name}_elsewhere"] = best - scored[0].parts.get(name, 0.0)
        ranked += _spread(scored, whole, weights.further, dict.fromkeys(whole, weights.further))
    return sorted(ranked, key=_order)


def _by_file(candidates: Iterable[Candidate]) -> dict[int, list[Candidate]]:
    by_file: defaultdict[int, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_file[candidate.file_id].append(candidate)
    return by_file


def _of_question(candidate: Candidate, penalties: Mapping[FileRole, float], weights: Weights) -> Ranked:
    """Score a candidate for a question without regard to the rest of its file."""
    parts = {"lexical": weights.lexical * candidate.lexical, "dense": weights.dense * candidate.dense}
    if 0 < candidate.size_bytes < weights.enough_bytes:
        missing = 1 - candidate.size_bytes / weights.enough_bytes
        parts["short"] = -weights.short * missing * (parts["lexical"] + parts["dense"])
    exact, mention = weights.exact * candidate.exact, weights.mention * candidate.mention
    parts["exact" if exact >= mention else "mention"] = max(exact, mention)
    if candidate.role in penalties:
        parts[candidate.role.value] = -penalties[candidate.role]
    return Ranked(candidate, sum(parts.values()), parts)


def _functions_first(scored: Sequence[Ranked], lead: float) -> list[Ranked]:
    """Return the chunks of one file, best first, with functions before others that are better by less than ``lead``.

    The scores of the file stay the same, in the same order: the chunks change places.
    """
    ordered = sorted(scored, key=lambda one: -(one.score + lead * one.candidate.is_function))  # stable
    return [
        one
        if one is before
        else Ranked(one.candidate, before.score, {**one.parts, "function": before.score - one.score})
        for one, before in zip(ordered, scored, strict=True)
    ]


def _of_report(candidate: Candidate, weights: ReportWeights) -> Ranked:
    """Score a candidate for a report without regard to the rest of its file."""
    parts = {
        "lexical": weights.lexical * candidate.lexical,
        "dense": weights.dense * candidate.dense,
        "body": weights.body * candidate.body,
    }
    return Ranked(candidate, sum(parts.values()), parts)


def _spread(
    scored: Sequence[Ranked], whole: Mapping[str, float], further: float, factors: Mapping[str, float]
) -> Iterable[Ranked]:
    """Yield the chunks of one file, best first, with the parts of the ``whole`` file added.

    All but the first score less: only ``further`` of their own score, and of the file's parts as much as ``factors``.
    """
    bonus, total = sum(whole.values()), 0.0
    kept = max(0.0, sum(factors[name] * part for name, part in whole.items()))
    for position, one in enumerate(scored):
        alone = one.score + bonus
        total = min(total, further * max(0.0, one.score) + kept) if position else alone
        parts = {**one.parts, **whole, "further": total - alone, **one.candidate.asked_for}
        asked_for = sum(one.candidate.asked_for.values())
        # Rounded, because sums of the same numbers differ with their order, and equal scores are ordered by place.
        score = round(total + asked_for, _DIGITS)
        yield Ranked(one.candidate, score, {name: part for name, part in parts.items() if part})


def _order(ranked: Ranked) -> tuple[float, bytes, int, int]:
    candidate = ranked.candidate
    return (-ranked.score, candidate.path, candidate.start_line, candidate.chunk_id)
