"""Where the project's directories are, for tests that start processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PROJECT = TESTS.parent
DAEMON = PROJECT / "daemon"
PYTHONPATH = os.pathsep.join([str(DAEMON), str(TESTS)])
