"""ripgrep over the same files, and patterns made from their own text."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path


def lines_by_ripgrep(root: Path, pattern: str, flags: list[str]) -> set[tuple[str, int]]:
    """Return the path and line of every match in text files below ``root``, ignored and hidden ones included."""
    command = [
        "rg",
        "--no-config",
        "--no-ignore",
        "--hidden",
        "-n",
        "--null",
        "--no-heading",
        *flags,
        "-e",
        pattern,
        ".",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    assert done.returncode in (0, 1), (pattern, done.stderr)
    found = set()
    for row in done.stdout.split(b"\n"):  # a line may contain \r
        path, _, rest = row.partition(b"\0")
        if rest:  # else it is the note on a binary file
            found.add((path.decode().removeprefix("./"), int(rest.partition(b":")[0])))
    return found


def some_pattern(lines: list[str], chosen: random.Random) -> tuple[str, list[str], dict[str, bool]]:
    """Return a pattern made from a line of the files, with flags for ripgrep and the same for us."""
    line = chosen.choice(lines)
    start = chosen.randrange(len(line))
    piece = line[start : start + chosen.randrange(2, 25)]
    word = chosen.choice(re.findall(r"\w+", line) or ["x"])
    escaped = re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", piece)
    return chosen.choice(
        [
            (piece, ["-F"], {"fixed": True}),
            (piece, ["-F", "-i"], {"fixed": True, "ignore_case": True}),
            (escaped, [], {}),
            (f"{escaped}.*", ["-i"], {"ignore_case": True}),
            (word, ["-w"], {"word": True}),
            (rf"^\s*(?:{word}|import)\b", [], {}),
            (rf"{word}\w*\(.*\)", [], {}),
            (f"[{word[0]}x]{re.escape(word[1:])}", [], {}),
        ]
    )
