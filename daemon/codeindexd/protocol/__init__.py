"""The socket protocol: the socket's path, requests, answers, errors and framing. Standard library only.

JSON-RPC 2.0, one JSON object per line, UTF-8, at most ``MAX_REQUEST_BYTES`` per request. Both ends use this module, so
it is cheap to import. Text is sent as ASCII (``\\uXXXX`` escapes), which preserves paths that are not UTF-8 as
surrogate escapes; ``path_b64`` carries the exact bytes for readers that reject those.
"""

from __future__ import annotations

from codeindexd.protocol.address import ADDRESS_NAME, LOCK_NAME, Address, read_address
from codeindexd.protocol.faults import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    UNKNOWN_METHOD,
    ProtocolError,
    RequestId,
    error_from_json,
    error_to_json,
)
from codeindexd.protocol.framing import (
    MAX_REQUEST_BYTES,
    LineBuffer,
    Request,
    decode,
    encode,
    failure,
    notification,
    parse_request,
    request,
    result,
)
from codeindexd.protocol.methods import MAX_LIMIT, METHODS, Param, validate
from codeindexd.protocol.peers import check_peer, connect, peer_credentials, suspended_peer
from codeindexd.protocol.places import (
    MAX_SOCKET_PATH,
    bytes_of_path,
    check_socket_path,
    path_to_json,
    runtime_directory,
    socket_path,
    text_of_path,
)

__all__ = [
    "ADDRESS_NAME",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "LOCK_NAME",
    "MAX_LIMIT",
    "MAX_REQUEST_BYTES",
    "MAX_SOCKET_PATH",
    "METHODS",
    "PARSE_ERROR",
    "UNKNOWN_METHOD",
    "Address",
    "LineBuffer",
    "Param",
    "ProtocolError",
    "Request",
    "RequestId",
    "bytes_of_path",
    "check_peer",
    "check_socket_path",
    "connect",
    "decode",
    "encode",
    "error_from_json",
    "error_to_json",
    "failure",
    "notification",
    "parse_request",
    "path_to_json",
    "peer_credentials",
    "read_address",
    "request",
    "result",
    "runtime_directory",
    "socket_path",
    "suspended_peer",
    "text_of_path",
    "validate",
]
