"""The options of ``codeindex agents``, apart from the command: parsing a command line must not import it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_FOUND = (
    *("claude-code", "codex", "cursor", "vscode", "zed", "gemini-cli", "opencode", "windsurf"),
    *("cline", "roo", "continue", "goose", "amp", "crush", "kiro", "jetbrains"),
)
_ON_REQUEST = ("agents-md", "skill")
NAMES = (*_FOUND, *_ON_REQUEST)
HELP = f"""\
NAME is one of: {", ".join(_FOUND[:8])},
{", ".join(_FOUND[8:])}; on request only: {", ".join(_ON_REQUEST)}.
Without NAME, all that are found on this machine.
Every change is shown as a diff first. uninstall restores each file as it was.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("action", choices=["list", "install", "uninstall"])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument(
        "--project",
        nargs="?",
        const=".",
        metavar="PATH",
        help="change the settings of the project at PATH (the current directory) instead of yours",
    )
    parser.add_argument("--add", action="store_true", help="let the server index a project when it is first searched")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only show the changes")
