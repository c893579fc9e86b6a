"""The examples of the documentation, run against a real daemon."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from support.daemons import real_daemon
from support.places import PROJECT
from support.trees import tree

PLACE = "/home/me/project"  # of the code that examples are about
EXAMPLES = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
    for number, block in enumerate(re.findall(r"(?ms)^```python\n(.*?)^```$", page.read_text("utf-8")))
]


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_in_python_runs(example: str) -> None:
    with real_daemon() as daemon:
        root = tree(daemon.home / "project", {"auth.py": "def check_password(given):\n    return given == stored\n"})
        daemon.call("roots.add", path=str(root), wait=True)
        done = subprocess.run(
            [sys.executable, "-c", example.replace(PLACE, str(root))],
            env=daemon.environment,
            cwd=daemon.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "check_password" in done.stdout
