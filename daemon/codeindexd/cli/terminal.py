"""What is written to where: colour and progress on terminals only, nothing that could steer one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TextIO

# Escape sequences in a source file must not reach the terminal; what would act is shown as a visible stand-in.
_SAFE = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_SAFE |= {0x7F: "\u2421", **dict.fromkeys(range(0x80, 0xA0), "\ufffd")}
_SAFE |= dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd")  # text that runs backwards
_SAFE[0x0D] = ""

_CODES = {
    "path": "35",
    "symbol": "36",
    "dim": "2",
    "match": "1;31",
    "good": "32",
    "warn": "33",
    "bad": "31",
    "bold": "1",
}


class Terminal:
    """Standard output and error of one run."""

    def __init__(self, out: TextIO, err: TextIO, environ: Mapping[str, str]) -> None:
        self._out = out
        self._err = err
        plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        self.colour = out.isatty() and not plain
        self.live = err.isatty() and environ.get("TERM") != "dumb"
        self.full_screen = out.isatty() and environ.get("TERM") != "dumb"
        self._line_shown = False

    @classmethod
    def standard(cls, environ: Mapping[str, str]) -> Terminal:
        """Of this process; paths that are not UTF-8 are written as the bytes they are."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="surrogateescape" if stream is sys.stdout else "backslashreplace")
        return cls(sys.stdout, sys.stderr, environ)

    def style(self, kind: str, text: str) -> str:
        """``text`` in the colour of ``kind``."""
        return f"\x1b[{_CODES[kind]}m{text}\x1b[0m" if self.colour and text else text

    def print(self, text: str = "") -> None:
        """A line for standard output."""
        self._out.write(text + "\n")

    def clear(self) -> None:
        """An empty screen; nothing where standard output is no terminal."""
        if self.full_screen:
            self._out.write("\x1b[H\x1b[2J")

    def note(self, text: str) -> None:
        """A line for standard error."""
        self.clear_line()
        self._err.write(text + "\n")
        self._err.flush()

    def line(self, text: str) -> None:
        """The one line on standard error that is updated in place; nothing where that is no terminal."""
        if self.live:
            self._err.write(f"\r\x1b[K{text}")
            self._err.flush()
            self._line_shown = True

    def clear_line(self) -> None:
        """Take that line away."""
        if self._line_shown:
            self._err.write("\r\x1b[K")
            self._err.flush()
            self._line_shown = False

    def flush(self) -> None:
        """Everything printed so far is out."""
        self._out.flush()


def safe(text: str) -> str:
    """``text`` without control characters but tabs and newlines."""
    return text.translate(_SAFE)
