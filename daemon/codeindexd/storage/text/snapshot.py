"""The reading side of the text index: its state at one moment, which any thread may query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from codeindexd.analysis.trigrams import Trigrams
from codeindexd.storage.text.query import All, And, Nothing, Or, Query, Trigram
from codeindexd.storage.text.segment import Document, Segment, digest_of


class TextSnapshot:
    """The documents at one moment: documents in segments, and recent ones that are only in memory. Immutable."""

    def __init__(self, segments: Sequence[Segment], recent: Mapping[bytes, Document]) -> None:
        self._segments = tuple(segments)
        self._recent = recent
        self._digests: dict[bytes, int] | None = None

    def candidates(self, query: Query) -> Iterator[tuple[bytes, bool]]:
        """Yield the hash of every content that matches ``query``, and whether secrets in it are masked.

        A content may no longer be on the disk, and may be yielded twice.
        """
        for segment in self._segments:
            for number in np.flatnonzero(segment.select(query)).tolist():
                yield segment.content(number), bool(segment.masked[number])
        if isinstance(query, And) and self._segments:  # so that the first part excludes most documents
            query = max(self._segments, key=lambda segment: segment.documents).rarest_first(query)
        for content, document in self._recent.items():
            if _may_match(document.trigrams, query):
                yield content, document.is_masked

    def is_masked(self, content: bytes) -> bool:
        """Return True if secrets in this content are masked; False for a content that the index lacks."""
        recent = self._recent.get(content)
        if recent is not None and recent.is_masked:
            return True
        return any(content in segment.masked_contents for segment in self._segments)

    def contents(self) -> set[bytes]:
        """Return the hashes of all contents in the index."""
        return {content for segment in self._segments for content in segment.contents()} | self._recent.keys()

    def digest(self, content: bytes) -> int | None:
        """Return the hash of the trigrams of a content, for an audit; None if the index lacks the content."""
        if self._digests is None:
            self._digests = self.digests()
        return self._digests.get(content)

    def digests(self) -> dict[bytes, int]:
        """Return the hash of the trigrams of each content, by content hash."""
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
