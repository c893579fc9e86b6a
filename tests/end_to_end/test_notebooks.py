"""Notebooks through every command: what is indexed, shown, found and verified are their cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codeindexd.client import AsyncClient
from codeindexd.mcp.scope import Project
from codeindexd.mcp.tool import Call
from codeindexd.mcp.toolset import TOOLS
from support.daemons import RealDaemon
from support.notebooks import notebook
from support.trees import tree

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
LARGE = 3_000_000  # bytes of an output, more than the limit of ordinary files
CELLS = (
    ("markdown", "# Churn model\n\nTrains a forest on last year's customers."),
    "%matplotlib inline\nimport pandas as pd\n!pip install -q scikit-learn",
    f'token = "{KEY}"',
    "def train_forest(frame):\n    %time model = fit(frame)\n    return model",
)


@pytest.fixture
def root(daemon: RealDaemon, tmp_path: Path) -> Path:
    files = {
        "large.ipynb": notebook(*CELLS, image_bytes=LARGE),
        "one_line.ipynb": notebook("def in_one_line(x):\n    return x", ("markdown", "Nothing else"), indent=None),
        "broken.ipynb": notebook("def in_broken(x):\n    return x")[:-20],
        ".git/HEAD": "",
    }
    made = tree(tmp_path / "root", files)
    daemon.call("roots.add", path=str(made), wait=True)
    return made


def asked(daemon: RealDaemon, *arguments: str, cwd: Path) -> Any:
    done = daemon.run(*arguments, "--json", cwd=cwd)
    return json.loads(done.stdout)


def test_all_commands_see_the_cells(daemon: RealDaemon, root: Path) -> None:
    source = (root / "large.ipynb").read_text().splitlines()
    (found,) = asked(daemon, "symbol", "train_forest", cwd=root)["definitions"]
    assert (found["cell"], found["cell_line"], found["kind"]) == (4, 1, "function")
    assert found["snippet"] == "def train_forest(frame):\n    %time model = fit(frame)\n    return model\n"
    assert "def train_forest" in source[found["start_line"] - 1]
    assert "return model" in source[found["end_line"] - 1]

    hit = asked(daemon, "search", "churn of customers last year", cwd=root)["hits"][0]
    assert (hit["path"], hit["cell"], hit["symbol"]) == ("large.ipynb", 1, "Churn model")

    related = asked(daemon, "related", f"large.ipynb:{found['start_line']}", cwd=root)["hits"]
    assert {(one["path"], one.get("cell")) for one in related} >= {("large.ipynb", 1), ("one_line.ipynb", 1)}

    (line,) = asked(daemon, "grep", "return model", cwd=root)["matches"]
    assert (line["cell"], line["cell_line"], line["line"]) == (4, 3, found["end_line"])
    assert not asked(daemon, "grep", "plotted_output|image/png", "-g", "!broken*", cwd=root)["matches"]

    chunks = asked(daemon, "explain", "large.ipynb", cwd=root)["chunks"]
    assert [(chunk["cell"], chunk["kind"]) for chunk in chunks] == [
        (1, "section"),
        (2, "cell"),
        (3, "cell"),
        (4, "function"),
    ]
    assert asked(daemon, "verify", cwd=root)["ok"]


def test_people_read_cell_numbers_and_lines_within_cells(daemon: RealDaemon, root: Path) -> None:
    line = asked(daemon, "grep", "return model", cwd=root)["matches"][0]["line"]
    assert daemon.run("grep", "return model", cwd=root).stdout == f"large.ipynb:{line}:    return model\n"
    shown = daemon.run("search", "train_forest", "-n", "1", cwd=root).stdout
    assert shown.startswith(f"large.ipynb:{line - 2}  cell 4  train_forest")
    assert "1: def train_forest(frame):" in shown
    found = daemon.run("symbol", "train_forest", cwd=root).stdout
    assert found.startswith(f"large.ipynb:{line - 2}:5  cell 4  function  train_forest")
    explained = daemon.run("explain", "large.ipynb", cwd=root).stdout
    assert "cell 4  function  train_forest" in explained
    assert "indexed as jupyter, 4 chunks" in explained, "its encoding is no guess"


def test_secrets_in_cells_are_masked_everywhere(daemon: RealDaemon, root: Path) -> None:
    for arguments in (("grep", "token = "), ("search", "token"), ("search", "/token =/")):
        shown = daemon.run(*arguments, "--json", cwd=root).stdout
        assert "token = " in shown
        assert KEY not in shown


def test_regexes_and_literals_choose_the_right_cell_of_a_json_of_one_line(daemon: RealDaemon, root: Path) -> None:
    for query in ('"return x"', "/return x$/ path:one_line*"):
        hits = asked(daemon, "search", query, "--path", "one_line.ipynb", cwd=root)["hits"]
        assert [(hit["cell"], hit["symbol"]) for hit in hits] == [(1, "in_one_line")], query


def test_an_edited_cell_is_found_where_it_is_now(daemon: RealDaemon, root: Path) -> None:
    tree(root, {"large.ipynb": notebook("x = 0", *CELLS, image_bytes=LARGE + 999)})
    daemon.call("sync", path=str(root), timeout_s=30)
    (found,) = asked(daemon, "symbol", "train_forest", cwd=root)["definitions"]
    assert found["cell"] == 5
    assert asked(daemon, "verify", cwd=root)["ok"]


def test_a_notebook_that_is_broken_or_too_large_says_so(daemon: RealDaemon, root: Path) -> None:
    assert asked(daemon, "grep", "in_broken", cwd=root)["matches"]
    large = notebook("def hidden(): pass", image_bytes=LARGE)
    tree(root, {"broken.ipynb": large[:-20], "text.ipynb": notebook("x = 'needle'\n" * 200_000)})
    daemon.call("sync", path=str(root), timeout_s=30)
    for name in ("broken.ipynb", "text.ipynb"):
        explained = asked(daemon, "explain", name, cwd=root)
        assert (explained["indexed"], explained["reason"]) == (False, "oversized")
        assert explained["rule"] == "index.max_file_bytes"
    assert asked(daemon, "grep", "needle", "-c", cwd=root)["total"] == 200_000
    assert asked(daemon, "verify", cwd=root)["ok"]


@pytest.mark.anyio
async def test_agents_are_told_the_cell(daemon: RealDaemon, root: Path) -> None:
    async with AsyncClient(daemon.socket, start=False) as client:
        call = Call(client, Project((str(root),)), lambda *_: None)
        assert "cell 4" in (await TOOLS["symbol"].call(call, {"name": "train_forest"})).text
        assert "cell 4: return model" in (await TOOLS["grep"].call(call, {"pattern": "return model"})).text
