"""What an audit finds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the index is not what it should be; ``path`` is empty when it is about no single file.

    ``kind`` is what it is recognised by in the next look: ``detail`` without the figures that change while the root
    does. ``ids`` are the chunks or files that it is about, where it is about many: one that lasts is enough.
    """

    path: bytes
    what: str
    detail: str = field(compare=False)
    kind: str
    ids: frozenset[int] = field(default=frozenset(), compare=False)


@dataclass
class Audit:
    """What was compared, what differed, and which entries of the projections have to be made anew.

    ``lexical`` and ``dense`` are ids of chunks whose documents or vectors are wrong, ``embed_hashes`` those of wrong
    vectors in the shared store. ``notes`` say what could not be compared.
    """

    files: int = 0
    chunks: int = 0
    vectors: int = 0
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lexical: set[int] = field(default_factory=set)
    dense: set[int] = field(default_factory=set)
    embed_hashes: set[bytes] = field(default_factory=set)

    def differ(self, path: bytes, what: str, detail: str, *, kind: str = "") -> None:
        """Note a difference."""
        self.differences.append(Difference(path, what, detail, kind or detail))

    def differ_in(self, what: str, kind: str, ids: Collection[int]) -> None:
        """Note that ``what`` differs in these chunks or files; ``kind`` has marks for how many and for the first."""
        self.differences.append(_about(what, kind, frozenset(ids)))

    def keep_lasting(self, before: Collection[Difference]) -> None:
        """Leave out what was not there in the look before."""
        known = {one: one for one in before}
        lasting = [_lasting(known[one], one) for one in self.differences if one in known]
        self.differences = [one for one in lasting if one is not None]


def _about(what: str, kind: str, ids: frozenset[int]) -> Difference:
    return Difference(b"", what, kind.format(count=len(ids), first=min(ids)), kind, ids)


def _lasting(before: Difference, now: Difference) -> Difference | None:
    if not now.ids:
        return now
    ids = before.ids & now.ids
    return _about(now.what, now.kind, ids) if ids else None
