"""``codeindex grep``: its options, and its output, which is like ripgrep's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from codeindexd.cli.common_options import add_colour, whole_number
from codeindexd.cli.given_once import GivenOnce
from codeindexd.cli.path_filters import from_here
from codeindexd.cli.render import shown_path
from codeindexd.cli.terminal import Terminal, safe, safe_line
from codeindexd.protocol.methods import MAX_CONTEXT, MAX_LINE_BYTES
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from codeindexd.client.results import Line, LineCount

HELP = """\
PATTERN is a regex in RE2's syntax: Python's, without lookaround and backreferences.
Without PATH, the current directory is searched. Every matching line of every indexed file is found;
standard error says how many files could not be searched, and why. For -v and -L, every file is read.
Exit codes: 0 something was found, 1 nothing, 2 usage error, 3 not indexed, 4 no daemon, 5 failed, 6 timed out
"""
_MOST_REPEATED_BYTES = 4096  # of a line with many matches, which --vimgrep prints as often
_BEFORE_MATCH = 200
_NEEDLESS_OPTIONS = re.compile(r"-[nNiSwxvFlLcoq]*(?:[rREHsaI][nNiSwxvFlLcoq]*)+")  # perhaps beside some that exist
_NEEDLESS_LONG_OPTIONS = frozenset(
    {"--recursive", "--extended-regexp", "--with-filename", "--no-messages", "--text", "--hidden"}
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``codeindex grep``, named as in ripgrep."""
    parser.add_argument("pattern", nargs="?", metavar="PATTERN", help="what to look for, unless -e says it")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a file or directory (the current directory)")
    parser.add_argument(
        "-e", "--regexp", action="append", metavar="PATTERN", dest="patterns", help="look for this; may be repeated"
    )
    parser.add_argument("-i", "--ignore-case", action="store_true", help="ignore case")
    parser.add_argument("-S", "--smart-case", action="store_true", help="ignore case unless PATTERN has a capital")
    parser.add_argument("-w", "--word-regexp", action="store_true", dest="word", help="match whole words only")
    parser.add_argument("-x", "--line-regexp", action="store_true", dest="whole_line", help="match whole lines only")
    parser.add_argument(
        "-v", "--invert-match", action="store_true", dest="invert", help="print the lines without a match"
    )
    parser.add_argument("-F", "--fixed-strings", action="store_true", dest="fixed", help="PATTERN is plain text")
    parser.add_argument("-l", "--files-with-matches", action="store_true", dest="files_only", help="print only paths")
    parser.add_argument(
        "-L", "--files-without-match", action="store_true", dest="files_without", help="print paths without a match"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing, and end at the first match")
    parser.add_argument("-c", "--count", action="store_true", help="print the number of matching lines of each file")
    parser.add_argument(
        "-o", "--only-matching", action="store_true", help="print only the matching parts, one per line"
    )
    for short, name, where in (("-A", "after-", "after"), ("-B", "before-", "before"), ("-C", "", "before and after")):
        parser.add_argument(
            short,
            f"--{name}context",
            type=whole_number(0, MAX_CONTEXT),
            default=0,
            metavar="N",
            help=f"also print N lines {where} each match",
        )
    parser.add_argument(
        "-g",
        "--glob",
        action="append",
        metavar="GLOB",
        dest="globs",
        help="only paths that match, or with ! do not; relative to here if its first directory is here",
    )
    parser.add_argument("-t", "--type", action=GivenOnce, metavar="LANG", dest="language", help="only this language")
    parser.add_argument("-m", "--max-count", type=whole_number(1), metavar="N", help="at most N lines of each file")
    parser.add_argument("--vimgrep", action="store_true", help="print path:line:column:text, one match per line")
    parser.add_argument("-N", "--no-line-number", action="store_true", help="print no line numbers")
    parser.add_argument("-n", "--line-number", action="store_true", help="print line numbers (the default)")
    parser.add_argument("--no-heading", action="store_true", help="print the path on every line, also on a terminal")
    add_colour(parser)
    parser.add_argument("--all", action="store_true", help="search all roots")
    parser.add_argument("--sync", action="store_true", help="first wait until all earlier changes are indexed")


def with_joined_patterns(words: list[str]) -> list[str]:
    """Return a command line with each ``-e`` and its pattern in one word, so that a pattern may begin with ``-``."""
    out: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*out, word, *rest]
        pattern = next(rest, None) if word in ("-e", "--regexp") else None
        out.append(word if pattern is None else f"--regexp={pattern}")
    return out


def name_patterns(args: argparse.Namespace) -> None:
    """Set ``patterns`` and ``paths``: with ``-e``, what stands where the pattern would is a path, too."""
    if args.patterns is None:
        args.patterns = [] if args.pattern is None else [args.pattern]
    elif args.pattern is not None:
        args.paths.insert(0, args.pattern)


def parameters(args: argparse.Namespace, cwd: str, *, highlights: bool, whole_lines: bool) -> dict[str, Any]:
    """Return the arguments of ``Client.grep_stream``.

    All matches of a line are asked for only where they are shown, by colour (``highlights``) or one by one.
    """
    whole_lines |= args.only_matching or args.vimgrep
    pattern, *others = args.patterns
    have_no_capital = all(text == text.lower() for text in args.patterns)
    return {
        "pattern": pattern,
        "others": others,
        "roots": None if args.all else args.paths or [cwd],
        "path": [from_here(glob, names_what_is_here=not args.all) for glob in args.globs or []],
        "language": args.language,
        "fixed": args.fixed,
        "ignore_case": args.ignore_case or (args.smart_case and have_no_capital),
        "word": args.word,
        "whole_line": args.whole_line,
        "invert": args.invert,
        "before": args.before_context or args.context,
        "after": args.after_context or args.context,
        "max_count": args.max_count,
        "files_only": args.files_only or (args.quiet and not args.files_without),
        "files_without": args.files_without,
        "count": args.count,
        "every_match": args.only_matching or args.vimgrep or highlights or args.json,
        "max_line_bytes": MAX_LINE_BYTES if whole_lines else None,
        "sync": args.sync,
    }


def hint_on_options(words: list[str]) -> str:
    """Return the hint on options of grep that do not exist here; "" if others are among ``words``."""
    if all(word in _NEEDLESS_LONG_OPTIONS or _NEEDLESS_OPTIONS.fullmatch(word) for word in words):
        return f"leave {' '.join(words)} out: every indexed file is searched, for a regex, and shown with its path"
    if words[0].partition("=")[0] == "--root":
        return "leave --root out, and name the directory after the pattern: codeindex grep PATTERN PATH"
    return ""


def note_on_cut(count: int, *, is_terminal: bool) -> str:
    """Return the note on lines that were not printed whole."""
    remedy = "; in a pipe or a file, lines are printed whole" if is_terminal else ""
    return f"{quantity(count, 'very long line was', 'very long lines were')} cut around the match{remedy}"


def _order(match: Line) -> int:
    """Return the number of a line among its neighbours: the line in the file or, in a notebook, in the cell."""
    return match.get("cell_line", match["line"])


def _path(entry: Line | LineCount, cwd: str) -> str:
    return safe_line(shown_path(entry, cwd))


class Printer:
    """Prints results of the search as the options say, while they arrive.

    Lines have their context, and on a terminal a heading for each file. The context after a line is printed once it is
    known where the next matching line is. ``cut`` counts the lines that were too long to be printed whole.
    """

    def __init__(self, terminal: Terminal, args: argparse.Namespace, cwd: str) -> None:
        self._terminal = terminal
        self._args = args
        self._cwd = cwd
        self._heading = terminal.full_screen and not (args.no_heading or args.vimgrep)
        self._has_context = bool(args.before_context or args.after_context or args.context)
        self._file = ("", "")  # root and path of the last line
        self._path = ""
        self._cell = 0
        self._last_line = 0  # the last line printed, counted as _order does; 0 if none
        self._after: list[tuple[int, int, str]] = []  # context to print: order, line, text
        self.cut = 0

    def show(self, results: Iterable[Any]) -> None:
        """Print lines, or with ``-l``, ``-L`` and ``-c`` files."""
        if self._args.files_only or self._args.files_without:
            for entry in results:
                self._terminal.print(self._terminal.style("path", _path(entry, self._cwd)))
        elif self._args.count:
            for entry in results:
                self._terminal.print(f"{self._terminal.style('path', _path(entry, self._cwd))}:{entry['count']}")
        else:
            for match in results:
                self._show_line(match)

    def end(self) -> None:
        """Print the context after the last line."""
        self._print_after(None)

    def _show_line(self, match: Line) -> None:
        """Print a match with its context, without repeating lines that were printed with the one before it."""
        self.cut += match.get("cut", False)
        order, before, after = _order(match), match.get("before", []), match.get("after", [])
        is_same_text = self._file == (match["root"], match["path"]) and self._cell == match.get("cell", 0)
        if self._after:
            self._print_after(order if is_same_text else None)
        if not is_same_text:
            self._begin(match)
        if self._args.only_matching or self._args.vimgrep:
            self._print_each(match)
            return
        first = order - len(before)
        before_lines = match.get("before_lines", range(first, order))
        after_lines = match.get("after_lines", range(order + 1, order + 1 + len(after)))
        if self._has_context and self._last_line and first > self._last_line + 1:
            self._terminal.print("--")
        for at, (number, text) in enumerate(zip(before_lines, before, strict=True), first):
            if at > self._last_line:
                self._print(number, "-", safe(text))
        is_highlighted = self._terminal.colour and not self._args.invert
        text = "".join(self._highlighted(match)) if is_highlighted else safe(match["text"])
        self._print(match["line"], ":", text)
        self._last_line = order
        self._after = [
            (at, number, text) for at, (number, text) in enumerate(zip(after_lines, after, strict=True), order + 1)
        ]

    def _print_after(self, limit: int | None) -> None:
        """Print the context after the last matching line, up to but not including the line ``limit``."""
        for at, number, text in self._after:
            if limit is not None and at >= limit:
                break
            self._print(number, "-", safe(text))
            self._last_line = at
        self._after = []

    def _begin(self, match: Line) -> None:
        file, cell = (match["root"], match["path"]), match.get("cell", 0)
        is_new = file != self._file
        if self._path and (self._has_context or (self._heading and is_new)):
            self._terminal.print("" if self._heading and is_new else "--")
        self._file, self._path, self._cell, self._last_line = file, _path(match, self._cwd), cell, 0
        if self._heading and is_new:
            self._terminal.print(self._terminal.style("path", self._path))
        if self._heading and cell:
            self._terminal.print(self._terminal.style("dim", f"cell {cell}"))

    def _print(self, number: int, separator: str, text: str) -> None:
        parts = [] if self._heading else [self._terminal.style("path", self._path)]
        if not self._args.no_line_number:
            parts.append(self._terminal.style("good", str(number)))
        self._terminal.print("".join(f"{part}{separator}" for part in parts) + text)

    def _print_each(self, match: Line) -> None:
        data = match["text"].encode()
        is_long = len(data) > _MOST_REPEATED_BYTES and not self._args.only_matching
        self.cut += is_long and not match.get("cut", False)
        for start, end in match["spans"]:
            if self._args.only_matching:
                part = data[start:end].decode("utf-8", "replace")
            elif is_long:
                first = max(0, min(start - _BEFORE_MATCH, len(data) - _MOST_REPEATED_BYTES))
                part = data[first : first + _MOST_REPEATED_BYTES].decode("utf-8", "ignore")
            else:
                part = match["text"]
            if self._args.vimgrep:
                column = match["column"] + start - match["spans"][0][0]
                self._terminal.print(f"{self._path}:{match['line']}:{column}:{safe(part)}")
            else:
                self._print(match["line"], ":", safe(part))

    def _highlighted(self, match: Line) -> Iterator[str]:
        data = match["text"].encode()
        at = 0
        for start, end in match["spans"]:
            yield safe(data[at:start].decode("utf-8", "replace"))
            yield self._terminal.style("match", safe(data[start:end].decode("utf-8", "replace")))
            at = end
        yield safe(data[at:].decode("utf-8", "replace"))
