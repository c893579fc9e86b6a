"""What is written into files: sources of many languages, whole and broken, and everything that is no source.

Every text holds a marker, a word that is written once in a trial: who finds it knows which write he sees.
"""

from __future__ import annotations

import re
from random import Random

MARKER = re.compile(rb"zq[bcdfghjklmnprtvw]{7}x")
_WHOLE_MARKER = re.compile(rb"(?<![A-Za-z0-9])zq[bcdfghjklmnprtvw]{7}x(?![A-Za-z0-9])")
_CONSONANTS = "bcdfghjklmnprtvw"
_WORDS = """
parse open close merge split render connect retry account invoice packet cursor matrix socket buffer planet garden
weather ticket signal window bridge letter engine harbor market copper silver
""".split()  # noqa: SIM905 - a word a line is no better to read

_TEMPLATES: dict[bytes, str] = {
    b"py": "def @WORD_@MARK(value):\n    return value + @N\n\n\nclass @WORD@N:\n    @WORD = @N\n",
    b"js": "export function @WORD_@MARK(value) {\n  return value + @N;\n}\n\nconst @WORD@N = () => 1;\n",
    b"ts": "interface @WORD@N { name: string }\n\nfunction @WORD_@MARK(value: number): number {\n  return @N;\n}\n",
    b"go": "package @WORD\n\nfunc @WORD_@MARK(value int) int {\n\treturn value + @N\n}\n",
    b"rs": "pub fn @WORD_@MARK(value: i32) -> i32 {\n    value + @N\n}\n\nstruct @WORD@N;\n",
    b"java": "class @WORD@N {\n  int @WORD_@MARK(int value) {\n    return value + @N;\n  }\n}\n",
    b"c": "#include <stdio.h>\n\nint @WORD_@MARK(int value) {\n  return value + @N;\n}\n",
    b"rb": "def @WORD_@MARK(value)\n  value + @N\nend\n",
    b"php": "<?php\nfunction @WORD_@MARK($value) {\n  return $value + @N;\n}\n",
    b"sh": "@WORD_@MARK() {\n  echo @N\n}\n",
    b"sql": "CREATE TABLE @WORD_@MARK (id INTEGER PRIMARY KEY, @WORD TEXT);\nSELECT @N;\n",
    b"lua": "function @WORD_@MARK(value)\n  return value + @N\nend\n",
    b"kt": "fun @WORD_@MARK(value: Int): Int {\n    return value + @N\n}\n",
    b"hs": "module @WORD where\n\n@WORD_@MARK :: Int -> Int\n@WORD_@MARK value = value + @N\n",
    b"css": ".@WORD-@MARK {\n  margin: @Npx;\n}\n",
    b"html": "<html><body><h1>@WORD</h1><p>@MARK @N</p></body></html>\n",
    b"json": '{"@WORD": @N, "name": "@MARK"}\n',
    b"yaml": "@WORD:\n  name: @MARK\n  count: @N\n",
    b"toml": '[@WORD]\nname = "@MARK"\ncount = @N\n',
    b"md": "# The @WORD\n\nAbout @MARK and the @WORD of @N.\n\n## A @WORD\n\nMore of it.\n",
    b"txt": "the @WORD and the @WORD\n@MARK @N\n",
    b"ipynb": (  # joined to several, it is no notebook but text
        '{"cells": [\n {"cell_type": "code", "outputs": [{"text": ["@N"]}], "source": [\n'
        '  "def @WORD_@MARK(value):\\n",\n  "    return value + @N\\n"\n ]}\n],\n"nbformat": 4}\n'
    ),
    b"unknown": "@WORD @MARK @N\n",
}
EXTENSIONS = tuple(_TEMPLATES)


def new_marker(random: Random) -> bytes:
    """A word that occurs nowhere else, but for a chance of one in a hundred millions."""
    return b"zq" + "".join(random.choices(_CONSONANTS, k=7)).encode() + b"x"


def source(random: Random, extension: bytes, *, parts: int = 0) -> bytes:
    """A text in the language of ``extension`` with one marker in each of its ``parts`` (0: one to four)."""
    template = _TEMPLATES.get(extension, _TEMPLATES[b"txt"])
    return b"\n".join(_filled(random, template) for _ in range(parts or random.choice((1, 1, 2, 4))))


def _filled(random: Random, template: str) -> bytes:
    text = template.replace("@MARK", new_marker(random).decode()).replace("@N", str(random.randrange(1000)))
    while "@WORD" in text:
        text = text.replace("@WORD", random.choice(_WORDS), 1)
    return text.encode()


def broken(random: Random, extension: bytes) -> bytes:
    """A source that no parser likes: cut off, with brackets too many or with lines swapped."""
    text = source(random, extension, parts=3)
    how = random.randrange(3)
    if how == 0:
        return text[: random.randrange(1, len(text))]
    if how == 1:
        return b"}}]) {{{ def (((\n" + text
    lines = text.splitlines(keepends=True)
    random.shuffle(lines)
    return b"".join(lines)


def odd(random: Random, extension: bytes, limit: int) -> bytes:
    """What is no UTF-8 source: empty, binary, over ``limit`` bytes, UTF-16, latin-1, one endless line, CRLF, ..."""
    text = source(random, extension)
    return random.choice(
        (
            b"",
            b"\n" * random.randrange(1, 9),
            bytes(range(256)) * random.randrange(1, 9),
            text + b"x = 1\n" * (limit // 6 + 1),
            text.decode().encode("utf-16"),
            text.decode().encode("utf-16-le"),
            text + "größe café\n".encode("latin-1"),
            b"\xef\xbb\xbf" + text,
            text.replace(b"\n", b"\r\n"),
            text.replace(b"\n", b" ") * 50,
            text + b"\0\0\0",
            text + "漢字 \U0001f600 مرحبا ё\n".encode(),
        )
    )


def other_of_same_size(random: Random, data: bytes) -> bytes:
    """``data`` with its markers exchanged for new ones: another content of the same size."""
    return MARKER.sub(lambda _: new_marker(random), data)


def whole_markers(data: bytes) -> set[bytes]:
    """The markers in ``data`` that are words: cut off and appended to, one may stand in a longer word."""
    return set(_WHOLE_MARKER.findall(data))


def markers(data: bytes) -> set[bytes]:
    """The markers in ``data``, also where it is UTF-16."""
    return set(MARKER.findall(data)) | set(MARKER.findall(data.replace(b"\0", b"")) if b"\0" in data else ())
