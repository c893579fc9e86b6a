"""A repository with a history as large as that of an operating system, made in seconds by ``git fast-import``."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

_DIRECTORIES = 3000
_BRANCHES, _MERGES = 6, 0  # of every twelve commits
_BEGAN = 1_100_000_000
_WORDS = Path(__file__).read_text().split()  # of a program, as good as any


def make(directory: Path, commits: int, files: int) -> None:
    """Make a bare repository: ``files`` in 3,000 directories, changed by ``commits``, of which one in twelve merges."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(directory)], check=True)
    process = subprocess.Popen(
        ["git", f"--git-dir={directory}", "fast-import", "--quiet", "--depth=20"], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    for part in _stream(commits, files):
        process.stdin.write(part)
    process.stdin.close()
    assert process.wait() == 0


def _stream(commits: int, files: int) -> Iterator[bytes]:
    chance = random.Random(1)
    paths = [path_of(number) for number in range(files)]
    yield _commit(1, "Import the sources")
    for number, path in enumerate(paths):
        yield b"M 100644 inline %s\n" % path + _data(_content(number, 0))
    main, side = 1, 0
    for mark in range(2, commits + 1):
        subject = " ".join(chance.choices(_WORDS, k=7))
        body = "\n".join(" ".join(chance.choices(_WORDS, k=12)) for _ in range(chance.randrange(1, 12)))
        place = mark % 12
        yield _commit(mark, f"{subject}\n\n{body}\n", main, branch=b"side" if place == _BRANCHES else b"main")
        if place == _MERGES and side:
            yield b"merge :%d\n" % side
        else:
            for _ in range(chance.choice((1, 1, 2, 3))):
                number = chance.randrange(files)
                yield b"M 100644 inline %s\n" % paths[number] + _data(_content(number, mark))
        if place == _BRANCHES:
            side = mark
        else:
            main = mark


def path_of(number: int) -> bytes:
    """Return the path of a file."""
    directory = number % _DIRECTORIES
    return b"area%d/part%d/unit%d/source_%d.c" % (directory % 20, directory % 250, directory, number)


def _content(number: int, version: int) -> bytes:
    functions = (
        b"static int step_%d_%d(struct device *dev)\n{\n\tint value = %d;\n\n\treturn value;\n}\n\n"
        % (number, part, version if part == version % 5 else 0)
        for part in range(5)
    )
    return b"".join(functions)


def _commit(mark: int, message: str, parent: int = 0, *, branch: bytes = b"main") -> bytes:
    person = b"Author %d <author%d@example.org> %d +0100" % (mark % 4000, mark % 4000, _BEGAN + 400 * mark)
    head = b"commit refs/heads/%s\nmark :%d\nauthor %s\ncommitter %s\n" % (branch, mark, person, person)
    return head + _data(message.encode()) + (b"from :%d\n" % parent if parent else b"")


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
