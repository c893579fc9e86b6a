"""How messages, changes and members are encoded: compressed, and in numbers of variable length."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.analysis.history.record import ChangeKind

Numbers = NDArray[np.int32]

_KINDS = tuple(ChangeKind)
_RENAMED = _KINDS.index(ChangeKind.RENAMED)
_WORDS = (
    b"Dependabot will resolve any conflicts with this PR as long as you don't alter it yourself. You can a"
    b"lso trigger a rebase manually by commenting `@dependabot rebase`.\n\n[//]: # (dependabot-automerge-sta"
    b"rt)\n[//]: # (dependabot-automerge-end)\n\n---\n\n<details>\n<summary>Dependabot commands and options</sum"
    b"mary>\n<br />\n\nYou can trigger Dependabot actions by commenting on this PR:\n- `@dependabot rebase` wi"
    b"ll rebase this PR\n- `@dependabot recreate` will recreate this PR, overwriting any edits\nthat have be"
    b"en made to it\n- `@dependabot show <dependency name> ignore conditions` will show all of\nthe ignore c"
    b"onditions of the specified dependency\n- `@dependabot ignore this major version` will close this PR a"
    b"nd stop\nDependabot creating any more for this minor version (unless you reopen\nthe PR or upgrade to "
    b"it yourself)\n</details>\n\n[![Dependabot compatibility\nscore](https://dependabot-badges.githubapp.com/"
    b"badges/compatibility_score?dependency-name=&package-manager=pip&previous-version=&new-version=)](htt"
    b"ps://docs.github.com/en/github/managing-security-vulnerabilities/about-dependabot-security-updates#a"
    b"bout-compatibility-scores)\n\ndependency-type: direct:production direct:development update-type: versi"
    b"on-update:semver-patch semver-minor\n<li>See full diff in <a\nhref=\"https://github.com/compare/v...v\">"
    b"compare\nview</a></li>\n</ul>\n</details>\n<br />\n<li>Additional commits viewable in <a href=\"https://re"
    b"direct.github.com/issues/\">#1</a> <code></code><li><a\nhref=\"https://github.com/commit/\"><code></code"
    b"></a>\n<details>\n<summary>Release notes</summary>\n<p><em>Sourced from <a\nhref=\"https://github.com/rel"
    b"eases\">'s\nreleases</a>.</em></p>\n<blockquote>\n<h2>What's Changed</h2>\n<ul>\n<li> by <a\n</ul>\n</blockq"
    b"uote>\n</details>\n<details>\n<summary>Changelog</summary>\n<p><em>Sourced from <a\nhref=\"https://github."
    b"com/blob/master/CHANGELOG.md\">'s\nchangelog</a>.</em></p>\n<details>\n<summary>Commits</summary>\n<ul>\nB"
    b"umps [](https://github.com/) from to .\nCo-authored-by: Co-Authored-By: Tested-by: Suggested-by: Cc: "
    b"stable@vger.kernel.org Link: https://lore.kernel.org/ Fixes: Acked-by: Reported-by: Reviewed-by: Sig"
    b"ned-off-by: Closes: (cherry picked from commit Change-Id: IMerge branch 'master' of https://github.c"
    b"om/ into Merge pull request #1 from Bump from to Update This reverts commit deprecated documentation"
    b" release notes changelog version dependencies configuration function method instead of because shoul"
    b"d return value default argument parameter when using with the Added support for Removed unused Fixed"
    b" Refs #  -- Improved Thanks to for the report and review. Backport of from main. from master. Regres"
    b"sion in Fix typo in docs. Fix bug where Fix test failure Add tests for Refactor feat: fix: docs: cho"
    b"re: refactor: test: ci: build: This was caused by This change makes it possible to allow "
)  # fmt: skip


def pack_message(text: str) -> bytes:
    """Return a message as bytes: most are short, so a dictionary of usual words makes compressing worth it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=_WORDS)
    return compressor.compress(text.encode("utf-8", "surrogatepass")) + compressor.flush()


def unpack_message(data: bytes) -> str:
    """Return a packed message. Raises zlib.error, UnicodeError for damaged data."""
    decompressor = zlib.decompressobj(-15, zdict=_WORDS)
    text = decompressor.decompress(data)
    if not decompressor.eof:
        text += decompressor.flush()
    return text.decode("utf-8", "surrogatepass")


class PackedChange(Struct, frozen=True):
    """A change whose paths and names are numbers in the tables; ``added`` and ``removed`` are -1 if not counted."""

    path: int
    kind: ChangeKind
    added: int
    removed: int
    old_path: int
    names: tuple[int, ...]


def pack_changes(changes: Iterable[PackedChange]) -> bytes:
    """Return changes as bytes."""
    out = bytearray()
    previous = 0
    for change in changes:
        _put(out, _zigzag(change.path - previous))
        previous = change.path
        _put(out, len(change.names) << 3 | _KINDS.index(change.kind))
        _put(out, change.added + 1)
        _put(out, change.removed + 1)
        if change.kind is ChangeKind.RENAMED:
            _put(out, change.old_path)
        before = 0
        for name in change.names:
            _put(out, _zigzag(name - before))
            before = name
    return bytes(out)


def unpack_changes(data: bytes) -> list[PackedChange]:
    """Return packed changes. Raises IndexError for damaged data."""
    found = []
    at = path = 0
    while at < len(data):
        step, at = _take(data, at)
        path += _unzigzag(step)
        head, at = _take(data, at)
        added, at = _take(data, at)
        removed, at = _take(data, at)
        old_path = 0
        if head & 7 == _RENAMED:
            old_path, at = _take(data, at)
        names, name = [], 0
        for _ in range(head >> 3):
            step, at = _take(data, at)
            name += _unzigzag(step)
            names.append(name)
        found.append(PackedChange(path, _KINDS[head & 7], added - 1, removed - 1, old_path, tuple(names)))
    return found


def pack_members(numbers: Sequence[int] | Numbers) -> bytes:
    """Return numbers of commits, in their order, as bytes; runs of successive numbers take next to nothing."""
    array = np.asarray(numbers, dtype=np.int32)
    return zlib.compress(np.diff(array, prepend=np.int32(0)).astype("<i4").tobytes(), 3)


def unpack_members(data: bytes) -> Numbers:
    """Return packed numbers. Raises zlib.error, ValueError for damaged data."""
    return np.cumsum(np.frombuffer(zlib.decompress(data), dtype="<i4"), dtype=np.int32)


def _put(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _take(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at``, and the offset after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _unzigzag(value: int) -> int:
    return value >> 1 if not value & 1 else -((value + 1) >> 1)
