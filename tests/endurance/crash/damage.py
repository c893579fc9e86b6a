"""Damage to the files of a stopped daemon, as caused by failing disks, power losses and people."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Harm:
    """One kind of damage to one file; ``seed`` says where."""

    kind: str
    file: str  # relative to the home
    seed: int

    def __str__(self) -> str:
        return f"{self.kind} {self.file} ({self.seed})"


def _truncate_to(share: float) -> Callable[[Path, random.Random, Path], bool]:
    def truncate(path: Path, chance: random.Random, older: Path) -> bool:
        size = path.stat().st_size
        os.truncate(path, int(size * share) if share < 1 else max(0, size - 1))
        return size > 0

    return truncate


def _zero(path: Path, chance: random.Random, older: Path) -> bool:
    content = bytearray(path.read_bytes())
    at = chance.randrange(0, max(1, len(content)), _BLOCK)
    before = bytes(content[at : at + _BLOCK])
    content[at : at + _BLOCK] = bytes(len(before))
    path.write_bytes(content)
    return any(before)


def _flip(path: Path, chance: random.Random, older: Path) -> bool:
    content = bytearray(path.read_bytes())
    if not content:
        return False
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return True


def _delete(path: Path, chance: random.Random, older: Path) -> bool:
    path.unlink()
    return True


def _older(path: Path, chance: random.Random, older: Path) -> bool:
    if not older.exists() or older.read_bytes() == path.read_bytes():
        return False
    shutil.copyfile(older, path)
    return True


KINDS: dict[str, Callable[[Path, random.Random, Path], bool]] = {
    "empty": _truncate_to(0.0),
    "halve": _truncate_to(0.5),
    "last byte": _truncate_to(1.0),
    "zero a block": _zero,
    "flip a bit": _flip,
    "delete": _delete,
    "older copy": _older,
}


def store_of(file: str) -> str:
    """Return the store that a file belongs to: the row of the table."""
    name = file.rpartition("/")[2]
    if "/lexical/" in file:
        return "lexical " + ("meta.json" if name == "meta.json" else name if name[0] == "." else "segments")
    if "/dense/" in file:
        return (
            "dense " + name.partition("-")[0].partition(".")[0] + (" " + name.rpartition(".")[2] if "-" in name else "")
        )
    if name.startswith(("catalog.db", "vectors.db", "roots")):
        return name
    return "state and marks"


def files_of(home: Path) -> Iterator[str]:
    """Return every file that a stopped daemon needs, relative to its home, without log, lock and configuration."""
    for top in ("cache", "state"):
        for path in sorted((home / top).rglob("*")):
            of_no_use = path.name in ("lock", "CACHEDIR.TAG") or path.suffix == ".log" or ".broken-" in path.name
            if path.is_file() and not of_no_use:
                yield str(path.relative_to(home))


def inflict(harm: Harm, home: Path, older: Path) -> bool:
    """Apply the damage; return False if it changes nothing (zeros were zeros already, or there is no older copy)."""
    return KINDS[harm.kind](home / harm.file, random.Random(harm.seed), older / harm.file)
