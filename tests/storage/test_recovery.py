from __future__ import annotations

from pathlib import Path

from codeindexd.storage.durable import SEAL, seal
from codeindexd.storage.recovery import CATALOG, RecoveryState, suspect


def test_only_a_clean_end_is_trusted_and_only_once(tmp_path: Path) -> None:
    assert not RecoveryState(tmp_path).unsure, "there is nothing yet"
    (tmp_path / CATALOG).write_bytes(b"rows")
    assert RecoveryState(tmp_path).unsure
    doubt = RecoveryState(tmp_path)
    doubt.close()
    assert RecoveryState(tmp_path).unsure, "doubt outlasts a clean end"
    doubt.settle()
    doubt.close()
    assert not RecoveryState(tmp_path).unsure
    assert RecoveryState(tmp_path).unsure, "the process before did not end cleanly"


def test_a_catalog_that_was_touched_since_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / CATALOG).write_bytes(b"rows")
    doubt = RecoveryState(tmp_path)
    doubt.settle()
    doubt.close()
    (tmp_path / CATALOG).write_bytes(b"rowz")
    assert RecoveryState(tmp_path).unsure


def test_suspicion_lasts_until_a_close_look_and_takes_nothing_on_trust(tmp_path: Path) -> None:
    suspect(tmp_path)
    (tmp_path / "lexical").mkdir()
    seal(tmp_path / "lexical", [])
    doubt = RecoveryState(tmp_path)
    assert doubt.suspicious
    assert doubt.unsure
    assert not (tmp_path / "lexical" / SEAL).exists()
    assert RecoveryState(tmp_path).suspicious, "killed before the look was over"
    doubt.looked_closely()
    assert not RecoveryState(tmp_path).suspicious


def test_suspicion_of_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    suspect(tmp_path / "gone")
    assert not RecoveryState(tmp_path).suspicious
