"""Kill the real daemon many times, at random moments and at every named step, and check every start.

    python tests/endurance kills [--seed N] [--kills 500]

With enough kills, every named step (``tests/endurance/crash/steps.py``) is hit at least five times; at least a quarter
of the kills come at random moments. After each kill: start, sync, verify; no committed vector may be computed again and
no file left behind. Exit status 1 on any difference.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from endurance.crash.harness import Crasher, Tally, crasher
from endurance.crash.steps import STEPS

_TIMES = 5
_TRIES = 4
_WANTED = [f"{store} {where}" for store in ("lexical", "dense") for where in ("behind", "equal", "ahead")]


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--kills", type=int, default=500)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    began = time.monotonic()
    with crasher(seed=arguments.seed) as running:
        try:
            _run(running, arguments.kills)
        except AssertionError as error:
            running.tally.differences.append(str(error))
            print(running.daemon.log[-6000:])
        unmet = _report(running.tally, time.monotonic() - began, full=arguments.kills >= 500)
    return 1 if running.tally.differences or unmet else 0


def _run(running: Crasher, kills: int) -> None:
    tally = running.tally
    wanted = [step.name for step in STEPS for _ in range(_TIMES)]
    running.chance.shuffle(wanted)
    tries: dict[str, int] = {}
    while (done := sum(tally.kills.values())) < kills:
        named = done - tally.kills["a random moment"]
        if wanted and named <= 3 * (done - named):
            step = wanted.pop()
            if not running.kill_at(step) and tries.setdefault(step, 0) < _TRIES:
                tries[step] += 1
                wanted.insert(0, step)
            running.recover(step)
        else:
            running.kill_at_random()
            running.recover("a random moment")
        if done // 50 != sum(tally.kills.values()) // 50:
            print(f"  {sum(tally.kills.values())} kills, {len(tally.differences)} differences", flush=True)


def _report(tally: Tally, seconds: float, *, full: bool) -> list[str]:
    print(f"\n{'step':<28}{'kills':>8}{'not reached':>14}")
    for name in ["a random moment", *(step.name for step in STEPS)]:
        print(f"{name:<28}{tally.kills[name]:>8}{tally.missed[name]:>14}")
    print(f"{'in all':<28}{sum(tally.kills.values()):>8}   and {tally.power_losses} losses of power")
    print("\nwhere the projections stood: " + ", ".join(f"{k} {n}" for k, n in sorted(tally.found.items())))
    print(f"edits: {sum(tally.edits.values())} (" + ", ".join(f"{k} {n}" for k, n in tally.edits.most_common()) + ")")
    for what, times in (("first answer", tally.answered_s), ("synced and verified", tally.synced_s)):
        print(f"{what}: median {statistics.median(times):.2f} s, longest {max(times):.2f} s")
    unmet = [name for name in _WANTED if not tally.found[name]]
    unmet += [step.name for step in STEPS if tally.kills[step.name] < _TIMES]
    if full and unmet:
        print(f"not met often enough: {', '.join(unmet)}")
    print(f"\n{len(tally.differences)} differences in {seconds:.0f} s")
    for difference in tally.differences:
        print(f"  {difference}")
    return unmet if full else []
