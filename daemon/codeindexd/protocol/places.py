"""The socket's path, computed alike by daemon and clients, and the representation of paths in JSON."""

from __future__ import annotations

import base64
import os
import re
import stat
import sys
from collections.abc import Mapping
from typing import Final

from codeindexd.errors import ConfigError

MAX_SOCKET_PATH: Final = 103 if sys.platform == "darwin" else 107  # bytes of sun_path, without its final NUL


def socket_path(environ: Mapping[str, str]) -> str:
    """Return the path of this user's socket: ``CODEINDEXD_SOCKET``, or a path in the runtime directory.

    Raises ConfigError if the path is not absolute or too long for a unix socket.
    """
    path = environ.get("CODEINDEXD_SOCKET") or f"{runtime_directory(environ)}/codeindexd.sock"
    if not path.startswith("/"):
        raise ConfigError(
            f"CODEINDEXD_SOCKET is not an absolute path: {path}", hint="set it to an absolute path, or unset it"
        )
    check_socket_path(path)
    return path


def check_socket_path(path: str) -> None:
    """Raise ConfigError if ``path`` is too long for a unix socket."""
    if (length := len(os.fsencode(path))) > MAX_SOCKET_PATH:
        raise ConfigError(
            f"the socket path is too long: {length} bytes, at most {MAX_SOCKET_PATH} are possible: {path}",
            hint="set CODEINDEXD_SOCKET to a shorter path, for the daemon and its clients",
        )


def given_directory(environ: Mapping[str, str], variable: str) -> str:
    """Return the directory that an XDG variable names, "" without one; a relative path is ignored, as XDG asks."""
    directory = environ.get(variable, "").strip()
    return directory if directory.startswith("/") else ""


def runtime_directory(environ: Mapping[str, str]) -> str:
    """Return the directory of the socket.

    An ``XDG_RUNTIME_DIR`` that belongs to another user, as after ``su``, is ignored, and so is one that is missing and
    cannot be created. platformdirs is asked last: importing it takes longer than a query.
    """
    base = environ.get("XDG_RUNTIME_DIR", "").rstrip("/")
    if sys.platform != "darwin":
        if base.startswith("/") and _is_usable(base):
            return f"{base}/codeindexd"
        base = f"/run/user/{os.getuid()}"
        if os.access(base, os.W_OK):
            return f"{base}/codeindexd"
    import warnings

    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that XDG_RUNTIME_DIR is not set, which is why we are here
        try:
            return str(platformdirs.user_runtime_dir("codeindexd", appauthor=False))
        except OSError:  # another user created that directory in the temporary one
            return str(platformdirs.user_state_path("codeindexd", appauthor=False) / "run")


def _is_usable(base: str) -> bool:
    try:
        found = os.stat(base)  # noqa: PTH116 - pathlib costs a fifth of a search's time
        return found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode)
    except OSError:
        return os.access(os.path.dirname(base), os.W_OK)  # noqa: PTH120


def text_of_path(path: bytes) -> str:
    """Return a path as text for JSON: UTF-8, other bytes as surrogate escapes."""
    return path.decode("utf-8", "surrogateescape")


def bytes_of_path(path: str) -> bytes:
    """Return the bytes of a path in JSON; the inverse of :func:`text_of_path`."""
    return path.encode("utf-8", "surrogateescape")


def path_to_json(path: bytes, *, key: str = "path") -> dict[str, str]:
    """Return ``{"path": text}``, with ``path_b64`` for the exact bytes if they are not UTF-8."""
    text = text_of_path(path)
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return {key: text, f"{key}_b64": base64.b64encode(path).decode("ascii")}
    return {key: text}


def literal_glob(path: str) -> str:
    """Return a path filter that matches ``path`` and, where it is a directory, everything below it."""
    return re.sub(r"([*?\[\]{},\\])", r"\\\1", path)
