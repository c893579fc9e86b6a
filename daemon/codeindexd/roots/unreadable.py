"""The paths below a root that cannot be read. No event reports when they can be, so they are scanned again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from codeindexd.indexing.problems import RootProblem
from codeindexd.scan.relpath import Batch, collapse, is_covered
from codeindexd.waiting import Gate


class UnreadablePaths:
    """The paths that the latest scans could not read, with the error of each."""

    def __init__(self) -> None:
        self._errors: dict[bytes, str] = {}
        self._not_empty = Gate(is_open=False)

    def update(self, below: Sequence[bytes], errors: Iterable[tuple[bytes, str]]) -> None:
        """Record that ``errors``, as (path, message), are all errors of a scan of the paths ``below``."""
        self._errors = {path: error for path, error in self._errors.items() if not is_covered(path, below)}
        self._errors.update(errors)
        if self._errors:
            self._not_empty.open()
        else:
            self._not_empty.close()

    @property
    def paths(self) -> Batch:
        """The paths to scan again."""
        return collapse(self._errors)

    @property
    def problem(self) -> RootProblem | None:
        """The problem to report; None if everything can be read."""
        if not self._errors:
            return None
        path = min(self._errors)
        more = f" and {len(self._errors) - 1} more" if len(self._errors) > 1 else ""
        return RootProblem(
            f"{os.fsdecode(path) or '.'}: {self._errors[path]}{more}",
            "check the permissions and the disk; it is read again by itself",
        )

    async def wait(self) -> None:
        """Wait until there is an unreadable path."""
        await self._not_empty.wait()
