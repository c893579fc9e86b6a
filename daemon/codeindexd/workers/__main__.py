"""``python -m codeindexd.workers``: started by the daemon only."""

from __future__ import annotations

from codeindexd.workers.process import run

run()
