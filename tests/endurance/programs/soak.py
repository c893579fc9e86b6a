"""A month of work in an hour: the daemon's resources must level off, and its index must equal the disk at the end.

    python tests/endurance soak [--minutes 60] [--seed N] [--files 17000] [--nice 19] [--csv FILE]

A working day of 450 saves, 18 branch switches, an installed package and more takes 2.7 minutes and ends with an idle
evening. The daemon runs with its default configuration, except for what depends on the clock: it walks every root twice
a minute instead of hourly, and the vector store may hold little more than the roots need, so it is pruned all the time.
Exit status 1 if something grows, an answer fails, or `verify` finds a difference.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from endurance.soak.clients import Clients
from endurance.soak.days import Days
from endurance.soak.places import Places, lay_out
from endurance.soak.samples import EVENING, Level, Sampler, levels, table, write_csv
from support.daemons import RawClient, RealDaemon, real_daemon, until

_DAY_S = 163.0  # 22 working days in an hour
_EVENING_S = 30.0
_SETTLED_S = 240.0
_SAMPLE_S = 30.0
_VERIFIED_S = 1200.0
_CONFIG = "[watch]\nreconcile_minutes = 0.5\n[workers]\nnice = {nice}\n[disk]\nbudget_gb = {budget}\n"
_BYTES_A_FILE = 25_000  # of the vector store: 25 chunks of 620 bytes and half as many again that are gone


def main() -> int:
    """Return the exit status: 0 if everything levels off and is right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--files", type=int, default=17_000)
    parser.add_argument("--nice", type=int, default=19, help="of the workers; 0 where others keep the machine busy")
    parser.add_argument("--csv", type=Path, help="write every sample here")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    budget = chosen.files * _BYTES_A_FILE
    config = _CONFIG.format(nice=chosen.nice, budget=round(budget / (1 << 30), 4))
    with tempfile.TemporaryDirectory(prefix="cixsoak") as base, real_daemon(config) as daemon:
        laid = lay_out(Path(base), chosen.files, random.Random(chosen.seed))
        return _soak(daemon, laid, chosen.seed, chosen.minutes, budget / 1e6, chosen.csv)


def _soak(daemon: RealDaemon, places: Places, seed: int, minutes: float, budget: float, file: Path | None) -> int:
    began = time.monotonic()
    for root in places.roots:
        daemon.call("roots.add", path=str(root))
    until(lambda: _settled(daemon), timeout_s=1200, what="the first index")
    print(f"indexed in {time.monotonic() - began:.0f} s", flush=True)
    counts: Counter[str] = Counter()
    days = Days(daemon, places, random.Random(seed + 1), counts)
    clients = Clients(daemon, places.roots, seed, counts, days.suspensions)
    sampler = Sampler(daemon, clients, _SAMPLE_S)
    clients.start()
    sampler.start()
    began = time.monotonic()
    shares = []
    while time.monotonic() - began < minutes * 60 - _DAY_S / 2:
        sampler.day += 1
        clients.wake()
        shares.append(days.spend(_DAY_S - _EVENING_S))
        clients.rest()
        until(lambda: _settled(daemon), timeout_s=_SETTLED_S, what="the evening's index")
        time.sleep(_EVENING_S)
        sample = sampler.take(EVENING)
        print(
            f"day {sample.day}: {shares[-1]:.0%} of the work, daemon {sample.daemon_pss:.0f} MB "
            f"({sample.daemon_anonymous:.0f} anonymous), {sample.open_files} files, {sample.threads} threads, "
            f"vectors {sample.vectors:.0f} MB, {sample.chunks} chunks, {sample.generation} commits",
            flush=True,
        )
        if file:
            write_csv(sampler.samples, file)
    clients.stop()
    days.leave_all()
    sampler.stop()
    until(lambda: _settled(daemon), timeout_s=_SETTLED_S, what="the last index")
    verified = RawClient(daemon.socket, _VERIFIED_S).call("verify").result
    if file:
        write_csv(sampler.samples, file)
    judged = levels(sampler.samples, budget)
    return _summary(sampler, clients, counts, shares, judged, verified)


def _settled(daemon: RealDaemon) -> bool:
    return all(root["state"] == "fresh" for root in daemon.call("status")["roots"])


def _summary(
    sampler: Sampler,
    clients: Clients,
    counts: Counter[str],
    shares: list[float],
    judged: list[Level],
    verified: dict[str, object],
) -> int:
    print(f"\n{table(sampler.samples)}\n")
    counts["days"] = len(shares)
    for name, count in sorted(counts.items()):
        print(f"  {name:<32}{count:>10}")
    print(f"  {'share of the planned work':<32}{sum(shares) / len(shares):>10.0%}")
    busiest = max(sampler.samples, key=lambda sample: sample.daemon_pss + sample.workers_pss)
    print(f"  {'most memory, all processes, MB':<32}{busiest.daemon_pss + busiest.workers_pss:>10.0f}\n")
    for level in judged:
        verdict = "level" if level.holds else "GROWS"
        print(
            f"  {level.name:<32}{level.median:>10.1f}{level.growth:>+10.2f}  (allowed {level.allowed:.2f})  {verdict}"
        )
    print(f"  {'errors answered':<32}{len(clients.errors):>10}")
    for error in clients.errors[:10]:
        print(f"    {error}")
    print(f"  {'verify':<32}{'ok' if verified['ok'] else 'DIFFERENCES':>10}")
    if not verified["ok"]:
        print(f"    {str(verified['roots'])[:2000]}")
    return 0 if verified["ok"] and not clients.errors and all(level.holds for level in judged) else 1
