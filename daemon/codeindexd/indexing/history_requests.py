"""What the daemon asks a worker about a repository's history, and the answers, as bytes for the pool of workers."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from codeindexd.analysis.history.location import GitLocation
from codeindexd.analysis.history.record import IndexedCommit
from codeindexd.analysis.history.refs import Heads
from codeindexd.errors import NoHistoryError
from codeindexd.indexing.line_questions import LineAnswer, LineQuestion

ID_BYTES = 20


class Repository(msgspec.Struct, frozen=True, array_like=True):
    """A repository in the state in which it is to be read."""

    git_dir: bytes
    common_dir: bytes
    heads: Heads

    @classmethod
    def of(cls, location: GitLocation, heads: Heads) -> Repository:
        """Return the repository at ``location``."""
        return cls(os.fsencode(location.git_dir), os.fsencode(location.common_dir), heads)

    @property
    def location(self) -> GitLocation:
        """Where the repository is; the work tree does not matter."""
        return GitLocation(Path(os.fsdecode(self.git_dir)), Path(os.fsdecode(self.common_dir)), None)


class WalkRequest(msgspec.Struct, frozen=True, array_like=True, tag="walk"):
    """Asks for the newest ``limit`` commits reachable from the heads."""

    repository: Repository
    limit: int


class DifferenceRequest(msgspec.Struct, frozen=True, array_like=True, tag="difference"):
    """Asks which commits are reachable from the heads but not from ``old_tips``, and the other way round."""

    repository: Repository
    old_tips: tuple[bytes, ...]
    limit: int


class ReadRequest(msgspec.Struct, frozen=True, array_like=True, tag="read"):
    """Asks for the records of commits; ``ids`` are joined."""

    repository: Repository
    ids: bytes


class FileRequest(msgspec.Struct, frozen=True, array_like=True, tag="file"):
    """Asks for a file of HEAD, of at most ``most_bytes``."""

    repository: Repository
    path: bytes
    most_bytes: int


class FileAnswer(msgspec.Struct, frozen=True, array_like=True, tag="file"):
    """The content of a file; b"" if there is none, or a larger one."""

    data: bytes


class CopyRequest(msgspec.Struct, frozen=True, array_like=True, tag="copy"):
    """Asks from which file a commit copied its new file ``path``."""

    repository: Repository
    commit: bytes
    path: bytes


class CopyAnswer(msgspec.Struct, frozen=True, array_like=True, tag="copy"):
    """The path of the other file, b"" for none; not ``is_known`` if there are too many files to compare."""

    path: bytes = b""
    is_known: bool = True


class WalkAnswer(msgspec.Struct, frozen=True, array_like=True, tag="walk"):
    """Commits newest first, their ids joined, and the first ancestor of HEAD ("" if it was not fetched)."""

    ids: bytes
    is_truncated: bool
    is_shallow: bool
    first_ancestor: bytes
    missing: int = 0


class DifferenceAnswer(msgspec.Struct, frozen=True, array_like=True, tag="difference"):
    """The ids of commits, joined; not ``is_known`` if they must be walked instead."""

    is_known: bool
    added: bytes = b""
    removed: bytes = b""


class ReadAnswer(msgspec.Struct, frozen=True, array_like=True, tag="read"):
    """The commits that could be read, and the errors of the others by id."""

    commits: list[IndexedCommit]
    errors: dict[bytes, str]


class LinesRequest(msgspec.Struct, frozen=True, array_like=True, tag="lines"):
    """A question about lines. ``database`` is that of the repository's store, b"" if it has none yet."""

    repository: Repository
    database: bytes
    question: LineQuestion


class LinesAnswer(msgspec.Struct, frozen=True, array_like=True, tag="lines"):
    """The answer to a question about lines."""

    answer: LineAnswer


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """The repository cannot be read, or the question not answered; ``message`` and ``hint`` are for its user.

    ``name`` is that of the error, among ``errors``.
    """

    message: str
    hint: str
    name: str = NoHistoryError.name


Request = WalkRequest | DifferenceRequest | FileRequest | CopyRequest | ReadRequest | LinesRequest
Answer = WalkAnswer | DifferenceAnswer | FileAnswer | CopyAnswer | ReadAnswer | LinesAnswer | Refused

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def encode(value: Request | Answer) -> bytes:
    """Return a request or an answer as bytes."""
    return _encoder.encode(value)


def decode_request(data: bytes) -> Request:
    """Return the request in ``data``."""
    return _requests.decode(data)


def decode_answer(data: bytes) -> Answer:
    """Return the answer in ``data``."""
    return _answers.decode(data)


def split_ids(joined: bytes) -> list[bytes]:
    """Return the ids in ``joined``."""
    return [joined[start : start + ID_BYTES] for start in range(0, len(joined), ID_BYTES)]
