"""Answers questions about a repository's history in a worker: which commits there are, and what they say and change."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path

import msgspec
import numpy as np

from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.analysis.history.copies import CopiesNotFoundError, copied_from
from codeindexd.analysis.history.file_versions import VersionsCache
from codeindexd.analysis.history.reader import DiffText, read_commit
from codeindexd.analysis.history.record import Commit, IndexedCommit
from codeindexd.analysis.history.repository import GitRepository, NotComparableError
from codeindexd.analysis.history.skipping import CommitGraph
from codeindexd.analysis.secrets import mask
from codeindexd.analysis.tokens import Tokenizer, path_words
from codeindexd.errors import (
    EmbedderError,
    FailedError,
    MissingObjectError,
    NoHistoryError,
    UsageError,
    place_of,
)
from codeindexd.indexing import history_lines
from codeindexd.indexing import history_requests as requests
from codeindexd.indexing.history_requests import (
    Answer,
    CopyAnswer,
    CopyRequest,
    DifferenceAnswer,
    DifferenceRequest,
    FileAnswer,
    FileRequest,
    LinesAnswer,
    LinesRequest,
    ReadAnswer,
    ReadRequest,
    Refused,
    Repository,
    WalkAnswer,
    WalkRequest,
)
from codeindexd.storage.dense.arithmetic import to_int8
from codeindexd.storage.history.graph import StoredGraph
from codeindexd.workers.jobs import HistoryJob, HistoryResult

_MOST_PATHS = 64  # of a commit, whose words are indexed
_MOST_NAMES = 256
_MOST_INDEXED_CHARS = 8192  # of a message
_COPY_S = 2.0
_FOLDED = re.compile(r"<details>.*?(?:</details>|\Z)", re.DOTALL)
_MOST_DIFF_WORDS = 80
_EMBEDDED_PROSE = 40
_EMBEDDED_NAMES = 12  # more would drown the message


class HistoryReader:
    """Reads histories for one worker process. Keeps the repository read last open. Not thread-safe."""

    def __init__(self, tokenizer: Tokenizer, *, mask_secrets: bool) -> None:
        self._tokenizer = tokenizer
        self._mask_secrets = mask_secrets
        self._opened: tuple[Repository, GitRepository] | None = None
        self._model: StaticModel | None = None
        self._has_model = True
        self._graphs: tuple[bytes, StoredGraph] | None = None
        self._versions = VersionsCache()

    def answer(self, job: HistoryJob) -> HistoryResult:
        """Return the answer to a request. Raises only MemoryError."""
        try:
            answer = self._answer(requests.decode_request(job.request))
        except MemoryError:
            raise
        except (NoHistoryError, UsageError, FailedError) as error:
            answer = Refused(error.message, error.hint, error.name)
        except (OSError, msgspec.MsgspecError) as error:
            return HistoryResult(job.job_id, job.path, error=place_of(error))
        return HistoryResult(job.job_id, job.path, requests.encode(answer))

    def _answer(self, request: requests.Request) -> Answer:
        """Answer one request, with the repository opened again after objects were missing, since they may arrive."""
        repository = self._repository(request.repository)
        match request:
            case WalkRequest():
                walk = _walk(repository, request.limit)
                if walk.missing:
                    self._opened = None  # libgit2 looks for alternates only when it opens the objects
                return walk
            case DifferenceRequest():
                return _difference(repository, request)
            case FileRequest():
                return FileAnswer(_file(repository, request))
            case CopyRequest():
                try:
                    return CopyAnswer(copied_from(repository, request.commit, request.path, budget_s=_COPY_S))
                except CopiesNotFoundError:
                    return CopyAnswer(is_known=False)
            case ReadRequest():
                read = self._read(repository, requests.split_ids(request.ids))
                if read.errors:
                    self._opened = None
                return read
            case LinesRequest():
                graph = self._graph(request.database)
                return LinesAnswer(
                    history_lines.answer(
                        request.question,
                        repository,
                        graph,
                        cache=self._versions,
                        mask_secrets=self._mask_secrets,
                    )
                )

    def _graph(self, database: bytes) -> CommitGraph | None:
        """Return the commits of a store; None if it cannot be read."""
        if self._graphs is not None and self._graphs[0] != database:
            self._close_graph()
        if not database:
            return None
        try:
            if self._graphs is None:
                self._graphs = database, StoredGraph(Path(os.fsdecode(database)))
            return self._graphs[1].graph()
        except (sqlite3.Error, TypeError):  # there is no such file or table now
            self._close_graph()
            return None

    def _close_graph(self) -> None:
        if self._graphs is not None:
            self._graphs[1].close()
        self._graphs = None

    def _repository(self, wanted: Repository) -> GitRepository:
        if self._opened is None or self._opened[0] != wanted:
            self._opened = None
            self._opened = wanted, GitRepository(wanted.location, wanted.heads)
            self._versions = VersionsCache()
        return self._opened[1]

    def _read(self, repository: GitRepository, ids: Iterable[bytes]) -> ReadAnswer:
        commits: list[tuple[Commit, DiffText]] = []
        errors: dict[bytes, str] = {}
        for commit_id in ids:
            try:
                diff = DiffText()
                commits.append((read_commit(repository, commit_id, mask_secrets=self._mask_secrets, diff=diff), diff))
            except NoHistoryError as error:
                errors[commit_id] = error.message
            except (ValueError, KeyError, IndexError) as error:  # an object that is damaged or that nobody else writes
                errors[commit_id] = place_of(error)
        return ReadAnswer(self.processed(commits), errors)

    def processed(self, commits: list[tuple[Commit, DiffText]]) -> list[IndexedCommit]:
        """Return the commits with their terms and vectors."""
        found, texts, titles = [], [], []
        for commit, diff in commits:
            terms = self._tokenizer.tokenize(_said(commit.message))
            names = tuple(
                islice(dict.fromkeys(chain.from_iterable(c.definitions for c in commit.changes)), _MOST_NAMES)
            )
            paths = [path_words(change.path) for change in commit.changes[:_MOST_PATHS]]
            prose, code = self._words(diff.prose), self._words(diff.code)
            context = [*" ".join(paths).split(), *self._tokenizer.words(" ".join(names)), *prose, *code]
            found.append((terms, names, " ".join(dict.fromkeys(self._tokenizer.stems(context)))))
            texts.append(
                terms.words + self._tokenizer.words(" ".join(names[:_EMBEDDED_NAMES])) + prose[:_EMBEDDED_PROSE]
            )
            titles.append(self._tokenizer.words(commit.subject))
        rows = self._embedded(texts, titles)
        return [
            IndexedCommit(
                commit,
                " ".join(self._tokenizer.stems(terms.words)),
                " ".join(terms.identifiers),
                context,
                names,
                row,
            )
            for (commit, _), (terms, names, context), row in zip(commits, found, rows, strict=True)
        ]

    def _words(self, texts: list[bytes]) -> list[str]:
        """Return the words of added lines, each once, without those of secrets."""
        data = b"\n".join(texts)
        masked = mask(data) if self._mask_secrets else data
        words = dict.fromkeys(self._tokenizer.words(masked.decode("utf-8", "replace")))
        return [word for word in words if len(word) > 1 and not word.isdigit()][:_MOST_DIFF_WORDS]

    def _embedded(self, texts: list[list[str]], titles: list[list[str]]) -> list[bytes]:
        """Return a row of int8 for each text; b"" without the bundled model."""
        if self._model is None and self._has_model:
            try:
                self._model = StaticModel.load()
            except EmbedderError:
                self._has_model = False
        if self._model is None or not texts:
            return [b""] * len(texts)
        rows = to_int8(np.asarray(self._model.embed_words(texts, titles)))
        return [row.tobytes() for row in rows]


def _said(message: str) -> str:
    """Return what the author of a message says, cut to a limit, without the release notes that bots fold into it."""
    return _FOLDED.sub(" ", message)[:_MOST_INDEXED_CHARS]


def _file(repository: GitRepository, request: FileRequest) -> bytes:
    """Return the content of a file of HEAD; b"" if that cannot be read."""
    head = request.repository.heads.head
    try:
        entry = repository.entry_at(head, request.path) if head else None
        data = repository.blob(entry[1]) if entry is not None else b""
    except MissingObjectError:
        return b""
    return data if len(data) <= request.most_bytes else b""


def _walk(repository: GitRepository, limit: int) -> WalkAnswer:
    walk = repository.walk(repository.heads.tips, limit=limit)
    first = b""
    if repository.heads.head:
        try:
            first = repository.first_ancestor(repository.heads.head)
        except MissingObjectError:
            first = b""
        first = b"" if repository.is_boundary(first) else first
    return WalkAnswer(b"".join(walk.ids), walk.is_truncated, walk.is_shallow, first, walk.missing)


def _difference(repository: GitRepository, request: DifferenceRequest) -> DifferenceAnswer:
    try:
        added, removed = repository.difference(repository.heads.tips, request.old_tips, limit=request.limit)
    except (NotComparableError, MissingObjectError):
        return DifferenceAnswer(is_known=False)
    return DifferenceAnswer(is_known=True, added=b"".join(added), removed=b"".join(removed))
