"""Saves as people and their editors make them, such that files neither grow nor shrink much over a month."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from pathlib import Path

from endurance.soak.places import text_files

_WORD = re.compile(r"\b[a-z_]{4,}\b")
_REFRESH_EVERY = 40
_GONE = _MADE = 50


class Editor:
    """Edits the files of some roots; ``counts`` says what was done."""

    def __init__(self, roots: list[Path], chosen: random.Random, counts: Counter[str]) -> None:
        self._roots = roots
        self._random = chosen
        self._counts = counts
        self._files: dict[Path, list[Path]] = {}
        self._first_size: dict[Path, int] = {}
        self._made: list[Path] = []
        self._removed: list[tuple[Path, bytes]] = []
        self._number = 0

    def forget(self, root: Path) -> None:
        """Forget the known files of ``root``, because they changed."""
        self._files.pop(root, None)

    def save(self) -> None:
        """Save somewhere: in place, over a temporary file, appended; sometimes create or delete a file."""
        self._number += 1
        root = self._random.choice(self._roots)
        if self._number % _REFRESH_EVERY == 0:
            self.forget(root)
        files = self._files.get(root)
        if files is None:
            files = self._files[root] = sorted(text_files(root), key=lambda path: path.stat().st_size)
        dice = self._random.random()
        # one save in ten is in one of the largest files
        low = 0.95 if self._random.random() < 0.1 else 0.0
        path = files[min(len(files) - 1, int(self._random.uniform(low, 1.0) * len(files)))]
        try:
            if dice < 0.04:
                self._come_or_go(path, may_go=len(self._removed) < min(_GONE, len(files) // 10))
            else:
                self._change(path, dice)
        except FileNotFoundError:  # it went with a branch or a directory
            self.forget(root)

    def _come_or_go(self, path: Path, *, may_go: bool) -> None:
        if self._removed and self._random.random() < 0.5:
            place, data = self._removed.pop()
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            self._counts["files restored"] += 1
        elif len(self._made) > _MADE:
            self._made.pop(0).unlink(missing_ok=True)
            self._counts["files deleted"] += 1
        elif self._random.random() < 0.5:
            fresh = path.with_name(f"fresh_{self._number}.py")
            fresh.write_text(f"def fresh_{self._number}():\n    return {self._random.random()}\n")
            self._made.append(fresh)
            self._counts["files created"] += 1
        elif may_go:
            self._removed.append((path, path.read_bytes()))
            path.unlink()
            self._counts["files deleted"] += 1

    def _change(self, path: Path, dice: float) -> None:
        before = path.read_text(encoding="utf-8", errors="surrogateescape")
        size = self._first_size.setdefault(path, len(before))
        after = self._edited(before, size)
        self._counts["saves"] += 1
        if dice < 0.5:
            path.write_text(after, encoding="utf-8", errors="surrogateescape")
        elif dice < 0.93 or len(before) > 1.2 * size:
            beside = path.with_name(f".{path.name}.{self._number}.swp")
            beside.write_text(after, encoding="utf-8", errors="surrogateescape")
            beside.replace(path)
        else:
            with path.open("a") as file:
                file.write(f"\n# note {self._number}\n")

    def _edited(self, text: str, first_size: int) -> str:
        lines = text.splitlines(keepends=True) or ["\n"]
        for _ in range(self._random.randint(1, 3)):
            at = self._random.randrange(len(lines))
            span = self._random.randint(1, 8)
            dice = self._random.random()
            if dice < 0.5:
                lines[at] = _WORD.sub(lambda found: f"{found[0]}_{self._number % 97}", lines[at], count=1)
            elif dice < 0.75 if len(text) <= first_size else dice < 0.55:
                copied = [_WORD.sub("renamed", line, count=1) for line in lines[at : at + span]]
                lines[at:at] = copied
            else:
                del lines[at : at + span]
                lines = lines or ["\n"]
        return "".join(lines)

    def rename_directory(self, root: Path) -> None:
        """Rename a directory with some files, or give it its old name back."""
        directories = [Path(place) for place, names, files in os.walk(root) if 2 < len(files) < 80 and not names]
        directories = [place for place in directories if place != root and ".git" not in place.parts]
        if not directories:
            return
        place = self._random.choice(directories)
        name = place.name.removesuffix("_moved") if place.name.endswith("_moved") else f"{place.name}_moved"
        if not place.with_name(name).exists():
            place.rename(place.with_name(name))
            self._counts["directories renamed"] += 1
            self.forget(root)
