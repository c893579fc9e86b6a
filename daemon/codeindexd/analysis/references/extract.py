"""Finds the references in a syntax tree: calls, uses, imports and base classes, each with its line."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set

import numpy as np
from tree_sitter import Language, Node, Query, QueryCursor

from codeindexd.analysis.references.codec import NO_REFERENCES, Columns
from codeindexd.analysis.references.imports import Import
from codeindexd.analysis.references.literals import READERS
from codeindexd.analysis.references.rules import RULES, VARIABLE, ReferenceRules, Scope
from codeindexd.analysis.references.scopes import Hidden, Scopes
from codeindexd.types import ReferenceKind

MAX_REFERENCES = 50_000  # of one file; only generated files have more
EXPRESSION = b"."
"""The qualifier of a member of an expression that has no name, such as ``f(x).name``."""

_MAX_NAME = 200  # bytes; longer "names" are broken input
_MAX_RECEIVER = 80  # bytes
_MAX_STATEMENT = 20_000  # bytes of an import; longer ones are broken input
_MOST_STEPS = 1_600_000_000  # nodes times depth: a query takes time in proportion to it, here about five seconds
_MOST_LEVELS = 4  # between the word of an import and its statement
_TYPE = 16  # added to the kind of a type, while it matters
_QUOTED = re.compile(rb"[\"'](\w+)[\"']")
_TYPE_NAME = re.compile(rb"[A-Za-z_]\w*")
_CALLABLE = re.compile(rb"(?:\[|array\()\s*+(\$?\w++)(?:::class)?\s*+,\s*+[\"'](\w++)[\"']")
_NEWLINE = ord("\n")
_WORD = re.compile(  # a word, what shows that it is called, an import; strings, comments and directives are neither
    rb"\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.){1,10}+'|//[^\n]*+|/\*.*?(?:\*/|\Z)"
    rb"|(?P<import>#\s*+include\b[^\n]*+)|#++\s*+\w++|(?<![\w$])(?P<word>[A-Za-z_]\w*+)(?!\s?##)(?P<call>\s?\(|!\s?[({\[])?",
    re.DOTALL,
)
_KEYWORDS = frozenset(
    b"auto bool break case char const continue default defined do double else enum extern false fn for float goto if"
    b" impl in inline int let long match mod mut pub return self short signed sizeof static struct switch true typedef"
    b" union unsigned use void volatile where while".split()
)
"""Words that name nothing, in the languages in which some text may not be parsed."""


def references_in(
    root: Node,
    text: bytes,
    language: str,
    grammar: Language,
    defined: Mapping[bytes, Collection[int]],
    members: Set[bytes] = frozenset(),
    unparsed: Iterable[tuple[int, int]] = (),
    implied: Iterable[tuple[int, bytes]] = (),
) -> Columns:
    """Return the references in a text, sorted by line; none for a language without rules.

    ``root`` is the tree of ``text``, which is UTF-8. ``defined`` has the names that the text defines, with the offsets
    of these names; these places are not references. ``members`` are those of these names that mean nothing here
    without a receiver. ``unparsed`` are the byte ranges that the tree lacks, such as macros; their words count.
    ``implied`` are names that the text uses without writing them, with offsets.
    """
    rules = RULES.get(language)
    if rules is None:
        return NO_REFERENCES
    cursor = QueryCursor(_query(language, grammar))
    cursor.set_max_start_depth(_most_depth(root))
    captured = cursor.captures(root)
    collector = _Collector(text, rules, defined, defined.keys() - members)
    collector.skip(captured.get("skip", ()))
    collector.add_members(captured.get("literal", ()), language)
    collector.add_callables(captured.get("callable", ()))
    collector.add(captured.get("inherit", ()), ReferenceKind.INHERIT)
    collector.add(captured.get("call", ()), ReferenceKind.CALL)
    collector.add(
        [node for node in captured.get("component", ()) if not text[node.start_byte : node.start_byte + 1].islower()],
        ReferenceKind.CALL,
    )
    called, used = _by_bracket(captured.get("maybe", ()), text)
    collector.add(called, ReferenceKind.CALL)
    collector.add(used, ReferenceKind.USE)
    collector.add(captured.get("use", ()), ReferenceKind.USE)
    collector.add(captured.get("type", ()), ReferenceKind.USE | _TYPE)
    collector.never_hide(captured.get("key", ()))
    collector.read_imports(captured.get("import", ()))
    bodies = [match.span(1) for match in rules.bodies.finditer(text)] if rules.bodies is not None else []
    unread = [*collector.read_words([*unparsed, *bodies])]
    scopes, bound = Scopes(captured.get("scope", ())), captured.get("bound", ())
    bare = captured.get("bare", ())
    variables = [*captured.get("local", ()), *(bound if rules.scope is Scope.PACKAGE else ())]
    local = {text[node.start_byte : node.end_byte] for node in variables} - (defined.keys() - members)
    if bare:
        local |= {text[node.start_byte : node.end_byte] for node in bound if scopes.around(node.start_byte) is None}
    collector.add_bare(bare, local)
    if rules.scope is Scope.FILE:
        collector.add_known(captured.get("name", ()), ReferenceKind.USE, bound, scopes)
    else:
        collector.add_unless(captured.get("name", ()), ReferenceKind.USE, local)
    collector.add_quoted(captured.get("quoted", ()))
    collector.add_words(unread, local if rules.scope is Scope.PACKAGE else None)
    collector.hide(bound, captured.get("global", ()), scopes)
    collector.add_symbols(captured.get("symbol", ()))
    collector.add_variables(captured.get("variable", ()))
    collector.add_implied(implied)
    collector.add_exports()
    collector.add_defaults(captured.get("default", ()))
    collector.add_exported(captured.get("exported", ()))
    collector.add_setters(captured.get("setter", ()))
    return collector.columns()


def is_too_deep(root: Node, language: str) -> bool:
    """Return True if a tree is so large and so deep that the references in its lowest levels are passed over.

    Looks along the heaviest branch only, which is the deep one in what programs write.
    """
    most = _most_depth(root)
    if language not in RULES or root.descendant_count <= most:
        return False
    node = root
    for _ in range(most):
        children = node.children
        if not children:
            return False
        node = max(children, key=lambda child: child.descendant_count)
    return True


def _most_depth(root: Node) -> int:
    """Return down to which level of a tree references are looked for."""
    return _MOST_STEPS // root.descendant_count


def _by_bracket(nodes: Iterable[Node], text: bytes) -> tuple[list[Node], list[Node]]:
    """Return the names that a bracket follows, which are called, and the others."""
    called: list[Node] = []
    used: list[Node] = []
    for node in nodes:
        (called if text[node.end_byte : node.end_byte + 1] == b"(" else used).append(node)
    return called, used


_CLASSES = frozenset({"class_definition", "class_declaration", "enum_declaration", "trait_declaration"})


@functools.cache
def _query(language: str, grammar: Language) -> Query:
    return Query(grammar, RULES[language].query)


class _Collector:
    """The references of one text.

    Nodes come in no particular order: tree-sitter's captures have none. The loops run for every name in the code, so
    they call few functions.
    """

    def __init__(
        self, text: bytes, rules: ReferenceRules, defined: Mapping[bytes, Collection[int]], plain: Set[bytes]
    ) -> None:
        """``plain`` are those of the names in ``defined`` that mean something without a receiver."""
        self._text = text
        self._rules = rules
        self._defined = defined
        self._plain = plain
        self._hidden: dict[bytes, Hidden] = {}
        self._unhidden: set[int] = set()  # offsets
        self._bare: set[int] = set()  # offsets
        self._variables: set[int] = set()  # offsets
        self._taken = {offset for offsets in defined.values() for offset in offsets}
        self._special = rules.keywords | rules.importing | rules.mixing_in | rules.own_type
        self._marks = np.zeros(256, dtype=bool)
        self._marks[[mark[-1] for mark in rules.separators]] = True
        self._before_member = frozenset({mark[-1] for mark in rules.separators} | set(rules.sigils))
        self._receiver = _receiver_pattern(rules.separators)
        self._imported: set[bytes] = set()
        self._spans: set[tuple[int, int]] = set()  # of import statements
        self._imports: list[tuple[int, Import]] = []
        self._found: list[tuple[int, int, bytes]] = []  # offset, kind, name
        self._aliases: list[tuple[int, bytes, bytes]] = []  # offset, alias, name
        self._typed: dict[int, bytes] = {}  # qualifiers that are not written before a name, by offset

    def skip(self, nodes: Iterable[Node]) -> None:
        """Ignore these places from now on."""
        self._taken.update([node.start_byte for node in nodes])

    def hide(self, variables: Iterable[Node], others: Iterable[Node], scopes: Scopes) -> None:
        """Leave out the names of ``variables`` in the functions that bind them.

        A function in which the name at one of ``others`` stands, or that defines or imports a name itself, binds no
        variable of this name. A name that the file neither defines, imports nor calls needs no care.
        """
        known = self._imported.union(self._plain, (one[2] for one in self._found if one[1] == ReferenceKind.CALL))
        bound = {
            name: offsets.difference(self._defined.get(name, ()))
            for name, offsets in _offsets_by_name(variables, self._text, known).items()
        }
        if not bound:
            return
        other = _offsets_by_name(others, self._text, known)
        for offset, one in self._imports:
            for written in _bound_by(one):
                other.setdefault(written.encode(), set()).add(offset)
        for name, offsets in bound.items():
            defined = [offset for offset in self._defined.get(name, ()) if not self._is_member(offset)]
            hidden = scopes.hidden(offsets, other.get(name, ()), defined)
            if hidden is not None:
                self._hidden[name] = hidden

    def _is_member(self, offset: int) -> bool:
        return offset > 0 and self._text[offset - 1] in self._before_member

    def _is_hidden(self, offset: int, kind: int, name: bytes) -> bool:
        if kind & _TYPE or offset in self._unhidden or self._is_member(offset):
            return False
        if kind == ReferenceKind.CALL and not self._rules.calls_variables and offset not in self._bare:
            return False
        return self._hidden[name].has(offset)

    def add(self, nodes: Iterable[Node], kind: int) -> None:
        """Add names, or what their words stand for. No variable hides those of a ``kind`` with ``_TYPE``."""
        text, taken, special, append = self._text, self._taken, self._special, self._found.append
        mark, separators = self._rules.mark, self._rules.separators
        code = int(kind)
        for node in nodes:
            start = node.start_byte
            if start in taken:
                continue
            taken.add(start)
            name = text[start : node.end_byte]
            if mark and mark in name:
                last = name.rindex(mark) + len(mark)
                name = name[last:]
                start += last if mark in separators else 0
            if name in special:
                self._add_special(node, name, code)
            else:
                append((start, code, name))

    def add_known(self, nodes: Iterable[Node], kind: ReferenceKind, bound: Iterable[Node], scopes: Scopes) -> None:
        """Add the names that the file defines or imports.

        If it imports all names of a module, that may be any name except variables outside functions, of those that are
        ``bound``.
        """
        if b"*" in self._imported:
            variables = {
                self._text[node.start_byte : node.end_byte] for node in bound if scopes.around(node.start_byte) is None
            }
            may_import = self._rules.of_wildcards.match
            unknown = {
                name
                for name in {self._text[node.start_byte : node.end_byte] for node in nodes}
                if name not in variables and may_import(name)
            }
            self._imported |= unknown
        text, taken, known, append = self._text, self._taken, self._imported.union(self._plain), self._found.append
        code = int(kind)
        for node in nodes:
            start = node.start_byte
            name = text[start : node.end_byte]
            if name in known and start not in taken:
                append((start, code, name))

    def add_unless(self, nodes: Iterable[Node], kind: ReferenceKind, excluded: Collection[bytes]) -> None:
        """Add names except those in ``excluded``."""
        text, taken, append = self._text, self._taken, self._found.append
        unwanted = self._special.union(excluded)
        code = int(kind)
        for node in nodes:
            start = node.start_byte
            name = text[start : node.end_byte]
            if name not in unwanted and start not in taken:
                append((start, code, name))

    def read_words(self, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, ReferenceKind, bytes]]:
        """Read the imports in parts that were not parsed, and yield their words as (offset, kind, name)."""
        text = self._text
        for start, end in ranges:
            for match in _WORD.finditer(text, start, end):
                if word := match["word"]:
                    yield match.start("word"), ReferenceKind.CALL if match["call"] else ReferenceKind.USE, word
                elif match["import"]:
                    self._add_imports(match.start(), match.end())

    def add_words(self, words: Iterable[tuple[int, ReferenceKind, bytes]], excluded: Collection[bytes] | None) -> None:
        """Add words except those in ``excluded``; None for all but calls and those that the file defines or imports."""
        unwanted = self._special.union(excluded or (), _KEYWORDS)
        known = self._imported.union(self._plain) if excluded is None else None
        for start, kind, name in words:
            is_known = known is None or name in known or kind is ReferenceKind.CALL
            if is_known and name not in unwanted and start not in self._taken:
                self._taken.add(start)
                self._found.append((start, int(kind), name))

    def add_bare(self, nodes: Iterable[Node], excluded: Collection[bytes]) -> None:
        """Add calls that are written as variables, except of the names in ``excluded``."""
        self._bare.update({node.start_byte for node in nodes} - self._taken)
        self.add_unless(nodes, ReferenceKind.CALL, excluded)

    def never_hide(self, nodes: Iterable[Node]) -> None:
        """Let no variable hide the names at these places."""
        self._unhidden.update([node.start_byte for node in nodes])

    def add_implied(self, names: Iterable[tuple[int, bytes]]) -> None:
        """Add uses of names that are not written there."""
        self._found += [(offset, int(ReferenceKind.USE), name) for offset, name in names]

    def add_symbols(self, nodes: Iterable[Node]) -> None:
        """Add the names that the file defines of those behind a colon."""
        for node in nodes:
            offset = node.start_byte + 1
            name = self._text[offset : node.end_byte]
            if name in self._plain and offset not in self._taken:
                self._found.append((offset, int(ReferenceKind.USE), name))

    def add_variables(self, nodes: Iterable[Node]) -> None:
        """Add variables of the receiver by their names without sigils."""
        for node in nodes:
            name = self._text[node.start_byte : node.end_byte].lstrip(b"@")
            offset = node.end_byte - len(name)
            if name and offset not in self._taken:
                self._found.append((offset, int(ReferenceKind.USE), name))
                self._variables.add(offset)

    def add_exports(self) -> None:
        """Add the names in a list of exports that the file defines or imports, or may import by a wildcard."""
        word, pattern = self._rules.exports or (b"", _QUOTED)
        if not word or word not in self._text:
            return
        known = None if b"*" in self._imported else self._imported.union(self._plain)
        for statement in pattern.finditer(self._text):
            for match in _QUOTED.finditer(statement[1]):
                if known is None or match[1] in known:
                    self._found.append((statement.start(1) + match.start(1), int(ReferenceKind.USE), match[1]))

    def add_defaults(self, nodes: Iterable[Node]) -> None:
        """Let ``default`` be another name of what the module exports without a name."""
        self._aliases += [(node.start_byte, b"default", self._text[node.start_byte : node.end_byte]) for node in nodes]

    def add_exported(self, nodes: Iterable[Node]) -> None:
        """Add the other names that a module gives to what it exports: ``b`` of ``export { a as b }``."""
        for node in nodes:
            name, alias = node.child_by_field_name("name"), node.child_by_field_name("alias")
            if name is not None and alias is not None:
                other, own = (self._text[one.start_byte : one.end_byte] for one in (alias, name))
                self._aliases.append((name.start_byte, other, own))

    def add_members(self, literals: Iterable[Node], language: str) -> None:
        """Add the members that literals name, with the type of the literal as their receiver."""
        read = READERS.get(language)
        if read is None:
            return
        for node in literals:
            for offset, name, kind in read(node, self._text):
                if offset not in self._taken:
                    self._taken.add(offset)
                    self._typed[offset] = kind
                    self._found.append((offset, int(ReferenceKind.USE) | _TYPE, name))

    def add_callables(self, nodes: Iterable[Node]) -> None:
        """Add the methods that pairs of an object and a name stand for: ``[$this, 'run']``, ``[A::class, 'run']``."""
        for node in nodes:
            match = _CALLABLE.match(self._text, node.start_byte, node.end_byte)
            if match is not None:
                self._typed[match.start(2)] = match[1]
                self._found.append((match.start(2), int(ReferenceKind.USE), match[2]))

    def add_quoted(self, nodes: Iterable[Node]) -> None:
        """Add the types in strings that the file defines or imports."""
        known = self._imported.union(self._plain)
        for node in nodes:
            for match in _TYPE_NAME.finditer(self._text, node.start_byte, node.end_byte):
                is_member = match.start() > node.start_byte and self._is_member(match.start())
                if (is_member or match[0] in known) and match.start() not in self._taken:
                    self._found.append((match.start(), int(ReferenceKind.USE) | _TYPE, match[0]))

    def add_setters(self, nodes: Iterable[Node]) -> None:
        """Add calls of the methods of Ruby that assignments stand for: ``name=`` for ``x.name = 1``."""
        for node in nodes:
            name = self._text[node.start_byte : node.end_byte] + b"="
            self._found.append((node.start_byte, int(ReferenceKind.CALL), name))

    def _add_special(self, node: Node, word: bytes, kind: int) -> None:
        """Read the import, or add the base classes or the type, that a call of ``word`` stands for."""
        if word in self._rules.importing:
            statement = _around(node, self._rules.statements)
            self.read_imports([statement] if statement is not None else [])
        elif word in self._rules.mixing_in and node.parent is not None:
            for arguments in node.parent.named_children[1:2]:
                self.add(_last_names(arguments.named_children), ReferenceKind.INHERIT)
        elif word in self._rules.own_type and kind == ReferenceKind.CALL and not self._is_member(node.start_byte):
            if name := _type_around(node):
                self._found.append((node.start_byte, kind, name))
        elif word not in self._rules.keywords:
            self._found.append((node.start_byte, kind, word))

    def read_imports(self, statements: Iterable[Node]) -> None:
        """Read import statements; other names inside them are ignored."""
        for node in statements:
            start, end = node.start_byte, node.end_byte
            if end - start > _MAX_STATEMENT or (start, end) in self._spans:
                continue
            self._add_imports(start, end)

    def _add_imports(self, start: int, end: int) -> None:
        self._spans.add((start, end))
        source = self._text[start:end].decode("utf-8", "replace")
        for one in self._rules.read_imports(source):
            offset = start + len(source[: one.offset].encode())
            self._imports.append((offset, one))
            self._imported.update(name.encode() for name in _bound_by(one))

    def columns(self) -> Columns:
        """Return everything, sorted by line."""
        found = self._outside_imports()
        offsets, kinds, names = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
        qualifiers = self._qualifiers(offsets)
        for offset, one in sorted(self._imports, key=lambda found: found[0]):
            name = one.name.encode()
            offsets.append(offset)
            kinds.append(ReferenceKind.IMPORT)
            names.append(name)
            qualifiers.append(one.module.encode())
            if one.alias:
                offsets.append(offset)
                kinds.append(ReferenceKind.ALIAS)
                names.append(one.alias.encode())
                qualifiers.append(name)
        for offset, alias, name in self._aliases:
            offsets.append(offset)
            kinds.append(ReferenceKind.ALIAS)
            names.append(alias)
            qualifiers.append(name)
        starts = np.array(offsets, dtype=np.int64)
        order = np.argsort(starts, kind="stable")[:MAX_REFERENCES]
        places = order.tolist()
        names = [names[place] for place in places]
        qualifiers = [qualifiers[place] for place in places]
        table = list(dict.fromkeys([b"", *names, *qualifiers]))
        number_of = {name: number for number, name in enumerate(table)}.__getitem__
        line_ends = np.flatnonzero(np.frombuffer(self._text, np.uint8) == _NEWLINE)
        return Columns(
            table,
            np.fromiter(map(number_of, names), np.int64, len(names)),
            np.fromiter(map(number_of, qualifiers), np.int64, len(names)),
            np.array(kinds, dtype=np.uint8)[order] & np.uint8(_TYPE - 1),
            np.searchsorted(line_ends, starts[order]) + 1,
        )

    def _outside_imports(self) -> list[tuple[int, int, bytes]]:
        """Return what was found, without names inside import statements and names of variables."""
        if self._hidden:
            hidden = self._hidden
            self._found = [one for one in self._found if one[2] not in hidden or not self._is_hidden(*one)]
        if not self._spans or not self._found:
            return self._found
        spans = sorted(self._spans)
        ends = np.array([0, *itertools.accumulate((end for _, end in spans), max)])
        starts = np.array([start for start, _ in spans])
        offsets = np.fromiter((offset for offset, _, _ in self._found), np.int64, len(self._found))
        is_outside = offsets >= ends[np.searchsorted(starts, offsets, side="right")]
        return list(itertools.compress(self._found, is_outside.tolist()))

    def _qualifiers(self, offsets: Sequence[int]) -> list[bytes]:
        """Return the receiver of each name, or the namespace before it; b"" if there is none."""
        text, read = self._text, self._receiver.match
        found = [b""] * len(offsets)
        before = np.frombuffer(b" " + text, np.uint8)[np.array(offsets, dtype=np.int64)]
        for place in np.flatnonzero(self._marks[before]).tolist():
            start = offsets[place]
            match = read(text[start - 1 : max(0, start - _MAX_RECEIVER) or None : -1])
            if match is not None:
                receiver = match[1][::-1]
                found[place] = receiver if receiver not in (b"", b"()") else EXPRESSION
        if self._typed:
            typed = self._typed
            found = [typed.get(offset, qualifier) for offset, qualifier in zip(offsets, found, strict=True)]
        if self._variables:
            found = [
                VARIABLE if offset in self._variables else qualifier
                for offset, qualifier in zip(offsets, found, strict=True)
            ]
        return found


def _offsets_by_name(nodes: Iterable[Node], text: bytes, wanted: Set[bytes]) -> dict[bytes, set[int]]:
    found: dict[bytes, set[int]] = {}
    for node in nodes:
        start = node.start_byte
        if (name := text[start : node.end_byte]) in wanted:
            found.setdefault(name, set()).add(start)
    return found


def _type_around(node: Node) -> bytes:
    """Return the name of the class around a node; b"" if it has none."""
    outer = node.parent
    while outer is not None and outer.type not in _CLASSES:
        outer = outer.parent
    name = outer.child_by_field_name("name") if outer is not None else None
    return (name.text or b"") if name is not None else b""


def _around(node: Node, kinds: Sequence[str]) -> Node | None:
    """Return the nearest node around ``node`` of the first of ``kinds`` that there is; None if there is none."""
    levels: list[Node] = []
    above = node.parent
    while above is not None and len(levels) < _MOST_LEVELS:
        levels.append(above)
        above = above.parent
    return next((level for kind in kinds for level in levels if level.type == kind), None)


def _last_names(nodes: Iterable[Node]) -> list[Node]:
    """Return the nodes of the names themselves: ``B`` of ``A::B``."""
    return [node.child_by_field_name("name") or node for node in nodes if node.type in _MIXED_IN]


_MIXED_IN = frozenset({"constant", "scope_resolution", "alias"})


def _bound_by(one: Import) -> tuple[str, ...]:
    """Return the names by which a file can refer to an import: its alias or name, or the first part of its module."""
    if one.alias:
        return (one.alias,)
    first = re.match(r"\w+", one.module)
    return (one.name, first[0]) if first else (one.name,)


@functools.cache
def _receiver_pattern(separators: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Return the pattern of reversed text before a member: its group is the reversed receiver, or empty.

    A receiver may end in a call without arguments: ``super()``. What follows ``..`` or ``...`` (ranges, spreads, Lua's
    concatenation) is not a member.
    """
    marks = b"|".join(re.escape(mark[::-1]) for mark in sorted(separators, key=len, reverse=True)) or b"(?!)"
    plain = rb"[^<>(){};=\"\n]{0,60}+"
    arguments = rb"(?:>%b(?:>%b<%b)?<(?:::)?)?" % (plain, plain, plain)  # of a type, reversed: ``A::<B>``
    return re.compile(rb"(?:%b)(?!\.)\s*%b((?:\)\()?(?:[\w$]+(?:(?:%b)(?=[\w$]))?)*)" % (marks, arguments, marks))
