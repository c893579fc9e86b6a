"""The program ``codeindex``: parses the command line, runs the command, reports errors by message and exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from codeindexd.cli import commands, parser
from codeindexd.cli.run import Run
from codeindexd.cli.terminal import OutputError, Terminal, safe
from codeindexd.client.core import absolute
from codeindexd.errors import CodeindexError, FailedError, NotIndexedError, UsageError

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    terminal = Terminal.standard(os.environ)
    try:
        code = run(words, os.environ, terminal)
        terminal.flush()
    except BrokenPipeError:  # the reader has stopped reading: `codeindex search ... | head`
        terminal.discard_output()
        return 0
    except OutputError as error:
        terminal.discard_output()
        terminal.note(f"codeindex: cannot write to standard output: {error}")
        return FailedError.exit_code
    return code


def run(words: list[str], environ: Mapping[str, str], terminal: Terminal) -> int:
    """Run a command and return the exit code; ``words`` are its arguments. Raises only BrokenPipeError, OutputError."""
    as_json = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
    try:
        return _run(parser.parse(words), environ, terminal)
    except BrokenPipeError:
        raise
    except SystemExit as request:  # --help, --version
        return int(request.code or 0)
    except CodeindexError as error:
        _report(error, terminal, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        terminal.clear_line()
        if as_json:
            _report(FailedError("interrupted"), terminal, as_json=True)
        return INTERRUPTED
    except OSError as error:
        failed = FailedError(f"{error.filename or 'system'}: {error.strerror or error}")
        _report(failed, terminal, as_json=as_json)
        return failed.exit_code


def _run(args: argparse.Namespace, environ: Mapping[str, str], terminal: Terminal) -> int:
    terminal.set_colour(getattr(args, "color", "auto"))
    try:
        return commands.function_of(args.command)(Run(args, environ, terminal))
    except CodeindexError as error:
        raise _more_precise(error, args) from None


def _more_precise(error: CodeindexError, args: argparse.Namespace) -> CodeindexError:
    """Return the error to print: for a path that does not exist, "not indexed" would be misleading."""
    if not isinstance(error, NotIndexedError):
        return error
    given = [getattr(args, "path", None), *(getattr(args, "paths", None) or []), *(getattr(args, "roots", None) or [])]
    for path in given:
        if path and not os.path.lexists(absolute(path)):
            hint = "check the path; to see what is indexed: codeindex roots"
            kind = UsageError if args.command == "grep" else NotIndexedError  # as ripgrep exits
            return kind(f"{absolute(path)} does not exist", hint=hint)
    return error


def _report(error: CodeindexError, terminal: Terminal, *, as_json: bool) -> None:
    if as_json:
        terminal.print(json.dumps({"error": describe(error)}))
        return
    terminal.note(f"codeindex: {safe(error.message)}")
    if error.hint:
        terminal.note(f"hint: {safe(error.hint)}")


def describe(error: CodeindexError) -> dict[str, Any]:
    """Return the error as an object for ``--json``."""
    return {"code": error.code, "name": error.name, "message": error.message, "hint": error.hint}


if __name__ == "__main__":
    sys.exit(main())
