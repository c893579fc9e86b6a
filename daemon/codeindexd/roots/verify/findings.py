"""The results of an audit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between the index and the disk; ``path`` is empty when it concerns no single file.

    ``kind`` identifies it in the next audit: ``detail`` without the numbers that change while the root does. ``ids``
    are the chunks or files that it concerns, if it concerns many.
    """

    path: bytes
    what: str
    detail: str = field(compare=False)
    kind: str
    ids: frozenset[int] = field(default=frozenset(), compare=False)


@dataclass
class Audit:
    """How much was compared, what differed, and which entries of the stores are wrong.

    ``lexical`` and ``dense`` are ids of chunks with wrong documents or vectors, ``embed_hashes`` identify wrong vectors
    in the shared store, ``text`` contents with wrong trigrams. ``notes`` say what could not be compared.
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
        """Keep only differences that the audit before found, too; of those with many ids, the ids that both found."""
        known = {one: one for one in before}
        lasting = [_lasting(known[one], one) for one in self.differences if one in known]
        self.differences = [one for one in lasting if one is not None]


def _of_ids(what: str, kind: str, ids: frozenset[int]) -> Difference:
    return Difference(b"", what, kind.format(count=len(ids), first=min(ids)), kind, ids)


def _lasting(before: Difference, now: Difference) -> Difference | None:
    if not now.ids:
        return now
    ids = before.ids & now.ids
    return _of_ids(now.what, now.kind, ids) if ids else None
