"""Shorthand for catalog transactions: ``update("src/a.py", "one two")`` is a file whose chunks are its words."""

from __future__ import annotations

from xxhash import xxh3_128_digest

from codeindexd.scan.merkle import skipped_hash
from codeindexd.types import ChunkDraft, Entry, FileStat, FileUpdate, Move, NodeKind, Outcome, Span, Symbol


def raw(path: str | bytes) -> bytes:
    return path.encode() if isinstance(path, str) else path


def stat(seed: int = 1) -> FileStat:
    return FileStat(size=seed, mtime_ns=seed * 1_000, ctime_ns=seed * 1_000 + 1, inode=seed)


def leaf(path: str | bytes, content: str, *, kind: NodeKind = NodeKind.FILE, seed: int = 1) -> Entry:
    return Entry(raw(path), kind, xxh3_128_digest(content.encode()), stat(seed))


def directory(path: str | bytes) -> Entry:
    return Entry(raw(path), NodeKind.DIRECTORY, b"")


def draft(word: str, line: int = 1, *, kind: str = "function", words: str = "") -> ChunkDraft:
    """Return a chunk of one line that defines ``word``; a word with a dot is a method."""
    name = word.rpartition(".")[2]
    span = Span(line * 10, line * 10 + 10, line, line, kind, word, (Symbol(name, word, kind, 0),))
    return ChunkDraft(span, xxh3_128_digest(word.encode()), xxh3_128_digest(b"e" + word.encode()), words or word, "")


def update(
    path: str | bytes,
    content: str = "",
    *,
    language: str = "python",
    fingerprint: bytes = b"f1",
    seed: int = 1,
    kind: str = "function",
) -> FileUpdate:
    """Return an indexed file; every word of its content is a chunk."""
    chunks = tuple(draft(word, line, kind=kind) for line, word in enumerate(content.split(), 1))
    return FileUpdate(leaf(path, content, seed=seed), Outcome.INDEXED, language, "utf-8", fingerprint, chunks=chunks)


def skipped(path: str | bytes, reason: str = "binary", rule: str = "") -> FileUpdate:
    entry = Entry(raw(path), NodeKind.SKIPPED, skipped_hash(reason), stat(), reason, rule)
    return FileUpdate(entry, Outcome.SKIPPED)


def failed(path: str | bytes, content: str = "") -> FileUpdate:
    return FileUpdate(leaf(path, content), Outcome.FAILED, "python", "", b"f1")


def move(source: str, target: str, content: str) -> Move:
    return Move(raw(source), leaf(target, content))
