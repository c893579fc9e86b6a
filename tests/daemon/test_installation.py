"""Whether a daemon notices what became of its own program."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from codeindexd.daemon.installation import Installation, InstallationState, wait_until_removed


def test_the_running_program_is_intact() -> None:
    assert Installation().state is InstallationState.INTACT


def test_changes_and_removals_are_told_apart(tmp_path: Path) -> None:
    package, interpreter = tmp_path / "package.py", tmp_path / "python"
    package.write_text("1")
    interpreter.write_text("2")
    installation = Installation((package, interpreter))
    assert installation.state is InstallationState.INTACT
    (tmp_path / "new").write_text("1")
    (tmp_path / "new").replace(package)
    assert installation.state is InstallationState.CHANGED
    interpreter.unlink()
    assert installation.state is InstallationState.REMOVED


def test_files_that_never_were_there_are_not_missed(tmp_path: Path) -> None:
    """For example in a zip file."""
    assert Installation((tmp_path / "app.pyz/codeindexd/__init__.py",)).state is InstallationState.INTACT


@pytest.mark.anyio
async def test_only_a_removal_that_lasts_is_reported(tmp_path: Path) -> None:
    package = tmp_path / "package.py"
    package.write_text("1")
    installation = Installation((package,))
    with anyio.move_on_after(0.1) as healthy:
        await wait_until_removed(installation, interval_s=0.001, checks=2)
    assert healthy.cancelled_caught
    package.unlink()
    with anyio.fail_after(20):
        await wait_until_removed(installation, interval_s=0.001, checks=2)
    package.write_text("another version")
    with anyio.move_on_after(0.1) as upgraded:
        await wait_until_removed(installation, interval_s=0.001, checks=2)
    assert upgraded.cancelled_caught
