#!/usr/bin/env python3
"""Put a real daemon through every fault there is a way to make, one after the other, and print what came of it.

    python tests/endurance/faults.py [--only WORDS] [--repeat N]

Exit status 1 when a fault was not spoken of, when answers stopped that should have gone on, when recovery took longer
than promised or left a difference.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "daemon")]

from support.fault_cases import FAULTS  # noqa: E402
from support.faults import suffer, why_not  # noqa: E402


def main() -> int:
    """Exit status 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults whose name holds these words")
    parser.add_argument("--repeat", type=int, default=1, help="how often each")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # mounts and limits of the machine are put back then, too
    if missing := why_not():
        parser.error(missing)
    wrong = 0
    for fault in [fault for fault in FAULTS if chosen.only in fault.name] * chosen.repeat:
        began = time.monotonic()
        try:
            outcome = suffer(fault)
        except (AssertionError, OSError, KeyError, subprocess.SubprocessError) as error:
            traceback.print_exc()
            wrong += 1
            print(f"{fault.name:<42} FAILED after {time.monotonic() - began:.0f} s: {str(error)[:200]}", flush=True)
            continue
        bad = (
            bool(outcome.differences) or outcome.recovery_s > fault.bound_s or (fault.answers and not outcome.answered)
        )
        wrong += bad
        print(
            f"{fault.name:<42} {outcome.recovery_s:6.1f} s  answered {'yes' if outcome.answered else 'no':<3} "
            f"differences {len(outcome.differences)}{'  WRONG' if bad else ''}  said: {outcome.said}",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
