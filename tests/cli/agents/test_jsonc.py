"""Edits of JSON with comments."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.cli.agents.jsonc import entry, with_entry, without_entry
from codeindexd.errors import FailedError

PATH = ("servers", "mine")
SERVER = {"command": "x", "args": ["mcp"]}
WRITTEN = '"mine": {\n      "command": "x",\n      "args": [\n        "mcp"\n      ]\n    }'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f'{{\n  "servers": {{\n    {WRITTEN}\n  }}\n}}\n'),
        ('{\n  "servers": null\n}\n', f'{{\n  "servers": {{\n    {WRITTEN}\n  }}\n}}\n'),
        ("{}\n", f'{{\n  "servers": {{\n    {WRITTEN}\n  }}\n}}\n'),
        ('{\n  "a": 1\n}\n', f'{{\n  "a": 1,\n  "servers": {{\n    {WRITTEN}\n  }}\n}}\n'),
        ('{\n  "a": 1, // why\n}\n', f'{{\n  "a": 1, // why\n  "servers": {{\n    {WRITTEN}\n  }},\n}}\n'),
        ('{\n  "a": 1 // why\n}\n', f'{{\n  "a": 1, // why\n  "servers": {{\n    {WRITTEN}\n  }}\n}}\n'),
        (
            '// head\n{\n  "servers": {\n    // none yet\n  },\n  "z": [1,], /* end */\n}\n// tail',
            f'// head\n{{\n  "servers": {{\n    // none yet\n    {WRITTEN}\n  }},\n  "z": [1,], /* end */\n}}\n// tail',
        ),
        (
            '{\n  "servers": {\n    "other": {"url": "http://x//y"} // "mine": 1\n  }\n}',
            f'{{\n  "servers": {{\n    "other": {{"url": "http://x//y"}}, // "mine": 1\n    {WRITTEN}\n  }}\n}}',
        ),
    ],
)
def test_an_entry_is_added_and_removed_without_touching_anything_else(before: str, after: str) -> None:
    assert with_entry(before, PATH, SERVER) == after
    assert entry(after, PATH) == SERVER
    assert entry(without_entry(after, PATH), PATH) is None


def test_removing_keeps_comments_and_neighbours() -> None:
    text = '{\n  // first\n  "servers": {\n    "a": 1, // one\n    "mine": {},\n    "b": 2 // two\n  }\n}\n'
    assert without_entry(text, PATH) == text.replace('    "mine": {},\n', "")
    text = '{"servers": {"a": 1, "mine": {}}, "b": 2}'
    assert without_entry(text, PATH) == '{"servers": {"a": 1}, "b": 2}'
    text = '{"servers": {"mine": {}, "a": 1}}'
    assert without_entry(text, PATH) == '{"servers": {"a": 1}}'
    assert without_entry("{}", PATH) == "{}"


def test_an_entry_is_replaced_in_place() -> None:
    text = '{\n    "servers": {\n        "mine": {"old": 1}, // ours\n        "b": 2\n    }\n}\n'
    assert with_entry(text, PATH, 5) == text.replace('{"old": 1}', "5")


def test_the_indentation_of_the_file_is_kept() -> None:
    assert with_entry('{\n\t"a": 1\n}', ("b",), {"c": 2}) == '{\n\t"a": 1,\n\t"b": {\n\t\t"c": 2\n\t}\n}'


@pytest.mark.parametrize(
    "text", ["{", "[1, 2", '{"a": }', '{"a" 1}', "{'a': 1}", r'{"\q": 1}', r'{"a": "\q"}', '{"a": 1} x', '{"a": nope}']
)
def test_what_is_not_json_is_an_error(text: str) -> None:
    with pytest.raises(FailedError, match="line 1 is not valid JSON"):
        with_entry(text, PATH, 1)


def test_what_is_no_object_is_not_overwritten() -> None:
    with pytest.raises(FailedError, match="servers is not an object"):
        with_entry('{"servers": []}', PATH, 1)


keys = st.sampled_from(["servers", "a", "b", 'q"uote', "ü"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, st.dictionaries(keys, values, max_size=3), max_size=4), st.sampled_from([None, 2, "\t"]))
def test_any_object_is_unchanged_but_for_the_entry(
    data: dict[str, dict[str, object]], indent: int | str | None
) -> None:
    text = json.dumps(data, indent=indent)
    changed = with_entry(text, PATH, SERVER)
    assert json.loads(changed) == {**data, "servers": {**data.get("servers", {}), "mine": SERVER}}
    assert json.loads(without_entry(changed, PATH)) == {**data, "servers": data.get("servers", {})}
