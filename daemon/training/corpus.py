"""Training texts from package archives: permissively licensed sources, cleaned, de-duplicated, without the benchmark.

    python -m training.corpus --archives DIR... --repositories DIR... --sources FILE --exclude-names FILE
        --exclude-content DIR --out corpus.jsonl

Reads every .tar.*, .tgz, .zip and .whl in the directories of archives, and the head of every git directory
``<owner>+<name>/repo`` in those of repositories, and writes one JSON object per line: package, path, language, text.
Equal archives and repositories give an equal corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pygit2

from codeindexd.analysis.chunking.languages import detect
from training.repositories import git_directories, sources_at_head

_MAX_FILE = 300_000
_LANGUAGE_BYTES = 45_000_000
_NAMES = (
    "python javascript typescript tsx go rust java kotlin scala c cpp csharp ruby php swift bash lua haskell "
    "elixir zig julia ocaml sql html css toml yaml markdown restructuredtext"
)
LANGUAGES = frozenset(_NAMES.split())
FOREIGN = re.compile(  # copied into a package, generated, or only data
    r"(^|/)(vendor|vendored|_vendor|third[-_]?party|3rd[-_]?party|external|extern|node_modules|bundled|deps|dist|"
    r"min|locale|locales|fixtures?|testdata|snapshots?|__snapshots__|generated|gen|debian|\.pc)(/|$)|\.min\.|\.bundle\."
)
_SPACE = re.compile(r"\s+")
_VERSION = re.compile(r"[-_.]?v?\d+(\.\d+)*.*$")
_AMBIGUOUS = frozenset({"core", "backend"})  # repository names that say nothing without their owner
_COMMON = frozenset({  # packages of these names are excluded, directories are not: they rarely mean the project
    "annotations", "black", "client", "exposed", "express", "gorilla", "json", "klein", "modin", "moto", "paf", "pip",
    "plug", "rack", "ray", "redis", "supervision",
})  # fmt: skip
_LANGUAGE_SHARES = {
    "python": 3.0,
    "csharp": 1.5,
    "swift": 1.5,
    "kotlin": 1.5,
}  # more benchmark questions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", type=Path, nargs="+", required=True)
    parser.add_argument("--repositories", type=Path, nargs="*", default=[])
    parser.add_argument("--sources", type=Path, required=True, help="sources.tsv: which archives are permissive")
    parser.add_argument(
        "--exclude-names", type=Path, required=True, help="held-out repositories, one owner/name per line"
    )
    parser.add_argument("--exclude-content", type=Path, required=True, help="tree of files to exclude from the corpus")
    parser.add_argument("--package-bytes", type=int, default=14_000_000, help="most bytes from one package")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    names = excluded_names(args.exclude_names.read_text())
    seen = {content_hash(p.read_text(errors="replace")) for p in args.exclude_content.rglob("*") if p.is_file()}
    held_out = frozenset(seen)
    allowed = {line.split("\t")[0] for line in args.sources.read_text().splitlines() if line.endswith("\tyes")}
    by_language: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    with args.out.open("w") as out:
        for package, files in packages(args.archives, args.repositories, allowed, names):
            left = args.package_bytes
            for path, data in files:
                language = detect(path.encode("utf-8", "replace"), data[:200].split(b"\n", 1)[0])
                room = _LANGUAGE_BYTES * _LANGUAGE_SHARES.get(language, 1.0)
                if language not in LANGUAGES or left < len(data) or by_language[language] > room:
                    continue
                if names.directories.intersection(_VERSION.sub("", part) for part in path.lower().split("/")[:-1]):
                    dropped["name"] += 1
                    continue
                text = data.decode("utf-8", "replace")
                key = content_hash(text)
                if key in seen or not worth_reading(text):
                    dropped["held out" if key in held_out else "copy or data"] += 1
                    continue
                seen.add(key)
                left -= len(data)
                by_language[language] += len(data)
                out.write(json.dumps({"package": package, "path": path, "language": language, "text": text}) + "\n")
    for language, size in by_language.most_common():
        print(f"{language:<12} {size / 1e6:7.1f} MB")
    print(dict(dropped))


def packages(
    archives: list[Path], repositories: list[Path], allowed: set[str], names: ExcludedNames
) -> Iterator[tuple[str, Iterator[tuple[str, bytes]]]]:
    """Yield (package, its files) of the allowed archives and repositories that are not held out."""
    found = sorted((p for d in archives for p in d.iterdir() if p.name in allowed), key=lambda p: p.name)
    for archive in found:
        package = _VERSION.sub("", archive.name.split("_")[0] if ".orig" in archive.name else archive.name)
        package = package.lower().replace("_", "-")
        if (
            package in names.packages
            or re.sub(r"^(python3|ruby|php|rust|node|golang-github)-", "", package) in names.packages
        ):
            print(f"held out: {archive.name}")
        else:
            yield package, members(archive)
    for name, path in git_directories(repositories, names.repositories):
        repository = pygit2.Repository(str(path))
        if f"{name}@{repository.head.target}" in allowed:
            yield name.rpartition("/")[2].lower(), head_files(repository)


@dataclass(frozen=True)
class ExcludedNames:
    """What may not be trained on, in lowercase: repositories, packages of those names, and directories in others."""

    repositories: frozenset[str]
    packages: frozenset[str]
    directories: frozenset[str]


def excluded_names(listing: str) -> ExcludedNames:
    """Return the names to exclude for a list of repositories, one owner/name per line."""
    repositories = {line.strip().lower() for line in listing.splitlines() if "/" in line and not line.startswith("#")}
    names = {name for line in repositories for name in (line.split("/")[1], line.replace("/", "-"))}
    names |= {"ruby-rails", "libfmt", "fmt", "nlohmann", "actionpack", "activerecord", "activesupport", "railties"}
    names |= {"messagepack", "newtonsoft", "newtonsoft.json", "illuminate", "commons-lang3", "libcommons-lang3-java"}
    names |= {"ziglang", "libuv1", "uv", "absl", "vite-node", "sklearn", "fd-find", "monaco-editor", "ansible-core"}
    names |= {"distributed", "yt-dlp-ejs", "jupyterlite", "cpython", "homeassistant", "torchvision", "home-assistant"}
    return ExcludedNames(
        frozenset(repositories), frozenset(names - _AMBIGUOUS), frozenset(names - _AMBIGUOUS - _COMMON)
    )


def head_files(repository: pygit2.Repository) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of the source files at a repository's head, by path."""
    for path, size, blob in sources_at_head(repository):
        if _wanted(path, size):
            yield path, repository[blob].data


def content_hash(text: str) -> str:
    """Return a hash that is equal for copies that differ only in whitespace."""
    return hashlib.sha256(_SPACE.sub(" ", text).strip().encode("utf-8", "replace")).hexdigest()


def worth_reading(text: str) -> bool:
    """Return True if people wrote the text: no minified lines, no tables of numbers."""
    lines = text.count("\n") + 1
    letters = sum(map(text[:4000].count, "etaoinsr"))
    return len(text) > 200 and len(text) / lines < 120 and letters > min(len(text), 4000) * 0.15


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of an archive's source files, in its order, without unpacking it to the disk."""
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if _wanted(info.filename, info.file_size):
                    yield info.filename, opened.read(info)
    elif ".tar" in archive.name or archive.suffix == ".tgz":
        try:
            with tarfile.open(archive) as tar:
                for member in tar:
                    path = member.name.partition("/")[2]
                    if member.isfile() and _wanted(path, member.size) and (file := tar.extractfile(member)):
                        yield path, file.read()
        except tarfile.ReadError:
            return


def _wanted(path: str, size: int) -> bool:
    return 200 < size < _MAX_FILE and not FOREIGN.search(path.lower())


if __name__ == "__main__":
    main()
