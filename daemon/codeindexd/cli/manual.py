"""The manual pages of ``codeindex`` and ``codeindexd``, made from their parsers. Needs only the standard library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from codeindexd import __version__
from codeindexd.cli import codeindexd as daemon
from codeindexd.cli import command_line, help_texts
from codeindexd.cli.command_line import Argument, Command, Option

EXIT_CODES: Final = (
    ("0", "done; search and grep: there are hits"),
    ("1", "no hits; verify and doctor: something differs or is wrong"),
    ("2", "the command line or the configuration is wrong"),
    ("3", "the path is not indexed"),
    ("4", "no daemon answers"),
    ("5", "the request failed"),
    ("6", "the request timed out"),
)
VARIABLES: Final = (
    ("CODEINDEX_NO_START", "if set and not 0, no command starts a daemon"),
    ("CODEINDEXD_SOCKET", "the path of the daemon's socket, for the daemon and its clients"),
    ("CODEINDEXD_SECTION_KEY", "a setting: CODEINDEXD_WORKERS_COUNT=2 overrides count in [workers] of config.toml"),
    ("CODEINDEXD_EMBEDDING_API_KEY", "the key of an embedding endpoint"),
    ("CODEINDEX_MCP_TOKEN", "the token that codeindex mcp --http asks for"),
    ("NO_COLOR", "if set, output has no colours"),
    ("FORCE_HYPERLINK", "1: paths are hyperlinks on any terminal; 0: on none"),
)
FILES: Final = (
    ("~/.config/codeindexd/config.toml", "the configuration; on macOS ~/Library/Application Support/codeindexd"),
    ("~/.cache/codeindexd", "the indexes; deleting them costs a re-index"),
    ("~/.local/state/codeindexd", "the list of roots, the lock, the log of a daemon without a journal"),
    (".codeindexignore", "in any directory of a root: what not to index, in the syntax of .gitignore"),
)
_DAEMON: Final = (
    "The daemon watches the roots that codeindex add named, keeps their indexes equal to the disk, and answers on a "
    "unix socket. codeindex starts it when it is needed, so it is seldom started by hand. It runs until it gets a "
    "signal or codeindex stop."
)
_PROGRAM: Final = (
    "codeindex asks the daemon codeindexd, which keeps a search index of your code as fresh as the disk. It starts the "
    "daemon if none is running. Every command takes --json, with which it prints exactly one JSON document."
)


def page(program: str) -> str:
    """Return the manual page of "codeindex" or "codeindexd" in the man(7) format."""
    return "\n".join(_PAGES[program]()) + "\n"


def _codeindex() -> Iterator[str]:
    commands = {command.name: command for command in command_line.commands()}
    yield from _head("codeindex", "search your code by meaning and by word")
    yield from (".SH SYNOPSIS", ".B codeindex", r"[\fB\-\-json\fR] [\fB\-\-no\-start\fR] \fICOMMAND\fR ...")
    yield from (".SH DESCRIPTION", _text(_PROGRAM), ".SH OPTIONS")
    yield from _options(command_line.program_options())
    common = {flag for option in command_line.program_options() for flag in option.flags}
    for title, names in help_texts.GROUPS.items():
        yield f".SH COMMANDS: {_text(title.upper())}"
        for name in names:
            yield from _command(commands[name], common)
    yield from _table("EXIT STATUS", EXIT_CODES)
    yield from _table("ENVIRONMENT", VARIABLES)
    yield from _table("FILES", FILES)
    yield ".SH EXAMPLES"
    yield from _examples("")
    yield from (".SH SEE ALSO", ".BR codeindexd (1),", ".BR rg (1),", ".BR git\\-grep (1)")


def _codeindexd() -> Iterator[str]:
    yield from _head("codeindexd", "keep a search index of your code as fresh as the disk")
    yield from (".SH SYNOPSIS", ".B codeindexd", r"[\fIOPTION\fR ...]")
    yield from (".SH DESCRIPTION", _text(_DAEMON), ".SH OPTIONS")
    yield from _options(command_line.options_of(daemon.build_parser()))
    yield from _table("ENVIRONMENT", VARIABLES[1:4])
    yield from _table("FILES", FILES)
    yield from (".SH SEE ALSO", ".BR codeindex (1)")


_PAGES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {"codeindex": _codeindex, "codeindexd": _codeindexd}
PROGRAMS: Final = tuple(_PAGES)


def _head(program: str, purpose: str) -> Iterator[str]:
    yield f'.TH {program.upper()} 1 "" "codeindexd {__version__}" "User Commands"'
    yield from (".SH NAME", f"{program} \\- {_text(purpose)}")


def _command(command: Command, common: set[str]) -> Iterator[str]:
    """Yield the lines about a command; options with a flag in ``common`` are described elsewhere."""
    arguments = " ".join(map(_argument, command.arguments))
    yield f".SS codeindex {_text(command.name)} {arguments}".rstrip()
    yield _text(f"{command.summary[0].upper()}{command.summary[1:]}.")
    yield from _options([option for option in command.options if not common & set(option.flags)])
    if command.notes:
        yield from (".PP", *_lines(command.notes))
    yield from _examples(command.name)


def _argument(argument: Argument) -> str:
    shown = rf"\fI{_text(argument.metavar)}\fR{' ...' if argument.is_last else ''}"
    return f"[{shown}]" if argument.is_optional else shown


def _options(options: Sequence[Option]) -> Iterator[str]:
    for option in options:
        value = rf" \fI{_text(option.metavar)}\fR" if option.metavar else ""
        yield from (".TP", ", ".join(rf"\fB{_text(flag)}\fR{value}" for flag in option.flags), _text(option.purpose))


def _table(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield f".SH {title}"
    for name, meaning in rows:
        yield from (".TP", rf"\fB{_text(name)}\fR", _text(meaning))


def _examples(command: str) -> Iterator[str]:
    for line, purpose in help_texts.EXAMPLES.get(command, ()):
        yield from (".PP", f"{_text(purpose[0].upper() + purpose[1:])}:", ".RS 4", ".nf", _text(line), ".fi", ".RE")


def _lines(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines()):
        yield from (*([".br"] if number else []), _text(line))


def _text(text: str) -> str:
    """Return text in roff: backslashes, hyphens and quotes as they are typed, and no line that begins a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    escaped = escaped.replace("^", r"\(ha").replace("~", r"\(ti")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped
