"""Every kind of save that a file system allows, each with what answers must and must not show after it."""

from __future__ import annotations

import os
import random
import shutil
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from endurance.reads.journal import Journal

_FEWEST, _MOST = 3, 14
_HELD = 4
_FILLERS = ("value = value + 1", "items.append(value)", "return None", "print(value)", "for item in items: pass")


def new_word(chosen: random.Random) -> str:
    """Return a word that was never written before, always of the same length."""
    return "mk" + "".join(chosen.choices(string.ascii_lowercase, k=13))


@dataclass(frozen=True)
class Expectation:
    """What holds once a save is indexed: words with the files that must be found, and words that nothing contains."""

    kind: str
    present: tuple[tuple[str, str], ...] = ()
    absent: tuple[str, ...] = ()


@dataclass
class _File:
    words: list[str]
    data: bytes


@dataclass
class Area:
    """A directory of one writer below ``root``; every change is recorded in ``journal``. Not thread-safe."""

    root: Path
    name: str
    journal: Journal
    chosen: random.Random
    files: dict[str, _File] = field(default_factory=dict)
    number: int = 0
    held: list[FileIO] = field(default_factory=list)

    def step(self) -> Expectation:
        """Change something, in a way chosen at random."""
        if len(self.files) < _FEWEST:
            return self._create()
        if len(self.files) > _MOST:
            return self.chosen.choice([self._delete, self._delete_tree])()
        kinds: list[Callable[[], Expectation]] = [
            *(self._overwrite, self._replace, self._append, self._rename, self._create, self._delete),
            *(self._rename_directory, self._delete_tree, self._backdate, self._write_inside, self._hold_open),
            *(self._swap, self._shift, self._empty),
        ]
        return self.chosen.choice(kinds)()

    def close(self) -> None:
        """Close the files that are held open."""
        while self.held:
            self.held.pop().close()

    # texts

    def _text(self, words: list[str]) -> bytes:
        """Return a module of some functions, of which the first few contain the words; one in ten is long."""
        functions = self.chosen.randint(40, 120) if self.chosen.random() < 0.1 else self.chosen.randint(1, 8)
        bodies = []
        for number in range(max(functions, len(words))):
            body = self.chosen.choices(_FILLERS, k=self.chosen.randint(1, 9))
            name = (
                words[number] if number < len(words) else f"{self.chosen.choice(['load', 'store', 'check'])}_{number}"
            )
            bodies.append(f"def {name}(value, items):\n" + "".join(f"    {line}\n" for line in body))
        self.chosen.shuffle(bodies)
        gap = "\n" * self.chosen.randint(1, 3)
        return ("import os\n" + gap + gap.join(bodies)).encode()

    def _some(self) -> tuple[str, _File]:
        path = self.chosen.choice(sorted(self.files))
        return path, self.files[path]

    def _fresh_path(self) -> str:
        self.number += 1
        depth = self.chosen.choice([0, 0, 1, 3])
        below = "".join(f"d{self.number}_{level}/" for level in range(depth))
        return f"{self.name}/{below}f{self.number}.py"

    def _new_content(self) -> _File:
        word = new_word(self.chosen)
        return _File([word], self._text([word]))

    def _changed(self, kind: str, path: str, old: _File, new: _File) -> Expectation:
        self.files[path] = new
        return Expectation(
            kind, tuple((word, path) for word in new.words), tuple(word for word in old.words if word not in new.words)
        )

    # saves of one file

    def _create(self) -> Expectation:
        path, word = self._fresh_path(), new_word(self.chosen)
        new = _File([word], self._text([word]))
        with self.journal.change({path: new.data}):
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(new.data)
        return self._changed("create", path, _File([], b""), new)

    def _overwrite(self) -> Expectation:
        path, old = self._some()
        new = self._new_content()
        with self.journal.change({path: new.data}):
            (self.root / path).write_bytes(new.data)
        return self._changed("overwrite", path, old, new)

    def _replace(self) -> Expectation:
        path, old = self._some()
        new = self._new_content()
        beside = self.root / f"{path}.tmp~"
        beside.write_bytes(new.data)
        with self.journal.change({path: new.data}):
            beside.replace(self.root / path)
        return self._changed("replace", path, old, new)

    def _append(self) -> Expectation:
        path, old = self._some()
        word = new_word(self.chosen)
        more = f"\n\ndef {word}():\n    return {self.number}\n".encode()
        new = _File([*old.words, word], old.data + more)
        with self.journal.change({path: new.data}), (self.root / path).open("ab") as file:
            file.write(more)
        return self._changed("append", path, old, new)

    def _backdate(self) -> Expectation:
        """Write other bytes with the old size and the old mtime."""
        path, old = self._some()
        place = self.root / path
        before = place.stat()
        new = self._same_size(old)
        with self.journal.change({path: new.data}):
            place.write_bytes(new.data)
            os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
        return self._changed("backdate", path, old, new)

    def _write_inside(self) -> Expectation:
        """Overwrite a word in place, without truncating."""
        path, old = self._some()
        new = self._same_size(old)
        with self.journal.change({path: new.data}), (self.root / path).open("r+b") as file:
            file.write(new.data)
        return self._changed("write inside", path, old, new)

    def _hold_open(self) -> Expectation:
        """Write without closing."""
        path, old = self._some()
        new = self._new_content()
        with self.journal.change({path: new.data}):
            self.held.append((self.root / path).open("wb", buffering=0))
            self.held[-1].write(new.data)
        if len(self.held) > _HELD:
            self.held.pop(0).close()
        return self._changed("hold open", path, old, new)

    def _shift(self) -> Expectation:
        """Change the lines above the same bytes: turn text there into newlines, or back."""
        path, old = self._some()
        if not old.data.startswith((b"import os", b"#")):
            return self._overwrite()  # it was empty once, and has functions from the start
        head, rest = old.data[:8], old.data[8:]
        data = (b"#\n#\n#\n#\n" if head.count(b"\n") < 2 else b"#######\n") + rest
        new = _File(old.words, data)
        with self.journal.change({path: data}):
            (self.root / path).write_bytes(data)
        return self._changed("shift", path, old, new)

    def _empty(self) -> Expectation:
        path, old = self._some()
        with self.journal.change({path: b""}):
            (self.root / path).write_bytes(b"")
        return self._changed("empty", path, old, _File([], b""))

    def _same_size(self, old: _File) -> _File:
        words, data = [], old.data
        for word in old.words:
            words.append(new_word(self.chosen))
            data = data.replace(word.encode(), words[-1].encode())
        return _File(words, data)

    # names

    def _rename(self) -> Expectation:
        path, file = self._some()
        target = self._fresh_path()
        (self.root / target).parent.mkdir(parents=True, exist_ok=True)
        with self.journal.change({path: None, target: file.data}):
            (self.root / path).rename(self.root / target)
        del self.files[path]
        self.files[target] = file
        return Expectation("rename", tuple((word, target) for word in file.words))

    def _swap(self) -> Expectation:
        (one, first), (other, second) = (self._some() for _ in range(2))
        if one == other:
            return self._overwrite()
        aside = self.root / f"{one}.aside~"
        with self.journal.change({one: second.data, other: first.data}):
            (self.root / one).rename(aside)
            (self.root / other).rename(self.root / one)
            aside.rename(self.root / other)
        self.files[one], self.files[other] = second, first
        found = [(word, one) for word in second.words] + [(word, other) for word in first.words]
        return Expectation("swap", tuple(found))

    def _rename_directory(self) -> Expectation:
        directory = self._a_directory()
        if not directory:
            return self._rename()
        self.number += 1
        target = f"{self.name}/m{self.number}"
        moved = {path: target + path.removeprefix(directory) for path in self.files if path.startswith(f"{directory}/")}
        changes: dict[str, bytes | None] = dict.fromkeys(moved)
        changes |= {new: self.files[old].data for old, new in moved.items()}
        with self.journal.change(changes):
            (self.root / directory).rename(self.root / target)
        self.files |= {new: self.files.pop(old) for old, new in moved.items()}
        found = [(word, path) for path in moved.values() for word in self.files[path].words]
        return Expectation("rename directory", tuple(found))

    def _delete(self) -> Expectation:
        path, old = self._some()
        with self.journal.change({path: None}):
            (self.root / path).unlink()
        del self.files[path]
        return Expectation("delete", absent=tuple(old.words))

    def _delete_tree(self) -> Expectation:
        directory = self._a_directory()
        if not directory:
            return self._delete()
        gone = [path for path in self.files if path.startswith(f"{directory}/")]
        with self.journal.change(dict.fromkeys(gone)):
            shutil.rmtree(self.root / directory)
        words = [word for path in gone for word in self.files.pop(path).words]
        return Expectation("delete tree", absent=tuple(words))

    def _a_directory(self) -> str:
        """Return a directory below the area with files in it, or "" if there is none."""
        found = sorted({path.rpartition("/")[0] for path in self.files} - {self.name})
        return self.chosen.choice(found) if found else ""
