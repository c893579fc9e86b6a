"""Regexes of strangers, bounded: ``re`` holds the interpreter's lock and cannot be stopped, so what may take long is
refused or cut to size before it runs. Pure but for a clock, which ends what turns out slow all the same."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Sequence
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
_OPEN: Final = 1 << 33  # more than can be asked for in figures
_MOST_ROUNDS: Final = 1e5  # each is held in memory until the match ends, in some hundred bytes
_TIGHT_ROUND: Final = 1 / 32  # of a step: one character again and again needs no backtracking

_CASELESS: Final = re.compile(r"\(\?[a-zA-Z]*i")
_QUANTIFIER: Final = re.compile(r"[*+?]|\{([0-9]*)(,?)([0-9]*)\}")
_ESCAPE: Final = re.compile(
    r"\\(?:([AbBZz])|x..|u.{4}|U.{8}|N\{[^}]*\}|0[0-7]{0,2}|.)", re.DOTALL
)  # its group: of no width
_AROUND: Final = frozenset({"(?=", "(?!", "(?<=", "(?<!"})
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_GROUP: Final = re.compile(r"\((?:\?(?:P<\w+>|<[=!]|[:=!>]|[a-zA-Z-]+[:)]|#[^)]*\)|P=\w+\)|\([^)]*\)))?")


class Cost(NamedTuple):
    """How long a regex may take at one place.

    ``opens`` repetitions are without a small bound, and ``ways`` the rest can be read. ``rounds`` are what a fixed
    number of repetitions adds to one such way. A match is at least ``width`` characters wide; ``single``: the regex is
    one character.
    """

    opens: int
    ways: float
    rounds: float = 0.0
    width: int = 0
    single: bool = False

    @property
    def steps(self) -> float:
        """The most steps at one place, but for the open repetitions."""
        return self.ways * (1 + self.rounds)


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
        opens, steps = self._cost.opens, self._cost.steps
        if len(line) <= _WIDEST and steps * len(line) ** (opens + 1) <= _STEPS * math.factorial(opens + 1):
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
    be read in several ways or of nothing at all, more than four open repetitions, back references."""
    _refuse_big([pattern])
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


def bounded_regexes(patterns: Sequence[str]) -> tuple[BoundedRegex, ...]:
    """All regexes of one question, which share its limits of length, of ranges and of time; else as bounded_regex."""
    _refuse_big(patterns)
    budget = Budget()
    return tuple(bounded_regex(pattern, budget) for pattern in patterns)


def _refuse_big(patterns: Sequence[str]) -> None:
    if sum(map(len, patterns)) > MAX_REGEX_CHARS:
        what = "regexes are" if len(patterns) > 1 else "regex is"
        raise InvalidQueryError(f"the {what} longer than {MAX_REGEX_CHARS} characters", hint="Write less in regexes.")
    if sum(pattern.count("-") for pattern in patterns if _CASELESS.search(pattern)) > MAX_CASELESS_RANGES:
        hint = f"Leave (?i) out, or use at most {MAX_CASELESS_RANGES} ranges in a query."
        raise InvalidQueryError("too many ranges in a regex that ignores case", hint=hint)


def _window(cost: Cost) -> int:
    """The longest text on which a match at one place stays bearable, in characters."""
    if cost.steps > _STEPS or cost.rounds > _MOST_ROUNDS:
        return 0
    if not cost.opens:
        return _WIDEST
    return min(_WIDEST, int((_MOST_STEPS * math.factorial(cost.opens) / cost.steps) ** (1 / cost.opens)))


_NOTHING: Final = Cost(0, 1)
_CHARACTER: Final = Cost(0, 1, width=1, single=True)


class _Group:
    """What is known of a group while it is read: the cost of the branch at hand, and of those before.

    ``sees`` is the longest text in characters that it may run over.
    """

    def __init__(self, opening: str = "", sees: int = _WIDEST) -> None:
        self.sees = _OPEN if opening.startswith("(?<") else sees  # a look behind is not bound to the window
        self._around = opening in _AROUND
        self._branches: list[Cost] = []
        self._branch = self.last = _NOTHING

    def take(self, atom: Cost = _NOTHING) -> None:
        """The atom before ``atom`` is complete."""
        before, last = self._branch, self.last
        self._branch = Cost(
            before.opens + last.opens,
            min(before.ways * last.ways, 1e300),
            min(before.rounds + last.rounds, 1e300),
            before.width + last.width,
        )
        self.last = atom

    def end_branch(self) -> None:
        self.take()
        self._branches.append(self._branch)
        self._branch = _NOTHING

    def end(self) -> Cost:
        self.end_branch()
        branches = self._branches
        return Cost(
            max(branch.opens for branch in branches),
            min(sum(branch.ways for branch in branches), 1e300),
            max(branch.rounds for branch in branches),
            0 if self._around else min(branch.width for branch in branches),
        )


def _cost(pattern: str) -> Cost | None:
    """What a valid regex may cost; None for shapes that may explode or that we do not read."""
    groups = [_Group()]
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and (match := _ESCAPE.match(pattern, position)):
            if pattern[position + 1] in "123456789":
                return None  # a back reference
            groups[-1].take(_NOTHING if match[1] else _CHARACTER)
            position = match.end()
        elif char == "[" and (match := _CLASS.match(pattern, position)):
            groups[-1].take(_CHARACTER)
            position = match.end()
        elif char == "(" and (match := _GROUP.match(pattern, position)):
            if not _readable(match[0]):
                return None
            if not (match[0].endswith(")")):
                groups.append(_Group(match[0], groups[-1].sees))
            position = match.end()
        elif char == ")":
            inner = groups.pop()
            groups[-1].take(inner.end())
            position += 1
        elif char == "|":
            groups[-1].end_branch()
            position += 1
        elif (match := _QUANTIFIER.match(pattern, position)) and match[0] != "{}":
            repeated = _repeated(groups[-1].last, *_bounds(match), groups[-1].sees)
            if repeated is None:
                return None
            groups[-1].last = repeated
            position = match.end()
            position += pattern[position : position + 1] in {"?", "+"}  # lazy, possessive
        else:
            groups[-1].take(_NOTHING if char in "^$" else _CHARACTER)
            position += 1
    return groups[-1].end()


def _readable(opening: str) -> bool:
    """Not a back reference, a condition, or verbose syntax, which hides what is a comment."""
    flags = opening[2:-1].partition("-")[0] if opening.startswith("(?") and opening[-1] in ":)" else ""
    return not opening.startswith(("(?P=", "(?(")) and not (flags.isalpha() and "x" in flags)


def _bounds(quantifier: re.Match[str]) -> tuple[int, int]:
    if quantifier[0] == "?":
        return 0, 1
    if quantifier[0] == "*":
        return 0, _OPEN
    if quantifier[0] == "+":
        return 1, _OPEN
    least, comma, most = quantifier.groups()
    low = int(least or 0)
    return low, int(most) if most else _OPEN if comma else low


def _repeated(atom: Cost, least: int, most: int, sees: int) -> Cost | None:
    """``atom`` repeated, which ends with the ``sees`` characters there are, unless it can match none at all."""
    plain = atom.opens == 0 and atom.ways == 1
    times = _OPEN if atom.width == 0 else sees // atom.width + 1
    width = atom.width * least
    if most - least > _SMALL:
        # how often it is repeated is what "open" stands for, but for what consumes nothing
        rounds = atom.rounds if atom.width else _rounds(atom, least + 1)
        return Cost(1, 1, rounds, width) if plain else None
    if plain:
        return Cost(0, most - least + 1, _rounds(atom, min(most, times)), width)
    if most > _SMALL:
        return None
    return Cost(atom.opens * most, min(atom.ways + 1, 1e30) ** most, _rounds(atom, most), width)


def _rounds(atom: Cost, times: int) -> float:
    """What so many repetitions of ``atom`` add to one."""
    return min(times * _TIGHT_ROUND if atom.single else max(times * (1 + atom.rounds) - 1, 0.0), 1e300)
