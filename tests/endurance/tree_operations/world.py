"""A real directory tree that random operations are done to, and the dice that decide everything about them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from endurance.tree_operations import contents

MAX_FILE_BYTES = 64 << 10
"""What the daemons of a trial take for oversized, so that oversized files cost little."""

_NAMES = b"alpha beta gamma delta core util main index test view model app src lib doc api".split()
_HIDING_NAMES = b"build node_modules vendor dist .hidden __pycache__ target .github".split()
_ODD_NAMES = (
    b"new\nline",
    b"tab\there",
    b"bell\x07",
    b"quote'\"s",
    b"back\\slash",
    b"star*[x]?",
    b" spaces ",
    b"#hash",
    b"!bang",
    b"-dash",
    b"~tilde",
    b"%41;$HOME`id`",
    "größe".encode(),
    "\U0001f600".encode(),
    "e\u0301".encode(),
    "\u00e9".encode(),
    "漢字".encode(),
    "\u202eright".encode(),
    b"n" * 200,
)


class RefusedError(Exception):
    """An operation does not apply to the tree as it is."""


@dataclass
class World:
    """The tree at ``root`` (absolute), a place beside it for what is moved out, and what was done.

    Everything random comes from ``random``; what an operation sees of the disk is sorted. So the same seed does the
    same to the tree, whatever the daemon makes of it.
    """

    root: bytes
    outside: bytes
    random: Random
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    mounted: bool = False
    moved_device: bool = False  # since the last burst: an empty directory would be taken for a mount point
    closed: list[bytes] = field(default_factory=list)  # chmod 000
    linked: dict[bytes, int] = field(default_factory=dict)  # hard links made since the last burst, and their inodes
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1 << 60)))

    @classmethod
    def make(cls, place: Path, seed: int) -> World:
        """An empty world in ``place``."""
        for name in ("root", "outside", "home"):
            (place / name).mkdir(parents=True)
        return cls(os.fsencode(place / "root"), os.fsencode(place / "outside"), Random(seed))

    def at(self, path: bytes) -> bytes:
        """The absolute path of ``path`` below the root."""
        return self.root + b"/" + path if path else self.root

    # what is there

    def walk(self) -> Iterator[tuple[bytes, list[bytes], list[bytes]]]:
        """(directory, names of directories, other names) below the root, git's own directories left out, sorted."""
        for top, directories, names in os.walk(self.root):
            directories[:] = sorted(name for name in directories if name != b".git")
            yield top[len(self.root) + 1 :], directories, sorted(names)

    def directories(self) -> list[bytes]:
        """Every directory below the root, the root first."""
        return [top for top, _, _ in self.walk()]

    def files(self) -> list[bytes]:
        """Every regular file below the root."""
        return [
            path
            for top, _, names in self.walk()
            for name in names
            if stat.S_ISREG(os.lstat(self.at(path := join(top, name))).st_mode)
        ]

    # choices

    def file(self) -> bytes:
        """Some regular file. Raises RefusedError when there is none."""
        return self.one(self.files())

    def directory(self) -> bytes:
        """Some directory, often the root."""
        return b"" if self.random.random() < 0.2 else self.one(self.directories())

    def subdirectory(self) -> bytes:
        """Some directory that is not the root. Raises RefusedError when there is none."""
        return self.one(self.directories()[1:])

    def one(self, choices: list[bytes]) -> bytes:
        """One of ``choices``. Raises RefusedError when there is none."""
        if not choices:
            raise RefusedError
        return self.random.choice(choices)

    def name(self) -> bytes:
        """A name for a directory: few different ones, so that they meet again, now and then an odd one."""
        dice = self.random.random()
        if dice < 0.03:
            return self.random.choice(_ODD_NAMES)
        if dice < 0.06:
            return self.random.choice(_HIDING_NAMES)
        name = self.random.choice(_NAMES)
        return name.capitalize() if dice > 0.95 else name

    def file_name(self) -> bytes:
        """A name for a file, with one of the known extensions, now and then without."""
        extension = self.random.choice(contents.EXTENSIONS)
        if self.random.random() < 0.03:
            return self.random.choice((b"Makefile", b"Dockerfile", b"README", b".env", b"id_rsa", b"package-lock.json"))
        return self.name() + self.random.choice((b"", b"", b"_1", b"_2", b"_3")) + b"." + extension

    def new_path(self, directory: bytes | None = None) -> bytes:
        """A place for a file, taken or not."""
        return join(self.directory() if directory is None else directory, self.file_name())

    def content(self, path: bytes) -> bytes:
        """Something to write into the file ``path``: mostly a source, sometimes broken, sometimes no source."""
        extension = path.rpartition(b".")[2]
        dice = self.random.random()
        if dice < 0.78:
            return contents.source(self.random, extension)
        if dice < 0.9:
            return contents.broken(self.random, extension)
        return contents.odd(self.random, extension, MAX_FILE_BYTES)

    # deeds

    def write(self, path: bytes, data: bytes | None = None, *, append: bool = False) -> None:
        """Write into a file below the root; new content by default."""
        write(self.at(path), self.content(path) if data is None else data, append=append)

    def read(self, path: bytes) -> bytes:
        """The bytes of a file below the root."""
        return Path(os.fsdecode(self.at(path))).read_bytes()

    def remove(self, path: bytes) -> None:
        """``rm -rf`` below the root."""
        remove(self.at(path))

    def git(self, directory: bytes, *arguments: str) -> None:
        """Run git in a directory below the root. Raises RefusedError when it fails (part of it may have happened)."""
        home = os.path.dirname(self.root) + b"/home"
        environment = {
            b"PATH": os.fsencode(os.environ["PATH"]),
            b"HOME": home,
            b"GIT_CONFIG_NOSYSTEM": b"1",
            b"GIT_AUTHOR_DATE": b"2020-01-01T00:00:00Z",
            b"GIT_COMMITTER_DATE": b"2020-01-01T00:00:00Z",
            b"GIT_EDITOR": b"true",
            b"LC_ALL": b"C",
        }
        settings = ("user.name=t", "user.email=t@example.invalid", "gc.auto=0", "protocol.file.allow=always")
        flags = [flag for setting in settings for flag in ("-c", setting)]
        done = subprocess.run(
            ["git", *flags, *arguments],
            cwd=self.at(directory),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=120,
        )
        if done.returncode:
            raise RefusedError(done.stderr.decode(errors="replace")[-200:])


def join(directory: bytes, name: bytes) -> bytes:
    """``name`` in ``directory``, below the root."""
    return directory + b"/" + name if directory else name


def remove(path: bytes) -> None:
    """``rm -rf`` of an absolute path that exists."""
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def write(path: bytes, data: bytes, *, append: bool = False) -> None:
    """Write into a file. Raises OSError also where a FIFO would have to wait for its reader."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | (os.O_APPEND if append else os.O_TRUNC)
    with os.fdopen(os.open(path, flags, 0o644), "wb") as file:
        file.write(data)
