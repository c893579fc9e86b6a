"""The syntax of a query's path filters, such as ``src/**`` or ``*.py``.

Filters are matched against every path of a root, so their size is limited, and ``codeindexd.scan.wildcards`` keeps the
matcher from backtracking without bound. Filters and paths are compared in composed Unicode (NFC): macOS returns
decomposed names, and keyboards produce composed ones.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

from codeindexd.errors import InvalidQueryError
from codeindexd.scan.wildcards import Token, Wildcard, to_regex, without_redundant_wildcards

MAX_GLOB_CHARS = 1000
MAX_EXPANDED_CHARS = 8000
"""Total characters of a glob after its braces are expanded: ``{a,b}{c,d}`` gives ``ac``, ``ad``, ``bc`` and ``bd``."""


class _Brace(enum.Enum):
    OPEN = "{"
    OR = ","
    CLOSE = "}"


@lru_cache(maxsize=256)
def compile_glob(glob: str) -> re.Pattern[str]:
    """Return a pattern whose ``match`` accepts whole paths.

    ``*`` and ``?`` match within a name, ``**`` matches any number of directories; ``[a-z]`` and ``{py,pyi}`` are
    supported, and a glob with brackets also matches the path that reads the same. A glob without an inner slash may
    match in any directory (``*.py``), others only from the root on (``src/*.py``). If the last component has no
    wildcards, everything below it matches too (``tests``); a slash at the end means only what is below (``src/``).
    Raises InvalidQueryError for a glob that is too long or expands to too many.
    """
    if len(glob) > MAX_GLOB_CHARS:
        raise InvalidQueryError(f"a path filter is longer than {MAX_GLOB_CHARS} characters", hint="use a wider glob")
    glob = unicodedata.normalize("NFC", glob)
    below = glob.endswith("/")
    bare = glob.removeprefix("./").lstrip("/").rstrip("/")
    anchored = "/" in bare or glob.startswith(("/", "./"))
    if below:
        tail = "/.*"
    elif bare and not re.search(r"[*?\[{]", re.sub(r"\\.", "", bare.rpartition("/")[2])):
        tail = "(?:/.*)?"
    else:
        tail = ""
    head: list[Token] = [] if anchored else [Wildcard.DIRECTORIES]
    alternatives = _expand_braces(_tokens(bare))
    if re.search(r"[\[{\\]", bare):
        alternatives.append([*map(re.escape, bare)])
    bodies = [to_regex(without_redundant_wildcards([*head, *tokens])) for tokens in alternatives]
    return re.compile(f"(?s:(?:{'|'.join(bodies)}){tail})\\Z")


def _expand_braces(tokens: list[Token | _Brace]) -> list[list[Token]]:
    """Expand braces; return the resulting token lists. Raises InvalidQueryError if these are too many."""
    expanded: list[list[Token]] = [[]]
    open_braces: list[tuple[list[list[Token]], list[list[Token]]]] = []  # lists before each, and its branches so far
    for token in (*tokens, *[_Brace.CLOSE] * tokens.count(_Brace.OPEN)):  # the end of the glob closes all braces
        if token is _Brace.OPEN:
            open_braces.append((expanded, []))
            expanded = [[]]
        elif token is _Brace.OR:
            open_braces[-1][1].extend(expanded)
            expanded = [[]]
        elif token is _Brace.CLOSE:
            if open_braces:
                before, branches = open_braces.pop()
                expanded = _concatenate(before, [*branches, *expanded])
        else:
            expanded = [[*alternative, token] for alternative in expanded]
    return expanded


def _concatenate(before: list[list[Token]], branches: list[list[Token]]) -> list[list[Token]]:
    """Return every list of ``before`` followed by every one of ``branches``. Raises InvalidQueryError."""
    if len(branches) * sum(map(len, before)) + len(before) * sum(map(len, branches)) > MAX_EXPANDED_CHARS:
        raise InvalidQueryError("a path filter expands to too many globs", hint="use fewer braces, or a wider glob")
    return [start + branch for start in before for branch in branches]


def _tokens(glob: str) -> list[Token | _Brace]:
    """Return the tokens of a glob in order, with the braces and commas that are syntax."""
    out: list[Token | _Brace] = []
    at, depth = 0, 0
    last_brace = glob.rfind("}")
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            out.append(Wildcard.DIRECTORIES)
            at += 3
            continue
        if glob.startswith("**", at):
            out.append(Wildcard.PATH)
            at += 2
            continue
        character = glob[at]
        at += 1
        if character == "*":
            out.append(Wildcard.NAME)
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            end = _class_end(glob, at)
            out.append(_character_class(glob, at, end) if end > at else re.escape("["))
            at = end
        elif character == "{" and at <= last_brace:
            depth += 1
            out.append(_Brace.OPEN)
        elif character == "}" and depth:
            depth -= 1
            out.append(_Brace.CLOSE)
        elif character == "," and depth:
            out.append(_Brace.OR)
        elif character == "\\" and at < len(glob):
            out.append(re.escape(glob[at]))
            at += 1
        else:
            out.append(re.escape(character))
    return out


def _class_end(glob: str, at: int) -> int:
    """Return the offset after the character class whose ``[`` is before ``at``; ``at`` if the bracket is not closed."""
    start = at + 1 if glob.startswith(("!", "^"), at) else at
    return glob.find("]", start + 1) + 1 or at


def _character_class(glob: str, at: int, end: int) -> str:
    start = at + 1 if glob.startswith(("!", "^"), at) else at
    body = re.sub(r"([\\\[\]&~|])", r"\\\1", glob[start : end - 1])
    candidate = f"(?!/)[{'^' if start > at else ''}{body}]"
    try:
        re.compile(candidate)
    except re.error:  # a backward range (z-a) matches nothing, as in a shell
        candidate = "(?!)"
    return candidate


def path_filter(include: Sequence[str], exclude: Sequence[str]) -> Callable[[bytes], bool]:
    """Return a predicate for paths that match one of ``include`` (any path if empty) and none of ``exclude``.

    Raises InvalidQueryError.
    """
    wanted, unwanted = _pattern_of_any(tuple(include) or ("**",)).match, _pattern_of_any(tuple(exclude)).match

    def passes(path: bytes) -> bool:
        text = path.decode("utf-8", "surrogateescape")
        if not path.isascii():
            text = unicodedata.normalize("NFC", text)
        return wanted(text) is not None and unwanted(text) is None

    return passes


@lru_cache(maxsize=64)
def _pattern_of_any(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern that matches what one of the globs matches; without globs, nothing."""
    return re.compile("|".join(compile_glob(glob).pattern for glob in globs) or "(?!)")


def common_directory(include: Sequence[str]) -> bytes:
    """Return a directory that contains every path that can match ``include``; b"" (the root) if none is known."""
    if len(include) != 1:
        return b""
    bare = include[0].removeprefix("./").lstrip("/")
    literal = re.split(r"[*?\[{\\]", bare, maxsplit=1)[0]
    if literal == bare:
        literal = literal.rstrip("/")
    directory = literal.rpartition("/")[0]
    while not directory.isascii():  # on the disk it may be in decomposed Unicode
        directory = directory.rpartition("/")[0]
    return directory.encode("utf-8", "surrogateescape")
