"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the index is not what it should be; ``path`` is empty when it is about no single file."""

    path: bytes
    what: str
    detail: str


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

    def differ(self, path: bytes, what: str, detail: str) -> None:
        """Note a difference."""
        self.differences.append(Difference(path, what, detail))
