"""The results of an audit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between the index and the disk; ``path`` is b"" if it does not concern a single file.

    ``what`` names the store or the problem. ``kind`` identifies the difference in the next audit: ``detail`` without
    numbers that may change meanwhile. ``ids`` are the chunks or files concerned, if there may be many.
    """

    path: bytes
    what: str
    detail: str = field(compare=False)
    kind: str
    ids: frozenset[int] = field(default=frozenset(), compare=False)


@dataclass
class AuditResult:
    """The numbers of compared files, chunks and vectors, the differences, and the wrong entries of the stores.

    ``lexical`` and ``dense`` are ids of chunks with wrong documents or vectors, ``embed_hashes`` identify wrong vectors
    in the shared store, ``text`` are hashes of contents with wrong trigrams. ``notes`` say what was not compared.
    """

    files: int = 0
    chunks: int = 0
    vectors: int = 0
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lexical: set[int] = field(default_factory=set)
    dense: set[int] = field(default_factory=set)
    embed_hashes: set[bytes] = field(default_factory=set)
    text: set[bytes] = field(default_factory=set)

    def add(self, path: bytes, what: str, detail: str, *, kind: str = "") -> None:
        """Add a difference."""
        self.differences.append(Difference(path, what, detail, kind or detail))

    def add_ids(self, what: str, kind: str, ids: Collection[int]) -> None:
        """Add a difference in many chunks or files; ``kind`` has the placeholders ``{count}`` and ``{first}``."""
        self.differences.append(_of_ids(what, kind, frozenset(ids)))

    def keep_lasting(self, before: Collection[Difference]) -> None:
        """Keep only differences that are also in ``before``, the differences of the previous audit.

        Of a difference with many ids, the ids in both are kept.
        """
        known = {difference: difference for difference in before}
        lasting = [_lasting(known[difference], difference) for difference in self.differences if difference in known]
        self.differences = [difference for difference in lasting if difference is not None]


def _of_ids(what: str, kind: str, ids: frozenset[int]) -> Difference:
    return Difference(b"", what, kind.format(count=len(ids), first=min(ids)), kind, ids)


def _lasting(before: Difference, now: Difference) -> Difference | None:
    if not now.ids:
        return now
    ids = before.ids & now.ids
    return _of_ids(now.what, now.kind, ids) if ids else None
