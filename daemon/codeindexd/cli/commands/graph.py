"""The commands about definitions and who uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codeindexd.cli import render
from codeindexd.cli.run import DONE, NOTHING, Run
from codeindexd.cli.terminal import safe

_MATCHES = {"last_part": "are the last part of", "prefix": "begin with", "part": "contain", "spelling": "resemble"}


def symbol(run: Run) -> int:
    """Find where a name is defined."""
    args = run.args
    where = run.roots_to_search()
    with run.client() as client:
        result = client.symbol(
            args.name,
            roots=where,
            references=args.refs,
            language=args.language,
            path=run.path_filters(),
            kind=args.kind,
            limit=args.limit,
        )
    run.show(result, lambda: render.print_definitions(run.terminal, result, run.shown_cwd))
    found = bool(result["definitions"] or result["references"] or result.get("similar"))
    if not run.args.json:
        run.terminal.flush()
        name, how = safe(run.args.name), _MATCHES.get(result.get("match", "exact"), "")
        if not found:
            run.terminal.note(f"no definition of {name} is known")
        elif how:
            run.terminal.note(f"note: no definition of {name} is known; showing names that {how} it")
        run.print_notes_and_state(result)
    return DONE if found else NOTHING


def refs(run: Run) -> int:
    """Find what refers to a definition."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.refs(**graph.query_arguments(run.args, run.cwd))
    run.show(result, lambda: graph.print_refs(run.terminal, result, run.shown_cwd))
    return end_of_answer(run, result, found=bool(result["references"]), nothing="no references were found")


def callers(run: Run) -> int:
    """Find what calls a definition."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.callers(**graph.query_arguments(run.args, run.cwd))
    run.show(result, lambda: graph.print_calls(run.terminal, result, "callers", run.shown_cwd))
    return end_of_answer(run, result, found=bool(result["callers"]), nothing="no callers were found")


def callees(run: Run) -> int:
    """Find what a definition calls."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.callees(**graph.query_arguments(run.args, run.cwd))
    run.show(result, lambda: graph.print_calls(run.terminal, result, "callees", run.shown_cwd))
    return end_of_answer(run, result, found=bool(result["callees"]), nothing="it calls nothing that is defined here")


def impact(run: Run) -> int:
    """Find what a change reaches."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.impact(**graph.query_arguments(run.args, run.cwd))
    run.show(result, lambda: graph.print_impact(run.terminal, result, run.shown_cwd))
    found = bool(result["affected"] or result["importers"] or result["tests"])
    return end_of_answer(
        run, result, found=found, nothing="no other references were found" if result["changed"] else "no changes"
    )


def outline(run: Run) -> int:
    """Show the definitions of a file."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.outline(run.args.path)
    run.show(result, lambda: graph.print_outline(run.terminal, result))
    if not run.args.json and result["partial"]:
        run.terminal.note("note: not all of the file was understood, so definitions may be missing")
    return end_of_answer(run, result, found=bool(result["definitions"]), nothing="no definitions are known in it")


def code_map(run: Run) -> int:
    """Show the most central definitions."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.map(run.here, tokens=run.args.tokens)
    run.show(result, lambda: graph.print_map(run.terminal, result))
    code = end_of_answer(run, result, found=bool(result["files"]), nothing="no definitions are known here")
    if not run.args.json and result["truncated"]:
        shown, total = result["definitions"], result["total"]
        run.terminal.note(f"note: {shown:,} of {total:,} definitions; for more: --tokens {2 * run.args.tokens}")
    return code


def end_of_answer(run: Run, result: Mapping[str, Any], *, found: bool, nothing: str) -> int:
    """Print what an answer about the code graph or a history notes, and return the exit code."""
    if not run.args.json:
        run.terminal.flush()
        if similar := result.get("similar"):
            run.terminal.note(f"no definition of {safe(result['name'])} is known; similar: {safe(', '.join(similar))}")
        elif not found and result.get("samples"):
            pass  # a note says where it is defined
        elif not found and result.get("targets", result) == [] and not getattr(run.args, "changed", False):
            from codeindexd.cli import graph

            run.terminal.note(f"no definition of {safe(result['name'])} is known")
            if hint := graph.hint_for_path(result["name"], run.args.command):
                run.terminal.note(f"hint: {safe(hint)}")
        elif not found:
            run.terminal.note(nothing)
        run.print_notes_and_state(result)
    return DONE if found else NOTHING
