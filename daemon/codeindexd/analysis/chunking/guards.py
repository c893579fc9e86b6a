"""What must not be given to a parser: text on which it would crash its process, or cost out of all proportion.

A crash in a grammar's C code cannot be caught, so these tests look at the bytes beforehand. Each of them was met on
generated input; ordinary files are far below every limit.
"""

from __future__ import annotations

import re

import numpy as np

from codeindexd.analysis.chunking.lines import Lines

MAX_DEPTH = 1000  # open brackets; error recovery overflows the C stack somewhere above 100,000
_LONG_LINES = 400  # bytes a line on average: minified or data, where a tree cannot help, as no line is cut
_SMALL = 4096  # bytes; not worth a test of the line length
_OPENING, _CLOSING = b"([{", b")]}"
_STEP = bytes(1 if byte in _OPENING else 255 if byte in _CLOSING else 0 for byte in range(256))
_YAML_NESTED = re.compile(rb"[-?: \t]{160}")  # its scanner writes out of bounds at 254 levels, one column or more each
_HTML_OPEN, _HTML_MANY = re.compile(rb"<[A-Za-z]"), 3000  # unclosed; every token then costs as many steps


def is_parsable(text: bytes, language: str, lines: Lines) -> bool:
    """Whether a grammar for ``language`` can be trusted with ``text``."""
    if len(text) > _SMALL and len(text) > _LONG_LINES * lines.count:
        return False
    if depth(text) > MAX_DEPTH:
        return False
    if language == "yaml":
        return not _YAML_NESTED.search(text)
    if language in ("html", "php"):
        opened = text.count(b"<")
        return opened < _HTML_MANY or len(_HTML_OPEN.findall(text)) - text.count(b"</") < _HTML_MANY
    return True


def depth(text: bytes) -> int:
    """The most brackets open at once, whatever they mean (in strings and comments too)."""
    if sum(text.count(byte) for byte in (b"(", b"[", b"{")) <= MAX_DEPTH:
        return 0
    steps = np.frombuffer(text.translate(_STEP), np.int8)
    return int(np.cumsum(steps, dtype=np.int32).max())
