"""What ``.hgignore`` leaves out, as ``hg help hgignore`` describes it."""

from __future__ import annotations

import random
import time

import pytest

from codeindexd.scan.ignore import IgnoreRules


def rules(content: str, **options: bool) -> IgnoreRules:
    files = {b".hgignore": content.encode()}
    return IgnoreRules.for_root(defaults=False, hidden=True, **options).enter(b"", files, names=[b".hg"])


@pytest.mark.parametrize(
    ("content", "path", "ignored"),
    [
        ("syntax: glob\nbuild", "build", True),
        ("syntax: glob\nbuild", "a/build", True),
        ("syntax: glob\nbuild", "a/building", False),
        ("syntax: glob\n*.py[co]", "a/b.pyc", True),
        ("syntax: glob\n**.elc", "a/b.elc", True),
        ("syntax: glob\nfoo/bar.txt", "x/foo/bar.txt", True),
        ("syntax: glob\nfoo/**.c", "foo/a/b.c", True),
        ("syntax: glob\nfoo/*.c", "foo/a/b.c", False),
        ("syntax: glob\n*.{o,a}", "x/y.a", True),
        ("syntax: glob\n*.{o,a}", "x/y.c", False),
        ("syntax: glob\ndist/", "dist", True),
        ("syntax: glob\n!odd", "!odd", True),
        ("syntax: rootglob\n*.txt", "a.txt", True),
        ("syntax: rootglob\n*.txt", "x/a.txt", False),
        ("rootglob:out", "out", True),
        ("path:some/[dir]", "some/[dir]", True),
        ("path:some", "x/some", False),
        (r"\.pyc$", "a/b.pyc", True),
        (r"\.pyc$", "a/b.pyc.txt", False),
        ("^build/", "build/x", True),
        ("^build/", "a/build/x", False),
        ("target", "a/my-target-dir/x", True),
        (r"(?i)\.BAK$", "a.bak", True),
        ("re:^x$\nglob:*.y", "x", True),
        ("re:^x$\nglob:*.y", "b.y", True),
        ("syntax: glob\nre:^a\n*.b", "abc", True),
        ("# nothing\n\n", "nothing", False),
        ("syntax: glob\na\\#b # a comment", "a#b", True),
        ("syntax: glob\nsyntax\n", "syntax", True),
        ("syntax: unknown\n^x", "x", True),
        ("include:other\nsubinclude:other", "other", False),
        ("(?=lookahead)x\n^y", "x", False),
        ("(?=lookahead)x\n^y", "y", True),
        ("(unclosed\n^y", "y", True),
    ],
)
def test_lines_of_an_ignore_file(content: str, path: str, ignored: bool) -> None:
    verdict = rules(content).verdict(path.encode(), is_dir=False)
    assert (verdict is not None) is ignored
    held = rules(content).suspects(path.rpartition("/")[0].encode(), [path.rpartition("/")[2].encode()])
    assert bool(held) or not ignored, "the sieve may hold back too many, never too few"


def test_a_directory_whose_content_must_match_is_not_walked() -> None:
    assert rules("^build/").verdict(b"build", is_dir=True) is not None
    assert rules("^build/$").verdict(b"build", is_dir=True) is None


def test_the_rule_is_named() -> None:
    verdict = rules("syntax: glob\n\n*.o").verdict(b"x.o", is_dir=False)
    assert verdict is not None
    assert (verdict.reason, verdict.rule) == ("ignored", ".hgignore:3: *.o")
    verdict = rules("\\.o$").enter(b"sub", {}).verdict(b"sub/x.o", is_dir=False)
    assert verdict is not None
    assert verdict.rule == ".hgignore:1: \\.o$"


def test_the_file_counts_only_at_the_top_of_a_mercurial_repository_and_unless_rules_are_off() -> None:
    files = {b".hgignore": b"syntax: glob\n*.o"}
    assert IgnoreRules.for_root(defaults=False).enter(b"", files).verdict(b"x.o", is_dir=False) is None
    assert rules("syntax: glob\n*.o", gitignore=False).verdict(b"x.o", is_dir=False) is None


def test_hostile_files_cost_little() -> None:
    dice = random.Random(1)
    started = time.thread_time()
    for content in (
        "(a+)+$\n(a|a)*b",
        "\n".join(["(x{1,900}){1,900}"] * 50),
        "{" * 5000,
        "syntax: glob\n" + "{a,b}" * 40,
    ):
        rules(content).verdict(b"a" * 4000, is_dir=False)
    for _ in range(50):
        noise = bytes(dice.choices(b"*?[]{}()\\/|^$.ab\n:#", k=300))
        IgnoreRules.for_root().enter(b"", {b".hgignore": noise}, names=[b".hg"]).verdict(b"a/b", is_dir=False)
    assert time.thread_time() - started < 5
