"""Compares our definitions with those of universal-ctags: the share of its definitions that we have on the same line.

    python tests/benchmarks/definitions.py DIRECTORY... [--show LANGUAGE[:KIND]] [--most N] [--json FILE]

Only kinds that both know count (``SHARED``), and only names that somebody wrote: ctags invents some for anonymous
structs. Files that ctags and we take for different languages are compared all the same. ``--show`` lists the
definitions that we lack or have on another line, each with its line of code.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from codeindexd.analysis import chunking

SHARED: Final = {
    "C": "macro enumerator function enum member struct typedef union variable",
    "C#": "class enumerator event field enum interface method namespace property struct",
    "C++": "macro enumerator function enum member struct typedef union variable class namespace",
    "Elixir": "protocol module function delegate guard macro",
    "Go": "package func const type var struct interface member methodSpec talias",
    "Haskell": "type constructor function module",
    "Java": "annotation class enumConstant field enum interface method package",
    "JavaScript": "function class method constant variable generator getter setter field",
    "Julia": "constant function field macro module struct type",
    "Kotlin": "package interface class object method typealias constant variable",
    "Lua": "function",
    "Markdown": "chapter section subsection subsubsection l4subsection l5subsection",
    "OCaml": "class method module type function constructor exception",
    "PHP": "class define function interface namespace trait",
    "Python": "class function member variable",
    "Ruby": "class method module singletonMethod constant",
    "Rust": "module struct interface function enum typedef variable macro field enumerator method",
    "Sh": "function alias",
    "TypeScript": "function class interface enum enumerator method namespace property variable constant generator alias",
}
_SKIPPED: Final = {".git", "node_modules", "__pycache__", "site-packages"}
_MOST_BYTES: Final = 1_000_000


class Tag(NamedTuple):
    """A definition that ctags knows."""

    path: str
    language: str
    kind: str
    name: str
    line: int


class Result(NamedTuple):
    """What a comparison counted, by language: tags in all and found, and the tags that were not found."""

    total: Counter[str]
    found: Counter[str]
    missed: dict[str, list[Tag]]


def files_below(directories: Iterable[Path]) -> Iterator[str]:
    """Yield the files that are compared."""
    for directory in directories:
        for folder, folders, names in os.walk(directory):
            folders[:] = sorted(set(folders) - _SKIPPED)
            for name in sorted(names):
                path = Path(folder, name)
                if not path.is_symlink() and path.stat().st_size <= _MOST_BYTES:
                    yield str(path)


def tags_of(paths: Sequence[str]) -> Iterator[Tag]:
    """Yield the definitions that ctags finds in these files, of the kinds that we know too."""
    command = ["ctags", "--output-format=json", "--fields=+nKl", "--sort=no", "-f", "-", "-L", "-"]
    done = subprocess.run(command, input="\n".join(paths), capture_output=True, text=True, check=True, errors="replace")
    for line in done.stdout.splitlines():
        tag = json.loads(line)
        if tag.get("_type") != "tag" or "line" not in tag or tag["name"].startswith("__anon"):
            continue
        language, kind = tag["language"], tag["kind"]
        if kind in SHARED.get(language, "").split():
            yield Tag(tag["path"], language, kind, normal_name(tag["name"], language), tag["line"])


def normal_name(name: str, language: str) -> str:
    """Return a name as both sides would write it: without scope, quotes and blanks."""
    if language in ("Markdown", "OCaml", "Haskell"):
        return name.strip()
    if language in ("Lua", "Ruby", "JavaScript", "Julia", "C#", "Java"):
        name = name.replace(":", ".").rpartition(".")[2] or name
    return name.replace(" ", "").strip("\"'#`")


def ours_of(path: str) -> set[tuple[str, int]]:
    """Return the names that we find in a file, each with its line."""
    decoded = chunking.decode(Path(path).read_bytes())
    if decoded is None:
        return set()
    text = decoded.utf8
    language = chunking.detect(os.fsencode(path), text[: text.find(b"\n")][:200])
    return {(one.name.replace(" ", ""), one.line) for one in chunking.analyse(text, language).definitions}


def compare(paths: Sequence[str]) -> Result:
    """Compare the definitions of these files."""
    result = Result(Counter(), Counter(), defaultdict(list))
    for path, tags in itertools.groupby(sorted(set(tags_of(paths))), key=lambda tag: tag.path):
        ours = ours_of(path)
        for tag in tags:
            result.total[tag.language] += 1
            if (tag.name.replace(" ", ""), tag.line) in ours:
                result.found[tag.language] += 1
            else:
                result.missed[tag.language].append(tag)
    return result


def _show(result: Result, wanted: str, most: int) -> None:
    language, _, kind = wanted.partition(":")
    missed = [tag for tag in result.missed[language] if not kind or tag.kind == kind]
    print(Counter(tag.kind for tag in missed))
    step = max(1, len(missed) // most)
    for tag in missed[::step][:most]:
        lines = Path(tag.path).read_text(errors="replace").splitlines()
        line = lines[tag.line - 1].strip()[:110] if tag.line <= len(lines) else ""
        print(f"{tag.path}:{tag.line} {tag.kind} {tag.name}: {line}")


def main() -> int:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--show", action="append", default=[], metavar="LANGUAGE[:KIND]")
    parser.add_argument("--most", type=int, default=40)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result = compare(list(files_below(args.directories)))
    for language, total in result.total.most_common():
        share = 100 * result.found[language] / total
        kinds = ", ".join(f"{kind} {n}" for kind, n in Counter(t.kind for t in result.missed[language]).most_common(6))
        print(f"{language:12} {total:7,} {share:6.1f} %   missed: {kinds}")
    total, found = result.total.total(), result.found.total()
    print(f"{'all':12} {total:7,} {100 * found / max(1, total):6.1f} %")
    for wanted in args.show:
        _show(result, wanted, args.most)
    if args.json:
        figures = {language: [total, result.found[language]] for language, total in result.total.items()}
        args.json.write_text(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
