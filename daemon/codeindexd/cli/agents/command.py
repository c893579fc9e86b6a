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
from codeindexd.cli.agents.instructions import INSTRUCTIONS
from codeindexd.cli.agents.known_agents import AGENTS, Agent, Command, Places
from codeindexd.cli.terminal import Terminal, safe
from codeindexd.client.core import absolute
from codeindexd.errors import CodeindexError, FailedError, UsageError

if TYPE_CHECKING:
    import argparse

ALL = (*AGENTS, *INSTRUCTIONS)


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
            return {"agents": [self._described(agent) for agent in self._chosen(ALL)]}
        if self._args.json and not (self._args.yes or self._args.dry_run):
            raise UsageError("--json cannot ask for confirmation", hint="give --yes or --dry-run")
        agents = self._chosen([agent for agent in ALL if self._is_meant(agent)])
        if not agents:
            raise FailedError("no coding agent was found", hint=f"name one: codeindex agents install {AGENTS[0].name}")
        self._is_single = len(agents) == 1 and len(self._files(agents[0])) == 1
        changes = [done for agent in agents for done in self._change(agent)]
        if self._failures and len(self._failures) == len(changes):
            raise self._failures[0]
        return {"changes": changes}

    def _chosen(self, default: Iterable[Agent]) -> list[Agent]:
        """Return the agents that were named, else ``default``. Raises UsageError for unknown names."""
        known = {agent.name: agent for agent in ALL}
        for name in self._args.names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"use one of: {', '.join(known)}"
                raise UsageError(f"no such agent: {name}", hint=hint)
        return [known[name] for name in self._args.names] or list(default)

    def _is_meant(self, agent: Agent) -> bool:
        """Return True for an agent that is changed without being named."""
        if self._args.action == "uninstall":
            return any(self._is_installed(agent, file) for file in agent.files(self._places, self._project))
        return not agent.only_if_named and agent.is_found(self._places) and bool(self._files(agent))

    def _files(self, agent: Agent) -> Sequence[Path]:
        return agent.files(self._places, self._project)

    def _is_installed(self, agent: Agent, file: Path) -> bool:
        try:
            text = read(file)
            return text is not None and edits.entry_in(text, agent) is not None
        except (CodeindexError, OSError):
            return False

    def _described(self, agent: Agent) -> dict[str, Any]:
        files = self._files(agent)
        return {
            "name": agent.name,
            "title": agent.title,
            "found": agent.is_found(self._places),
            "installed": any(self._is_installed(agent, file) for file in files),
            "files": [str(file) for file in files],
            "docs": agent.docs,
        }

    # changes

    def _change(self, agent: Agent) -> list[dict[str, Any]]:
        """Change the files of an agent; return what became of each."""
        files = self._files(agent)
        if not files:
            where = "for a single project" if self._project else "for all projects"
            other = "leave --project out" if self._project else "give --project"
            raise UsageError(f"{agent.title} has no settings {where}", hint=other)
        outcomes = []
        for file in files:
            try:
                change = self._plan(agent, file)
                outcome = self._carry_out(change)
            except (FailedError, OSError) as error:
                outcome = self._record_failure(agent, file, error)
            outcomes.append({"name": agent.name, "path": str(file), **outcome})
            self._say(agent, file, outcome)
        return outcomes

    def _record_failure(self, agent: Agent, file: Path, error: FailedError | OSError) -> dict[str, Any]:
        """Remember a failure, which does not keep other files from being changed; return the outcome."""
        what = error.message if isinstance(error, FailedError) else error.strerror or str(error)
        failure = FailedError(f"{agent.title}: {file}: {what}", hint=getattr(error, "hint", ""))
        self._failures.append(failure)
        return {"outcome": "failed", "error": failure.message, "hint": failure.hint}

    def _plan(self, agent: Agent, file: Path) -> Change:
        """Return the change of a file. Raises FailedError if it cannot be read."""
        text = read(file)
        if self._args.action == "install":
            return Change(file, text, _edited(text, lambda plain: self._with_entry(plain, agent)))
        if text is None or edits.entry_in(text, agent) is None:
            return Change(file, text, text)
        is_as_written, before = self._records.undone(file, text)
        if is_as_written and not (before and edits.entry_in(before, agent) is not None):
            return Change(file, text, before)
        after = _edited(text, lambda plain: edits.without_entry(plain, agent))
        return Change(file, text, after or None)

    def _with_entry(self, text: str, agent: Agent) -> str:
        return edits.with_entry(text, agent, self._command(), in_project=self._project is not None)

    def _command(self) -> Command:
        """Return what an agent runs: for the user by its full path, since not every agent has our PATH.

        If our environment is temporary, as that of uvx is, an agent runs us in the same way.
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

    def _say(self, agent: Agent, file: Path, outcome: Mapping[str, Any]) -> None:
        if self._args.json or (self._is_single and outcome["outcome"] == "failed"):
            return
        if outcome["outcome"] == "failed":
            hint = f" ({safe(outcome['hint'])})" if outcome["hint"] else ""
            self._terminal.note(f"failed: {safe(outcome['error'])}{hint}")
            return
        backup = f" (as it was: {outcome['backup']})" if "backup" in outcome else ""
        self._terminal.note(f"{agent.title}: {outcome['outcome']}: {safe(str(file))}{safe(backup)}")


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
