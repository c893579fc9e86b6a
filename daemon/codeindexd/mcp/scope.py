"""Which roots a tool searches: the project that the host works on, unless the call names others."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codeindexd.client.core import absolute, enclosing_repository
from codeindexd.errors import NotIndexedError
from codeindexd.mcp.arguments import local_path
from codeindexd.protocol.places import literal_glob
from codeindexd.protocol.printable import safe_line

if TYPE_CHECKING:
    from codeindexd.client.aio import AsyncClient

_MOST_LISTED = 10
ALL = "all"


@dataclass(frozen=True)
class Project:
    """The directories that a host works on; ``may_add`` permits indexing them when they are first searched."""

    directories: tuple[str, ...]
    may_add: bool = False

    @property
    def base(self) -> str:
        """The directory that paths are relative to, "" if there is none."""
        return self.directories[0] if self.directories else ""


@dataclass(frozen=True)
class Scope:
    """The roots to search, None for all; ``below`` are directories inside them to which the search is restricted."""

    roots: list[str] | None
    base: str
    below: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def shown(self, root: str, path: str) -> str:
        """Return the path of a hit as a model should use it: relative to the project, else absolute."""
        full = f"{root.rstrip('/')}/{path}"
        prefix = f"{self.base.rstrip('/')}/"
        return safe_line(full[len(prefix) :] if self.base and full.startswith(prefix) else full)

    def globs(self, paths: Sequence[str] | None) -> list[str] | None:
        """Return path filters for the daemon; without any, the directories to which the search is restricted."""
        if paths:
            return [_from_base(path, self.base) for path in paths]
        return [f"{literal_glob(directory.rstrip('/'))}/**" for directory in self.below] or None


def _from_base(glob: str, base: str) -> str:
    """Return a path filter for any root: one whose first part exists in ``base`` becomes absolute."""
    typed = glob.removeprefix("!")
    sign = glob[: len(glob) - len(typed)]
    if typed.startswith("file://"):
        return sign + literal_glob(local_path(typed, base))
    typed = typed.removeprefix("./")
    if base and not typed.startswith("/") and os.path.lexists(f"{base}/{typed.split('/')[0]}"):
        return f"{sign}{literal_glob(base.rstrip('/'))}/{typed}"
    return sign + typed


async def resolve(
    client: AsyncClient,
    project: Project,
    requested: Sequence[str] | str | None,
    add: Callable[[str], Awaitable[None]],
) -> Scope:
    """Return what to search: ``requested``, which is "all" or directories, else the project.

    A directory that is not indexed is indexed with ``add`` if the project permits that. Raises NotIndexedError, which
    says which call indexes it, if nothing is left to search.
    """
    if requested == ALL:
        return Scope(None, project.base)
    directories = [absolute(path) for path in requested or project.directories]
    known = [entry["path"] for entry in (await client.roots())["roots"]]
    roots: dict[str, None] = {}
    below, missing = [], []
    for directory in directories:
        found = _roots_at(directory, known)
        if not found and project.may_add and not requested:
            added = enclosing_repository(directory)
            await add(added)
            found = [added]
        if not found:
            missing.append(directory)
        elif requested and found[0] != directory and directory.startswith(f"{found[0].rstrip('/')}/"):
            below.append(directory)
        roots |= dict.fromkeys(found)
    if not roots:
        raise not_indexed(missing, known)
    notes = [f'{path} is not indexed and was not searched; call add_root with path="{path}"' for path in missing]
    whole = [root for root in roots if not any(path.startswith(f"{root.rstrip('/')}/") for path in below)]
    return Scope(list(roots), project.base, [*whole, *below] if below else [], notes)


def _roots_at(directory: str, known: Sequence[str]) -> list[str]:
    """Return the innermost root that contains ``directory``, else the roots below it."""
    for path in dict.fromkeys((directory, os.path.realpath(directory))):
        around = [root for root in known if path == root or path.startswith(f"{root.rstrip('/')}/")]
        if around:
            return [max(around, key=len)]
        if below := [root for root in known if root.startswith(f"{path.rstrip('/')}/")]:
            return below
    return []


def not_indexed(missing: Sequence[str], known: Sequence[str]) -> NotIndexedError:
    """Return the error that says which call helps if none of the directories is indexed."""
    if not missing:
        message = "it is not known which project to search"
        hint = 'Give roots=["/path/of/the/project"].'
    else:
        message = (
            f"{', '.join(missing)} is not indexed" if len(missing) == 1 else f"none is indexed: {', '.join(missing)}"
        )
        hint = f'Call add_root with path="{enclosing_repository(missing[0])}", then repeat this call.'
    if known:
        others = ", ".join(known[:_MOST_LISTED])
        more = f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
        hint += f' Indexed are: {others}{more}; search them with roots="all" or by path.'
    return NotIndexedError(message, hint=hint)
