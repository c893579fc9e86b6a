"""Files of many kinds with credentials in them: where people put them, and where a chunk, an escape or an encoding
comes in between."""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random

from support import planted

Planted = dict[str, tuple[str, str]]


def kinds(seed: int) -> Planted:
    """Every kind: a line, and the secret in it. Lines of different seeds differ in their secrets only."""
    return planted.all_kinds(Random(seed))


def files(lines: Planted) -> dict[str, bytes]:
    """The same lines in files of many kinds."""
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


def notebook(cells: Iterable[str]) -> str:
    """A notebook with one code cell a line, with outputs that repeat it."""
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
