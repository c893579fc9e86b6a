"""Requests, answers and framing, with edge cases and random bytes."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd import errors, protocol


def parsed(message: object) -> protocol.Request:
    return protocol.parse_request(json.dumps(message).encode())


def call(method: str, **params: object) -> protocol.Request:
    return parsed({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def refusal(message: object) -> protocol.ProtocolError:
    line = message if isinstance(message, bytes) else json.dumps(message).encode()
    with pytest.raises(protocol.ProtocolError) as caught:
        protocol.parse_request(line)
    return caught.value


def test_a_request_gets_the_defaults_of_its_method() -> None:
    request = call("search", query="x", unknown=1)
    assert request.params == {
        "query": "x",
        "roots": None,
        "limit": None,
        "language": None,
        "path": None,
        "kind": None,
        "sync": False,
        "explain": False,
        "level": "chunk",
        "last_commit": False,
    }
    assert not request.is_notification


def test_a_request_without_id_is_a_notification_and_null_is_an_id() -> None:
    assert parsed({"jsonrpc": "2.0", "method": "roots.list"}).is_notification
    assert not parsed({"jsonrpc": "2.0", "id": None, "method": "roots.list"}).is_notification


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\xff{}",
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"id":' + b"9" * 10_000 + b"}",
        b"\x00",
        b'"\\ud8',
        b"\xef\xbb\xbf{}",
    ],
)
def test_invalid_json_is_a_parse_error(line: bytes) -> None:
    assert refusal(line).code == protocol.PARSE_ERROR


@pytest.mark.parametrize(
    "message",
    [
        1,
        "x",
        None,
        [],
        [{"jsonrpc": "2.0", "id": 1, "method": "roots.list"}],
        {},
        {"jsonrpc": "1.0", "id": 1, "method": "roots.list"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "method": 5},
        {"jsonrpc": "2.0", "id": True, "method": "roots.list"},
        {"jsonrpc": "2.0", "id": {}, "method": "roots.list"},
    ],
)
def test_other_json_is_an_invalid_request(message: object) -> None:
    assert refusal(message).code == protocol.INVALID_REQUEST


@pytest.mark.parametrize("number", [b"1e999", b"-1e999"])
def test_an_infinite_id_is_an_invalid_request(number: bytes) -> None:
    error = refusal(b'{"jsonrpc": "2.0", "id": ' + number + b', "method": "roots.list"}')
    assert (error.code, error.request_id) == (protocol.INVALID_REQUEST, None)


def test_errors_carry_the_id_to_answer_with() -> None:
    error = refusal({"jsonrpc": "2.0", "id": "seven", "method": "nope"})
    assert (error.code, error.request_id) == (protocol.UNKNOWN_METHOD, "seven")
    assert refusal({"jsonrpc": "2.0", "id": 7, "method": "search"}).request_id == 7


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("search", {}, "query"),
        ("search", {"query": 5}, "query"),
        ("search", {"query": "x", "limit": "10"}, "limit"),
        ("search", {"query": "x", "limit": True}, "limit"),
        ("search", {"query": "x", "limit": 1.5}, "limit"),
        ("search", {"query": "x", "limit": 0}, "limit"),
        ("search", {"query": "x", "limit": 10**400}, "limit"),
        ("search", {"query": "x", "roots": "/a"}, "roots"),
        ("search", {"query": "x", "roots": [1]}, "roots"),
        ("search", {"query": "x", "sync": 1}, "sync"),
        ("sync", {"timeout_s": -1}, "timeout_s"),
        ("sync", {"timeout_s": "1"}, "timeout_s"),
        ("roots.add", {"path": ""}, "path"),
        ("roots.add", {"path": "/a\0b"}, "path"),
        ("roots.add", {"path": "/\ud800"}, "path"),
        ("roots.add", {"path_b64": "?"}, "path_b64"),
        ("roots.add", {"path_b64": 7}, "path_b64"),
        ("related", {"root": "/a", "path": "b", "line": 0}, "line must be 1 to 1099511627776"),
        ("sync", {"timeout_s": 1e9}, "timeout_s must be 0 to 604800"),
        ("grep", {"pattern": "\udcff"}, "pattern is not UTF-8"),
        ("symbol", {"name": "caf\udce9"}, "name is not UTF-8"),
    ],
)
def test_wrong_parameters_are_named(method: str, params: dict[str, object], field: str) -> None:
    error = refusal({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    assert error.code == protocol.INVALID_PARAMS
    assert field in error.message


def test_params_must_be_an_object() -> None:
    assert refusal({"jsonrpc": "2.0", "id": 1, "method": "search", "params": ["x"]}).code == protocol.INVALID_PARAMS


def test_a_relative_path_is_refused() -> None:
    assert refusal({"jsonrpc": "2.0", "id": 1, "method": "roots.add", "params": {"path": "src"}}).code == 4


def test_integral_floats_and_nulls_are_accepted() -> None:
    assert call("search", query="x", limit=10.0).params["limit"] == 10
    assert call("search", query="x", limit=None).params["limit"] is None
    assert call("sync", timeout_s=3).params["timeout_s"] == 3


def test_lone_surrogates_in_text_are_replaced() -> None:
    assert call("search", query="a\ud800b").params["query"] == "a?b"


def test_a_path_that_is_not_utf8_survives_as_text_and_base64() -> None:
    raw = b"/caf\xe9/\xff"
    fields = protocol.path_to_json(raw)
    assert base64.b64decode(fields["path_b64"]) == raw
    assert protocol.bytes_of_path(call("roots.add", path=fields["path"]).params["path"]) == raw
    assert protocol.bytes_of_path(call("roots.add", path_b64=fields["path_b64"]).params["path"]) == raw
    assert protocol.path_to_json("/é".encode()) == {"path": "/é"}


@given(st.binary())
def test_any_path_survives(raw: bytes) -> None:
    fields = json.loads(protocol.encode(protocol.path_to_json(raw)))
    assert protocol.bytes_of_path(fields["path"]) == raw


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(line: bytes) -> None:
    try:
        protocol.parse_request(line)
    except protocol.ProtocolError as error:
        protocol.failure(error.request_id, error)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
_FIELDS = sorted({param.name for params in protocol.METHODS.values() for param in params} | {"path_b64"})


@given(st.sampled_from(sorted(protocol.METHODS)), st.dictionaries(st.sampled_from(_FIELDS), _JSON))
def test_random_parameters_are_typed_or_refused(method: str, params: dict[str, object]) -> None:
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    try:
        request = protocol.parse_request(line)
    except protocol.ProtocolError as refused:
        codes, code = {protocol.INVALID_PARAMS, protocol.PARSE_ERROR, errors.PathRefusedError.code}, refused.code
        message = json.loads(protocol.failure(1, refused))["error"]["message"]
    else:
        codes, code, message = set(), None, ""
    if code is not None:
        assert code in codes
        assert message
        return
    assert request.params.keys() == {param.name for param in protocol.METHODS[method]}


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 30)))
def test_lines_do_not_depend_on_the_pieces_they_arrive_in(lines: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)
    expected = protocol.LineBuffer().feed(whole)
    pieces, buffer, position = [], protocol.LineBuffer(), 0
    for cut in [*cuts, len(whole)]:
        pieces += buffer.feed(whole[position : position + cut])
        position += cut
    pieces += buffer.feed(whole[position:])
    assert pieces == expected


def test_lines_before_an_oversized_line_are_returned() -> None:
    buffer = protocol.LineBuffer(limit=10)
    assert buffer.feed(b"first\n" + b"x" * 11) == [b"first"]
    assert buffer.oversized
    assert buffer.feed(b"\nmore\n") == []


def test_the_limit_of_a_line_is_exact() -> None:
    assert protocol.LineBuffer(limit=10).feed(b"x" * 10 + b"\n") == [b"x" * 10]
    buffer = protocol.LineBuffer(limit=10)
    assert buffer.feed(b"x" * 11 + b"\n") == []
    assert buffer.oversized


def test_infinity_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        protocol.result(1, {"score": float("inf")})


@pytest.mark.parametrize(
    "kind",
    [errors.NotIndexedError, errors.TimedOutError, errors.StoreFullError, errors.ConfigError, errors.UsageError],
)
def test_errors_come_back_as_their_own_class(kind: type[errors.CodeindexError]) -> None:
    back = protocol.error_from_json(json.loads(json.dumps(protocol.error_to_json(kind("what", hint="how")))))
    assert type(back) is kind
    assert (back.message, back.hint, back.code) == ("what", "how", kind.code)


def test_errors_of_unknown_names_come_back_by_code() -> None:
    assert type(protocol.error_from_json({"code": 1, "message": "m"})) is errors.NotIndexedError
    assert protocol.error_from_json({"code": -32601, "message": "m"}).code == -32601
    for odd in (None, [], {"code": "x"}, {"code": 99, "data": 3}):
        assert isinstance(protocol.error_from_json(odd), errors.FailedError)


class TestSocketPath:
    def test_the_variable_overrides_the_runtime_directory(self) -> None:
        environ = {"CODEINDEXD_SOCKET": "/tmp/x.sock", "XDG_RUNTIME_DIR": "/run/user/7"}
        assert protocol.socket_path(environ) == "/tmp/x.sock"

    def test_the_runtime_directory_is_used(self, tmp_path: Path) -> None:
        expected = f"{tmp_path}/codeindexd/codeindexd.sock"
        assert protocol.socket_path({"XDG_RUNTIME_DIR": f"{tmp_path}/"}) == expected

    def test_one_that_can_be_created_is_used_too(self, tmp_path: Path) -> None:
        assert protocol.runtime_directory({"XDG_RUNTIME_DIR": f"{tmp_path}/new"}) == f"{tmp_path}/new/codeindexd"

    def test_one_that_cannot_exist_is_not_used(self, tmp_path: Path) -> None:
        assert not protocol.runtime_directory({"XDG_RUNTIME_DIR": "/no/such/place"}).startswith("/no/")

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
    def test_that_of_another_user_is_not_used(self, tmp_path: Path) -> None:
        """As ``su`` leaves it."""
        os.chown(tmp_path, 61234, 61234)
        assert not protocol.runtime_directory({"XDG_RUNTIME_DIR": str(tmp_path)}).startswith(str(tmp_path))


class TestAddress:
    def test_it_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        address = protocol.Address(7, "/run/s", "1.2.3")
        (tmp_path / "daemon.json").write_bytes(address.encode())
        assert protocol.read_address(tmp_path) == address

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", "null", '{"pid": 7}', '{"pid": "x", "socket": "/s", "version": ""}', "[" * 9999]
    )
    def test_anything_else_is_no_address(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "daemon.json").write_text(content)
        assert protocol.read_address(tmp_path) is None

    def test_a_relative_socket_a_link_or_no_file_is_no_address(self, tmp_path: Path) -> None:
        assert protocol.read_address(tmp_path) is None
        (tmp_path / "real").write_bytes(protocol.Address(7, "s", "1").encode())
        (tmp_path / "daemon.json").write_bytes((tmp_path / "real").read_bytes())
        assert protocol.read_address(tmp_path) is None
        (tmp_path / "real").write_bytes(protocol.Address(7, "/s", "1").encode())
        (tmp_path / "daemon.json").unlink()
        (tmp_path / "daemon.json").symlink_to("real")
        assert protocol.read_address(tmp_path) is None

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
    def test_a_file_of_another_user_is_no_address(self, tmp_path: Path) -> None:
        (tmp_path / "daemon.json").write_bytes(protocol.Address(7, "/s", "1").encode())
        os.chown(tmp_path / "daemon.json", 61234, 61234)
        assert protocol.read_address(tmp_path) is None

    def test_without_either_there_is_a_default(self) -> None:
        assert protocol.socket_path({}).endswith("/codeindexd/codeindexd.sock")

    def test_long_and_relative_paths_are_refused(self) -> None:
        with pytest.raises(errors.ConfigError, match="too long: 1"):
            protocol.socket_path({"CODEINDEXD_SOCKET": "/" + "x" * 120})
        with pytest.raises(errors.ConfigError, match="absolute"):
            protocol.socket_path({"CODEINDEXD_SOCKET": "x.sock"})
