from __future__ import annotations

from pathlib import Path

from codeindexd.storage.durable import CLEAN_MARKER, write_clean_marker
from codeindexd.storage.recovery import CATALOG, RecoveryState, mark_possible_damage


def test_only_a_clean_end_is_trusted_and_only_once(tmp_path: Path) -> None:
    assert not RecoveryState(tmp_path).needs_verify, "there is nothing yet"
    (tmp_path / CATALOG).write_bytes(b"rows")
    assert RecoveryState(tmp_path).needs_verify
    recovery = RecoveryState(tmp_path)
    recovery.close()
    assert RecoveryState(tmp_path).needs_verify, "recovery outlasts a clean end"
    recovery.mark_verified()
    recovery.close()
    assert not RecoveryState(tmp_path).needs_verify
    assert RecoveryState(tmp_path).needs_verify, "the process before did not end cleanly"


def test_a_catalog_that_was_touched_since_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / CATALOG).write_bytes(b"rows")
    recovery = RecoveryState(tmp_path)
    recovery.mark_verified()
    recovery.close()
    (tmp_path / CATALOG).write_bytes(b"rowz")
    assert RecoveryState(tmp_path).needs_verify


def test_suspicion_lasts_until_a_close_look_and_takes_nothing_on_trust(tmp_path: Path) -> None:
    mark_possible_damage(tmp_path)
    (tmp_path / "lexical").mkdir()
    write_clean_marker(tmp_path / "lexical", [])
    recovery = RecoveryState(tmp_path)
    assert recovery.needs_checksums
    assert recovery.needs_verify
    assert not (tmp_path / "lexical" / CLEAN_MARKER).exists()
    assert RecoveryState(tmp_path).needs_checksums, "killed before the look was over"
    recovery.mark_checksums_verified()
    assert not RecoveryState(tmp_path).needs_checksums


def test_suspicion_of_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    mark_possible_damage(tmp_path / "gone")
    assert not RecoveryState(tmp_path).needs_checksums
