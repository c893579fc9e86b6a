"""The commands that find code and commits by a query: search, log, exact search, and what is similar."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from codeindexd.cli import render
from codeindexd.cli.run import DONE, NOTHING, Run
from codeindexd.client.core import enclosing_repository
from codeindexd.client.sync import Client
from codeindexd.errors import NotIndexedError, UsageError
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import SearchResult

_PLACE = re.compile(r"(?P<path>.+?):(?P<line>[0-9]+)(?:[-:][0-9]+)?")  # the forms that search and grep print


def search(run: Run) -> int:
    """Find code."""
    args = run.args
    if args.commits:
        return log(run)
    _parse_format(args)
    options = {
        "roots": run.roots_to_search(),
        "limit": args.limit,
        "language": args.language,
        "path": run.path_filters(),
        "kind": args.kind,
        "sync": args.sync,
        "explain": args.explain,
        "level": args.level,
        "last_commit": args.last_commit,
    }
    query = " ".join(args.query)
    with run.client() as client:
        try:
            result = client.search(query, **options)
        except NotIndexedError:
            if not args.add or args.all:
                raise
            result = _search_after_adding(run, client, query, options)
    run.show(result, lambda: _print_hits(run, result))
    return DONE if result["hits"] else NOTHING


def _search_after_adding(run: Run, client: Client, query: str, options: Mapping[str, Any]) -> SearchResult:
    """Index the directories that ``--root`` names, or else the repository around the current directory, and search."""
    for path in run.args.roots or [enclosing_repository(run.cwd)]:
        _index_first(run, client, path)
    try:
        return client.search(query, **options)
    except NotIndexedError:  # the repository excludes the current directory
        if run.args.roots:
            raise
    _index_first(run, client, run.cwd)
    return client.search(query, **options)


def log(run: Run) -> int:
    """Find commits."""
    from codeindexd.cli import log as commits

    args = run.args
    with run.client() as client:
        result = client.log(" ".join(args.query), roots=run.roots_to_search(), limit=args.limit, sync=args.sync)
    one_line = getattr(args, "oneline", False) or getattr(args, "files", False)
    run.show(result, lambda: commits.print_log(run.terminal, result, one_line=one_line))
    if not args.json:
        run.terminal.flush()
        if not result["commits"]:
            run.terminal.note(commits.nothing_found(result["searched"]))
        run.print_notes(result)
    return DONE if result["commits"] else NOTHING


def grep(run: Run) -> int:
    """Find all lines that match a pattern."""
    from codeindexd.cli import grep as lines

    args = run.args
    where = "" if args.all or args.paths else run.cwd
    options = lines.parameters(
        args, where, highlights=run.terminal.colour, whole_lines=not (args.json or run.terminal.full_screen)
    )
    printer = lines.Printer(run.terminal, args, run.shown_cwd)
    kept: list[Any] = []
    with run.client() as client, client.grep_stream(**options) as found:
        for batch in found.batches():
            if args.quiet:
                return DONE
            if args.json:
                kept += batch
            else:
                printer.show(batch)
                run.terminal.flush()  # the next batch may take long
    result = found.result
    if args.json:
        document = {**result, "counts" if "counts" in result else "matches": kept}
        run.terminal.print(json.dumps(document))
    else:
        printer.end()
        run.terminal.flush()
        run.print_notes_and_state(result)
        if printer.cut:
            run.terminal.note(lines.note_on_cut(printer.cut, is_terminal=run.terminal.full_screen))
    return DONE if result["files"] else NOTHING


def related(run: Run) -> int:
    """Find code similar to the code at PATH:LINE."""
    place = _PLACE.fullmatch(run.args.place)
    if place is None:
        raise UsageError(f"not PATH:LINE: {run.args.place}", hint="for example: codeindex related src/main.py:42")
    _parse_format(run.args)
    with run.client() as client:
        result = client.related_to(place["path"], int(place["line"]), limit=run.args.limit)
    run.show(result, lambda: _print_hits(run, result))
    return DONE if result["hits"] else NOTHING


def _index_first(run: Run, client: Client, path: str) -> None:
    """Index ``path`` before a search, and show the progress."""
    with run.indexing(path) as line:
        added = client.add(path, on_progress=line.show)
    if line.is_shown:
        from codeindexd.cli import progress

        for root in added["roots"]:
            skipped = client.status(root["path"])["roots"][0]["skipped"]
            run.terminal.note(progress.summary(root, seconds=line.seconds, skipped=skipped))


def _parse_format(args: argparse.Namespace) -> None:
    """Parse the text of ``--format``, which may have escapes. Raises UsageError for unknown fields."""
    if args.format is not None:
        args.format = render.parse_template(args.format)


def _print_hits(run: Run, result: SearchResult) -> None:
    args = run.args
    if args.files:
        render.print_paths(run.terminal, result, run.shown_cwd)
    elif args.vimgrep:
        render.print_vimgrep(run.terminal, result, run.shown_cwd)
    elif args.format is not None:
        render.print_formatted(run.terminal, result, args.format, run.shown_cwd)
    else:
        explain = getattr(args, "explain", False)
        context, cwd = args.context, run.shown_cwd
        if "groups" in result:
            render.print_groups(run.terminal, result, cwd=cwd, explain=explain, copies=args.copies)
        else:
            render.print_hits(run.terminal, result, context=context, cwd=cwd, explain=explain, copies=args.copies)
    run.terminal.flush()
    if not result["hits"]:
        searched = result.get("searched") if result["state"] != "missing" else None
        run.terminal.note("no hits" if searched is None else f"no hits in {quantity(searched, 'file')}")
    run.print_notes_and_state(result)
    if result["dense_coverage"] < 1:
        run.terminal.note(f"note: {result['dense_coverage']:.0%} of the code can be found by meaning so far")
