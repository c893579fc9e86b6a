"""Writes to standard output and error: colour and progress only on terminals, no control characters from files."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Mapping
from typing import TextIO

from codeindexd.errors import UsageError
from codeindexd.protocol.printable import safe as safe
from codeindexd.protocol.printable import safe_line as safe_line
from codeindexd.quantities import quantity

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

_DEFAULT_COLUMNS = 80
_VTE_WITH_LINKS = 5000  # VTE is the library of the terminals of GNOME, XFCE and others
_ANY_TEXT = "codeindexd.any_text"


class OutputError(Exception):
    """Standard output cannot be written, for example on a full disk. (For a closed pipe, BrokenPipeError is raised.)"""


class _ClosedStream(io.StringIO):
    """A substitute for a stream that was closed before the program started."""

    def write(self, text: str) -> int:
        return len(text)


class Terminal:
    """Standard output and error. Errors in writing to standard error are ignored."""

    def __init__(self, out: TextIO, err: TextIO, environ: Mapping[str, str]) -> None:
        self._out = out
        self._err = err
        plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        self.colour = out.isatty() and not plain
        self.links = self.colour and _shows_links(environ)
        self.live = err.isatty() and environ.get("TERM") != "dumb"
        self.full_screen = out.isatty() and environ.get("TERM") != "dumb"
        self._line_shown = False
        self._columns = environ.get("COLUMNS", "")
        self._lines = environ.get("LINES", "")

    @property
    def width(self) -> int:
        """The present number of columns of the terminal at standard error."""
        return self._columns_of(self._err)

    @property
    def out_width(self) -> int:
        """The present number of columns of the terminal at standard output."""
        return self._columns_of(self._out)

    def _columns_of(self, stream: TextIO) -> int:
        try:
            return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_COLUMNS
        except (OSError, ValueError):
            return int(self._columns) if self._columns.isdecimal() and int(self._columns) else _DEFAULT_COLUMNS

    @classmethod
    def standard(cls, environ: Mapping[str, str]) -> Terminal:
        """Return the terminal of this process, and set the error handlers of its streams.

        Standard output then writes paths that are not UTF-8 as their bytes, standard error writes them with escapes.
        """
        codecs.register_error(_ANY_TEXT, _any_text)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=_ANY_TEXT if stream is sys.stdout else "backslashreplace")
        return cls(sys.stdout or _ClosedStream(), sys.stderr or _ClosedStream(), environ)

    @classmethod
    def silent(cls) -> Terminal:
        """Return a terminal that shows nothing."""
        return cls(_ClosedStream(), _ClosedStream(), {})

    def confirm(self, question: str, alternative: str) -> bool:
        """Ask a question on standard error; return True for yes.

        Raises UsageError with the hint ``alternative`` where nobody can be asked.
        """
        if sys.stdin is None or not sys.stdin.isatty():
            raise UsageError("cannot ask for confirmation without a terminal", hint=alternative)
        self.note(f"{question} [y/N]")
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def set_colour(self, when: str) -> None:
        """Use colour ``always``, ``never``, or ``auto``: if standard output is a terminal that can show it."""
        if when != "auto":
            self.colour = when == "always"
            self.links = self.links and self.colour

    def link(self, path: str, text: str) -> str:
        """Return ``text`` as a hyperlink (OSC 8) to the file ``path``; unchanged if the terminal may not show links."""
        if not self.links:
            return text
        import socket
        from urllib.parse import quote

        target = f"file://{quote(socket.gethostname())}{quote(path, errors='surrogateescape')}"
        return f"\x1b]8;;{target}\x1b\\{text}\x1b]8;;\x1b\\"

    def style(self, kind: str, text: str) -> str:
        """Return ``text`` in the colour of ``kind``, a key of ``_CODES``; unchanged if colour is off."""
        return f"\x1b[{_CODES[kind]}m{text}\x1b[0m" if self.colour and text else text

    def print(self, text: str = "") -> None:
        """Print a line to standard output. Raises BrokenPipeError, OutputError."""
        self._write_out(text + "\n")

    def show_screen(self, text: str) -> None:
        """Print ``text`` in place of what is on the screen, without the lines for which it is too small.

        All of it if standard output is no terminal.
        """
        if not self.full_screen:
            self._write_out(text, flush=True)
            return
        import re

        from codeindexd.cli.columns import fitting_lines, width_of

        lines = text.splitlines()
        widths = [width_of(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines]
        # the cursor stands in a row of its own below the last line
        kept = fitting_lines(widths, self.out_width, self._rows - 1) if self._rows else len(lines)
        left = len(lines) - kept
        more = [self.style("dim", f"{quantity(left, 'more line')}: enlarge the window")] if left else []
        self._write_out("\x1b[H\x1b[2J" + "".join(f"{line}\n" for line in lines[:kept] + more), flush=True)

    @property
    def _rows(self) -> int:
        """The present number of rows of the terminal at standard output; 0 if it is unknown."""
        try:
            return os.get_terminal_size(self._out.fileno()).lines
        except (OSError, ValueError):
            return int(self._lines) if self._lines.isdecimal() else 0

    def recorder(self) -> tuple[Terminal, io.StringIO]:
        """Return a terminal with the colours of this one, and the text that is printed to it."""
        text = io.StringIO()
        recorder = Terminal(text, _ClosedStream(), {"COLUMNS": str(self.out_width)})
        recorder.colour = self.colour
        return recorder, text

    def note(self, text: str) -> None:
        """Print a line to standard error."""
        self.clear_line()
        self._write_err(text + "\n")

    def line(self, text: str) -> None:
        """Update the progress line on standard error, if that is a terminal."""
        if self.live:
            self._write_err(f"\r\x1b[K{text}")
            self._line_shown = True

    def clear_line(self) -> None:
        """Remove the progress line."""
        if self._line_shown:
            self._write_err("\r\x1b[K")
            self._line_shown = False

    def flush(self) -> None:
        """Flush standard output. Raises BrokenPipeError, OutputError."""
        self._write_out("", flush=True)

    def discard_output(self) -> None:
        """Discard everything that is not yet written to standard output, and all later output."""
        _discard(self._out)

    def _write_out(self, text: str, *, flush: bool = False) -> None:
        try:
            self._out.write(text)
            if flush:
                self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.strerror or str(error)) from error

    def _write_err(self, text: str) -> None:
        try:
            self._err.write(text)
            self._err.flush()
        except OSError:
            _discard(self._err)


def _shows_links(environ: Mapping[str, str]) -> bool:
    """Return True for terminals that are known to show hyperlinks; others may print the target as text.

    If ``FORCE_HYPERLINK`` is set, it decides, as in other programs: 0 means no.
    """
    if forced := environ.get("FORCE_HYPERLINK", ""):
        return forced != "0"
    if any(environ.get(name) for name in ("KITTY_WINDOW_ID", "WT_SESSION", "KONSOLE_VERSION", "DOMTERM")):
        return True
    version = environ.get("VTE_VERSION", "")
    return (
        (version.isdecimal() and int(version) >= _VTE_WITH_LINKS)
        or environ.get("TERM_PROGRAM") in {"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "rio"}
        or environ.get("TERM", "").startswith(("xterm-kitty", "alacritty", "foot", "contour", "xterm-ghostty"))
    )


def _discard(stream: TextIO) -> None:
    """Redirect a stream to the null device, since Python flushes it again at exit and would fail again."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, stream.fileno())
        os.close(null)


def _any_text(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode surrogate escapes as their bytes, characters that the encoding lacks as escapes such as ``\\u65e5``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    if error.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):  # cannot hold single bytes
        return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
    shown = [bytes([ord(char) - 0xDC00]) if "\udc80" <= char <= "\udcff" else _escaped(char) for char in text]
    return b"".join(shown), error.end


def _escaped(char: str) -> bytes:
    return char.encode("ascii", "backslashreplace")
