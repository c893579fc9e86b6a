"""The syntax of a query's path filters: which files ``src/**`` or ``*.py`` mean.

Filters are matched against every path of a root, so their size is limited, and `codeindexd.scan.wildcards` keeps
the matcher from backtracking without bound. A name may be written in composed or decomposed Unicode on either side:
macOS gives decomposed ones, keyboards composed ones.
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
MAX_SPELLED_OUT = 8000
"""Characters of all the globs that one with braces stands for: ``{a,b}{c,d}`` is ``ac``, ``ad``, ``bc`` and ``bd``."""


class _Brace(enum.Enum):
    OPEN = "{"
    OR = ","
    CLOSE = "}"


@lru_cache(maxsize=256)
def compile_glob(glob: str) -> re.Pattern[str]:
    """Return a pattern to ``match`` whole paths with.

    ``*`` and ``?`` stay inside a name, ``**`` spans any number of directories, ``[a-z]`` and ``{py,pyi}`` work.
    Without a slash inside, the glob may begin at any directory (``*.py``); otherwise at the root (``src/*.py``).
    A last part without wildcards, or a slash at the end, also means everything below (``tests``, ``src/``).
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
    elif bare and not re.search(r"[*?\[{]", bare.rpartition("/")[2]):
        tail = "(?:/.*)?"
    else:
        tail = ""
    head: list[Token] = [] if anchored else [Wildcard.DIRECTORIES]
    bodies = [to_regex(without_redundant_wildcards([*head, *tokens])) for tokens in _expanded(_tokens(bare))]
    return re.compile(f"(?s:(?:{'|'.join(bodies)}){tail})\\Z")


def _expanded(tokens: list[Token | _Brace]) -> list[list[Token]]:
    """Return the token lists without braces that one with braces stands for."""
    expanded: list[list[Token]] = [[]]
    open_braces: list[tuple[list[list[Token]], list[list[Token]]]] = []  # what is before each, and its branches so far
    for token in (*tokens, *[_Brace.CLOSE] * tokens.count(_Brace.OPEN)):  # braces left open end with the glob
        if token is _Brace.OPEN:
            open_braces.append((expanded, []))
            expanded = [[]]
        elif token is _Brace.OR:
            open_braces[-1][1].extend(expanded)
            expanded = [[]]
        elif token is _Brace.CLOSE:
            if open_braces:
                before, branches = open_braces.pop()
                expanded = _multiplied(before, [*branches, *expanded])
        else:
            expanded = [[*one, token] for one in expanded]
    return expanded


def _multiplied(before: list[list[Token]], branches: list[list[Token]]) -> list[list[Token]]:
    if len(branches) * sum(map(len, before)) + len(before) * sum(map(len, branches)) > MAX_SPELLED_OUT:
        raise InvalidQueryError("a path filter expands to too many globs", hint="use fewer braces, or a wider glob")
    return [start + branch for start in before for branch in branches]


def _tokens(glob: str) -> list[Token | _Brace]:
    """Return the tokens of a glob in order, and its braces where they are syntax."""
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
    """Return where the class ends that begins at ``at``, after its bracket; ``at`` itself for a lone bracket."""
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
    """Return a predicate for paths that match one of ``include`` (any path if empty) and none of ``exclude``."""
    wanted, unwanted = _pattern_of_any(tuple(include) or ("**",)).match, _pattern_of_any(tuple(exclude)).match

    def passes(path: bytes) -> bool:
        text = path.decode("utf-8", "surrogateescape")
        if not path.isascii():
            text = unicodedata.normalize("NFC", text)
        return wanted(text) is not None and unwanted(text) is None

    return passes


@lru_cache(maxsize=64)
def _pattern_of_any(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Return one pattern for all of the globs; without any, it matches nothing."""
    return re.compile("|".join(compile_glob(glob).pattern for glob in globs) or "(?!)")


def common_directory(include: Sequence[str]) -> bytes:
    """Return a directory that holds every path that can match ``include``; the root if none is known."""
    if len(include) != 1:
        return b""
    bare = include[0].removeprefix("./").lstrip("/")
    literal = re.split(r"[*?\[{\\]", bare, maxsplit=1)[0]
    if literal == bare:
        literal = literal.rstrip("/")
    directory = literal.rpartition("/")[0]
    while not directory.isascii():  # it may be written in another way on the disk
        directory = directory.rpartition("/")[0]
    return directory.encode("utf-8", "surrogateescape")
