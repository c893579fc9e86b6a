"""Reads queries that ask for a definition by its name: ``class Session``, ``pub fn spawn(``, ``Session class``.

The head of a definition, or the import of one, is what a developer remembers of it, or copies from elsewhere. It is
found by its kind and its name, whatever else the code says about the words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from codeindexd.analysis.chunking.samples import DOCUMENTS
from codeindexd.analysis.tokens import split_identifier
from codeindexd.search.file_roles import is_test, is_test_in_source
from codeindexd.search.names import LABELS
from codeindexd.storage.catalog import CatalogSnapshot
from codeindexd.storage.sorted_ids import Ids, among
from codeindexd.types import (
    DECLARATION,
    FUNCTION_KINDS,
    IMPLEMENTATION,
    TYPE_KINDS,
    Definition,
    StoredChunk,
    StoredDefinition,
)

_MOST_CHARS: Final = 300
_MOST_FILES_BY_PATH: Final = 3_000
_MOST_FILES: Final = 300  # that define a name; reading more outlines takes long, and the name says little
_MOST_DEFINITIONS: Final = 50
_MOST_OF_VARIABLE: Final = 5  # definitions of a member of something unknown
_TYPES: Final = TYPE_KINDS | {"alias", "extension", IMPLEMENTATION}  # what the keywords of types define
_MODULES: Final = frozenset({"class", "extension", "module", "namespace", "object", "package"})
_FUNCTIONS: Final = FUNCTION_KINDS | {"property"}
_STANDING_ALONE: Final = _TYPES | _MODULES | {"function", "macro"}
_VALUES: Final = frozenset({"constant", "enum_member", "field", "function", "macro", "property", "variable"}) | _TYPES
_EXTENSIONS: Final = frozenset(
    {"c", "cc", "cfg", "cpp", "cs", "css", "go", "h", "html", "ini", "java", "js", "json", "jsx", "kt", "lock", "lua"}
    | {"md", "mod", "php", "py", "rb", "rs", "rst", "scala", "sh", "sql", "swift", "toml", "ts", "tsx", "txt", "xml"}
    | {"yaml", "yml", "zig"}
)
_SOURCE_DIRECTORIES: Final = frozenset({"lib", "source", "sources", "src"})
_WITH_TYPEDEFS: Final = frozenset({"c", "cpp", "objectivec"})
_DETAILS: Final = frozenset({"constant", "enum_member", "field", "key", "property", "variable"})
_KINDS: Final = {
    **dict.fromkeys(("class", "enum", "interface", "object", "record", "struct", "trait", "type", "union"), _TYPES),
    **dict.fromkeys(("actor", "data", "extension", "newtype", "protocol", "typealias", "typedef"), _TYPES),
    **dict.fromkeys(("defmodule", "defprotocol", "mod", "module", "namespace", "package"), _MODULES | _TYPES),
    **dict.fromkeys(("def", "fn", "fun", "func", "function", "method", "proc", "sub"), _FUNCTIONS),
    **dict.fromkeys(("defmacro", "defmacrop", "defp", "macro", "macro_rules!"), _FUNCTIONS),
    **dict.fromkeys(("#define", "const", "constant", "let", "local", "val", "var", "variable"), _VALUES),
}
_KINDS_AFTER_NAME: Final = frozenset({"interface", "struct"})  # ``type Session struct {``
_NOUNS: Final = frozenset({
    "actor", "const", "enum", "proc", "trait", "val", "var",
    "class", "constant", "data", "definition", "extension", "fun", "function", "implementation", "interface", "let",
    "local", "macro", "method", "module", "namespace", "object", "package", "protocol", "record", "sub", "type",
    "union", "variable",
})  # fmt: skip
"""Keywords that are words of plain English as well."""

_MODIFIER: Final = (
    r"(?:abstract|async|case|companion|const|declare|default|enum|export|extern|final|friend|implicit|inline|inner"
    r"|internal|lazy|local|open|override|partial|private|protected|public|pub(?:\([^()]*\))?|readonly|sealed|static"
    r"|suspend|typedef|unsafe|value|virtual|data)"
)
_PART: Final = r"(?:[^\W\d]|\$)[\w$]*(?:[?!]|=(?=\())?"
_NAME: Final = rf"{_PART}(?:(?:\.|::|->|:|\\|#){_PART})*"
_HEAD: Final = re.compile(
    rf"(?:{_MODIFIER}\s+)*(?P<keyword>{'|'.join(map(re.escape, sorted(_KINDS)))})\s+"
    rf"(?:\((?P<receiver>[^()]*)\)\s*)?(?P<name>{_NAME})"
    r"\s*(?P<more>[(<\[{:=;,|].*|(?:extends|implements|deriving)\b.*|(?:struct|interface|do)\s*\{?)?"
)
_NAME_FIRST: Final = re.compile(
    rf"(?P<name>{_NAME})\s+(?P<keyword>class|constant|enum|function|interface|macro|method|module|namespace|object"
    r"|protocol|struct|trait|type|variable|definition|implementation)"
)
_WHERE: Final = re.compile(
    rf"(?:where (?:is|are) |definition of |(?:go to|find|show) the definition of )(?:the )?"
    rf"(?:(?P<keyword>class|enum|function|interface|macro|method|module|object|struct|trait|type) )?(?P<name>{_NAME})"
    r"(?P<end> (?:defined|declared|implemented))?\??",
    re.IGNORECASE,
)
_LIST: Final = r"\{\s*(?P<name>\w+)[^{}]*\}"
_IMPORTS: Final = (
    re.compile(rf"from\s+\.*(?P<module>{_NAME})?\s+import\s+\(?\s*(?P<name>\w+)\b[\w\s,]*\)?"),
    re.compile(rf"import\s+(?:type\s+)?(?:{_LIST})\s+from\s+(?P<quote>['\"]).+(?P=quote);?"),
    re.compile(rf"(?:const|let|var)\s+{_LIST}\s*=\s*(?:await\s+)?(?:require|import)\((?P<quote>['\"]).+(?P=quote)\);?"),
    re.compile(rf"(?:pub\s+)?(?:use|import)\s+(?P<module>{_NAME})(?:\.|::|\\){_LIST};?"),
    re.compile(rf"(?:pub\s+)?(?:alias|import|use|using)\s+(?:static\s+)?(?P<name>{_NAME})(?:\s+as\s+\w+)?;?"),
)
"""Imports of a definition, or of several, of which the first counts."""

_PLAIN_IMPORT: Final = re.compile(r"\w+ \w+")  # ``use Session`` may be said as well
_STATIC: Final = re.compile(r"import\s+static\b")  # imports of Java that may name a field

_WORD: Final = re.compile("[a-z]+")
_TOPIC: Final = re.compile("[a-z]+|[A-Z]+")  # ``JSON object`` need not be a class
_COMPOUND: Final = re.compile(
    rf"_+[A-Za-z]\w*|[A-Za-z]\w*_\w*|[A-Za-z]\w*[a-z][A-Z]\w*|(?=.*(?:[.:\\#]|->|\w\$[A-Z])){_NAME}"
)
_ARGUMENTS: Final = r"\((?:[^()]|\([^()]*\))*\)?[;:]?"
_TYPE_ARGUMENTS: Final = r"(?:(?:::)?<[^()]{1,100}>)?"
_USE: Final = re.compile(
    rf"(?P<name>{_NAME}){_TYPE_ARGUMENTS}(?:{_ARGUMENTS}|\s?\{{\}}?)|@(?P<decorator>{_NAME})(?:{_ARGUMENTS})?"
    rf"|#?\[(?P<attribute>[A-Z]\w*(?:[.\\]\w+)*)(?:{_ARGUMENTS})?\]"
)
_SINGLE: Final = re.compile(r"[^\W\d]\w+")
_SPELLED: Final = re.compile(r"[^\W\d]\w*(?: \w+){1,5}")
_SEPARATOR: Final = re.compile(r"::|->|[:\\#]|(?<=\w)\$(?=[A-Z])")
_FRAME: Final = re.compile(r"at\s+(?P<name>[\w$.]+)\((?:[\w-]+\.\w+(?::\d+)?|Native Method|Unknown Source(?::\d+)?)\)")
"""A line of a stack trace of the JVM."""

_GO_METHOD: Final = re.compile(
    r"(?:[\w.-]+/)*(?:(?P<package>\w+)\.)?\(\*(?P<type>\w+)\)\.(?P<name>\w+)(?:\.func\d[\w.]*)?(?:\(.*\))?"
)
"""A method as Go names it, in stack traces with its package: ``net/http.(*Server).Serve(...)``."""

_MADE: Final = re.compile(r"(?:new\s+)?(?P<type>(?:\w+\.)*[A-Z]\w*)\((?:[^()]|\([^()]*\))*\)\.(?P<rest>[^\W\d].*)")
"""A member of an object that is made for it: ``new Session(token).refresh()``."""


class Declaration(Struct, frozen=True):
    """A definition that a query asks for: its name, with dots between its parts, and its kind, one of ``kinds``.

    Any kind if there are none. ``is_certain`` is False for words that may as well be about something else, such as
    ``type inference``. ``has_more`` is True for a head with more than a name, such as its parameters, and ``is_import``
    for what a line imports, which is no field of an object. ``is_call`` is True if it is called: then it is no file.
    ``is_word`` is True for a single word, ``is_spelled`` for several that may be a name together. ``spelled`` is such a
    name where the last word may also be a kind: ``dispatcher interface`` may be ``DispatcherInterface``. ``head`` is
    the keyword and the name as they were typed, to prefer a ``newtype Parser`` to a ``type Parser``.
    """

    name: str
    kinds: frozenset[str]
    is_certain: bool
    has_more: bool = False
    is_import: bool = False
    is_call: bool = False
    is_word: bool = False
    is_spelled: bool = False
    spelled: str = ""
    head: str = ""


class DeclaredDefinition(NamedTuple):
    """A definition that a declaration asks for.

    ``is_certain`` is False if the query may be about something else, ``is_guess`` True for a member of something
    unknown, and ``is_spelled`` for a name whose words the query has.
    """

    chunk: StoredChunk
    line: int
    qualified: str
    kind: str
    is_certain: bool
    is_guess: bool
    is_spelled: bool


def declaration_in(text: str) -> Declaration | None:
    """Return the definition that a query asks for by its name; None if it does not, or asks for more than that."""
    text = text.strip()
    if len(text) > _MOST_CHARS or "\n" in text:
        return None
    text = _plain_use(text)
    may_be_topic, has_more, after_name, head = _WORD, False, "", ""
    if imported := _imported(text):
        is_certain = "." in imported or not _PLAIN_IMPORT.fullmatch(text)
        return Declaration(imported, frozenset(), is_certain, is_import=not _STATIC.match(text))
    if found := _HEAD.fullmatch(text):
        keyword, name, has_more = found["keyword"], found["name"], bool(found["more"])
        head = f"{keyword} {name}"
        after_name = (found["more"] or "").rstrip(" {")
        if receiver := re.findall(r"[^\W\d]\w*", re.sub(r"\[.*\]", "", found["receiver"] or "")):
            name = f"{receiver[-1]}.{name}"
    elif found := _NAME_FIRST.fullmatch(text):
        keyword, name, may_be_topic = found["keyword"], found["name"], _TOPIC
    elif (found := _WHERE.fullmatch(text)) and (found["end"] or not text.lower().startswith("where")):
        keyword, name = (found["keyword"] or "definition").lower(), found["name"]
    elif found := _USE.fullmatch(text):
        name = _SEPARATOR.sub(".", found["name"] or found["decorator"] or found["attribute"])
        return Declaration(name, frozenset(), is_certain=True, is_call="(" in text)
    elif _COMPOUND.fullmatch(text):
        return Declaration(_SEPARATOR.sub(".", text), frozenset(), is_certain=True)
    elif _SINGLE.fullmatch(text):
        return Declaration(text, frozenset(), is_certain=not _TOPIC.fullmatch(text), is_word=True)
    elif _SPELLED.fullmatch(text):
        return Declaration("_".join(text.split()), frozenset(), is_certain=False, is_spelled=True)
    else:
        return None
    is_certain = keyword not in _NOUNS or not may_be_topic.fullmatch(name)
    kinds = frozenset({after_name}) if after_name in _KINDS_AFTER_NAME else _KINDS.get(keyword, frozenset())
    spelled = "_".join(text.split()) if may_be_topic is _TOPIC and _SPELLED.fullmatch(text) else ""
    return Declaration(_SEPARATOR.sub(".", name), kinds, is_certain, has_more, spelled=spelled, head=head)


def _plain_use(text: str) -> str:
    """Return the name of a method, with its type, if a text is a frame of a stack trace or uses it; else ``text``."""
    if frame := _FRAME.fullmatch(text):
        return frame["name"]
    if method := _GO_METHOD.fullmatch(text):
        return ".".join(filter(None, (method["package"], method["type"], method["name"])))
    if made := _MADE.fullmatch(text):
        return f"{made['type']}.{made['rest']}"
    return text


def _imported(text: str) -> str | None:
    """Return the name of the definition that a line of code imports, with its module; None if it imports none."""
    for pattern in _IMPORTS:
        if found := pattern.fullmatch(text):
            names = [found.groupdict().get("module"), found["name"]]
            name = _SEPARATOR.sub(".", ".".join(filter(None, names)))
            may_be_prose = "." not in name and pattern is _IMPORTS[-1] and not text.endswith(";")
            return None if may_be_prose and not name[0].isupper() else name
    return None


def chunks_declaring(
    catalog: CatalogSnapshot, declaration: Declaration, allowed: Ids | None
) -> Iterator[DeclaredDefinition]:
    """Yield the definitions that ``declaration`` asks for, if possible in ``allowed`` chunks (sorted ids, None: all).

    The first parts of a name may be those of a module (``socket.create_connection``), that is of the path of the file,
    or a variable (``app.use``) if the last part is defined in few places. Nothing for a name that very many files
    define. Names in another case count only if there are no others, and are not certain; nor are keys and headings.
    A name of several words may be written in another convention if it is not defined as it is: ``maxAge``, ``MAX_AGE``.
    A single word means only what is written alike and stands alone, a type, or a name of several words that is written
    in lower case: ``Route`` is not ``route``, nor a field.
    """
    if declaration.spelled:
        together = Declaration(declaration.spelled, frozenset(), is_certain=False, is_spelled=True)
        yield from chunks_declaring(catalog, together, allowed)
    qualifier, dot, last = declaration.name.rpartition(".")
    found: list[StoredDefinition] = []
    is_guess = False
    names = [last, *_other_conventions(last)]
    if declaration.is_spelled:
        names += [f"_{last}", f"{last}_", f"_{last.replace('_', '')}"]  # as names of private members are written
        if not catalog.files_defining(names):
            return
    for name in names:
        more, is_guess = _definitions(catalog, replace(declaration, name=qualifier + dot + name), allowed)
        found += more
        if found and not declaration.is_spelled:
            break
    if declaration.is_spelled:
        found = _spelled(found, last)
    if declaration.head:
        found = [one for one in found if declaration.head in " ".join(one.definition.signature.split())] or found
    for candidate in found:
        definition = candidate.definition
        is_certain = declaration.is_certain and (name != last or definition.name == last)
        if declaration.is_word and not _is_meant_by_word(definition, last, is_certain=is_certain):
            continue
        if is_certain or definition.kind not in LABELS:
            yield DeclaredDefinition(
                candidate.chunk,
                definition.line,
                definition.qualified,
                definition.kind,
                is_certain,
                is_guess,
                is_spelled=declaration.is_spelled or (declaration.is_word and not is_certain),
            )


def _spelled(found: list[StoredDefinition], words: str) -> list[StoredDefinition]:
    """Return those of ``found`` whose names have just these words, in any convention, if there are any, types first."""
    wanted = split_identifier(words)
    for is_better in (
        _is_in_code,
        _is_in_source,
        lambda candidate: split_identifier(candidate.definition.name) == wanted,
        _is_no_value,
        lambda candidate: candidate.definition.kind in _TYPES,
    ):
        found = list(filter(is_better, found)) or found
    return found


def _is_meant_by_word(definition: Definition, word: str, *, is_certain: bool) -> bool:
    """Return True if a single word asks for a definition: for a type, or for what is written alike.

    What has a name of several words is no topic, so it may be written in lower case (``maxretries``).

    A field named like it says little, nor does a member if the word may be a topic (``session``).
    """
    if definition.name != word:
        is_topic = definition.kind not in _TYPES and len(split_identifier(definition.name)) == 1
        return not (word[0].isupper() or is_topic)
    return definition.kind in (_STANDING_ALONE | FUNCTION_KINDS if is_certain else _STANDING_ALONE)


def _other_conventions(name: str) -> list[str]:
    """Return a name of several words as other languages write it; [] for a name of one word. Case is ignored.

    The name of an interface may begin with an ``I``, as is usual in C#.
    """
    words = split_identifier(name)
    spellings = [mark.join(words) for mark in ("_", "", "-")] if len(words) > 1 else []
    if len(words) > 1 and name[0].isupper() and not name.isupper():
        spellings.append(f"i{name.lower()}")
    return [spelling for spelling in spellings if spelling != name.lower()]


def _definitions(
    catalog: CatalogSnapshot, declaration: Declaration, allowed: Ids | None
) -> tuple[list[StoredDefinition], bool]:
    """Return the definitions, and True if they are only members of the name's last part."""
    parts = declaration.name.split(".")
    files = catalog.files_defining([declaration.name, parts[-1]])
    within = files & catalog.files_defining([parts[-2]]) if len(parts) > 1 and len(files) > _MOST_FILES else files
    find = partial(
        _defining,
        catalog,
        kinds=declaration.kinds,
        allowed=allowed,
        without_fields=declaration.is_import,
        in_any_case=declaration.is_spelled or (declaration.is_word and not declaration.is_certain),
    )
    if found := find(declaration.name, within):
        return found, False
    if len(parts) == 1 or len(files) > _MOST_FILES_BY_PATH:
        return [], False
    paths = {file_id: file.entry.path for file_id, file in catalog.files_by_id(files).items()}
    in_modules: list[StoredDefinition] = []
    for number in range(1, len(parts)):
        within = {file_id for file_id, path in paths.items() if _is_in_module(path, parts[:number])}
        name = ".".join(parts[number:])
        found = find(name, within)
        in_modules += [candidate for candidate in found if candidate.definition.qualified == name] or [
            candidate
            for candidate in found
            if candidate.definition.kind != "field"  # of an object: no member of a module
        ]
    if in_modules:
        return in_modules, False
    is_file = parts[-1] in _EXTENSIONS and not declaration.is_call
    found = find(parts[-1], files) if not is_file and not parts[-2][:1].isupper() else []
    return (found if len(found) <= _MOST_OF_VARIABLE else []), True


def _defining(
    catalog: CatalogSnapshot,
    name: str,
    files: Collection[int],
    *,
    kinds: Collection[str],
    allowed: Ids | None,
    without_fields: bool,
    in_any_case: bool,
) -> list[StoredDefinition]:
    """Return at most 50 definitions of ``name`` in ``files``, of ``kinds`` if there are any; none in too many files.

    Those in documents and tests, in another case, properties, and for any kind those of values, only if there are no
    others; packages only without anything else, and constructors, and aliases of C, only without their type.
    """
    if not 0 < len(files) <= _MOST_FILES:
        return []
    last = name.rpartition(".")[2]
    found = catalog.definitions_named(
        name,
        limit=_MOST_DEFINITIONS,
        files=files,
        accepts=lambda definition: (
            (not kinds or definition.kind in kinds) and not (without_fields and definition.kind == "field")
        ),
    )
    passing = among([candidate.chunk.chunk_id for candidate in found], allowed) if allowed is not None else None
    for is_better in (
        lambda candidate: passing is None or candidate.chunk.chunk_id in passing,
        _is_in_code,
        _is_in_source,
        _is_no_package,
        lambda candidate: candidate.definition.kind != DECLARATION,
        lambda candidate: in_any_case or candidate.definition.name == last,
        (lambda candidate: candidate.definition.kind != "property") if kinds else _is_no_value,
        _is_no_alias,
        _is_not_local,
    ):
        found = list(filter(is_better, found)) or found
    return list(_without_constructors(found))


def _without_constructors(found: Sequence[StoredDefinition]) -> Iterator[StoredDefinition]:
    """Yield ``found`` without the functions that have the name of a type in the same file."""
    types = {stored.chunk.file_id for stored in found if stored.definition.kind in _TYPES}
    return (stored for stored in found if stored.definition.kind not in _FUNCTIONS or stored.chunk.file_id not in types)


def is_value(definition: Definition) -> bool:
    """Return True for a definition that holds a value: a constant, a field, a key of data, a variable."""
    return definition.kind in _DETAILS


def _is_no_value(stored: StoredDefinition) -> bool:
    return not is_value(stored.definition)


def _is_no_package(stored: StoredDefinition) -> bool:
    """Return False for the line that says to which package a file belongs, which many files have."""
    return stored.definition.kind not in {"namespace", "package"}


def _is_not_local(stored: StoredDefinition) -> bool:
    """Return False for what is defined inside of a function."""
    container = stored.definition.container
    return container < 0 or stored.outline[container].kind not in _FUNCTIONS


def _is_no_alias(stored: StoredDefinition) -> bool:
    """Return False for a typedef of C, which may only announce a structure (``typedef struct s s;``)."""
    return stored.definition.kind not in {"alias", "type"} or stored.chunk.language not in _WITH_TYPEDEFS


def _is_in_code(stored: StoredDefinition) -> bool:
    return stored.chunk.language not in DOCUMENTS


def _is_in_source(stored: StoredDefinition) -> bool:
    definition = stored.definition
    in_test = is_test_in_source(stored.chunk.language, definition.kind, definition.qualified)
    return not (in_test or is_test(stored.chunk.path))


def _is_in_module(path: bytes, module: Sequence[str]) -> bool:
    """Return True if parts of a path, the last one without its extension, are those of ``module``, ignoring case.

    Directories for source as such, which are not part of a module's name, are left out.
    """
    *directories, name = path.decode("utf-8", "replace").lower().split("/")
    wanted = [part.lower() for part in module]
    left_out = _SOURCE_DIRECTORIES.difference(wanted)
    parts = [part for part in (*directories, name.partition(".")[0]) if part not in left_out]
    return any(parts[at : at + len(wanted)] == wanted for at in range(len(parts) - len(wanted) + 1))
