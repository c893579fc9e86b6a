"""When a root is said to be left out nearly entirely, by which rule, and what helps."""

from __future__ import annotations

import pytest

from codeindexd.daemon import left_out
from codeindexd.storage.catalog.summary import DirectorySummary, LeftOut
from codeindexd.types import Counts


def note(indexed: int, *groups: LeftOut) -> str:
    return left_out.note(DirectorySummary(indexed, 0, 0, groups))


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (
            LeftOut("ignored", "linux-6.1/.gitignore:159: /*", 38),
            (
                "nothing indexed: 38 entries ignored by linux-6.1/.gitignore:159 `/*`; to index them anyway, add the"
                " line `!/*` to linux-6.1/.codeindexignore in the root"
            ),
        ),
        (
            LeftOut("ignored", "~/.config/git/ignore:2: *.py", 1),
            (
                "nothing indexed: 1 entry ignored by ~/.config/git/ignore:2 `*.py`; to index them anyway, add the line"
                " `!*.py` to .codeindexignore in the root"
            ),
        ),
        (
            LeftOut("ignored", ".codeindexignore:1: *", 3),
            (
                "nothing indexed: 3 entries ignored by .codeindexignore:1 `*`; to index them anyway, remove that line"
                " from .codeindexignore"
            ),
        ),
        (
            LeftOut("ignored", "secret:4", 3),
            (
                "nothing indexed: 3 entries ignored (secret:4); to index them anyway, name them with a leading `!` in"
                " .codeindexignore in the root"
            ),
        ),
        (
            LeftOut("excluded", "exclude:1: *.py", 3),
            (
                "nothing indexed: 3 entries excluded by exclude:1 `*.py`; to change that, edit `include` and `exclude`"
                " in config.toml or .codeindex.toml"
            ),
        ),
        (LeftOut("binary", "default: *.png", 3), "nothing indexed: 3 entries skipped (binary) (default: *.png)"),
        (LeftOut("vcs", "default: .git", 1), "nothing indexed: there are no files in it"),
    ],
)
def test_a_root_without_files_names_the_rule_and_the_remedy(group: LeftOut, said: str) -> None:
    assert note(0, group) == said


def test_other_reasons_are_counted() -> None:
    said = note(0, LeftOut("ignored", "a:1: x", 9), LeftOut("binary", "", 2), LeftOut("vcs", "", 1))
    assert "9 entries ignored by a:1 `x`, and 2 other entries for other reasons; to index" in said


def test_a_suspicious_share_is_named_and_an_ordinary_one_is_not() -> None:
    rule = ".gitignore:1: *"
    assert note(1, LeftOut("ignored", rule, 30)).startswith(
        "only 1 file indexed: 30 entries ignored by .gitignore:1 `*`"
    )
    assert note(1, LeftOut("ignored", rule, 19)) == ""
    assert note(10, LeftOut("ignored", rule, 39)) == ""
    assert note(1, LeftOut("binary", "default: *.png", 500)) == "", "that is what it is"


def test_the_cheap_test_lets_every_note_pass() -> None:
    assert left_out.may_be_suspicious(Counts(files=0))
    assert left_out.may_be_suspicious(Counts(files=1, skipped={"ignored": 30}))
    assert not left_out.may_be_suspicious(Counts(files=100, skipped={"ignored": 30}))
    assert not left_out.may_be_suspicious(Counts(files=1, skipped={"binary": 500}))
