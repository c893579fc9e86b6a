"""Which paths a glob means."""

from __future__ import annotations

import pytest

from codeindexd.catalog.globs import common_directory, compile_glob, path_filter

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
