"""What a developer types into the real command line: places, messages, paths as they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.daemons import RealDaemon


@pytest.fixture
def code(daemon: RealDaemon, tmp_path: Path) -> Path:
    root = tmp_path / "code"
    for name, text in {
        "db/batch.py": "def write_batch():\n    raise RuntimeError(f'the batch {id} could not be written at once')\n",
        "util/env.py": "def write_env():\n    return write_batch()\n\n\nclass Setting:\n    value = 1\n",
        "tests/test_env.py": "def test_write():\n    assert write_env()\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    daemon.call("roots.add", path=str(root), wait=True)
    return root


def files(daemon: RealDaemon, where: Path, *words: str) -> list[str]:
    """Return the paths that ``codeindex search --files`` prints when run in ``where``."""
    done = daemon.run("search", "--files", *words, cwd=where)
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("env.py", "util/env.py"),
        ("util/env.py:5", "util/env.py"),
        ("RuntimeError: the batch 17 could not be written at once", "db/batch.py"),
        (
            'Traceback (most recent call last):\n  File "/x/util/env.py", line 2, in write_env\nKeyError: 1',
            "util/env.py",
        ),
        ("rite_batc", "db/batch.py"),
        ("/could not be \\w+ at once/", "db/batch.py"),
    ],
)
def test_the_place_meant_comes_first(daemon: RealDaemon, code: Path, typed: str, first: str) -> None:
    assert files(daemon, code, typed)[0] == first


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--path", "./batch.py"], {"batch.py"}),
        (["--path", "../util/env.py"], {"../util/env.py"}),
        (["--path", "."], {"batch.py"}),
        (["--path", "db", "--path", "util/*"], {"batch.py", "../util/env.py"}),
        (["--path", "!tests", "--path", "!./batch.py"], {"../util/env.py"}),
    ],
)
def test_paths_are_taken_as_they_are_shown(daemon: RealDaemon, code: Path, options: list[str], found: set[str]) -> None:
    assert set(files(daemon, code / "db", "write", *options)) == found


def test_globs_are_relative_to_where_they_are_typed(daemon: RealDaemon, code: Path) -> None:
    (code / "db/in ner").mkdir()
    (code / "db/in ner/x[1].py").write_text("write = 'write_batch'\n")
    daemon.call("sync")
    for glob in ("in ner/**", "./in ner/**", "in ner/x[1].py", "./in ner/x[1].py", "x[1].py", "in ner/"):
        assert files(daemon, code / "db", "write", "--path", glob) == ["in ner/x[1].py"], glob
        done = daemon.run("grep", "-l", "-g", glob, "write", cwd=code / "db")
        assert done.stdout.splitlines() == ["in ner/x[1].py"], glob
        done = daemon.run("grep", "-l", "-g", f"!{glob}", "write", cwd=code / "db")
        assert done.stdout.splitlines() == ["batch.py"], glob
    assert files(daemon, code / "db", "write", "--path", "tests/**") == ["../tests/test_env.py"]
    assert files(daemon, code / "db/in ner", "write", "--path", "x[1].py") == ["x[1].py"]


@pytest.mark.parametrize("place", ["util/env.py:1", "util/env.py:1-2", "util/env.py:1:5"])
def test_related_takes_every_form_of_a_place(daemon: RealDaemon, code: Path, place: str) -> None:
    done = daemon.run("related", place, cwd=code)
    assert done.returncode == 0, done.stderr
    assert "batch.py" in done.stdout
