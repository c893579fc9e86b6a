"""The functions of the commands."""

from __future__ import annotations

import pytest

from codeindexd.cli import commands, parser


def test_every_command_of_the_parser_has_a_function() -> None:
    assert commands.COMMANDS.keys() == parser.build()[1].keys()


@pytest.mark.parametrize("command", sorted(commands.COMMANDS))
def test_the_function_of_a_command_is_in_its_module(command: str) -> None:
    function = commands.function_of(command)
    assert function.__module__ == f"codeindexd.cli.commands.{commands.COMMANDS[command]}"
    assert function.__doc__
