"""What a change reaches: callers and users of a definition, transitively, subclasses, importing files, and tests.

The callers of what a changed member overrides are shown too, and code that creates or extends its type: they may run
the member without naming it. Such code is also shown if nothing outside the changed files certainly uses the change.
"""

from __future__ import annotations

import enum
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from codeindexd.search.file_roles import is_test
from codeindexd.search.graph.code_file import NAMESPACE_KINDS, Binding, CodeFile, is_code
from codeindexd.search.graph.dispatch import overridden, uses_of_overridden, uses_of_types
from codeindexd.search.graph.graph import CodeGraph, Use
from codeindexd.search.graph.modules import Match
from codeindexd.search.graph.resolve import family_of
from codeindexd.search.graph.targets import Confidence, Target
from codeindexd.types import IMPLEMENTATION, Reference, ReferenceKind

MOST_EXPANDED: Final = 400  # definitions whose users are looked up
_BUDGET_S: Final = 2.0


class Reason(enum.StrEnum):
    """Why a change reaches something."""

    CALLS = "calls"
    INHERITS = "inherits"
    USES = "uses"
    IMPORTS = "imports"


_REASONS: Final = {
    ReferenceKind.CALL: Reason.CALLS,
    ReferenceKind.USE: Reason.USES,
    ReferenceKind.INHERIT: Reason.INHERITS,
    ReferenceKind.IMPORT: Reason.IMPORTS,
}


class Reached(Struct, frozen=True, eq=False):
    """A definition that a change reaches, or a file outside its definitions (``target`` is None).

    ``distance`` is the number of edges to it, ``confidence`` that of the least sure one among them. ``via`` is the
    definition that it refers to by ``name``, on line ``line``.
    """

    file: CodeFile
    target: Target | None
    distance: int
    confidence: Confidence
    reason: Reason
    via: Target
    name: str
    line: int


class Impact(Struct):
    """What a change of ``changed`` reaches, the nearest and surest first.

    ``stopped`` says why it was not followed further; "" if everything was.
    """

    changed: list[Target]
    reached: list[Reached] = field(default_factory=list)
    stopped: str = ""

    @property
    def tests(self) -> list[bytes]:
        """The paths of the tests that are reached, the nearest first."""
        changed = [target.file.path for target in self.changed]
        return [*dict.fromkeys(path for path in [*changed, *(one.file.path for one in self.reached)] if is_test(path))]


def definitions_of_files(files: Iterable[CodeFile]) -> list[Target]:
    """Return the definitions of files that others can refer to: all but those inside functions."""
    return [
        target
        for file in files
        if not file.is_document
        for number, one in enumerate(file.definitions)
        if is_code(file.language, one.kind)
        and one.kind not in NAMESPACE_KINDS
        and one.kind != IMPLEMENTATION
        and not (target := Target(file, number)).is_local
    ]


def impact_of(graph: CodeGraph, changed: Sequence[Target], *, depth: int, limit: int) -> Impact:
    """Follow the references to ``changed`` for ``depth`` edges. Edges by name alone are shown, but not followed.

    Stops after 400 definitions or two seconds, and returns at most ``limit`` of what it found: of equally near and sure
    places, one in each file before a second, and files with more places first.
    """
    impact = Impact(list(changed))
    found, impact.stopped = _follow(graph, changed, depth)
    if depth > 1:
        is_used = _is_used_elsewhere(changed, found.values())
        indirect = [target for target in changed if not is_used or overridden(graph, target)]
        own_keys = {target.key for target in changed}
        for owner, use in uses_of_types(graph, indirect):
            reached = _reached(use, owner, 2, use.confidence)
            if (key := _key(reached)) not in own_keys:
                found.setdefault(key, reached)
    impact.reached = _spread_over_files(list(found.values()), limit)
    if len(found) > limit:
        impact.stopped = f"{len(found) - limit:,} more are reached; raise the limit to see them"
    impact.reached = [now for one in impact.reached if (now := _on_disk(graph, one)) is not None]
    return impact


def _follow(graph: CodeGraph, changed: Sequence[Target], depth: int) -> tuple[dict[tuple[int, int], Reached], str]:
    """Return by key what references to ``changed`` reach, and why they were not followed further; "" if all were."""
    deadline = time.monotonic() + _BUDGET_S
    seen: set[tuple[int, int]] = {target.key for target in changed}
    found: dict[tuple[int, int], Reached] = {}
    level = [(target, Confidence.EXACT) for target in changed]
    expanded = 0
    for distance in range(1, depth + 1):
        following: list[tuple[Target, Confidence]] = []
        for target, confidence in level:
            if expanded >= MOST_EXPANDED or time.monotonic() > deadline:
                return found, f"stopped after the users of {expanded:,} definitions, {distance} references away"
            expanded += 1
            for use in [*graph.uses_of([target]), *uses_of_overridden(graph, target)]:
                reached = _reached(use, target, distance, min(confidence, use.confidence))
                key = _key(reached)
                if key in seen or (key in found and found[key].confidence >= reached.confidence):
                    continue
                found[key] = reached
                if reached.target is not None and reached.confidence > Confidence.NAME:
                    following.append((reached.target, reached.confidence))
        seen.update(found)
        level = list(dict.fromkeys(following))
        if not level:
            return found, ""
    return found, f"followed for {depth} references; use a larger depth to see more"


def _is_used_elsewhere(changed: Iterable[Target], reached: Iterable[Reached]) -> bool:
    """Return True if anything outside the changed files certainly uses ``changed``."""
    files = {target.file.path for target in changed}
    return any(one.confidence > Confidence.NAME and one.file.path not in files for one in reached)


def _key(one: Reached) -> tuple[int, int]:
    return one.file.file.file_id, one.target.number if one.target is not None else -1


def _on_disk(graph: CodeGraph, one: Reached) -> Reached | None:
    """Return ``one`` with the line where its reference is now; None if that is gone."""
    line = graph.sources.line(one.file.file, one.line, one.name)
    return replace(one, line=line.number) if line is not None else None


def importers_of(graph: CodeGraph, file: CodeFile) -> list[CodeFile]:
    """Return the files that import a file as a whole, in the order of their paths."""
    name = file.path.rpartition(b"/")[2].partition(b".")[0].decode("utf-8", "replace")
    if name in ("__init__", "index", "mod"):
        name = file.path.rpartition(b"/")[0].rpartition(b"/")[2].decode("utf-8", "replace")
    found = [
        other
        for other in graph.files_with(name)
        if family_of(other.language) == family_of(file.language)
        and other is not file
        and any(_is_import_of(graph, other, one, file, name) for one in other.references.of_kind(ReferenceKind.IMPORT))
    ]
    return sorted(found, key=lambda other: other.path)


def _is_import_of(graph: CodeGraph, importer: CodeFile, one: Reference, file: CodeFile, name: str) -> bool:
    if name not in re.split(r"\W+", f"{one.qualifier} {one.name}"):
        return False
    module = graph.module_of(importer, Binding(one.qualifier, one.name, one.line))
    return module.match(file.path) is Match.FILE


def _reached(use: Use, via: Target, distance: int, confidence: Confidence) -> Reached:
    reason = _REASONS.get(use.reference.kind, Reason.USES)
    user = use.user
    if user is None and (number := use.file.variable_around(use.reference.line)) >= 0:
        user = Target(use.file, number)  # such as a table of functions, or another name for one
    return Reached(use.file, user, distance, confidence, reason, via, use.reference.name, use.reference.line)


def _spread_over_files(found: Sequence[Reached], limit: int) -> list[Reached]:
    """Return at most ``limit`` of ``found``, the nearest and surest first; of equals, one of each file before a second.

    The result keeps the places of a file together, and the files with the most places come first.
    """
    sizes = Counter(_group(one) for one in found)
    ordered = sorted(found, key=lambda one: (*_group(one)[:2], -sizes[_group(one)], one.file.path, one.line))
    counts: Counter[tuple[int, int, bytes]] = Counter()
    numbers = []
    for one in ordered:
        numbers.append(counts[_group(one)])
        counts[_group(one)] += 1
    kept = sorted(range(len(ordered)), key=lambda place: (*_group(ordered[place])[:2], numbers[place], place))[:limit]
    return [ordered[place] for place in sorted(kept)]


def _group(one: Reached) -> tuple[int, int, bytes]:
    return one.distance, -one.confidence, one.file.path
