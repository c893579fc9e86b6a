"""The reading side of the text index: one moment of it, which any thread may ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from codeindexd.analysis.trigrams import Trigrams
from codeindexd.storage.text.query import All, And, Nothing, Or, Query, Trigram
from codeindexd.storage.text.segment import Document, Segment, digest_of


class TextSnapshot:
    """The documents of a moment: those of the segments, and the recent ones that are in memory only. Immutable."""

    def __init__(self, segments: Sequence[Segment], recent: Mapping[bytes, Document]) -> None:
        self._segments = tuple(segments)
        self._recent = recent
        self._digests: dict[bytes, int] | None = None

    def candidates(self, query: Query) -> Iterator[tuple[bytes, bool]]:
        """Yield the hash of every content that may match, and whether secrets in it are masked.

        A content may be gone from the disk, or come twice.
        """
        for segment in self._segments:
            for number in np.flatnonzero(segment.select(query)).tolist():
                yield segment.content(number), bool(segment.masked[number])
        if isinstance(query, And) and self._segments:  # most documents are excluded by the first, rarest part
            query = max(self._segments, key=lambda segment: segment.documents).rarest_first(query)
        for content, document in self._recent.items():
            if _may_match(document.trigrams, query):
                yield content, document.is_masked

    def contents(self) -> set[bytes]:
        """Return the hash of every content that the index has."""
        return {content for segment in self._segments for content in segment.contents()} | self._recent.keys()

    def digest(self, content: bytes) -> int | None:
        """Return the digest of the trigrams of a content, for an audit; None if the index lacks it."""
        if self._digests is None:
            self._digests = self.digests()
        return self._digests.get(content)

    def digests(self) -> dict[bytes, int]:
        """Return the digest of the trigrams of every content."""
        found: dict[bytes, int] = {content: digest_of(document.trigrams) for content, document in self._recent.items()}
        for segment in self._segments:
            found.update(zip(segment.contents(), segment.digests.tolist(), strict=True))
        return found

    def __len__(self) -> int:
        return sum(segment.documents for segment in self._segments) + len(self._recent)


def _may_match(trigrams: Trigrams, query: Query) -> bool:
    match query:
        case All():
            return True
        case Nothing():
            return False
        case Trigram():
            at = int(np.searchsorted(trigrams, query.value))
            return at < len(trigrams) and int(trigrams[at]) == query.value
        case And():
            return all(_may_match(trigrams, part) for part in query.parts)
        case Or():
            return any(_may_match(trigrams, part) for part in query.parts)
