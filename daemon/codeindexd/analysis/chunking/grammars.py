"""The grammars of all languages, each loaded when first needed.

If a grammar is not installed or cannot be loaded, files of its language are cut into windows of lines.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import warnings
from collections.abc import Mapping

from msgspec import Struct
from tree_sitter import Language

from codeindexd.analysis.chunking import rules_compiled, rules_optional, rules_other, rules_scripting
from codeindexd.analysis.chunking.details import Details, Finder
from codeindexd.analysis.chunking.details_compiled import COMPILED_DETAILS
from codeindexd.analysis.chunking.details_other import OTHER_DETAILS
from codeindexd.analysis.chunking.details_scripting import SCRIPTING_DETAILS
from codeindexd.analysis.chunking.embedded import HOSTS, SCRIPT_LANGUAGES
from codeindexd.analysis.chunking.notebook import LANGUAGE as NOTEBOOK
from codeindexd.analysis.chunking.rules import Namer, Rules
from codeindexd.analysis.chunking.samples import DOCUMENTS

CHUNKER_VERSION = "19"
"""Part of every fingerprint; increase it when the same bytes have other chunks or definitions."""

ERROR_KIND = 0xFFFF  # tree-sitter's number for an error node, in every grammar


class _Source(Struct, frozen=True):
    """Where a grammar comes from: a distribution, and the function of its module that returns the grammar."""

    distribution: str
    rules: Rules
    entry: str = "language"

    @property
    def module(self) -> str:
        return self.distribution.replace("-", "_")


class Grammar(Struct, frozen=True):
    """A loaded grammar with its rules, in which node types are numbers."""

    name: str
    language: Language
    rules: Rules
    namers: Mapping[int, Namer]
    descend: frozenset[int]
    attach: frozenset[int]
    transparent: frozenset[int]
    trailing: frozenset[int]
    finders: Mapping[int, Finder]
    descend_for_details: frozenset[int]


_REQUIRED: Mapping[str, _Source] = {
    "bash": _Source("tree-sitter-bash", rules_scripting.BASH),
    "c": _Source("tree-sitter-c", rules_compiled.C),
    "cpp": _Source("tree-sitter-cpp", rules_compiled.CPP),
    "csharp": _Source("tree-sitter-c-sharp", rules_compiled.CSHARP),
    "css": _Source("tree-sitter-css", rules_other.CSS),
    "elixir": _Source("tree-sitter-elixir", rules_scripting.ELIXIR),
    "go": _Source("tree-sitter-go", rules_compiled.GO),
    "haskell": _Source("tree-sitter-haskell", rules_other.HASKELL),
    "hcl": _Source("tree-sitter-hcl", rules_other.HCL),
    "html": _Source("tree-sitter-html", rules_other.HTML),
    "java": _Source("tree-sitter-java", rules_compiled.JAVA),
    "javascript": _Source("tree-sitter-javascript", rules_scripting.JAVASCRIPT),
    "json": _Source("tree-sitter-json", rules_other.JSON),
    "julia": _Source("tree-sitter-julia", rules_scripting.JULIA),
    "kotlin": _Source("tree-sitter-kotlin", rules_compiled.KOTLIN),
    "lua": _Source("tree-sitter-lua", rules_scripting.LUA),
    "markdown": _Source("tree-sitter-markdown", rules_other.MARKDOWN),
    "ocaml": _Source("tree-sitter-ocaml", rules_other.OCAML, "language_ocaml"),
    "ocaml_interface": _Source("tree-sitter-ocaml", rules_other.OCAML, "language_ocaml_interface"),
    "php": _Source("tree-sitter-php", rules_scripting.PHP, "language_php"),
    "python": _Source("tree-sitter-python", rules_scripting.PYTHON),
    "ruby": _Source("tree-sitter-ruby", rules_scripting.RUBY),
    "rust": _Source("tree-sitter-rust", rules_compiled.RUST),
    "scala": _Source("tree-sitter-scala", rules_compiled.SCALA),
    "sql": _Source("tree-sitter-sql", rules_other.SQL),
    "swift": _Source("tree-sitter-swift", rules_compiled.SWIFT),
    "toml": _Source("tree-sitter-toml", rules_other.TOML),
    "tsx": _Source("tree-sitter-typescript", rules_scripting.TYPESCRIPT, "language_tsx"),
    "typescript": _Source("tree-sitter-typescript", rules_scripting.TYPESCRIPT, "language_typescript"),
    "yaml": _Source("tree-sitter-yaml", rules_other.YAML),
    "zig": _Source("tree-sitter-zig", rules_compiled.ZIG),
}

_OPTIONAL: Mapping[str, _Source] = {
    "bazel": _Source("tree-sitter-starlark", rules_optional.STARLARK),
    "dart": _Source("tree-sitter-dart", rules_optional.DART),
    "dockerfile": _Source("tree-sitter-dockerfile", rules_optional.DOCKERFILE),
    "fortran": _Source("tree-sitter-fortran", rules_optional.FORTRAN),
    "glsl": _Source("tree-sitter-glsl", rules_optional.GLSL),
    "gradle": _Source("tree-sitter-groovy", rules_optional.GROOVY),
    "groovy": _Source("tree-sitter-groovy", rules_optional.GROOVY),
    "hlsl": _Source("tree-sitter-hlsl", rules_optional.HLSL),
    "nix": _Source("tree-sitter-nix", rules_optional.NIX),
    "objectivec": _Source("tree-sitter-objc", rules_optional.OBJECTIVEC),
    "perl": _Source("tree-sitter-perl", rules_optional.PERL),
    "powershell": _Source("tree-sitter-powershell", rules_optional.POWERSHELL),
    "scss": _Source("tree-sitter-scss", rules_optional.SCSS),
    "solidity": _Source("tree-sitter-solidity", rules_optional.SOLIDITY),
    "starlark": _Source("tree-sitter-starlark", rules_optional.STARLARK),
    "systemverilog": _Source("tree-sitter-verilog", rules_optional.VERILOG),
    "verilog": _Source("tree-sitter-verilog", rules_optional.VERILOG),
}
"""The languages whose grammars come with the extra ``[languages]``."""
_SOURCES: Mapping[str, _Source] = {**_REQUIRED, **_OPTIONAL}

_DETAILS: Mapping[str, Details] = {
    **COMPILED_DETAILS,
    **SCRIPTING_DETAILS,
    **OTHER_DETAILS,
    **rules_optional.OPTIONAL_DETAILS,
}

LANGUAGES = frozenset(_SOURCES)
"""The languages that are chunked along their syntax if their grammar is installed."""


@functools.cache
def languages_to_install() -> frozenset[str]:
    """Return the languages that the extra ``[languages]`` would add."""
    return frozenset(language for language, source in _OPTIONAL.items() if _version(source.distribution) == "absent")


@functools.cache
def load(language: str) -> Grammar | None:
    """Return the grammar of ``language``, or None if there is none or it cannot be loaded."""
    source = _SOURCES.get(language)
    if source is None:
        return None
    try:
        module = importlib.import_module(source.module)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # some grammars still give a number, not a capsule
            loaded = Language(getattr(module, source.entry)())
    except (ImportError, AttributeError, ValueError, TypeError, OSError):
        return None
    return _number(language, loaded, source.rules)


def _number(name: str, language: Language, rules: Rules) -> Grammar:
    """Return a grammar in which the rules' node types are numbers; a type can have several numbers."""
    namers: dict[int, Namer] = {}
    details = _DETAILS.get(name, Details())
    finders: dict[int, Finder] = {}
    inner: set[int] = set()
    sets: dict[str, set[int]] = {"descend": {ERROR_KIND}, "attach": set(), "transparent": set(), "trailing": set()}
    for number in range(language.node_kind_count):
        kind = language.node_kind_for_id(number)
        if kind is None or not language.node_kind_is_named(number):
            continue
        if kind in rules.definitions:
            namers[number] = rules.definitions[kind]
        if kind in details.finders:
            finders[number] = details.finders[kind]
        if kind in details.descend:
            inner.add(number)
        for role, members in sets.items():
            if kind in getattr(rules, role):
                members.add(number)
    descend, attach, transparent, trailing = (frozenset(members) for members in sets.values())
    return Grammar(name, language, rules, namers, descend, attach, transparent, trailing, finders, frozenset(inner))


@functools.cache
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@functools.cache
def fingerprint(language: str) -> str:
    """Return a hash (16 hex digits) of everything that determines how files of ``language`` are chunked.

    A missing grammar has its own fingerprint, so that installing it later causes exactly the files of its language to
    be processed again. Notebooks and documents depend on all grammars, since their cells and samples may have any
    language, and pages with script on those of script. Imports no grammar.
    """
    is_mixed = language == NOTEBOOK or language in DOCUMENTS
    inside = _SOURCES if is_mixed else SCRIPT_LANGUAGES if language in HOSTS else ()
    sources = [_SOURCES[name] for name in dict.fromkeys((language, *inside)) if name in _SOURCES]
    parts = [CHUNKER_VERSION, language]
    if sources:
        parts.append(_version("tree-sitter"))
    for source in sources:
        parts += [source.distribution, _version(source.distribution)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
