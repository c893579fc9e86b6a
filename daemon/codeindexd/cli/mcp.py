"""``codeindex mcp``: its options, and the server for agents on standard input and output, or on HTTP."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from codeindexd.cli.terminal import OutputError, Terminal, safe
from codeindexd.client.core import absolute
from codeindexd.errors import FailedError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from codeindexd.client.aio import AsyncClient
    from codeindexd.mcp import Server

_TOKEN_NAME = "mcp-token"  # noqa: S105 - the name of a file
_TOKEN_VARIABLE = "CODEINDEX_MCP_TOKEN"  # noqa: S105 - the name of a variable
HELP = """\
Without options, answers cover the project that the host names as its roots, or else the indexed root around the current
directory. With --http, hosts connect to http://HOST:PORT/mcp with the header "Authorization: Bearer TOKEN". TOKEN is in
the environment variable CODEINDEX_MCP_TOKEN, or else in the file that is printed at the start.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``codeindex mcp``."""
    parser.add_argument(
        "--root", action="append", metavar="PATH", dest="roots", help="the project, if the host names none (repeatable)"
    )
    parser.add_argument("--add", action="store_true", help="index the project on first use if it is not indexed")
    parser.add_argument("--http", metavar="HOST:PORT", help="listen on HTTP instead of standard input and output")


def serve(
    args: argparse.Namespace,
    environ: Mapping[str, str],
    terminal: Terminal,
    connect: Callable[[], AsyncClient],
    cwd: Callable[[], str],
) -> None:
    """Serve until standard input ends or, on HTTP, until interrupted. Raises UsageError, OutputError, FailedError."""
    from functools import partial

    from codeindexd import mcp
    from codeindexd.cli.stats import usage_file
    from codeindexd.mcp import usage

    if args.json:
        raise UsageError("mcp has no use for --json: it always speaks JSON", hint="leave --json out")
    given = [absolute(path) for path in args.roots or ([] if args.http else [cwd()])]
    server = mcp.Server(
        connect,
        given=given,
        may_add=args.add,
        note=lambda text: terminal.note(safe(text)),
        record=partial(usage.record, usage_file()),
    )
    if args.http:
        return _serve_http(args.http, environ, terminal, server)
    if sys.stdin is None or sys.stdout is None:
        raise UsageError("mcp needs standard input and output, but one is closed", hint="start it from an MCP host")
    try:
        mcp.serve(server, sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from error
    return None


def _serve_http(address: str, environ: Mapping[str, str], terminal: Terminal, server: Server) -> None:
    import anyio

    from codeindexd.mcp import http_server

    place = http_server.parse_address(address)
    token, kept_in = _token(environ)
    host = f"[{place[0]}]" if ":" in place[0] else place[0]

    def ready(port: int) -> None:
        terminal.note(f"listening on http://{host}:{port}{http_server.PATH}; the token is in {safe(kept_in)}")

    async def main() -> None:
        await http_server.serve(server, place, token, ready)

    anyio.run(main)


def _token(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the token that hosts have to present, and where it is kept; without one, make it.

    Raises UsageError for one that no host can present in a header, FailedError.
    """
    if given := environ.get(_TOKEN_VARIABLE, ""):
        return _presentable(given, _TOKEN_VARIABLE), _TOKEN_VARIABLE
    import secrets
    from pathlib import Path

    import platformdirs

    path = Path(platformdirs.user_state_path("codeindexd", appauthor=False)) / _TOKEN_NAME
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists() and (kept := path.read_text().strip()):
            return _presentable(kept, str(path)), str(path)
        token = secrets.token_urlsafe(32)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{token}\n")
    except OSError as error:
        raise FailedError(
            f"cannot store a token in {path}: {error.strerror}", hint=f"set {_TOKEN_VARIABLE} to a long random string"
        ) from error
    return token, str(path)


def _presentable(token: str, kept_in: str) -> str:
    """Return a token without blanks around it, which a header loses. Raises UsageError if a header cannot hold it."""
    stripped = token.strip()
    if not stripped.isascii() or not stripped.isprintable() or " " in stripped or not stripped:
        raise UsageError(
            f"the token in {kept_in} must consist of ASCII letters, digits and punctuation, without blanks",
            hint="use a long random string, for example from: openssl rand -hex 32",
        )
    return stripped
