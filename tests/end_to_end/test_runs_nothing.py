"""The daemon runs its own workers only and contacts nobody, whatever a repository or a variable says.

The kernel reports every program that was started and every socket that was created.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from end_to_end.system_calls import recorded, why_not
from support.daemons import RealDaemon, real_daemon
from support.trees import Node, tree

HOOKS = ("post-checkout", "pre-commit", "fsmonitor-watchman", "post-index-change", "pre-auto-gc")
PROGRAMS = ("git", "python", "python3", "less", "vi", "ssh", "file", "sh", "systemctl", "xdg-open", "gpg")
MODULES = ("sitecustomize", "usercustomize", "json", "numpy", "codeindexd", "tantivy", "tree_sitter")
VARIABLES = ("GIT_PAGER", "GIT_EDITOR", "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "PAGER", "EDITOR", "VISUAL", "BROWSER")


def hostile(marker: Path) -> dict[str, Node]:
    """A repository that creates ``marker`` when anything in it is run, or when git runs with its configuration."""
    script = f"#!/bin/sh\nmkdir {marker}\n"
    code = f"import os\nos.mkdir({str(marker)!r})\n"
    config = (
        f"[core]\n fsmonitor = {marker.parent}/evil\n hooksPath = hooks\n pager = mkdir {marker}\n sshCommand = mkdir\n"
        f'[alias]\n status = !mkdir {marker}\n[filter "evil"]\n clean = mkdir {marker}\n smudge = mkdir {marker}\n'
        f"[include]\n path = |mkdir {marker}\n[diff]\n external = mkdir {marker}\n"
    )
    return {
        ".git/HEAD": "ref: refs/heads/main\n",
        ".git/config": config,
        ".gitattributes": "*.py filter=evil diff=evil\n",
        **{f".git/hooks/{name}": script for name in HOOKS},
        **{f"{name}.py": code for name in MODULES},
        "conftest.py": code,
        "setup.py": code,
        "__init__.py": code,
        ".envrc": f"mkdir {marker}\n",
        "Makefile": f"all:\n\tmkdir {marker}\n",
        "package.json": json.dumps({"scripts": {"preinstall": f"mkdir {marker}"}}),
        ".codeindex.toml": f'include = ["*"]\nexclude = ["$(mkdir {marker})", "`mkdir {marker}`", "!sh"]\n',
        "app.py": "def honest_work():\n    return 1\n",
        "evil.pth": f"import os; os.mkdir({str(marker)!r})\n",
    }


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The trace of a daemon over a hostile repository, in a hostile environment."""
    if reason := why_not():
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("hostile")
    marker = place / "marker"
    root = tree(place / "root", hostile(marker))
    fakes = tree(place / "bin", dict.fromkeys((*PROGRAMS, *VARIABLES), f"#!/bin/sh\nmkdir {marker}\n"))
    for path in (*fakes.iterdir(), *(root / ".git/hooks").iterdir()):
        path.chmod(0o755)
    with real_daemon(start=False) as daemon:
        daemon.extra = {name: str(fakes / name) for name in VARIABLES}
        daemon.extra |= {
            "PATH": f"{fakes}:/usr/bin:/bin",
            "GIT_DIR": str(root / ".git"),
            "PYTHONBREAKPOINT": "os.abort",
        }
        with recorded(daemon, "execve execveat connect socket") as made:
            daemon.call("roots.add", path=str(root), wait=True)
            assert daemon.call("search", query="honest_work")["hits"][0]["path"] == "app.py"
            daemon.call("verify")
            daemon.call("explain", path=str(root / "evil.pth"))
            daemon.call("sync")
        assert not marker.exists()
    return made


def test_only_its_own_workers_are_started(lines: list[str]) -> None:
    started = [line for line in lines if re.search(r"\bexecve(at)?\(", line) and line.endswith("= 0")]
    own = re.compile(re.escape(json.dumps(sys.executable)) + r', \[.*?"-m", "codeindexd(\.workers|\.embed\.\w+)?"')
    assert len(started) >= 2, "itself and a worker"
    assert [line for line in started if not own.search(line)] == []


def test_nothing_is_looked_for_in_the_search_path(lines: list[str]) -> None:
    assert [
        line for line in lines if re.search(r"\bexecve(at)?\(", line) and line.endswith("(No such file or directory)")
    ] == []


def test_no_network_socket_is_made(lines: list[str]) -> None:
    sockets = [line for line in lines if re.search(r"\b(socket|connect)\(", line)]
    assert any("AF_UNIX" in line for line in sockets)
    assert [line for line in sockets if "AF_INET" in line or "AF_NETLINK" in line] == []


def test_a_hostile_model_stops_the_daemon_with_a_reason(tmp_path: Path) -> None:
    code = f"import os\nos.mkdir({str(tmp_path / 'marker')!r})\n"
    module = json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}])
    model = tree(tmp_path / "model", {"modules.json": module, "evil.py": code, "config.json": "{}"})
    with real_daemon(f"[embedding]\nmodel = {json.dumps(str(model))}\n", start=False) as daemon:
        daemon.start(wait=False)
        assert daemon.process is not None
        assert daemon.process.wait(30) == 5
        assert re.search("needs sentence-transformers|refusing to load the model in .*evil.Evil", daemon.log)
    assert not (tmp_path / "marker").exists()


def test_a_repository_cannot_change_the_configuration(daemon: RealDaemon, tmp_path: Path) -> None:
    """A root's file narrows what is indexed. Anything else in it has no effect and is a problem in ``status``."""
    text = '[embedding]\nmodel = "http://198.51.100.1/"\n[privacy]\nmask_secrets = false\n'
    root = tree(tmp_path / "root", {".codeindex.toml": text, "a.py": "def alpha():\n    password = 'tr0ub4dor&3xY'\n"})
    daemon.call("roots.add", path=str(root), wait=True)
    status = daemon.call("status")
    assert "cannot be set for one root" in status["roots"][0]["problems"][0]["message"]
    assert status["embedder"]["model"] == "bundled"
    assert "tr0ub4dor" not in json.dumps(daemon.call("search", query="alpha"))
