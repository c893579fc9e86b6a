"""The program ``codeindexd`` before the daemon runs: configuration, errors, version."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from codeindexd.config import Config, load
from support.places import DAEMON


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    places = {f"XDG_{name}": str(tmp_path / name.lower()) for name in ("CONFIG_HOME", "STATE_HOME", "CACHE_HOME")}
    return {**os.environ, **places, "XDG_RUNTIME_DIR": str(tmp_path / "r"), "PYTHONPATH": str(DAEMON)}


def codeindexd(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "codeindexd", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_check_config_prints_a_valid_configuration(environ: dict[str, str], tmp_path: Path) -> None:
    done = codeindexd({**environ, "CODEINDEXD_WORKERS_COUNT": "3"}, "--check-config", "--set", "search.default_limit=7")
    assert done.returncode == 0
    (tmp_path / "written.toml").write_text(done.stdout)
    loaded = load(tmp_path / "written.toml", {})
    assert (loaded.workers.count, loaded.search.default_limit) == (3, 7)
    assert loaded.watch == Config().watch
    assert "does not exist: defaults" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--config", "/no/such.toml"], "/no/such.toml does not exist"),
        (["--set", "workers=1"], "not SECTION.KEY=VALUE"),
        (["--set", "workers.cuont=1"], "did you mean count?"),
        (["--log-format", "pretty"], "invalid choice"),
    ],
)
def test_a_wrong_command_line_exits_with_two(environ: dict[str, str], words: list[str], says: str) -> None:
    done = codeindexd(environ, "--check-config", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_version(environ: dict[str, str]) -> None:
    assert codeindexd(environ, "--version").stdout.startswith("codeindexd 0.")


def test_a_start_loads_no_library_for_colourful_tracebacks(environ: dict[str, str]) -> None:
    code = (
        "import anyio, gc, sys; from codeindexd.cli import codeindexd;"
        "anyio.run = lambda _: print(gc.isenabled(), 'structlog.dev' in sys.modules, 'rich.traceback' in sys.modules);"
        "codeindexd.main([])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "True True False\n"
