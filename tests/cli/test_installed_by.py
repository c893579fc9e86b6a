"""How the program was installed decides how it is removed, and how agents can start it."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeindexd.cli import installed_by, service_manager
from codeindexd.cli.installed_by import Installer
from codeindexd.errors import FailedError


def environment(tmp_path: Path, directory: str, *files: str) -> str:
    path = tmp_path / directory
    path.mkdir(parents=True)
    for name in files:
        (path / name).touch()
    return str(path)


@pytest.mark.parametrize(
    ("directory", "files", "installer", "removal"),
    [
        ("uv/tools/codeindexd", ["uv-receipt.toml"], Installer.UV_TOOL, "uv tool uninstall codeindexd"),
        (".cache/uv/archive-v0/BZCRW6", [], Installer.UVX, "uv cache clean codeindexd"),
        ("pipx/venvs/codeindexd", ["pipx_metadata.json"], Installer.PIPX, "pipx uninstall codeindexd"),
        ("pipx/.cache/a1b2", ["pipx_metadata.json"], Installer.PIPX_RUN, "nothing to do"),
        ("venv", [], Installer.PIP, "/bin/python"),
    ],
)
def test_the_installer(tmp_path: Path, directory: str, files: list[str], installer: Installer, removal: str) -> None:
    prefix = environment(tmp_path, directory, *files)
    assert installed_by.installer(prefix) is installer
    assert removal in installed_by.removal(prefix, f"{prefix}/bin/python")
    assert bool(installed_by.runner(prefix)) == (installer in {Installer.UVX, Installer.PIPX_RUN})


def test_a_temporary_environment_is_run_by_the_name_of_its_package(tmp_path: Path) -> None:
    prefix = environment(tmp_path, "uv/archive-v0/BZCRW6")
    assert installed_by.runner(prefix)[1:] == ("--from", "codeindexd", "codeindex")


def test_a_service_needs_an_installation_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed_by, "runner", lambda: ("uvx", "--from", "codeindexd", "codeindex"))
    with pytest.raises(FailedError, match="temporary") as caught:
        service_manager.install({})
    assert "uv tool install codeindexd" in caught.value.hint
