"""The parts of scores in words."""

from __future__ import annotations

from codeindexd.cli.signals import describe_part
from codeindexd.search.file_roles import FileRole
from codeindexd.search.ranking import Candidate, FileEvidence, rank, rank_report


def test_every_part_of_a_score_has_words() -> None:
    asked_for = dict.fromkeys(("place", "declared", "literal", "partial", "quoted", "number", "whole_name"), 1.0)
    candidates = [
        Candidate(number, number, b"a.py", 1.0, 1.0, 1.0, exact=number % 2, mention=1.0, role=role, asked_for=asked_for)
        for number, role in enumerate(FileRole, 1)
    ]
    candidates += [Candidate(9, 1, b"a.py", 0.5, 0.5, 0.5), Candidate(10, 1, b"a.py", lexical=1.0, size_bytes=9)]
    candidates += [Candidate(11, 9, b"b.py", lexical=1.0), Candidate(12, 9, b"b.py", dense=1.0)]
    candidates += [Candidate(13, 9, b"b.py", body=1.0)]
    files = {number: FileEvidence(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, is_older=True) for number in range(10)}
    ranked = [*rank(candidates, files), *rank_report(candidates, files)]
    parts = {name for one in ranked for name in one.parts}
    assert {"name", "central", "older", "company", "further", "crowd", "named", "past"} <= parts
    assert {"test", "aside", "body_elsewhere"} <= parts
    assert {name for name in parts if describe_part(name, -1.0) == name} == set()


def test_a_document_is_lifted_or_lowered() -> None:
    assert describe_part("prose", 0.6) != describe_part("prose", -0.5)


def test_an_unknown_part_keeps_its_name() -> None:
    assert describe_part("later", 1.0) == "later"
