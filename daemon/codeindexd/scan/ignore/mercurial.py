"""The syntax of ``.hgignore``: Mercurial's globs become our patterns, its regular expressions are matched by RE2.

A repository may be untrusted, so its regular expressions must not take more than linear time. One that RE2 does not
support (lookaround, backreferences) is skipped, like an invalid line. ``include`` and ``subinclude`` are not followed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import re2
from msgspec.structs import replace

from codeindexd.scan.ignore.patterns import PatternSet, Prefilter
from codeindexd.scan.ignore.syntax import Pattern, parse

_SYNTAXES = {
    b"re": b"re",
    b"regexp": b"re",
    b"relre": b"re",
    b"glob": b"glob",
    b"relglob": b"glob",
    b"rootglob": b"rootglob",
    b"path": b"path",
    b"include": b"",
    b"subinclude": b"",
}
_COMMENT = re.compile(rb"(?<!\\)#.*")
_BRACES = re.compile(rb"\{([^{}]*)\}")
_CROSSING = re.compile(rb"\*\*(?=[^/*])")
_MOST_ALTERNATIVES = 64
_MOST_BYTES = 64 << 10


@functools.lru_cache(maxsize=256)
def compiled_hgignore(content: bytes) -> tuple[PatternSet, ...]:
    """Return the pattern sets of a ``.hgignore`` with this content, one for globs and one for regular expressions.

    Empty files are left out. Never raises.
    """
    globs: list[Pattern] = []
    regexes: list[tuple[Pattern, bytes]] = []
    for number, line, kind, body in _lines(content[:_MOST_BYTES]):
        if kind == b"re":
            regexes.append((Pattern(number, line, negative=False, dir_only=False, by_path=True), body))
        elif kind:
            for glob in _alternatives(body):
                patterns = parse(_as_gitignore(glob, kind))
                globs += [replace(pattern, line=number, text=line) for pattern in patterns]
    return tuple(patterns for patterns in (PatternSet(globs), _Regexes(regexes)) if patterns)


def _lines(content: bytes) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Yield (line number, line, kind of syntax, pattern) for every line with a pattern; the kind of includes is b""."""
    syntax = b"re"
    for number, whole in enumerate(content.splitlines(), 1):
        line = _COMMENT.sub(b"", whole).replace(b"\\#", b"#").rstrip()
        if line.startswith(b"syntax:"):
            syntax = _SYNTAXES.get(line[7:].strip(), syntax)
        elif line:
            prefix, colon, rest = line.partition(b":")
            known = colon and prefix in _SYNTAXES
            yield number, line, _SYNTAXES[prefix] if known else syntax, rest if known else line


def _alternatives(glob: bytes) -> list[bytes]:
    """Expand braces: ``a.{c,h}`` gives ``a.c`` and ``a.h``. Beyond a limit they stay, and so match nothing."""
    found = [glob]
    while len(found) <= _MOST_ALTERNATIVES and any(_BRACES.search(glob) for glob in found):
        found = [
            glob[: match.start()] + choice + glob[match.end() :] if match else glob
            for glob in found
            for match in [_BRACES.search(glob)]
            for choice in (match[1].split(b",") if match else [b""])
        ]
    return found


def _as_gitignore(glob: bytes, kind: bytes) -> bytes:
    """Return the equivalent line of a ``.gitignore``. Globs of the kind ``glob`` may match in any directory."""
    body = glob.strip(b"/")
    if kind == b"path":
        return b"/" + re.sub(rb"([*?\[\\])", rb"\\\1", body)
    if kind == b"rootglob":
        return b"/" + body
    if b"/" in body:
        return b"**/" + _CROSSING.sub(b"**/*", body)
    return b"\\" + body if body.startswith((b"!", b"#")) else body


class _Regexes(PatternSet):
    """A pattern set of regular expressions, which match anywhere in a path unless they are anchored."""

    __slots__ = ("_any", "_regexes")

    def __init__(self, regexes: Sequence[tuple[Pattern, bytes]]) -> None:
        super().__init__(())
        compiled = [(pattern, body, _compiled(body)) for pattern, body in regexes]
        self._regexes = [(pattern, regex) for pattern, _, regex in compiled if regex is not None]
        self.patterns = tuple(pattern for pattern, _ in self._regexes)
        self._any = _compiled(b"|".join(b"(?:%b)" % body for _, body, regex in compiled if regex is not None))
        self.prefilter = Prefilter(path_test=self._may_match if self.patterns else None, path_heads=(b"",))

    def last_match(self, name: bytes, path: bytes, is_dir: bool) -> Pattern | None:
        """Return the first expression that matches; a directory also matches if everything in it must."""
        if not self._may_match(path) and not (is_dir and self._may_match(path + b"/")):
            return None
        for pattern, regex in self._regexes:
            if regex.search(path) or (is_dir and b"$" not in pattern.text and regex.search(path + b"/")):
                return pattern
        return None

    def _may_match(self, path: bytes) -> bool:
        return self._any is None or self._any.search(path) is not None


def _compiled(body: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = 1 << 20
    options.never_capture = True
    try:
        return re2.compile(body, options)
    except re2.error:
        return None
    finally:
        re2.purge()  # otherwise re2's cache keeps the memory of 128 regexes
