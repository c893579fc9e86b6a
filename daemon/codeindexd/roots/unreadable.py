"""The paths below a root that cannot be read. No event says when they can be, so they are looked at again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from codeindexd.indexing.problems import RootProblem
from codeindexd.scan.relpath import Batch, collapse, is_covered
from codeindexd.waiting import Gate


class Unreadable:
    """The paths that the last scans could not read, with the error of each."""

    def __init__(self) -> None:
        self._errors: dict[bytes, str] = {}
        self._not_empty = Gate(is_open=False)

    def update(self, below: Sequence[bytes], errors: Iterable[tuple[bytes, str]]) -> None:
        """Record that a scan of everything under ``below`` met these errors and no others."""
        self._errors = {path: error for path, error in self._errors.items() if not is_covered(path, below)}
        self._errors.update(errors)
        if self._errors:
            self._not_empty.open()
        else:
            self._not_empty.close()

    @property
    def paths(self) -> Batch:
        """Where to look again."""
        return collapse(self._errors)

    @property
    def problem(self) -> RootProblem | None:
        """What to tell the user; None when everything can be read."""
        if not self._errors:
            return None
        path = min(self._errors)
        more = f" and {len(self._errors) - 1} more" if len(self._errors) > 1 else ""
        return RootProblem(
            f"{os.fsdecode(path) or '.'}: {self._errors[path]}{more}",
            "check the permissions and the disk; it is read again by itself",
        )

    async def wait(self) -> None:
        """Wait until there is something unreadable."""
        await self._not_empty.wait()
