"""Compiled ignore files, which find the pattern of a file that decides about a path."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from codeindexd.scan.ignore.syntax import Pattern, parse

_BUCKET_FROM = 48
_SHOWN = 160
_ORDINARY_BYTES = 64 << 10


Test = Callable[[bytes], object]
"""Returns a true value if a text may match."""


class Prefilter(Struct, frozen=True):
    """Necessary conditions for a file to be left out by one of the patterns; it must meet at least one.

    Conditions on its name: ``names``, ``extensions`` (with the dot) and ``tails`` contain it, one of the expressions
    ``name_globs`` matches it, or (instead of these, where they are very many) ``name_test`` accepts it.

    Conditions on its path relative to the patterns' directory: ``paths`` maps directories to names in them;
    ``path_test`` accepts it, which is only possible in directories that begin with one of ``path_heads`` (each ends in
    ``/`` or is empty) or that ``home_test`` accepts.
    """

    names: frozenset[bytes] = frozenset()
    extensions: frozenset[bytes] = frozenset()
    tails: tuple[bytes, ...] = ()
    name_globs: tuple[bytes, ...] = ()
    name_test: Test | None = None
    paths: Mapping[bytes, frozenset[bytes]] = {}
    path_test: Test | None = None
    path_heads: tuple[bytes, ...] = ()
    home_test: Test | None = None

    def may_match_path_in(self, directory: bytes) -> bool:
        """Return True if ``path_test`` can be true in ``directory`` (relative, ending in ``/`` or empty)."""
        if self.home_test is not None and self.home_test(directory[:-1]):
            return True
        return bool(self.path_heads) and directory.startswith(self.path_heads)


class PatternSet:
    """The compiled patterns of one file. Immutable, and shared by all files of equal content."""

    __slots__ = ("_directories", "_files", "patterns", "prefilter")

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(patterns)
        self._directories = _Matcher(self.patterns)
        self._files = _Matcher([pattern for pattern in self.patterns if not pattern.dir_only])
        self.prefilter = self._files.prefilter()

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def may_match_below(self, directory: bytes) -> bool:
        """Return True if a positive pattern may match inside ``directory`` (relative, ending in ``/``)."""
        return any(_may_match_below(pattern, directory) for pattern in self.patterns if not pattern.negative)

    def last_match(self, name: bytes, path: bytes, is_dir: bool) -> Pattern | None:
        """Return the last pattern that matches, negative or not. ``path`` is relative to the patterns' directory."""
        return self._directories.last_match(name, path) if is_dir else self._files.last_match(name, path)


def compiled(content: bytes) -> PatternSet:
    """Return the patterns of an ignore file with this content (gitignore syntax, any bytes)."""
    return _compiled(content) if len(content) <= _ORDINARY_BYTES else _compiled_huge(content)


@functools.lru_cache(maxsize=1024)
def _compiled(content: bytes) -> PatternSet:
    return PatternSet(parse(content))


@functools.lru_cache(maxsize=4)
def _compiled_huge(content: bytes) -> PatternSet:
    return PatternSet(parse(content))


def rule_text(source: str, pattern: Pattern) -> str:
    """Return a rule as users see it, such as ``.gitignore:3: *.pyc``; shortened if it is long, and valid Unicode."""
    text = pattern.text.decode("utf-8", "backslashreplace")
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + "..."
    return f"{source}:{pattern.line}: {text}"


class _Matcher:
    """Finds the last matching pattern with a few dictionary lookups and very few regular expressions.

    Real ignore files consist mostly of literal names and ``*.ext``, each of which takes a single lookup.
    """

    __slots__ = ("_extensions", "_name_globs", "_names", "_path_globs", "_paths", "_patterns", "_tails", "_with_tail")

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        self._names: dict[bytes, int] = {}
        self._paths: dict[bytes, int] = {}
        self._extensions: dict[bytes, int] = {}
        self._with_tail: dict[bytes, int] = {}
        name_globs: list[tuple[int, bytes]] = []
        path_globs: list[tuple[int, bytes]] = []
        for index, pattern in enumerate(patterns):
            for literal in pattern.literals:
                (self._paths if pattern.by_path else self._names)[literal] = index
            for suffix in pattern.suffixes:
                (self._extensions if suffix.rfind(b".") == 0 else self._with_tail)[suffix] = index
            if pattern.regex:
                (path_globs if pattern.by_path else name_globs).append((index, pattern.regex))
        self._tails = tuple(self._with_tail)
        self._name_globs = _Globs(name_globs) if name_globs else None
        self._path_globs = _Globs(path_globs) if path_globs else None

    def prefilter(self) -> Prefilter:
        """Return the necessary conditions for a file to match."""
        paths: dict[bytes, set[bytes]] = {}
        for path, index in self._paths.items():
            if not self._patterns[index].negative:
                cut = path.rfind(b"/") + 1
                paths.setdefault(path[:cut], set()).add(path[cut:])
        names = tuple(pattern.regex for pattern in self._patterns if not pattern.by_path and pattern.regex)
        many = len(names) >= _BUCKET_FROM
        globs = [pattern for pattern in self._patterns if pattern.by_path and pattern.regex and not pattern.negative]
        homes = [(index, pattern.home) for index, pattern in enumerate(globs) if pattern.home]
        return Prefilter(
            names=self._positive(self._names),
            extensions=self._positive(self._extensions),
            tails=tuple(self._positive(self._with_tail)),
            name_globs=() if many else names,
            name_test=self._name_globs.test if self._name_globs and many else None,
            paths={directory: frozenset(inside) for directory, inside in paths.items()},
            path_test=self._path_globs.test if self._path_globs else None,
            path_heads=tuple({_literal_head(pattern.regex) for pattern in globs if not pattern.home}),
            home_test=_Globs(homes).test if homes else None,
        )

    def _positive(self, texts: dict[bytes, int]) -> frozenset[bytes]:
        return frozenset(text for text, index in texts.items() if not self._patterns[index].negative)

    def last_match(self, name: bytes, path: bytes) -> Pattern | None:
        """Return the last pattern that matches, or None."""
        best = self._names.get(name, -1)
        if self._extensions and (dot := name.rfind(b".")) >= 0:
            best = max(best, self._extensions.get(name[dot:], -1))
        if self._tails and name.endswith(self._tails):
            best = max(best, max(index for tail, index in self._with_tail.items() if name.endswith(tail)))
        if self._name_globs is not None:
            best = max(best, self._name_globs.last(name))
        if self._paths:
            best = max(best, self._paths.get(path, -1))
        if self._path_globs is not None:
            best = max(best, self._path_globs.last(path))
        return self._patterns[best] if best >= 0 else None


class _Globs:
    """Many expressions compiled into one, in reverse order, so that the first alternative to match is the last pattern.

    A long list is split by the first byte of matching texts, and each part is compiled when it is first needed, so that
    a huge ignore file costs only the parts that are used.
    """

    __slots__ = ("_any", "_bucketed", "_by_byte", "_compiled")

    def __init__(self, globs: Sequence[tuple[int, bytes]]) -> None:
        self._any: list[tuple[int, bytes]] = []
        self._by_byte: dict[int, list[tuple[int, bytes]]] = {}
        self._bucketed = len(globs) >= _BUCKET_FROM
        for index, regex in globs:
            code = _first_byte(regex) if self._bucketed else None
            (self._any if code is None else self._by_byte.setdefault(code, [])).append((index, regex))
        self._compiled: dict[int, tuple[re.Pattern[bytes], list[int]] | None] = {}

    def last(self, text: bytes) -> int:
        """Return the highest index whose expression matches all of ``text``, or -1."""
        best = self._in(-1, text)
        return max(best, self._in(text[0], text)) if self._bucketed and text else best

    def test(self, text: bytes) -> bool:
        """Return True if any expression matches."""
        return self.last(text) >= 0

    def _in(self, bucket: int, text: bytes) -> int:
        """Return the highest index in a bucket whose expression matches all of ``text``, or -1."""
        try:
            alternatives = self._compiled[bucket]
        except KeyError:
            alternatives = self._compiled[bucket] = self._compile(bucket)
        if alternatives is None:
            return -1
        match = alternatives[0].fullmatch(text)
        return alternatives[1][match.lastindex - 1] if match and match.lastindex else -1

    def _compile(self, bucket: int) -> tuple[re.Pattern[bytes], list[int]] | None:
        """Return the alternatives of a bucket as one expression, and the index of each; None if it is empty."""
        globs = self._any if bucket < 0 else self._by_byte.get(bucket, [])
        if not globs:
            return None
        falling = globs[::-1]
        return re.compile(b"|".join(b"(%s)" % regex for _, regex in falling), re.DOTALL), [i for i, _ in falling]


def _first_byte(regex: bytes) -> int | None:
    """Return the literal byte that the expression, and so every match, begins with; None if there is none."""
    if regex[0] == 0x5C:  # an escaped literal; every multi-byte escape of ours is inside brackets
        return regex[1]
    return None if regex[0] in b"[(." else regex[0]


def _literal_head(regex: bytes) -> bytes:
    """Return the directories, ending in ``/``, that every match of ``regex`` begins with; b"" if there are none."""
    head = bytearray()
    at = 0
    while at < len(regex) and regex[at] not in b"[(.":
        at += regex[at] == 0x5C  # the backslash before an escaped byte
        head.append(regex[at])
        at += 1
    return bytes(head[: head.rfind(b"/") + 1])


def _may_match_below(pattern: Pattern, directory: bytes) -> bool:
    if not pattern.by_path:
        return True
    if pattern.literals:
        return any(literal.startswith(directory) for literal in pattern.literals)
    head = _literal_head(pattern.regex)
    return head.startswith(directory) or directory.startswith(head)
