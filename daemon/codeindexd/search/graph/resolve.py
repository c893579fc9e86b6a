"""Resolves a reference: chooses, among the definitions of its name, those that it means.

The rules go from the narrowest scope to the widest, and the first that finds something decides: the file, the type
around the reference, imports, the package, and at last the name alone. A rule that proves that something outside the
root is meant, such as an import of another module, ends the search without a result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from codeindexd.analysis.chunking.notation import extended_type
from codeindexd.analysis.references.rules import RULES, VARIABLE, Scope
from codeindexd.search.graph.code_file import Binding, CodeFile
from codeindexd.search.graph.common_members import BUILT_IN, COMMON_MEMBERS
from codeindexd.search.graph.modules import ImportedModule, Layout, Match, path_parts
from codeindexd.search.graph.plain_types import TypeHints, returned_type, type_hints
from codeindexd.search.graph.targets import Confidence, Target
from codeindexd.types import DECLARATION, FUNCTION_KINDS, IMPLEMENTATION, Reference, ReferenceKind

Resolved = list[tuple[Target, Confidence]]

_FAMILIES: Final = (
    ("javascript", "typescript", "tsx"),
    ("c", "cpp", "objc"),
    ("java", "kotlin", "scala", "groovy"),
    ("ocaml", "ocaml_interface"),
)
_FAMILY: Final = {language: family[0] for family in _FAMILIES for language in family}
_SELF: Final = frozenset({"self", "this", "cls", "$this", "static", "Self", "@self"})
_SUPER: Final = {"csharp": "base", "php": "parent"}
"""The word for the base type, where that is not ``super``."""

_WITHOUT_MEMBERS: Final = frozenset({"c", "sql", "bash"})
"""Languages without methods, in which ``self`` and ``super`` are names like others."""

_IMPLICIT_SELF: Final = frozenset({"java", "kotlin", "scala", "csharp", "cpp", "swift", "ruby"})
_IMPLICIT_FUNCTIONS: Final = frozenset({"zig"})
"""Languages in which plain names mean what the types around them define, except for fields."""

_GLOBAL_FUNCTIONS: Final = frozenset({"bash", "sql"})
"""Languages without imports by name, whose functions are known everywhere, although plain names are those of a file."""

_INCLUDING: Final = frozenset({"bash", "c", "cpp"})
_RUST_PATHS: Final = frozenset({"crate", "self", "super"})
"""Words with which a path in Rust begins that needs no import."""

_FREE_MEMBERS: Final = frozenset({"lua", "rust", "elixir", "haskell", "ocaml", "julia", "zig", "bash", "cpp", "php"})
"""Languages in which a function outside types can follow a qualifier without an import of that name."""

_EXTENDING: Final = frozenset({"kotlin", "scala"})
"""Languages in which a function outside types can extend a type, and is then called like its members."""

_EXPORTS: Final = frozenset({"exports", "module.exports"})
_NO_MEMBERS_IMPORTED: Final = frozenset({"python", "javascript", "go"})
"""Languages whose modules export no members of types by their own name."""

_OPEN_MEMBERS: Final = {
    "c": frozenset({"enum_member"}),
    "cpp": frozenset({"enum_member"}),
    "haskell": frozenset({"constructor", "field", "method"}),
    "ocaml": frozenset({"constructor", "field"}),
    "ocaml_interface": frozenset({"constructor", "field"}),
}
"""Kinds of members that code names without their type wherever it may name the type."""

_KERNEL: Final = frozenset({
    "abort", "at_exit", "binding", "caller", "catch", "exec", "exit", "fail", "fork", "format", "freeze", "gets",
    "hash", "inspect", "open", "print", "printf", "putc", "rand", "select", "sleep", "spawn", "sprintf", "srand",
    "syscall", "system", "tap", "test", "then", "throw", "trap", "warn",
})  # fmt: skip
"""Functions that every object of Ruby has."""

_KEYS: Final = {
    "csharp": frozenset({"field", "property"}),  # ``new A { Name = 1 }``
    "go": frozenset({"field"}),  # ``A{Name: 1}``
    "java": frozenset({"enum_member"}),  # ``case NAME:``
    "rust": frozenset({"field"}),  # ``A { name: 1 }``
}
"""Kinds of members that a plain name means in some places, if it means nothing else."""

_GLOBAL_TYPES: Final = frozenset({"ruby", "elixir"})
"""Languages in which a type is known everywhere by its qualified name."""

_VARYING: Final = frozenset({"c", "cpp", "go", "julia", "kotlin", "scala", "swift"})
"""Languages in which functions of the same qualified name are overloads, or the same one for several platforms."""

_HEADERS: Final = (b".h", b".hh", b".hpp", b".hxx", b".inc", b".inl", b".ipp", b".tcc")

_SEPARATE_TYPES: Final = frozenset({"haskell", "ocaml", "ocaml_interface"})
"""Languages in which a type and one of its members may have the same name."""

_SCOPED_ENUMS: Final = ("enum class ", "enum struct ")

_METHODS_ARE_CALLED: Final = frozenset({"go", "java", "rust", "c", "php", "javascript"})
"""Languages in which a method is nearly always called where it is named."""

_SEPARATE_VARIABLES: Final = frozenset({"php", "ruby"})
"""Languages in which a field and a method of the same name are different members, which the syntax distinguishes."""

_VARIABLE: Final = VARIABLE.decode()
_VARIABLES: Final = frozenset({"field", "property"})
_TOP_VARIABLES: Final = frozenset({"variable", "constant"})
_GETTERS: Final = ("get ", "static get ", "public get ")
_TYPEDEF: Final = re.compile(r"typedef\s+(?:struct|union)\s+(\w+)")
_GO_RECEIVER: Final = re.compile(r"func\s*\(\s*(\w+)\s+\*?\s*(\w+)")
_MOST_BASES: Final = 40
_MOST_EXPORTING: Final = 3  # modules that an imported name passes through
_MOST_METHODS: Final = 20  # of an interface of Go that a type is compared with
_MOST_TYPES: Final = 3  # of one name whose base types are searched
_PARTS: Final = re.compile(r"[.:>\\#?!-]+")


class Surroundings(Protocol):
    """What the resolver asks about the rest of the root."""

    @property
    def layout(self) -> Layout:
        """The layout of the root."""

    def module_of(self, file: CodeFile, binding: Binding) -> ImportedModule:
        """Return the module of an import in ``file``."""

    def files_of(self, module: ImportedModule) -> Sequence[CodeFile]:
        """Return the files that a module certainly is, as far as its language says so."""

    def named(self, name: str) -> Sequence[Target]:
        """Return the definitions of this name."""

    def types_named(self, file: CodeFile, name: str) -> Sequence[Target]:
        """Return the types of this name that code in ``file`` could mean."""

    def hints_around(self, file: CodeFile, number: int) -> TypeHints:
        """Return what the code of a definition says about the types of variables."""

    @property
    def plain_names(self) -> dict[tuple[int, str], Resolved]:
        """What plain names mean outside their scopes, by file and name: the same for every reference in a file."""

    @property
    def member_names(self) -> dict[tuple[str, ReferenceKind, str, tuple[Target, ...]], Resolved]:
        """What names with an unknown receiver mean, by language, kind, qualifier and candidates."""

    def are_related(self, targets: Sequence[Target]) -> bool:
        """Return True if it does not matter much which of ``targets``, definitions of one name, is meant."""


def family_of(language: str) -> str:
    """Return the language that stands for all those whose code can refer to code in ``language``."""
    return _FAMILY.get(language, language)


def is_self(language: str, word: str) -> bool:
    """Return True if a receiver means the object, or the type, that the code around it belongs to."""
    return word in _SELF and language not in _WITHOUT_MEMBERS


def is_super(language: str, word: str) -> bool:
    """Return True if a receiver means the base types of the type around it."""
    return language not in _WITHOUT_MEMBERS and word == _SUPER.get(language, "super")


def resolve(around: Surroundings, file: CodeFile, reference: Reference, candidates: Sequence[Target]) -> Resolved:
    """Return those of ``candidates``, definitions of the name, that ``reference`` in ``file`` can mean."""
    family = family_of(file.language)
    named = [one for one in candidates if family_of(one.file.language) == family]
    if family == "rust" and reference.kind is ReferenceKind.CALL:
        named = [one for one in named if one.definition.kind != "module"]  # ``mod write; pub use write::write;``
    if file.language in _SEPARATE_VARIABLES:
        named = [one for one in named if _has_kind_of(reference, one)]
    if reference.kind is ReferenceKind.IMPORT:
        return _imported(around, file, [Binding(reference.qualifier, reference.name, reference.line)], named)
    if not named:
        return []
    if not reference.qualifier:
        return _bare(around, file, reference, named)
    if file.language in _EXTENDING and (extensions := [one for one in named if _is_extension(one)]):
        return _member_or_extension(around, file, reference, named, extensions)
    return _qualified(around, file, reference, named)


def without_declarations(targets: Sequence[Target]) -> tuple[list[Target], list[tuple[Target, list[Target]]]]:
    """Split definitions of one name into those that count, and declarations, each with the definitions it stands for.

    A declaration without a definition counts. One stands for the definitions whose qualified names end as its own does:
    namespaces may be left out.
    """
    defined = [one for one in targets if one.definition.kind != DECLARATION]
    found: list[Target] = list(defined)
    declared: list[tuple[Target, list[Target]]] = []
    for one in targets if len(defined) < len(targets) else ():
        if one.definition.kind != DECLARATION:
            continue
        name, family = f".{one.definition.qualified}", family_of(one.file.language)
        of_it = [
            other
            for other in defined
            if family_of(other.file.language) == family
            and (name.endswith(own := f".{other.definition.qualified}") or own.endswith(name))
        ]
        if of_it:
            declared.append((one, of_it))
        else:
            found.append(one)
    return found, declared


def _is_free(target: Target) -> bool:
    """Return True if plain names mean ``target`` outside its type: it is no member, or an open one."""
    if not target.owner:
        return True
    container = target.container
    return (
        target.definition.kind in _OPEN_MEMBERS.get(target.file.language, ())
        and container is not None
        and container.kind != IMPLEMENTATION
        and not container.signature.startswith(_SCOPED_ENUMS)
    )


def _is_extension(target: Target) -> bool:
    """Return True if a definition outside types extends a type; in Scala, its head does not say whether it does."""
    one = target.definition
    if target.owner or target.is_local or target.file.language not in _EXTENDING:
        return False
    if target.file.language == "scala":
        return one.kind == "function"
    return extended_type(one) is not None


def _member_or_extension(
    around: Surroundings,
    file: CodeFile,
    reference: Reference,
    candidates: Sequence[Target],
    extensions: Sequence[Target],
) -> Resolved:
    """Return the member that a name with a receiver means if the receiver's type is plain, or else extensions, too."""
    extending = {one.key for one in extensions}
    others = [one for one in candidates if one.key not in extending]
    members = _qualified(around, file, reference, others) if others else []
    if any(confidence > Confidence.NAME for _, confidence in members):
        return members
    if inside := _in_scope(file, reference.line, extensions):
        seen = [(one, Confidence.EXACT) for one in inside]
    elif reference.name in file.bindings():
        seen = _imported(around, file, file.bindings()[reference.name], extensions)
    else:
        seen = _outside(around, file, extensions)
    is_common = reference.name in COMMON_MEMBERS.get(family_of(file.language), ())
    if (members or is_common) and reference.name not in file.bindings():
        most = Confidence.POSSIBLE if is_common else Confidence.NAME
        seen = [(one, min(confidence, most)) for one, confidence in seen]
    if any(confidence > Confidence.NAME for _, confidence in seen):
        members = [(one, Confidence.POSSIBLE) for one, _ in members]
    return [*seen, *members]


def _has_kind_of(reference: Reference, target: Target) -> bool:
    """Return True if the syntax allows that ``reference`` means ``target``: a call does not mean a field.

    In Ruby, ``@name`` means a field, or a property, which has a field of its name; ``name`` does not mean a field.
    """
    kind = target.definition.kind
    if family_of(target.file.language) == "ruby":
        is_variable = reference.qualifier == _VARIABLE
        return (kind == "field") == is_variable or (is_variable and kind == "property")
    return reference.kind is not ReferenceKind.CALL or kind not in _VARIABLES


def _bare(around: Surroundings, file: CodeFile, reference: Reference, candidates: Sequence[Target]) -> Resolved:
    """Return what a name without a qualifier means."""
    inside = _in_scope(file, reference.line, candidates) or _in_body_of_class(file, reference.line, candidates)
    if inside:
        return [(one, Confidence.EXACT) for one in inside]
    if file.language in _IMPLICIT_SELF or file.language in _IMPLICIT_FUNCTIONS:
        members = candidates
        if file.language in _IMPLICIT_FUNCTIONS:
            members = [one for one in candidates if one.definition.kind not in _VARIABLES]
        if found := _members(around, file, reference.line, members):
            return found
    if reference.name in file.bindings():
        return _imported(around, file, file.bindings()[reference.name], candidates)
    key = file.file.file_id, candidates[0].definition.name
    if key not in around.plain_names:
        around.plain_names[key] = _outside(around, file, candidates)
    return around.plain_names[key]


def _outside(around: Surroundings, file: CodeFile, candidates: Sequence[Target]) -> Resolved:
    """Return what a plain name in ``file`` means that neither a scope nor an import by name binds."""
    free = [one for one in candidates if _is_free(one) and not one.is_local and not _is_private(one)]
    private = [one for one in candidates if _is_private(one)]
    if found := _from_wildcards(around, file, [*free, *private]) or _from_types(file, candidates):
        return found
    rules = RULES.get(file.language)
    if rules is None:
        return []
    if rules.scope is Scope.FILE and file.language not in _IMPLICIT_SELF | _GLOBAL_FUNCTIONS:
        if found := _from_exporting_packages(around, file, free):
            return found
        free = _from_scripts(file, free)
    if file.language in ("ruby", "swift"):
        free = free or [one for one in candidates if not one.is_local and not _is_built_in(one)]
    visible = free or [one for one in candidates if one.definition.kind in _KEYS.get(file.language, ())]
    near = [one for one in visible if _is_free(one) and _directory(one.file.path) == _directory(file.path)]
    if near:
        return [(one, Confidence.IMPORT) for one in near]
    confidence = Confidence.NAME if around.are_related(visible) else Confidence.POSSIBLE
    return [(one, confidence) for one in visible]


def _is_private(target: Target) -> bool:
    """Return True for a static function of C outside headers, which only its file, or one that includes it, knows."""
    is_static = family_of(target.file.language) == "c" and target.definition.signature.startswith("static ")
    return is_static and not target.owner and not target.file.path.endswith(_HEADERS)


def _is_built_in(target: Target) -> bool:
    """Return True if a plain call of this name means a function of Ruby, unless the type around it has its own."""
    return target.file.language == "ruby" and target.definition.name in _KERNEL


def _in_scope(file: CodeFile, line: int, candidates: Sequence[Target]) -> list[Target]:
    """Return the definitions in the file that a plain name on ``line`` means: the innermost ones."""
    visible = [
        one
        for one in candidates
        if one.file is file and _is_free(one) and (one.owner or one.definition.kind != "method")
    ]
    enclosing = set()
    number = file.enclosing(line)
    while number >= 0:
        enclosing.add(number)
        number = file.definitions[number].container
    reachable = [one for one in visible if not one.is_local or one.definition.container in enclosing]
    if not reachable:
        return []
    if file.language in _SEPARATE_TYPES and not any(one.is_local for one in reachable):
        return reachable
    innermost = max(one.definition.container for one in reachable)
    return [one for one in reachable if one.definition.container == innermost]


def _in_body_of_class(file: CodeFile, line: int, candidates: Sequence[Target]) -> list[Target]:
    """Return the members that a plain name in the body of a class of Python, outside functions, means."""
    number = file.enclosing(line) if file.language == "python" else -1
    if number < 0 or file.definitions[number].kind != "class":
        return []
    return [one for one in candidates if one.file is file and one.definition.container == number]


def _members(around: Surroundings, file: CodeFile, line: int, candidates: Sequence[Target]) -> Resolved:
    """Return the members of the type around ``line``, or of its base types."""
    for owner in _types_around(file, line):
        found = _members_of(around, file, owner, candidates)
        if found:
            return found
    return []


def _types_around(file: CodeFile, line: int) -> Iterable[int]:
    number = file.type_around(file.enclosing(line))
    while number >= 0:
        yield number
        number = file.type_around(file.definitions[number].container)


def _members_of(around: Surroundings, file: CodeFile, number: int, candidates: Sequence[Target]) -> Resolved:
    """Return the members of a type, or else of its base types."""
    name = file.definitions[number].name
    own = [one for one in candidates if one.owner == name]
    own = [one for one in own if one.file is file and one.definition.container == number] or own
    found = [(one, Confidence.EXACT) for one in own]
    if not own or all(one.is_assigned for one in own):  # a base type may have the member, too
        found += _inherited(around, file, number, candidates)
    return found


def _inherited(around: Surroundings, file: CodeFile, number: int, candidates: Sequence[Target]) -> Resolved:
    """Return the members of the base types of a type, those of the nearest base types first."""
    owners = {one.owner for one in candidates if one.owner}
    seen = {file.definitions[number].name}
    waiting = [(file, number)]
    while waiting and len(seen) < _MOST_BASES and owners:
        of_file, at = waiting.pop(0)
        names = [base.name for base in of_file.bases_of(at) if base.name not in seen]
        seen.update(names)
        found = [one for one in candidates if one.owner in names]
        if found:
            return [(one, Confidence.IMPORT) for one in found]
        for name in names:
            waiting += [(one.file, one.number) for one in around.types_named(of_file, name)[:_MOST_TYPES]]
    return []


def inherited_members(around: Surroundings, target: Target) -> list[Target]:
    """Return the members of the nearest base types that the member ``target`` overrides."""
    number = target.file.type_around(target.number)
    candidates = [one for one in around.named(target.definition.name) if one.owner and one.owner != target.owner]
    if number < 0 or not candidates:
        return []
    return [one for one, _ in _inherited(around, target.file, number, candidates)]


def _imported(
    around: Surroundings,
    file: CodeFile,
    bindings: Sequence[Binding],
    candidates: Sequence[Target],
    levels: int = _MOST_EXPORTING,
) -> Resolved:
    """Return the definitions that imports lead to; those in the imported module itself before re-exported ones.

    A module may import them from another one, and that from another, on as many ``levels``.
    """
    modules = [module for binding in bindings if not (module := around.module_of(file, binding)).is_elsewhere]
    matched: dict[Match, list[Target]] = {}
    for one in candidates if modules else ():
        best = max(_fit(module, one) for module in modules)
        if best is not Match.NONE and not one.is_local:
            matched.setdefault(best, []).append(one)
    found = matched.get(Match.FILE) or matched.get(Match.PACKAGE) or []
    top = [one for one in found if _is_free(one)]
    if not top and family_of(file.language) not in _NO_MEMBERS_IMPORTED:
        top = found
    if not top and candidates and levels:
        name = candidates[0].definition.name
        for exporter in dict.fromkeys(other for module in modules for other in around.files_of(module)):
            if exporter is not file and (through := exported(around, exporter, name, candidates, levels - 1)):
                return through
    return [(one, Confidence.IMPORT) for one in top]


def exported(
    around: Surroundings, exporter: CodeFile, name: str, candidates: Sequence[Target], levels: int
) -> Resolved:
    """Return those of ``candidates`` that a module exports by ``name`` because it imports them itself."""
    bindings = exporter.bindings()
    own = _imported(around, exporter, bindings.get(name, ()), candidates, levels)
    return own or _imported(around, exporter, bindings.get("*", ()), candidates, levels)


def is_exporting(file: CodeFile) -> bool:
    """Return True if others may import from ``file`` what it imports: a module of JavaScript or Python."""
    return family_of(file.language) in ("javascript", "python")


def resolve_exported(
    around: Surroundings, file: CodeFile, reference: Reference, exporter: CodeFile, candidates: Sequence[Target]
) -> Resolved:
    """Return what ``reference`` means if ``exporter`` exports that name for one of ``candidates``, which has another.

    The reference imports the name, is bound by an import, or follows the name of the module.
    """
    if file is exporter:
        return []
    if reference.kind is ReferenceKind.IMPORT:
        bindings = [Binding(reference.qualifier, reference.name, reference.line)]
    else:
        bindings = file.bindings().get(reference.qualifier or reference.name, [])
    modules = [around.module_of(file, binding) for binding in bindings]
    if not any(module.match(exporter.path) is Match.FILE for module in modules if not module.is_elsewhere):
        return []
    return exported_by(around, exporter, reference.name, candidates)


def exported_by(around: Surroundings, exporter: CodeFile, alias: str, candidates: Sequence[Target]) -> Resolved:
    """Return those of ``candidates`` that a module defines, or imports, and exports as ``alias``."""
    if own := [one for one in candidates if one.file is exporter and _is_free(one) and not one.is_local]:
        return [(one, Confidence.IMPORT) for one in own]
    bindings = exporter.bindings()
    name = candidates[0].definition.name if candidates else alias
    return _imported(around, exporter, bindings.get(alias) or bindings.get(name) or (), candidates)


def _fit(module: ImportedModule, target: Target) -> Match:
    """Return how well the file of ``target``, or its qualified name, fits an imported module."""
    if target.definition.qualified == module.dotted and "." in module.dotted:
        return Match.FILE
    return module.match(target.file.path)


def _from_wildcards(around: Surroundings, file: CodeFile, candidates: Sequence[Target]) -> Resolved:
    """Return the definitions in modules of which all names are imported, or in files that are included."""
    bindings = file.bindings().get("*", ())
    if file.language in _INCLUDING:
        bindings = [binding for found in file.bindings().values() for binding in found]
    modules = [around.module_of(file, binding) for binding in bindings]
    fits: dict[tuple[bytes, str], bool] = {}
    for one in candidates:
        key = one.file.path, one.definition.qualified
        if key not in fits:
            fits[key] = any(_fit(module, one) is Match.FILE for module in modules)
    return [(one, Confidence.IMPORT) for one in candidates if fits[one.file.path, one.definition.qualified]]


def _from_exporting_packages(around: Surroundings, file: CodeFile, candidates: Sequence[Target]) -> Resolved:
    """Return the definitions in packages of which all names are imported, and which may export that of their files."""
    modules = [around.module_of(file, binding) for binding in file.bindings().get("*", ())]
    found = [one for one in candidates if any(_fit(module, one) is Match.PACKAGE for module in modules)]
    confidence = Confidence.NAME if around.are_related(found) else Confidence.POSSIBLE
    return [(one, confidence) for one in found]


def _from_scripts(file: CodeFile, candidates: Sequence[Target]) -> list[Target]:
    """Return the definitions in scripts of a page, which share all names: files of JavaScript that import nothing."""
    if family_of(file.language) != "javascript" or file.bindings():
        return []
    return [one for one in candidates if not one.file.bindings()]


def _from_types(file: CodeFile, candidates: Sequence[Target]) -> Resolved:
    """Return the members of types whose members are all imported: ``import static a.C.*``, Elixir's ``import A``."""
    types = {_PARTS.sub(".", module) for module in file.wildcards()}
    has_functions = file.language == "elixir"  # whose modules are imported with all of their functions
    if has_functions:
        types.update(f"{one.module}.{one.name}".strip(".") for found in file.bindings().values() for one in found)
    return [
        (one, Confidence.IMPORT)
        for one in candidates
        if (one.owner or has_functions) and one.definition.qualified.rpartition(".")[0] in types
    ]


def _qualified(around: Surroundings, file: CodeFile, reference: Reference, candidates: Sequence[Target]) -> Resolved:
    """Return what a name with a qualifier means; a qualifier that ends in ``()`` is a call."""
    qualifier = reference.qualifier
    language = file.language
    if qualifier.endswith("()") and not is_super(language, qualifier[:-2]):
        return _of_call(around, file, reference, candidates)
    qualifier = qualifier.removesuffix("()")
    first, last = _PARTS.split(qualifier)[0], _PARTS.split(qualifier)[-1]
    members = [one for one in candidates if one.owner]
    if qualifier in _EXPORTS and family_of(language) == "javascript":
        return [(one, Confidence.EXACT) for one in candidates if one.file is file and not one.is_local]
    if receiver := _go_receiver(file, reference):
        return _members_of_named(around, file, receiver, members)
    if is_self(language, qualifier):
        own = _members(around, file, reference.line, candidates) or _of_same_owner(file, reference.line, members)
        return own or _of_mixin(around, file, reference.line, members)
    if language != "rust" and (is_super(language, qualifier) or is_super(language, first)):
        number = next(iter(_types_around(file, reference.line)), -1)
        return _inherited(around, file, number, members) if number >= 0 else []
    if qualified := _in_named(around, file, reference, last, candidates):
        return qualified
    if (known := _by_type(around, file, reference, members)) is not None:
        return known
    bindings = file.bindings().get(first) or (file.bindings().get(last) if last else None)
    if bindings and first and not is_self(language, first):
        found = _of_module(around, file, bindings, qualifier, candidates)
        return found or _of_imported_variable(around, file, reference, bindings, members)
    if qualifier in BUILT_IN.get(family_of(file.language), ()):
        return []
    if "::" in qualifier and around.layout.packages.is_elsewhere(file.language, qualifier, reference.name):
        return []
    if file.language == "rust" and first in _RUST_PATHS:
        path = Binding(qualifier, reference.name, reference.line)
        if found := _imported(around, file, [path], [one for one in candidates if not one.owner]):
            return found
    return _by_name(around, file, reference, candidates)


def _in_named(
    around: Surroundings, file: CodeFile, reference: Reference, last: str, candidates: Sequence[Target]
) -> Resolved:
    """Return the members of the type or namespace of the name ``last``.

    If that is the whole qualifier, the type or namespace is one that the file defines or imports, if there is one.
    """
    found = [
        (one, _confidence_of(around, file, last, one))
        for one in candidates
        if last and last in (one.owner, _scope_of(one)) and (one.file is file or not one.is_local)
    ]
    dotted = _PARTS.sub(".", f"{reference.qualifier}.{reference.name}")
    is_whole = last != reference.qualifier or (file.language in _GLOBAL_TYPES and last not in file.bindings())
    if is_whole and (whole := [one for one, _ in found if one.definition.qualified == dotted]):
        return [(one, Confidence.EXACT if one.file is file else Confidence.IMPORT) for one in whole]
    if not found or last != reference.qualifier:
        return found
    for confidence in (Confidence.EXACT, Confidence.IMPORT):
        if seen := [one for one in found if one[1] is confidence]:
            return seen
    bindings = file.bindings().get(last, ())
    if bindings and family_of(file.language) in _NO_MEMBERS_IMPORTED:
        return _of_module(around, file, bindings, reference.qualifier, candidates) or found
    return found


def _by_name(around: Surroundings, file: CodeFile, reference: Reference, candidates: Sequence[Target]) -> Resolved:
    """Return the members of the name of a reference whose receiver is unknown; in some languages also functions.

    Most references to a common name mean the same, so what was found is kept.
    """
    qualifier = reference.qualifier if file.language in _FREE_MEMBERS else ""
    key = file.language, reference.kind, qualifier, tuple(candidates)
    if key not in around.member_names:
        around.member_names[key] = _members_by_name(around, file, reference, candidates)
    return around.member_names[key]


def _members_by_name(
    around: Surroundings, file: CodeFile, reference: Reference, candidates: Sequence[Target]
) -> Resolved:
    found = [one for one in candidates if one.owner]
    if reference.kind is ReferenceKind.CALL:
        found = [one for one in found if one.definition.kind not in _VARIABLES] or found
    if not found and file.language in _FREE_MEMBERS:
        found = [one for one in candidates if not one.is_local and _may_qualify(reference.qualifier, one)]
    is_common = bool(found) and found[0].definition.name in COMMON_MEMBERS.get(family_of(file.language), ())
    confidence = Confidence.NAME if not is_common and around.are_related(found) else Confidence.POSSIBLE
    return [(one, Confidence.POSSIBLE if _is_only_read(file, reference, one) else confidence) for one in found]


def _may_qualify(qualifier: str, target: Target) -> bool:
    """Return True if a qualifier can be the module of a function: in PHP no variable, in Rust a part of its path."""
    language = target.file.language
    if language == "php":
        return not qualifier.startswith("$")
    return language != "rust" or _PARTS.split(qualifier)[-1] in path_parts(target.file.path)


def _is_only_read(file: CodeFile, reference: Reference, target: Target) -> bool:
    """Return True if an attribute is read that is more likely a field of the same name than the method ``target``."""
    return (
        reference.kind is ReferenceKind.USE
        and target.definition.kind in FUNCTION_KINDS
        and family_of(file.language) in _METHODS_ARE_CALLED
        and not target.definition.signature.startswith(_GETTERS)
    )


def are_related(around: Surroundings, targets: Sequence[Target]) -> bool:
    """Return True if there is one such definition, or if all are members of types with common ancestors in the root."""
    owners = {one.owner for one in targets}
    if len(owners) < 2:
        are_variants = len({one.definition.qualified for one in targets}) < 2 and targets[0].file.language in _VARYING
        return bool(next(iter(owners), "")) or are_variants or len({one.file.path for one in targets}) < 2
    if "" in owners or len(owners) > _MOST_BASES:
        return False
    groups: list[set[str]] = []
    for one in targets:
        names = (
            {base.name for base in one.file.bases_of(one.definition.container)}
            if one.definition.container >= 0
            else set()
        )
        group = {one.owner, *(name for name in names if name in owners or around.types_named(one.file, name))}
        if one.file.language == "go":
            group.update(other.owner for other in targets if _satisfies(around, one, other))
        for other in [other for other in groups if other & group]:
            groups.remove(other)
            group |= other
        groups.append(group)
    return len(groups) == 1


def _satisfies(around: Surroundings, one: Target, other: Target) -> bool:
    """Return True if one of two members of Go is that of an interface, and the type of the other has all of them."""
    for interface, member in ((one, other), (other, one)):
        container = interface.container
        if container is None or container.kind != "interface":
            continue
        wanted = [
            found.name
            for found in interface.file.definitions
            if found.container == interface.definition.container and found.kind == "method"
        ]
        if len(wanted) <= _MOST_METHODS and all(
            any(found.owner == member.owner for found in around.named(name)) for name in wanted
        ):
            return True
    return False


def _of_call(around: Surroundings, file: CodeFile, reference: Reference, candidates: Sequence[Target]) -> Resolved:
    """Return the members of what a call without arguments returns, which is plain if it constructs a type."""
    members = [one for one in candidates if one.owner]
    name = _PARTS.split(reference.qualifier[:-2])[-1]
    return _members_of_named(around, file, name, members) or _by_name(around, file, reference, members)


def _scope_of(target: Target) -> str:
    """Return the last part of what qualifies the name of a definition, such as a namespace or a module."""
    return target.definition.qualified.rpartition(".")[0].rpartition(".")[2]


def _go_receiver(file: CodeFile, reference: Reference) -> str:
    """Return the type of the qualifier if it is the receiver that the enclosing Go method declares, else ""."""
    if file.language != "go":
        return ""
    number = file.enclosing(reference.line)
    match = _GO_RECEIVER.match(file.definitions[number].signature) if number >= 0 else None
    return match[2] if match is not None and match[1] == reference.qualifier else ""


def _members_of_named(
    around: Surroundings, file: CodeFile, name: str, members: Sequence[Target]
) -> list[tuple[Target, Confidence]]:
    """Return the members of the types of a name, or else of their base types."""
    if own := [one for one in members if one.owner == name]:
        return [(one, Confidence.EXACT) for one in _of_visible_types(around, file, own)]
    return _inherited_by_any(around, around.types_named(file, name), members)


def _inherited_by_any(around: Surroundings, types: Sequence[Target], members: Sequence[Target]) -> Resolved:
    """Return the members of the base types of the first of ``types`` that inherits any."""
    for one in types[:_MOST_TYPES]:
        if found := _inherited(around, one.file, one.number, members):
            return found
    return []


def _of_same_owner(file: CodeFile, line: int, members: Sequence[Target]) -> Resolved:
    """Return the members of the object to which the function around ``line`` is assigned: ``res.send = function``."""
    number = file.enclosing(line)
    while number >= 0 and not file.owner_of(number):
        number = file.definitions[number].container
    owner = file.owner_of(number) if number >= 0 else ""
    found = [one for one in members if one.owner == owner]
    return [(one, Confidence.EXACT if one.file is file else Confidence.NAME) for one in found]


def _of_mixin(around: Surroundings, file: CodeFile, line: int, members: Sequence[Target]) -> Resolved:
    """Return what a method of a mixin or a subclass can mean: members of types that inherit from the type around it."""
    names = {file.definitions[number].name for number in _types_around(file, line)}
    found = [
        one
        for one in members
        if (owner := one.definition.container) >= 0 and any(base.name in names for base in one.file.bases_of(owner))
    ]
    return [(one, Confidence.NAME) for one in found]


def _confidence_of(around: Surroundings, file: CodeFile, qualifier: str, target: Target) -> Confidence:
    """Return how sure it is that ``qualifier`` means the type or namespace around ``target``."""
    if target.file is file:
        return Confidence.EXACT
    bindings = file.bindings().get(qualifier, ())
    is_imported = any(_fit(around.module_of(file, binding), target) for binding in bindings)
    same_place = _directory(target.file.path) == _directory(file.path)
    return Confidence.IMPORT if is_imported or same_place else Confidence.NAME


def _of_module(
    around: Surroundings, file: CodeFile, bindings: Sequence[Binding], qualifier: str, candidates: Sequence[Target]
) -> Resolved:
    """Return the definitions in the module that a qualifier means: ``f`` of ``import a.b as m; m.c.f()``."""
    rest = _PARTS.split(qualifier)[1:]
    longer = [
        Binding(f"{binding.module}.{binding.name}".strip("."), rest[-1], binding.line) if rest else binding
        for binding in bindings
    ]
    return _imported(around, file, [*longer, *bindings], candidates)


def _of_imported_variable(
    around: Surroundings,
    file: CodeFile,
    reference: Reference,
    bindings: Sequence[Binding],
    members: Sequence[Target],
) -> Resolved:
    """Return the members of a variable that the file imports, by the type that its own file says it has.

    If that says no type, any of ``members`` is possible. Empty if no variable is imported.
    """
    name = bindings[0].name
    if reference.qualifier not in (name, *(alias for alias in file.aliases_of(name))) or not members:
        return []
    variables = [one for one in around.named(name) if one.definition.kind in _TOP_VARIABLES and not one.owner]
    for variable, _ in _imported(around, file, bindings, variables):
        types = type_hints(variable.definition.signature, variable.file.language).types_of(name)
        for one in types:
            if own := [member for member in members if member.owner == one]:
                return [(member, Confidence.IMPORT) for member in own]
            if found := _inherited_by_any(around, around.types_named(variable.file, one), members):
                return found
        if not types:
            return [(one, Confidence.POSSIBLE) for one, _ in _by_name(around, file, reference, members)]
    return []


def _by_type(around: Surroundings, file: CodeFile, reference: Reference, members: Sequence[Target]) -> Resolved | None:
    """Return the members of the receiver's type if the code says plainly which type that is; else None.

    The result is empty if the type is known, but has no such member in the root.
    """
    if reference.qualifier == "." or not members:
        return None
    parts = _PARTS.split(reference.qualifier)
    variable = parts[-1]
    is_attribute = len(parts) > 1
    if is_attribute and not is_self(file.language, parts[0]):
        return None
    names = _types_of(around, file, reference.line, variable, is_attribute=is_attribute)
    if family_of(file.language) == "c":
        names = [*names, *(tag for name in names for tag in _tags_of(around, file, name))]
    if own := [one for one in members if one.owner in names]:
        return [(one, Confidence.EXACT) for one in _of_visible_types(around, file, own)]
    is_known = False
    for name in names:
        types = around.types_named(file, name)
        if found := _inherited_by_any(around, types, members):
            return found
        is_known |= bool(types) or name in file.bindings()
    return [] if is_known and file.language != "c" else None


def _tags_of(around: Surroundings, file: CodeFile, name: str) -> Iterable[str]:
    """Yield the names of the structures that a type of C stands for: ``typedef struct node node_t``."""
    for one in around.types_named(file, name):
        if (match := _TYPEDEF.match(one.definition.signature)) is not None:
            yield match[1]


def _of_visible_types(around: Surroundings, file: CodeFile, members: Sequence[Target]) -> Sequence[Target]:
    """Return those of ``members`` whose type is defined in the file or imported by name, if any are."""
    here = [one for one in members if one.file is file]
    if here or len({one.file.path for one in members}) < 2:
        return here or members
    return [
        one
        for one in members
        if any(
            _fit(around.module_of(file, binding), one) is not Match.NONE
            for binding in file.bindings().get(one.owner, ())
        )
    ] or members


def _types_of(around: Surroundings, file: CodeFile, line: int, variable: str, *, is_attribute: bool) -> list[str]:
    """Return the types that a variable or attribute is declared with, constructed from, or gets from a function."""
    number = file.enclosing(line)
    if is_attribute:
        number = file.type_around(number)
    hints = around.hints_around(file, number) if number >= 0 else TypeHints()
    function = hints.called_for(variable)
    if found := hints.types_of(variable):
        return found
    if not is_attribute and variable not in hints.bound and not _is_parameter(file, number, variable):
        hints = _hints_at_top(file, variable)
        if found := hints.types_of(variable):
            return found
        function = hints.called_for(variable)
    if not function:
        return []
    results = {returned_type(other.definition.signature, other.file.language) for other in around.named(function)}
    return list(results) if len(results) == 1 and "" not in results else []


def _is_parameter(file: CodeFile, number: int, variable: str) -> bool:
    """Return True if a definition or one around it may have a parameter of this name."""
    while number >= 0:
        if re.search(rf"\b{re.escape(variable)}\b", file.definitions[number].signature):
            return True
        number = file.definitions[number].container
    return False


def _hints_at_top(file: CodeFile, variable: str) -> TypeHints:
    """Return what the head of a variable outside functions and types says about its type."""
    for number, one in enumerate(file.definitions):
        if one.name == variable and one.kind in _TOP_VARIABLES and not file.owner_of(number):
            return type_hints(one.signature, file.language)
    return TypeHints()


def _directory(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


CONSTRUCTORS: Final = frozenset({"__init__", "__new__", "constructor", "init", "initialize", "__construct", "new"})


def constructed_type(target: Target) -> str:
    """Return the name of the type that ``target`` constructs, by which it is called; "" if it is not a constructor."""
    one = target.definition
    is_one = one.kind in FUNCTION_KINDS and (one.name in CONSTRUCTORS or one.name == target.owner)
    return target.owner if is_one else ""
