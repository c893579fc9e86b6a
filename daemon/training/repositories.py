"""Git directories as training material: which may be used, the sources at their head, and what commits changed.

A repository may be used if the licence file at its head is permissive and no benchmark is made of it. Nothing of the
repository runs: pygit2 reads objects only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pygit2
from pygit2.enums import DeltaStatus, DiffFlag, ObjectType, SortMode

_LICENCE_FILE = re.compile(
    r"(un)?(licen[cs]e|copying)([-._](mit|apache|apache-2\.0|bsd))?(\.(md|txt|rst))?", re.IGNORECASE
)
_TEXTS = (  # what each licence's text says; copyleft first, since it may quote others
    ("copyleft", re.compile(r"GNU (?:Affero |Lesser |Library )?General Public|(?:Mozilla|Eclipse) Public|Business So")),
    ("MIT", re.compile(r"Permission is hereby granted, free of charge")),
    ("Apache-2.0", re.compile(r"Apache License,?\s+Version 2\.0")),
    ("BSD", re.compile(r"Redistribution and use in source and binary forms")),
    ("ISC", re.compile(r"Permission to use, copy, modify,? and(?:/or)? distribute this software")),
    ("Unlicense", re.compile(r"This is free and unencumbered software")),
)  # fmt: skip


def git_directories(parents: list[Path], excluded: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """Yield (owner/name, git directory) of each ``<parent>/<owner>+<name>/repo`` that is not ``excluded``, by name."""
    forks = {line.rpartition("/")[2] for line in excluded} - {"core"}
    found = sorted(path for parent in parents for path in parent.glob("*+*/repo"))
    for path in found:
        name = path.parent.name.replace("+", "/", 1)
        if name.lower() not in excluded and name.lower().rpartition("/")[2] not in forks:
            yield name, path


def licence_of(repository: pygit2.Repository) -> str:
    """Return the licence that the files at the top of HEAD's tree state, or ``copyleft``, or ""."""
    found = []
    for entry in repository[repository.head.target].peel(pygit2.Tree):
        if entry.type == ObjectType.BLOB and _LICENCE_FILE.fullmatch(entry.name or ""):
            text = " ".join(repository[entry.id].data.decode("utf-8", "replace").split())
            found += [next((name for name, pattern in _TEXTS if pattern.search(text)), "")]
    permissive = [name for name in found if name and name != "copyleft"]
    return permissive[0] if permissive else "".join(found[:1])


def sources_at_head(repository: pygit2.Repository) -> Iterator[tuple[str, int, pygit2.Oid]]:
    """Yield (path, bytes, blob id) of every file of HEAD's tree that is present, by path."""

    def below(tree: pygit2.Tree, prefix: str) -> Iterator[tuple[str, int, pygit2.Oid]]:
        for entry in tree:
            path = f"{prefix}{entry.name}"
            if entry.type == ObjectType.TREE:
                yield from below(repository[entry.id], f"{path}/")
            elif entry.type == ObjectType.BLOB and entry.id in repository:  # a snapshot may lack large objects
                yield path, repository[entry.id].size, entry.id

    yield from below(repository[repository.head.target].peel(pygit2.Tree), "")


def commits(repository: pygit2.Repository) -> Iterator[pygit2.Commit]:
    """Yield the commits of HEAD's history that have one parent, newest first."""
    for commit in repository.walk(repository.head.target, SortMode.TOPOLOGICAL | SortMode.TIME):
        if len(commit.parent_ids) == 1:
            yield commit


def changed_files(
    repository: pygit2.Repository, commit: pygit2.Commit, most_files: int, is_wanted: Callable[[str], bool]
) -> list[tuple[str, bytes, list[range]]]:
    """Return the wanted text files that a commit adds or modifies; none if it changes more than ``most_files`` files.

    Each has its path, its bytes after the commit, and the ranges of its new or changed lines. A commit with missing
    objects has none: a snapshot may lack large ones.
    """
    found = []
    try:
        diff = repository.diff(commit.parents[0], commit, context_lines=0)
        if len(diff) > most_files:
            return []
        for index, delta in enumerate(diff.deltas):
            if delta.status in {DeltaStatus.MODIFIED, DeltaStatus.ADDED} and is_wanted(delta.new_file.path):
                patch = diff[index]
                lines = [range(hunk.new_start, hunk.new_start + max(1, hunk.new_lines)) for hunk in patch.hunks]
                if not patch.delta.flags & DiffFlag.BINARY:
                    found.append((delta.new_file.path, repository[delta.new_file.id].data, lines))
    except (KeyError, pygit2.GitError):
        return []
    return found
