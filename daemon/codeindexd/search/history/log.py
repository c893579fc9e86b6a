"""Finds commits: ranked by words, meaning and what they touch, or the newest ones."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial
from typing import Final

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.history.record import Change, Commit
from codeindexd.analysis.tokens import Tokenizer, path_words
from codeindexd.search.best_line import STOP_STEMS
from codeindexd.search.file_names import Embed
from codeindexd.search.file_roles import FileRole, role_of
from codeindexd.search.history.query import CommitQuery
from codeindexd.search.prepared_query import stems_of
from codeindexd.search.ranking import normalise
from codeindexd.search.regexes import LineRegex, notes_on_line_ends
from codeindexd.storage.catalog.path_globs import common_directory, path_filter
from codeindexd.storage.dense.arithmetic import best
from codeindexd.storage.history import HistorySnapshot
from codeindexd.storage.history.snapshot import CONTEXT_FIELD, MESSAGE_FIELD
from codeindexd.storage.lexical import LexicalQuery

Numbers = NDArray[np.int64]

_MOST_COMPARED_CHARS: Final = 1500  # of a message
_LEAST_COMPARED: Final = 30  # candidates whose messages are compared; more change nothing
_MOST_CHANGES: Final = 20  # candidates whose changes are compared
_MOST_TOUCHED: Final = 64  # paths and definitions of a commit that are compared
_DEPTH: Final = 300  # candidates of each retriever
_MOST_LINES: Final = 3  # of a body that are shown
_LEAST_ID_CHARS: Final = 7  # shorter words may be ids by chance
_MESSAGES_AT_ONCE: Final = 4096
_YEAR_S: Final = 365.25 * 86400

# Chosen on the reports and drawn commits of docs/history.md. Soft matching of subjects by word vectors, bigrams, the
# share of a subject that a question covers, and other depths earned nothing there.
_LEXICAL, _CONTEXT, _DENSE = 0.6, 0.4, 0.4
_SUBJECT, _MESSAGE, _DEFINITIONS = 0.4, 0.6, 0.4
_NAMES, _RECENCY, _MERGE, _REPEATED, _BESIDE_SOURCE = 0.2, 0.03, 0.2, 0.3, 0.2
_VERBATIM, _VERSIONS = 0.5, 1.0  # chosen on subjects and releases of Flask, Gson, jq, Koa, mux and nvm
_WORD_FIELDS: Final = ((MESSAGE_FIELD, 1.0), (CONTEXT_FIELD, 0.5))
_CONTEXT_FIELDS: Final = ((CONTEXT_FIELD, 1.0),)
_IDENTIFIER_FIELDS: Final = (("identifiers", 0.5),)  # their words count as well
_ASKING: Final = "when since why start stop begin began first longer anymore any more not no get got"
_ASKING_STEMS: Final = STOP_STEMS | frozenset(stems_of(_ASKING.split()))
"""The stems of words with which people ask about a change, and which say nothing about it."""
_ASKING_FOR_ROLE: Final = {
    FileRole.TEST: frozenset(stems_of(["test", "spec", "fixture"])),
    FileRole.DOCUMENT: frozenset(stems_of(["doc", "document", "documentation", "docstring"])),
}
_ROLES_BESIDE_SOURCE: Final = frozenset(_ASKING_FOR_ROLE)
_AROUND_SUBJECT: Final = re.compile(r"^(?:\[[^\]]*\]\s*)+|(?:\s*\(#\d+\)|\s*\(cherry[^)]*\)|[.\s])+$")
_VERSION: Final = re.compile(r"(?<![\w.])[vV]?(\d+(?:\.\d+)+(?:[-.+]?[a-zA-Z][\w.+-]*)?)(?<![.+-])(?!\w)")
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|#)[A-Za-z_$][\w$]*)*")


class CommitHit(Struct, frozen=True):
    """A commit that answers a query. ``lines`` are the lines of its body that match best.

    ``changes`` are its changed paths, those that the query names first.
    """

    commit: Commit
    short_id: str
    score: float
    lines: tuple[str, ...]
    changes: tuple[Change, ...]


class LogAnswer(Struct):
    """The commits that answer a query, best first; without words to rank by, newest first.

    ``searched`` is how many commits the filters left, ``notes`` say what was not searched.
    """

    hits: list[CommitHit] = field(default_factory=list)
    searched: int = 0
    is_ranked: bool = False
    notes: list[str] = field(default_factory=list)


class _Prepared(Struct, frozen=True):
    """The terms and the vector of a query's text.

    ``versions`` match the version numbers in it; ``version_share``, up to 1, says how much of the text they are.
    """

    subject: str
    versions: list[re.Pattern[str]]
    version_share: float
    stems: list[str]
    names: list[str]
    identifiers: list[str]
    vector: NDArray[np.float32] | None


class CommitSearcher:
    """Answers questions about commits. Any thread may call."""

    def __init__(self, embed: Embed | None) -> None:
        """``embed`` is the bundled model, None without it."""
        self._embed = embed
        self._tokenizer = Tokenizer()

    def log(
        self,
        snapshot: HistorySnapshot,
        query: CommitQuery,
        limit: int,
        *,
        now: Callable[[], float] = time.time,
    ) -> LogAnswer:
        """Return the best ``limit`` commits of a root. ``now`` returns seconds since the epoch. Blocking.

        Raises InvalidQueryError for path filters.
        """
        answer = LogAnswer()
        allowed = _passing(snapshot, query, answer.notes)
        answer.searched = len(snapshot.order) if allowed is None else len(allowed)
        if not answer.searched:
            answer.notes += notes_on_line_ends(regex.pattern for regex in query.regexes)
            if snapshot.view.is_complete and not snapshot.view.wanted + snapshot.view.missing:
                answer.notes.append("the repository has no commits yet")
            return answer
        named = dict.fromkeys(number for prefix in query.ids for number in snapshot.find(prefix))
        prepared = self._prepared(query)
        if query.ids and not named and len(query.ids[0]) >= _LEAST_ID_CHARS:
            answer.notes.append(f"no commit has an id that begins with {query.ids[0]}")
        if named:
            passing = [(number, 1.0) for number in named if allowed is None or _contains(allowed, number)]
            answer.hits = _shown(snapshot, query, prepared, passing[:limit])
        elif query.text and (prepared.stems or prepared.identifiers):
            answer.is_ranked = True
            scored = self._ranked(snapshot, prepared, allowed, limit, now())
            if scored and not query.ids and not any(map(snapshot.has_word, prepared.stems)):
                words = "this word" if len(set(prepared.stems)) == 1 else "any of these words"
                answer.notes.append(f"no commit has {words}; the closest in meaning are shown")
            answer.hits = _shown(snapshot, query, prepared, scored)
        elif not query.text:
            numbers = snapshot.order[:limit].tolist() if allowed is None else snapshot.newest_first(allowed)
            answer.hits = _shown(snapshot, query, prepared, [(number, 0.0) for number in numbers[:limit]])
        return answer

    def similar(
        self, snapshot: HistorySnapshot, text: str, limit: int, *, now: Callable[[], float] = time.time
    ) -> list[tuple[int, float]]:
        """Return at most ``limit`` commits that resemble a text as (number, score from 0 to about 1), best first.

        ``now`` returns seconds since the epoch: newer commits score higher. Blocking.
        """
        prepared = self._prepared(CommitQuery(text=text))
        if not len(snapshot.order) or not (prepared.stems or prepared.identifiers):
            return []
        return self._ranked(snapshot, prepared, None, limit, now())

    def _prepared(self, query: CommitQuery) -> _Prepared:
        text = " ".join([query.text, *query.phrases]).strip()
        terms = self._tokenizer.tokenize(_VERSION.sub(r"\g<0> \1", text))  # the words of v1.2 are v1 and 2
        stems = [stem for stem in stems_of(terms.words) if stem not in _ASKING_STEMS] or stems_of(terms.words)
        content = _content_words(text)
        vector = None
        if text and self._embed is not None:
            vector = np.asarray(self._embed([" ".join(content)])[0], dtype=np.float32)
        versions = _versions_in(text)
        share = min(1.0, 2 * len(versions) / max(1, len(content)))
        names = _names_in(text)
        return _Prepared(_plain_subject(text), versions, share, stems, names, terms.identifiers, vector)

    def _ranked(
        self, snapshot: HistorySnapshot, prepared: _Prepared, allowed: Numbers | None, limit: int, now: float
    ) -> list[tuple[int, float]]:
        """Return the best commits as (number, score from 0 to about 1), best first."""
        within = allowed if allowed is not None else None if snapshot.is_everything else snapshot.numbers
        scores = _lexical_scores(snapshot, prepared, within)
        if prepared.vector is not None:
            numbers = snapshot.numbers if within is None else within
            cosines = snapshot.similarities(prepared.vector, numbers)
            ids, values = best(numbers, cosines, _DEPTH)
            dense = normalise(dict(zip(ids.tolist(), values.tolist(), strict=True)))
            missing = np.array([number for number in scores if number not in dense], dtype=np.int64)
            floor = float(values[-1]) if len(values) else 0.0
            span = (float(values[0]) - floor) or 1.0
            for number, cosine in zip(missing.tolist(), snapshot.similarities(prepared.vector, missing), strict=True):
                dense[number] = max(-1.0, (float(cosine) - floor) / span)
            for number, score in dense.items():
                scores[number] = scores.get(number, 0.0) + _DENSE * score
        for name in prepared.names:
            end = f".{name.lower()}"
            touching = {
                change.number for change in snapshot.changed_definition(name) if f".{change.name.lower()}".endswith(end)
            }
            if len(touching) <= _DEPTH:
                for number in touching:
                    if allowed is None or _contains(allowed, number):
                        scores[number] = scores.get(number, 0.0) + _NAMES
        if prepared.versions:  # their numbers are common words, which say little by themselves
            for number, message in snapshot.messages(list(scores)).items():
                scores[number] += _VERSIONS * prepared.version_share * _share_of_versions(prepared.versions, message)
        candidates = sorted(scores, key=lambda number: -scores[number])[: max(3 * limit, _LEAST_COMPARED)]
        messages = snapshot.messages(candidates)
        self._add_signals(snapshot, prepared, messages, scores, now)
        candidates.sort(key=lambda number: (-scores[number], number))
        _move_repeated(candidates, messages, scores)
        return [(number, round(scores[number], 4)) for number in candidates[:limit]]

    def _add_signals(
        self,
        snapshot: HistorySnapshot,
        prepared: _Prepared,
        messages: dict[int, str],
        scores: dict[int, float],
        now: float,
    ) -> None:
        """Add what the messages, changes and dates of the candidates say to their scores."""
        candidates = list(messages)
        wanted = set(prepared.stems)
        weights = _weights(snapshot, wanted)
        total = sum(weights.values()) or 1.0
        for number, when in zip(candidates, snapshot.times(candidates).tolist(), strict=True):
            message = messages.get(number, "")
            first = message.split("\n", 1)[0]
            found = self._tokenizer.distinct_stems(first)
            if _plain_subject(first) == prepared.subject:
                scores[number] += _VERBATIM
            scores[number] += _SUBJECT * sum(weights[stem] for stem in wanted & found) / total
            found |= self._tokenizer.distinct_stems(message[len(first) : _MOST_COMPARED_CHARS])
            scores[number] += _MESSAGE * sum(weights[stem] for stem in wanted & found) / total
            scores[number] += _RECENCY * 2.0 ** -(max(0.0, now - when) / (3 * _YEAR_S))
            if first.startswith(("Merge ", "Merged ")) and "\n" not in message.strip():
                scores[number] -= _MERGE
        roles = _ROLES_BESIDE_SOURCE - _roles_asked_for(wanted)
        best_first = sorted(candidates, key=lambda number: -scores[number])[:_MOST_CHANGES]
        for number, touched in snapshot.touched(best_first, _MOST_TOUCHED).items():
            found = self._tokenizer.distinct_stems(" ".join(touched.definitions))
            scores[number] += _DEFINITIONS * sum(weights[stem] for stem in wanted & found) / total
            if touched.paths and all(role_of(path, detect(path)) in roles for path in touched.paths):
                scores[number] -= _BESIDE_SOURCE


def _lexical_scores(snapshot: HistorySnapshot, prepared: _Prepared, within: Numbers | None) -> dict[int, float]:
    """Return the scores of commits by their terms, and again by those of what they change alone.

    Each part is scaled to its own best commit, so that a long message about the words of a question does not hide a
    commit that changes what they name.
    """
    scores: dict[int, float] = {}
    for weight, fields, identifiers in (
        (_LEXICAL, _WORD_FIELDS, prepared.identifiers),
        (_CONTEXT, _CONTEXT_FIELDS, []),
    ):
        query = LexicalQuery(
            words=prepared.stems,
            identifiers=identifiers,
            chunk_ids=within,
            word_fields=fields,
            identifier_fields=_IDENTIFIER_FIELDS,
        )
        for number, score in normalise(dict(snapshot.search(query, _DEPTH)), floor=0.0).items():
            scores[number] = scores.get(number, 0.0) + weight * score
    return scores


def _roles_asked_for(stems: Set[str]) -> frozenset[FileRole]:
    """Return the roles of files that a question with these stems names."""
    return frozenset(role for role, asking in _ASKING_FOR_ROLE.items() if not asking.isdisjoint(stems))


def _move_repeated(candidates: list[int], messages: dict[int, str], scores: dict[int, float]) -> None:
    """Move candidates that repeat the subject of a better one, such as backports, further down."""
    seen: set[str] = set()
    for number in candidates:
        subject = _plain_subject(messages.get(number, "").split("\n", 1)[0])
        if subject in seen:
            scores[number] -= _REPEATED
        seen.add(subject)
    candidates.sort(key=lambda number: (-scores[number], number))


def _plain_subject(text: str) -> str:
    """Return a subject without tags, a number at its end and a full stop, for comparisons."""
    return _spaced(_AROUND_SUBJECT.sub("", text.strip()))


def _versions_in(text: str) -> list[re.Pattern[str]]:
    """Return patterns of the version numbers in a text, which match them as a whole, with or without a ``v``."""
    versions = dict.fromkeys(match[1] for match in _VERSION.finditer(text))
    return [re.compile(rf"(?<![\w.])v?{re.escape(version)}(?![\w+]|[.-]\w)", re.IGNORECASE) for version in versions]


def _share_of_versions(versions: Sequence[re.Pattern[str]], message: str) -> float:
    """Return which share of the version numbers a message names: those in its subject count fully, others half."""
    first = message.split("\n", 1)[0]
    named = sum(1.0 if version.search(first) else 0.5 if version.search(message) else 0.0 for version in versions)
    return named / len(versions)


def _contains(numbers: Numbers, number: int) -> bool:
    """Return True if ``number`` is one of the sorted ``numbers``."""
    place = int(np.searchsorted(numbers, number))
    return place < len(numbers) and int(numbers[place]) == number


def _weights(snapshot: HistorySnapshot, stems: Iterable[str]) -> dict[str, float]:
    """Return the weight of each word; rare ones weigh more."""
    total = len(snapshot.order) + 1
    return {stem: float(np.log(1 + total / (1 + snapshot.document_frequency(stem)))) for stem in stems}


def _content_words(text: str) -> list[str]:
    words = text.split()
    content = [word for word in words if not _ASKING_STEMS.issuperset(stems_of([word.lower().strip("?!.,;:")]))]
    return content or words


def _names_in(text: str) -> list[str]:
    """Return the words of a query that look like names in code: with an inner capital, an underscore or a qualifier."""
    found = []
    for match in _NAME.finditer(text):
        name = re.sub(r"::|#", ".", match[0])
        if "_" in name.strip("_") or "." in name or re.search(r"[a-z][A-Z]", name):
            found.append(name)
    return list(dict.fromkeys(found))


# filters


def _passing(snapshot: HistorySnapshot, query: CommitQuery, notes: list[str]) -> Numbers | None:
    """Return the sorted numbers of the commits that pass the filters; None if there are no filters."""
    parts: list[Numbers] = []
    without: list[Numbers] = []
    if query.authors:
        parts.append(np.concatenate([_by_author(snapshot, person) for person in query.authors]))
    without += [_by_author(snapshot, person) for person in query.authors_left_out]
    if query.since is not None or query.until is not None:
        times = snapshot.times(snapshot.numbers)
        within = np.ones(len(times), dtype=bool)
        if query.since is not None:
            within &= times >= query.since
        if query.until is not None:
            within &= times < query.until
        parts.append(snapshot.numbers[within])
    if query.include:
        parts.append(_changing(snapshot, query.include))
    if query.exclude:
        without.append(_changing(snapshot, query.exclude))
    for name, kept in [
        *((name, parts) for name in query.touches),
        *((name, without) for name in query.touches_left_out),
    ]:
        touched = snapshot.changed_definition(name)
        touching = [change.number for change in touched + snapshot.changed_inside(name)]
        if not touching and kept is parts:
            notes.append(f"no commit touches a definition called {name}")
        elif touched and len(touched[0].name) < len(name):
            notes.append(f"the history knows {name} as {touched[0].name}; others of this name count as well")
        kept.append(np.unique(np.array(touching, dtype=np.int64)))
    for issue in query.issues:
        naming = sorted(snapshot.naming_issue(issue))
        if not naming:
            notes.append(f"no commit names #{issue}")
        parts.append(np.array(naming, dtype=np.int64))
    has_texts = query.phrases or query.regexes or query.phrases_left_out or query.regexes_left_out
    if not parts and not without and not has_texts:
        return None
    passing = snapshot.numbers
    for part in parts:
        passing = passing[np.isin(passing, part)]
    for part in without:
        passing = passing[np.isin(passing, part, invert=True)]
    return _saying(snapshot, query, passing) if has_texts else passing


def _by_author(snapshot: HistorySnapshot, wanted: str) -> Numbers:
    text = _folded(wanted)
    people = []
    for number, person in snapshot.people():
        shown = snapshot.mailmap.person(person)
        if text in _folded(f"{person.name} <{person.email}>") or (
            shown is not person and text in _folded(f"{shown.name} <{shown.email}>")
        ):
            people.append(number)
    return snapshot.written_by(people)


def _folded(text: str) -> str:
    """Return a text for comparisons, in which case and accents do not matter."""
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def _changing(snapshot: HistorySnapshot, globs: Sequence[str]) -> Numbers:
    """Return the commits that changed a path that one of ``globs`` matches; globs are relative to the root."""
    passes = path_filter(globs, ())
    prefix = snapshot.view.prefix
    found = snapshot.paths_below(prefix + common_directory(globs))
    return snapshot.changed_paths([number for number, path in found if passes(path[len(prefix) :])])


def _saying(snapshot: HistorySnapshot, query: CommitQuery, numbers: Numbers) -> Numbers:
    """Return the commits whose messages contain the phrases and match the regexes of a query."""
    tests = [
        *((partial(_have_phrase, phrase=_spaced(phrase)), True) for phrase in query.phrases),
        *((partial(_have_phrase, phrase=_spaced(phrase)), False) for phrase in query.phrases_left_out),
        *((partial(_have_match, regex=regex), True) for regex in query.regexes),
        *((partial(_have_match, regex=regex), False) for regex in query.regexes_left_out),
    ]
    kept: list[int] = []
    for start in range(0, len(numbers), _MESSAGES_AT_ONCE):
        messages = snapshot.messages(numbers[start : start + _MESSAGES_AT_ONCE].tolist())
        for test, wanted in tests:
            found = test(list(messages.values()))
            messages = {
                number: message
                for (number, message), passes in zip(messages.items(), found, strict=True)
                if passes is wanted
            }
        kept += messages
    return np.array(sorted(kept), dtype=np.int64)


def _have_phrase(messages: Sequence[str], *, phrase: str) -> list[bool]:
    """Return for each message whether it contains a casefolded phrase; its words may be on several lines."""
    longest = max(phrase.split(), key=len, default="")
    folded = (message.casefold() for message in messages)
    return [longest in text and phrase in " ".join(text.split()) for text in folded]


def _have_match(messages: Sequence[str], *, regex: LineRegex) -> list[bool]:
    """Return for each message whether a line of it matches; lines are searched one by one only if that matters."""
    if not regex.has_text_anchor:
        return regex.search_each(messages)
    return [any(regex.search_each(message.split("\n"))) for message in messages]


def _spaced(text: str) -> str:
    return " ".join(text.casefold().split())


# what is shown


def _shown(
    snapshot: HistorySnapshot, query: CommitQuery, prepared: _Prepared, scored: Sequence[tuple[int, float]]
) -> list[CommitHit]:
    commits = snapshot.commits([number for number, _ in scored])
    wanted = frozenset(prepared.stems) - _ASKING_STEMS
    asked = path_filter(query.include, ()) if query.include else None
    return [
        CommitHit(
            commit,
            snapshot.short_id(commit.id),
            score,
            _matching_lines(commit, query, wanted),
            _ordered_changes(commit, snapshot.view.prefix, wanted, prepared.names, asked),
        )
        for number, score in scored
        if (commit := commits.get(number)) is not None
    ]


def _matching_lines(commit: Commit, query: CommitQuery, wanted: frozenset[str]) -> tuple[str, ...]:
    """Return the lines of the body that match best, in their order."""
    lines = [line.strip() for line in commit.body.split("\n") if line.strip()]
    phrases = [_spaced(phrase) for phrase in query.phrases]
    scored = []
    for place, line in enumerate(lines):
        points = len(wanted.intersection(stems_of(re.findall(r"[a-z0-9]+", line.lower())))) if wanted else 0
        points += 10 * sum(regex.search(line) for regex in query.regexes)
        points += 10 * sum(phrase in _spaced(line) for phrase in phrases)
        if points:
            scored.append((-points, place))
    places = sorted(place for _, place in sorted(scored)[:_MOST_LINES])
    return tuple(lines[place] for place in places)


def _ordered_changes(
    commit: Commit,
    prefix: bytes,
    wanted: frozenset[str],
    names: Sequence[str],
    asked: Callable[[bytes], bool] | None,
) -> tuple[Change, ...]:
    """Return the changes below ``prefix``: those that a filter asked for, those that the query names, the largest."""
    lasts = {name.rpartition(".")[2] for name in names}

    def key(change: Change) -> tuple[bool, int, int]:
        paths = [path for path in (change.path, change.old_path) if path.startswith(prefix) and path]
        is_asked = asked is not None and any(asked(path[len(prefix) :]) for path in paths)
        words = set(stems_of(path_words(change.path).split()))
        named = len(wanted & words) + 2 * sum(name.rpartition(".")[2] in lasts for name in change.definitions)
        return not is_asked, -named, -(max(change.added, 0) + max(change.removed, 0))

    return tuple(sorted((change for change in commit.changes if change.path.startswith(prefix)), key=key))
