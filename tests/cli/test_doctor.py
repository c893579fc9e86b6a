"""The doctor on a sick machine: it never raises, says no secret, and one check hides no other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from codeindexd.cli import doctor

NAMES = {"versions", "open files", "git", "service manager", "daemon", "disk space", "configuration", "model"}


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A home of its own, also for what asks the process's environment."""
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.delenv("CODEINDEXD_SOCKET", raising=False)
    return dict(os.environ)


def found(environ: dict[str, str], name: str) -> list[dict[str, Any]]:
    """The checks of that name; all others are there too."""
    result = doctor.examine(environ)
    json.dumps(result)
    assert {check["name"] for check in result["checks"]} >= NAMES - {name}
    return [check for check in result["checks"] if check["name"] == name]


def configured(tmp_path: Path, text: str) -> None:
    (tmp_path / "config/codeindexd").mkdir(parents=True)
    (tmp_path / "config/codeindexd/config.toml").write_text(text)


def listed(tmp_path: Path, text: str) -> None:
    (tmp_path / "state/codeindexd").mkdir(parents=True)
    (tmp_path / "state/codeindexd/roots.json").write_text(text)


@pytest.mark.parametrize(
    ("model", "state", "detail"),
    [
        ("http://me:s3cret@localhost:9/v1?key=s3cret#m", "ok", "endpoint http://localhost:9/v1/embeddings#m"),
        ("http://[::1]/v1", "ok", "endpoint http://[::1]/v1/embeddings"),
        ("https://me:s3cret@api.example/v1#m", "warning", "endpoint https://api.example/v1/embeddings#m"),
        ("http://localhost.example/v1", "warning", "endpoint http://localhost.example/v1/embeddings"),
        ("http://me:s3cret#@host/v1", "problem", "the endpoint's URL cannot be read"),
    ],
)
def test_an_endpoint_is_shown_without_what_it_is_proved_with(
    environ: dict[str, str], tmp_path: Path, model: str, state: str, detail: str
) -> None:
    configured(tmp_path, f'[embedding]\nmodel = "{model}"\n')
    (check,) = found(environ, "model")
    assert (check["state"], check["detail"]) == (state, detail)
    assert "s3cret" not in json.dumps(doctor.examine(environ))


def test_a_hanging_service_manager_is_a_finding(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_PATIENCE_S", 0.05)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text("#!/bin/sh\nexec sleep 30\n")
    (tmp_path / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (check,) = found(environ, "service manager")
    assert check["state"] == "warning"
    assert "timed out" in check["detail"]


def test_a_root_that_cannot_be_looked_at_hides_no_other(environ: dict[str, str], tmp_path: Path) -> None:
    """A name longer than any file system takes fails as a directory without search permission does, also for root."""
    (tmp_path / "here").mkdir()
    listed(tmp_path, json.dumps({"roots": [{"path": f"/{'x' * 300}"}, {"path": str(tmp_path / "here")}]}))
    first, second = found(environ, "root")
    assert first["state"] == "warning"
    assert "File name too long" in first["detail"]
    assert (second["state"], second["detail"]) == ("ok", str(tmp_path / "here"))


@pytest.mark.parametrize("text", ["", "[]", '{"roots": [{}]}', '{"roots": [{"path": 5}]}', "[" * 100_000])
def test_a_broken_list_of_roots_is_a_finding(environ: dict[str, str], tmp_path: Path, text: str) -> None:
    listed(tmp_path, text)
    (check,) = found(environ, "roots")
    assert check["state"] in {"problem", "warning"}


def test_a_check_that_fails_unforeseen_is_told_by_its_place(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> doctor.Check:
        raise KeyError("s3cret")

    monkeypatch.setattr(doctor, "_disk", fail)
    (check,) = found(environ, "disk space")
    assert check["state"] == "warning"
    assert check["detail"].startswith("could not be looked at: KeyError (test_doctor.py:")


def test_without_a_usable_socket_path_the_machine_is_still_looked_at(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = {check["name"]: check for check in doctor.examine({**environ, "CODEINDEXD_SOCKET": "/x" * 200})["checks"]}
    assert "too long" in checks["socket"]["detail"]
    assert "versions" in checks
