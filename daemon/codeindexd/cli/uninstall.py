"""The command ``codeindex uninstall``: undoes what the program set up, and with ``--purge`` deletes what it stored.

Only what is known to be ours is deleted: known names in our directories. Anything else in them is kept, and named.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import platformdirs

from codeindexd.cli import installed_by, service_manager
from codeindexd.cli.agents.command import ALL, Agents
from codeindexd.cli.terminal import Terminal, safe
from codeindexd.client import start
from codeindexd.client.stop import stop_daemon
from codeindexd.daemon.disk_usage import tree_bytes
from codeindexd.daemon.lock import Lock
from codeindexd.daemon.paths import Paths
from codeindexd.errors import CodeindexError, FailedError, UsageError

_OURS: Final[Mapping[str, tuple[str, ...]]] = {
    "cache": ("CACHEDIR.TAG", "history", "roots", "sealed.json", "vectors.db*"),
    "state": (
        "agent-usage.json*",
        "agents",
        "codeindexd.log*",
        "codeindexd.sock",
        "cookies",
        "daemon.json*",
        "last-model*",
        "lock",
        "mcp-token",
        "models.json*",
        "roots-copy.json*",
        "roots.json*",
        "roots*.broken-*",
        "start.lock",
    ),
    "config": ("config.toml", "config.toml.before*"),
    "runtime": ("codeindexd.sock", "cookies"),
}
"""What the program creates in each of its directories."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A coding agent in whose ``files`` our server is registered, for one ``project`` or for all (None)."""

    name: str
    title: str
    files: tuple[str, ...]
    project: str | None


@dataclass
class Plan:
    """What is there to remove. ``stores`` are directories of ours with their sizes, deleted only by ``--purge``."""

    pid: int | None
    service: tuple[Path, ...]
    registrations: list[Registration]
    stores: dict[Path, int]
    purge: bool
    kept: list[str] = field(default_factory=list)
    failures: list[FailedError] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to do."""
        return not (self.pid is not None or self.service or self.registrations or (self.purge and self.stores))


def plan(environ: Mapping[str, str], *, purge: bool) -> Plan:
    """Find out what there is to remove. Changes nothing."""
    holder = start.running_daemon(environ)
    paths = Paths.of_user(environ)
    stores = {
        directory: sum(
            tree_bytes(entry) if entry.is_dir() else entry.lstat().st_size for entry in _own_entries(directory, kinds)
        )
        for directory, kinds in _directories(paths).items()
        if directory.is_dir()
    }
    return Plan(
        pid=None if holder is None else holder.pid,
        service=service_manager.installed_files(environ),
        registrations=[
            registration for project in (None, *_projects()) for registration in _registrations(project, environ)
        ],
        stores=stores,
        purge=purge,
    )


def carry_out(what: Plan, environ: Mapping[str, str]) -> dict[str, Any]:
    """Remove what was planned; return what is left. Failures do not keep the rest from being removed."""
    for registration in what.registrations:
        _try(what, partial(_unregister, registration, environ, what))
    if what.service:
        _try(what, lambda: service_manager.remove(environ))
    _try(what, lambda: stop_daemon(environ))
    if what.purge:
        _try(what, lambda: _purge(environ, what))
    return {
        "stopped": what.pid if start.running_daemon(environ) is None else None,
        "service": [str(file) for file in what.service if not file.exists()],
        "agents": [file for registration in what.registrations for file in registration.files],
        "deleted": [str(directory) for directory in what.stores if not os.path.lexists(directory)],
        "kept": what.kept,
        "failures": [{"message": failure.message, "hint": failure.hint} for failure in what.failures],
        "package": installed_by.removal(),
    }


# agents


def _registrations(project: str | None, environ: Mapping[str, str]) -> Iterator[Registration]:
    """Yield the agents in whose files we are registered, for ``project`` or for all projects (None)."""
    try:
        found = _agents("list", [], project, environ)["agents"]
    except CodeindexError:  # the project is gone
        return
    for agent in found:
        if agent["installed"]:
            yield Registration(agent["name"], agent["title"], tuple(agent["files"]), project)


def _projects() -> list[str]:
    """Return the projects whose files ``codeindex agents install --project`` changed, by the records of these."""
    projects = set()
    state = platformdirs.user_state_path("codeindexd", appauthor=False)
    for record in (state / "agents").glob("*.json"):
        try:
            path = str(json.loads(record.read_bytes())["path"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for client in ALL:
            if client.project_file and path.endswith(f"/{client.project_file}"):
                projects.add(path.removesuffix(f"/{client.project_file}"))
    home = str(Path.home())
    return sorted(project for project in projects if project != home)


def _unregister(registration: Registration, environ: Mapping[str, str], what: Plan) -> None:
    changes = _agents("uninstall", [registration.name], registration.project, environ)["changes"]
    what.failures += [
        FailedError(change["error"], hint=change["hint"]) for change in changes if change["outcome"] == "failed"
    ]


def _agents(action: str, names: list[str], project: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    args = argparse.Namespace(
        action=action, names=names, project=project, add=False, yes=True, dry_run=False, json=True
    )
    return Agents(args, environ, Terminal.silent()).run()


# files


def _directories(paths: Paths) -> dict[Path, set[str]]:
    """Return our directories with what they hold; on macOS state and configuration share one."""
    found: dict[Path, set[str]] = {}
    for kind in _OURS:
        found.setdefault(getattr(paths, kind), set()).add(kind)
    return found


def _own_entries(directory: Path, kinds: set[str]) -> list[Path]:
    """Return what is ours in a directory."""
    if _is_kept_elsewhere(directory, kinds):
        return []
    return sorted({entry for kind in kinds for pattern in _OURS[kind] for entry in directory.glob(pattern)})


def _is_kept_elsewhere(directory: Path, kinds: set[str]) -> bool:
    """Return True for a configuration behind a link, as managers of dot files make it: only the link is ours."""
    return kinds == {"config"} and directory.is_symlink()


def _purge(environ: Mapping[str, str], what: Plan) -> None:
    """Delete our files while no daemon can start. Raises FailedError."""
    paths = Paths.of_user(environ)
    if not paths.state.is_dir():
        _delete(paths, what)
        return
    with Lock(paths.lock):
        _delete(paths, what)


def _delete(paths: Paths, what: Plan) -> None:
    directories = _directories(paths)
    for directory, kinds in directories.items():
        if directory.is_dir():
            for entry in _own_entries(directory, kinds):
                _delete_entry(entry, what)
    for directory in sorted(directories, key=lambda path: -len(path.parts)):  # one may be inside another
        _delete_directory(directory, directories[directory], what)
    if paths.socket.parent != paths.runtime:
        with contextlib.suppress(OSError, CodeindexError):
            if stat.S_ISSOCK(paths.socket.lstat().st_mode) and not start.is_answering(str(paths.socket)):
                paths.socket.unlink()


def _delete_entry(entry: Path, what: Plan) -> None:
    """Delete a file or a directory, but never what a link leads to."""
    try:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    except OSError as error:
        what.failures.append(FailedError(f"cannot delete {entry}: {error.strerror}", hint="check its permissions"))


def _delete_directory(directory: Path, kinds: set[str], what: Plan) -> None:
    """Delete one of our directories if nothing is left in it, otherwise note what is; a link to one is removed."""
    try:
        left = directory.is_dir() and not _is_kept_elsewhere(directory, kinds) and sorted(directory.iterdir())
        if left:
            own = _own_entries(directory, kinds)  # could not be deleted
            what.kept += [str(entry) for entry in left if entry not in own]
        elif directory.is_symlink():
            directory.unlink()
        elif directory.is_dir():
            directory.rmdir()
    except OSError as error:
        what.failures.append(FailedError(f"cannot delete {directory}: {error.strerror}", hint="check its permissions"))


def _try(what: Plan, action: Callable[[], object]) -> None:
    """Call ``action``; if it fails, note that in ``what`` instead of raising."""
    try:
        action()
    except CodeindexError as error:
        what.failures.append(FailedError(error.message, hint=error.hint))


# output


def run(args: argparse.Namespace, environ: Mapping[str, str], terminal: Terminal) -> dict[str, Any] | None:
    """Show what will be removed, ask, and remove it; return the result, None if nothing was agreed to."""
    if args.json and not (args.yes or args.dry_run):
        raise UsageError("--json cannot ask for confirmation", hint="give --yes or --dry-run")
    what = plan(environ, purge=args.purge)
    if not args.json:
        _show(what, terminal)
    if args.dry_run:
        return {
            "stopped": what.pid,
            "service": [str(file) for file in what.service],
            "agents": [file for registration in what.registrations for file in registration.files],
            "deleted": [str(directory) for directory in what.stores] if what.purge else [],
            "kept": [],
            "failures": [],
            "package": installed_by.removal(),
        }
    if not what.is_empty and not args.yes and not terminal.confirm("remove this?", "give --yes, or --dry-run"):
        return None
    return carry_out(what, environ)


def _show(what: Plan, terminal: Terminal) -> None:
    if what.is_empty:
        terminal.print("nothing is set up that could be removed")
    else:
        terminal.print("this will be removed:")
    if what.pid is not None:
        terminal.print(f"  the running daemon (pid {what.pid}) is stopped")
    for path in what.service:
        terminal.print(f"  service: {safe(str(path))}")
    for registration in what.registrations:
        for file in registration.files:
            terminal.print(f"  the entry for codeindex in {safe(file)} ({registration.title})")
    for directory, size in what.stores.items():
        if what.purge:
            terminal.print(f"  directory: {safe(str(directory))} ({_size(size)})")
    if what.stores and not what.purge:
        total = _size(sum(what.stores.values()))
        terminal.print(f"kept: the indexes, the list of roots and the configuration ({total}); to delete them: --purge")
    terminal.flush()


def print_result(terminal: Terminal, result: Mapping[str, Any]) -> None:
    """Print what could not be removed, and how to remove the package."""
    for failure in result["failures"]:
        terminal.note(f"failed: {safe(failure['message'])}")
        terminal.note(f"hint: {safe(failure['hint'])}")
    for path in result["kept"]:
        terminal.note(f"kept, because codeindexd did not make it: {safe(path)}")
    terminal.print(f"to remove the package itself: {safe(result['package'])}")


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{max(count / 1e3, 0.1):,.1f} kB"
