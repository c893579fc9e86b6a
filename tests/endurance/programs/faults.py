"""Put a real daemon through every fault that can be produced here, one after the other, and print the outcome.

    python tests/endurance faults [--only WORDS] [--repeat N]

Exit status 1 if a fault was not reported, if answers stopped that should have continued, or if recovery took longer
than promised or left a difference.
"""

from __future__ import annotations

import argparse

from endurance.fault_cases import FAULTS
from endurance.faults import Fault, suffer, why_not
from endurance.one_by_one import try_each


def main() -> int:
    """Return the exit status: 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults whose name holds these words")
    parser.add_argument("--repeat", type=int, default=1, help="how often each")
    chosen = parser.parse_args()
    if missing := why_not():
        parser.error(missing)
    return try_each([fault for fault in FAULTS if chosen.only in fault.name] * chosen.repeat, _attempt, width=42)


def _attempt(fault: Fault) -> tuple[bool, str]:
    outcome = suffer(fault)
    right = not outcome.differences and outcome.recovery_s <= fault.bound_s and (outcome.answered or not fault.answers)
    return right, (
        f"{outcome.recovery_s:6.1f} s  answered {'yes' if outcome.answered else 'no':<3} "
        f"differences {len(outcome.differences)}{'' if right else '  WRONG'}  said: {outcome.said}"
    )
