"""Arguments as models and hosts really write them."""

from __future__ import annotations

from typing import Any

import pytest

from codeindexd.errors import UsageError
from codeindexd.mcp.arguments import Kind, Parameter, input_schema, local_path, read

PARAMETERS = (
    Parameter("path", Kind.PATH, "The file.", aliases=("file",)),
    Parameter("line", Kind.INTEGER, "A line.", maximum=100),
    Parameter("limit", Kind.INTEGER, "Hits.", default=10, maximum=50),
    Parameter("word", Kind.BOOLEAN, "Whole words.", default=False),
    Parameter("mode", Kind.CHOICE, "How.", default="auto", choices=("auto", "regex")),
    Parameter("globs", Kind.TEXTS, "Paths."),
    Parameter("roots", Kind.ROOTS, "Where."),
)


def value(name: str, given: Any) -> Any:
    return read("tool", PARAMETERS, {name: given}, "/p")[name]


@pytest.mark.parametrize(
    ("name", "given", "understood"),
    [
        ("limit", 5, 5),
        ("limit", 5.0, 5),
        ("limit", "5", 5),
        ("limit", "5.0", 5),
        ("limit", None, 10),
        ("limit", "", 10),
        ("word", "true", True),
        ("word", " False ", False),
        ("mode", "REGEX", "regex"),
        ("mode", "reg", "regex"),
        ("globs", "src/**", ["src/**"]),
        ("globs", ["a", "", "b"], ["a", "b"]),
        ("globs", '["a", "b"]', ["a", "b"]),
        ("globs", "[ab].py", ["[ab].py"]),
        ("path", "src/a.py", "/p/src/a.py"),
        ("path", "./src/../a.py", "/p/a.py"),
        ("path", "file:///p/a%20b.py", "/p/a b.py"),
        ("roots", "all", "all"),
        ("roots", ["ALL"], "all"),
        ("roots", ["../q", "file:///r"], ["/q", "/r"]),
    ],
)
def test_what_is_meant_is_understood(name: str, given: Any, understood: Any) -> None:
    assert value(name, given) == understood


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("limit", 5.5, "tool: limit cannot be 5.5"),
        ("limit", "many", 'limit cannot be "many"'),
        ("limit", True, "limit cannot be true"),
        ("limit", 51, "limit cannot be 51"),
        ("word", "maybe", 'word cannot be "maybe"'),
        ("mode", "fuzzy", 'mode cannot be "fuzzy"'),
        ("globs", {"a": 1}, "globs cannot be"),
        ("path", "https://example.org/a", "is not a file"),
        ("path", "file://elsewhere/a", "is on another machine"),
        ("path", "a\0b", "cannot be a path"),
        ("pth", "a", "tool has no parameter pth"),
    ],
)
def test_an_error_names_the_parameter(name: str, given: Any, says: str) -> None:
    with pytest.raises(UsageError) as error:
        value(name, given)
    assert says in error.value.message
    assert error.value.hint


def test_an_unknown_parameter_is_named_with_the_one_that_may_be_meant() -> None:
    with pytest.raises(UsageError) as error:
        read("tool", PARAMETERS, {"limt": 5}, "/p")
    assert error.value.hint == "did you mean limit? its parameters are: path, line, limit, word, mode, globs, roots"


def test_a_line_may_be_part_of_the_path() -> None:
    values = read("tool", PARAMETERS, {"file": "src/a.py:12-20"}, "/p")
    assert (values["path"], values["line"]) == ("/p/src/a.py", 12)
    ranged = (*PARAMETERS, Parameter("last_line", Kind.INTEGER, "The last line."))
    assert read("tool", ranged, {"file": "src/a.py:12-20"}, "/p")["last_line"] == 20
    assert read("tool", ranged, {"file": "src/a.py:12:20"}, "/p")["last_line"] is None  # a column
    values = read("tool", PARAMETERS, {"path": "a:5", "line": 7}, "/p")
    assert (values["path"], values["line"]) == ("/p/a:5", 7)


def test_a_name_overrides_its_aliases() -> None:
    assert read("tool", PARAMETERS, {"file": "a", "path": "b"}, "/p")["path"] == "/p/b"


def test_the_schema_states_types_bounds_and_defaults() -> None:
    schema = input_schema(PARAMETERS)
    assert schema["properties"]["limit"] == {
        "type": "integer", "description": "Hits.", "minimum": 1, "maximum": 50, "default": 10
    }  # fmt: skip
    assert schema["properties"]["mode"]["enum"] == ["auto", "regex"]
    assert schema["additionalProperties"] is False


def test_a_home_directory_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    assert local_path("~/a", "/p") == "/home/u/a"
