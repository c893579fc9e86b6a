"""The command line of ``codeindex``."""

from __future__ import annotations

import argparse
import math
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from codeindexd import __version__
from codeindexd.cli import graph, grep, help_texts, log, mcp, why
from codeindexd.cli.agents import options as agents
from codeindexd.cli.common_options import add_colour, add_limit, add_roots, whole_number
from codeindexd.cli.given_once import GivenOnce
from codeindexd.errors import UsageError
from codeindexd.protocol.methods import MAX_WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Command: TypeAlias = "Callable[..., Parser]"

_QUERY_HELP = """\
inline filters: lang:python path:src/** -path:tests/** kind:function symbol:Name "an exact phrase" /regex/
a - before a filter, a phrase or a regex excludes what it matches; everything else is text to search for
put -- before a query that begins with - or contains options: codeindex search -- --max-count
--format knows path, line, column, start_line, end_line, symbol, kind, language, score, text, root, copies
Exit codes: 0 hits, 1 no hits, 2 usage error, 3 not indexed, 4 no daemon, 5 failed, 6 timed out
"""

_CONFIG_HELP = """\
show prints every setting with its value and where that comes from: default, config.toml with the line, or variable
init writes a config.toml with every setting, explained and commented out
check prints every mistake with its place and remedy, and exits with 2 if there is one
path prints where config.toml is, or would be
"""

_WORDS_FOR_LIMIT = frozenset({"--limit", "--max-results", "--max-count", "--number", "--num", "--top", "-k"})
_GLOBAL_FLAGS = frozenset({"--json", "--no-start"})  # also allowed before the command


_NEGATED_FILTER = re.compile(r"-(?:(?:lang|language|path|kind|symbol|author|touches):|/.+/$|\".+\"$)", re.IGNORECASE)


class _Shells(tuple[str, ...]):
    """The shells that have completions. Their scripts also ask for ``roots``, which no help or message offers."""

    __slots__ = ()

    def __contains__(self, word: object) -> bool:
        return word == "roots" or super().__contains__(word)


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of exiting, so that ``--json`` can print the error."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message, hint=f"for usage: {self.prog} --help")


class Program(Parser):
    """The parser of the program itself, whose help lists the commands in groups. ``summaries`` has a line for each."""

    summaries: Mapping[str, str] = MappingProxyType({})

    def format_help(self) -> str:
        """Return the help text."""
        options = self._get_formatter()
        options.start_section("options")
        options.add_arguments([action for action in self._actions if action.option_strings])
        options.end_section()
        parts = [
            f"usage: {self.prog} COMMAND ...",
            self.description or "",
            help_texts.command_list(self.summaries),
            options.format_help().strip(),
            help_texts.examples(""),
            f"for the options of a command: {self.prog} COMMAND --help",
        ]
        return "\n\n".join(parts) + "\n"


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse a command line without the program's name. Raises UsageError, and SystemExit for --help and --version."""
    flags = [word for word in argv[: _first_word(argv)] if word in _GLOBAL_FLAGS]
    words = [word for place, word in enumerate(argv) if place >= _first_word(argv) or word not in _GLOBAL_FLAGS]
    parser, commands = build()
    if words and not words[0].startswith("-"):
        if words[0] not in commands:
            raise UsageError(f"no such command: {words[0]}", hint=help_texts.for_unknown(words, commands))
        words[1:1] = flags
    words, filters = _without_negated_filters(words)
    if words[:1] == ["grep"]:
        words = grep.with_joined_patterns(words)
    args, rest = parser.parse_known_args(words)
    if args.command is None:
        raise UsageError("no command given", hint="for the list of commands: codeindex --help")
    subparser = commands[args.command]
    if rest:
        # Words of a query, and paths, may be between options, where argparse does not recognise them.
        unknown = [word for word in rest if word.startswith("-")]
        several = [action.dest for action in subparser._actions if action.nargs in ("*", "+")]
        if unknown or not several:
            _unrecognized(subparser, args, words[1:], unknown or rest)
        getattr(args, several[0]).extend(rest)
    if filters:
        args.query += filters
    if getattr(args, "query", None) == [] and args.command != "log" and not getattr(args, "commits", False):
        subparser.error("the following arguments are required: QUERY")
    if args.command == "grep":
        grep.name_patterns(args)
        if not args.patterns:
            subparser.error("the following arguments are required: PATTERN")
    return args


def _without_negated_filters(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words of a command line without the negated filters of a query (-lang:go), and these filters.

    argparse would take them for options.
    """
    if words[:1] not in (["search"], ["log"]):
        return words, []
    end = words.index("--") if "--" in words else len(words)
    filters = [word for word in words[:end] if _NEGATED_FILTER.match(word)]
    return [word for word in words[:end] if word not in filters] + words[end:], filters


def _unrecognized(parser: Parser, args: argparse.Namespace, words: list[str], unknown: list[str]) -> NoReturn:
    """Raise UsageError, with a hint how to search for text that looks like an option.

    ``words`` are those after the command, ``unknown`` those of them that it does not know.
    """
    message = f"unrecognized arguments: {' '.join(unknown)}"
    if not hasattr(args, "query") and not hasattr(args, "pattern"):
        parser.error(message)
    import shlex

    text = [word for word in words if word in unknown or word in (getattr(args, "query", None) or [])]
    hint = f"to search for it, put -- before it: {parser.prog} -- {shlex.join(text)}"
    if args.command == "grep":
        hint = grep.hint_on_options(unknown) or hint
    elif close := _close_option(parser, unknown[0].partition("=")[0]):
        hint = f"did you mean {close}? or, {hint}"
    raise UsageError(message, hint=hint)


def _close_option(parser: Parser, word: str) -> str:
    """Return the option of a command that ``word`` misspells, or that does what it does in other programs, else ""."""
    import difflib

    options = [option for action in parser._actions for option in action.option_strings]
    if word in _WORDS_FOR_LIMIT and "-n" in options:
        return "-n"
    return next(iter(difflib.get_close_matches(word, options, n=1, cutoff=0.75)), "") if word.startswith("--") else ""


def _first_word(argv: list[str]) -> int:
    return next((place for place, word in enumerate(argv) if not word.startswith("-")), len(argv))


def build() -> tuple[Program, dict[str, Parser]]:
    """Build the parser; return it, and the parsers of all commands by name."""
    parser = Program(
        prog="codeindex",
        description="Search your code by meaning and by word, in an index that is as fresh as the disk.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"codeindex {__version__}")
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print exactly one JSON document")
    common.add_argument("--no-start", action="store_true", help="do not start a daemon if none is running")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    by_name: dict[str, Parser] = {}
    summaries: dict[str, str] = {}

    def command(name: str, help_text: str, *, epilog: str = "") -> Parser:
        formatter = argparse.RawDescriptionHelpFormatter
        description = f"{help_text[0].upper()}{help_text[1:]}."
        subparser = commands.add_parser(
            name,
            parents=[common],
            help=help_text,
            description=description,
            formatter_class=formatter,
            allow_abbrev=False,
            epilog="\n\n".join(part for part in (epilog.strip(), help_texts.examples(name)) if part),
        )
        assert isinstance(subparser, Parser)
        by_name[name] = subparser
        summaries[name] = help_text
        return subparser

    _roots(command)
    _queries(command)
    _health(command)
    _daemon(command)
    parser.summaries = summaries
    return parser, by_name


def _roots(command: Command) -> None:
    add = command("add", "index a directory and keep its index fresh")
    add.add_argument(
        "paths", nargs="*", metavar="PATH", help="default: the repository that contains the current directory"
    )
    add.add_argument("--no-wait", action="store_true", help="return without waiting for the index")
    add.add_argument(
        "--force", action="store_true", help="index even a directory that is normally refused, such as your home"
    )
    add.add_argument("--workers", type=whole_number(0, MAX_WORKERS), metavar="N", help="number of worker processes")
    add.add_argument("--sequential", action="store_true", help="process one file after another (for debugging)")
    remove = command("remove", "forget a root and delete its index")
    remove.add_argument("paths", nargs="+", metavar="PATH")
    command("roots", "list the indexed roots")
    reindex = command("reindex", "process every file of a root again; known vectors are reused")
    reindex.add_argument("path", nargs="?", metavar="PATH")
    reindex.add_argument("--no-wait", action="store_true", help="return without waiting for the index")
    for name, help_text in (
        ("pause", "stop indexing a root until it is resumed"),
        ("resume", "continue indexing a root"),
    ):
        command(name, help_text).add_argument("path", nargs="?", metavar="PATH")


def _queries(command: Command) -> None:
    _search(command("search", "find code", epilog=_QUERY_HELP))
    grep.add_arguments(command("grep", "find every line that matches a pattern", epilog=grep.HELP))
    related = command("related", "find code similar to that at a line")
    related.add_argument("place", metavar="PATH:LINE")
    add_limit(related, "number of hits (10)")
    _rendering(related)
    symbol = command("symbol", "find where a name is defined")
    symbol.add_argument("name", metavar="NAME")
    symbol.add_argument("--refs", action="store_true", help="also show where it is used")
    add_roots(symbol)
    add_limit(symbol, "number of definitions (1000)")
    _filters(symbol, "only definitions of this kind: class, method, constant, ...")
    add_colour(symbol)
    graph.add_commands(command)
    log.add_command(command)
    why.add_commands(command)


def _search(search: Parser) -> None:
    search.add_argument("query", nargs="*", metavar="QUERY")
    add_roots(search)
    add_limit(search, "number of hits (10)")
    _filters(search, "only code of this kind: function, class, section, ...")
    search.add_argument(
        "--level",
        choices=["chunk", "file", "directory"],
        default="chunk",
        help="find places in code (chunk), or whole files or directories with their best places",
    )
    search.add_argument("--sync", action="store_true", help="first wait until all earlier changes are indexed")
    search.add_argument("--add", action="store_true", help="first index the directory if it is not indexed")
    search.add_argument("--explain", action="store_true", help="show the parts of each score")
    search.add_argument("--commits", action="store_true", help="find commits instead of code, as the command log does")
    search.add_argument("--last-commit", action="store_true", help="show the last commit of each hit")
    _rendering(search)


def _filters(parser: Parser, kind_help: str) -> None:
    parser.add_argument("--lang", action=GivenOnce, metavar="L", dest="language", help="only this language")
    parser.add_argument(
        "--path", action="append", metavar="GLOB", dest="globs", default=[], help="only paths that match (repeatable)"
    )
    parser.add_argument("--kind", action=GivenOnce, metavar="K", help=kind_help)


def _rendering(parser: Parser) -> None:
    parser.add_argument(
        "--context",
        type=whole_number(0),
        default=2,
        metavar="N",
        help="lines of context around the best line of each hit (2)",
    )
    parser.add_argument("-l", "--files", action="store_true", help="print only paths")
    parser.add_argument("--vimgrep", action="store_true", help="print path:line:column:text, one hit per line")
    parser.add_argument(
        "--format", metavar="TEXT", help="print each hit as TEXT says, for example '{path}:{line} {symbol}'"
    )
    parser.add_argument("--copies", action="store_true", help="list the places of identical copies")
    add_colour(parser)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return seconds


def _health(command: Command) -> None:
    sync = command("sync", "wait until all earlier changes can be searched, and print the clock")
    sync.add_argument("path", nargs="?", metavar="PATH")
    sync.add_argument("--timeout", type=_seconds, metavar="S", help="give up after this many seconds (60)")
    status = command("status", "show the health of roots and of the daemon")
    status.add_argument("path", nargs="?", metavar="PATH")
    status.add_argument("--watch", action="store_true", help="refresh until interrupted")
    verify = command("verify", "compare the index with the disk")
    verify.add_argument("path", nargs="?", metavar="PATH", help="default: the root around the current directory")
    verify.add_argument("--all", action="store_true", help="verify all roots")
    verify.add_argument("--repair", action="store_true", help="repair what differs")
    command("explain", "show why a file is or is not indexed").add_argument("path", metavar="PATH")


def _daemon(command: Command) -> None:
    command("stop", "stop the daemon; the next command starts it again")
    command("restart", "stop the daemon, even one that cannot be reached, and start a new one")
    logs = command("logs", "show the daemon's log")
    logs.add_argument("-f", "--follow", action="store_true", help="keep printing new lines until interrupted")
    logs.add_argument(
        "-n", "--lines", type=whole_number(0), default=50, metavar="N", help="number of lines to print first (50)"
    )
    service = command("service", "run the daemon as a systemd user service or launchd agent")
    service.add_argument("action", choices=["install", "uninstall", "status"], metavar="install|uninstall|status")
    command("doctor", "look for problems in the environment and show how to fix them")
    command("stats", "show how often agents asked, and an estimate of the tokens that saved")
    agents.add_arguments(command("agents", "register the server with coding agents", epilog=agents.HELP))
    config = command("config", "show, write or check the configuration", epilog=_CONFIG_HELP)
    config.add_argument("action", choices=["show", "init", "check", "path"], metavar="show|init|check|path")
    config.add_argument("--force", action="store_true", help="init: replace a file that exists, and keep a copy of it")
    completions = command("completions", "print a script that completes commands and options in a shell")
    completions.add_argument(
        "what", metavar="SHELL", choices=_Shells(("bash", "zsh", "fish")), help="bash, zsh or fish"
    )
    man = command("man", "print a manual page in the format of man")
    man.add_argument("program", nargs="?", default="codeindex", choices=["codeindex", "codeindexd"])
    uninstall = command("uninstall", "undo what was set up: the service, entries of coding agents, the running daemon")
    uninstall.add_argument(
        "--purge", action="store_true", help="also delete the indexes, roots, logs and configuration"
    )
    uninstall.add_argument("-y", "--yes", action="store_true", help="do not ask")
    uninstall.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    mcp.add_arguments(command("mcp", "serve the Model Context Protocol to coding agents", epilog=mcp.HELP))
