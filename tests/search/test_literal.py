"""Where a query stands letter by letter, over real stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.search import literal
from codeindexd.search.literal import is_complaint, literal_chunks, message_chunks, short_message_chunks
from search.indexed_root import Indexed

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Indexed]:
    made = Indexed(tmp_path)
    made.save("a.py", 'def run(name):\n    raise ValueError(f"the endpoint function {name} is overwritten here")\n')
    made.save("b.py", 'TEXT = (\n    "View function mapping is overwriting an existing"\n    f" endpoint: {x}"\n)\n')
    made.save("c.c", '#include <x.h>\nint f(void) { return printf("%d of %s failed, giving up\\n", 1, ""); }\n')
    made.save("tests/test_a.py", 'assert message == "the endpoint function index is overwritten here"\n')
    yield made
    made.close()


def found(root: Indexed, text: str) -> set[bytes]:
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        return {chunk.path for chunk in snapshot.catalog.chunks(sorted(literal_chunks(root, snapshot, text))).values()}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("#include <x.h>", {b"c.c"}),
        ("#INCLUDE <X.H>", {b"c.c"}),
        ("View function mapping is overwriting an existing endpoint: hello", {b"b.py"}),
        ("builtins.AssertionError: View function mapping is overwriting an existing endpoint: hello", {b"b.py"}),
        ("Error: 3 of 'jobs' failed, giving up", {b"c.c"}),
        ("ValueError: the endpoint function 'users' is overwritten here", {b"a.py", b"tests/test_a.py"}),
        ("ValueError: View function: line 1 column 2", {b"b.py"}),  # the code adds the rest apart
        ("nothing of this is there: at all", set()),
        ("endpoint function", set()),  # a few plain words are a subject
        ("the endpoint function", set()),
        ("is overwritten here", set()),
        ("why the endpoint function is overwritten", set()),  # a question is in the words of the asker
    ],
)
def test_the_longest_fixed_part_of_a_message_is_found(root: Indexed, text: str, paths: set[bytes]) -> None:
    assert found(root, text) == paths


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("module not registered", {b"m.go"}),
        ("Module not registered", {b"m.go"}),
        ("no module", {b"n.py"}),
        ("giving up now", {b"n.py"}),  # the message ends with punctuation
        ("module not", set()),  # not all of the message's words
        ("module lookup", set()),  # only in a comment
        ("module not registered here now", set()),
        ("module not registered: zlib", {b"m.go"}),
        ("module lookup: zlib", set()),
    ],
)
def test_a_message_of_a_few_words_stands_in_quotes_before_a_placeholder_or_the_end(
    root: Indexed, text: str, paths: set[bytes]
) -> None:
    root.save(
        "m.go", 'func f(n string) error {\n\treturn fmt.Errorf("module not registered: %s", n) // module lookup\n}\n'
    )
    root.save("n.py", 'def f():\n    raise KeyError("no module" if a else "giving up now!")\n')
    root.save("tests/test_n.py", 'assert str(error) == "no module"\n')
    root.save("notes.md", '# Errors\n\nIt says "no module".\n')
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        ids = sorted(short_message_chunks(root, snapshot, text))
        assert {chunk.path for chunk in snapshot.catalog.chunks(ids).values()} == paths


def test_plain_words_that_many_files_have_are_no_quotation(root: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(literal, "_MOST_FILES_OF_SUBJECT", 1)
    monkeypatch.setattr(literal, "_MOST_CONTENTS", 2)
    for number, expected in ((1, True), (2, True), (3, False)):
        root.save(f"{number}.c", f"/* allocate memory for a buffer: {number} */\n")
        assert bool(found(root, "allocate memory for a buffer")) is expected
    assert found(root, "allocate memory for a buffer:")  # not in everyday English


def test_all_of_a_text_may_be_inside_words_if_it_is_nowhere_else(root: Indexed) -> None:
    root.save("longer.c", "DEFINE3(readv, x)\n")
    assert found(root, "DEFINE3(read") == {b"longer.c"}
    assert found(root, "define3(read") == {b"longer.c"}
    root.save("whole.c", "DEFINE3(read, x)\n")
    assert found(root, "DEFINE3(read") == {b"whole.c"}


def test_a_part_of_a_message_is_whole_words(root: Indexed) -> None:
    root.save("part.py", 'TEXT = "unlock slow paths are taken"\n')
    root.save("whole.py", 'TEXT = "take the lock slow path, and wait"\n')
    assert found(root, "mutex lock slow path 7") == {b"whole.py"}
    root.save("mutex.py", 'TEXT = "every mutex lock slow path 70"\n')  # all of a text may end inside a word
    assert found(root, "mutex lock slow path 7") == {b"mutex.py"}


@pytest.mark.parametrize(
    "written", ["the userId given is wrong", "THE USERID GIVEN IS WRONG", "the userid given is wrong"]
)
@pytest.mark.parametrize(
    "typed", ["The userid given is wrong", "the userId given is wrong", "the USER_ID given is wrong"]
)
def test_all_of_a_text_is_found_in_any_case(root: Indexed, written: str, typed: str) -> None:
    root.save("x.py", f'raise ValueError("{written}")\n')
    assert found(root, typed) == ({b"x.py"} if typed.lower() == written.lower() else set())


def test_code_is_found_behind_many_files_with_the_same_letters(root: Indexed) -> None:
    for number in range(120):
        root.save(
            f"a/{number}.py", f"X = 'number {number} of the list'\nY = 'the number given'\nZ = 'given number of'\n"
        )
    root.save("z.py", "raise ValueError('the given number of')\n")
    assert found(root, "the given number of") == {b"z.py"}


def test_code_counts_where_tests_have_the_whole_message(root: Indexed) -> None:
    message = "the endpoint function index is overwritten here."
    assert found(root, message) == {b"a.py", b"tests/test_a.py"}


def test_code_counts_where_documents_have_the_whole_message_with_its_exception(root: Indexed) -> None:
    root.save("guide.md", "# Errors\n\n    RuntimeError: Working outside of all contexts.\n")
    root.save("cli.py", "# what ends all contexts.\n")
    assert found(root, "RuntimeError: Working outside of all contexts.") == {b"guide.md", b"cli.py"}
    root.save("globals.py", 'TEXT = """\\\nWorking outside of all contexts.\n"""\n')
    assert found(root, "RuntimeError: Working outside of all contexts.") == {b"guide.md", b"globals.py"}


def test_a_text_may_stand_in_other_quotation_marks(root: Indexed) -> None:
    root.save("theme.rs", 'if theme == "ansi-light" {\n')
    assert found(root, "'ansi-light'") == {b"theme.rs"}
    assert found(root, "`ansi-light`") == {b"theme.rs"}


def test_a_version_may_stand_without_its_letter(root: Indexed) -> None:
    root.save("CHANGELOG.md", "# Changes\n\n## [1.15.0] - 2023-05-12\n\n## [1.15.10] - 2023-06-01\n")
    assert found(root, "v1.15.0") == {b"CHANGELOG.md"}
    root.save("CHANGELOG.md", "# Changes\n\n## [1.15.10] - 2023-06-01\n")
    assert found(root, "v1.15.0") == set()


def test_few_words_around_code_are_a_quotation_if_they_say_what_is_wrong(root: Indexed) -> None:
    root.save("reader.kt", 'throw Error("Expected BEGIN_OBJECT but was ${peek()} at path $path")\n')
    assert found(root, "Expected BEGIN_OBJECT but was STRING at path $.foo") == {b"reader.kt"}
    assert found(root, "Expected OBJECT but was STRING at that path") == set()


def test_a_masked_secret_is_not_found(root: Indexed) -> None:
    root.save("key.py", f'KEY = "{KEY}"\n')
    assert found(root, KEY + '"') == set()
    assert found(root, 'KEY = "') == {b"key.py"}


@pytest.mark.parametrize(
    ("text", "is_message"),
    [
        ('the endpoint function "users" is overwritten here', True),
        ('endpoint function "users" was overwritten here', False),
        ('some "users" failed, giving up', True),
        ('how "users" failed, giving up', False),
        ('an endpoint "users"', False),
        ('unknown command "x" for "y"', True),
        ('command unknown "x" for "y"', False),
        ('unknown command "x"', False),
        ("unknown command 'x' for 'y'", True),
        ("unknown command isn't for nobody's", False),
        ("where is unknown command 'x' for 'y'", False),
        ('this include "x" is nowhere here', False),
        ('a name that is "x"', False),
        ("Callable HomeController does not exist", True),
        ("Callable app.home_controller does not exist", True),
        ("Callable Home does not exist", False),  # no name without quotation marks
        ("Callable HomeController exists", False),
        ("how does a Callable HomeController not exist", False),
        ("'users' => 'public'", False),  # nothing but values
        ('"users"', False),
    ],
)
def test_a_message_with_quoted_values_is_known_by_its_fixed_parts(root: Indexed, text: str, is_message: bool) -> None:
    root.save("comment.py", "# this include is nowhere here\n")
    root.save("sentence.py", "TEXT = 'something'  # it's a name that is everywhere\n")
    root.save("callable.php", "<?php\nthrow new RuntimeException(sprintf('Callable %s does not exist', $class));\n")
    root.save("command.go", 'return fmt.Errorf("unknown command %q for %q%s", name, path, similar)\n')
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        assert bool(message_chunks(root, snapshot, text)) is is_message


@pytest.mark.parametrize(
    ("text", "expected"),
    [("module not registered", True), ("Unknown host", True), ("file server", False), ("notable modules", False)],
)
def test_what_says_that_something_is_wrong_is_a_complaint(text: str, expected: bool) -> None:
    assert is_complaint(text) is expected
