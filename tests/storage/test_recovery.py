from __future__ import annotations

from pathlib import Path

import pytest

from codeindexd.storage import recovery as recovery_module
from codeindexd.storage.boot import boot_id
from codeindexd.storage.durable import CLEAN_MARKER, write_clean_marker
from codeindexd.storage.recovery import CATALOG, TRUST_MARKER, RecoveryState, mark_possible_damage


def after_a_restart_of_the_system(directory: Path) -> Path:
    (directory / TRUST_MARKER).write_text("another-boot 0")
    return directory


def test_a_clean_shutdown_is_trusted_once(tmp_path: Path) -> None:
    assert not RecoveryState(tmp_path).needs_verify, "there is nothing yet"
    (tmp_path / CATALOG).write_bytes(b"rows")
    recovery = RecoveryState(after_a_restart_of_the_system(tmp_path))
    assert recovery.needs_verify
    recovery.close()
    assert RecoveryState(tmp_path).needs_verify, "a clean shutdown does not verify anything"
    recovery.mark_verified()
    recovery.close()
    assert not RecoveryState(after_a_restart_of_the_system(tmp_path)).needs_verify
    assert RecoveryState(after_a_restart_of_the_system(tmp_path)).needs_verify, "the last process was not closed"


def test_stores_survive_the_end_of_a_process_but_not_that_of_the_system(tmp_path: Path) -> None:
    RecoveryState(tmp_path)
    (tmp_path / CATALOG).write_bytes(b"rows")
    assert not RecoveryState(tmp_path).needs_verify, "killed"
    assert RecoveryState(after_a_restart_of_the_system(tmp_path)).needs_verify
    assert RecoveryState(tmp_path).needs_verify, "killed before it was verified"
    recovery = RecoveryState(tmp_path)
    recovery.mark_verified()
    assert not RecoveryState(tmp_path).needs_verify, "killed after it was verified"
    recovery.mark_unclean()
    assert RecoveryState(tmp_path).needs_verify, "a store could not be closed"


def test_stores_that_end_their_process_again_and_again_are_verified(tmp_path: Path) -> None:
    RecoveryState(tmp_path)
    (tmp_path / CATALOG).write_bytes(b"rows")
    assert not RecoveryState(tmp_path).needs_verify, "killed once"
    recovery = RecoveryState(tmp_path)
    assert recovery.needs_verify, "killed twice before the stores had been in use for a while"
    recovery.mark_verified()
    for _ in range(3):
        recovery = RecoveryState(tmp_path)
        assert not recovery.needs_verify, "killed after a while"
        recovery.mark_usable()


def test_without_the_id_of_a_boot_nothing_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_module, "boot_id", lambda: "")
    RecoveryState(tmp_path)
    (tmp_path / CATALOG).write_bytes(b"rows")
    assert RecoveryState(tmp_path).needs_verify


def test_the_id_of_a_boot_is_known() -> None:
    assert len(boot_id()) >= 32


def test_a_catalog_that_changed_after_shutdown_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / CATALOG).write_bytes(b"rows")
    recovery = RecoveryState(tmp_path)
    recovery.mark_verified()
    recovery.close()
    (tmp_path / CATALOG).write_bytes(b"rowz")
    assert RecoveryState(tmp_path).needs_verify


def test_possible_damage_requires_checksums_until_they_are_verified(tmp_path: Path) -> None:
    mark_possible_damage(tmp_path)
    (tmp_path / "lexical").mkdir()
    write_clean_marker(tmp_path / "lexical", [])
    recovery = RecoveryState(tmp_path)
    assert recovery.needs_checksums
    assert recovery.needs_verify
    assert not (tmp_path / "lexical" / CLEAN_MARKER).exists()
    assert RecoveryState(tmp_path).needs_checksums, "killed before they were verified"
    recovery.mark_checksums_verified()
    assert not RecoveryState(tmp_path).needs_checksums


def test_marking_a_missing_directory_as_damaged_is_no_error(tmp_path: Path) -> None:
    mark_possible_damage(tmp_path / "gone")
    assert not RecoveryState(tmp_path).needs_checksums
