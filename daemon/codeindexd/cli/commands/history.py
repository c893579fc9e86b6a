"""The commands about the history of lines, files and definitions."""

from __future__ import annotations

from codeindexd.cli.commands.graph import end_of_answer
from codeindexd.cli.run import Run


def why(run: Run) -> int:
    """Show which commits wrote lines, and why."""
    from codeindexd.cli import why as printing

    path, first, last = printing.requested_lines(run.args)
    with run.client() as client:
        result = client.why(path, first, last_line=last, limit=run.args.limit)
    run.show(result, lambda: printing.print_why(run.terminal, result, run.shown_cwd))
    return end_of_answer(run, result, found=bool(result["lines"]), nothing="there are no such lines")


def history(run: Run) -> int:
    """Show the commits that changed a file or a definition."""
    from codeindexd.cli import why as printing

    with run.client() as client:
        result = client.history(**printing.query_arguments(run.args, run.cwd))
    run.show(result, lambda: printing.print_history(run.terminal, result, run.shown_cwd))
    return end_of_answer(run, result, found=bool(result["commits"]), nothing="no known commit changed it")


def together(run: Run) -> int:
    """Show what usually changes together with a file or a definition."""
    from codeindexd.cli import why as printing

    with run.client() as client:
        result = client.together(**printing.query_arguments(run.args, run.cwd))
    run.show(result, lambda: printing.print_together(run.terminal, result, run.shown_cwd))
    found = bool(result["files"] or result["tests"] or result.get("definitions"))
    return end_of_answer(run, result, found=found, nothing=printing.nothing_together(result))
