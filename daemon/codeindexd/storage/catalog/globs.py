"""Path filters of queries: which files ``src/**`` or ``*.py`` mean.

They come from strangers and are matched against every path of a root while the interpreter's lock is held, so no glob
may make the matcher backtrack without bound. As in ``ignore.glob``, everything before the last ``**`` and the last
``*`` of a group is atomic: the leftmost match is always good enough there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from codeindexd.errors import InvalidQueryError

MAX_GLOB_CHARS = 1000
MAX_SPELLED_OUT = 8000
"""Characters of all the globs that one with braces stands for: ``{a,b}{c,d}`` is ``ac``, ``ad``, ``bc`` and ``bd``."""

_STAR, _DEEP, _DIRECTORIES = "[^/]*", ".*", "(?:.*/)?"
"""What ``*``, ``**`` and ``**/`` match; all other expressions are one character wide."""

_OPEN, _OR, _CLOSE = "<{>", "<,>", "<}>"  # not expressions: markers


@lru_cache(maxsize=256)
def compile_glob(glob: str) -> re.Pattern[str]:
    """A pattern to ``match`` whole paths with.

    ``*`` and ``?`` stay inside a name, ``**`` spans any number of directories, ``[a-z]`` and ``{py,pyi}`` work.
    Without a slash inside, the glob may begin at any directory (``*.py``); otherwise at the root (``src/*.py``).
    A last part without wildcards, or a slash at the end, also means everything below (``tests``, ``src/``).
    Raises InvalidQueryError for a glob that is very long or stands for very many.
    """
    if len(glob) > MAX_GLOB_CHARS:
        raise InvalidQueryError(f"a path filter is longer than {MAX_GLOB_CHARS} characters", hint="Use a wider glob.")
    below = glob.endswith("/")
    bare = glob.removeprefix("./").lstrip("/").rstrip("/")
    anchored = "/" in bare or glob.startswith(("/", "./"))
    if below:
        tail = "/.*"
    elif bare and not re.search(r"[*?\[{]", bare.rpartition("/")[2]):
        tail = "(?:/.*)?"
    else:
        tail = ""
    head = [] if anchored else [_DIRECTORIES]
    bodies = [_regex(_joined([*head, *tokens])) for tokens in _unbraced(_tokens(bare))]
    return re.compile(f"(?s:(?:{'|'.join(bodies)}){tail})\\Z")


def _unbraced(tokens: list[str]) -> list[list[str]]:
    """The token lists without braces that one with braces stands for."""
    whole: list[list[str]] = [[]]
    waiting: list[tuple[list[list[str]], list[list[str]]]] = []  # of each open brace: what is before it, its branches
    for token in (*tokens, *[_CLOSE] * tokens.count(_OPEN)):  # braces that are still open end with the glob
        if token == _OPEN:
            waiting.append((whole, []))
            whole = [[]]
        elif token == _OR:
            waiting[-1][1].extend(whole)
            whole = [[]]
        elif token == _CLOSE:
            if waiting:
                before, branches = waiting.pop()
                whole = _multiplied(before, [*branches, *whole])
        else:
            whole = [[*one, token] for one in whole]
    return whole


def _multiplied(before: list[list[str]], branches: list[list[str]]) -> list[list[str]]:
    if len(branches) * sum(map(len, before)) + len(before) * sum(map(len, branches)) > MAX_SPELLED_OUT:
        raise InvalidQueryError("a path filter stands for too many globs", hint="Use fewer braces, or a wider glob.")
    return [start + branch for start in before for branch in branches]


def _tokens(glob: str) -> list[str]:
    """A glob as expressions in order, and its braces where they are syntax."""
    out: list[str] = []
    at, depth = 0, 0
    last_brace = glob.rfind("}")
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            out.append(_DIRECTORIES)
            at += 3
            continue
        if glob.startswith("**", at):
            out.append(_DEEP)
            at += 2
            continue
        character = glob[at]
        at += 1
        if character == "*":
            out.append(_STAR)
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            end = _class_end(glob, at)
            out.append(_character_class(glob, at, end) if end > at else re.escape("["))
            at = end
        elif character == "{" and at <= last_brace:
            depth += 1
            out.append(_OPEN)
        elif character == "}" and depth:
            depth -= 1
            out.append(_CLOSE)
        elif character == "," and depth:
            out.append(_OR)
        elif character == "\\" and at < len(glob):
            out.append(re.escape(glob[at]))
            at += 1
        else:
            out.append(re.escape(character))
    return out


def _joined(tokens: list[str]) -> list[str]:
    """Without wildcards that say nothing beside their neighbour: ``***`` is ``**``, ``**/**`` too."""
    out: list[str] = []
    for token in tokens:
        before = out[-1] if out else ""
        if token in (_STAR, _DEEP) and before in (_STAR, _DEEP, _DIRECTORIES):
            if token == _DEEP or before == _STAR:
                out[-1] = token if before == _STAR else _DEEP
                continue
            if before == _DEEP:
                continue
        elif token == _DIRECTORIES and before == _DIRECTORIES:
            continue
        out.append(token)
    return out


def _regex(tokens: list[str]) -> str:
    """One expression: a group for every ``**``, all but the last settled by their leftmost match."""
    groups: list[list[str]] = [[]]
    gaps: list[str] = []
    for token in tokens:
        if token in (_DEEP, _DIRECTORIES):
            gaps.append(token)
            groups.append([])
        else:
            groups[-1].append(token)
    parts = [_group(groups[0], is_last=not gaps)]
    for number, gap in enumerate(gaps, 1):
        if number == len(gaps):
            parts.append(gap + _group(groups[number], is_last=True))
        else:
            lazy = ".*?" if gap == _DEEP else "(?:[^/]*/)*?"
            parts.append(f"(?>{lazy}{_group(groups[number], is_last=False)})")
    return "".join(parts)


def _group(tokens: list[str], *, is_last: bool) -> str:
    """What stands between two ``**``: a ``*`` that something settles is settled by the leftmost match of its run."""
    runs = [""]
    for token in tokens:
        if token == _STAR:
            runs.append("")
        else:
            runs[-1] += token
    settled = [f"(?>[^/]*?{run})" for run in runs[1:]]
    if settled and is_last:
        settled[-1] = _STAR + runs[-1]
    return runs[0] + "".join(settled)


def _class_end(glob: str, at: int) -> int:
    """Where the class that begins at ``at`` (after the bracket) ends; ``at`` itself for a lone bracket."""
    start = at + 1 if glob.startswith(("!", "^"), at) else at
    return glob.find("]", start + 1) + 1 or at


def _character_class(glob: str, at: int, end: int) -> str:
    start = at + 1 if glob.startswith(("!", "^"), at) else at
    body = re.sub(r"([\\\[\]&~|])", r"\\\1", glob[start : end - 1])
    candidate = f"(?!/)[{'^' if start > at else ''}{body}]"
    try:
        re.compile(candidate)
    except re.error:  # a range that runs backwards matches nothing, as in a shell
        candidate = "(?!)"
    return candidate


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
