"""Finds the chunks that a query asks for outright: by place, by the name or head of a definition, letter by letter."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from codeindexd.search.declarations import DeclaredDefinition, chunks_declaring, declaration_in, is_value
from codeindexd.search.file_roles import FileRole, role_of_definition
from codeindexd.search.literal import is_complaint, is_long_enough, literal_chunks, message_chunks, short_message_chunks
from codeindexd.search.places import chunks_at, files_named_in, places_in
from codeindexd.search.prepared_query import PreparedQuery, is_qualified_name
from codeindexd.search.ranking import Weights
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.snapshot import Snapshot
from codeindexd.storage.sorted_ids import Ids, among
from codeindexd.types import DECLARATION, Definition, StoredChunk

_MOST_PASTED: Final = 5  # chunks with a whole head; more of them say less than its name
_MIN_PART: Final = 4  # letters of a part of an identifier
_LATER: Final = 0.8  # factor for a part that a name does not begin with
_OTHER_CASE: Final = 0.8
_MIN_EXACT: Final = 4
_MOST_ORDERED: Final = 20  # places
_MOST_NAMES: Final = 200  # that begin with a part
_MOST_LONGER: Final = 10
_MOST_OUTLINES: Final = 20
_MOST_IN_FILE: Final = 10
ASKED_FOR: Final = frozenset({"declared", "literal", "number", "partial", "place", "quoted", "whole_name"})
"""The parts of a score that say that a chunk is asked for outright."""

_IDENTIFIER: Final = re.compile(r"\w+")
_NAME_IN_FILE: Final = re.compile(
    r"(?P<path>[\w@.+~/\\-]+\.\w+)(?:::|#|:)(?P<name>[^\W\d]\w*(?:(?:::|\.|#)\w+)*)(?:\[.*\])?"
)
_DOTTED_NUMBER: Final = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+)(?!\.?\w)")
_MOST_WORDS_BESIDE: Final = 8  # a number in a longer text is one of many details
_MOST_WITH_NUMBER: Final = 20  # chunks; a number that more have says little


class AskedFor:
    """The chunks that a query asks for, by id: the ``parts`` of their scores that say why, and the ``lines`` meant.

    Not every chunk has a line. The first line given for a chunk counts. ``definitions`` are those on such lines, as
    qualified name and kind.
    """

    def __init__(self) -> None:
        self.parts: defaultdict[int, dict[str, float]] = defaultdict(dict)
        self.lines: dict[int, int] = {}
        self.definitions: dict[int, tuple[str, str]] = {}

    def add_lines(self, lines: Mapping[int, int]) -> None:
        """Add the lines of chunks, by chunk id."""
        self.lines = {**lines, **self.lines}

    def add_definitions(
        self, declared: Iterable[DeclaredDefinition], *, may_be_literal: bool = False, unknown: str = ""
    ) -> None:
        """Add the chunks of definitions that the query asks for, and their lines.

        With ``may_be_literal``, few places have the query letter by letter: then guesses are worth no more than these.
        ``unknown`` is a word that nothing has as it was typed: a name in another case is meant by it, not a topic.
        """
        for declaration in declared:
            is_whole = declaration.qualified.rpartition(".")[2].lower() == unknown.lower()
            weight = Weights().declared if declaration.is_certain or is_whole else Weights().exact
            if declaration.is_spelled and not is_whole:
                weight = Weights().spelled
            if declaration.is_guess and may_be_literal:
                weight = min(weight, Weights().literal)
            parts = self.parts[declaration.chunk.chunk_id]
            parts["declared"] = max(weight, parts.get("declared", 0.0))
            if self.lines.setdefault(declaration.chunk.chunk_id, declaration.line) == declaration.line:
                self.definitions[declaration.chunk.chunk_id] = declaration.qualified, declaration.kind

    def add_whole_name(self, chunk_ids: Iterable[int]) -> None:
        """Add the chunks that have the compound name that is the query, so that others come after them."""
        for chunk_id in chunk_ids:
            self.parts[chunk_id]["whole_name"] = Weights().whole_name

    def restrict(self, allowed: Ids) -> None:
        """Forget all chunks but those ``allowed`` (sorted ids)."""
        kept = among(self.parts.keys(), allowed)
        for chunk_id in self.parts.keys() - kept:
            del self.parts[chunk_id]

    def defining(self) -> set[int]:
        """Return the ids of the chunks with a definition that the query certainly means."""
        return {chunk_id for chunk_id, parts in self.parts.items() if parts.get("declared", 0.0) >= Weights().declared}


def is_identifier(query: PreparedQuery) -> bool:
    """Return True if the text of a query is one word: a name, or a part of one."""
    return _IDENTIFIER.fullmatch(query.parsed.text.strip()) is not None


def chunks_asked_for(
    root: SearchableRoot, snapshot: Snapshot, query: PreparedQuery, allowed: Ids | None, *, is_known_name: bool = False
) -> AskedFor:
    """Return the chunks that the text of a query asks for by place, by definition, or letter by letter.

    Definitions in ``allowed`` chunks (sorted ids, None for all) are preferred. An identifier of the index
    (``is_known_name``) is not looked for letter by letter: its definitions and uses come first anyway. Blocking.
    """
    asked, text = AskedFor(), query.parsed.text.strip()
    if query.phrases or not text:
        return asked
    _add_places(asked, chunks_at(root.spec.raw, snapshot, places_in(text)))
    _add_name_in_file(asked, root, snapshot, text)
    declaration = declaration_in(text)
    declared = list(chunks_declaring(snapshot.catalog, declaration, allowed)) if declaration is not None else []
    if is_identifier(query) and (is_known_name or (text.isascii() and len(text) < _MIN_PART)):
        asked.add_definitions(declared)
        return asked
    for word in _lone_letters(query):
        lines = literal_chunks(root, snapshot, word)
        for chunk_id in lines:
            asked.parts[chunk_id]["partial"] = Weights().partial
        asked.add_lines(lines)
    literal = literal_chunks(root, snapshot, text)
    chunks = snapshot.catalog.chunks(sorted(literal))
    if not any(map(_is_source, chunks.values())):  # tests quote messages with their values
        quoting = message_chunks(root, snapshot, text)
        literal |= quoting
        chunks |= snapshot.catalog.chunks(sorted(quoting))
    is_in_source = _add_literal(asked, chunks, text if is_identifier(query) else None)
    if is_identifier(query):
        _add_longer_names(asked, snapshot, text)  # of many files, only some are looked at for its letters
        if not any("partial" in parts for parts in asked.parts.values()):
            _add_values(asked, snapshot, chunks.values(), text)
    if declaration is not None and declaration.has_more and len(literal) <= _MOST_PASTED:  # all of a definition's head
        for chunk_id in literal:
            asked.parts[chunk_id]["declared"] = Weights().declared
        asked.add_lines(literal)
    asked.add_definitions(
        declared,
        may_be_literal=is_in_source and len(literal) <= _MOST_PASTED,
        unknown=text if is_identifier(query) else "",
    )
    asked.add_lines(literal)
    _add_short_messages(asked, text, short_message_chunks(root, snapshot, text))
    for number in numbers_beside_words(text):
        if len(lines := literal_chunks(root, snapshot, number)) <= _MOST_WITH_NUMBER:
            for chunk_id in lines:
                asked.parts[chunk_id]["number"] = Weights().number
            asked.add_lines(lines)
    if query.parsed.literals or query.parsed.regexes:
        asked.lines.clear()  # the line with these is meant
    return asked


def numbers_beside_words(text: str) -> list[str]:
    """Return the numbers with dots that a short text has among its words, such as versions; without a ``v``."""
    words = text.split()
    return _DOTTED_NUMBER.findall(text) if 1 < len(words) <= _MOST_WORDS_BESIDE else []


def typed_exactly(text: str) -> list[str]:
    """Return what a query has that must stand in code as it is: all of a text with marks inside, or its numbers.

    Nothing for a plain or qualified name, a path or a short text.
    """
    text = text.strip()
    if " " in text or "\n" in text:
        return numbers_beside_words(text)
    if _DOTTED_NUMBER.fullmatch(text):
        return [text]
    is_name = _IDENTIFIER.fullmatch(text) or is_qualified_name(text) or places_in(text)
    return [text] if len(text) >= _MIN_EXACT and not is_name else []


def _add_places(asked: AskedFor, lines: Mapping[int, int]) -> None:
    """Add the places that a query names, in their order, which no other signal changes for the first twenty."""
    for number, chunk_id in enumerate(lines):
        before = max(0, min(len(lines), _MOST_ORDERED) - number)
        asked.parts[chunk_id]["place"] = Weights().place + before * Weights().next_place - min(number, 99) / 10
    asked.add_lines(lines)


def _add_name_in_file(asked: AskedFor, root: SearchableRoot, snapshot: Snapshot, text: str) -> None:
    """Add the definition in a file that a query names as test runners do: ``tests/test_a.py::TestA::test_b[x]``."""
    if not (found := _NAME_IN_FILE.fullmatch(text)):
        return
    files = files_named_in(root.spec.raw, snapshot, found["path"]).keys()
    for stored in snapshot.catalog.definitions_named(found["name"], limit=_MOST_IN_FILE, files=files):
        asked.parts[stored.chunk.chunk_id]["declared"] = Weights().declared
        asked.add_lines({stored.chunk.chunk_id: stored.definition.line})


def _is_source(chunk: StoredChunk) -> bool:
    span = chunk.span
    return role_of_definition(chunk.path, chunk.language, span.kind, span.symbol) is FileRole.SOURCE


def _add_literal(asked: AskedFor, chunks: Mapping[int, StoredChunk], name: str | None) -> bool:
    """Add chunks that contain the query, by id, and return True if one of them is in source.

    Less for those that are not, and more for those that define a longer name than ``name``, the query if it is one
    word: the more, the less that is longer.
    """
    is_in_source = False
    for chunk_id, chunk in chunks.items():
        is_source = _is_source(chunk)
        is_in_source |= is_source
        asked.parts[chunk_id]["literal"] = Weights().literal if is_source else Weights().literal_elsewhere
        share = max((share_of_name(name, symbol.name) for symbol in chunk.span.symbols), default=0.0) if name else 0.0
        if share:
            asked.parts[chunk_id]["partial"] = Weights().partial * share
    return is_in_source


def share_of_name(part: str, name: str) -> float:
    """Return how much of ``name`` is ``part``, from 0 if it is not in it to 1.

    Less for a name that begins otherwise or has it in another case.
    """
    position = name.lower().find(part.lower())
    if position < 0:
        return 0.0
    share = len(part) / len(name)
    if name[:position].strip("_"):
        share *= _LATER
    return share if part in name else _OTHER_CASE * share


def _add_longer_names(asked: AskedFor, snapshot: Snapshot, part: str) -> None:
    """Add the definitions in source whose names begin with ``part``, the shortest of them.

    Values and what is only declared count if nothing else begins so.
    """
    names = snapshot.catalog.symbol_names(part, only_prefix=True, limit=_MOST_NAMES)
    found = [
        stored
        for stored in snapshot.catalog.definitions_of_names(sorted(names, key=len)[:_MOST_LONGER], limit=_MOST_LONGER)
        if _is_source(stored.chunk)
    ]
    for is_better in (
        lambda definition: not is_value(definition),
        lambda definition: definition.kind != DECLARATION,
    ):
        found = [stored for stored in found if is_better(stored.definition)] or found
    for stored in found:
        _add_part(asked, stored.chunk.chunk_id, stored.definition, part)


def _add_values(asked: AskedFor, snapshot: Snapshot, chunks: Iterable[StoredChunk], part: str) -> None:
    """Add those of ``chunks``, which contain ``part``, that define a value with ``part`` in its name.

    Their symbols do not include values. Nothing if they are in many files, whose outlines take long to read.
    """
    in_source = [chunk for chunk in chunks if _is_source(chunk)]
    files = {chunk.file_id for chunk in in_source}
    if len(files) > _MOST_OUTLINES:
        return
    definitions = snapshot.catalog.definitions(files)
    for chunk in in_source:
        for definition in definitions.get(chunk.file_id, ()):
            if is_value(definition) and chunk.span.start_line <= definition.line <= chunk.span.end_line:
                _add_part(asked, chunk.chunk_id, definition, part)


def _add_part(asked: AskedFor, chunk_id: int, definition: Definition, part: str) -> None:
    """Add the chunk of a definition if ``part`` is in its name."""
    if share := share_of_name(part, definition.name):
        parts = asked.parts[chunk_id]
        parts["literal"] = Weights().literal
        parts["partial"] = max(Weights().partial * share, parts.get("partial", 0.0))
        asked.add_lines({chunk_id: definition.line})


def _add_short_messages(asked: AskedFor, text: str, lines: Mapping[int, int]) -> None:
    """Add the chunks with the few words of ``text`` as a message: what is asked for, or what says what they do."""
    part, weight = ("literal", Weights().literal) if is_complaint(text) else ("quoted", Weights().quoted)
    for chunk_id in lines:
        asked.parts[chunk_id][part] = weight
    asked.add_lines(lines)


def _lone_letters(query: PreparedQuery) -> list[str]:
    """Return the words that are one letter of a script without spaces: the lexical index has only pairs of these."""
    return [word for word in dict.fromkeys(query.terms.words) if len(word) == 1 and is_long_enough(word)]
