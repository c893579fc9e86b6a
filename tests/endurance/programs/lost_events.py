"""Lose events in every possible way, cause storms of them, and print how soon the daemon's tree equals the disk again.

    python tests/endurance lost_events [--files N] [--only WORDS] [--repeat N]

Nothing asks the daemon to scan: it has to notice on its own. During each storm a file is written and a sync called,
which has to include it. Exit status 1 if one does not, if it takes longer than promised, or if a difference remains.
"""

from __future__ import annotations

import argparse
from functools import partial

from endurance.one_by_one import try_each
from endurance.storms import STORMS, Storm, weather, why_not


def main() -> int:
    """Return the exit status: 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=50_000, help="in a storm (50,000)")
    parser.add_argument("--only", default="", help="storms whose name holds these words")
    parser.add_argument("--repeat", type=int, default=1, help="how often each")
    chosen = parser.parse_args()
    if missing := why_not():
        parser.error(missing)
    print(f"{'storm':<36} {'tree right after':>16} {'bound':>8} {'sync beside it':>15}  differences", flush=True)
    storms = [storm for storm in STORMS if chosen.only in storm.name] * chosen.repeat
    return try_each(storms, partial(_attempt, files=chosen.files), width=36)


def _attempt(storm: Storm, files: int) -> tuple[bool, str]:
    calm = weather(storm, files)
    late = calm.settled_s > storm.bound_s
    return not (calm.differences or late), (
        f"{calm.settled_s:14.1f} s {storm.bound_s:6g} s {calm.sync_s:13.1f} s "
        f" {len(calm.differences)}{'  LATE' if late else ''}"
    )
