"""Regexes of strangers, bounded: ``re`` holds the interpreter's lock and cannot be stopped, so what may take long is
refused or cut to size before it runs. Pure but for a clock, which ends what turns out slow all the same."""

from __future__ import annotations

import math
import re
import time
import warnings
from typing import Final, NamedTuple

from codeindexd.errors import InvalidQueryError

MAX_REGEX_CHARS: Final = 1000  # of all regexes of a question
MAX_CASELESS_RANGES: Final = 32  # each costs milliseconds to compile: all its characters are folded, one by one
MAX_OPEN_REPEATS: Final = 4
BUDGET_S: Final = 1.0  # of CPU, for lines on which a regex is slow
TOTAL_S: Final = 5.0  # of CPU, for all regexes of a question on all texts
_STEPS: Final = 2e6  # of backtracking in one uninterrupted go: some ten milliseconds
_MOST_STEPS: Final = 2e7
_WIDEST: Final = 4000  # characters
_NARROWEST: Final = 80
_SMALL: Final = 8  # repetitions up to here are counted out, beyond they are as good as open
_OPEN: Final = 1 << 30

_CASELESS: Final = re.compile(r"\(\?[a-zA-Z]*i")
_QUANTIFIER: Final = re.compile(r"[*+?]|\{(\d*)(,?)(\d*)\}")
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_GROUP: Final = re.compile(r"\((?:\?(?:P<\w+>|<[=!]|[:=!>]|[a-zA-Z-]+[:)]|#[^)]*\)|P=\w+\)|\([^)]*\)))?")


class Cost(NamedTuple):
    """How a regex may backtrack: ``opens`` repetitions without a small bound, and ``ways`` the rest can be read."""

    opens: int
    ways: float


class Budget:
    """The CPU time that the regexes of one question have left, in seconds."""

    def __init__(self, seconds: float = TOTAL_S) -> None:
        self.left_s = seconds


class BoundedRegex:
    """A regex that is looked for line by line, as grep does, with ``^`` and ``$`` at the line's ends.

    Lines longer than the cost of the regex allows are searched in overlapping windows. ``budget`` is shared by the
    regexes of one question.
    """

    def __init__(self, pattern: str, compiled: re.Pattern[str], cost: Cost, budget: Budget) -> None:
        self.pattern = pattern
        self._compiled = compiled
        self._cost = cost
        self._window = _window(cost)
        self._left_s = BUDGET_S
        self.budget = budget

    def __repr__(self) -> str:
        return f"BoundedRegex({self.pattern!r})"

    def search(self, text: str) -> bool:
        """Whether a line of ``text`` matches. Raises InvalidQueryError once slow searches took a second in all, or
        all searches of the question five."""
        began = time.thread_time()  # not the clock: waiting for a CPU is not the regex's fault
        due = time.perf_counter() + self.budget.left_s
        try:
            for line in text.splitlines() or [""]:
                if self._in_line(line):
                    return True
                if time.perf_counter() > due and time.thread_time() - began > self.budget.left_s:
                    raise self._too_slow()
            return False
        finally:
            self.budget.left_s -= time.thread_time() - began

    def _too_slow(self) -> InvalidQueryError:
        hint = "Make it more definite: fewer repetitions, more plain text."
        return InvalidQueryError(f"the regex /{self.pattern}/ is too slow for this code", hint=hint)

    def _in_line(self, line: str) -> bool:
        opens, ways = self._cost
        if len(line) <= _WIDEST and ways * len(line) ** (opens + 1) <= _STEPS * math.factorial(opens + 1):
            return self._compiled.search(line) is not None
        began = time.thread_time()
        try:
            return self._step_by_step(line, began)
        finally:
            self._left_s -= time.thread_time() - began

    def _step_by_step(self, line: str, began: float) -> bool:
        """Match at every place by itself, so that there are moments to stop and to let others run."""
        due = time.perf_counter() + self._left_s
        for start in range(len(line) + 1):
            if self._compiled.match(line, start, start + self._window):
                return True
            if time.perf_counter() > due and time.thread_time() - began > self._left_s:
                raise self._too_slow()
        return False


def bounded_regex(pattern: str, budget: Budget | None = None) -> BoundedRegex:
    """Raises InvalidQueryError when ``pattern`` is broken or long, or could take forever: a repetition of what can
    be read in several ways, more than four open repetitions, back references."""
    if len(pattern) > MAX_REGEX_CHARS:
        raise InvalidQueryError(f"the regex is longer than {MAX_REGEX_CHARS} characters", hint="Shorten it.")
    if _CASELESS.search(pattern) and pattern.count("-") > MAX_CASELESS_RANGES:
        hint = f"Leave (?i) out, or use at most {MAX_CASELESS_RANGES} ranges."
        raise InvalidQueryError("the regex has too many ranges for one that ignores case", hint=hint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "possible nested set": of no use to who asks a question
            compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidQueryError(
            f"the regex /{pattern}/ is broken: {error}", hint="Python's syntax of regular expressions is meant."
        ) from error
    cost = _cost(pattern)
    if cost is None or cost.opens > MAX_OPEN_REPEATS or _window(cost) < _NARROWEST:
        raise InvalidQueryError(
            f"the regex /{pattern}/ could take forever",
            hint="Write (a+)+ as a+ and (a|b)* as [ab]*; leave out back references and repeat in four places at most.",
        )
    return BoundedRegex(pattern, compiled, cost, budget or Budget())


def _window(cost: Cost) -> int:
    """The longest text on which a match at one place stays bearable, in characters."""
    if cost.ways > _STEPS:
        return 0
    if not cost.opens:
        return _WIDEST
    return min(_WIDEST, int((_MOST_STEPS * math.factorial(cost.opens) / cost.ways) ** (1 / cost.opens)))


class _Group:
    """What is known of a group while it is read: the cost of the branch at hand, and of those before."""

    def __init__(self) -> None:
        self.opens = self.ways = 0.0
        self.last = Cost(0, 1)
        self.begin_branch()

    def begin_branch(self) -> None:
        self.branch_opens, self.branch_ways = 0, 1.0

    def end_branch(self) -> None:
        self.take()
        self.opens = max(self.opens, self.branch_opens)
        self.ways += self.branch_ways
        self.begin_branch()

    def take(self, atom: Cost = Cost(0, 1)) -> None:  # noqa: B008 - immutable
        """The atom before ``atom`` is complete."""
        self.branch_opens += self.last.opens
        self.branch_ways = min(self.branch_ways * self.last.ways, 1e300)
        self.last = atom


def _cost(pattern: str) -> Cost | None:
    """What a valid regex may cost; None for shapes that may explode or that we do not read."""
    groups = [_Group()]
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            if pattern[position + 1] in "123456789":
                return None  # a back reference
            groups[-1].take()
            position += 2
        elif char == "[" and (match := _CLASS.match(pattern, position)):
            groups[-1].take()
            position = match.end()
        elif char == "(" and (match := _GROUP.match(pattern, position)):
            if not _readable(match[0]):
                return None
            if not (match[0].endswith(")")):
                groups.append(_Group())
            position = match.end()
        elif char == ")":
            inner = groups.pop()
            inner.end_branch()
            groups[-1].take(Cost(int(inner.opens), inner.ways))
            position += 1
        elif char == "|":
            groups[-1].end_branch()
            position += 1
        elif (match := _QUANTIFIER.match(pattern, position)) and match[0] != "{}":
            repeated = _repeated(groups[-1].last, *_bounds(match))
            if repeated is None:
                return None
            groups[-1].last = repeated
            position = match.end()
            position += pattern[position : position + 1] in {"?", "+"}  # lazy, possessive
        else:
            groups[-1].take()
            position += 1
    groups[-1].end_branch()
    return Cost(int(groups[-1].opens), groups[-1].ways)


def _readable(opening: str) -> bool:
    """Not a back reference, a condition, or verbose syntax, which hides what is a comment."""
    flags = opening[2:-1] if opening.startswith("(?") and opening[-1] in ":)" else ""
    return not opening.startswith(("(?P=", "(?(")) and not (flags.isalpha() and "x" in flags)


def _bounds(quantifier: re.Match[str]) -> tuple[int, int]:
    if quantifier[0] == "?":
        return 0, 1
    if quantifier[0] in {"*", "+"}:
        return 0, _OPEN
    least, comma, most = quantifier.groups()
    low = int(least or 0)
    return low, int(most) if most else _OPEN if comma else low


def _repeated(atom: Cost, least: int, most: int) -> Cost | None:
    plain = atom.opens == 0 and atom.ways == 1
    if most - least > _SMALL:
        return Cost(1, 1) if plain else None
    if plain:
        return Cost(0, most - least + 1)
    if most > _SMALL:
        return None
    return Cost(atom.opens * most, min((atom.ways + 1) ** most, 1e300))
