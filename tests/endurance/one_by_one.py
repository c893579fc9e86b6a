"""Runs many cases on the real machine, one after the other, and continues when one fails."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Case(Protocol):
    """One case; ``name`` identifies it in the report."""

    @property
    def name(self) -> str: ...


C = TypeVar("C", bound=Case)


def try_each(cases: Iterable[C], attempt: Callable[[C], tuple[bool, str]], *, width: int) -> int:
    """Run all cases, print one line for each, and return the exit status: 1 if one raised or failed.

    ``attempt`` gives (whether it went right, what to say). A termination from outside unwinds as an exit does, so that
    mounts and limits of the machine are put back.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wrong = 0
    for case in cases:
        began = time.monotonic()
        try:
            right, said = attempt(case)
        except (AssertionError, OSError, KeyError, subprocess.SubprocessError) as error:
            traceback.print_exc()
            right, said = False, f"FAILED after {time.monotonic() - began:.0f} s: {str(error)[:200]}"
        wrong += not right
        print(f"{case.name:<{width}} {said}", flush=True)
    return 1 if wrong else 0
