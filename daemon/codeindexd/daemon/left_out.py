"""What is said about a root of which nothing, or suspiciously little, is indexed: which rule, and what to do."""

from __future__ import annotations

from codeindexd.storage.catalog.summary import DirectorySummary, LeftOut
from codeindexd.types import Counts

_SUSPICIOUS_ENTRIES = 20
_SUSPICIOUS_SHARE = 4  # entries left out by one rule for each indexed file
_BY_RULE = frozenset({"ignored", "excluded", "hidden", "vendored"})


def may_be_suspicious(counts: Counts) -> bool:
    """Return True if a root with these counts is worth a look at its rules: a cheap test before the real one."""
    most = max((number for reason, number in counts.skipped.items() if reason in _BY_RULE), default=0)
    return counts.files == 0 or most >= max(_SUSPICIOUS_ENTRIES, _SUSPICIOUS_SHARE * counts.files)


def note(summary: DirectorySummary) -> str:
    """Return what to say about a root, and what to do; nothing about one that looks as it should."""
    groups = [group for group in summary.left_out if group.reason != "vcs"]
    if summary.indexed + summary.failed + summary.pending == 0:
        if not groups:
            return "nothing indexed: there are no files in it"
        return _said("nothing indexed", groups[0], sum(group.entries for group in groups[1:]))
    largest = next((group for group in groups if group.reason in _BY_RULE), None)
    if largest is None or largest.entries < max(_SUSPICIOUS_ENTRIES, _SUSPICIOUS_SHARE * summary.indexed):
        return ""
    return _said(f"only {_count(summary.indexed, 'file')} indexed", largest, 0)


def _said(what: str, group: LeftOut, others: int) -> str:
    source, line, pattern = _parts(group.rule)
    by = f"by {source}:{line} `{pattern}`" if pattern else f"({group.rule})" if group.rule else ""
    reason = group.reason if group.reason in _BY_RULE else f"skipped ({group.reason})"
    also = f", and {_count(others, 'other entry', 'other entries')} for other reasons" if others else ""
    return f"{what}: {_count(group.entries, 'entry', 'entries')} {reason} {by}".rstrip() + also + _remedy(group)


def _remedy(group: LeftOut) -> str:
    """Return how to index what a rule leaves out, or nothing where nothing helps."""
    source, _, pattern = _parts(group.rule)
    if group.reason == "excluded":
        return "; to change that, edit `include` and `exclude` in config.toml or .codeindex.toml"
    if group.reason == "ignored" and pattern:
        directory, _, name = source.rpartition("/")
        own = f"{directory}/.codeindexignore" if name.startswith(".") and directory else ".codeindexignore"
        if source.startswith(("/", "~", "../", ".git/")):
            own = ".codeindexignore"
        if source.endswith(".codeindexignore"):
            return f"; to index them anyway, remove that line from {source}"
        return f"; to index them anyway, add the line `!{pattern.removesuffix('...')}` to {own} in the root"
    if group.reason in _BY_RULE:
        return "; to index them anyway, name them with a leading `!` in .codeindexignore in the root"
    return ""


def _parts(rule: str) -> tuple[str, str, str]:
    """Return source, line and pattern of ``sub/.gitignore:3: *.log``; empty texts for other rules."""
    head, separator, pattern = rule.partition(": ")
    source, colon, line = head.rpartition(":")
    return (source, line, pattern) if separator and colon and line.isdecimal() else ("", "", "")


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
