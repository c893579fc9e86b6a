"""Options that several commands have."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from codeindexd.protocol.methods import MAX_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return the type of an option whose value is a number from ``least`` to ``most`` (None: any from ``least``).

    The daemon refuses other numbers, too, but its message names the parameter, not the option.
    """

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"not a whole number: {text}") from None
        if value < least or (most is not None and value > most):
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {bounds}, not {value}")
        return value

    return parse


def add_roots(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which roots a command asks: ``--root`` and ``--all``."""
    parser.add_argument("--root", action="append", metavar="PATH", dest="roots", help="search this root (repeatable)")
    parser.add_argument("--all", action="store_true", help="search all roots")


def add_limit(parser: argparse.ArgumentParser, help_text: str, default: int | None = None, *, least: int = 1) -> None:
    """Add ``-n``: how many entries to show, at least ``least``. Without a ``default``, the daemon chooses."""
    parser.add_argument(
        "-n", type=whole_number(least, MAX_LIMIT), default=default, metavar="N", dest="limit", help=help_text
    )


def add_colour(parser: argparse.ArgumentParser) -> None:
    """Add ``--color``."""
    parser.add_argument(
        "--color", choices=["auto", "always", "never"], default="auto", help="when to use colour (auto)"
    )
