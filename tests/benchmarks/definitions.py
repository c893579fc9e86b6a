"""Compares our definitions with those of universal-ctags: the share of its definitions that we have on the same line.

    python tests/benchmarks/definitions.py DIRECTORY... [--show LANGUAGE[:KIND]] [--most N] [--json FILE]

Only kinds that both know count (``SHARED``), and only names that somebody wrote: ctags invents some for anonymous
structs and lambdas. Files in languages of which we know no definitions are not compared. Left out are what ctags takes
for definitions although it is inside a function (indented constants and variables of JavaScript and TypeScript, and
lines of Kotlin that are indented more than a member of their class), names of TypeScript that do not follow a keyword,
such as those of imported types, and names of JavaScript that ``require`` imports, which count with ``--imports``. A
clause of a function in Elixir and Haskell counts as found if it is within our definition of that function. ``--show``
lists the definitions that we lack or have on another line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.encoding import decode
from codeindexd.analysis.chunking.grammars import LANGUAGES
from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.chunking.line_outline import LINE_LANGUAGES

SHARED: Final = {
    "CMake": "function macro target option project",
    "C": "macro enumerator function enum member struct typedef union variable",
    "C#": "class enumerator event field enum interface method namespace property struct",
    "C++": "macro enumerator function enum member struct typedef union variable class namespace",
    "EmacsLisp": "function macro variable constant custom",
    "Elixir": "protocol module function delegate guard macro",
    "Fortran": "module function subroutine program type",
    "Go": "package func const type var struct interface member methodSpec talias",
    "Haskell": "type constructor function",
    "Java": "annotation class enumConstant field enum interface method package",
    "JavaScript": "function class method constant variable generator getter setter field",
    "Julia": "constant function field macro module struct type",
    "Kotlin": "package interface class object method typealias constant variable",
    "Lua": "function",
    "Make": "target macro",
    "Markdown": "chapter section subsection subsubsection l4subsection l5subsection",
    "OCaml": "class method module type function constructor exception",
    "PHP": "class define function interface namespace trait",
    "ObjectiveC": "interface protocol method class function property macro",
    "Perl": "package subroutine constant",
    "PowerShell": "function class enum enumlabel",
    "Protobuf": "message enum enumerator service rpc field package",
    "Python": "class function member variable",
    "Ruby": "class method module singletonMethod constant",
    "Rust": "module struct interface function enum typedef variable macro field enumerator method",
    "Sh": "function alias",
    "SystemVerilog": "module function task class interface package",
    "Tcl": "procedure",
    "TypeScript": "function class interface enum enumerator method namespace property variable constant alias",
    "Verilog": "module function task",
    "Vim": "function",
}
_CLAUSES: Final = {"Elixir", "Haskell"}
_LOCAL: Final = {"JavaScript": ("constant", "variable"), "TypeScript": ("constant", "variable")}
_INVENTED: Final = ("__anon", "<lambda>", "AnonymousFunction")
_VARIABLE: Final = re.compile(r"/\^\s+(?:const|let|var)\b")
_REQUIRED: Final = re.compile(r"=\s*require\([^()]*\)(?:\.[\w$.]+)?[;,]?\s*(?://.*)?(?:\$/)?$")
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


def tags_of(paths: Sequence[str], *, imports: bool) -> Iterator[Tag]:
    """Yield the definitions that ctags finds in these files, of the kinds that we know too.

    With ``imports``, the names that scripts of JavaScript import are among them.
    """
    command = ["ctags", "--output-format=json", "--fields=+nKl", "--sort=no", "-f", "-", "-L", "-"]
    done = subprocess.run(command, input="\n".join(paths), capture_output=True, text=True, check=True, errors="replace")
    for line in done.stdout.splitlines():
        tag = json.loads(line)
        if tag.get("_type") != "tag" or "line" not in tag or tag["name"].startswith(_INVENTED):
            continue
        language, kind = tag["language"], tag["kind"]
        is_indented = tag.get("pattern", "").startswith(("/^ ", "/^\t"))
        if is_indented and (kind in _LOCAL.get(language, ()) or (language == "Kotlin" and _is_local(tag))):
            continue
        if is_indented and language == "JavaScript" and _VARIABLE.match(tag["pattern"]):  # objects are classes to ctags
            continue
        if language == "TypeScript" and _is_mistaken(tag):
            continue
        if language == "JavaScript" and not imports and _REQUIRED.search(tag["pattern"]):
            continue
        if kind in SHARED.get(language, "").split():
            yield Tag(tag["path"], language, kind, normal_name(tag["name"], language), tag["line"])


def _is_mistaken(tag: dict[str, str]) -> bool:
    """Return True if the name of a constant, variable or type of TypeScript does not follow its keyword."""
    declared = rf"\b(?:const|let|var|type)\s+{re.escape(tag['name'])}(?![\w$])"
    return tag["kind"] in ("constant", "variable", "alias") and not re.search(declared, tag["pattern"])


def _is_local(tag: dict[str, str]) -> bool:
    """Return True for a definition of Kotlin that is indented more than a member of the classes around it."""
    pattern = tag["pattern"][2:]
    depth = tag.get("scope", "").count(".") + 1 if tag.get("scopeKind") in ("class", "interface", "object") else 0
    return len(pattern) - len(pattern.lstrip()) > 4 * depth


def normal_name(name: str, language: str) -> str:
    """Return a name as both sides would write it: without scope, quotes and blanks."""
    if language in ("Markdown", "OCaml"):
        return name.strip()
    if language == "Haskell" and name[:1].isupper():
        return name.rpartition(".")[2]
    if language == "ObjectiveC":
        return name.partition(":")[0]  # of a selector
    if language == "Vim":
        return re.sub(r"^(?:<SID>|[a-z]:)", "", name)
    if language in ("Lua", "Ruby", "JavaScript", "Julia", "C#", "C++", "Java", "Kotlin", "Perl", "PHP", "Tcl"):
        name = name.replace(":" if language == "Lua" else "::", ".").replace("\\", ".").rpartition(".")[2] or name
    return name.replace(" ", "").strip("\"'#`")


def ours_of(path: str, *, whole: bool) -> set[tuple[str, int]] | None:
    """Return the names that we find in a file, each with its line, or with ``whole`` with all lines it extends to.

    None if we know no definitions of its language.
    """
    decoded = decode(Path(path).read_bytes())
    if decoded is None:
        return None
    text = decoded.utf8
    language = detect(os.fsencode(path), text[: text.find(b"\n")][:200])
    if language not in LANGUAGES | LINE_LANGUAGES:
        return None
    found = analyse(text, language).definitions
    names = {(one.name.replace(" ", ""), one.line) for one in found}
    if whole:
        names |= {(one.name, line) for one in found for line in range(one.start_line, one.end_line + 1)}
    return names


def compare(paths: Sequence[str], *, imports: bool) -> Result:
    """Compare the definitions of these files."""
    result = Result(Counter(), Counter(), defaultdict(list))
    for path, tags in itertools.groupby(sorted(set(tags_of(paths, imports=imports))), key=lambda tag: tag.path):
        of_file = list(tags)
        ours = ours_of(path, whole=of_file[0].language in _CLAUSES)
        if ours is None:
            continue
        for tag in of_file:
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
    parser.add_argument("--imports", action="store_true", help="count names that require() imports")
    args = parser.parse_args()
    result = compare(list(files_below(args.directories)), imports=args.imports)
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
