"""Help: every command is in a group and has examples that are valid, and unknown commands lead somewhere."""

from __future__ import annotations

import shlex

import pytest

from codeindexd.cli import help_texts, parser
from codeindexd.cli.agents.command import ALL
from codeindexd.cli.agents.options import NAMES
from codeindexd.errors import UsageError

COMMANDS = list(parser.build()[1])


def test_every_command_is_in_one_group_and_has_examples() -> None:
    grouped = [name for names in help_texts.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS), "help_texts.GROUPS"
    assert sorted(help_texts.EXAMPLES) == sorted(["", *COMMANDS]), "help_texts.EXAMPLES"


@pytest.mark.parametrize("line", [line for some in help_texts.EXAMPLES.values() for line, _ in some])
def test_an_example_is_a_valid_command_line(line: str) -> None:
    for part in line.replace('eval "$(', "").replace("source <(", "").rstrip(')"').split(" && "):
        words = shlex.split(part.partition(" > ")[0].partition(" | ")[0] + ('"' if part.count('"') % 2 else ""))
        assert words[0] == "codeindex"
        parser.parse(words[1:])


def test_the_help_of_the_program_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser.parse(["--help"])
    out = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in out
    assert out.index("search:") < out.index("the daemon:") < out.index("options:") < out.index("examples:")


def test_the_help_of_a_command_ends_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser.parse(["impact", "--help"])
    assert capsys.readouterr().out.rstrip().endswith("codeindex impact src/config.py")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("url_for", "to search for it: codeindex search url_for"),
        ("where is url_for --json", "to search for it: codeindex search where is url_for"),
        ("statu", "did you mean status or stats?"),
        ("Serach foo", "did you mean search?"),
        ("find foo", "did you mean search? see: codeindex search --help"),
        ("--no-start rm", "did you mean remove? see: codeindex remove --help"),
    ],
)
def test_an_unknown_command_leads_to_a_known_one_or_to_a_search(line: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        parser.parse(line.split())
    assert error.value.hint == hint


def test_the_names_of_agents_are_all_named() -> None:
    assert list(NAMES) == [client.name for client in ALL]
