"""One run of ``codeindex``: what every command needs, and the exit codes."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from codeindexd.cli.path_filters import from_here
from codeindexd.cli.terminal import Terminal, safe
from codeindexd.client.core import PathLike, absolute, no_current_directory
from codeindexd.client.sync import Client
from codeindexd.errors import FailedError, UsageError

if TYPE_CHECKING:
    from codeindexd.cli.progress import ProgressLine
    from codeindexd.client.aio import AsyncClient

DONE, NOTHING, FAILED = 0, 1, FailedError.exit_code
SHOW_AFTER_S = 0.3
"""For anything shorter, a progress line would only flash up."""


class Run:
    """One run of the program: its arguments, environment and terminal."""

    def __init__(self, args: argparse.Namespace, environ: Mapping[str, str], terminal: Terminal) -> None:
        self.args = args
        self.environ = environ
        self.terminal = terminal
        self._printed_notes: set[str] = set()

    @property
    def cwd(self) -> str:
        """The current directory, with symlinks resolved. Raises UsageError if it was deleted."""
        try:
            return os.getcwd()  # noqa: PTH109 - pathlib costs a fifth of a search's time
        except FileNotFoundError:
            raise no_current_directory() from None

    @property
    def shown_cwd(self) -> str:
        """The directory that printed paths are relative to; "" if it was deleted, so that paths are absolute."""
        try:
            return self.cwd
        except UsageError:
            return ""

    @property
    def here(self) -> str:
        """The PATH argument, or the current directory; the daemon finds the root that contains it."""
        return self.cwd if self.args.path is None else str(self.args.path)

    def client(self) -> Client:
        """Return a client that starts the daemon if needed, unless the user forbids it."""
        return Client(start=self._may_start, environ=self.environ, note=self._note_once)

    def async_client(self) -> AsyncClient:
        """Return an asynchronous client that starts the daemon if needed, unless the user forbids it."""
        from codeindexd.client.aio import AsyncClient

        return AsyncClient(start=self._may_start, environ=self.environ, note=self._note_once)

    @property
    def _may_start(self) -> bool:
        return not self.args.no_start and self.environ.get("CODEINDEX_NO_START", "") in {"", "0"}

    def _note_once(self, text: str) -> None:
        if text not in self._printed_notes:
            self._printed_notes.add(text)
            self.terminal.note(safe(text))

    def indexing(self, path: PathLike, *, show_after_s: float = 0.0) -> AbstractContextManager[ProgressLine]:
        """Return a context with a progress line, for waiting until ``path`` is indexed.

        The line is shown once the block has run for ``show_after_s`` seconds.
        """
        import shlex

        stop = f"codeindex pause {shlex.quote(absolute(path))}"
        text = f"indexing continues in the background; to stop it: {stop}"
        return self._progress_line(path, text, show_after_s=show_after_s)

    def verifying(self, path: PathLike) -> AbstractContextManager[ProgressLine]:
        """Return a context with a progress line, for waiting until ``path`` is verified."""
        text = "the verification was stopped; the index goes on as before"
        return self._progress_line(path, text, show_after_s=SHOW_AFTER_S)

    @contextlib.contextmanager
    def _progress_line(self, path: PathLike, when_interrupted: str, *, show_after_s: float) -> Iterator[ProgressLine]:
        from codeindexd.cli.progress import ProgressLine, interruptible

        is_shown = self.terminal.live and not self.args.json
        line = ProgressLine(self.terminal, absolute(path), is_shown=is_shown, show_after_s=show_after_s)
        with interruptible(self.terminal, line, safe(when_interrupted)):
            yield line

    def show(self, result: Any, render_text: Callable[[], None]) -> None:
        """Print ``result`` as JSON with ``--json``; otherwise call ``render_text``."""
        if self.args.json:
            self.terminal.print(json.dumps(result))
        else:
            render_text()

    def roots_to_search(self) -> Sequence[str] | None:
        """Return the roots that the options name, or else the one around the current directory; None for all."""
        return None if self.args.all else self.args.roots or [self.cwd]

    def path_filters(self) -> list[str]:
        """Return the globs of ``--path``, with those from the current directory on made absolute."""
        return [from_here(glob, names_what_is_here=not (self.args.all or self.args.roots)) for glob in self.args.globs]

    def print_notes(self, result: Mapping[str, Any]) -> None:
        """Print the notes of a result to standard error."""
        for note in result.get("notes", []):
            self.terminal.note(f"note: {safe(note)}")

    def print_notes_and_state(self, result: Mapping[str, Any]) -> None:
        """Print the notes of a result, and one on its state, unless a note names the root that is missing."""
        self.print_notes(result)
        state = result.get("state", "fresh")
        if state == "missing":
            if not any(" is missing: " in note for note in result.get("notes", [])):
                self.terminal.note("note: an indexed directory is missing; for details: codeindex status")
        elif state == "indexing":
            self.terminal.note("note: files are still being indexed, and may be missing; for details: codeindex status")
        elif state != "fresh":
            self.terminal.note(f"note: the index may differ from the disk ({state}); for details: codeindex status")
