#!/usr/bin/env python3
"""How often references and callers are right, compared with tools that know the types of a language.

    python tests/benchmarks/references.py --oracle jedi DIRECTORY [--functions 100] [--seed 1] [--show N] [--json FILE]
    python tests/benchmarks/references.py --oracle pyright|gopls|clangd|typescript|intelephense DIRECTORY
        [--server COMMAND]

DIRECTORY is one repository. Functions and methods outside tests are drawn at random. For each of them, ``refs`` of a
real daemon is compared with what the oracle says: jedi (``pip install jedi``), or a language server
(``pyright-langserver --stdio``, ``typescript-language-server --stdio`` and ``intelephense --stdio``, from npm;
``gopls``; ``clangd``, for which a compilation database is written into the copy that is measured). A reference is a
path and a line. Callers are the definitions around calls. Lines that define something of the same name do not count.

Precision and recall are over all references together. "Unique" are functions whose name no other definition has.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from codeindexd.search.file_roles import is_test
from support.daemons import RealDaemon, real_daemon

LANGUAGES = {
    "jedi": ("python",),
    "pyright": ("python",),
    "gopls": ("go",),
    "clangd": ("c", "cpp"),
    "typescript": ("typescript", "tsx", "javascript"),
    "intelephense": ("php",),
}
SERVERS = {
    "pyright": "pyright-langserver --stdio",
    "gopls": "gopls serve",
    "clangd": "clangd --background-index --log=error",
    "typescript": "typescript-language-server --stdio",
    "intelephense": "intelephense --stdio",
}
LSP_LANGUAGE = {
    "pyright": "python",
    "gopls": "go",
    "clangd": "c",
    "typescript": "typescript",
    "intelephense": "php",
}
Line = tuple[str, int]


@dataclass(frozen=True)
class Function:
    """A function to ask about; ``column`` counts from 1."""

    path: str
    line: int
    column: int
    name: str
    symbol: str
    is_unique: bool


@dataclass
class Score:
    """Counts of lines, or of callers: right ones, wrong ones, and those that are missing."""

    right: int = 0
    wrong: int = 0
    missing: int = 0

    def add(self, have: set[Any], want: set[Any]) -> None:
        """Count an answer against the truth."""
        self.right += len(have & want)
        self.wrong += len(have - want)
        self.missing += len(want - have)

    def __str__(self) -> str:
        precision = self.right / max(1, self.right + self.wrong)
        recall = self.right / max(1, self.right + self.missing)
        return f"{precision:.3f} / {recall:.3f} ({self.right + self.missing})"


@dataclass
class Scores:
    """Scores of references and callers."""

    references: Score = field(default_factory=Score)
    callers: Score = field(default_factory=Score)


class Oracle(Protocol):
    """What knows the true references."""

    def references(self, function: Function) -> set[Line]:
        """Return the lines of the references to a function, without its definition."""


class Jedi:
    """The references that jedi infers."""

    def __init__(self, root: Path) -> None:
        import jedi
        import jedi.inference.references as limits

        limits._PARSED_FILE_LIMIT = limits._OPENED_FILE_LIMIT = 10_000  # so that no file is left out
        self._root = root
        self._project = jedi.Project(root)
        self._script = jedi.Script

    def references(self, function: Function) -> set[Line]:
        script = self._script(path=self._root / function.path, project=self._project)
        found = script.get_references(function.line, function.column - 1)
        return {
            (str(one.module_path.relative_to(self._root)), one.line)
            for one in found
            if one.module_path is not None and one.module_path.is_relative_to(self._root)
        }


class LanguageServer:
    """The references of a language server, over its standard input and output."""

    def __init__(self, name: str, command: str, root: Path, files: list[str]) -> None:
        self._root = root
        self._language = LSP_LANGUAGE[name]
        self._process = subprocess.Popen(
            command.split(), cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._id = 0
        self._opened: set[str] = set()
        self._under_way: set[Any] = set()
        capabilities = {"window": {"workDoneProgress": True}, "textDocument": {"references": {}}}
        folder = {"uri": root.as_uri(), "name": "root"}
        self._request(
            "initialize",
            {"processId": None, "rootUri": root.as_uri(), "capabilities": capabilities, "workspaceFolders": [folder]},
        )
        self._send({"method": "initialized", "params": {}})
        for path in (
            files if name in ("typescript", "intelephense") else files[:1]
        ):  # a file that is open is part of the program
            self._open(path)
        self._idle()

    def references(self, function: Function) -> set[Line]:
        self._open(function.path)
        found = self._request(
            "textDocument/references",
            {
                "textDocument": {"uri": (self._root / function.path).as_uri()},
                "position": {"line": function.line - 1, "character": function.column - 1},
                "context": {"includeDeclaration": False},
            },
        )
        prefix = self._root.as_uri() + "/"
        return {
            (one["uri"].removeprefix(prefix), one["range"]["start"]["line"] + 1)
            for one in found or []
            if one["uri"].startswith(prefix)
        }

    def _open(self, path: str) -> None:
        if path in self._opened:
            return
        self._opened.add(path)
        text = (self._root / path).read_text("utf-8", "replace")
        document = {"uri": (self._root / path).as_uri(), "languageId": self._language, "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})

    def _idle(self) -> None:
        """Wait until the server has answered a question, for which it has to load what is open."""
        path = next(iter(self._opened))
        self._request("textDocument/documentSymbol", {"textDocument": {"uri": (self._root / path).as_uri()}})
        while self._under_way:
            self._handle(self._receive())

    def _request(self, method: str, params: dict[str, Any]) -> Any:
        self._id += 1
        self._send({"id": self._id, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._id and "method" not in message:
                return message.get("result")
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        """Answer a request of the server, and note what it is doing."""
        if "id" in message and "method" in message:
            settings = [{} for _ in message.get("params", {}).get("items", [])]
            self._send({"id": message["id"], "result": settings or None})
        if message.get("method") == "window/workDoneProgress/create":
            self._under_way.add(message["params"]["token"])
        if message.get("method") == "$/progress" and message["params"]["value"]["kind"] == "end":
            self._under_way.discard(message["params"]["token"])

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while (line := self._process.stdout.readline().strip()) or not length:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif not line and self._process.poll() is not None:
                raise ConnectionError("the language server has ended")
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


def functions_of(
    daemon: RealDaemon, root: Path, languages: tuple[str, ...], without: re.Pattern[str]
) -> tuple[list[Function], dict[str, Any]]:
    """Return all functions of source files, and the outline of every file by path, except paths like ``without``."""
    outlines: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.is_symlink() or ".git" in path.parts:
            continue
        if without.search(str(path.relative_to(root))):
            continue
        try:
            outline = daemon.call("outline", path=str(path))
        except AssertionError:  # not indexed
            continue
        if outline["language"] in languages:
            outlines[str(path.relative_to(root))] = outline
    every = [(path, one) for path, outline in outlines.items() for one in flat(outline["definitions"])]
    names = [one["name"] for _, one in every]
    counts = {name: names.count(name) for name in set(names)}
    found = [
        Function(path, one["line"], one["column"], one["name"], one["symbol"], counts[one["name"]] == 1)
        for path, one in every
        if one["kind"] in ("function", "method")
        and not is_test(path.encode())
        and not one["name"].startswith("__")
        and re.fullmatch(r"\w+", one["name"])
    ]
    return found, outlines


def flat(entries: list[Any]) -> Iterator[Any]:
    """Yield the definitions of an outline."""
    for one in entries:
        yield one
        yield from flat(one.get("children", []))


def around(outline: Any, line: int) -> str:
    """Return the innermost function or type around a line."""
    inside = [
        one
        for one in flat(outline["definitions"])
        if one["start_line"] <= line <= one["end_line"]
        and one["kind"] not in ("field", "variable", "constant", "property")
    ]
    return str(max(inside, key=lambda one: one["start_line"])["symbol"]) if inside else ""


def is_call(root: Path, function: Function, line: Line, ours: str) -> bool:
    """Return True if the name is called on a line; if another name is there, if that is our reference, too."""
    text = (root / line[0]).read_text("utf-8", "replace").split("\n")[line[1] - 1]
    if re.search(rf"\b{re.escape(function.name)}\b", text) is None:
        return ours == "call"
    return re.search(rf"\b{re.escape(function.name)}\s*(?:<[^<>]*>|\[[^\[\]]*\])?\s*\(", text) is not None


@contextmanager
def oracle_for(name: str, command: str, root: Path, files: list[str]) -> Iterator[Oracle]:
    """Yield the oracle of this name."""
    if name == "jedi":
        yield Jedi(root)
        return
    if name == "gopls":  # without the modules that it requires, which are not there
        (root / "go.mod").write_text(re.sub(r"(?ms)^require\s*(?:\(.*?^\)|[^\n]*)$", "", (root / "go.mod").read_text()))
    if name == "clangd":
        commands = [
            {"directory": str(root), "file": path, "command": f"cc -I. -Iinclude -Isrc -c {path}"} for path in files
        ]
        (root / "compile_commands.json").write_text(json.dumps(commands))
    yield LanguageServer(name, command, root, files)


def main() -> None:
    """Measure one repository and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oracle", choices=list(LANGUAGES), required=True)
    parser.add_argument("--server")
    parser.add_argument("--functions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=0, help="print this many functions with differences")
    parser.add_argument("--without", default="$^", help="regex of paths that the oracle cannot see: do not count")
    parser.add_argument("--json", type=Path)
    parser.add_argument("directory", type=Path)
    args = parser.parse_args()
    scores = {kind: Scores() for kind in ("unique", "others", "all")}
    by_confidence: dict[str, Score] = {name: Score() for name in ("exact", "import", "name")}
    with tempfile.TemporaryDirectory() as place, real_daemon() as daemon:
        root = Path(place).resolve() / args.directory.name
        shutil.copytree(args.directory, root, symlinks=True, ignore=shutil.ignore_patterns("node_modules"))
        daemon.call("roots.add", path=str(root), wait=True)
        functions, outlines = functions_of(daemon, root, LANGUAGES[args.oracle], re.compile(args.without))
        chosen = random.Random(args.seed).sample(functions, min(args.functions, len(functions)))
        command = args.server or SERVERS.get(args.oracle, "")
        shown = 0
        with oracle_for(args.oracle, command, root, sorted(outlines)) as oracle:
            for number, function in enumerate(chosen):
                defined = {
                    (path, one["line"])
                    for path, o in outlines.items()
                    for one in flat(o["definitions"])
                    if one["name"] == function.name
                }
                try:
                    want = {line for line in oracle.references(function) if line[0] in outlines} - defined
                except Exception as error:  # noqa: BLE001 - an oracle that fails says nothing
                    print(f"{function.path}:{function.line} {function.symbol}: {error}", file=sys.stderr)
                    continue
                result = daemon.call("refs", path=str(root / function.path), line=function.line, limit=1000)
                found = {(one["path"], one["line"]): one for one in result["references"] if one["path"] in outlines}
                have = set(found) - defined
                for kind in ("unique" if function.is_unique else "others", "all"):
                    scores[kind].references.add(have, want)
                    scores[kind].callers.add(
                        {
                            (line[0], around(outlines[line[0]], line[1]))
                            for line in have
                            if found[line]["reference"] == "call"
                        },
                        {
                            (line[0], around(outlines[line[0]], line[1]))
                            for line in want
                            if is_call(root, function, line, found[line]["reference"] if line in found else "")
                        },
                    )
                for line in have:
                    by_confidence[found[line]["confidence"]].add({line}, want & {line})
                if have != want and shown < args.show:
                    shown += 1
                    print(f"{function.path}:{function.line} {function.symbol}")
                    for line in sorted(have - want):
                        print(f"   wrong   {line[0]}:{line[1]} {found[line]['confidence']} {found[line]['text'][:90]}")
                    for line in sorted(want - have):
                        text = (root / line[0]).read_text("utf-8", "replace").split("\n")[line[1] - 1].strip()
                        print(f"   missing {line[0]}:{line[1]} {text[:90]}")
                if number % 20 == 19:
                    print(f"{number + 1} of {len(chosen)}", file=sys.stderr)
    print(f"{args.directory.name} against {args.oracle}: {len(chosen)} functions; precision / recall (number)")
    for kind, score in scores.items():
        print(f"{kind:>7}  references {score.references}  callers {score.callers}")
    for name, one in by_confidence.items():
        print(f"{name:>7}  right {one.right}, wrong {one.wrong}")
    if args.json:
        args.json.write_text(
            json.dumps(
                {kind: {"references": vars(s.references), "callers": vars(s.callers)} for kind, s in scores.items()}
            )
        )
    os._exit(0)  # a language server may not end by itself


if __name__ == "__main__":
    main()
