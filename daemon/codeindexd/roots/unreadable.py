"""What below a root cannot be read, until it can be: nothing announces that, so it is looked at again and again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import anyio

from codeindexd.scan.relpath import Batch, collapse


class Unreadable:
    """Paths that the last looks could not read, with the error of each."""

    def __init__(self) -> None:
        self._errors: dict[bytes, str] = {}
        self._some = anyio.Event()

    def looked(self, below: Sequence[bytes], errors: Iterable[tuple[bytes, str]]) -> None:
        """A scan of everything below ``below`` met these errors and no others."""
        self._errors = {path: error for path, error in self._errors.items() if not _is_below(path, below)}
        self._errors.update(errors)
        if self._errors:
            self._some.set()
        elif self._some.is_set():  # otherwise somebody waits for the present one
            self._some = anyio.Event()

    @property
    def paths(self) -> Batch:
        """Where to look again."""
        return collapse(self._errors)

    @property
    def problem(self) -> tuple[str, str]:
        """What to tell the user, and what to do about it; "" when everything can be read."""
        if not self._errors:
            return "", ""
        path = min(self._errors)
        more = f" and {len(self._errors) - 1} more" if len(self._errors) > 1 else ""
        hint = "check permissions and disk; it is looked at again and again"
        return f"{os.fsdecode(path) or '.'}: {self._errors[path]}{more}", hint

    async def wait(self) -> None:
        """Wait until there is something unreadable."""
        await self._some.wait()


def _is_below(path: bytes, tops: Sequence[bytes]) -> bool:
    return any(not top or path == top or path.startswith(top + b"/") for top in tops)
