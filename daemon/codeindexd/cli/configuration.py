"""The command ``codeindex config``: shows, writes and checks the configuration."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from codeindexd.analysis.embedding.create import check_model
from codeindexd.cli.terminal import Terminal, safe
from codeindexd.client import start
from codeindexd.client.core import enclosing_repository
from codeindexd.config import sources, toml_text
from codeindexd.config.meanings import MEANINGS
from codeindexd.config.settings import DEPRECATED, SECTIONS, default_text, keys_of, toml_value
from codeindexd.config.sources import ROOT_CONFIG, ConfigProblem, ExaminedConfig, ValueSource
from codeindexd.daemon.paths import Paths, private_directory
from codeindexd.errors import ConfigError, EmbedderError, FailedError

_URL_SECRETS: Final = re.compile(r"(?<=://)[^/@\s]*(?=@)|(?<=\?)[^#\s]*")  # a user and password, and a query string
_TOML_LINE: Final = re.compile(r"\(at line (\d+)")  # in the messages of tomllib


def show(environ: Mapping[str, str], cwd: str, *, force: bool) -> dict[str, Any]:
    """Return every setting with its value and where that comes from. Raises ConfigError if a source is wrong."""
    path = Paths.of_user(environ).config_file
    examined = sources.examine(path, environ)
    if examined.problems:
        first = examined.problems[0].error
        raise ConfigError(first.message, hint=f"{first.hint}; for all mistakes: codeindex config check")
    settings = [
        _setting(examined, section, key)
        for section, kind in SECTIONS.items()
        for key in keys_of(kind)
        if (section, key) not in DEPRECATED or (section, key) in examined.sources
    ]
    return {"path": str(path), "exists": path.exists(), "settings": settings, "root": _root(cwd)}


def init(environ: Mapping[str, str], cwd: str, *, force: bool) -> dict[str, Any]:
    """Write a file with every setting, commented out; with ``force``, an old one is renamed. Raises FailedError."""
    path = Paths.of_user(environ).config_file
    target = Path(os.path.realpath(path))  # it may be a link to a file kept elsewhere, or to itself
    before = None
    if os.path.lexists(path):
        if not force:
            raise FailedError(f"{path} exists", hint="to replace it, keeping a copy: codeindex config init --force")
        before = _unused_copy(target) if target.exists() else None
    try:
        private_directory(path.parent)
        if before is not None:
            target.replace(before)
        target.write_text(toml_text.commented(), "utf-8")
        target.chmod(0o600)
    except OSError as error:
        raise FailedError(f"cannot write {target}: {error.strerror}", hint="check its permissions") from error
    return {"path": str(path), "before": None if before is None else str(before)}


def _unused_copy(target: Path) -> Path:
    """Return a path beside a file for a copy of it, at which there is nothing yet."""
    before = target.with_name(f"{target.name}.before")
    numbers = itertools.count(2)
    while os.path.lexists(before):
        before = target.with_name(f"{target.name}.before-{next(numbers)}")
    return before


def check(environ: Mapping[str, str], cwd: str, *, force: bool) -> dict[str, Any]:
    """Return every mistake in the file, the environment and this repository's ``.codeindex.toml``."""
    path = Paths.of_user(environ).config_file
    problems = []
    try:
        examined = sources.examine(path, environ)
        found = [*examined.problems, *_wrong_model(examined)]
        problems += [
            {
                "where": problem.where.name,
                "line": problem.where.line or None,
                "message": problem.what,
                "hint": problem.hint,
            }
            for problem in sorted(found, key=lambda problem: (problem.where.name != str(path), problem.where.line))
        ]
    except ConfigError as error:
        line = _TOML_LINE.search(error.message)
        where = {"where": str(path), "line": int(line[1]) if line else None}
        problems.append({**where, "message": error.message, "hint": error.hint})
    root = Path(enclosing_repository(cwd))
    try:
        sources.load_root_config(root)
    except ConfigError as error:
        problems.append({"where": str(root / ROOT_CONFIG), "line": None, "message": error.message, "hint": error.hint})
    return {
        "ok": not problems,
        "path": str(path),
        "exists": path.exists(),
        "problems": problems,
        "needs_restart": _is_newer_than_daemon(path, environ),
    }


def _wrong_model(examined: ExaminedConfig) -> Iterator[ConfigProblem]:
    """Yield the problem of an embedding model that cannot be one."""
    where = examined.sources.get(("embedding", "model"))
    try:
        check_model(examined.config.embedding.model)
    except EmbedderError as error:
        yield ConfigProblem(where or ValueSource("embedding.model"), f"[embedding] model: {error.message}", error.hint)


def path(environ: Mapping[str, str], cwd: str, *, force: bool) -> dict[str, Any]:
    """Return the path of the file."""
    file = Paths.of_user(environ).config_file
    return {"path": str(file), "exists": file.exists()}


ACTIONS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "show": show,
    "init": init,
    "check": check,
    "path": path,
}


def _setting(examined: ExaminedConfig, section: str, key: str) -> dict[str, Any]:
    """Return a setting, its default, and where it was set; secrets in the URL of an embedding model are masked."""
    source = examined.sources.get((section, key))
    value = msgspec.to_builtins(getattr(getattr(examined.config, section), key))
    name = f"{section}.{key}"
    if name == "embedding.model":
        value = _URL_SECRETS.sub("...", value)
    return {
        "key": name,
        "value": value,
        "default": msgspec.json.decode(default_text(SECTIONS[section], key)),
        "source": source.name if source else None,
        "line": (source.line or None) if source else None,
        "meaning": MEANINGS[name],
    }


def _is_newer_than_daemon(file: Path, environ: Mapping[str, str]) -> bool:
    """Return True if a daemon runs that was started before the file was last changed: it wrote its lock then."""
    daemon = start.running_daemon(environ)
    try:
        return daemon is not None and file.stat().st_mtime_ns > daemon.lock.stat().st_mtime_ns
    except OSError:  # there is no file
        return False


def _root(cwd: str) -> dict[str, Any] | None:
    """Return what the ``.codeindex.toml`` of the current repository says, None without one. Raises ConfigError."""
    root = Path(enclosing_repository(cwd))
    if not os.path.lexists(root / ROOT_CONFIG):
        return None
    return {"path": str(root / ROOT_CONFIG), **msgspec.to_builtins(sources.load_root_config(root))}


def print_result(terminal: Terminal, action: str, result: Mapping[str, Any]) -> None:
    """Print the result of an action as text."""
    file = safe(result["path"])
    if action == "path":
        terminal.print(file)
    elif action == "init":
        terminal.print(f"wrote {file}")
        if result["before"]:
            terminal.note(f"note: the file as it was: {safe(result['before'])}")
    elif action == "show":
        _print_settings(terminal, result)
    else:
        _print_problems(terminal, result)


def _print_settings(terminal: Terminal, result: Mapping[str, Any]) -> None:
    terminal.print(f"# {safe(result['path'])}{'' if result['exists'] else ' (does not exist)'}")
    rows = [
        (f"{setting['key']} = {toml_value(setting['value'])}", _source(setting, result["path"]))
        for setting in result["settings"]
    ]
    width = max(len(text) for text, source in rows if source or len(text) < 60)
    for text, source in rows:
        shown = terminal.style("bold", safe(text)) if source else safe(text)
        terminal.print(f"{shown}{' ' * (width - len(text))}  {terminal.style('dim', safe(source or 'default'))}")
    if root := result["root"]:
        terminal.print(f"\n# {safe(root['path'])}, which narrows what is indexed here")
        for key in ("include", "exclude"):
            terminal.print(f"{key} = {safe(toml_value(root[key]))}")


def _source(setting: Mapping[str, Any], file: str) -> str:
    """Return where a setting comes from, "" for its default."""
    name = setting["source"] or ""
    line = f":{setting['line']}" if setting["line"] else ""
    return f"{Path(name).name if name == file else name}{line}"


def _print_problems(terminal: Terminal, result: Mapping[str, Any]) -> None:
    for problem in result["problems"]:
        line = f":{problem['line']}" if problem["line"] else ""
        message = problem["message"].removeprefix(f"{problem['where']}: ")
        prefix = "" if problem["where"] in message else f"{problem['where']}{line}: "
        terminal.print(f"{terminal.style('path', safe(prefix))}{safe(message)}")
        terminal.print(f"  hint: {safe(problem['hint'])}")
    if result["ok"]:
        state = "correct" if result["exists"] else "does not exist, so every setting has its default"
        terminal.print(f"{safe(result['path'])}: {state}")
    if result["needs_restart"]:
        terminal.note("note: the daemon that runs was started before the last change of the file: codeindex restart")
