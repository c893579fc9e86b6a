"""Mailmaps mean what they mean to git."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from codeindexd.analysis.history.mailmap import Mailmap
from codeindexd.analysis.history.record import Person
from support.repositories import GitRepositoryForTests

ODD = """\
New Name <OLD@x.org> # comment
  Lead <b@x> trailing
<c2@x> <c@x>
Proper C <c3@x> nick <C@x>
Empty <> <>
Nobody <nobody@x> <>
#New <d@x>
 Dee <dd@x>   Sp  Ace   <d@x>
broken <d@x
<> <d@x>
\tTab\t<e2@x>\tE\t<e@x>
J\u00f6rg \u00c4 <j@x> j\u00d6RG <j2@x>
Later <c4@x> <c@x>
Third <a@x> Second <b2@x> First <d2@x>
no address at all
< sp@x > < sp2@x >
"""
NAMES = ["Old", "nick", "NICK", "Sp  Ace", "sp  ace", "E", "J\u00f6rg", "j\u00d6RG", "Second", "First", "Real C", "X Y"]
ADDRESSES = [
    "old@x.org",
    "OLD@X.ORG",
    "b@x",
    "c@x",
    "C@X",
    "d@x",
    "e@x",
    "j@x",
    "j2@x",
    "b2@x",
    "d2@x",
    "a@x",
    "",
    "sp2@x",
]


def agrees_with_git(repo: GitRepositoryForTests, text: str) -> None:
    """Compare all names with all addresses."""
    repo.write(".mailmap", text)
    mailmap = Mailmap.parse(text.encode())
    people = [Person(name, address) for name in NAMES for address in ADDRESSES]
    given = "".join(f"{one.name} <{one.email}>\n" for one in people)
    shown = repo.git("check-mailmap", "--stdin", data=given.encode()).decode().splitlines()
    ours = [mailmap.person(one) for one in people]
    assert [f"{one.name} <{one.email}>" for one in ours] == shown, text


@pytest.fixture
def repo(tmp_path: Path) -> GitRepositoryForTests:
    return GitRepositoryForTests(tmp_path / "repo")


def test_odd_lines(repo: GitRepositoryForTests) -> None:
    agrees_with_git(repo, ODD)
    agrees_with_git(repo, "")
    agrees_with_git(repo, ODD.replace("\n", "\r\n"))


@pytest.mark.parametrize("seed", range(30))
def test_any_lines_in_any_order(repo: GitRepositoryForTests, seed: int) -> None:
    chosen = random.Random(seed)
    lines = chosen.choices(ODD.splitlines(), k=8)
    for _ in range(12):
        people = [
            f"{chosen.choice(['', *NAMES])} <{chosen.choice(ADDRESSES)}>" for _ in range(chosen.choice([1, 2, 2, 3]))
        ]
        lines.append(chosen.choice(["", " ", "#"])[: chosen.randrange(2)] + " ".join(people))
    chosen.shuffle(lines)
    agrees_with_git(repo, "\n".join(lines))


def test_bytes_that_are_no_text_are_no_error() -> None:
    mailmap = Mailmap.parse(b"\xff\xfe <a@x> <b@x>\n\0\nGood <g@x>\n")
    assert mailmap.person(Person("any", "g@x")) == Person("Good", "g@x")
