"""Reads git's ignore rules from outside the work tree: info/exclude and the excludes file that is configured.

git's files are read directly, so that a scan needs neither git nor a process. A file that cannot be read counts as
empty: a broken configuration loses only its own rules.

A repository may be untrusted, and its configuration may name any file as its excludes file. The rules in it apply, as
they do for git, but its text is never shown or kept unless the file lies in the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from codeindexd.scan.ignore import ExcludeFile
from codeindexd.scan.ignore.patterns import compiled
from codeindexd.scan.relpath import name_of
from codeindexd.scan.rule_files import ReadRuleFile

_SYSTEM = Path("/etc/gitconfig")
_DEEPEST_INCLUDE = 10
_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*(=?)")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b"}


class GitConfigLocations(Struct, frozen=True):
    """The directories and the file where git looks for the user's and the system's configuration; None for nowhere."""

    home: Path | None
    config_home: Path | None
    system: Path | None = _SYSTEM

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> GitConfigLocations:
        """Return where git looks for configuration.

        Uses ``HOME``, ``XDG_CONFIG_HOME`` (default ``$HOME/.config``) and ``GIT_CONFIG_NOSYSTEM`` of ``environment``.
        """
        home = Path(environment["HOME"]) if environment.get("HOME") else None
        config = environment.get("XDG_CONFIG_HOME")
        config_home = Path(config) if config else home / ".config" if home else None
        system = None if environment.get("GIT_CONFIG_NOSYSTEM", "") not in ("", "0", "false") else _SYSTEM
        return cls(home, config_home, system)


class GitWorkTree(Struct, frozen=True):
    """A git work tree: its ``top``, its ``git_dir``, and the directory ``common`` to all worktrees of the repository.

    ``common`` differs from ``git_dir`` only in linked worktrees.
    """

    top: Path
    git_dir: Path
    common: Path

    @classmethod
    def at(cls, directory: Path, read: ReadRuleFile) -> GitWorkTree | None:
        """Return the repository whose work tree has its top at ``directory``, or None. Follows ``.git`` files."""
        git_dir = directory / ".git"
        pointer = read(git_dir, 4096)
        if pointer is not None:
            linked = _parse_pointer(directory, pointer)
            if linked is None:
                return None
            git_dir = linked
        if read(git_dir / "HEAD", 0) is None:
            return None
        shared = read(git_dir / "commondir", 4096)
        return cls(directory, git_dir, git_dir / os.fsdecode(shared.strip()) if shared else git_dir)

    @classmethod
    def enclosing(cls, directory: Path, read: ReadRuleFile) -> GitWorkTree | None:
        """Return the repository that contains ``directory``, other than at its top, or None."""
        return next((found for parent in directory.parents if (found := cls.at(parent, read))), None)


def linked_git_dir(directory: Path, read: ReadRuleFile) -> Path | None:
    """Return the path that the file ``.git`` in ``directory`` contains, even if it does not exist; None without one."""
    pointer = read(directory / ".git", 4096)
    return None if pointer is None else _parse_pointer(directory, pointer)


def _parse_pointer(directory: Path, pointer: bytes) -> Path | None:
    if not pointer.startswith(b"gitdir:") or b"\0" in pointer:
        return None
    return directory / os.fsdecode(pointer[7:].split(b"\n", 1)[0].strip())


def exclude_sources(
    repository: GitWorkTree | None, git_locations: GitConfigLocations, read: ReadRuleFile
) -> list[ExcludeFile]:
    """Return the rules of info/exclude and of the excludes file, in the order of precedence, without empty ones."""
    sources: list[ExcludeFile] = []
    if repository is not None:
        sources.append(_source(".git/info/exclude", repository.common / "info" / "exclude", repository, read))
    path, chosen_by = _excludes_file(repository, git_locations, read)
    if path is not None:
        sources.append(_source(_display_path(path, git_locations), path, chosen_by, read))
    return [source for source in sources if source.content]


def object_id_bytes(repository: GitWorkTree, git_locations: GitConfigLocations, read: ReadRuleFile) -> int:
    """Return the size of the repository's object ids in bytes: 20 for SHA-1, 32 for SHA-256."""
    entries = _entries(repository.common / "config", repository, git_locations.home, read, 0)
    formats = [value for key, value in entries if key == "extensions.objectformat"]
    return 32 if formats and formats[-1].lower() == "sha256" else 20


def _source(name: str, path: Path, chosen_by: GitWorkTree | None, read: ReadRuleFile) -> ExcludeFile:
    """Return the rules in the file ``path``; not quotable if the repository that named it does not contain it."""
    if chosen_by is not None:
        inside = read(path, within=chosen_by.top)
        if inside is None:
            return ExcludeFile(name, read(path) or b"", quotable=False)
        return ExcludeFile(name, inside)
    return ExcludeFile(name, read(path) or b"")


def _display_path(path: Path, git_locations: GitConfigLocations) -> str:
    if git_locations.home is not None and path.is_relative_to(git_locations.home):
        path = "~" / path.relative_to(git_locations.home)
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _excludes_file(
    repository: GitWorkTree | None, git_locations: GitConfigLocations, read: ReadRuleFile
) -> tuple[Path | None, GitWorkTree | None]:
    """Return the excludes file or None, and the repository if its own configuration names the file, else None."""
    files = [git_locations.system]
    files.append(git_locations.config_home / "git" / "config" if git_locations.config_home else None)
    files.append(git_locations.home / ".gitconfig" if git_locations.home else None)
    repository_files = [repository.common / "config", repository.git_dir / "config.worktree"] if repository else []
    value: str | None = None
    chosen_by: GitWorkTree | None = None
    for file in (*files, *repository_files):
        if file is not None:
            for key, found in _entries(file, repository, git_locations.home, read, 0):
                if key == "core.excludesfile":
                    value, chosen_by = found, repository if file in repository_files else None
    if value is not None:
        base = repository.top if repository else Path("/")
        return (base / _expand_home(value, git_locations.home) if value else None), chosen_by
    return (git_locations.config_home / "git" / "ignore" if git_locations.config_home else None), None


def _expand_home(value: str, home: Path | None) -> Path:
    if value.startswith("~/") and home is not None:
        return home / value[2:]
    try:
        return Path(value).expanduser()
    except RuntimeError:  # ~nobody/...: no such user
        return Path(value)


def _entries(
    file: Path, repository: GitWorkTree | None, home: Path | None, read: ReadRuleFile, depth: int
) -> Iterator[tuple[str, str]]:
    """Yield (``section.key`` in lower case, value) in order, with included files expanded in place.

    Keys in subsections are left out.
    """
    content = read(file)
    if content is None or depth > _DEEPEST_INCLUDE:
        return
    for section, subsection, key, value in _parse(os.fsdecode(content)):
        if key == "path" and value and _include_applies(section, subsection, file, repository, home):
            yield from _entries(file.parent / _expand_home(value, home), repository, home, read, depth + 1)
        elif not subsection:
            yield f"{section}.{key}", value


def _include_applies(
    section: str, subsection: str, file: Path, repository: GitWorkTree | None, home: Path | None
) -> bool:
    """Return True if an include in ``file`` applies; supports ``gitdir:`` and ``gitdir/i:`` conditions only."""
    if section == "include":
        return not subsection
    condition, _, pattern = subsection.partition(":")
    if section != "includeif" or condition not in ("gitdir", "gitdir/i") or not pattern or repository is None:
        return False
    if pattern.startswith("./"):
        pattern = str(file.parent / pattern[2:]) + ("/" if pattern.endswith("/") else "")
    elif pattern.startswith("~/") and home is not None:
        pattern = str(home / pattern[2:]) + ("/" if pattern.endswith("/") else "")
    elif not pattern.startswith("/"):
        pattern = "**/" + pattern
    if pattern.endswith("/"):
        pattern += "**"
    return _matches_path(pattern, repository.git_dir, fold=condition.endswith("/i"))


def _matches_path(pattern: str, path: Path, *, fold: bool) -> bool:
    """Return True if ``pattern``, with the wildcards of ignore files, matches the absolute ``path``.

    With ``fold``, letter case is ignored.
    """
    rules = compiled(os.fsencode(pattern.lower() if fold else pattern))
    for candidate in {path.absolute(), path.resolve()}:
        text = os.fsencode(str(candidate).lower() if fold else candidate)[1:]
        if rules.last_match(name_of(text), text, is_dir=True) is not None:
            return True
    return False


def _parse(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield (section, subsection, key, value); lines that are not valid configuration are skipped."""
    section, subsection = "", ""
    lines = iter(text.removeprefix("\ufeff").splitlines())
    for raw in lines:
        line = raw.strip()
        if match := _SECTION.match(line):
            name, quoted = match.group(1).lower(), match.group(2)
            section, subsection = (name, re.sub(r"\\(.)", r"\1", quoted)) if quoted is not None else (name, "")
            line = line[match.end() :].strip()
        if match := _KEY.match(line):
            value, more = _value(line[match.end() :], "") if match.group(2) else ("", False)
            while more:
                rest, more = _value(next(lines, ""), value)
                value = rest
            yield section, subsection, match.group(1).lower(), value


def _value(text: str, before: str) -> tuple[str, bool]:
    """Return ``before`` plus the value in ``text``, and True if it continues on the next line.

    ``text`` is the rest of a line of git's configuration; quotes, escapes and comments are resolved.
    """
    out, quoted, at = list(before), False, 0
    kept = len(out)  # blanks after this are not part of the value
    text = text if before else text.lstrip()
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\":
            if at == len(text):
                return "".join(out), True
            out.append(_ESCAPES.get(text[at], text[at]))
            at, kept = at + 1, len(out)
        elif char == '"':
            quoted = not quoted
            kept = len(out)
        elif char in "#;" and not quoted:
            break
        else:
            out.append(char)
            if quoted or not char.isspace():
                kept = len(out)
    return "".join(out[:kept]), False
