"""Detects a file's language by its name and its first line."""

from __future__ import annotations

import re

from codeindexd.analysis.chunking.language_names import BY_EXTENSION, BY_INTERPRETER, BY_NAME, BY_PREFIX

_SHEBANG = re.compile(rb"^#!\s*(?:\S*/)?([A-Za-z0-9_.+-]+)((?:\s+\S+)*)")
_VERSION = re.compile(r"[\d.]+$")
_MODELINE = re.compile(rb"-\*-\s*(?:.*?\bmode:\s*)?([A-Za-z+#-]+)\s*(?:;.*)?-\*-")
_MODES = {
    "c++": "cpp",
    "sh": "bash",
    "shell-script": "bash",
    "emacs-lisp": "elisp",
    "lisp": "commonlisp",
    "js": "javascript",
    "cperl": "perl",
    "tcl": "tcl",
}
_ALIASES = {
    "c#": "csharp",
    "common-lisp": "commonlisp",
    "docker": "dockerfile",
    "emacs-lisp": "elisp",
    "f#": "fsharp",
    "golang": "go",
    "ipython": "python",
    "javascriptreact": "javascript",
    "mysql": "sql",
    "objective-c": "objectivec",
    "plpgsql": "sql",
    "postgresql": "sql",
    "pycon": "python",
    "python-console": "python",
    "sagemath": "python",
    "shell": "bash",
    "typescriptreact": "tsx",
    "viml": "vim",
    "vimscript": "vim",
}
"""Other names of languages, apart from our names for them and file extensions."""


def detect(path: bytes, first_line: bytes = b"") -> str:
    """Return the name of a file's language (``python``, ``csharp``, ...), "" for plain text or an unknown language.

    Tries the whole file name (``Makefile``), the longest known extension (``.d.ts`` before ``.ts``), a ``#!`` line, and
    an editor's ``-*- mode -*-``, in this order. ``.h`` counts as C; whether it is C++ depends on the content, which
    the chunker checks.
    """
    name = path.rpartition(b"/")[2].decode("utf-8", "replace")
    language = BY_NAME.get(name) or BY_NAME.get(name.lower())
    if language is not None:
        return language
    lowered = name.lower()
    at = lowered.find(".", 1)
    while at >= 0:
        language = BY_EXTENSION.get(name[at + 1 :]) or BY_EXTENSION.get(lowered[at + 1 :])
        if language is not None:
            return language
        at = lowered.find(".", at + 1)
    return _by_prefix(lowered) or _by_first_line(first_line[:300])


def _by_prefix(name: str) -> str:
    stem = name.partition(".")[0]
    return BY_PREFIX.get(stem, "") if stem != name else ""


def _by_first_line(line: bytes) -> str:
    """Return the language that an interpreter, an opening tag or an editor's mode names; "" if there is none."""
    match = _SHEBANG.match(line)
    if match:
        program = match[1].decode()
        if program == "env":
            words = [word for word in match[2].decode("utf-8", "replace").split() if "=" not in word]
            program = next((word for word in words if not word.startswith("-")), "").rpartition("/")[2]
        return BY_INTERPRETER.get(program) or BY_INTERPRETER.get(_VERSION.sub("", program), "")
    if line.startswith(b"<?php"):
        return "php"
    if line.startswith(b"<?xml"):
        return "xml"
    if line[:14].lower() == b"<!doctype html":
        return "html"
    mode = _MODELINE.search(line)
    if mode:
        word = mode[1].decode().lower()
        word = _MODES.get(word, word)
        return word if word in _KNOWN else ""
    return ""


def language_named(name: str) -> str:
    """Return the language that people and tools call ``name`` (``py3``, ``C++17``, ``R``), "" if it is unknown."""
    lowered = name.strip().lower()
    for candidate in (lowered, _VERSION.sub("", lowered)):
        found = _ALIASES.get(candidate) or BY_EXTENSION.get(candidate) or candidate
        if found in known_languages():
            return found
    return ""


_KNOWN = frozenset(BY_EXTENSION.values()) | frozenset(BY_NAME.values())


def known_languages() -> frozenset[str]:
    """Return all language names that :func:`detect` can return, except ""."""
    return _KNOWN | frozenset(BY_INTERPRETER.values())
