"""One worker with one file at a time gives exactly what many workers give."""

from __future__ import annotations

import json
import shutil
import sysconfig
from pathlib import Path
from typing import Any

from support.daemons import RealDaemon, real_daemon

QUESTIONS = ["parse a header", "decode the body", "close the connection", "class Message", "iterate over lines"]


def index_and_ask(daemon: RealDaemon, root: Path, **params: Any) -> tuple[Any, Any, Any]:
    """Return every chunk by file, the root hash, and the answers, without ids that depend on order."""
    entry = daemon.call("roots.add", path=str(root), wait=True, **params)["roots"][0]
    chunks = {}
    for path in sorted(root.rglob("*.py")):
        found = daemon.call("explain", path=str(path))["chunks"]
        chunks[str(path)] = [{key: value for key, value in chunk.items() if key != "id"} for chunk in found]
    answers = [
        [(hit["path"], hit["start_line"], hit["symbol"]) for hit in daemon.call("search", query=question)["hits"]]
        for question in QUESTIONS
    ]
    return chunks, entry["root_hash"], answers


def test_sequential_and_parallel_indexing_agree(tmp_path: Path) -> None:
    root = tmp_path / "library"
    for package in ("email", "http", "json"):
        shutil.copytree(Path(sysconfig.get_paths()["stdlib"]) / package, root / package)
    with real_daemon("[workers]\ncount = 3\nnice = 0\n") as daemon:
        parallel = index_and_ask(daemon, root)
    with real_daemon("[workers]\ncount = 0\nnice = 0\n") as daemon:
        configured = index_and_ask(daemon, root)
    with real_daemon("[workers]\ncount = 3\nnice = 0\n") as daemon:
        asked = index_and_ask(daemon, root, workers=0)
    assert len(parallel[0]) > 30
    assert all(parallel[2])
    assert json.dumps(parallel) == json.dumps(configured) == json.dumps(asked)
