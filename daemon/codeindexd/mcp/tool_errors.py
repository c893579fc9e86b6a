"""Errors as a model reads them: what is wrong, and which tool call helps. Never a command for a shell."""

from __future__ import annotations

import re

from codeindexd.errors import CodeindexError, NoDaemonError, NotIndexedError, ShuttingDownError, TimedOutError

_COMMAND = re.compile(r"`?codeindex (?P<command>[a-z]+)(?P<rest>[^`;\n]*)`?")
_TOOLS = {
    "add": "call add_root",
    "status": "call status",
    "roots": "call status",
    "explain": "call status",
    "symbol": "call symbol",
    "grep": "call grep",
    "search": "call search",
    "map": "call map",
    "outline": "call outline",
    "impact": "call impact",
    "related": "call related",
    "log": "call log",
    "why": "call why",
    "history": "call history",
    "together": "call together",
    "refs": "call symbol",
    "callers": "call symbol",
    "callees": "call symbol",
}
_FOR_THE_USER = "the user has to run this in a terminal: codeindex {command}{rest}"


def for_model(text: str) -> str:
    """Return a message of the daemon with the commands in it replaced by the tools that do the same.

    What no tool does is left to the user.
    """

    def replacement(match: re.Match[str]) -> str:
        command, rest = match["command"], match["rest"].rstrip()
        if (tool := _TOOLS.get(command)) is None:
            return _FOR_THE_USER.format(command=command, rest=rest)
        path = rest.strip().strip("'\"")
        return f'{tool} with path="{path}"' if path.startswith("/") else tool

    return _COMMAND.sub(replacement, text)


def describe(error: CodeindexError | OSError) -> str:
    """Return the text of the result of a tool that failed."""
    if isinstance(error, OSError):
        return f"{error.filename or 'system'}: {error.strerror or error}"
    hint = _hint(error)
    return f"{for_model(error.message)}\n{hint}" if hint else for_model(error.message)


def _hint(error: CodeindexError) -> str:
    match error:
        case NoDaemonError() | ShuttingDownError():
            return "Call the tool again in a moment; until then, use your own search."
        case TimedOutError():
            return "Call the tool again, with sync=false to get what is indexed so far."
        case NotIndexedError():
            return for_model(error.hint)
    hint = for_model(error.hint)
    return "" if "--" in hint and "terminal" not in hint else hint
