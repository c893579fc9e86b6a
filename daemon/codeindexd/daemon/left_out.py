"""Notes on what is not indexed: which rule is the cause, and, if suspiciously little of a root is left, what to do."""

from __future__ import annotations

from typing import NamedTuple

from codeindexd.quantities import quantity
from codeindexd.storage.catalog.summary import DirectorySummary, LeftOut
from codeindexd.types import Counts

_SUSPICIOUS_ENTRIES = 20
_SUSPICIOUS_SHARE = 4  # entries left out by one rule for each indexed file
_BY_RULE = frozenset({"ignored", "excluded", "hidden", "vendored"})


class NotSearched(NamedTuple):
    """A path that was to be searched and was not. ``reason`` is "" for a directory in which nothing is indexed."""

    reason: str
    note: str


def may_be_suspicious(counts: Counts) -> bool:
    """Return True if :func:`note` may have something to say about a root with these counts. A cheap test."""
    most = max((number for reason, number in counts.skipped.items() if reason in _BY_RULE), default=0)
    return counts.files == 0 or most >= max(_SUSPICIOUS_ENTRIES, _SUSPICIOUS_SHARE * counts.files)


def note(summary: DirectorySummary) -> str:
    """Return the note on a root, with what to do about it; "" if its counts are not suspicious."""
    groups = [group for group in summary.left_out if group.reason != "vcs"]
    if summary.indexed + summary.failed + summary.pending == 0:
        if not groups:
            return "nothing indexed: there are no files in it"
        return _explain("nothing indexed", groups[0], sum(group.entries for group in groups[1:]))
    largest = next((group for group in groups if group.reason in _BY_RULE), None)
    if largest is None or largest.entries < max(_SUSPICIOUS_ENTRIES, _SUSPICIOUS_SHARE * summary.indexed):
        return ""
    return _explain(f"only {quantity(summary.indexed, 'file')} indexed", largest, 0)


def _explain(what: str, group: LeftOut, others: int) -> str:
    """Return ``what`` with its cause ``group``, the number of entries left out by ``others``, and a remedy."""
    reason = group.reason if group.reason in _BY_RULE else f"skipped ({group.reason})"
    also = f", and {quantity(others, 'other entry', 'other entries')} for other reasons" if others else ""
    return f"{what}: {quantity(group.entries, 'entry', 'entries')} {cause(reason, group.rule)}{also}{_remedy(group)}"


def cause(reason: str, rule: str) -> str:
    """Return why something is left out: the reason with the place and pattern of its rule, as far as it has them."""
    source, line, pattern = _split_rule(rule)
    by = f"by {source}:{line} `{pattern}`" if pattern else f"({rule})" if rule else ""
    return f"{reason} {by}".rstrip()


def _remedy(group: LeftOut) -> str:
    """Return the end of the note, which says how to index the entries of ``group``; "" if that is impossible."""
    source, _, pattern = _split_rule(group.rule)
    if group.reason == "excluded":
        return "; to change that, edit `include` and `exclude` in config.toml or .codeindex.toml"
    if group.reason == "ignored" and pattern:
        directory, _, name = source.rpartition("/")
        target = f"{directory}/.codeindexignore" if name.startswith(".") and directory else ".codeindexignore"
        if source.startswith(("/", "~", "../", ".git/")):
            target = ".codeindexignore"
        if source.endswith(".codeindexignore"):
            return f"; to index them anyway, remove that line from {source}"
        return f"; to index them anyway, add the line `!{pattern.removesuffix('...')}` to {target} in the root"
    if group.reason in _BY_RULE:
        return "; to index them anyway, name them with a leading `!` in .codeindexignore in the root"
    return ""


def _split_rule(rule: str) -> tuple[str, str, str]:
    """Split a rule such as ``sub/.gitignore:3: *.log`` into file, line and pattern; empty strings for other rules."""
    head, separator, pattern = rule.partition(": ")
    source, colon, line = head.rpartition(":")
    return (source, line, pattern) if separator and colon and line.isdecimal() else ("", "", "")
