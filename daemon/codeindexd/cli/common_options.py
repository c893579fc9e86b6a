"""Options that several commands have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_roots(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which roots a command asks: ``--root`` and ``--all``."""
    parser.add_argument("--root", action="append", metavar="PATH", dest="roots", help="search this root (repeatable)")
    parser.add_argument("--all", action="store_true", help="search all roots")


def add_colour(parser: argparse.ArgumentParser) -> None:
    """Add ``--color``."""
    parser.add_argument(
        "--color", choices=["auto", "always", "never"], default="auto", help="when to use colour (auto)"
    )
