from __future__ import annotations

from pathlib import Path

from codeindexd.storage.durable import CLEAN_MARKER, write_clean_marker
from codeindexd.storage.recovery import CATALOG, RecoveryState, mark_possible_damage


def test_a_clean_shutdown_is_trusted_once(tmp_path: Path) -> None:
    assert not RecoveryState(tmp_path).needs_verify, "there is nothing yet"
    (tmp_path / CATALOG).write_bytes(b"rows")
    assert RecoveryState(tmp_path).needs_verify
    recovery = RecoveryState(tmp_path)
    recovery.close()
    assert RecoveryState(tmp_path).needs_verify, "a clean shutdown does not verify anything"
    recovery.mark_verified()
    recovery.close()
    assert not RecoveryState(tmp_path).needs_verify
    assert RecoveryState(tmp_path).needs_verify, "the last process did not shut down cleanly"


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
