"""Damage every file of a stopped daemon in every way, start it, and see whether it notices.

    python tests/endurance damage [--seed N] [--rounds 2]

A round damages each kind of file in each way, after a clean shutdown or a kill, and flips several bits of each. After
each damage: start, wait, verify. Exit status 1 if damage goes unnoticed or costs anything that was not damaged.
"""

from __future__ import annotations

import argparse
import random
import time

from endurance.crash.damage import KINDS, Harm, store_of
from endurance.crash.damaging import OUTCOMES, Damager, damager

_FLIPS = 3
_AGED_EVERY = 8


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--only", default="", help="stores whose name holds this")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    began = time.monotonic()
    with damager(seed=arguments.seed) as running:
        try:
            for _ in range(arguments.rounds):
                _round(running, arguments.only, began + 60 * arguments.minutes)
        finally:
            _report(running, time.monotonic() - began)
    return 1 if running.differences else 0


def _round(running: Damager, only: str, until: float) -> None:
    wanted = {(kind, turn) for kind in KINDS for turn in range(_FLIPS if kind == "flip a bit" else 1)}
    done: set[tuple[str, str, int]] = set()
    trials = 0
    while True:
        cleanly = running.chance.random() < 0.5
        files = running.stop(cleanly=cleanly)
        left = [
            (file, kind, turn)
            for file in files
            for kind, turn in sorted(wanted)
            if only in store_of(file) and (_meaning(file), kind, turn) not in done
        ]
        if not left or time.monotonic() > until:
            running.harm(Harm("flip a bit", files[0], 0), cleanly=cleanly)
            return
        file, kind, turn = running.chance.choice(left)
        done.add((_meaning(file), kind, turn))
        running.harm(Harm(kind, file, running.chance.getrandbits(32)), cleanly=cleanly)
        trials += 1
        if trials % _AGED_EVERY == 0:
            running.age()
        if trials % 10 == 0:
            print(f"  {trials} done, {len(left)} left, {len(running.differences)} differences", flush=True)


def _meaning(file: str) -> str:
    """Return what files with generated names have in common: the store, and the extension."""
    return f"{store_of(file)} {file.rpartition('.')[2] if 'segments' in store_of(file) else ''}"


def _report(running: Damager, seconds: float) -> None:
    print(f"\n{'store':<28}{'tried':>8}" + "".join(f"{outcome:>20}" for outcome in OUTCOMES))
    for store, counts in sorted(running.table.items()):
        print(f"{store:<28}{sum(counts.values()):>8}" + "".join(f"{counts[outcome]:>20}" for outcome in OUTCOMES))
    total = sum(sum(counts.values()) for counts in running.table.values())
    print(f"\n{total} damages, {len(running.differences)} differences in {seconds:.0f} s")
    for difference in running.differences:
        print(f"  {difference[:600]}")
