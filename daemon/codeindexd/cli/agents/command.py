"""The command ``codeindex agents``: lists coding agents, registers our server with them, and removes it again."""

from __future__ import annotations

import difflib
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codeindexd.cli import installed_by
from codeindexd.cli.agents import edits
from codeindexd.cli.agents.changes import Change, Records, read
from codeindexd.cli.agents.clients import CLIENTS, Client, Command, Places
from codeindexd.cli.agents.instructions import INSTRUCTIONS
from codeindexd.cli.terminal import Terminal, safe
from codeindexd.client.core import absolute
from codeindexd.errors import CodeindexError, FailedError, UsageError

if TYPE_CHECKING:
    import argparse

ALL = (*CLIENTS, *INSTRUCTIONS)


class Agents:
    """One run of the command: its options, and where things are."""

    def __init__(self, args: argparse.Namespace, environ: Mapping[str, str], terminal: Terminal) -> None:
        import platformdirs

        self._args = args
        self._terminal = terminal
        self._places = Places(Path.home(), environ)
        self._project = None if args.project is None else Path(absolute(args.project))
        self._failures: list[FailedError] = []
        self._is_single = False  # a single file: its failure is that of the command, which is printed once
        self._records = Records(Path(platformdirs.user_state_path("codeindexd", appauthor=False)) / "agents")

    def run(self) -> dict[str, Any]:
        """Do what was asked for; return the result as JSON. Raises CodeindexError if all of it failed."""
        if self._project is not None and not self._project.is_dir():
            raise UsageError(f"{self._project} is not a directory", hint="give the directory of a project")
        if self._args.action == "list":
            return {"agents": [self._described(client) for client in self._chosen(ALL)]}
        if self._args.json and not (self._args.yes or self._args.dry_run):
            raise UsageError("--json cannot ask for confirmation", hint="give --yes or --dry-run")
        clients = self._chosen([client for client in ALL if self._is_meant(client)])
        if not clients:
            raise FailedError("no coding agent was found", hint=f"name one: codeindex agents install {CLIENTS[0].name}")
        self._is_single = len(clients) == 1 and len(self._files(clients[0])) == 1
        changes = [done for client in clients for done in self._change(client)]
        if self._failures and len(self._failures) == len(changes):
            raise self._failures[0]
        return {"changes": changes}

    def _chosen(self, default: Iterable[Client]) -> list[Client]:
        """Return the clients that were named, else ``default``. Raises UsageError for unknown names."""
        known = {client.name: client for client in ALL}
        for name in self._args.names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"use one of: {', '.join(known)}"
                raise UsageError(f"no such agent: {name}", hint=hint)
        return [known[name] for name in self._args.names] or list(default)

    def _is_meant(self, client: Client) -> bool:
        """Return True for a client that is changed without being named."""
        if self._args.action == "uninstall":
            return any(self._is_installed(client, file) for file in client.files(self._places, self._project))
        return not client.only_if_named and client.is_found(self._places) and bool(self._files(client))

    def _files(self, client: Client) -> Sequence[Path]:
        return client.files(self._places, self._project)

    def _is_installed(self, client: Client, file: Path) -> bool:
        try:
            text = read(file)
            return text is not None and edits.entry_in(text, client) is not None
        except (CodeindexError, OSError):
            return False

    def _described(self, client: Client) -> dict[str, Any]:
        files = self._files(client)
        return {
            "name": client.name,
            "title": client.title,
            "found": client.is_found(self._places),
            "installed": any(self._is_installed(client, file) for file in files),
            "files": [str(file) for file in files],
            "docs": client.docs,
        }

    # changes

    def _change(self, client: Client) -> list[dict[str, Any]]:
        """Change the files of a client; return what became of each."""
        files = self._files(client)
        if not files:
            where = "for a single project" if self._project else "for all projects"
            other = "leave --project out" if self._project else "give --project"
            raise UsageError(f"{client.title} has no settings {where}", hint=other)
        outcomes = []
        for file in files:
            try:
                change = self._plan(client, file)
                outcome = self._carry_out(change)
            except (FailedError, OSError) as error:
                outcome = self._record_failure(client, file, error)
            outcomes.append({"name": client.name, "path": str(file), **outcome})
            self._say(client, file, outcome)
        return outcomes

    def _record_failure(self, client: Client, file: Path, error: FailedError | OSError) -> dict[str, Any]:
        """Remember a failure, which does not keep other files from being changed; return the outcome."""
        what = error.message if isinstance(error, FailedError) else error.strerror or str(error)
        failure = FailedError(f"{client.title}: {file}: {what}", hint=getattr(error, "hint", ""))
        self._failures.append(failure)
        return {"outcome": "failed", "error": failure.message, "hint": failure.hint}

    def _plan(self, client: Client, file: Path) -> Change:
        """Return the change of a file. Raises FailedError if it cannot be read."""
        text = read(file)
        if self._args.action == "install":
            return Change(file, text, _edited(text, lambda plain: self._with_entry(plain, client)))
        if text is None or edits.entry_in(text, client) is None:
            return Change(file, text, text)
        is_as_written, before = self._records.undone(file, text)
        if is_as_written and not (before and edits.entry_in(before, client) is not None):
            return Change(file, text, before)
        after = _edited(text, lambda plain: edits.without_entry(plain, client))
        return Change(file, text, after or None)

    def _with_entry(self, text: str, client: Client) -> str:
        return edits.with_entry(text, client, self._command(), in_project=self._project is not None)

    def _command(self) -> Command:
        """Return what a client runs: for the user by its full path, since not every client has our PATH.

        If our environment is temporary, as that of uvx is, a client runs us in the same way.
        """
        options = ["--add"] if self._args.add else []
        if self._project is None and (runner := installed_by.runner()):
            return (*runner, "mcp", *options)
        found = shutil.which("codeindex") or (sys.argv[0] if Path(sys.argv[0]).name == "codeindex" else "")
        program = "codeindex" if self._project is not None or not found else absolute(found)
        return (program, "mcp", *options)

    def _carry_out(self, change: Change) -> dict[str, Any]:
        """Show a change and make it, unless it is empty, refused or only to be shown."""
        if change.is_empty:
            return {"outcome": "unchanged"}
        if not self._args.json:
            self._show(change)
        if self._args.dry_run:
            return {"outcome": "not made", "diff": "\n".join(change.diff())}
        alternative = "give --yes, or --dry-run to see the changes"
        if not self._args.yes and not self._terminal.confirm("make this change?", alternative):
            return {"outcome": "not made"}
        if self._args.action == "uninstall":
            self._records.undo(change)
            return {"outcome": "removed"}
        copy = self._records.make(change)
        return {"outcome": "installed", **({"backup": str(copy)} if copy else {})}

    def _show(self, change: Change) -> None:
        for line in change.diff():
            kind = {"+": "good", "-": "bad", "@": "dim"}.get(line[:1])
            self._terminal.print(self._terminal.style(kind, safe(line)) if kind else safe(line))
        self._terminal.flush()

    def _say(self, client: Client, file: Path, outcome: Mapping[str, Any]) -> None:
        if self._args.json or (self._is_single and outcome["outcome"] == "failed"):
            return
        if outcome["outcome"] == "failed":
            hint = f" ({safe(outcome['hint'])})" if outcome["hint"] else ""
            self._terminal.note(f"failed: {safe(outcome['error'])}{hint}")
            return
        backup = f" (as it was: {outcome['backup']})" if "backup" in outcome else ""
        self._terminal.note(f"{client.title}: {outcome['outcome']}: {safe(str(file))}{safe(backup)}")


def _edited(text: str | None, edit: Any) -> str:
    """Return the text after ``edit``, which sees lines that end with ``\\n``; other line ends are restored."""
    plain = text or ""
    has_crlf = plain.count("\r\n") == plain.count("\n") > 0
    edited = str(edit(plain.replace("\r\n", "\n") if has_crlf else plain))
    return edited.replace("\n", "\r\n") if has_crlf else edited


def show(terminal: Terminal, result: Mapping[str, Any]) -> None:
    """Print the list of agents; changes were printed as they were made."""
    for agent in result.get("agents", []):
        state = "installed" if agent["installed"] else "found" if agent["found"] else "not found"
        styled = terminal.style({"installed": "good", "found": "bold"}.get(state, "dim"), f"{state:<9}")
        files = ", ".join(safe(file) for file in agent["files"])
        terminal.print(f"{agent['name']:<12} {styled}  {files}")
