"""The revisions of the protocol, and what each request of the newest one carries.

Up to 2025-11-25, a connection begins with ``initialize``. Since 2026-07-28 there is no handshake: each request names
its revision and the host's capabilities in ``_meta``, and what the server wants to know is the result of the request,
which the host then repeats with the answers (https://modelcontextprotocol.io/specification/2026-07-28/basic).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codeindexd import __version__, protocol

STATELESS = ("2026-07-28",)
HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")  # newest first
VERSIONS = (*STATELESS, *HANDSHAKE)
STRUCTURED_SINCE = "2025-06-18"

HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
RESOURCE_NOT_FOUND = -32002  # until 2025-11-25

_PREFIX = "io.modelcontextprotocol/"
_VERSION_KEY = f"{_PREFIX}protocolVersion"
_CAPABILITIES_KEY = f"{_PREFIX}clientCapabilities"
_SERVER_KEY = f"{_PREFIX}serverInfo"
_CACHEABLE_S = 3600
_CACHEABLE = frozenset({
    "server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list",
})  # fmt: skip

SERVER_INFO = {"name": "codeindexd", "title": "codeindexd", "version": __version__}
CAPABILITIES: Mapping[str, Any] = {"tools": {}, "resources": {}, "prompts": {}}


class RpcError(Exception):
    """A request that cannot be answered, as a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True)
class RequestTerms:
    """The revision that a request is answered by, and the capabilities of the host."""

    version: str
    capabilities: Mapping[str, Any]

    @property
    def is_stateless(self) -> bool:
        """True if the revision has no handshake."""
        return self.version in STATELESS

    @property
    def has_structured_content(self) -> bool:
        """True if results of tools may have structured content."""
        return self.version >= STRUCTURED_SINCE

    @property
    def has_roots(self) -> bool:
        """True if the host can say which directories it works on."""
        return "roots" in self.capabilities


def terms_in(params: Mapping[str, Any]) -> RequestTerms | None:
    """Return what a request says about itself, None for one of the revisions with a handshake.

    Raises RpcError if it is incomplete or names a revision that is not served.
    """
    meta = params.get("_meta")
    if not isinstance(meta, dict) or _VERSION_KEY not in meta:
        return None
    version, capabilities = meta[_VERSION_KEY], meta.get(_CAPABILITIES_KEY)
    if not isinstance(version, str) or not isinstance(capabilities, dict):
        wrong = _VERSION_KEY if not isinstance(version, str) else _CAPABILITIES_KEY
        raise RpcError(protocol.INVALID_PARAMS, f"params._meta: {wrong} is missing or has the wrong type")
    if version not in STATELESS:
        raise unsupported(version)
    return RequestTerms(version, capabilities)


def unsupported(version: str) -> RpcError:
    """Return the error for a revision that is not served without a handshake."""
    data = {"supported": list(STATELESS), "requested": version}
    return RpcError(UNSUPPORTED_VERSION, f"unsupported protocol version: {version}", data)


def agreed(requested: Any) -> str:
    """Return the revision to answer ``initialize`` with."""
    return requested if requested in HANDSHAKE else HANDSHAKE[0]


def completed(method: str, terms: RequestTerms, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``result`` with the fields that the revision requires."""
    if not terms.is_stateless:
        return dict(result)
    whole = {"resultType": "complete", **result, "_meta": {_SERVER_KEY: SERVER_INFO}}
    if method in _CACHEABLE:
        whole |= {"ttlMs": _CACHEABLE_S * 1000, "cacheScope": "public"}
    elif method == "resources/read":
        whole |= {"ttlMs": 0, "cacheScope": "private"}
    return whole
