"""The blocking client's methods are generated from the asynchronous ones."""

from __future__ import annotations

import subprocess
import sys

from support.places import PROJECT


def test_the_generated_methods_are_up_to_date() -> None:
    command = [sys.executable, PROJECT / "tests/generate_client.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
