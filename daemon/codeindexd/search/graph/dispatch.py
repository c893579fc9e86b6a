"""Finds uses of a member that do not name it: calls of what it overrides, and uses of its type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from codeindexd.search.graph.graph import CodeGraph, Use
from codeindexd.search.graph.resolve import CONSTRUCTORS, inherited_members, is_self, is_super
from codeindexd.search.graph.targets import Confidence, Target
from codeindexd.types import FUNCTION_KINDS, ReferenceKind


def overridden(graph: CodeGraph, target: Target) -> Sequence[Target]:
    """Return the members of the nearest base types that ``target`` overrides; none for a constructor."""
    if not target.owner or target.definition.kind not in FUNCTION_KINDS or target.definition.name in CONSTRUCTORS:
        return ()
    return inherited_members(graph, target)


def uses_of_overridden(graph: CodeGraph, target: Target) -> Iterator[Use]:
    """Yield the uses of the member of a base type that ``target`` overrides; they may run ``target``.

    Their confidence is at most NAME. Uses inside other subtypes, which mean their own member, are left out.
    """
    bases = overridden(graph, target)
    around = {(one.file.file.file_id, one.file.type_around(one.number)) for one in bases}
    for use in graph.uses_of(bases):
        language, qualifier = use.file.language, use.reference.qualifier.removesuffix("()")
        is_own = not qualifier or is_self(language, qualifier)
        if is_super(language, qualifier) or use.reference.kind is ReferenceKind.IMPORT:
            continue
        if is_own and (use.file.file.file_id, use.file.type_around(use.within)) not in around:
            continue
        yield replace(use, confidence=min(use.confidence, Confidence.NAME))


def uses_of_types(graph: CodeGraph, targets: Iterable[Target]) -> Iterator[tuple[Target, Use]]:
    """Yield each type that has one of ``targets`` as a member, with what constructs it or inherits from it.

    The confidence is at most NAME.
    """
    for owner in dict.fromkeys(owner for target in targets for owner in _types_of(graph, target)):
        for use in graph.uses_of([owner]):
            if use.reference.kind in (ReferenceKind.CALL, ReferenceKind.INHERIT):
                yield owner, replace(use, confidence=min(use.confidence, Confidence.NAME))


def _types_of(graph: CodeGraph, target: Target) -> Sequence[Target]:
    return graph.types_named(target.file, target.owner) if target.owner else ()
