"""Apply thousands of random operations to a tree; after each burst of them the index has to equal the disk.

    python tests/endurance operations [--seed N] [--operations N] [--compare-every BURSTS] [--place DIRECTORY]
                                      [--backend watchfiles] [--git FACTOR]
    python tests/endurance operations --seed N --replay BURST

The operations depend on the seed alone. After a difference the exit status is 1, and the output is enough to repeat the
burst: ``--replay`` brings the tree to its state before that burst without a daemon, starts one, and applies the burst.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from endurance.tree_operations import Burst, World, do_burst, favour_git
from endurance.tree_operations.trial import CONFIG, DifferenceError, Trial
from support.daemons import RealDaemon, real_daemon

LONGEST = 30
RESTART_EVERY = 4  # comparisons
NESTED_EVERY = 5  # bursts
PAUSED_EVERY = 7  # bursts


def main() -> int:
    """Return the exit status: 1 on any difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--compare-every", type=int, default=50, metavar="BURSTS")
    parser.add_argument("--replay", type=int, default=0, metavar="BURST")
    parser.add_argument("--backend", default="auto", choices=("auto", "inotify", "watchfiles", "poll"))
    parser.add_argument("--git", type=float, default=1, metavar="FACTOR", help="how much more often git is used")
    parser.add_argument("--place", type=Path, help="where the tree is made (default: a temporary directory)")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    favour_git(chosen.git)
    place = Path(tempfile.mkdtemp(prefix="operations", dir=chosen.place))
    world = World.make(place, chosen.seed)
    try:
        config = f'{CONFIG}backend = "{chosen.backend}"\n'
        with real_daemon(config) as daemon:
            trial = Trial(daemon, world, lambda: real_daemon(config))
            return _run(trial, chosen)
    finally:
        if world.mounted:
            subprocess.run(["umount", "-l", world.root], check=True)
        shutil.rmtree(place)


def _run(trial: Trial, chosen: argparse.Namespace) -> int:
    began = time.monotonic()
    burst = Burst(())
    for _ in range(chosen.replay - 1):
        do_burst(trial.world, _length(trial.world))
    trial.done["bursts"] = max(0, chosen.replay - 1)
    try:
        trial.add()
        while trial.done["operations"] < chosen.operations:
            burst = trial.burst(_length(trial.world))
            number = trial.done["bursts"]
            trial.sync()
            trial.verify()
            trial.check_history()
            trial.check_markers()
            trial.check_grep()
            if number % PAUSED_EVERY == 0:
                burst = trial.check_pause(_length(trial.world))
                trial.sync()
                trial.verify()
                trial.check_markers()
                trial.check_kernel_files()
            if number % NESTED_EVERY == 0:
                trial.check_nested_root()
            if number % chosen.compare_every == 0 or chosen.replay:
                trial.compare()
                if trial.done["compared"] % RESTART_EVERY == 0:
                    _restart(trial.daemon, trial)
                minutes = (time.monotonic() - began) / 60
                print(f"{minutes:6.1f} min {trial.done['operations']:7} operations, equal", flush=True)
            if chosen.replay:
                break
        trial.compare()
    except DifferenceError as error:
        print(f"\nDIFFERENCE\n{error}\n\nin burst {trial.done['bursts']} of seed {chosen.seed}, which was:")
        print(*(f"  {name}" for name in burst.names), sep="\n")
        again = f"--git {chosen.git:g} --seed {chosen.seed} --replay {trial.done['bursts']}"
        print(f"\npython {sys.argv[0]} {again}")
        print("\nthe end of the daemon's log:", trial.daemon.log[-6000:], sep="\n")
        trial.done["differences"] += 1
    _report(trial, time.monotonic() - began)
    return 1 if trial.done["differences"] else 0


def _length(world: World) -> int:
    return world.random.randrange(1, LONGEST + 1)


def _restart(daemon: RealDaemon, trial: Trial) -> None:
    """Stop cleanly, apply operations that nobody sees, start: after a sync they are indexed."""
    if (status := daemon.stop()) != 0:
        raise DifferenceError(f"a clean stop ended with status {status}")
    trial.burst(_length(trial.world))
    daemon.start()
    trial.sync()
    trial.verify()
    trial.done["restarts"] += 1


def _report(trial: Trial, seconds: float) -> None:
    print("\noperation                                    done  refused")
    for name in sorted(trial.world.done.keys() | trial.world.refused.keys()):
        print(f"  {name:<40}{trial.world.done[name]:7}{trial.world.refused[name]:9}")
    print()
    trial.done["differences"] += 0
    for what, count in sorted(trial.done.items()):
        print(f"  {what:<40}{count:7}")
    print(f"  {'seconds':<40}{seconds:7.0f}", flush=True)
