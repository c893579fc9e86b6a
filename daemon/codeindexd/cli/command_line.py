"""The command line of ``codeindex`` as data, read from its parser: for completions, the manual page and documents."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from codeindexd.cli import parser
from codeindexd.cli.agents.options import NAMES

FILES: Final = "files"
ROOTS: Final = "roots"
LANGUAGES: Final = "languages"
KINDS: Final = "kinds"
ANYTHING: Final = ""

_BY_DESTINATION: Final = {"roots": ROOTS, "language": LANGUAGES, "kind": KINDS}
_ABOUT_ROOTS: Final = frozenset({"pause", "reindex", "remove", "resume", "status", "sync", "verify"})


@dataclass(frozen=True, slots=True)
class Option:
    """An option. ``metavar`` is "" if it takes no value; ``values`` is what to complete, or ``choices`` lists them."""

    flags: tuple[str, ...]
    metavar: str
    purpose: str
    values: str = ANYTHING
    choices: tuple[str, ...] = ()
    is_repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument; ``is_last`` if it takes all words that follow. Else as for an :class:`Option`."""

    metavar: str
    purpose: str
    values: str = ANYTHING
    choices: tuple[str, ...] = ()
    is_optional: bool = False
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command. ``notes`` is the text below the options in its help, without the examples."""

    name: str
    summary: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    notes: str


def commands() -> list[Command]:
    """Return all commands, in the order of the parser."""
    program, by_name = parser.build()
    return [_command(name, program.summaries[name], subparser) for name, subparser in by_name.items()]


def program_options() -> tuple[Option, ...]:
    """Return the options that come before a command."""
    program, by_name = parser.build()
    anywhere = [action for action in next(iter(by_name.values()))._actions if action.dest in {"json", "no_start"}]
    return tuple(_option(action) for action in (*program._actions, *anywhere) if action.option_strings)


def options_of(subparser: argparse.ArgumentParser) -> tuple[Option, ...]:
    """Return the options of a parser."""
    return tuple(_option(action) for action in subparser._actions if action.option_strings)


def _command(name: str, summary: str, subparser: parser.Parser) -> Command:
    notes = (subparser.epilog or "").partition("examples:\n")[0].strip()
    return Command(name, summary, options_of(subparser), tuple(_arguments(name, subparser)), notes)


def _option(action: argparse.Action) -> Option:
    choices = tuple(str(choice) for choice in action.choices or ())
    if action.nargs == 0:
        metavar = ""
    else:
        metavar = str(action.metavar or ("|".join(choices) if choices else action.dest.upper()))
    is_repeatable = isinstance(action, argparse._AppendAction)
    return Option(
        tuple(action.option_strings), metavar, action.help or "", _values(action, metavar), choices, is_repeatable
    )


def _arguments(name: str, subparser: argparse.ArgumentParser) -> Iterator[Argument]:
    for action in subparser._actions:
        if action.option_strings:
            continue
        choices = tuple(str(choice) for choice in action.choices or ())
        metavar = str(action.metavar or ("|".join(choices) if choices else action.dest.upper()))
        values = _values(action, metavar)
        if values == FILES and name in _ABOUT_ROOTS:
            values = ROOTS
        if name == "agents" and action.dest == "names":
            choices = NAMES
        is_last = action.nargs in {"*", "+"}
        yield Argument(metavar, action.help or "", values, choices, action.nargs in {"*", "?"}, is_last)


def _values(action: argparse.Action, metavar: str) -> str:
    is_path = "PATH" in metavar or metavar == "GLOB"
    return _BY_DESTINATION.get(action.dest) or (FILES if is_path else ANYTHING)
