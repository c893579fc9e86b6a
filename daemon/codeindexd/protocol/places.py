"""Where the socket is, by the same rules at both ends, and paths as JSON carries them."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from typing import Final

from codeindexd.errors import ConfigError

MAX_SOCKET_PATH: Final = 103 if sys.platform == "darwin" else 107  # bytes of sun_path, without its final NUL


def socket_path(environ: Mapping[str, str]) -> str:
    """Where the daemon of this user listens: ``CODEINDEXD_SOCKET``, else the runtime directory.

    Raises ConfigError when the path is too long for a unix socket.
    """
    path = environ.get("CODEINDEXD_SOCKET") or f"{runtime_directory(environ)}/codeindexd.sock"
    if not path.startswith("/"):
        raise ConfigError(f"CODEINDEXD_SOCKET is not an absolute path: {path}", hint="Give it as an absolute path.")
    check_socket_path(path)
    return path


def check_socket_path(path: str) -> None:
    """Raises ConfigError when ``path`` is too long for a unix socket."""
    if (length := len(os.fsencode(path))) > MAX_SOCKET_PATH:
        raise ConfigError(
            f"the socket path is too long: {length} bytes, a unix socket takes {MAX_SOCKET_PATH}: {path}",
            hint="Set CODEINDEXD_SOCKET to a shorter path, for the daemon and its clients alike.",
        )


def runtime_directory(environ: Mapping[str, str]) -> str:
    """The directory of the socket and the lock, by the same rules at both ends.

    platformdirs is asked only where the environment and ``/run/user`` do not answer: its import is slower than a query.
    """
    base = environ.get("XDG_RUNTIME_DIR", "")
    if sys.platform != "darwin":
        if base.startswith("/"):
            return f"{base.rstrip('/')}/codeindexd"
        base = f"/run/user/{os.getuid()}"
        if os.access(base, os.W_OK):
            return f"{base}/codeindexd"
    import warnings

    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that XDG_RUNTIME_DIR is not set: that is why it is asked
        return str(platformdirs.user_runtime_dir("codeindexd", appauthor=False))


def text_of_path(path: bytes) -> str:
    """A path as JSON carries it: UTF-8, other bytes as surrogate escapes."""
    return path.decode("utf-8", "surrogateescape")


def bytes_of_path(path: str) -> bytes:
    """The bytes of a path that came as text; the inverse of text_of_path."""
    return path.encode("utf-8", "surrogateescape")


def path_to_json(path: bytes, *, key: str = "path") -> dict[str, str]:
    """``{"path": text}``, and ``path_b64`` with the exact bytes where they are not UTF-8."""
    text = text_of_path(path)
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return {key: text, f"{key}_b64": base64.b64encode(path).decode("ascii")}
    return {key: text}
