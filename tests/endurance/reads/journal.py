"""A record of what each file held at which time, so that every hit can be judged."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Version:
    """The bytes of a file (None: no file) and the longest time (monotonic seconds) in which they may have been read."""

    data: bytes | None
    since: float
    until: float = math.inf


class Journal:
    """The versions of every file. Writers of different files may log at the same time."""

    def __init__(self) -> None:
        self._versions: dict[str, list[Version]] = {}
        self._guard = threading.Lock()

    @contextmanager
    def change(self, files: Mapping[str, bytes | None]) -> Iterator[None]:
        """Record that the files change to these bytes within the block, in whatever steps."""
        began = time.monotonic()
        with self._guard:
            before = {path: self._versions.get(path, [])[-1:] for path in files}
            for path, data in files.items():
                self._versions.setdefault(path, []).append(Version(data, began))
        yield
        ended = time.monotonic()
        for versions in before.values():
            for version in versions:
                version.until = ended

    def falsehood(self, hit: Mapping[str, Any], sent: float, received: float) -> str:
        """Return why a hit was never true between request and answer, or "" if it was."""
        with self._guard:
            versions = list(self._versions.get(hit["path"], ()))
        there = [one for one in versions if one.data is not None and one.since <= received and one.until >= sent]
        reasons = {_difference(one.data or b"", hit) for one in there}
        if "" in reasons:
            return ""
        ever = any(_difference(one.data, hit) == "" for one in versions if one.data is not None)
        return f"{sorted(reasons) or 'no such file then'}{', but at another time' if ever else ''}"


def _difference(data: bytes, hit: Mapping[str, Any]) -> str:
    start, end = hit["start_byte"], hit["end_byte"]
    if data[start:end].decode() != hit["snippet"]:
        return "another text"
    first = data.count(b"\n", 0, start) + 1
    last = data.count(b"\n", 0, end - 1) + 1
    if (hit["start_line"], hit["end_line"]) != (first, last):
        return f"lines {hit['start_line']}-{hit['end_line']} instead of {first}-{last}"
    return ""
