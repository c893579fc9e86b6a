"""Files of many kinds with credentials: in usual places, and split by chunks, escapes or encodings."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from random import Random

from analysis.secrets import planted

Planted = dict[str, tuple[str, str]]

_SIZES = {2048: 1159, 4096: 2349}  # bytes of a private key by its bits


def kinds(seed: int) -> Planted:
    """Return a line of every kind, and the secret in it. Different seeds differ only in the secrets."""
    return planted.all_kinds(Random(seed))


def keys(seed: int) -> dict[int, list[str]]:
    """Return private keys by their bits: the lines between BEGIN and END."""
    random = Random(seed)
    return {bits: key_lines(random, size) for bits, size in _SIZES.items()}


def key_lines(random: Random, size: int, width: int = 64) -> list[str]:
    """Return a private key of ``size`` bytes in base64, split into lines.

    Slashes, which take two characters when escaped, are always in the same places.
    """
    body = base64.b64encode(random.randbytes(size)).decode().replace("/", "s")
    lines = [body[start : start + width] for start in range(0, len(body), width)]
    return [f"{line[:20]}/{line[21:]}" if len(line) > 40 else line for line in lines]


def everything(seed: int) -> dict[str, bytes]:
    """Return all files: every kind and every key in every place."""
    return files(kinds(seed)) | {
        f"key_{bits}_{name}": text for bits, lines in keys(seed).items() for name, text in key_files(lines).items()
    }


def secrets(seed: int) -> dict[str, str]:
    """Return what must never be seen of these files, by name.

    These are the secrets of every kind, and a piece of each line of the keys, plain and in base64.
    """
    found = {kind: secret for kind, (_, secret) in kinds(seed).items()}
    for bits, body in keys(seed).items():
        for number, line in enumerate(body):
            found[f"key of {bits} bits, line {number}"] = max(re.split("[+/=]", line), key=len)
        again = _encoded(_block(body))
        found |= {f"key of {bits} bits, encoded at {at}": again[at : at + 32] for at in range(64, len(again), 32)}
    return found


def files(lines: Planted) -> dict[str, bytes]:
    """Return the same lines in files of many kinds."""
    texts = [line for line, _ in lines.values()]
    functions = "\n\n".join(f"def use_{n}(Client, connect, config):\n    {line}" for n, line in enumerate(texts))
    long = "\n".join(f"{'# ' + 'word ' * (n % 23)}\n{line}" for n, line in enumerate(texts))
    return {
        "functions.py": functions.encode(),
        "settings.rb": "\n".join(texts).encode(),
        "values.yaml": "\n".join(texts).encode(),
        "service.env.example": "\n".join(texts).encode(),
        "notes.md": b"# Notes\n\n" + "\n\n".join(f"Then run:\n\n    {line}\n" for line in texts).encode(),
        "book.ipynb": notebook(texts).encode(),
        "wide.py": functions.encode("utf-16"),
        "latin.py": b"# -*- coding: latin-1 -*-\n# \xe9t\xe9\n" + functions.encode("latin-1"),
        "windows.cfg": "\r\n".join(texts).encode(),
        "borders.txt": long.encode(),
        "one_line.js": ("; ".join(f"f({json.dumps(line)})" for line in texts)).encode(),
        "diff.patch": "\n".join(f"+{line}" for line in texts).encode(),
    }


# (what comes first, a line of the key, what stands between lines, what comes last)
_FORMS = {
    "array.js": ("const pem = [\n", "  '{}'", ",\n", "].join('\\n');\n\nfunction sign(it) {\n  return it;\n}\n"),
    "concatenated.py": ("PEM = (\n", "    '{}\\n'", "\n", "\n)\n\n\ndef sign(it):\n    return it\n"),
    "Added.java": ("class A {\n  String pem =\n", '    "{}\\n"', " +\n", ";\n}\n"),
    "Calls.java": ("class A {\n  void load() {\n", '    text.append("{}\\n");', "\n", "\n  }\n}\n"),
    "literal.c": ("static const char *pem =\n", '"{}\\n"', "\n", ";\n\nint main(void) {\n  return 0;\n}\n"),
    "plus.php": ("<?php\n", "$pem .= '{}';", "\n", "\nsign($pem);\n"),
    "comment.c": ("/*\n", " * {}", "\n", "\n */\nint main(void) {\n  return 0;\n}\n"),
    "comment.py": ("import os\n\n", "# {}", "\n", "\n\n\ndef sign(it):\n    return it\n"),
    "comment.sql": ("", "-- {}", "\n", "\nSELECT 1;\n"),
    "text.go": ("package a\n\nvar pem = `", "{}", "\n", "`\n\nfunc Sign() {}\n"),
    "block.yaml": ("tls:\n  pem: |\n", "    {}", "\n", "\nnext: 1\n"),
    "added.patch": ("@@ -0,0 +1,9 @@\n", "+{}", "\n", "\n"),
    "quoted.md": ("# Notes\n\n", "> {}", "\n", "\n\nThat is all.\n"),
}


def _block(body: list[str]) -> list[str]:
    return ["-----BEGIN " + "RSA PRIVATE KEY-----", *body, "-----END " + "RSA PRIVATE KEY-----"]


def _encoded(block: list[str]) -> str:
    return base64.b64encode("\n".join(block).encode()).decode()


def key_files(body: list[str]) -> dict[str, bytes]:
    """Return a private key in sources: quoted, concatenated, commented out, cut off, escaped, in other encodings."""
    block = _block(body)
    texts = {
        name: head + between.join(map(form.format, block)) + tail
        for name, (head, form, between, tail) in _FORMS.items()
    }
    return {name: text.encode() for name, text in texts.items()} | {
        "wide.js": texts["array.js"].encode("utf-16"),
        "wide_big_endian.js": b"\xfe\xff" + texts["array.js"].encode("utf-16-be"),
        "windows.ts": texts["array.js"].replace("\n", "\r\n").encode(),
        "latin.py": ("# \xe9t\xe9\n" * 99 + texts["concatenated.py"]).encode("latin-1"),
        "cut_off.c": texts["comment.c"].replace(f" * {block[-1]}\n", "").encode(),
        "cut_on.c": texts["comment.c"].replace(f" * {block[0]}\n", "").encode(),
        "secret.yaml": f"data:\n  tls.key: {_encoded(block)}\n".encode(),
        "escaped.json": json.dumps({"pem": "\n".join(block)}).replace("/", "\\/").encode(),
    }


def notebook(cells: Iterable[str]) -> str:
    """Return a notebook with one code cell per line, and outputs that repeat it."""
    made = [
        {
            "cell_type": "code",
            "source": [f"x = {n}\n", line],
            "outputs": [{"output_type": "stream", "text": [line + "\n"]}],
            "metadata": {},
        }
        for n, line in enumerate(cells)
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
