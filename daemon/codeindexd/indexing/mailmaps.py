"""Finds the mailmap of a work tree or bare repository at each question, so that an edit takes effect at once."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path

from codeindexd.analysis.history.mailmap import FILE_NAME, MOST_BYTES, NO_MAILMAP, Mailmap
from codeindexd.scan.safe_read import file_stat, read_beneath
from codeindexd.types import FileStat

_MOST_KEPT = 64


class Mailmaps:
    """A cache of parsed mailmaps. Any thread may call."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._files: OrderedDict[Path, tuple[FileStat, Mailmap]] = OrderedDict()
        self._contents: OrderedDict[bytes, Mailmap] = OrderedDict()

    def of_work_tree(self, top: Path) -> Mailmap:
        """Return the mailmap at the top of a work tree; an empty one if none can be read. Blocking."""
        try:
            stat = file_stat((top / os.fsdecode(FILE_NAME)).lstat())
            with self._mutex:
                kept = self._files.get(top)
            if kept is not None and kept[0] == stat:
                return kept[1]
            found = read_beneath(os.fsencode(top), FILE_NAME, max_bytes=MOST_BYTES)
        except OSError:
            return NO_MAILMAP
        mailmap = Mailmap.parse(found.data) if len(found.data) <= MOST_BYTES else NO_MAILMAP
        if found.steady:
            self._keep(self._files, top, (found.stat, mailmap))
        return mailmap

    def of_content(self, data: bytes) -> Mailmap:
        """Return the mailmap whose file has this content."""
        if not data:
            return NO_MAILMAP
        with self._mutex:
            kept = self._contents.get(data)
        if kept is None:
            kept = Mailmap.parse(data)
            self._keep(self._contents, data, kept)
        return kept

    def _keep(self, kept: OrderedDict, key: object, value: object) -> None:  # type: ignore[type-arg]
        with self._mutex:
            kept[key] = value
            if len(kept) > _MOST_KEPT:
                kept.popitem(last=False)


SHARED = Mailmaps()
