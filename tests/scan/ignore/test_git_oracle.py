"""Our ignore rules compared with git itself, on generated patterns and on real trees with real ignore files."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codeindexd.scan.ignore import ExcludeFile, IgnoreRules
from scan.git_oracle import GitOracle

_NAMES = [b"a", b"b", b"ab", b"a.b", b".a", b"a b", b"[a]", b"a\\", b"A", b"#a", b"!a", b"a ", b"a-b", b"\xff", b"a\nb"]
_TOKENS = [
    *(b"a", b"b", b"ab", b"A", b".", b"-", b"#", b"!", b" ", b"\\ ", b"\\", b"\xff", b"\t", b"\r", b"\0", b"]"),
    *(b"*", b"*", b"**", b"/", b"/", b"**/", b"/**", b"/**/", b"***/", b"?", b"**\\/", b"/**\\/", b"\\*", b"\\[a]"),
    *(b"[ab]", b"[!a]", b"[^b]", b"[a-b]", b"[]a]", b"[b-a]", b"[/]", b"[!/]b", b"[a\\-z]", b"[\\]a]", b"[a", b"[a-"),
    *(b"[[:alpha:]]", b"[[:punct:]]", b"[[:space:]]", b"[[:upper:]-a]", b"[[:graph:]]", b"[[:x]]", b"[[:x:]]", b"[[a]"),
]
_PATTERN = st.tuples(
    st.sampled_from([b"", b"", b"", b"!", b"/"]),
    st.lists(st.sampled_from(_TOKENS), min_size=1, max_size=5).map(b"".join),
    st.sampled_from([b"", b"", b"/", b"\r"]),
).map(b"".join)
_FILE = st.lists(_PATTERN, max_size=6).map(b"\n".join)


class _Oracle(GitOracle):
    """A repository over a fixed tree; ``paths`` says which of its paths are directories, parents first."""

    paths: Mapping[bytes, bool]

    def plant(self) -> _Oracle:
        found: dict[bytes, bool] = {}
        directories = [b""]
        for directory in directories:
            deep = directory.count(b"/") + bool(directory)
            for number, name in enumerate(_NAMES):
                path = directory + b"/" + name if directory else name
                found[path] = deep < 2 and (number + 2 * deep) % 3 == 0
                if found[path]:
                    directories.append(path)
                    (self.top / os.fsdecode(path)).mkdir()
                elif (number + deep) % 2 or not deep:
                    (self.top / os.fsdecode(path)).touch()
                else:
                    del found[path]
        self.paths = found
        return self


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> _Oracle:
    base = tmp_path_factory.mktemp("oracle")
    planted = _Oracle(base / "top", base / "home")
    planted.init()
    return planted.plant()


def _decided(oracle: _Oracle, files: Mapping[bytes, bytes], rules: IgnoreRules) -> dict[bytes, int]:
    """Return the line of the deciding pattern by path, for every path outside ignored directories."""
    entered = {b"": rules.enter(b"", {b".gitignore": files.get(b"", b"")})}
    decided: dict[bytes, int] = {}
    for path, is_dir in oracle.paths.items():
        directory, _, name = path.rpartition(b"/")
        if directory not in entered:
            continue
        verdict = entered[directory].verdict(path, is_dir=is_dir)
        if verdict is not None:
            decided[path] = int(verdict.rule.split(":")[1])
            assert is_dir or name in entered[directory].suspects(directory, [b"other", name])
        elif is_dir:
            entered[path] = entered[directory].enter(path, {b".gitignore": files.get(path, b"")})
    return decided


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(st.sampled_from([b"", b"a", b".a", b".a/a", b"a/A"]), _FILE), excludes=_FILE)
def test_generated_patterns_mean_what_git_says(oracle: _Oracle, files: dict[bytes, bytes], excludes: bytes) -> None:
    files = {directory: content for directory, content in files.items() if not directory or oracle.paths.get(directory)}
    for directory, content in files.items():
        (oracle.top / os.fsdecode(directory) / ".gitignore").write_bytes(content)
    (oracle.top / ".git/info/exclude").write_bytes(excludes)
    try:
        matches = oracle.matches(oracle.paths)
    finally:
        for directory in files:
            (oracle.top / os.fsdecode(directory) / ".gitignore").unlink()
    rules = IgnoreRules.for_root(exclude_sources=[ExcludeFile("exclude", excludes)], hidden=True, defaults=False)
    decided = _decided(oracle, files, rules)
    reachable = {path for path in oracle.paths if not _below_any(path, decided)}
    assert decided == {
        path: line for path, (_, line, text) in matches.items() if path in reachable and not text.startswith(b"!")
    }


def _below_any(path: bytes, ignored: Mapping[bytes, int]) -> bool:
    while path := path.rpartition(b"/")[0]:
        if path in ignored:
            return True
    return False


_REAL_WORLD = {
    "python": r"__pycache__/|*.py[cod]|*$py.class|/build/|*.egg-info/|.env|.venv|env/|!lib/|[Dd]oc*/|*~|\#*\#",
    "node": "node_modules|npm-debug.log*|.yarn/*|!.yarn/patches|**/dist/**|!**/dist/keep.*|*.map|/coverage|.DS_Store",
    "csharp": "[Bb]in/|[Oo]bj/|*.suo|[Dd]ebug/|**/[Pp]ackages/*|!**/[Pp]ackages/build/|*.[Cc]ache|_ReSharper*/",
    "whitelist": "/*|!/email|!/json/|/email/*|!/email/m*.py|!*.txt|/email/mime/**",
    "anchors": "email/mime/|/json/*.py|!/json/__init__.py|**/test*/**/*.py|http/??????.py|*/[!_]*.txt",
    "crlf": "*.pyc\r|/logging/\r|\r|# comment\r|!/logging/\r|encodings/utf_*.py \r|collections/*\\ \r",
}


def _lines(style: str) -> bytes:
    return _REAL_WORLD[style].replace("|", "\n").encode()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> GitOracle:
    """Create a repository from several packages of the standard library."""
    base = tmp_path_factory.mktemp("library")
    source = Path(sysconfig.get_path("stdlib"))
    for package in ("email", "json", "logging", "unittest", "http", "collections", "encodings", "importlib"):
        shutil.copytree(source / package, base / "top" / package)
    for extra in (
        "dist/keep.js",
        "a/dist/x/keep.js",
        "Packages/x/y.cs",
        "packages/build/z.cs",
        "Bin/x",
        "#a#",
        "doc1/x",
    ):
        place = base / "top" / extra
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")
    return GitOracle(base / "top", base / "home").init()


@pytest.mark.parametrize("style", sorted(_REAL_WORLD))
@pytest.mark.parametrize("nested", ["", "python"])
def test_real_trees_under_real_world_ignore_files(library: GitOracle, style: str, nested: str) -> None:
    top = library.top
    (top / ".gitignore").write_bytes(_lines(style))
    (top / "email" / ".gitignore").write_bytes(_lines(nested) + b"\n!*.pyc\n/mime/\n" if nested else b"")
    kept: set[bytes] = set()
    rules = IgnoreRules.for_root(hidden=True, defaults=False)
    waiting = [(b"", rules)]
    while waiting:
        directory, rules = waiting.pop()
        place = top / os.fsdecode(directory)
        own = place / ".gitignore"
        rules = rules.enter(directory, {b".gitignore": own.read_bytes()} if own.is_file() else {})
        for item in os.scandir(place):
            path = (directory + b"/" if directory else b"") + os.fsencode(item.name)
            if rules.verdict(path, is_dir=item.is_dir()) is None:
                if item.is_dir():
                    waiting.append((path, rules))
                else:
                    kept.add(path)
    others = library.git("ls-files", "-z", "--others", "--exclude-standard").split(b"\0")[:-1]
    assert kept == set(others)
    assert not kept & library.untracked_ignored()
