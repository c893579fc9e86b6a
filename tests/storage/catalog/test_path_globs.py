"""Which paths a glob means."""

from __future__ import annotations

import fnmatch
import itertools
import time
import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.errors import InvalidQueryError
from codeindexd.storage.catalog.path_globs import common_directory, compile_glob, path_filter

PATHS = ["a.py", "src/a.py", "src/x/b.py", "src/x/y/c.rs", "tests/a.py", "src/tests/t.py", "srcs/d.py", "src/x[1].py"]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.py", ["a.py", "src/a.py", "src/x/b.py", "tests/a.py", "src/tests/t.py", "srcs/d.py", "src/x[1].py"]),
        ("src/**", ["src/a.py", "src/x/b.py", "src/x/y/c.rs", "src/tests/t.py", "src/x[1].py"]),
        ("src/*.py", ["src/a.py", "src/x[1].py"]),
        ("src/**/*.py", ["src/a.py", "src/x/b.py", "src/tests/t.py", "src/x[1].py"]),
        ("**/tests/**", ["tests/a.py", "src/tests/t.py"]),
        ("tests/**", ["tests/a.py"]),
        ("tests", ["tests/a.py", "src/tests/t.py"]),
        ("tests/", ["tests/a.py", "src/tests/t.py"]),
        ("/tests/", ["tests/a.py"]),
        ("./src/x", ["src/x/b.py", "src/x/y/c.rs"]),
        ("/a.py", ["a.py"]),
        ("a.py", ["a.py", "src/a.py", "tests/a.py"]),
        ("src/?.py", ["src/a.py"]),
        ("[ab].py", ["a.py", "src/a.py", "src/x/b.py", "tests/a.py"]),
        ("[!a-c].*", ["src/tests/t.py", "srcs/d.py"]),
        ("*.{py,rs}", PATHS),
        ("src/x/{b.py,y/*}", ["src/x/b.py", "src/x/y/c.rs"]),
        ("src/x[[]1].py", ["src/x[1].py"]),
        ("src/x\\[1\\].py", ["src/x[1].py"]),
        ("src/x[1].py", ["src/x[1].py"]),
        ("x[1].py", ["src/x[1].py"]),
        ("[z-a].py", []),
        ("src/x[1", []),
        ("{a,b", []),
        ("", []),
        ("**", PATHS),
        ("*", PATHS),
    ],
)
def test_globs(glob: str, expected: list[str]) -> None:
    assert [path for path in PATHS if compile_glob(glob).match(path)] == expected


def test_a_filter_needs_one_included_and_none_excluded() -> None:
    passes = path_filter(["src/**", "*.rs"], ["tests"])
    assert [path for path in PATHS if passes(path.encode())] == [
        "src/a.py",
        "src/x/b.py",
        "src/x/y/c.rs",
        "src/x[1].py",
    ]


def test_names_that_are_not_unicode_or_hold_newlines() -> None:
    assert path_filter(["\udcff*"], [])(b"d/\xff\n.py")
    assert path_filter(["d/?"], [])("d/é".encode())


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_and_decomposed_names_are_the_same(form: Literal["NFC", "NFD"]) -> None:
    written, stored = (unicodedata.normalize(one, "src/café/né.py") for one in (form, "NFD"))
    assert path_filter([written], [])(stored.encode())
    assert path_filter([written.replace("né", "n?")], [])(stored.encode())
    assert path_filter([unicodedata.normalize(form, "café")], [])(stored.encode())
    assert not path_filter([], [written])(stored.encode())
    assert common_directory([written]) == b"src", "the rest may be written in another way on the disk"


@pytest.mark.parametrize(
    ("include", "directory"),
    [
        (["src/**"], b"src"),
        (["/src/x/*.py"], b"src/x"),
        (["src/x"], b"src"),
        (["src"], b""),
        (["tests/"], b""),
        (["/tests/"], b""),
        (["*.py"], b""),
        (["src/a[x]/b"], b"src"),
        (["src/**", "x"], b""),
        ([], b""),
    ],
)
def test_the_directory_that_holds_all_matches(include: list[str], directory: bytes) -> None:
    assert common_directory(include) == directory


_TOKENS = ["a", "b", "/", "*", "*", "?", "[ab]", "[!a]", "."]
_NAMES = ["a", "b", "ab", ".a", "a.b", "aab", "abab", "ba"]


@given(st.lists(st.sampled_from(_TOKENS), min_size=1, max_size=9).map("".join).filter(lambda glob: "**" not in glob))
def test_single_stars_mean_what_the_shell_says_part_by_part(glob: str) -> None:
    parts = ("./" + glob.strip("/") + "/.").split("/")[1:-1]  # anchored, and nothing but the whole path
    pattern = compile_glob("/" + "/".join(parts) + "*")
    for names in itertools.product(_NAMES, repeat=len(parts)):
        globs = [*parts[:-1], parts[-1] + "*"]
        expected = all(fnmatch.fnmatchcase(name, one) for name, one in zip(names, globs, strict=True))
        if len(names) > 2:
            break
        assert (pattern.match("/".join(names)) is not None) == expected


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("**a*b**c", "x/ab/b/cab/c", "ab/d"),
        ("a*b**b*c", "axb/b/bxc", "axb/xc"),
        ("**/a/**/b/**/*.py", "x/a/b/y/a/b/z.py", "b/a/z.py"),
        ("{a*,b}*c", "ac", "a/c"),
        ("{a,{b,c}d", "cd", "ad"),
    ],
)
def test_atomic_wildcards_still_find_the_match(glob: str, matching: str, other: str) -> None:
    assert compile_glob(glob).match(matching)
    assert not compile_glob(glob).match(other)


@pytest.mark.parametrize("glob", ["*a" * 30 + "*b", "**a" * 30 + "**b", "**/a/" * 30 + "b", "{a,*}" * 8 + "b"])
def test_no_glob_makes_the_matcher_backtrack_without_bound(glob: str) -> None:
    passes = path_filter([glob], [])
    began = time.process_time()
    assert not passes(b"a/" * 100 + b"a" * 200)
    assert time.process_time() - began < 10  # without atomic wildcards it would never end


@pytest.mark.parametrize("glob", ["a" * 1001, "{a,b}" * 20, "{a," * 40 + "}" * 40 + "{b,c}" * 8])
def test_a_glob_that_costs_too_much_is_rejected(glob: str) -> None:
    with pytest.raises(InvalidQueryError):
        compile_glob(glob)
