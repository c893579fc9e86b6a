"""What a file is for, by its path and language: source, a test, a document, data, or something beside the source.

Most questions are about source, so files of the other roles rank lower unless the question asks for them. Some
languages keep tests beside what they test: there, a definition has a role of its own.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final

from codeindexd.analysis.tokens import stem


class FileRole(enum.Enum):
    """What a file is for. The value is the name of its part of a score."""

    SOURCE = "source"
    TEST = "test"
    DOCUMENT = "prose"
    DATA = "data"
    ASIDE = "aside"
    """Examples, benchmarks, and code that somebody else wrote or a program generated."""


_DOCUMENTS: Final = frozenset({
    "", "asciidoc", "bibtex", "jupyter", "latex", "markdown", "org", "restructuredtext", "typst",
})  # fmt: skip
_DATA: Final = frozenset({
    "bazel", "cmake", "codeowners", "crontab", "css", "csv", "diff", "dot", "gitattributes", "gitignore", "gomod",
    "html", "ini", "json", "jsonl", "less", "make", "mermaid", "ninja", "postscript", "procfile", "requirements",
    "sass", "scss", "stylus", "toml", "turtle", "xml", "yaml",
})  # fmt: skip

_TEST_DIRECTORIES: Final = frozenset(
    b"tests spec specs __tests__ __mocks__ __fixtures__ __snapshots__ testdata test-data fixtures"
    b" selftest selftests testcases testsuite testsuites unittests".split()
)
_TEST_NAME: Final = re.compile(
    rb"test_.*|.*[_-](?:test|tests|spec)|test[_-][^.]*|conftest|.*\.(?:test|spec)s?(?:\..*)?|.*[a-z0-9](?:Tests?|TestCase|Specs?)"
)
_TEST_SUITE: Final = re.compile(rb".*[a-z]Tests?|.*\.Tests?|.*[._-]tests")
_TEST_MODULE: Final = re.compile(rb"tests\.(?:py|rs|hs|ml|swift|clj)|(?:test|tests)\.(?:[cm]?[jt]sx?|rs|exs)")
_TEST_MODULES: Final = frozenset({"test", "tests"})
_COMMANDS: Final = frozenset(b"bin cli cmd command commands".split())  # ``commands/test.js`` runs tests
_SCRIPTS: Final = (b".sh", b".bash", b".zsh", b".bats")
_ASIDE_DIRECTORIES: Final = frozenset(
    b"example examples sample samples demo demos tutorial tutorials playground bench benches benchmark benchmarks"
    b" vendor vendored _vendor third_party thirdparty external extern externals node_modules generated legacy".split()
)
_ASIDE_NAME: Final = re.compile(rb".*(?:[._-](?:min|pb|gen|generated)|_pb2(?:_grpc)?|\.g)", re.IGNORECASE)
_VERSION: Final = re.compile(rb"v(\d{1,3}(?:\.\d{1,3}){0,2})")
_TYPED_VERSION: Final = re.compile(r"\b(?:v\d{1,3}(?:\.\d{1,3}){0,2}|\d{1,3}(?:\.\d{1,3}){1,2})\b")

# "How do I ..." is answered by documents, "how does it ..." by code.
_HOW_TO: Final = re.compile(
    r"""\s*(?: how\ to\b
    | (?:how|what|where|which|when|why)\b [^?.]{0,30}? \b(?:do|can|should|must|may|would)
      \ (?:i|we|you|one|users?|people)\b
    | (?:can|may|should|must|do)\ (?:i|we|you|one|users?|people)\b
    | i\ (?:want|need|would\ like)\ to\b )""",
    re.IGNORECASE | re.VERBOSE,
)
_HOW_IT_WORKS: Final = re.compile(r"\s*how (?:are|do|does|is) (?!i\b|we\b|you\b)", re.IGNORECASE)
_WHERE_IT_IS: Final = re.compile(r"\s*where (?:are|do|does|is) (?!i\b|we\b|you\b)", re.IGNORECASE)
_RUNS_TESTS: Final = re.compile(r"\brun(?:ning)? (?:\w+ ){0,3}tests?\b", re.IGNORECASE)
_ASKS_FOR: Final = {
    FileRole.TEST: "test tests spec specs fixture fixtures mock mocks",
    FileRole.ASIDE: "example examples sample samples demo benchmark benchmarks vendor vendored generated legacy",
}
_NAMES_OF_DOCUMENTS: Final = "changelog changelogs doc docs documentation documented guide guides manual readme wiki"
_ASKING_STEMS: Final = {role: frozenset(map(stem, words.split())) for role, words in _ASKS_FOR.items()}
_DOCUMENT_STEMS: Final = frozenset(map(stem, _NAMES_OF_DOCUMENTS.split()))


@lru_cache(maxsize=8_192)
def role_of(path: bytes, language: str) -> FileRole:
    """Return the role of a file. Being a test decides first: the test of an example is a test."""
    if is_test(path):
        return FileRole.TEST
    if language in _DOCUMENTS:
        return FileRole.DOCUMENT
    if language in _DATA:
        return FileRole.DATA
    *directories, name = path.split(b"/")
    if _ASIDE_NAME.fullmatch(name.rpartition(b".")[0]) or _ASIDE_DIRECTORIES.intersection(
        part.lower() for part in directories
    ):
        return FileRole.ASIDE
    return FileRole.SOURCE


def role_of_definition(path: bytes, language: str, kind: str, qualified: str) -> FileRole:
    """Return the role of a definition, or of a chunk by its kind and symbol: that of its file, or a test in source."""
    role = role_of(path, language)
    return FileRole.TEST if role is FileRole.SOURCE and is_test_in_source(language, kind, qualified) else role


def is_test_in_source(language: str, kind: str, qualified: str) -> bool:
    """Return True for a definition that is a test, wherever it is: a block of Zig, or what a module of Rust has."""
    if kind == "test":
        return True
    if language != "rust":
        return False
    *modules, name = qualified.split(".")
    return name.startswith("test_") or not _TEST_MODULES.isdisjoint((*modules, name))


def is_test(path: bytes) -> bool:
    """Return True if ``path`` looks like that of a test.

    A directory ``test`` inside a Python package often holds helpers that others write tests with, so there the name of
    the file decides. A shell script named ``test_...`` may be such a helper too, so there the directories decide.
    """
    *directories, name = path.split(b"/")
    if any(part.lower() in _TEST_DIRECTORIES or _TEST_SUITE.fullmatch(part) for part in directories):
        return True
    if _TEST_MODULE.fullmatch(name):
        return not directories or directories[-1].lower() not in _COMMANDS
    base = name.partition(b".")[0] if not name.endswith((b".test", b".spec")) else name
    is_named = bool(_TEST_NAME.fullmatch(name.rpartition(b".")[0] or name) or _TEST_NAME.fullmatch(base))
    if b"test" in (part.lower() for part in directories):
        return is_named or not name.endswith(b".py") or directories[0].lower() == b"test"
    return is_named and not name.endswith(_SCRIPTS)


def roles_asked_for(text: str, stems: Collection[str]) -> frozenset[FileRole]:
    """Return the roles that a question asks for: documents by its form ("how do I"), the others by its words.

    ``stems`` are those of the words in ``text``. How tests are collected is answered by source, not by tests, and how
    to run them by documents.
    """
    roles = {role for role, asking in _ASKING_STEMS.items() if not asking.isdisjoint(stems)}
    how_it_works, runs_tests = _HOW_IT_WORKS.match(text), _RUNS_TESTS.search(text)
    if how_it_works or runs_tests:
        roles.discard(FileRole.TEST)
    if _HOW_TO.match(text) or (runs_tests and not how_it_works):
        roles.add(FileRole.DOCUMENT)
    return frozenset(roles)


def roles_ruled_out(text: str, stems: Collection[str]) -> frozenset[FileRole]:
    """Return the roles whose files cannot answer a question: documents, if it asks how or where code does something.

    ``stems`` are those of the words in ``text``, which may ask for documents.
    """
    asks_for_code = _HOW_IT_WORKS.match(text) or _WHERE_IT_IS.match(text)
    if not asks_for_code or _HOW_TO.match(text) or not _DOCUMENT_STEMS.isdisjoint(stems):
        return frozenset()
    return frozenset({FileRole.DOCUMENT})


def older_versions(paths: Iterable[bytes]) -> frozenset[bytes]:
    """Return those of ``paths`` in a directory such as ``v1`` if others are in a later one (``v1.2``) beside it."""
    newest: dict[tuple[bytes, ...], list[int]] = {}
    versioned: list[tuple[bytes, tuple[bytes, ...], list[int]]] = []
    for path in paths:
        parts = tuple(path.split(b"/")[:-1])
        for depth, part in enumerate(parts):
            if match := _VERSION.fullmatch(part):
                version = list(map(int, match[1].split(b".")))
                versioned.append((path, parts[:depth], version))
                newest[parts[:depth]] = max(newest.get(parts[:depth], version), version)
    return frozenset(path for path, above, version in versioned if version < newest[above])


def versions_asked_for(text: str) -> frozenset[str]:
    """Return the versions that a text names, as directories have them: ``v1``, and ``v1.6`` for ``1.6`` as well."""
    return frozenset(f"v{version.removeprefix('v')}" for version in _TYPED_VERSION.findall(text.lower()))


def versions_in(path: bytes) -> frozenset[str]:
    """Return the names of the directories of a path that are versions, such as ``v1``."""
    return frozenset(part.decode() for part in path.split(b"/")[:-1] if _VERSION.fullmatch(part))
