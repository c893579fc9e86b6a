"""The commands for the roots: add, remove, list, pause, resume, and process them again."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from codeindexd.cli.run import DONE, Run
from codeindexd.cli.terminal import safe_line
from codeindexd.client.core import absolute, enclosing_repository
from codeindexd.client.sync import Client

if TYPE_CHECKING:
    from codeindexd.cli.progress import ProgressLine
    from codeindexd.client.results import RootEntry, RootsResult


def add(run: Run) -> int:
    """Index directories, and show the progress."""
    workers = 0 if run.args.sequential else run.args.workers
    added: RootsResult = {"roots": []}
    wait = not run.args.no_wait
    with run.client() as client:
        for path in run.args.paths or [enclosing_repository(run.cwd)]:
            with run.indexing(path) as line:
                result = client.add(path, wait=wait, force=run.args.force, workers=workers, on_progress=line.show)
            added["roots"] += result["roots"]
            if run.args.json:
                continue
            _print_result(run, client, result, line if wait else None, with_history=True)
            root = result["roots"][0]["path"]
            if result.get("already_covered") and os.path.realpath(absolute(path)) != os.path.realpath(root):
                run.terminal.note(f"{safe_line(absolute(path))} is covered by the root {safe_line(root)}")
    if run.args.json:
        run.terminal.print(json.dumps(added))
    return DONE


def remove(run: Run) -> int:
    """Remove roots and their indexes."""
    removed = []
    paths = [absolute(path) for path in run.args.paths]  # an invalid one raises before any root is removed
    with run.client() as client:
        for path in paths:
            removed += client.remove(path)["removed"]
    text = "\n".join(f"removed {safe_line(root['path'])}" for root in removed)
    run.show({"removed": removed}, lambda: run.terminal.print(text))
    return DONE


def roots(run: Run) -> int:
    """List roots."""
    with run.client() as client:
        result = client.roots()
    run.show(result, lambda: _root_table(run, result))
    return DONE


def reindex(run: Run) -> int:
    """Process every file of a root again, and show the progress."""
    wait = not run.args.no_wait
    with run.client() as client:
        with run.indexing(run.here) as line:
            result = client.reindex(run.here, wait=wait, on_progress=line.show)
        run.show(result, lambda: _print_result(run, client, result, line if wait else None))
    return DONE


def pause(run: Run) -> int:
    """Stop indexing a root until ``resume``."""
    with run.client() as client:
        result = client.pause(run.here)
    run.show(result, lambda: _print_summaries(run, result))
    return DONE


def resume(run: Run) -> int:
    """Continue indexing a root."""
    with run.client() as client:
        result = client.resume(run.here)
    run.show(result, lambda: _print_summaries(run, result))
    return DONE


def _print_result(
    run: Run, client: Client, result: RootsResult, line: ProgressLine | None, *, with_history: bool = False
) -> None:
    """Print a summary of each root; if it was waited for with a ``line``, also the duration and what was left out.

    ``with_history`` adds a line about the history of each root that was waited for.
    """
    from codeindexd.cli import health, progress

    for root in result["roots"]:
        history = ""
        if line is None:
            run.terminal.print(progress.summary(root))
        else:
            status = client.status(root["path"])["roots"][0]
            run.terminal.print(progress.summary(root, seconds=line.seconds, skipped=status["skipped"]))
            if with_history:
                history = progress.history_summary(status.get("history"), status.get("nested_histories", []))
        if not result.get("already_covered") and (adopted := root.get("adopted")):
            run.terminal.note(health.adoption(adopted))
        if history:
            run.terminal.print(history)
        _print_remarks(run, root)


def _print_summaries(run: Run, result: RootsResult) -> None:
    from codeindexd.cli import progress

    for root in result["roots"]:
        run.terminal.print(progress.summary(root))
        _print_remarks(run, root)


def _print_remarks(run: Run, root: RootEntry) -> None:
    run.print_notes(root)
    if root["state"] in {"degraded", "missing"}:
        run.terminal.note("hint: to see what is wrong: codeindex status")


def _root_table(run: Run, result: RootsResult) -> None:
    from codeindexd.cli import health

    health.roots(run.terminal, result)
    if not result["roots"]:
        run.terminal.note("nothing is indexed yet: codeindex add PATH")
