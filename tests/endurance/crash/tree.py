"""A real tree under version control, and edits of every kind to it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

_LARGEST = 8_000


def library_files(count: int) -> Iterator[Path]:
    """Return small sources of the standard library, relative to it, the same on every call."""
    library = Path(sysconfig.get_paths()["stdlib"])
    packages = ("asyncio", "collections", "concurrent", "curses", "dbm", "email", "encodings", "html", "http",
                "importlib", "json", "logging", "multiprocessing", "unittest", "urllib", "wsgiref", "xml")  # fmt: skip
    found = (path for package in packages for path in sorted((library / package).rglob("*.py")))
    small = (path.relative_to(library) for path in found if 0 < path.stat().st_size < _LARGEST)
    return (path for _, path in zip(range(count), small, strict=False))


class RealTree:
    """A git repository with two branches of a real tree; every edit is one a user or a tool makes."""

    def __init__(self, path: Path, chance: random.Random, *, files: int) -> None:
        """Copy ``files`` files and commit them on two branches that differ in every eighth."""
        self.path = path
        self.edits = 0
        self._chance = chance
        library = Path(sysconfig.get_paths()["stdlib"])
        for name in library_files(files):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(library / name, path / name)
        self._git("init", "-q", "-b", "one")
        self._commit()
        self._git("checkout", "-q", "-b", "two")
        for file in self._files()[::8]:
            self._append(file)
        self._files()[5].unlink()
        self._commit()

    def _git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "gc.auto=0", "-c", "core.fsync=none")
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        subprocess.run(["git", *identity, *arguments], cwd=self.path, check=True, env=environment, capture_output=True)

    def _commit(self) -> None:
        self._git("add", "-A")
        self._git("commit", "-q", "-m", "x")

    def _files(self) -> list[Path]:
        return sorted(path for path in self.path.rglob("*.py") if ".git" not in path.parts)

    # edits

    def edit(self) -> str:
        """Make one edit and say what it was."""
        self.edits += 1
        kinds: list[tuple[float, Callable[[Path], None]]] = [
            (8, self._append), (5, self._rewrite), (3, self._cut), (4, self._create), (3, self._delete),
            (3, self._rename), (2, self._copy), (1, self._rename_directory), (2, self._switch_branch),
            (3, self._commit_some), (1, self._amend), (1, self._reset), (0.2, self._collect_garbage),
        ]  # fmt: skip
        act = self._chance.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
        act(self._chance.choice(self._files()))
        return act.__name__.strip("_")

    def _function(self) -> str:
        number = self._chance.getrandbits(48)
        return f"\n\ndef made_{number:x}(first, second):\n    '''Number {number}.'''\n    return first * {number}\n"

    def _append(self, file: Path) -> None:
        with file.open("a") as out:
            out.write(self._function())

    def _rewrite(self, file: Path) -> None:
        """Write a new file and rename it over the old one, as editors do."""
        text = file.read_text(errors="replace").splitlines(keepends=True)
        at = self._chance.randrange(len(text) + 1)
        fresh = file.with_suffix(".tmp")
        fresh.write_text("".join([*text[:at], f"# {self._chance.getrandbits(40):x}\n", *text[at:]]))
        fresh.rename(file)

    def _cut(self, file: Path) -> None:
        os.truncate(file, file.stat().st_size // 2)

    def _create(self, file: Path) -> None:
        file.with_name(f"new_{self._chance.getrandbits(32):x}.py").write_text(self._function() * 3)

    def _delete(self, file: Path) -> None:
        if len(self._files()) > 100:
            file.unlink()
        else:
            self._create(file)

    def _rename(self, file: Path) -> None:
        file.rename(file.with_name(f"moved_{self._chance.getrandbits(32):x}.py"))

    def _copy(self, file: Path) -> None:
        shutil.copyfile(file, file.with_name(f"copy_{self._chance.getrandbits(32):x}.py"))

    def _rename_directory(self, file: Path) -> None:
        if file.parent == self.path:
            self._rename(file)
        else:
            file.parent.rename(file.parent.with_name(f"dir_{self._chance.getrandbits(32):x}"))

    def _commit_some(self, file: Path) -> None:
        self._append(file)
        self._git("add", str(file))  # it may be new, and nothing else be changed
        self._git("commit", "-q", "-m", f"Change {file.name}", "-m", f"Number {self._chance.getrandbits(32):x}.", "-a")

    def _amend(self, file: Path) -> None:
        self._append(file)
        self._git("commit", "-q", "-a", "--amend", "-m", f"Change {file.name} again")

    def _reset(self, _: Path) -> None:
        """Forget the last commit and keep its changes; never the first one, which both branches share."""
        commits = subprocess.run(
            ["git", "rev-list", "--count", "HEAD"], cwd=self.path, check=True, capture_output=True, text=True
        )
        if int(commits.stdout) > 2:
            self._git("reset", "-q", "--mixed", "HEAD~1")

    def _collect_garbage(self, _: Path) -> None:
        self._git("reflog", "expire", "--expire=now", "--all")
        self._git("gc", "-q", "--prune=now")

    def _switch_branch(self, _: Path) -> None:
        """Switch to the other branch, with everything in the way put aside first, as ``git stash`` would."""
        self._git("clean", "-fdq")
        self._git("checkout", "-q", "-f", self._chance.choice(("one", "two")))
