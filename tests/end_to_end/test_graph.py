"""The commands about the code graph, over a real daemon."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.daemons import RealDaemon
from support.trees import tree

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
FILES = {
    "app/core.py": "class Engine:\n    def run(self):\n        return helper()\n\n\ndef helper():\n    return 1\n",
    "app/main.py": f"from app.core import Engine\n\n\ndef main():\n    Engine().run()  # {KEY}\n",
    "tests/test_main.py": "from app.main import main\n\n\ndef test_main():\n    main()\n",
    "notes.ipynb": json.dumps({
        "nbformat": 4, "nbformat_minor": 5, "metadata": {"language_info": {"name": "python"}},
        "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None,
                   "source": ["from app.core import helper\n", "helper()"]}],
    }, indent=1),
}  # fmt: skip


@pytest.fixture
def project(daemon: RealDaemon, tmp_path: Path) -> Path:
    root = tree(tmp_path / "project", FILES)
    daemon.call("roots.add", path=str(root), wait=True)
    return root


def run(daemon: RealDaemon, root: Path, *words: str) -> tuple[int, Any]:
    done = daemon.run(*words, "--json", cwd=root)
    return done.returncode, json.loads(done.stdout)


def test_references_are_found_and_follow_edits(daemon: RealDaemon, project: Path) -> None:
    code, found = run(daemon, project, "refs", "Engine.run")
    assert code == 0
    assert [(one["path"], one["line"], one["confidence"]) for one in found["references"]] == [
        ("app/main.py", 5, "exact")
    ]
    (project / "app/other.py").write_text(
        "from app.core import Engine\n\nengine = Engine()\n\n\ndef f(engine: Engine):\n    engine.run()\n"
    )
    daemon.call("sync", path=str(project))
    _, found = run(daemon, project, "refs", "Engine.run")
    assert found["total"] == 2


def test_secrets_in_a_line_are_masked(daemon: RealDaemon, project: Path) -> None:
    _, found = run(daemon, project, "refs", "Engine.run")
    assert KEY not in json.dumps(found)
    assert "Engine().run()" in found["references"][0]["text"]


def test_a_notebook_has_references_on_the_lines_of_its_json(daemon: RealDaemon, project: Path) -> None:
    _, found = run(daemon, project, "refs", "helper")
    lines = (project / "notes.ipynb").read_text().split("\n")
    in_notebook = [one for one in found["references"] if one["path"] == "notes.ipynb"]
    assert [one["text"] for one in in_notebook] == ["from app.core import helper", "helper()"]
    assert all("helper" in lines[one["line"] - 1] for one in in_notebook)


def test_trees_of_calls(daemon: RealDaemon, project: Path) -> None:
    _, found = run(daemon, project, "callers", "helper", "--depth", "3")
    (engine,) = [one for one in found["callers"] if one["symbol"] == "Engine.run"]
    (main,) = engine["callers"]
    assert [one["symbol"] for one in main["callers"]] == ["test_main"]
    _, found = run(daemon, project, "callees", "main")
    assert [one["symbol"] for one in found["callees"]] == ["Engine.run", "Engine"]


def test_the_impact_of_a_change(daemon: RealDaemon, project: Path) -> None:
    code, found = run(daemon, project, "impact", "app/core.py")
    assert code == 0
    assert [one["path"] for one in found["tests"]] == ["tests/test_main.py"]
    assert [one["path"] for one in found["importers"]] == ["app/main.py", "notes.ipynb"]


def test_the_impact_of_what_git_has_not(daemon: RealDaemon, project: Path) -> None:
    code, found = run(daemon, project, "impact", "--changed")
    assert (code, found["error"]["name"]) == (2, "usage")
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    subprocess.run(["git", "-C", str(project), "add", "."], check=True)
    none = daemon.run("impact", "--changed", cwd=project)
    assert "no changes" in none.stderr
    assert "no definition" not in none.stderr
    (project / "app/core.py").write_text(FILES["app/core.py"] + "\n\ndef added(): ...\n")
    daemon.call("sync", path=str(project))
    _, found = run(daemon, project, "impact", "--changed")
    assert {one["path"] for one in found["changed"]} == {"app/core.py"}


def test_outlines_and_maps(daemon: RealDaemon, project: Path) -> None:
    _, found = run(daemon, project, "outline", "app/core.py")
    engine = found["definitions"][0]
    assert (engine["symbol"], [one["symbol"] for one in engine["children"]]) == ("Engine", ["Engine.run"])
    _, found = run(daemon, project, "map")
    assert "class Engine" in found["text"]
    code, found = run(daemon, project, "outline", "app")
    assert (code, found["error"]["name"]) == (2, "usage")


def test_an_unknown_name_is_no_error_and_has_similar_ones(daemon: RealDaemon, project: Path) -> None:
    code, found = run(daemon, project, "callers", "helpre")
    assert (code, found["similar"]) == (1, ["helper"])
    done = daemon.run("callers", "helpre", cwd=project)
    assert done.stderr == "no definition of helpre is known; similar: helper\n"


def test_a_name_that_only_a_document_defines(daemon: RealDaemon, project: Path) -> None:
    (project / "use.md").write_text("```python\ndef sample_only(): pass\n```\n")
    daemon.call("sync", path=str(project))
    for command in ("refs", "callers", "callees", "impact"):
        done = daemon.run(command, "sample_only", cwd=project)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("note: only code samples in documents define sample_only,"), command
    _, found = run(daemon, project, "impact", "sample_only")
    assert found["samples"] == 1


def test_status_counts_and_verify_compares(daemon: RealDaemon, project: Path) -> None:
    (root,) = daemon.call("status", path=str(project))["roots"]
    assert root["definitions"] >= 5
    assert root["references"] >= 8
    assert daemon.call("verify", path=str(project))["ok"]


def test_text_has_a_line_for_each_reference(daemon: RealDaemon, project: Path) -> None:
    done = daemon.run("refs", "Engine.run", cwd=project)
    first, second = done.stdout.splitlines()
    assert first.startswith("app/core.py:2:9  method  Engine.run")
    assert second.startswith("  app/main.py:5:14  call  main  Engine().run()")
