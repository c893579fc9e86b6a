"""The endurance programs, by name: ``python tests/endurance kills --seed 3``. Without a name, a list of them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(path.stem for path in (TESTS / "endurance/programs").glob("[a-z]*.py"))


def main() -> int:
    """Run the program named by the first argument and return its exit status: 0 passed, 1 failed, 2 no such program."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in PROGRAMS:
        print(
            f"usage: python tests/endurance NAME [OPTION...]\n\nNAME is one of {', '.join(PROGRAMS)}", file=sys.stderr
        )
        return 2
    sys.path[:1] = [str(TESTS), str(TESTS.parent / "daemon")]
    sys.argv[:2] = [f"{sys.argv[0]} {name}"]
    return int(importlib.import_module(f"endurance.programs.{name}").main())


if __name__ == "__main__":
    sys.exit(main())
