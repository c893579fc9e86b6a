"""git's ignore rules outside the work tree: info/exclude and the excludes file of its configuration.

git's files are read directly, so that a scan needs neither git nor a process. Whatever cannot be read counts as empty:
a broken configuration must never cost more than its own rules.

A repository may come from a stranger, and its configuration may name any file as its excludes file. Its rules apply, as
they do for git, but its text is never shown or kept unless the file lies in the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from codeindexd.scan.ignore import Source
from codeindexd.scan.ignore.patterns import compiled
from codeindexd.scan.relpath import name_of
from codeindexd.scan.rule_files import ReadRuleFile

_SYSTEM = Path("/etc/gitconfig")
_DEEPEST_INCLUDE = 10
_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*(=?)")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b"}


@dataclass(frozen=True, slots=True)
class GitHome:
    """Where to look for the user's and the system's git configuration; None means nowhere."""

    home: Path | None
    config_home: Path | None
    system: Path | None = _SYSTEM

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> GitHome:
        """Return git's places: ``HOME``, ``XDG_CONFIG_HOME`` (default ``$HOME/.config``), ``GIT_CONFIG_NOSYSTEM``."""
        home = Path(environment["HOME"]) if environment.get("HOME") else None
        config = environment.get("XDG_CONFIG_HOME")
        config_home = Path(config) if config else home / ".config" if home else None
        system = None if environment.get("GIT_CONFIG_NOSYSTEM", "") not in ("", "0", "false") else _SYSTEM
        return cls(home, config_home, system)


@dataclass(frozen=True, slots=True)
class Repository:
    """A work tree and its administrative files; ``common`` differs from ``git_dir`` in linked worktrees."""

    top: Path
    git_dir: Path
    common: Path

    @classmethod
    def at(cls, directory: Path, read: ReadRuleFile) -> Repository | None:
        """Return the repository whose work tree begins at ``directory``, or None. Follows ``.git`` files."""
        git_dir = directory / ".git"
        pointer = read(git_dir, 4096)
        if pointer is not None:
            linked = _linked(directory, pointer)
            if linked is None:
                return None
            git_dir = linked
        if read(git_dir / "HEAD", 0) is None:
            return None
        shared = read(git_dir / "commondir", 4096)
        return cls(directory, git_dir, git_dir / os.fsdecode(shared.strip()) if shared else git_dir)

    @classmethod
    def around(cls, directory: Path, read: ReadRuleFile) -> Repository | None:
        """Return the repository that ``directory`` lies in, strictly below its top, or None."""
        return next((found for parent in directory.parents if (found := cls.at(parent, read))), None)


def linked_git_dir(directory: Path, read: ReadRuleFile) -> Path | None:
    """Return what the file ``.git`` in ``directory`` points to, existing or not; None if there is no such file."""
    pointer = read(directory / ".git", 4096)
    return None if pointer is None else _linked(directory, pointer)


def _linked(directory: Path, pointer: bytes) -> Path | None:
    if not pointer.startswith(b"gitdir:") or b"\0" in pointer:
        return None
    return directory / os.fsdecode(pointer[7:].split(b"\n", 1)[0].strip())


def exclude_sources(repository: Repository | None, git_home: GitHome, read: ReadRuleFile) -> list[Source]:
    """Return the rules of info/exclude and of the excludes file; those of the first take precedence."""
    sources: list[Source] = []
    if repository is not None:
        sources.append(_source(".git/info/exclude", repository.common / "info" / "exclude", repository, read))
    place, chosen_by = _excludes_file(repository, git_home, read)
    if place is not None:
        sources.append(_source(_shown(place, git_home), place, chosen_by, read))
    return [source for source in sources if source.content]


def object_id_bytes(repository: Repository, git_home: GitHome, read: ReadRuleFile) -> int:
    """Return the size of the repository's object ids, which its index holds: 20 for SHA-1, 32 for SHA-256."""
    entries = _entries(repository.common / "config", repository, git_home.home, read, 0)
    formats = [value for key, value in entries if key == "extensions.objectformat"]
    return 32 if formats and formats[-1].lower() == "sha256" else 20


def _source(name: str, place: Path, chosen_by: Repository | None, read: ReadRuleFile) -> Source:
    """Return the rules at ``place``; not quotable if a repository points to a file outside of it."""
    if chosen_by is not None:
        inside = read(place, within=chosen_by.top)
        if inside is None:
            return Source(name, read(place) or b"", quotable=False)
        return Source(name, inside)
    return Source(name, read(place) or b"")


def _shown(place: Path, git_home: GitHome) -> str:
    if git_home.home is not None and place.is_relative_to(git_home.home):
        place = "~" / place.relative_to(git_home.home)
    return os.fsencode(place).decode("utf-8", "backslashreplace")


def _excludes_file(
    repository: Repository | None, git_home: GitHome, read: ReadRuleFile
) -> tuple[Path | None, Repository | None]:
    """Return the excludes file, and the repository whose configuration names it unless the user's does."""
    files = [git_home.system]
    files.append(git_home.config_home / "git" / "config" if git_home.config_home else None)
    files.append(git_home.home / ".gitconfig" if git_home.home else None)
    theirs = [repository.common / "config", repository.git_dir / "config.worktree"] if repository else []
    value: str | None = None
    chosen_by: Repository | None = None
    for file in (*files, *theirs):
        if file is not None:
            for key, found in _entries(file, repository, git_home.home, read, 0):
                if key == "core.excludesfile":
                    value, chosen_by = found, repository if file in theirs else None
    if value is not None:
        base = repository.top if repository else Path("/")
        return (base / _expanded(value, git_home.home) if value else None), chosen_by
    return (git_home.config_home / "git" / "ignore" if git_home.config_home else None), None


def _expanded(value: str, home: Path | None) -> Path:
    if value.startswith("~/") and home is not None:
        return home / value[2:]
    try:
        return Path(value).expanduser()
    except RuntimeError:  # ~nobody/...: no such user
        return Path(value)


def _entries(
    file: Path, repository: Repository | None, home: Path | None, read: ReadRuleFile, depth: int
) -> Iterator[tuple[str, str]]:
    """Yield (``section.key`` in lower case, value) in order, with included files expanded in place."""
    content = read(file)
    if content is None or depth > _DEEPEST_INCLUDE:
        return
    for section, subsection, key, value in _parse(os.fsdecode(content)):
        if key == "path" and value and _included(section, subsection, file, repository, home):
            yield from _entries(file.parent / _expanded(value, home), repository, home, read, depth + 1)
        elif not subsection:
            yield f"{section}.{key}", value


def _included(section: str, subsection: str, file: Path, repository: Repository | None, home: Path | None) -> bool:
    """Return True if an include applies; unconditional ones and ``gitdir:`` conditions are supported."""
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


def _matches_path(pattern: str, place: Path, *, fold: bool) -> bool:
    """Match with the wildcards of ignore files, anchored at the root of the file system."""
    rules = compiled(os.fsencode(pattern.lower() if fold else pattern))
    for candidate in {place.absolute(), place.resolve()}:
        text = os.fsencode(str(candidate).lower() if fold else candidate)[1:]
        if rules.last_match(name_of(text), text, is_dir=True) is not None:
            return True
    return False


def _parse(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield (section, subsection, key, value); lines that are no configuration are skipped."""
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
    """Return the value so far with ``text`` added, and whether it continues in the next line."""
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
