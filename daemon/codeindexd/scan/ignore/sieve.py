"""A fast filter that finds the names in a directory that some rule may leave out.

Nearly every file of a large root is kept. The filter finds the possible exceptions in a directory with a few passes
over its joined names that run in C, and only those are judged in full. It may find too many, but never too few.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from codeindexd.scan.ignore.builtin import (
    SUSPICIOUS_EXTENSIONS,
    SUSPICIOUS_NAMES,
    SUSPICIOUS_TAILS,
    is_backup_name,
    may_name_backups,
    may_name_secrets,
)
from codeindexd.scan.ignore.patterns import PatternSet, Test


def suspects(places: Sequence[tuple[PatternSet, bytes]], names: Sequence[bytes]) -> set[bytes]:
    """Return the file ``names`` of a directory that need a full check against the rules.

    ``places`` are the pattern sets that apply there, each with the path of the directory relative to that of the
    pattern file, ending in ``/`` or empty.
    """
    found = set(_merged(tuple(patterns for patterns, _ in places)).suspects(names))
    for patterns, relative in places:
        prefilter = patterns.prefilter
        if relative in prefilter.paths:
            found |= prefilter.paths[relative]
        if prefilter.path_test is not None and prefilter.may_match_path_in(relative):
            found.update(name for name in names if prefilter.path_test(relative + name))
    return found


class _Merged(Struct, frozen=True):
    """The conditions of several pattern sets on names alone, valid in any directory; extensions in lower case."""

    names: frozenset[bytes]
    extensions: frozenset[bytes]
    tails: tuple[bytes, ...]
    searches: tuple[re.Pattern[bytes], ...]
    tests: tuple[Test, ...]

    def suspects(self, names: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the names that have to be judged in full, possibly more than once."""
        joined = b"/%b/" % b"/".join(names)
        joined_lower = joined.lower()
        lowers = joined_lower[1:-1].split(b"/")
        extensions = [lower.rpartition(b".")[2] for lower in lowers]
        present = set(extensions)
        if not self.names.isdisjoint(names):
            yield from self.names.intersection(names)
        if not SUSPICIOUS_NAMES.isdisjoint(lowers):
            yield from (name for name, lower in zip(names, lowers, strict=True) if lower in SUSPICIOUS_NAMES)
        if wanted := present & self.extensions:
            yield from (name for name, extension in zip(names, extensions, strict=True) if extension in wanted)
        if may_name_secrets(joined_lower):
            yield from (name for name, lower in zip(names, lowers, strict=True) if may_name_secrets(lower))
        if may_name_backups(joined):
            yield from filter(is_backup_name, names)
        tails = [tail for extension in present & SUSPICIOUS_TAILS.keys() for tail in SUSPICIOUS_TAILS[extension]]
        if tails := [tail for tail in tails if tail + b"/" in joined_lower]:
            yield from (name for name, low in zip(names, lowers, strict=True) if low.endswith(tuple(tails)))
        if any(tail + b"/" in joined for tail in self.tails):
            yield from (name for name in names if name.endswith(self.tails))
        for search in self.searches:
            yield from (match[1] for match in search.finditer(joined))
        for test in self.tests:
            yield from filter(test, names)


@functools.lru_cache(maxsize=1024)
def _merged(sets: tuple[PatternSet, ...]) -> _Merged:
    prefilters = [patterns.prefilter for patterns in sets]
    names: frozenset[bytes] = frozenset().union(*(prefilter.names for prefilter in prefilters))
    extensions = {extension[1:].lower() for prefilter in prefilters for extension in prefilter.extensions}
    return _Merged(
        names,
        SUSPICIOUS_EXTENSIONS | extensions,
        tuple({tail for prefilter in prefilters for tail in prefilter.tails}),
        tuple(_search(prefilter.name_globs) for prefilter in prefilters if prefilter.name_globs),
        tuple(prefilter.name_test for prefilter in prefilters if prefilter.name_test is not None),
    )


@functools.lru_cache(maxsize=1024)
def _search(globs: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Return an expression that finds the names matching ``globs`` in a text in which a slash surrounds every name."""
    return re.compile(b"/(?=(%b)/)" % b"|".join(globs), re.DOTALL)
