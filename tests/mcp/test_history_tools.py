"""What the tools about histories show of commits."""

from __future__ import annotations

from typing import Any

from codeindexd.mcp import history_tools, why_tools
from codeindexd.mcp.answers import budget_with

HOSTILE = "a\x1b[31m\x00\x9b\u202eb"


def commit(**fields: Any) -> Any:
    return {
        "short_id": "1234567",
        "id": "12" * 20,
        "date": "2024-01-01T00:00:00+00:00",
        "author": {"name": HOSTILE, "email": ""},
        "subject": HOSTILE,
        "body": f"{HOSTILE}\n{HOSTILE}",
        "references": [],
        "lines": [HOSTILE],
        "files": 1,
        "changes": [{"path": HOSTILE, "old_path": HOSTILE, "added": 1, "removed": 0}],
        **fields,
    }


def is_printable(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def test_messages_names_and_paths_have_no_control_characters() -> None:
    assert not is_printable(HOSTILE)
    part = history_tools._part(commit(), 1000)
    assert is_printable(part.text)
    assert is_printable("".join(part.data.values()))
    result: Any = {"commits": [commit()]}
    for text in (why_tools._messages(result, 1000)[0].text, why_tools._with_changes(commit())):
        assert "[31m" in text
        assert is_printable(text)


def test_a_line_break_in_a_path_makes_no_second_line() -> None:
    changes = [{"path": "a\nb", "added": 1, "removed": 0}]
    assert "a\u240ab" in history_tools._part(commit(changes=changes, lines=[]), 1000).text


def paged(total: int, *, is_truncated: bool, page: int = 1, fetched: int = 200) -> str:
    """Return the answer to ``history`` about something that ``total`` commits changed, of which some were fetched."""
    texts = [f"1234567 2024-01-01 Ada: commit {number}" for number in range(fetched)]
    unread = total - fetched or (None if is_truncated else 0)
    return why_tools._paged("head", texts, "commits", budget_with(1000, []), page, total=total, unread=unread).text


def test_commits_that_were_not_fetched_count() -> None:
    shown = paged(485, is_truncated=True).count("commit ")
    assert f"({485 - shown} more; repeat the call with page=2)" in paged(485, is_truncated=True)
    assert f"(at least {201 - shown} more; repeat the call with page=2)" in paged(200, is_truncated=True)
    assert "more" not in paged(3, is_truncated=False, fetched=3)
    assert "more" not in paged(0, is_truncated=False, fetched=0)
