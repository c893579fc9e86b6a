"""The doctor on a broken machine: it never raises, shows no secrets, and runs every check."""

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
    """An environment with its own directories, also set for this process."""
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.delenv("CODEINDEXD_SOCKET", raising=False)
    return dict(os.environ)


def found(environ: dict[str, str], name: str) -> list[dict[str, Any]]:
    """Return the checks of that name; assert that all others ran too."""
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
        ("http://me:s3cret#@host/v1", "problem", "cannot parse the endpoint's URL"),
    ],
)
def test_an_endpoint_is_shown_without_its_credentials(
    environ: dict[str, str], tmp_path: Path, model: str, state: str, detail: str
) -> None:
    configured(tmp_path, f'[embedding]\nmodel = "{model}"\n')
    (check,) = found(environ, "model")
    not_asked = ", which is not asked here: codeindex status says whether it answers" if state != "problem" else ""
    assert (check["state"], check["detail"]) == (state, f"{detail}{not_asked}")
    assert "s3cret" not in json.dumps(doctor.examine(environ))


def test_a_hanging_service_manager_is_a_warning(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_PROGRAM_TIMEOUT_S", 0.05)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text("#!/bin/sh\nexec sleep 30\n")
    (tmp_path / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (check,) = found(environ, "service manager")
    assert check["state"] == "warning"
    assert "timed out" in check["detail"]


def test_an_unreadable_root_does_not_hide_others(environ: dict[str, str], tmp_path: Path) -> None:
    """Too long a name fails like a directory without search permission, but for the superuser too."""
    (tmp_path / "here").mkdir()
    listed(tmp_path, json.dumps({"roots": [{"path": f"/{'x' * 300}"}, {"path": str(tmp_path / "here")}]}))
    first, second = found(environ, "root")
    assert first["state"] == "warning"
    assert "File name too long" in first["detail"]
    assert (second["state"], second["detail"]) == ("ok", str(tmp_path / "here"))


@pytest.mark.parametrize("text", ["", "[]", '{"roots": [{}]}', '{"roots": [{"path": 5}]}', "[" * 100_000])
def test_a_broken_list_of_roots_is_reported(environ: dict[str, str], tmp_path: Path, text: str) -> None:
    listed(tmp_path, text)
    (check,) = found(environ, "roots")
    assert check["state"] in {"problem", "warning"}


def test_an_unexpected_error_is_reported_by_its_place(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> doctor.Check:
        raise KeyError("s3cret")

    monkeypatch.setattr(doctor, "_disk", fail)
    (check,) = found(environ, "disk space")
    assert check["state"] == "warning"
    assert check["detail"].startswith("could not be checked: KeyError (test_doctor.py:")


def test_the_machine_is_checked_even_if_the_socket_path_is_unusable(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = {check["name"]: check for check in doctor.examine({**environ, "CODEINDEXD_SOCKET": "/x" * 200})["checks"]}
    assert "too long" in checks["socket"]["detail"]
    assert "versions" in checks
