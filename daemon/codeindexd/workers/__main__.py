"""Runs a worker as ``python -m codeindexd.workers``; only the daemon starts it."""

from __future__ import annotations

from codeindexd.workers.process import run

run()
