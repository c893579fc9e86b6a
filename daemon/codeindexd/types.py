"""The values that all packages share: frozen, without I/O.

Paths are ``bytes`` relative to their root, separated by ``/``, without a leading slash; the root itself is ``b""``.
Hashes are 16-byte xxh3_128 digests. Times are nanoseconds since the epoch unless a name says otherwise.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import xxhash
from msgspec import Struct, field

ChunkKey = tuple[bytes, bytes, int, str, str]  # span hash, embed hash, terms hash, kind, symbol


class NodeKind(enum.IntEnum):
    """The kind of a tree node. The numbers are stored and hashed, so they never change meaning."""

    DIRECTORY = 1
    FILE = 2
    SYMLINK = 3
    SKIPPED = 4


class RootState(enum.StrEnum):
    """The health of a root, from best to worst. Only ``FRESH`` means equal to the disk, as far as the daemon knows."""

    FRESH = "fresh"
    RECONCILING = "reconciling"
    INDEXING = "indexing"
    PAUSED = "paused"
    DEGRADED = "degraded"
    MISSING = "missing"


class FileStat(Struct, frozen=True):
    """The stat fields that decide whether a file is read again: if all are equal, so is the content.

    An exception is a racily clean file, which was modified so recently that a later change may not alter its stat.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Entry(Struct, frozen=True):
    """One node of a tree.

    ``hash`` is xxh3_128 of a file's bytes, of a symlink's target text, of a directory's sorted list of (name, kind,
    child hash), or of a skipped leaf's reason. ``stat`` is None for directories and for racily clean leaves, which must
    be read again. ``reason`` and ``rule`` are set only for skipped leaves.
    """

    path: bytes
    kind: NodeKind
    hash: bytes
    stat: FileStat | None = None
    reason: str = ""
    rule: str = ""


class TreeSource(Protocol):
    """A Merkle tree that can be read top-down: the scanned tree and the catalogued one."""

    def node(self, path: bytes) -> Entry | None:
        """Return the entry at ``path`` (``b""`` is the root), or None."""

    def children(self, directory: bytes) -> Mapping[bytes, Entry]:
        """Return the entries directly inside ``directory`` by name; empty if it is not a directory of this tree."""


class Move(Struct, frozen=True):
    """A file whose path changed but not its content, from ``source`` to ``entry.path``."""

    source: bytes
    entry: Entry


class Diff(Struct, frozen=True):
    """The difference between two trees. It includes directories, so that empty ones are not lost."""

    added: tuple[Entry, ...] = ()
    modified: tuple[Entry, ...] = ()
    removed: tuple[Entry, ...] = ()
    moved: tuple[Move, ...] = ()
    touched: tuple[Entry, ...] = ()  # equal content with a new stat: only the catalogued stat changes

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed or self.moved or self.touched)


class Symbol(Struct, frozen=True):
    """A definition inside a chunk; ``line_offset`` counts from 0 at the chunk's first line, so it survives a move."""

    name: str
    qualified: str
    kind: str
    line_offset: int


class Span(Struct, frozen=True):
    """A contiguous byte range of one file, as cut by the chunker. Lines count from 1, both ends included."""

    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    kind: str
    symbol: str = ""
    symbols: tuple[Symbol, ...] = ()


class Visibility(enum.StrEnum):
    """Who may use a definition, as far as its language says so where it is defined."""

    UNKNOWN = ""
    PUBLIC = "public"
    INTERNAL = "internal"  # the same package, module or assembly
    PROTECTED = "protected"
    PRIVATE = "private"


class Definition(Struct, frozen=True):
    """A definition in a file.

    ``line`` and ``column`` are those of its name: both count from 1, columns in bytes of UTF-8. The definition extends
    from ``start_line`` to ``end_line``, both included. ``qualified`` has dots in every language. ``signature`` is its
    head as one line of source, and ``doc`` the first sentence of its documentation; both are cut. ``container`` is the
    index of the enclosing definition in the list of its file, which is in the order of ``start_line``; -1 for none.
    """

    name: str
    qualified: str
    kind: str
    line: int
    column: int
    start_line: int
    end_line: int
    signature: str = ""
    doc: str = ""
    visibility: Visibility = Visibility.UNKNOWN
    container: int = -1


FUNCTION_KINDS: Final = frozenset({"function", "method", "constructor", "macro"})
"""Kinds of definitions that are called."""

TYPE_KINDS: Final = frozenset({"class", "enum", "interface", "object", "struct", "trait", "type", "union"})
"""Kinds of definitions that are types of their own in some language."""

IMPLEMENTATION: Final = "impl"
"""The kind of a block that adds members to a type defined elsewhere. It is a container, but defines no name."""

DECLARATION: Final = "declaration"
"""The kind of a function or variable that is only declared, as in a header: its definition is elsewhere."""


class ReferenceKind(enum.IntEnum):
    """What a reference does with the name. The numbers are stored, so they never change meaning."""

    CALL = 1
    USE = 2
    IMPORT = 3
    INHERIT = 4
    ALIAS = 5  # an import binds the name; the qualifier is the name of what is imported


class Reference(Struct, frozen=True):
    """A name in a file that refers to something; ``line`` counts from 1.

    ``qualifier`` is the receiver or namespace as written (``self``, ``os.path``), of an import its module; "" if there
    is none, "." if the receiver is an expression without a name.
    """

    kind: ReferenceKind
    name: str
    qualifier: str
    line: int


class ChunkDraft(Struct, frozen=True):
    """A chunk as a worker returns it: position, identity and index terms, but not its text.

    ``words`` and ``identifiers`` are space-separated terms for the lexical index. ``vector`` holds ``dimensions``
    little-endian float16 values of unit length, or None if the embedder runs elsewhere.
    """

    span: Span
    span_hash: bytes
    embed_hash: bytes
    words: str
    identifiers: str
    vector: bytes | None = None
    embedded: bool = False  # True if the vector was computed for this draft, not looked up

    @property
    def terms_hash(self) -> int:
        """A signed 64-bit hash of the index terms: words, identifiers, names that the chunk defines."""
        names = "\0".join(symbol.name for symbol in self.span.symbols)
        text = f"{self.words}\0{self.identifiers}\0{names}"
        return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) - (1 << 63)

    @property
    def key(self) -> ChunkKey:
        """The identity of a chunk within its file, independent of its lines."""
        return self.span_hash, self.embed_hash, self.terms_hash, self.span.kind, self.span.symbol


class Outcome(enum.IntEnum):
    """The outcome of processing a leaf. The numbers are stored, so they never change meaning."""

    INDEXED = 1
    SKIPPED = 2  # by rule: ignored, binary, oversized, sensitive, a symlink, ...
    FAILED = 3
    UNPROCESSED = 4  # in the tree, not chunked yet


class FileUpdate(Struct, frozen=True):
    """The new state of one leaf, committed atomically.

    ``entry.hash`` is the hash of the bytes that were chunked. ``reason`` says why a file is skipped. ``trigrams`` are
    the trigrams of an indexed file's text, as little-endian uint32; None if they were not determined. ``is_masked`` is
    True if secrets in the text were masked, ``is_partial`` if the syntax of some of it was not understood.
    ``references`` are encoded by ``analysis.references``.
    """

    entry: Entry
    outcome: Outcome
    language: str = ""
    encoding: str = ""
    fingerprint: bytes = b""
    reason: str = ""
    chunks: tuple[ChunkDraft, ...] = ()
    trigrams: bytes | None = None
    is_masked: bool = False
    definitions: tuple[Definition, ...] = ()
    is_partial: bool = False
    references: bytes = b""


class Failure(Struct, frozen=True):
    """Why a file could not be indexed, and when it is retried (``next_retry_ns`` 0: only if the file changes).

    ``quarantined`` is True if the file ended or stalled its worker process twice.
    """

    path: bytes
    stage: str
    error: str
    attempts: int
    next_retry_ns: int
    quarantined: bool = False


class Transaction(Struct, frozen=True):
    """The changes of one catalog transaction; queries see either none or all of them."""

    updates: Sequence[FileUpdate] = ()
    removals: Sequence[bytes] = ()  # leaves and directories; a directory with everything below it
    moves: Sequence[Move] = ()
    directories: Sequence[Entry] = ()  # added directories, so that empty ones are in the tree
    touched: Sequence[Entry] = ()
    failures: Sequence[Failure] = ()

    @property
    def only_touches(self) -> bool:
        """True if the transaction changes no content and no path, only stats."""
        return not (self.updates or self.removals or self.moves or self.directories or self.failures)


class IndexedChunk(Struct, frozen=True):
    """A chunk with the id that a commit gave it, for the projections to add."""

    chunk_id: int
    file_id: int
    language: str
    draft: ChunkDraft


class CommittedChanges(Struct, frozen=True):
    """The changes of a catalog commit that the projections (lexical and dense index) apply."""

    generation: int
    added: Sequence[IndexedChunk] = ()
    removed: Sequence[int] = ()  # chunk ids
    paths_added: Sequence[tuple[int, bytes]] = ()  # (file id, path): new or moved files
    paths_removed: Sequence[int] = ()  # ids of removed or moved files


class StoredChunk(Struct, frozen=True):
    """A chunk in the catalog, joined with its file."""

    chunk_id: int
    file_id: int
    path: bytes
    language: str
    span: Span
    span_hash: bytes
    embed_hash: bytes
    terms_hash: int

    @property
    def key(self) -> ChunkKey:
        """The key that the chunk's :class:`ChunkDraft` had."""
        return self.span_hash, self.embed_hash, self.terms_hash, self.span.kind, self.span.symbol


class StoredDefinition(Struct, frozen=True):
    """A definition in the catalog, with the chunk that contains its name. It is ``outline[number]``."""

    chunk: StoredChunk
    outline: Sequence[Definition]
    number: int

    @property
    def definition(self) -> Definition:
        """The definition itself; its lines are those of the catalogued file."""
        return self.outline[self.number]


class StoredFile(Struct, frozen=True):
    """A file in the catalog."""

    file_id: int
    entry: Entry
    outcome: Outcome
    language: str
    encoding: str
    fingerprint: bytes
    reason: str
    chunks: int


class Counts(Struct, frozen=True):
    """The numbers of files and chunks in a root's catalog."""

    files: int = 0  # indexed files
    chunks: int = 0
    failed: int = 0
    pending: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)


class VectorSpace(Struct, frozen=True):
    """The vector space of a dense index: the model's identity (a hash) and the number of dimensions.

    ``is_stored`` is True if its vectors are also kept in the shared store, which pays for models that are slow.
    """

    identity: str
    dimensions: int
    is_stored: bool = True
