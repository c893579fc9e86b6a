"""Requests that no client of ours would send, made from the protocol's own table of methods."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from codeindexd import protocol
from codeindexd.protocol import Param

_SAFE = sorted(
    protocol.METHODS.keys() - {"shutdown", "roots.add", "roots.remove", "reindex", "pause", "verify", "sync"}
)
_WAITING = ("sync", "verify")

_TEXTS = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "\ud800",
        "\udcff\udc80",
        "\u202e\u2066x",
        "e\u0301\u0323" * 500,
        "\ufdfa" * 300,
        "a" * 70_000,
    ),
    *(
        "*a" * 40 + "b",
        "**a" * 40,
        "{a,{b,c}" * 30,
        "[" * 900,
        "../" * 300,
        "/a*a*a*b/ x",
        "x /(a+)+$/",
        "/(/",
        "x /[z-a]/",
    ),
    *(
        "lang:",
        "lang:a lang:b",
        "path:[",
        "-path:x",
        'a "b',
        'path:"a',
        "kind:" * 90,
        "symbol:a.b.c",
        "%s%n",
        "' OR 1=1 --",
        "\r\n",
    ),
)
_PATHS = (
    *(
        "/",
        "//",
        "/..",
        "/./x",
        "relative",
        "",
        "/\0",
        "/\ud800",
        "/\udcff",
        "/" + "a" * 300,
        "/a" * 3000,
        "/proc/self/root",
    ),
    *("/dev/null", "/tmp/" + "../" * 50 + "etc", "~", "file:///x"),
)
_NUMBERS = (0, -1, 1, 7, 1.5, 10.0, -0.0, 10**9, 10**18, -(10**30), 2**63, 1e308, 10**300, True)
_ODD = (None, True, False, [], {}, [[]], [None], {"a": 1}, "x", 0, -1, 1e308)


def value(param: Param, root: str, random: Random) -> Any:
    """Return a value for a parameter, rarely a valid one."""
    if random.random() < 0.15:
        return random.choice(_ODD)
    match param.kind:
        case "text":
            return random.choice(_TEXTS)
        case "path" | "name":
            return random.choice((*_PATHS, root, root + "/a.py", root + "/loop/x", root + "/" + "n" * 300, "a.py"))
        case "paths":
            return [random.choice((*_PATHS, root)) for _ in range(random.randrange(4))]
        case "integer" | "number":
            return random.choice(_NUMBERS)
    return random.choice((True, False, 0, "true"))


def odd_request(root: str, random: Random) -> dict[str, Any]:
    """Return a request with an odd id and odd parameters for a method that neither changes nor stops anything."""
    method = random.choice((*_SAFE, *_SAFE, *_WAITING))
    params = {param.name: value(param, root, random) for param in protocol.METHODS[method] if random.random() < 0.8}
    if method in _WAITING:
        params |= {"path": root, "timeout_s": random.choice((0, 0.01, -1, "x"))}
    if random.random() < 0.2:
        params[random.choice(("path_b64", "root_b64", "unknown", ""))] = random.choice((*_ODD, "////", "L2E=", "?"))
    request: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": random.choice((1, -1, 0, 1.5, "", "x", None, 10**40)),
        "method": method,
    }
    match random.randrange(12):
        case 0:
            request["params"] = random.choice(_ODD)
        case 1:
            request[random.choice(list(request))] = random.choice(_ODD)
        case _:
            request["params"] = params
    return request


_BROKEN = (
    *(
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe\x00",
        b"\0" * 100,
        b"nul",
        b'"\\ud800',
        b"{}{}",
        b"[1,2",
        b"1e999",
    ),
    *(b"-", b'{"jsonrpc":"2.0","id":1e999,"method":"roots.list"}', b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b"}"),
    *(
        b"[" + b'{"jsonrpc":"2.0","id":1,"method":"roots.list"},' * 50 + b"1]",
        b'{"jsonrpc":"2.0","jsonrpc":"1.0","id":1}',
    ),
    *(
        b"GET / HTTP/1.1\r",
        b"\x16\x03\x01\x02",
        b"NaN",
        b'{"id":NaN}',
        b"\xef\xbb\xbf{}",
        b'{"jsonrpc":"2.0","method":"x"}',
        b'"',
    ),
)


def odd_line(root: str, random: Random) -> bytes:
    """Return a line with its newline: a request, a broken one, or no JSON at all. It must be answered."""
    kind = random.random()
    if kind < 0.15:
        return random.choice(_BROKEN) + b"\n"
    request = odd_request(root, random)
    request.setdefault("id", 1)  # without one nobody may answer
    line = json.dumps(request).encode()
    if kind < 0.3:
        cut = random.randrange(1, len(line))
        line = line[:cut] + bytes([random.randrange(256)]) + line[cut + 1 :]
        line = line.replace(b"\n", b" ")
        if not line.strip():
            line = b"?"
    return line + b"\n"
