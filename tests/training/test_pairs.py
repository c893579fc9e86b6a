"""Questions and answers mined from code: a sample for each kind."""

from __future__ import annotations

import random

from training.pairs import clean, inside, mined, pieces_of, take_doc

LINES = "".join(f'    settings.setdefault("colour{n}", defaults[{n}])\n' for n in range(13))  # a whole chunk
SOURCE = f'''import json


def read_settings_file(path):
    """Read the settings of a user from a file. Missing keys get defaults."""
    with open(path) as file:
        # an empty file is the same as none
        settings = json.load(file) or dict()
{LINES}    return settings


class SettingsWatcher:
    def look_for_changes(self):
        return self.seen != self.now and self.path.exists()
'''
TESTS = f"""def test_read_settings_file_of_a_missing_path(tmp_path):
    settings = read_settings_file(tmp_path / "none")
{LINES}    assert settings == defaults


def test_nothing_that_is_defined():
    assert True
"""
MANUAL = """# How settings are found

They are looked for in the directory of the user, then in that of the project, and the last one found wins.
"""


def rows(*files: tuple[str, str, str]) -> list[dict[str, str]]:
    return [{"package": "p", "path": path, "language": language, "text": text} for path, language, text in files]


def mine(*files: tuple[str, str, str]) -> list[tuple[str, str, str, str]]:
    """Return the pairs of so many draws that every random choice occurred."""
    return [pair for seed in range(20) for pair in mined(rows(*files), random.Random(seed))]


def test_every_kind_is_mined() -> None:
    pairs = mine(
        ("app/settings.py", "python", SOURCE),
        ("tests/test_settings.py", "python", TESTS),
        ("README.md", "markdown", MANUAL),
    )
    assert {kind for kind, *_ in pairs} == {"doc", "name", "inside", "path", "test", "heading"}


def test_a_docstring_is_paired_with_its_function_without_it() -> None:
    answers = {answer for kind, _, question, answer in mine(("a.py", "python", SOURCE)) if kind == "doc"}
    assert any("setdefault" in answer and "Missing keys" not in answer for answer in answers)
    questions = {question for kind, _, question, _ in mine(("a.py", "python", SOURCE)) if kind == "doc"}
    assert any(question.endswith("Read the settings of a user from a file.") for question in questions)


def test_the_name_of_a_test_is_paired_with_the_tested_definition() -> None:
    pairs = [
        (question, answer)
        for kind, _, question, answer in mined(
            rows(("tests/test_settings.py", "python", TESTS), ("a.py", "python", SOURCE)), random.Random(1)
        )
        if kind == "test"
    ]
    ((question, answer),) = pairs
    assert question == "read settings file of a missing path"
    assert "json.load" in answer
    assert "read_settings_file" not in answer


def test_a_comment_is_paired_with_the_lines_around_it() -> None:
    (piece,) = [piece for piece in pieces_of(SOURCE, "python") if piece.own_name == "read_settings_file"]
    ((comment, around),) = inside(piece.code)
    assert comment == "an empty file is the same as none"
    assert "json.load" in around
    assert comment not in around


def test_comments_above_a_definition_are_its_documentation() -> None:
    doc, code = take_doc("/** Closes the socket when nobody listens. */\nvoid close_socket(int fd) { shutdown(fd); }\n")
    assert doc == "Closes the socket when nobody listens."
    assert code.startswith("void close_socket")


def test_legal_notices_and_parameters_are_not_questions() -> None:
    assert clean(["Copyright 2020 the authors of this file"]) == ""
    assert clean(["Opens a file for reading", ":param path: where it is"]) == "Opens a file for reading"
    assert clean(["Two words"]) == ""


def test_equal_seeds_give_equal_pairs() -> None:
    first, again = (list(mined(rows(("a.py", "python", SOURCE)), random.Random(3))) for _ in range(2))
    assert first == again
