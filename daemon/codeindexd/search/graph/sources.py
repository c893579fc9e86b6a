"""Reads the lines that answers show from the disk, and notices files that have changed since they were indexed."""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

from msgspec import Struct

from codeindexd.analysis import secrets
from codeindexd.analysis.chunking.indexed_text import IndexedText
from codeindexd.analysis.secrets.mask import mentions_key
from codeindexd.search.grep import read_text
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.types import StoredFile

_MAX_LINE = 400  # characters of a line that are shown
_REACH = 400  # lines around its old place in which a moved line is looked for


class ShownLine(Struct, frozen=True):
    """A line on the disk: ``number`` and ``column`` (in bytes) count from 1, ``text`` is stripped and masked."""

    number: int
    column: int
    text: str


class SourceFile:
    """The lines of one file, as they are now."""

    def __init__(self, text: IndexedText | None, *, is_current: bool) -> None:
        self._text = text
        self.is_current = is_current
        self._rows = text.utf8.removesuffix(b"\n").split(b"\n") if text is not None and text.utf8 else []
        self._row_of = (
            {text.source_line(row + 1): row for row in range(len(self._rows))}
            if text is not None and text.cells
            else None
        )
        self._masked: list[bytes] | None = None

    @property
    def text(self) -> bytes:
        """The whole text as UTF-8, b"" if it cannot be read."""
        return self._text.utf8 if self._text is not None else b""

    def text_between(self, first: int, last: int) -> str:
        """Return the lines from ``first`` to ``last``; "" if the file differs from the indexed one."""
        if not self.is_current:
            return ""
        start, end = self._row(first), self._row(last)
        return b"\n".join(self._rows[start : end + 1]).decode("utf-8", "replace") if 0 <= start <= end else ""

    def line(self, number: int, name: str, *, mask_secrets: bool, before: int = 0) -> ShownLine | None:
        """Return the line with ``name`` that was at ``number``; None if it is gone.

        If the line has the name several times, the column is that of the one after ``before`` others.
        """
        row = self._row(number)
        if row < 0:
            return None
        pattern = _word(name)
        if not self.is_current:
            row = self._nearest(row, pattern)
        if not 0 <= row < len(self._rows):
            return None
        starts = [match.start() for match in itertools.islice(pattern.finditer(self._rows[row]), before + 1)]
        raw = self._shown(row) if mask_secrets else self._rows[row]
        line = self._text.source_line(row + 1) if self._text is not None and self._row_of is not None else row + 1
        column = (starts[-1] if starts else len(raw) - len(raw.lstrip())) + 1
        return ShownLine(line, column, raw.decode("utf-8", "replace").strip()[:_MAX_LINE])

    def _row(self, number: int) -> int:
        return number - 1 if self._row_of is None else self._row_of.get(number, -1)

    def _nearest(self, row: int, pattern: re.Pattern[bytes]) -> int:
        """Return the row with a match that is nearest to ``row``; -1 if there is none."""
        first, last = max(0, row - _REACH), min(len(self._rows), row + _REACH)
        rows = [other for other in range(first, last) if pattern.search(self._rows[other])]
        return min(rows, key=lambda other: abs(other - row), default=-1)

    def _shown(self, row: int) -> bytes:
        """Return a row with its secrets masked; a private key is recognised only in the whole text."""
        if self._masked is None:
            text = b"\n".join(self._rows)
            self._masked = secrets.mask(text).split(b"\n") if mentions_key(text) else []
        return self._masked[row] if self._masked else secrets.mask(self._rows[row])


class Sources:
    """The files of one root that a query has read. Blocking."""

    def __init__(self, root: SearchableRoot, *, mask_secrets: bool) -> None:
        self._root = root
        self._mask_secrets = mask_secrets
        self._files: dict[int, SourceFile] = {}
        self._changed: set[bytes] = set()

    def read(self, file: StoredFile) -> SourceFile:
        """Return a file as it is now. Raises FailedError when the process can read no file at all."""
        found = self._files.get(file.file_id)
        if found is None:
            read = read_text(self._root.spec.raw, file)
            found = self._files[file.file_id] = SourceFile(read.text, is_current=read.is_current)
            if not read.is_current:
                self._changed.add(file.entry.path)
        return found

    def line(self, file: StoredFile, number: int, name: str, *, before: int = 0) -> ShownLine | None:
        """Return the line with ``name`` that was at ``number``, as :meth:`SourceFile.line` does."""
        return self.read(file).line(number, name, mask_secrets=self._mask_secrets, before=before)

    @property
    def changed(self) -> list[bytes]:
        """The paths of the files read that differ from what is indexed, sorted."""
        return sorted(self._changed)

    def report_changes(self) -> None:
        """Request a scan of the files that differ from what is indexed."""
        if self._changed:
            self._root.hint_from_thread(self._changed)


@lru_cache(maxsize=1024)
def _word(name: str) -> re.Pattern[bytes]:
    """Return the pattern of ``name`` as a whole word; before the ``=`` of a setter of Ruby there may be blanks."""
    if name.endswith("=") and name[:-1].isidentifier():
        return re.compile(rb"(?<![\w$])" + name[:-1].encode("utf-8", "replace") + rb"\s*=")
    escaped = re.escape(name.encode("utf-8", "replace"))
    return re.compile(rb"(?<![\w$])" + escaped + rb"(?![\w$])")
