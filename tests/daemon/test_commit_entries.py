"""What answers about a history have in common."""

from __future__ import annotations

from codeindexd.daemon.commit_entries import unfinished_note


def test_a_history_that_nobody_read_is_not_said_to_have_no_commits() -> None:
    assert unfinished_note(0, 0) == "the history is not read yet: no commit was looked at"
    assert unfinished_note(3, 5_531) == "the history is still being indexed: 3 of 5,531 commits"
