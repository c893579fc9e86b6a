"""Git directories as training material: licences, held-out names, and pairs of commits and what they changed."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pygit2
import pytest

from training.commits import is_source, main, most_changed, pairs_of, question_of
from training.corpus import excluded_names
from training.repositories import git_directories, licence_of, sources_at_head

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy\n"
GPL = "GNU GENERAL PUBLIC LICENSE\nGNU General Public License\n"
FIRST = "def open_door(key):\n    return key.turn()\n\n\ndef close_door(key):\n    return key.turn_back()\n"
SECOND = FIRST.replace("key.turn_back()", "key.turn_back() if key else None")
NAMES = "# held out\nacme/widgets\nhome/core\n"


def git(directory: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@b", *arguments], cwd=directory, check=True, capture_output=True
    )


def repository(parent: Path, name: str, licence: str = MIT) -> pygit2.Repository:
    """Return ``<parent>/<name>/repo``, with commits that start, fix a function, are routine, and add a test."""
    directory = parent / name / "repo"
    directory.mkdir(parents=True)
    git(directory, "init", "-q", "-b", "main")
    files = [
        ("LICENSE", licence, "Start the project with a door"),
        ("door.py", FIRST, "Start with opening and closing doors"),
        ("door.py", SECOND, "fix(door): allow closing without a key (#12)"),
        ("door.py", SECOND + "\n\nLIMIT = 3\n", "Bump version of everything to 3"),
        ("tests/test_door.py", "def test_it():\n    assert True\n" * 20, "Check that doors close without a key"),
    ]
    for path, text, message in files:
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text(text)
        git(directory, "add", ".")
        git(directory, "commit", "-q", "-m", message)
    return pygit2.Repository(str(directory))


def test_a_commit_is_paired_with_the_function_that_it_changed(tmp_path: Path) -> None:
    (fixed, started) = pairs_of(repository(tmp_path, "acme+doors"), random.Random(1))
    assert fixed[:2] == ("python", "allow closing without a key")
    assert fixed[2].strip().startswith("def close_door") or "if key else None" in fixed[2]
    assert started[1] == "Start with opening and closing doors"


def test_the_chunk_with_most_changed_lines_answers() -> None:
    text = FIRST.replace("    return key", "    # the key\n" * 60 + "    return key").encode()
    assert most_changed(text, "python", [range(1, 2), range(66, 68)]).lstrip().startswith("def close_door")
    assert most_changed(b"", "python", [range(1, 2)]) == ""


@pytest.mark.parametrize(
    ("message", "question"),
    [
        ("feat(api)!: add a retry to every request\n", "add a retry to every request"),
        ("[core] Add a retry to requests (#123)", "Add a retry to requests"),
        ("Fixed #1234 -- Added a retry to requests.", "Added a retry to requests."),
        ("Merge branch 'main' into other", ""),
        ("Fix typo", ""),
    ],
)
def test_questions_are_subjects_without_tags(message: str, question: str) -> None:
    assert question_of(message, random.Random(1)) == question


def test_tests_and_documents_are_no_answers() -> None:
    assert [path for path in ("a.py", "src/test_a.py", "README.md", "vendor/a.py", "a_test.go") if is_source(path)] == [
        "a.py"
    ]


def test_held_out_repositories_and_forks_are_left_out(tmp_path: Path) -> None:
    for name in ("acme+widgets", "fork+widgets", "home+core", "other+core", "free+doors"):
        (tmp_path / name / "repo").mkdir(parents=True)
    excluded = excluded_names(NAMES)
    names = [name for name, _ in git_directories([tmp_path], excluded.repositories)]
    assert names == ["free/doors", "other/core"]
    assert "core" not in excluded.packages
    assert "widgets" in excluded.directories


def test_only_permissive_repositories_are_used(tmp_path: Path) -> None:
    assert licence_of(repository(tmp_path, "acme+doors")) == "MIT"
    assert licence_of(repository(tmp_path, "acme+gates", GPL)) == "copyleft"


def test_pairs_are_written_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path, "free+doors")
    repository(tmp_path, "free+gates", GPL)
    repository(tmp_path, "acme+widgets")
    (tmp_path / "names").write_text(NAMES)
    out = tmp_path / "out.jsonl"
    arguments = ["--repositories", tmp_path, "--exclude-names", tmp_path / "names", "--out", out]
    monkeypatch.setattr("sys.argv", ["commits", *map(str, arguments)])
    main()
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(one["kind"], one["package"]) for one in records} == {("commit", "doors")}


def test_sources_at_head_are_listed_with_their_sizes(tmp_path: Path) -> None:
    found = [(path, size) for path, size, _ in sources_at_head(repository(tmp_path, "acme+doors"))]
    assert found[0] == ("LICENSE", len(MIT))
    assert [path for path, _ in found] == ["LICENSE", "door.py", "tests/test_door.py"]
