"""Answers questions about the code graph: finds what is asked about, asks the graph, reads the lines to show."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar

import anyio.to_thread
from msgspec import Struct, field

from codeindexd.analysis.chunking.embedded import HOSTS
from codeindexd.analysis.chunking.notation import spellings
from codeindexd.analysis.references.rules import LANGUAGES
from codeindexd.errors import NotIndexedError, UsageError
from codeindexd.protocol.printable import safe_line
from codeindexd.quantities import quantity
from codeindexd.search.file_roles import is_test
from codeindexd.search.graph.calls import CallTree, callees_of, callers_of
from codeindexd.search.graph.code_file import CodeFile, FileCache, is_code
from codeindexd.search.graph.code_map import CodeMap, RankCache, code_map
from codeindexd.search.graph.graph import CodeGraph, Use, is_call
from codeindexd.search.graph.impact import Impact, definitions_of_files, impact_of, importers_of
from codeindexd.search.graph.modules import is_spelt, path_parts
from codeindexd.search.graph.sources import ShownLine
from codeindexd.search.graph.targets import Confidence, Target
from codeindexd.search.pinning import SearchedParts, parts_of, pinned_part
from codeindexd.search.searchable_root import PinnedRoot, SearchableRoot
from codeindexd.search.spelling import nearest_names
from codeindexd.types import RootState
from codeindexd.waiting import run_all

_QUALIFIER: Final = re.compile(r"::|->|[.#\\/]|(?<=\w):(?=\w)")
_MOST_SIMILAR: Final = 10
_MOST_NOTED: Final = 20  # definitions whose possible uses are counted
_MOST_FILES: Final = 200  # of a directory, whose impact is asked for

T = TypeVar("T")


class Place(Struct, frozen=True):
    """A path below a root that is asked about, and a line of it (None: all of the file or directory).

    ``column`` tells definitions on one line apart.
    """

    root: SearchableRoot
    path: bytes
    line: int | None = None
    column: int | None = None


Asked = str | Place


class ShownDefinition(Struct, frozen=True, eq=False):
    """A definition, and the line of its name on the disk."""

    root: SearchableRoot
    target: Target
    line: ShownLine


class ShownUse(Struct, frozen=True, eq=False):
    """A reference, and its line on the disk."""

    root: SearchableRoot
    use: Use
    line: ShownLine


class GraphAnswer(Struct):
    """What all answers have: the definitions asked about, or similar names, and the state of what was searched.

    ``samples`` are definitions of the name in the code samples of documents, if no code defines it.
    """

    state: RootState = RootState.FRESH
    clock: str = ""
    took_ms: float = 0.0
    targets: list[ShownDefinition] = field(default_factory=list)
    similar: list[str] = field(default_factory=list)
    samples: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class RefsAnswer(GraphAnswer):
    """References, the surest first. ``total`` and ``files`` also count those beyond the limit.

    ``possible`` is the number of places that were left out because other definitions of the name are as likely.
    """

    uses: list[ShownUse] = field(default_factory=list)
    total: int = 0
    files: int = 0
    possible: int = 0


class CallsAnswer(GraphAnswer):
    """Trees of calls, one for each root that has any."""

    trees: list[tuple[SearchableRoot, CallTree]] = field(default_factory=list)


class ImpactAnswer(GraphAnswer):
    """What a change reaches, and the files that import what changes, for each root."""

    impacts: list[tuple[SearchableRoot, Impact, list[CodeFile]]] = field(default_factory=list)


class OutlineAnswer(GraphAnswer):
    """The definitions of one file. ``is_partial`` if some of it was not understood, or left out."""

    file: CodeFile | None = None
    root: SearchableRoot | None = None
    is_partial: bool = False


class MapAnswer(GraphAnswer):
    """The map of one root."""

    root: SearchableRoot | None = None
    map: CodeMap | None = None


class GraphSearcher:
    """Answers questions about the code graphs of roots, each on its own snapshots."""

    def __init__(self, *, mask_secrets: bool) -> None:
        self._mask_secrets = mask_secrets
        self._files = FileCache()
        self._ranks = RankCache()

    async def refs(
        self, roots: Sequence[SearchableRoot], asked: Asked, limit: int, *, possible: bool = False
    ) -> RefsAnswer:
        """Return the references to a definition; for a name without a definition, whatever mentions it by name.

        With ``possible``, also places where the receiver is unknown and other definitions of the name are as likely.
        Raises NotIndexedError for a place that is not indexed, FailedError when nothing can be read.
        """
        answer = RefsAnswer()
        others: list[Target] = []

        def in_root(graph: CodeGraph) -> None:
            targets = self._targets(graph, asked, answer)
            uses = graph.uses_of(targets, least=Confidence.POSSIBLE)
            if not possible:
                sure = [use for use in uses if use.confidence > Confidence.POSSIBLE]
                answer.possible += len(uses) - len(sure)
                uses = sure
            if not targets and isinstance(asked, str):
                uses = _uses_by_name(graph, asked)
                others.extend(graph.named(split_name(asked)[1]))
            _sort(uses, targets)
            room = max(0, limit - len(answer.uses))
            remaining = uses[room:]
            shown: Counter[tuple[bytes, int, str]] = Counter()
            for use in uses[:room]:
                place = use.file.path, use.reference.line, use.reference.name
                line = graph.sources.line(use.file.file, *place[1:], before=shown[place])
                shown[place] += 1
                if line is not None:
                    answer.uses.append(ShownUse(graph.root, use, line))
                    remaining.append(use)
            answer.total += len(remaining)
            answer.files += len({use.file.path for use in remaining})
            _note_incomplete(graph, answer)

        await self._in_roots(roots, in_root, answer)
        if isinstance(asked, str) and not answer.targets:
            if answer.uses and not answer.samples:
                answer.notes.append(_name_note(asked, others))
            elif not answer.uses:
                await self._suggest(roots, asked, answer)
        return answer

    async def callers(self, roots: Sequence[SearchableRoot], asked: Asked, depth: int, limit: int) -> CallsAnswer:
        """Return the definitions that call a definition, as a tree. Raises as :meth:`refs` does."""
        return await self._calls(roots, asked, partial(callers_of, depth=depth, limit=limit), is_up=True)

    async def callees(self, roots: Sequence[SearchableRoot], asked: Asked, depth: int, limit: int) -> CallsAnswer:
        """Return the definitions that a definition calls, as a tree. Raises as :meth:`refs` does."""
        return await self._calls(roots, asked, partial(callees_of, depth=depth, limit=limit))

    async def _calls(
        self,
        roots: Sequence[SearchableRoot],
        asked: Asked,
        tree_of: Callable[[CodeGraph, Sequence[Target]], CallTree],
        *,
        is_up: bool = False,
    ) -> CallsAnswer:
        """Return the trees of the definitions asked about, one for each root that has any, made by ``tree_of``.

        ``is_up`` is True if they have callers, some of which may be unknown.
        """
        answer = CallsAnswer()

        def in_root(graph: CodeGraph) -> None:
            targets = self._targets(graph, asked, answer)
            if targets:
                answer.trees.append((graph.root, tree_of(graph, targets)))
                if is_up:
                    _note_possible(graph, targets, answer, is_call)
            _note_incomplete(graph, answer)

        await self._in_roots(roots, in_root, answer)
        if isinstance(asked, str) and not answer.targets:
            await self._suggest(roots, asked, answer)
        return answer

    async def impact(
        self, roots: Sequence[SearchableRoot], asked: Sequence[Asked], depth: int, limit: int
    ) -> ImpactAnswer:
        """Return what a change of definitions, files or directories reaches. Raises as :meth:`refs` does."""
        answer = ImpactAnswer()

        def in_root(graph: CodeGraph) -> None:
            files: list[CodeFile] = []
            targets: list[Target] = []
            for one in asked:
                if isinstance(one, Place) and one.line is None:
                    if one.root is graph.root:
                        files += _files_at(graph, one.path, answer)
                else:
                    named = self._targets(graph, one, answer)
                    targets += [*named, *_functions_around(named)] if isinstance(one, Place) else named
            targets += definitions_of_files(files)
            if targets or files:
                impact = impact_of(graph, targets, depth=depth, limit=limit)
                changed = {file.path for file in files}
                importers = [one for file in files for one in importers_of(graph, file) if one.path not in changed]
                answer.impacts.append((graph.root, impact, list(dict.fromkeys(importers))))
                if not files:
                    _note_possible(graph, targets, answer)
            _note_incomplete(graph, answer)

        await self._in_roots(roots, in_root, answer)
        names = [one for one in asked if isinstance(one, str)]
        if names and not answer.impacts:
            await self._suggest(roots, names[0], answer)
        return answer

    async def definitions(self, roots: Sequence[SearchableRoot], asked: Asked) -> GraphAnswer:
        """Return the definitions of a name, or the one at a line of a file, that are still on the disk.

        Raises NotIndexedError, and UsageError if there is no definition at the line.
        """
        answer = GraphAnswer()

        def in_root(graph: CodeGraph) -> None:
            self._targets(graph, asked, answer)
            answer.notes.clear()  # what is known of references does not matter

        await self._in_roots(roots, in_root, answer)
        if isinstance(asked, str) and not answer.targets:
            await self._suggest(roots, asked, answer)
        return answer

    async def outline(self, place: Place) -> OutlineAnswer:
        """Return the definitions of a file. Raises NotIndexedError, and UsageError for a directory."""
        answer = OutlineAnswer(root=place.root)

        def in_root(graph: CodeGraph) -> None:
            answer.file = _file_at(graph, place.path, answer)
            answer.is_partial = graph.is_partial(answer.file)

        await self._in_roots([place.root], in_root, answer)
        return answer

    async def map(self, place: Place, tokens: int) -> MapAnswer:
        """Return the most central definitions at or below a path. Raises NotIndexedError if nothing is there."""
        answer = MapAnswer(root=place.root)

        def in_root(graph: CodeGraph, pinned: PinnedRoot) -> None:
            if place.path and not graph.has_file(place.path) and not graph.has_directory(place.path):
                raise _not_indexed(graph.root, place.path)
            ranks, left_out = self._ranks.ranks(pinned.root.spec.raw, pinned.snapshot, place.path)
            answer.map = code_map(graph, ranks, place.path, tokens=tokens)
            if left_out:
                were = "was" if left_out == 1 else "were"
                answer.notes.append(f"{quantity(left_out, 'file')} on which little relies {were} not compared")

        await self._in_pinned([place.root], in_root, answer)
        return answer

    # steps

    async def _in_roots(
        self, roots: Sequence[SearchableRoot], ask: Callable[[CodeGraph], None], answer: GraphAnswer
    ) -> None:
        await self._in_pinned(roots, lambda graph, _: ask(graph), answer)

    async def _in_pinned(
        self, roots: Sequence[SearchableRoot], ask: Callable[[CodeGraph, PinnedRoot], None], answer: GraphAnswer
    ) -> None:
        """Call ``ask`` with the graph of every root, one after the other, and complete the answer."""
        started = time.perf_counter()
        searched = SearchedParts()

        def in_one(one: PinnedRoot) -> None:
            graph = CodeGraph(one, self._files, mask_secrets=self._mask_secrets)
            ask(graph, one)
            _note_changed(graph, answer)
            graph.sources.report_changes()

        for some in parts_of(roots):
            async with pinned_part(some) as part:
                for one in part.pinned:
                    await anyio.to_thread.run_sync(in_one, one)
                searched.add(part)
        if answer.targets:
            answer.samples.clear()
        if answer.samples:
            answer.notes.insert(0, _samples_note(answer.samples))
        answer.state, answer.clock = searched.state, searched.clock
        answer.took_ms = (time.perf_counter() - started) * 1000
        answer.notes = [*dict.fromkeys(answer.notes)]

    async def _suggest(self, roots: Sequence[SearchableRoot], name: str, answer: GraphAnswer) -> None:
        """Add names that are defined in the roots and resemble ``name``, which has no definition."""
        if answer.samples:
            return
        last = split_name(name)[1]

        def similar(one: PinnedRoot) -> list[str]:
            catalog = one.snapshot.catalog
            near = nearest_names(one.snapshot, last)
            near += catalog.symbol_names(last, only_prefix=True, limit=_MOST_SIMILAR)
            graph = CodeGraph(one, self._files, mask_secrets=self._mask_secrets)
            return [*dict.fromkeys(target.definition.name for key in near for target in graph.named_as(key))]

        for some in parts_of(roots):
            async with pinned_part(some) as part:
                found = await run_all(partial(anyio.to_thread.run_sync, similar, one) for one in part.pinned)
            answer.similar = [*dict.fromkeys([*answer.similar, *itertools.chain.from_iterable(found)])][:_MOST_SIMILAR]

    def _targets(self, graph: CodeGraph, asked: Asked, answer: GraphAnswer) -> list[Target]:
        """Return the definitions that are asked about, and add those that are still on the disk to the answer."""
        if isinstance(asked, str):
            targets = _named(graph, asked)
            if not targets:
                answer.samples += graph.samples_named(split_name(asked)[1])
        elif asked.root is graph.root:
            targets = _at_line(_file_at(graph, asked.path, answer), asked)
            if asked.line is not None:
                targets = list({one.key: one for target in targets for one in graph.defined_for(target)}.values())
        else:
            targets = []
        for target in [*targets, *(graph.declarations_of(targets) if _is_one(asked) else ())]:
            one = target.definition
            line = graph.sources.line(target.file.file, one.line, one.name)
            if line is not None:
                answer.targets.append(ShownDefinition(graph.root, target, line))
            _note_language(target.file, answer)
        return targets


def _sort(uses: list[Use], targets: Sequence[Target]) -> None:
    """Sort references: the surest first, of these those in source before tests, of these the nearest to ``targets``."""
    files = {one.file.path for one in targets}
    directories = {path.rpartition(b"/")[0] for path in files}

    def place(use: Use) -> tuple[int, bool, int, bytes, int]:
        path = use.file.path
        distance = 0 if path in files else 1 if path.rpartition(b"/")[0] in directories else 2
        return -use.confidence, is_test(path), distance, path, use.reference.line

    uses.sort(key=place)


def _is_one(asked: Asked) -> bool:
    """Return True if a definition is asked about, and not a whole file."""
    return isinstance(asked, str) or asked.line is not None


def split_name(name: str) -> tuple[str, str]:
    """Return the qualifier of a name in any notation, with dots ("" if it has none), and its last part."""
    *qualifier, last = _QUALIFIER.split(name.strip())
    return (".".join(filter(None, qualifier)), last) if last else ("", name)


def _named(graph: CodeGraph, name: str) -> list[Target]:
    """Return the definitions of a name, which may be qualified; if none has this case, those in any other."""
    qualifier, last = split_name(name)
    if whole := graph.named(name.strip()):  # ``log::info`` of Bash is one name, and so is ``.=`` of Haskell
        return whole
    plain = last.lstrip("$@") or last  # ``User::$name`` of PHP, ``@name`` of Ruby
    found = graph.named(last) or graph.named_as(last) or graph.named(plain)
    if not qualifier:
        return found
    last = found[0].definition.name if found and found[0].definition.name == plain else last
    dotted = f"{qualifier}.{last}"
    matching = [one for one in found if any(f".{spelt}".endswith(f".{dotted}") for spelt in _spellings(one))]
    if not matching:
        matching = [one for one in found if is_spelt(dotted, [*_spellings(one)], one.file.path)]
    if not matching:  # a package may export what its files define: ``asyncio.run``
        matching = [one for one in found if not one.owner and f".{qualifier}." in f".{_module_of(one)}."]
    folded = f".{dotted.lower()}"
    return matching or [one for one in found if any(f".{spelt}".lower().endswith(folded) for spelt in _spellings(one))]


def _module_of(target: Target) -> str:
    """Return the path of a file with dots, which is its module in most languages."""
    return ".".join(path_parts(target.file.path))


def _spellings(target: Target) -> Iterator[str]:
    return spellings(target.file.definitions, target.number, target.file.language)


def _uses_by_name(graph: CodeGraph, name: str) -> list[Use]:
    """Return what refers to a name that the root does not define, such as a function of a library."""
    qualifier, last = split_name(name)
    return [
        Use(file, reference, None, Confidence.NAME, file.around(reference))
        for file in graph.files_with(last)
        for reference in file.references.named(last)
        if not qualifier or f".{split_name(reference.qualifier)[1]}".endswith(f".{split_name(qualifier)[1]}")
    ]


def _file_at(graph: CodeGraph, path: bytes, answer: GraphAnswer) -> CodeFile:
    file = graph.file(path)
    if file is None or not graph.is_indexed(file):
        shown = path.decode("utf-8", "replace")
        if file is None and (not path or graph.has_directory(path)):
            directory = shown or os.fsdecode(graph.root.spec.raw)
            raise UsageError(f"{directory} is a directory", hint="for its outline: codeindex map PATH")
        raise _not_indexed(graph.root, path)
    _note_language(file, answer)
    return file


def _not_indexed(root: SearchableRoot, path: bytes) -> NotIndexedError:
    shown = safe_line(path.decode("utf-8", "replace"))
    is_busy = root.state in (RootState.RECONCILING, RootState.INDEXING)
    if is_busy and os.path.lexists(root.spec.raw + b"/" + path):
        return NotIndexedError(f"{shown} is not indexed yet", hint="to wait until it is: codeindex sync")
    return NotIndexedError(f"{shown} is not indexed", hint=f"to see why: codeindex explain {shlex.quote(shown)}")


def _files_at(graph: CodeGraph, path: bytes, answer: GraphAnswer) -> list[CodeFile]:
    file = graph.file(path)
    if file is not None:
        return [_file_at(graph, path, answer)]
    files, count = graph.files_below(path, _MOST_FILES)
    if count > len(files):
        answer.notes.append(f"only the first {len(files):,} of {count:,} files were looked at")
    return files


def _at_line(file: CodeFile, place: Place) -> list[Target]:
    """Return the definitions whose name is on a line, or else the innermost one around it."""
    if place.line is None:
        return definitions_of_files([file])
    on_line = [
        Target(file, number)
        for number, one in enumerate(file.definitions)
        if one.line == place.line and is_code(file.language, one.kind)
    ]
    if on_line:
        return [one for one in on_line if one.definition.column == place.column] or on_line
    number = max(file.enclosing(place.line), file.variable_around(place.line))
    if number < 0:
        raise UsageError(
            f"there is no definition at line {place.line} of {file.path.decode('utf-8', 'replace')}",
            hint="to see its definitions: codeindex outline PATH",
        )
    return [Target(file, number)]


def _functions_around(targets: Sequence[Target]) -> list[Target]:
    """Return the functions whose lines define ``targets``, fields that they assign to: such a line is theirs, too."""
    found = []
    for target in targets:
        around = target.file.enclosing(target.definition.line)
        if around >= 0 and target.definition.kind == "field" and Target(target.file, around).is_function:
            found.append(Target(target.file, around))
    return found


def _note_language(file: CodeFile, answer: GraphAnswer) -> None:
    if file.language not in LANGUAGES:
        answer.notes.append(f"no references are known for {file.language or 'plain text'}")
    elif file.file.language in HOSTS:
        answer.notes.append(f"references in the markup of {file.file.language} are not known")


def _samples_note(samples: Sequence[Target]) -> str:
    """Return where the first of ``samples`` is, and why nothing is known of them."""
    one = samples[0]
    name, path = safe_line(one.definition.name), safe_line(one.file.path.decode("utf-8", "replace"))
    more = f" and {len(samples) - 1:,} more" if len(samples) > 1 else ""
    return (
        f"only code samples in documents define {name}, and they are not part of the code graph: "
        f"{path}:{one.definition.line}{more}"
    )


def _name_note(asked: str, others: Sequence[Target]) -> str:
    """Return that the references share only a name; ``others`` are definitions of its last part."""
    name, last = safe_line(asked), safe_line(split_name(asked)[1])
    more = f"; {len(others):,} of {last} {'is' if len(others) == 1 else 'are'}" if others else ""
    return f"no definition of {name} is known{more}; these places have the same name"


def _note_changed(graph: CodeGraph, answer: GraphAnswer) -> None:
    """Note which files are newer than the index; their lines were found again nearest to the old places."""
    changed = graph.sources.changed
    if changed:
        others = len(changed) - 1
        more = f" and {others:,} more {'file' if others == 1 else 'files'} have" if others else " has"
        them = "them" if others else "it"
        shown = safe_line(changed[0].decode("utf-8", "replace"))
        answer.notes.append(
            f"{shown}{more} changed since the index was updated; lines of {them} may be wrong: sync first"
        )


def _note_possible(
    graph: CodeGraph, targets: Sequence[Target], answer: GraphAnswer, counts: Callable[[Use], bool] = lambda _: True
) -> None:
    """Note how many places were left out because other definitions of the name are as likely."""
    uses = graph.uses_of(targets[:_MOST_NOTED], least=Confidence.POSSIBLE)
    left_out = sum(use.confidence is Confidence.POSSIBLE and counts(use) for use in uses)
    if left_out:
        answer.notes.append(
            f"{left_out:,} more place{'s' if left_out > 1 else ''} may refer to it, but the receiver is unknown there"
            " and other definitions of the name are as likely"
        )


def _note_incomplete(graph: CodeGraph, answer: GraphAnswer) -> None:
    if graph.unsearchable:
        answer.notes.append(f"references to operators such as {safe_line(graph.unsearchable[0])} are not known")
    if not graph.is_complete:
        answer.notes.append("the name is so common that not all of the code that mentions it was looked at")
