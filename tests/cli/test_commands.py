"""The functions of the commands."""

from __future__ import annotations

import pytest

from codeindexd.cli import commands, parser
from codeindexd.errors import UsageError


def test_every_command_of_the_parser_has_a_function() -> None:
    assert commands.COMMANDS.keys() == parser.build()[1].keys()


@pytest.mark.parametrize("command", sorted(commands.COMMANDS))
def test_the_function_of_a_command_is_in_its_module(command: str) -> None:
    function = commands.function_of(command)
    assert function.__module__ == f"codeindexd.cli.commands.{commands.COMMANDS[command]}"
    assert function.__doc__


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["search", "x", "--limit", "3"], "did you mean -n? or, to search for it"),
        (["search", "x", "--langs", "go"], "did you mean --lang? or, to search for it"),
        (["log", "x", "--limit", "3"], "did you mean -n? or, to search for it"),
        (["search", "x", "--max-retries"], "to search for it, put -- before it: codeindex search -- x --max-retries"),
        (["search", "--timeout", "1", "x"], "to search for it, put -- before it: codeindex search -- --timeout 1 x"),
        (["grep", "x", "--root", "src"], "leave --root out, and name the directory after the pattern: codeindex grep"),
        (["search", "x", "-z"], "to search for it, put -- before it: codeindex search -- x -z"),
    ],
)
def test_an_unknown_option_is_corrected_or_taken_for_text(words: list[str], hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parser.parse(words)
    assert caught.value.hint.startswith(hint)
