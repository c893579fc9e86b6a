"""Path filters (``--path``, ``-g``) as they are typed: relative to the current directory, as paths are printed."""

from __future__ import annotations

import os

from codeindexd.client.core import no_current_directory
from codeindexd.protocol.places import literal_glob


def from_here(glob: str, *, names_what_is_here: bool) -> str:
    """Return a path filter that means the same in any directory: one relative to the current directory is absolute.

    Relative to it are ``.``, ``../src`` and the like. With ``names_what_is_here`` so are a glob with a slash whose
    first part exists in the current directory, and the path of something that exists although it looks like a glob.
    Any other filter is unchanged. Raises UsageError if the current directory was deleted.
    """
    typed = glob.removeprefix("!")
    sign = glob[: len(glob) - len(typed)]
    first, slash, rest = typed.partition("/")
    if first in {".", ".."}:
        while rest.split("/")[0] in {".", ".."}:
            part, slash, rest = rest.partition("/")
            first = f"{first}/{part}"
        return sign + _below(first, slash + _literal_if_it_exists(f"{first}/{rest}", rest))
    if not names_what_is_here or not first:
        return glob
    as_path = _literal_if_it_exists(typed, typed)
    if as_path != typed or (slash and os.path.lexists(first)):
        return sign + _below(".", f"/{as_path}")
    return glob


def _below(directory: str, glob: str) -> str:
    """Return ``glob``, which begins with a slash or is empty, below ``directory``."""
    try:
        return (literal_glob(os.path.realpath(directory)).rstrip("/") + glob) or "/"
    except FileNotFoundError:
        raise no_current_directory() from None


def _literal_if_it_exists(path: str, glob: str) -> str:
    """Return ``glob`` so that it matches only itself if ``path`` exists, else ``glob``."""
    return literal_glob(glob) if os.path.lexists(path) else glob
