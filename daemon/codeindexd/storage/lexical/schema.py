"""The fields of the lexical index, its three kinds of documents, and the translation of tantivy's errors."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import xxhash
from msgspec import Struct
from tantivy import Document, Schema, SchemaBuilder

from codeindexd.errors import (
    AlreadyRunningError,
    CodeindexError,
    FailedError,
    StoreDamagedError,
    StoreFullError,
    StoreVersionError,
)
from codeindexd.storage.durable import FAILED_HINT, UNWRITABLE_HINT, store_error

WHAT = "lexical index"
SENTINEL = "sentinel"
_ALWAYS = frozenset({"words", "identifiers", "language", "kind"})  # fields that a document has even without terms
_OS_ERROR = re.compile(r"\(os error (\d+)\)|code: (\d+)")
_NO_THREAD = re.compile(r"failed to spawn .*thread", re.IGNORECASE)
_WRITER_ENDED = "An index writer was killed"  # what follows a failed write of one of its threads, without its cause
_DAMAGE = re.compile(
    r"corrupt|does ?not ?exist|failed to open|incompatible|schema|deserializ|footer|eof", re.IGNORECASE
)


class LexicalChunk(Struct, frozen=True):
    """One chunk to index. All texts are space-separated lowercased terms, except where noted.

    ``symbol`` holds the split words of the chunk's symbol ("client get user"), ``names`` the whole names that it
    defines, ignoring case ("Client.get_user" counts as the name "get_user" too).
    """

    chunk_id: int
    file_id: int
    words: str
    identifiers: str = ""
    symbol: str = ""
    language: str = ""
    kind: str = ""
    names: Sequence[str] = ()


def build_schema() -> Schema:
    """Return the schema; only ``words`` has positions.

    Ids are i64, since deleting by term on an unsigned field deletes nothing. ``digest`` is a hash of the terms of a
    document, so that a document can be compared with what it should be without a query for each of its terms.
    """
    builder = SchemaBuilder()
    builder.add_integer_field("chunk_id", indexed=True, fast=True)
    builder.add_integer_field("file_id", indexed=True, fast=True)
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="position")
    for name in ("identifiers", "symbol", "name", "path"):
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
    for name in ("language", "kind", "meta"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("path_id", indexed=True, fast=True)
    builder.add_integer_field("digest", fast=True)
    builder.add_text_field("store", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("generation", stored=True)
    return builder.build()


def chunk_document(chunk: LexicalChunk, schema: Schema) -> Document:
    """Return the document of a chunk, built against the schema, without which ints would get another type."""
    texts = _texts(chunk)
    fields: dict[str, object] = {name: text for name, text in texts.items() if text or name in _ALWAYS}
    fields |= {"chunk_id": chunk.chunk_id, "file_id": chunk.file_id, "digest": _digest(texts)}
    return Document.from_dict(fields, schema)


def chunk_digest(chunk: LexicalChunk) -> int:
    """Return the digest that the document of a chunk has."""
    return _digest(_texts(chunk))


def path_document(file_id: int, words: str, schema: Schema) -> Document:
    """Return the document of a file's path, separate from its chunks so that a move changes nothing else."""
    text = encodable(words)
    return Document.from_dict({"path_id": file_id, "path": text, "digest": _digest({"path": text})}, schema)


def path_digest(words: str) -> int:
    """Return the digest that the document of a path with these ``words`` has."""
    return _digest({"path": encodable(words)})


def _texts(chunk: LexicalChunk) -> dict[str, str]:
    """Return the terms of a chunk's document by field, separated by blanks."""
    return {
        "words": encodable(chunk.words),
        "identifiers": encodable(chunk.identifiers),
        "symbol": encodable(chunk.symbol),
        "name": encodable(" ".join(_name_terms(chunk.names))),
        "language": encodable(chunk.language),
        "kind": encodable(chunk.kind),
    }


def _digest(texts: Mapping[str, str]) -> int:
    """Return a hash of the ``texts`` of a document, as a signed 64-bit number."""
    return xxhash.xxh3_64_intdigest("\0".join(texts.values()).encode()) - (1 << 63)


def sentinel_document(store_uuid: str, generation: int, schema: Schema) -> Document:
    """Return the document that names the store and the generation of a commit."""
    return Document.from_dict({"meta": SENTINEL, "store": store_uuid, "generation": generation}, schema)


def _name_terms(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        whole = name.lower()
        yield whole
        last = whole.rpartition(".")[2]
        if last != whole:
            yield last


def encodable(text: str) -> str:
    """Return ``text`` with lone surrogates (of file names that are not UTF-8) replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


@contextmanager
def translated() -> Iterator[None]:
    """Translate what tantivy raises inside the block, Rust panics included.

    Raises StoreFullError, StoreDamagedError, AlreadyRunningError, or FailedError for mistakes of the caller.
    """
    try:
        yield
    except CodeindexError:
        raise
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise _ours(error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        if _NO_THREAD.search(str(error)):
            raise store_error(errno.EAGAIN, str(error), WHAT) from error
        raise StoreDamagedError(f"the {WHAT} panicked: {error}") from error


def _ours(error: Exception) -> CodeindexError:
    message = str(error)
    if _NO_THREAD.search(message):
        return store_error(errno.EAGAIN, message, WHAT)
    number = _OS_ERROR.search(message)
    if number is not None:
        return store_error(int(number[1] or number[2]), message, WHAT)
    if _WRITER_ENDED in message:
        return StoreFullError(f"the {WHAT} cannot be written: a write failed", hint=UNWRITABLE_HINT)
    if "LockBusy" in message:
        return AlreadyRunningError(f"another writer has the {WHAT} open", hint="stop the other daemon first")
    if "schema does not match" in message:
        return StoreVersionError(f"the {WHAT} is of another version of codeindexd")
    if _DAMAGE.search(message):
        return StoreDamagedError(f"the {WHAT} cannot be read: {message}")
    return FailedError(f"the {WHAT} failed: {message}", hint=FAILED_HINT)
