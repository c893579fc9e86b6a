"""Prints the results of ``roots``, ``status``, ``verify`` and ``explain`` as text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from codeindexd.cli import progress
from codeindexd.cli.terminal import Terminal, safe, safe_line
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import (
        AdoptedIndex,
        BusyFile,
        DirectorySummary,
        ExplainResult,
        Failure,
        HistoryEntry,
        NestedHistoryEntry,
        RootsResult,
        RootStatus,
        StatusResult,
        VerifyResult,
    )

_STYLES = {"fresh": "good", "degraded": "bad", "missing": "bad"}
_MAX_FAILURES = 10
_MAX_DIFFERENCES = 20
_MAX_NESTED = 10


def roots(terminal: Terminal, result: RootsResult) -> None:
    """Print a table of roots."""
    rows = [
        (root["state"], f"{root['files']:,}", f"{root['chunks']:,}", safe_line(root["path"]))
        for root in result["roots"]
    ]
    _table(terminal, ("STATE", "FILES", "CHUNKS", "PATH"), rows)


def status(terminal: Terminal, result: StatusResult, now: float | None = None) -> None:
    """Print the daemon, a table of roots, and all problems with their remedies. ``now`` is a Unix time (tests)."""
    now = time.time() if now is None else now
    memory = result["rss_bytes"] / (1 << 20)
    up = progress.duration(result["uptime_s"])
    terminal.print(f"codeindexd {result['version']}  pid {result['pid']}  up {up}  {memory:,.0f} MB")
    embedder = result["embedder"]
    pending = f"  {embedder['pending']:,} vectors pending" if embedder["pending"] else ""
    terminal.print(
        f"model {safe(embedder['model'])}  {embedder['dimensions']} dimensions  {embedder['device']}{pending}"
    )
    _files(terminal, result)
    if not result["roots"]:
        terminal.print("nothing is indexed yet: codeindex add PATH")
        return
    terminal.print()
    rows = [
        (
            root["state"],
            f"{root['files']:,}",
            f"{root['chunks']:,}",
            f"{root.get('definitions', 0):,}",
            f"{root.get('references', 0):,}",
            f"{root['pending_files']:,}",
            f"{root['failed_files']:,}",
            safe_line(root["path"]),
        )
        for root in result["roots"]
    ]
    _table(terminal, ("STATE", "FILES", "CHUNKS", "SYMBOLS", "REFERENCES", "PENDING", "FAILED", "PATH"), rows)
    for root in result["roots"]:
        _details(terminal, root, now)


def _files(terminal: Terminal, result: StatusResult) -> None:
    """Print the paths and sizes of the indexes and the log."""
    if cache := result.get("cache"):
        terminal.print(f"cache {safe(cache['path'])}{_size(cache['bytes'])}")
    if log := result.get("log"):
        if log["path"] is not None:
            terminal.print(f"log   {safe(log['path'])}{_size(log['bytes'])}")
        else:
            where = "the journal: codeindex logs" if log["kind"] == "journal" else "where the daemon was started"
            terminal.print(f"log   {where}")


def _size(count: int | None) -> str:
    if count is None:
        return ""
    return f"  {count / (1 << 20):,.1f} MB" if count < 1 << 30 else f"  {count / (1 << 30):,.1f} GB"


def _details(terminal: Terminal, root: RootStatus, now: float) -> None:
    """Print what there is to say of a root beyond its row in the table: problems, notes, failures."""
    lines = []
    if known := history(root.get("history")):
        lines.append(known)
    lines += nested_histories(root.get("nested_histories", []))
    if root["pending_files"]:
        lines.append(progress.describe(root["progress"]))
    for problem in root.get("problems", []):
        lines.append(terminal.style("bad", safe(problem["message"])))
        if problem["hint"]:
            lines.append(f"  remedy: {safe(problem['hint'])}")
    lines += [terminal.style("warn", safe(note)) for note in root.get("notes", [])]
    if adopted := root.get("adopted"):
        lines.append(adoption(adopted))
    lines += [_busy(file) for file in root.get("busy", [])[:_MAX_FAILURES]]
    if root["skipped"]:
        lines.append("skipped: " + ", ".join(f"{count:,} {safe(reason)}" for reason, count in root["skipped"].items()))
    lines += [_failure(terminal, failure, now) for failure in root["failures"][:_MAX_FAILURES]]
    if (more := root["failed_files"] - min(len(root["failures"]), _MAX_FAILURES)) > 0:
        lines.append(f"and {more:,} more failed files: see --json")
    if lines:
        terminal.print()
        terminal.print(terminal.style("bold", safe_line(root["path"])))
        for line in lines:
            terminal.print(f"  {line}")


def adoption(adopted: AdoptedIndex) -> str:
    """Return a line that says from which root an index was adopted."""
    same = adopted["files_same"]
    total = same + adopted["files_to_process"]
    return f"index taken over from {safe_line(adopted['path'])}, where {same:,} of {total:,} files were the same"


def history(entry: HistoryEntry | None) -> str:
    """Return how far a root's history is; "" if nothing about it is worth a line."""
    if entry is None or entry["state"] in ("off", "waiting", "unavailable"):
        return ""
    counts = f"history: {quantity(entry['commits'], 'commit')}"
    if entry["state"] == "indexing":
        known = f"{entry['commits']:,} of {quantity(entry['total'], 'commit')}"
        counts = f"history: {known if entry['total'] else 'not read yet'}"
    notes = [
        *(["newer ones only (history.max_commits)"] if entry.get("truncated") else []),
        *(["a shallow clone"] if entry.get("shallow") else []),
        *([f"{entry['missing']:,} missing"] if entry.get("missing") else []),
        *([f"{entry['unreadable']:,} unreadable"] if entry.get("unreadable") else []),
        *([safe(entry["reason"])] if entry.get("reason") else []),
    ]
    return ", ".join([counts, *notes])


def nested_histories(entries: Sequence[NestedHistoryEntry]) -> list[str]:
    """Return how far the histories of repositories inside a root are: the unfinished ones, or else their number."""
    if not entries:
        return []
    commits = sum(entry["commits"] for entry in entries)
    lines = [f"repositories inside: {len(entries):,}, with {quantity(commits, 'commit')}"]
    telling = [entry for entry in entries if entry["state"] == "indexing" or entry.get("reason")]
    lines += [f"  {safe_line(entry['path'])}: {told}" for entry in telling[:_MAX_NESTED] if (told := history(entry))]
    if waiting := sum(entry["state"] == "waiting" for entry in entries):
        lines.append(f"  {waiting:,} not read yet")
    return lines


def _busy(file: BusyFile) -> str:
    every = progress.duration(file["every_s"])
    return f"busy: {safe_line(file['path'])} changes all the time: scanned every {every}, and by `codeindex sync`"


def _failure(terminal: Terminal, failure: Failure, now: float) -> str:
    if failure["next_retry"] is None:
        remedy = "tried again when it changes"
    else:
        remedy = f"tried again in {progress.duration(failure['next_retry'] - now)}"
    what = f"{safe_line(failure['path'])}: {failure['stage']}: {safe(failure['error'])}"
    return f"{terminal.style('warn', what)} ({quantity(failure['attempts'], 'attempt')}, {remedy})"


def verify(terminal: Terminal, result: VerifyResult, *, seconds: float = 0.0) -> None:
    """Print the differences of each root, and the duration of all in ``seconds``."""
    is_one = len(result["roots"]) == 1
    for root in result["roots"]:
        if why := root.get("not_verified"):
            terminal.print(f"{terminal.style('warn', 'not verified')}: {safe(why)}")
            continue
        found = root["differences"]
        outcome = terminal.style("good", "equal to the disk") if not found else quantity(len(found), "difference")
        if found and root.get("repaired"):
            outcome += ", repaired"
        checked = f"{quantity(root['files_checked'], 'file')}, {quantity(root['chunks_checked'], 'chunk')}"
        took = progress.took(seconds) if is_one else ""
        terminal.print(f"{safe_line(root['path'])}: {checked}: {outcome}{took}")
        for difference in found[:_MAX_DIFFERENCES]:
            terminal.print(f"  {safe_line(difference['path'])}: {difference['what']}: {safe(difference['detail'])}")
        if len(found) > _MAX_DIFFERENCES:
            terminal.print(f"  and {len(found) - _MAX_DIFFERENCES:,} more: see --json")
        for note in root.get("notes", []):
            terminal.print(f"  {terminal.style('warn', safe(note))}")
    if not is_one and (took := progress.took(seconds)):
        terminal.print(f"{quantity(len(result['roots']), 'root')}{took}")
    if not result["ok"]:
        terminal.note("hint: to repair the index: codeindex verify --repair")


def _explain_directory(terminal: Terminal, path: str, summary: DirectorySummary) -> None:
    terminal.print(f"{path}: {terminal.style('good', 'indexed')}, {quantity(summary['indexed'], 'file')}")
    for key in ("failed", "pending"):
        if summary[key]:
            terminal.print(f"  {summary[key]:,} {key}")
    width = max((len(f"{group['entries']:,}") for group in summary["left_out"]), default=0)
    for group in summary["left_out"]:
        rule = f"  {safe(group['rule'])}" if group["rule"] else ""
        terminal.print(f"  {group['entries']:>{width},} left out: {safe(group['reason'])}{rule}")
    if summary["more_rules"]:
        terminal.print(f"  and {summary['more_rules']:,} more rules: see --json")


def explain(terminal: Terminal, result: ExplainResult) -> None:
    """Print why a path is or is not indexed."""
    path = safe_line(result["path"])
    if (summary := result.get("summary")) is not None:
        _explain_directory(terminal, path, summary)
        return
    if result["indexed"]:
        language = f" as {result['language']}" if result["language"] else ""
        if result.get("encoding_guessed"):
            language += f" (encoding taken for {result.get('encoding', '')})"
        terminal.print(
            f"{path}: {terminal.style('good', 'indexed')}{language}, {quantity(len(result['chunks']), 'chunk')}"
        )
        if result.get("partly_understood"):
            terminal.print("  not all of it was understood; definitions in it may be missing")
        for chunk in result["chunks"]:
            symbol = f"  {safe(chunk['symbol'])}" if chunk["symbol"] else ""
            cell = f"  cell {chunk['cell']}" if "cell" in chunk else ""
            terminal.print(f"  {chunk['start_line']}-{chunk['end_line']}{cell}  {chunk['kind']}{symbol}")
        return
    terminal.print(f"{path}: {terminal.style('warn', 'not indexed')}: {safe(result['reason'])}")
    if result["rule"]:
        terminal.print(f"  rule: {safe(result['rule'])}")
    if hint := result.get("hint"):
        terminal.print(f"  {safe(hint)}")
    if failure := result["failure"]:
        terminal.print(f"  {failure['stage']}: {safe(failure['error'])} ({quantity(failure['attempts'], 'attempt')})")


def _table(terminal: Terminal, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table, with the first and the last column left-aligned and the others right-aligned.

    Prints nothing if there are no rows.
    """
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for number, row in enumerate((header, *rows)):
        cells = [
            cell.ljust(width) if column in {0, len(row) - 1} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        if number and (style := _STYLES.get(row[0], "warn")):
            cells[0] = terminal.style(style, cells[0])
        terminal.print("  ".join(cells).rstrip())
