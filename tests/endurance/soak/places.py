"""The roots of the month: copies of the Python code installed here, laid out as one user's projects."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

_TEXT = {
    *(".py", ".pyi", ".pyx", ".md", ".rst", ".txt", ".toml", ".cfg", ".ini", ".json", ".yaml", ".yml", ".js"),
    *(".css", ".html", ".c", ".h", ".hpp", ".cpp", ".sh", ".sql"),
}
_LARGEST = 400_000
_SERVICE_FILES = 2_500
_OF_ONE_PACKAGE = 6_000
_GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "gc.auto=0", "-c", "core.hooksPath=")


@dataclass(frozen=True)
class Package:
    """An installed package: its directory and its files of text, relative to it."""

    directory: Path
    files: tuple[Path, ...]

    def copy(self, target: Path, limit: int = _OF_ONE_PACKAGE) -> int:
        """Copy (the first ``limit`` files of) the package below ``target``, and return how many files."""
        for relative in self.files[:limit]:
            place = target / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.directory / relative, place)
        return len(self.files[:limit])


@dataclass
class Places:
    """The roots: a ``library``, a ``monolith``, a ``service`` under git; and ``packages`` left for installing."""

    base: Path
    library: Path
    monolith: Path
    service: Path
    packages: list[Package] = field(default_factory=list)

    @property
    def roots(self) -> list[Path]:
        """The roots that stay all month."""
        return [self.library, self.monolith, self.service]

    def git(self, *arguments: str) -> bool:
        """Run git in the service; return True if it succeeded."""
        done = subprocess.run([*_GIT, *arguments], cwd=self.service, capture_output=True, check=False)
        return done.returncode == 0


def text_files(root: Path) -> list[Path]:
    """Return the files below ``root`` that somebody might edit, in a fixed order, without caches and stores."""
    found = []
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in ("__pycache__", "site-packages", ".git", ".venv"))
        place = Path(directory)
        for name in sorted(files):
            if Path(name).suffix in _TEXT and (place / name).stat().st_size <= _LARGEST:
                found.append(place / name)
    return found


def installed_packages() -> list[Package]:
    """Return every installed package of some size, the largest first."""
    found = []
    for directory in sorted(Path(sysconfig.get_path("purelib")).iterdir()):
        if directory.is_dir() and directory.name != "__pycache__" and not directory.name.endswith("-info"):
            files = tuple(path.relative_to(directory) for path in text_files(directory))
            if len(files) >= 40:
                found.append(Package(directory, files))
    return sorted(found, key=lambda package: (-len(package.files), package.directory.name))


def lay_out(base: Path, files: int, chosen: random.Random, library: int = _OF_ONE_PACKAGE) -> Places:
    """Copy about ``files`` files into the three roots, at most ``library`` of them into the library.

    The service becomes a repository with one commit.
    """
    places = Places(base, base / "library", base / "monolith", base / "service")
    standard = Path(sysconfig.get_path("stdlib"))
    modules = Package(standard, tuple(path.relative_to(standard) for path in text_files(standard)))
    left = files - modules.copy(places.library, library)
    packages = installed_packages()
    spare = packages[1::3]  # some of all sizes are left for installing
    service = min(_SERVICE_FILES, left // 3)
    left -= service
    for package in packages:
        if package not in spare and left > 0:
            left -= package.copy(places.monolith / package.directory.name, min(left, _OF_ONE_PACKAGE))
    for package in reversed(packages):
        if service > 0:
            service -= package.copy(places.service / "src" / package.directory.name, service)
    places.packages = spare
    chosen.shuffle(places.packages)
    places.git("init", "-q", "-b", "main")
    places.git("add", "-A")
    places.git("commit", "-q", "-m", "first")
    return places
