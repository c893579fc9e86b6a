"""Path filters of queries: which files ``src/**`` or ``*.py`` mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache


@lru_cache(maxsize=256)
def compile_glob(glob: str) -> re.Pattern[str]:
    """A pattern to ``match`` whole paths with.

    ``*`` and ``?`` stay inside a name, ``**`` spans any number of directories, ``[a-z]`` and ``{py,pyi}`` work.
    Without a slash inside, the glob may begin at any directory (``*.py``); otherwise at the root (``src/*.py``).
    A last part without wildcards, or a slash at the end, also means everything below (``tests``, ``src/``).
    """
    below = glob.endswith("/")
    bare = glob.removeprefix("./").lstrip("/").rstrip("/")
    anchored = "/" in bare or glob.startswith(("/", "./"))
    body = _translate(bare)
    if below:
        tail = "/.*"
    elif bare and not re.search(r"[*?\[{]", bare.rpartition("/")[2]):
        tail = "(?:/.*)?"
    else:
        tail = ""
    head = "" if anchored else "(?:.*/)?"
    return re.compile(f"(?s:{head}{body}{tail})\\Z")


def _translate(glob: str) -> str:
    out: list[str] = []
    at, depth = 0, 0
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            out.append("(?:.*/)?")
            at += 3
            continue
        if glob.startswith("**", at):
            out.append(".*")
            at += 2
            continue
        character = glob[at]
        at += 1
        if character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            part, at = _character_class(glob, at)
            out.append(part)
        elif character == "{" and "}" in glob[at:]:
            depth += 1
            out.append("(?:")
        elif character == "}" and depth:
            depth -= 1
            out.append(")")
        elif character == "," and depth:
            out.append("|")
        elif character == "\\" and at < len(glob):
            out.append(re.escape(glob[at]))
            at += 1
        else:
            out.append(re.escape(character))
    return "".join(out) + ")" * depth


def _character_class(glob: str, at: int) -> tuple[str, int]:
    """The class that begins at ``at`` (after the bracket) and where it ends; a lone bracket is itself."""
    start = at + 1 if glob.startswith(("!", "^"), at) else at
    end = glob.find("]", start + 1)
    if end < 0:
        return re.escape("["), at
    body = re.sub(r"([\\\[\]&~|])", r"\\\1", glob[start:end])
    candidate = f"(?!/)[{'^' if start > at else ''}{body}]"
    try:
        re.compile(candidate)
    except re.error:  # a range that runs backwards matches nothing, as in a shell
        candidate = "(?!)"
    return candidate, end + 1


def path_filter(include: Sequence[str], exclude: Sequence[str]) -> Callable[[bytes], bool]:
    """Whether a path matches one of ``include`` (any when empty) and none of ``exclude``."""
    wanted, unwanted = _any_of(tuple(include) or ("**",)).match, _any_of(tuple(exclude)).match

    def passes(path: bytes) -> bool:
        text = path.decode("utf-8", "surrogateescape")
        return wanted(text) is not None and unwanted(text) is None

    return passes


@lru_cache(maxsize=64)
def _any_of(globs: tuple[str, ...]) -> re.Pattern[str]:
    """One pattern for all of them; it matches nothing when there are none."""
    return re.compile("|".join(compile_glob(glob).pattern for glob in globs) or "(?!)")


def common_directory(include: Sequence[str]) -> bytes:
    """A directory outside which no path can match ``include``; ``b""`` when there is none."""
    if len(include) != 1:
        return b""
    bare = include[0].removeprefix("./").lstrip("/")
    literal = re.split(r"[*?\[{\\]", bare, maxsplit=1)[0]
    if literal == bare:
        literal = literal.rstrip("/")
    directory = literal.rpartition("/")[0]
    return directory.encode("utf-8", "surrogateescape")
