"""Answers as bytes."""

from __future__ import annotations

import json

import msgspec
import pytest

from codeindexd.daemon import encoding


def test_an_answer_is_one_line_of_json() -> None:
    line = encoding.result(7, {"text": "a\nb \u2028\u2029\u0085 ü", "list": [1, 2.5, None, True]})
    assert line.endswith(b"}\n")
    assert len(line.decode().splitlines()) == 1, "there are more line ends than these"
    assert json.loads(line) == {
        "jsonrpc": "2.0",
        "id": 7,
        "result": {"text": "a\nb \u2028\u2029\u0085 ü", "list": [1, 2.5, None, True]},
    }


def test_encoded_parts_are_taken_over() -> None:
    assert json.loads(encoding.encode_json({"roots": [msgspec.Raw(b'{"a":1}')]})) == {"roots": [{"a": 1}]}


@pytest.mark.parametrize("value", ["half \ud83d a pair", 10**30])
def test_what_the_fast_way_refuses_is_encoded_all_the_same(value: object) -> None:
    found = json.loads(encoding.encode_json({"value": value, "roots": [msgspec.Raw(b"[1]")]}))
    assert found == {"value": value, "roots": [[1]]}


def test_what_is_not_json_is_an_error() -> None:
    with pytest.raises(TypeError):
        encoding.encode_json({"value": object()})
