"""Leaves the project's own name out of a question about it: ``how do I install flask`` is about installing.

Everything in a root is about the project, so its name tells no place from another, but vectors and rare words of
documents take it for the subject. With several roots, it says which of them is meant.
"""

from __future__ import annotations

import os
import re
from typing import Final

from codeindexd.search.file_roles import FileRole, roles_asked_for
from codeindexd.search.prepared_query import stems_of
from codeindexd.search.searchable_root import PinnedRoot

_SUFFIX: Final = re.compile(r"(?:\.git|[-_.](?:main|master|trunk|v?\d[\w.]*))+$", re.IGNORECASE)
_GENERIC: Final = frozenset({
    "api", "app", "application", "backend", "cli", "client", "code", "common", "core", "demo", "docs", "frontend",
    "lib", "library", "project", "repo", "server", "service", "site", "source", "src", "test", "tests", "tools", "web",
    "website", "work", "workspace",
})  # fmt: skip
"""Names of directories that are words of questions as well."""

LEAST_WORDS: Final = 3
"""Words of a question that remain at least."""

_CODE: Final = frozenset(
    {"class", "enum", "function", "interface", "macro", "module", "namespace", "object", "struct", "trait", "type"}
)


def without_project_name(pinned: PinnedRoot, question: str) -> str:
    """Return a question without the name of the root's directory; unchanged if the name may mean something in code.

    That is, if it is not in lower case, or if code defines exactly it, unless the question asks for documents, which
    explain the project as a whole. Unchanged as well if no other word of it occurs. Blocking.
    """
    name = _SUFFIX.sub("", os.fsdecode(pinned.root.spec.raw).rpartition("/")[2])
    if not name or name.lower() in _GENERIC:
        return question
    found = re.search(rf"(?<![\w./:@-]){re.escape(name)}(?![\w/:@-]|\.\w)", question, re.IGNORECASE)
    if found is None:
        return question
    rest = " ".join((question[: found.start()] + question[found.end() :]).split())
    asks_for_documents = FileRole.DOCUMENT in roles_asked_for(question, ())
    if len(rest.split()) < LEAST_WORDS or not (asks_for_documents or _says_nothing(pinned, found[0])):
        return question
    stems = stems_of(re.findall(r"\w+", rest.lower()))
    return rest if any(map(pinned.snapshot.lexical.document_frequency, stems)) else question


def _says_nothing(pinned: PinnedRoot, word: str) -> bool:
    if word != word.lower():
        return False
    defined = pinned.snapshot.catalog.definitions_named(word, accepts=lambda one: one.kind in _CODE)
    return all(one.definition.name != word for one in defined)
