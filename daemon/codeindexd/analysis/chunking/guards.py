"""Detects text on which a parser would crash its process or take disproportionately long.

A crash in a grammar's C code cannot be caught, so the bytes are checked beforehand. Each case occurred with generated
input; ordinary files are far below all limits.
"""

from __future__ import annotations

import re

import numpy as np

from codeindexd.analysis.chunking.lines import Lines

MAX_DEPTH = 1000  # open brackets; error recovery overflows the C stack somewhere above 100,000
_MAX_MEAN_LINE_BYTES = 400  # longer lines mean minified code or data, where a tree does not help: lines are not cut
_SMALL_BYTES = 4096  # in smaller files, line lengths do not matter
_OPENING, _CLOSING = b"([{", b")]}"
_STEP = bytes(1 if byte in _OPENING else 255 if byte in _CLOSING else 0 for byte in range(256))
_YAML_NESTED = re.compile(
    rb"[-?: \t]{160}"
)  # the scanner writes out of bounds at 254 levels of at least one column each
_HTML_OPEN = re.compile(rb"<[A-Za-z]")
_MAX_HTML_OPEN = 3000  # unclosed elements; each token takes as many steps as there are of them


def is_parsable(text: bytes, language: str, lines: Lines) -> bool:
    """Return True if a grammar of ``language`` can safely parse ``text``."""
    if len(text) > _SMALL_BYTES and len(text) > _MAX_MEAN_LINE_BYTES * lines.count:
        return False
    if depth(text) > MAX_DEPTH:
        return False
    if language == "yaml":
        return not _YAML_NESTED.search(text)
    if language in ("html", "php"):
        opened = text.count(b"<")
        return opened < _MAX_HTML_OPEN or len(_HTML_OPEN.findall(text)) - text.count(b"</") < _MAX_HTML_OPEN
    return True


def depth(text: bytes) -> int:
    """Return the maximum number of open brackets, including those in strings and comments."""
    if sum(text.count(byte) for byte in (b"(", b"[", b"{")) <= MAX_DEPTH:
        return 0
    steps = np.frombuffer(text.translate(_STEP), np.int8)
    return int(np.cumsum(steps, dtype=np.int32).max())
