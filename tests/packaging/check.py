#!/usr/bin/env python3
"""Build the packages as a release would, check what is in them, install them in fresh environments, and ask a question.

python tests/packaging/check.py [--python PYTHON ...] [--no-install] [--keep DIRECTORY]

The wheel is built from the sdist, so a file that the sdist lacks fails here. Without ``--python``, the wheel is
installed for every Python from 3.11 on that is on this machine, in environments that uv makes if it is there, and
otherwise venv and pip.
Needs the extra [release]; the installation needs a package index.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
SIZE_TOLERANCE = 0.05  # between versions of Python and of dependencies
VERSIONS = ("3.11", "3.12", "3.13")
ENDPOINT = "http://127.0.0.1:9/v1/embeddings#model"


def main() -> int:
    """Run all checks; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", metavar="PYTHON", help="install for this one (repeatable)")
    parser.add_argument("--no-install", action="store_true", help="only build and look")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="put the packages here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = args.keep or Path(temporary)
        wheel, sdist = build(directory)
        run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
        problems = [
            *check_contents(HERE / "wheel.txt", wheel_names(wheel)),
            *check_contents(HERE / "sdist.txt", sdist_names(sdist)),
            *check_metadata(wheel),
        ]
        for problem in problems:
            print(f"PROBLEM {problem}")
        if problems:
            return 1
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {sdist.name}: {sdist.stat().st_size / 1e6:.1f} MB")
        if not args.no_install:
            for python in args.python or pythons():
                check_installed(wheel, python)
    return 0


def build(directory: Path) -> tuple[Path, Path]:
    """Build both packages, the wheel from the sdist; return their paths."""
    run(sys.executable, "-m", "build", "--installer", installer(), "--outdir", directory, PROJECT)
    [wheel], [sdist] = directory.glob("*.whl"), directory.glob("*.tar.gz")
    return wheel, sdist


def wheel_names(wheel: Path) -> list[str]:
    """Return the names of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def sdist_names(sdist: Path) -> list[str]:
    """Return the names of the files in an sdist, without the directory that all are in."""
    with tarfile.open(sdist) as archive:
        return [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]


def check_contents(listing: Path, names: Sequence[str]) -> list[str]:
    """Return where the files of a package differ from a listing: one pattern a line, ``!`` forbids, # is a comment."""
    lines = [line.strip() for line in listing.read_text().splitlines()]
    patterns = [line for line in lines if line and not line.startswith(("#", "!"))]
    forbidden = [line[1:].strip() for line in lines if line.startswith("!")]
    problems = [
        f"{listing.name} forbids {name} ({pattern})"
        for name in names
        for pattern in forbidden
        if fnmatch.fnmatchcase(name, pattern)
    ]
    problems += [f"{listing.name} does not expect {name}" for name in names if not matches(name, patterns)]
    problems += [
        f"nothing matches {pattern} of {listing.name}" for pattern in patterns if not fnmatch.filter(names, pattern)
    ]
    return problems


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return True if a name matches one of the patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def check_metadata(wheel: Path) -> list[str]:
    """Return what is wrong in the metadata: versions that differ, and links that are dead on the package index."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(name).decode()
    head, _, readme = text.partition("\n\n")
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    module = re.search(r'__version__ = "(.+)"', (PROJECT / "daemon/codeindexd/__init__.py").read_text())
    problems = []
    if module is None or module[1] != version:
        problems.append(f"pyproject.toml says version {version}, codeindexd/__init__.py another")
    if f"\nVersion: {version}\n" not in head:
        problems.append(f"the wheel is not of version {version}")
    links = re.findall(r"\]\(([^)\s]+)", re.sub(r"(?s)```.*?```", "", readme))
    problems += [f"a link is relative on the package index: {link}" for link in links if not is_absolute(link)]
    if not links:
        problems.append("the description has no links, so it is not the README")
    if "Requires-Dist: httpx" in re.sub(r"(?m)^.*; extra == .*$", "", head):
        problems.append("httpx is required without the extra [endpoint]")
    return problems


def is_absolute(link: str) -> bool:
    """Return True if a link works on any page."""
    return link.startswith(("https://", "#"))


# -- installing ------------------------------------------------------------------------------------------------------


def uv() -> list[str]:
    """Return the command of uv, [] if it is not there."""
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return [found] if found else []


def installer() -> str:
    """Return what ``build`` should install with."""
    return "uv" if uv() else "pip"


def pythons() -> list[str]:
    """Return the interpreters of this machine, one for each version."""
    found = {}
    for version in VERSIONS:
        candidates = [
            shutil.which(f"python{version}"),
            *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
        ]
        for candidate in filter(None, candidates):
            done = subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False)
            if done.returncode == 0:
                found.setdefault(version, candidate)
    return list(found.values()) or [sys.executable]


def check_installed(wheel: Path, python: str) -> None:
    """Install the wheel in a fresh environment; index a file, and find it. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory(prefix="cix") as temporary:  # a short path, since it has a socket
        home = Path(temporary)
        environment = home / "venv"
        if uv():
            run(*uv(), "venv", "--quiet", "--python", python, environment)
            run(*uv(), "pip", "install", "--quiet", "--python", environment / "bin/python", wheel)
        else:
            run(python, "-m", "venv", environment)
            run(environment / "bin/pip", "install", "--quiet", "--disable-pip-version-check", wheel)
        ask(home, environment / "bin")


def ask(home: Path, programs: Path) -> None:
    """Ask an installed program, which starts its daemon. Raises CalledProcessError and AssertionError."""
    environ = {"HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin", "XDG_RUNTIME_DIR": str(home / "run")}
    (home / "run").mkdir(mode=0o700)
    (home / "code").mkdir()
    (home / "code/auth.py").write_text("def check_password(given):\n    return given == stored\n")

    def codeindex(*words: str) -> str:
        done = subprocess.run(
            [programs / "codeindex", *words],
            env=environ,
            cwd=home / "code",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"codeindex {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    try:
        found = json.loads(codeindex("search", "--add", "--json", "is the password right"))
        assert found["hits"][0]["symbol"] == "check_password"
        version = codeindex("--version").split()[1]
        page = (programs.parent / "share/man/man1/codeindex.1").read_text()
        assert f'"codeindexd {version}"' in page
        check = subprocess.run(
            [programs / "python", "-c", "import importlib.util as u; print(u.find_spec('httpx'))"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert check.stdout.strip() == "None", "httpx was installed without the extra [endpoint]"
        codeindex("stop")
        environ["CODEINDEXD_EMBEDDING_MODEL"] = ENDPOINT
        refused = subprocess.run(
            [programs / "codeindex", "status"], env=environ, capture_output=True, text=True, check=False
        )
        assert refused.returncode, refused.stdout
        assert "pip install 'codeindexd[endpoint]'" in refused.stderr, refused.stderr
    finally:
        subprocess.run([programs / "codeindex", "stop"], env=environ, capture_output=True, check=False)
    files = [
        path for path in (programs.parent / "lib").rglob("*") if "__pycache__" not in path.parts and path.is_file()
    ]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    python = subprocess.run([programs / "python", "-V"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{python}: installed and asked; {megabytes:.0f} MB without bytecode", flush=True)
    stated = re.search(r"(\d+) MB in all", (PROJECT / "docs/install.md").read_text())
    assert stated is not None
    assert abs(megabytes - int(stated[1])) <= SIZE_TOLERANCE * megabytes, "docs/install.md states another size"


def run(*command: str | Path) -> None:
    """Run a command. Raises CalledProcessError."""
    print("$", *command, flush=True)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
