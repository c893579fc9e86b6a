"""What is written to where: colour and progress on terminals only, nothing that could steer one."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
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


_ANY_TEXT = "codeindexd.any_text"


class OutputError(Exception):
    """Standard output takes no more: a full disk, a device that is gone. A closed pipe is a BrokenPipeError."""


class _Nowhere(io.StringIO):
    """In place of a stream that was closed before we began."""

    def write(self, text: str) -> int:
        return len(text)


class Terminal:
    """Standard output and error of one run. What standard error does not take is lost in silence."""

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
        codecs.register_error(_ANY_TEXT, _any_text)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=_ANY_TEXT if stream is sys.stdout else "backslashreplace")
        return cls(sys.stdout or _Nowhere(), sys.stderr or _Nowhere(), environ)

    def style(self, kind: str, text: str) -> str:
        """``text`` in the colour of ``kind``."""
        return f"\x1b[{_CODES[kind]}m{text}\x1b[0m" if self.colour and text else text

    def print(self, text: str = "") -> None:
        """A line for standard output. Raises BrokenPipeError, OutputError."""
        self._show(text + "\n")

    def clear(self) -> None:
        """An empty screen; nothing where standard output is no terminal."""
        if self.full_screen:
            self._show("\x1b[H\x1b[2J")

    def note(self, text: str) -> None:
        """A line for standard error."""
        self.clear_line()
        self._tell(text + "\n")

    def line(self, text: str) -> None:
        """The one line on standard error that is updated in place; nothing where that is no terminal."""
        if self.live:
            self._tell(f"\r\x1b[K{text}")
            self._line_shown = True

    def clear_line(self) -> None:
        """Take that line away."""
        if self._line_shown:
            self._tell("\r\x1b[K")
            self._line_shown = False

    def flush(self) -> None:
        """Everything printed so far is out. Raises BrokenPipeError, OutputError."""
        self._show("", flush=True)

    def give_up(self) -> None:
        """Write nothing more to standard output, not even what it has not taken yet."""
        _discard(self._out)

    def _show(self, text: str, *, flush: bool = False) -> None:
        try:
            self._out.write(text)
            if flush:
                self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.strerror or str(error)) from error

    def _tell(self, text: str) -> None:
        try:
            self._err.write(text)
            self._err.flush()
        except OSError:
            _discard(self._err)


def _discard(stream: TextIO) -> None:
    """Let a stream's descriptor lead nowhere: at its end Python flushes once more, and fails as loudly as before."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _any_text(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes of a path that is not UTF-8 as they are, and what the terminal's encoding lacks as ``\\u65e5``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    if error.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):  # which take no single bytes
        return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
    shown = [bytes([ord(char) - 0xDC00]) if "\udc80" <= char <= "\udcff" else _escaped(char) for char in text]
    return b"".join(shown), error.end


def _escaped(char: str) -> bytes:
    return char.encode("ascii", "backslashreplace")


def safe(text: str) -> str:
    """``text`` without control characters but tabs and newlines."""
    return text.translate(_SAFE)
