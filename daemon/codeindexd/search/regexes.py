"""Compiles the regexes that users write; RE2 matches them in time linear in the text."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import re2

from codeindexd.errors import InvalidQueryError
from codeindexd.protocol.snippets import lines_of
from codeindexd.search.unicode_classes import for_any_script

MAX_REGEX_CHARS: Final = 1000  # of all regexes of a query together
TOTAL_CPU_S: Final = 5.0  # for all regexes of a query on all texts
_MAX_COMPILED_BYTES: Final = 1 << 20  # compiling holds the interpreter's lock: up to this size, for less than 10 ms
# Instructions times bytes: five seconds at worst. A chunk of 6000 bytes never reaches this limit.
_MAX_STEPS: Final = 250_000_000
_TOGETHER: Final = 64  # texts that are searched together first
_TEXT_ANCHOR: Final = re.compile(r"\\[AzZ]|\(\?[a-zA-Z]*-[a-zA-Z]*m")
_LINE_ANCHORS: Final = "(?m)"
_LINE_END: Final = re.compile(r"\n|\\n")
_CLASS_OR_ESCAPE: Final = re.compile(r"\\[^n]|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


class TimeBudget:
    """The CPU time that the regexes of one query have left, in seconds (``left_s``)."""

    def __init__(self, seconds: float = TOTAL_CPU_S) -> None:
        self.left_s = seconds


class LineRegex:
    """A regex that never matches across lines, with ``^`` and ``$`` at the ends of each line, as in grep.

    ``budget`` is shared by the regexes of one query. ``beyond_ascii``, if given, is what ``compiled`` is for ASCII,
    with classes of any script, for texts that are not ASCII.
    """

    def __init__(self, pattern: str, compiled: Any, budget: TimeBudget, beyond_ascii: Any = None) -> None:
        self.pattern = pattern
        self.budget = budget
        self.has_text_anchor = bool(_TEXT_ANCHOR.search(pattern))
        """True if the regex may match only at the start or end of the whole text, not of a line."""
        self._compiled = compiled
        self._beyond_ascii = beyond_ascii or compiled

    def __repr__(self) -> str:
        return f"LineRegex({self.pattern!r})"

    def search(self, text: str) -> bool:
        """Return True if a line of ``text`` matches.

        Other threads run meanwhile. Raises InvalidQueryError when the query's budget is used up, or when this search
        alone could take seconds.
        """
        return self.search_each([text])[0]

    def search_each(self, texts: Sequence[str]) -> list[bool]:
        """Return for each text whether a line of it matches; for many short texts, much cheaper than :meth:`search`.

        Other threads run meanwhile. Raises InvalidQueryError as that does.
        """
        found: list[bool] = []
        for start in range(0, len(texts), _TOGETHER):
            some = texts[start : start + _TOGETHER]
            if len(some) > 1 and self._matches_nothing_in("\n".join([*some, ""])):  # the last one may be empty
                found += [False] * len(some)
            else:
                found += [self._matches(_as_searched(text)) for text in some]
        return found

    def _matches_nothing_in(self, text: str) -> bool:
        """Return True if a single search shows that the regex matches no line of ``text``."""
        if self.has_text_anchor:
            return False
        data = _as_searched(text)
        compiled, steps = self._chosen_for(data)
        return steps <= _MAX_STEPS and self.budget.left_s > 0 and not self._timed(compiled, data)

    def _matches(self, text: bytes) -> bool:
        compiled, steps = self._chosen_for(text)
        if self.budget.left_s <= 0 or steps > _MAX_STEPS:
            raise InvalidQueryError(
                f"the regex /{self.pattern}/ is too slow for this code",
                hint="use fewer repetitions and more literal text",
            )
        return self._timed(compiled, text)

    def _timed(self, compiled: Any, text: bytes) -> bool:
        started = time.thread_time()  # CPU time: waiting for a processor is not the regex's fault
        try:
            return compiled.search(text) is not None
        finally:
            self.budget.left_s -= time.thread_time() - started

    def _chosen_for(self, text: bytes) -> tuple[Any, int]:
        """Return the regex for a text, and the steps that it takes at worst.

        RE2 tracks every instruction at every byte when its cache of states overflows, and cannot be interrupted.
        """
        if not text.isascii() and (steps := len(text) * self._beyond_ascii.programsize) <= _MAX_STEPS:
            return self._beyond_ascii, steps
        return self._compiled, len(text) * self._compiled.programsize


def notes_on_line_ends(patterns: Iterable[str]) -> list[str]:
    """Return notes on regexes that ask for a line end outside a class, which no line has; for answers without hits."""
    return [
        f"lines are searched one by one, so the \\n in /{_shown(pattern)}/ matches nothing"
        for pattern in patterns
        if _LINE_END.search(_CLASS_OR_ESCAPE.sub("", pattern))
    ]


def _shown(pattern: str) -> str:
    return pattern.replace("\n", "\\n")


def _as_searched(text: str) -> bytes:
    return "\n".join(lines_of(text)).encode("utf-8", "surrogatepass")


def compile_regex(pattern: str, budget: TimeBudget | None = None) -> LineRegex:
    r"""Compile one regex in RE2's syntax.

    This is Python's syntax without lookaround, backreferences, possessive repeats and atomic groups, with at most 1000
    repetitions. ``\w``, ``\d``, ``\s`` and ``\b`` are those of any script, unless that makes the regex too large, as
    :mod:`~codeindexd.search.unicode_classes` says. Case-insensitive matching covers Unicode. Without ``budget``, the
    regex gets one of its own.

    Raises InvalidQueryError if ``pattern`` is too long, invalid or too large when compiled.
    """
    _check_length([pattern])
    any_script = for_any_script(pattern).pattern
    beyond_ascii = None
    try:
        compiled = _compiled(pattern)
        if any_script != pattern:
            with contextlib.suppress(re2.error):  # too large: \w{500}
                beyond_ascii = _compiled(any_script)
    except re2.error as error:
        raise invalid_regex(pattern, error) from error
    finally:
        re2.purge()  # its cache would keep the memory of 128 regexes
    return LineRegex(pattern, compiled, budget or TimeBudget(), beyond_ascii)


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _MAX_COMPILED_BYTES
    options.log_errors = False
    options.never_nl = True
    options.never_capture = True
    return re2.compile((_LINE_ANCHORS + pattern).encode("utf-8", "surrogatepass"), options)


def compile_regexes(patterns: Sequence[str]) -> tuple[LineRegex, ...]:
    """Compile the regexes of one query, which share one limit of length and one of time.

    Raises InvalidQueryError as :func:`compile_regex` does.
    """
    _check_length(patterns)
    budget = TimeBudget()
    return tuple(compile_regex(pattern, budget) for pattern in patterns)


def _check_length(patterns: Sequence[str]) -> None:
    if sum(map(len, patterns)) > MAX_REGEX_CHARS:
        what = "regexes are" if len(patterns) > 1 else "regex is"
        raise InvalidQueryError(f"the {what} longer than {MAX_REGEX_CHARS} characters", hint="use shorter regexes")


def invalid_regex(pattern: str, error: re2.error) -> InvalidQueryError:
    """Return the error for a pattern that RE2 rejected; it quotes the part that is at fault, as RE2 does."""
    reason = error.args[0].decode("utf-8", "replace")
    if reason.startswith("pattern too large"):
        return InvalidQueryError(
            f"the regex /{pattern}/ is too large", hint="use fewer repetitions, or narrower character classes"
        )
    problem, separator, part = reason.replace("invalid perl operator", "unsupported syntax").partition(": ")
    return InvalidQueryError(
        f"the regex /{pattern}/ is invalid: {problem}{separator}{part.removeprefix(_LINE_ANCHORS)}",
        hint="use RE2 syntax (https://github.com/google/re2/wiki/Syntax): no lookaround, no backreferences",
    )
