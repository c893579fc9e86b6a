"""Read your own writes, and nothing else: thousands of saves of every kind, each searched at once.

    python tests/endurance reads [--trials 10000] [--seed N] [--clients 4] [--poll]

Each trial changes something and searches with ``sync`` at once, beside other writers, other readers, and another root
that is indexed again and again: the answer must have the new text and must not have the old one. Every hit of every
answer, with ``sync`` or without, must have been true at some time between request and answer. Exit status 1 otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import tempfile
import time
from collections import Counter
from pathlib import Path

from endurance.reads.trials import Trials
from support.daemons import real_daemon


def main() -> int:
    """Return the exit status: 0 if every answer was right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--poll", action="store_true", help="the root is polled, so that every sync walks")
    parser.add_argument("--nice", type=int, default=19, help="of the workers; 0 where others keep the machine busy")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    config = f'[watch]\nbackend = "{"poll" if chosen.poll else "auto"}"\n[workers]\nnice = {chosen.nice}\n'
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cixreads") as base, real_daemon(config) as daemon:
        root = Path(base) / "root"
        root.mkdir()
        daemon.call("roots.add", path=str(root), wait=True)
        trials = Trials(daemon, root, chosen.seed)
        with contextlib.suppress(KeyboardInterrupt):  # what was found so far is told, too
            trials.run(chosen.trials, clients=chosen.clients)
        verified = daemon.call("verify")
        doubts = _doubts(daemon.log)
    for name, count in sorted(trials.counts.items()):
        print(f"  {name:<28}{count:>10}")
    for doubt, count in doubts.most_common():
        print(f"  {'doubt: ' + doubt:<48}{count:>6}")
    times = sorted(trials.synced_ms)
    for share in (0.5, 0.9, 0.99, 1.0):
        value = times[min(len(times) - 1, int(share * len(times)))]
        print(f"  {f'search with sync, p{share * 100:g}, ms':<28}{value:>10.1f}")
    print(f"  {'verify':<28}{'ok' if verified['ok'] else 'DIFFERS':>10}")
    print(f"  {'faults':<28}{len(trials.faults):>10}")
    print(f"  {'seconds':<28}{time.monotonic() - began:>10.0f}")
    return 1 if trials.faults or not verified["ok"] or trials.counts["trials"] < chosen.trials else 0


def _doubts(log: str) -> Counter[str]:
    """Return how often the watcher did not trust its events, by reason."""
    said = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return Counter(re.sub(r"[\d.]+", "N", one["reason"]) for one in said if one["event"] == "events_may_be_lost")
