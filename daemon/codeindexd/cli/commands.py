"""The commands of ``codeindex``. Each is a function that returns the exit code."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from codeindexd.cli import render
from codeindexd.cli.path_filters import from_here
from codeindexd.cli.terminal import Terminal, safe, safe_line
from codeindexd.client.core import PathLike, absolute, enclosing_repository, no_current_directory
from codeindexd.client.sync import Client
from codeindexd.errors import CodeindexError, ConfigError, FailedError, NotIndexedError, UsageError

if TYPE_CHECKING:
    from codeindexd.cli.progress import ProgressLine
    from codeindexd.client.aio import AsyncClient
    from codeindexd.client.results import RootEntry, RootsResult, SearchResult

DONE, NOTHING, FAILED = 0, 1, FailedError.exit_code
_MIN_REFRESH_S = 1.0  # of `status --watch`
_SHOW_AFTER_S = 0.3  # for anything shorter, a progress line would only flash up


class Run:
    """One run of the program: its arguments, environment and terminal."""

    def __init__(self, args: argparse.Namespace, environ: Mapping[str, str], terminal: Terminal) -> None:
        self.args = args
        self.environ = environ
        self.terminal = terminal
        self._printed_notes: set[str] = set()

    @property
    def cwd(self) -> str:
        """The current directory, with symlinks resolved. Raises UsageError if it was deleted."""
        try:
            return os.getcwd()  # noqa: PTH109 - pathlib costs a fifth of a search's time
        except FileNotFoundError:
            raise no_current_directory() from None

    @property
    def shown_cwd(self) -> str:
        """The directory that printed paths are relative to; "" if it was deleted, so that paths are absolute."""
        try:
            return self.cwd
        except UsageError:
            return ""

    @property
    def here(self) -> str:
        """The PATH argument, or the current directory; the daemon finds the root that contains it."""
        return self.cwd if self.args.path is None else str(self.args.path)

    def client(self) -> Client:
        """Return a client that starts the daemon if needed, unless the user forbids it."""
        return Client(start=self._may_start, environ=self.environ, note=self._note_once)

    def async_client(self) -> AsyncClient:
        """Return an asynchronous client that starts the daemon if needed, unless the user forbids it."""
        from codeindexd.client.aio import AsyncClient

        return AsyncClient(start=self._may_start, environ=self.environ, note=self._note_once)

    @property
    def _may_start(self) -> bool:
        return not self.args.no_start and self.environ.get("CODEINDEX_NO_START", "") in {"", "0"}

    def _note_once(self, text: str) -> None:
        if text not in self._printed_notes:
            self._printed_notes.add(text)
            self.terminal.note(safe(text))

    def indexing(self, path: PathLike, *, show_after_s: float = 0.0) -> AbstractContextManager[ProgressLine]:
        """Return a context with a progress line, for waiting until ``path`` is indexed.

        The line is shown once the block has run for ``show_after_s`` seconds.
        """
        import shlex

        stop = f"codeindex pause {shlex.quote(absolute(path))}"
        text = f"indexing continues in the background; to stop it: {stop}"
        return self._progress_line(path, text, show_after_s=show_after_s)

    def verifying(self, path: PathLike) -> AbstractContextManager[ProgressLine]:
        """Return a context with a progress line, for waiting until ``path`` is verified."""
        text = "the verification was stopped; the index goes on as before"
        return self._progress_line(path, text, show_after_s=_SHOW_AFTER_S)

    @contextlib.contextmanager
    def _progress_line(self, path: PathLike, when_interrupted: str, *, show_after_s: float) -> Iterator[ProgressLine]:
        from codeindexd.cli.progress import ProgressLine, interruptible

        is_shown = self.terminal.live and not self.args.json
        line = ProgressLine(self.terminal, absolute(path), is_shown=is_shown, show_after_s=show_after_s)
        with interruptible(self.terminal, line, safe(when_interrupted)):
            yield line

    def show(self, result: Any, render_text: Callable[[], None]) -> None:
        """Print ``result`` as JSON with ``--json``; otherwise call ``render_text``."""
        if self.args.json:
            self.terminal.print(json.dumps(result))
        else:
            render_text()


def more_precise(error: CodeindexError, args: argparse.Namespace) -> CodeindexError:
    """Return the error to print: for a path that does not exist, "not indexed" would be misleading."""
    if not isinstance(error, NotIndexedError):
        return error
    given = [getattr(args, "path", None), *(getattr(args, "paths", None) or []), *(getattr(args, "roots", None) or [])]
    for path in given:
        if path and not os.path.lexists(absolute(path)):
            hint = "check the path; to see what is indexed: codeindex roots"
            kind = UsageError if args.command == "grep" else NotIndexedError  # as ripgrep exits
            return kind(f"{absolute(path)} does not exist", hint=hint)
    return error


# roots


def add(run: Run) -> int:
    """Index directories, and show the progress."""
    workers = 0 if run.args.sequential else run.args.workers
    added: RootsResult = {"roots": []}
    wait = not run.args.no_wait
    with run.client() as client:
        for path in run.args.paths or [enclosing_repository(run.cwd)]:
            with run.indexing(path) as line:
                result = client.add(path, wait=wait, force=run.args.force, workers=workers, on_progress=line.callback)
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
            history = progress.history_summary(status.get("history")) if with_history else ""
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
    _print_notes(run, root)
    if root["state"] in {"degraded", "missing"}:
        run.terminal.note("hint: to see what is wrong: codeindex status")


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


def _root_table(run: Run, result: RootsResult) -> None:
    from codeindexd.cli import health

    health.roots(run.terminal, result)
    if not result["roots"]:
        run.terminal.note("nothing is indexed yet: codeindex add PATH")


def reindex(run: Run) -> int:
    """Process every file of a root again, and show the progress."""
    wait = not run.args.no_wait
    with run.client() as client:
        with run.indexing(run.here) as line:
            result = client.reindex(run.here, wait=wait, on_progress=line.callback)
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


# queries


def search(run: Run) -> int:
    """Find code."""
    args = run.args
    if args.commits:
        return log(run)
    _check_format(args)
    options = {
        "roots": _roots_to_search(run),
        "limit": args.limit,
        "language": args.language,
        "path": _path_filters(args),
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
        except NotIndexedError:  # with --add, index first
            if not args.add or args.all:
                raise
            for path in args.roots or [enclosing_repository(run.cwd)]:
                _index_first(run, client, path)
            try:
                result = client.search(query, **options)
            except NotIndexedError:  # the repository excludes the current directory
                if args.roots:
                    raise
                _index_first(run, client, run.cwd)
                result = client.search(query, **options)
    run.show(result, lambda: _print_hits(run, result))
    return DONE if result["hits"] else NOTHING


def _roots_to_search(run: Run) -> Sequence[str] | None:
    """Return the roots that the options name, or else the one around the current directory; None for all."""
    return None if run.args.all else run.args.roots or [run.cwd]


def _path_filters(args: argparse.Namespace) -> list[str]:
    return [from_here(glob, names_what_is_here=not (args.all or args.roots)) for glob in args.globs]


def _index_first(run: Run, client: Client, path: str) -> None:
    """Index ``path`` before a search, and show the progress."""
    with run.indexing(path) as line:
        added = client.add(path, on_progress=line.callback)
    if line.callback is not None:
        from codeindexd.cli import progress

        for root in added["roots"]:
            skipped = client.status(root["path"])["roots"][0]["skipped"]
            run.terminal.note(progress.summary(root, seconds=line.seconds, skipped=skipped))


def _check_format(args: argparse.Namespace) -> None:
    """Replace the escapes in ``--format``. Raises UsageError for unknown fields."""
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
        searched = result.get("searched")
        is_whole = searched is not None and result["state"] != "missing"
        files = "" if not is_whole else f" in {searched:,} {'file' if searched == 1 else 'files'}"
        run.terminal.note(f"no hits{files}")
    _print_notes_and_state(run, result)
    if result["dense_coverage"] < 1:
        run.terminal.note(f"note: {result['dense_coverage']:.0%} of the code can be found by meaning so far")


def log(run: Run) -> int:
    """Find commits."""
    from codeindexd.cli import log as commits

    args = run.args
    with run.client() as client:
        result = client.log(" ".join(args.query), roots=_roots_to_search(run), limit=args.limit, sync=args.sync)
    one_line = getattr(args, "oneline", False) or getattr(args, "files", False)
    run.show(result, lambda: commits.print_log(run.terminal, result, one_line=one_line))
    if not args.json:
        run.terminal.flush()
        if not result["commits"]:
            run.terminal.note(commits.nothing_found(result["searched"]))
        _print_notes(run, result)
    return DONE if result["commits"] else NOTHING


def grep(run: Run) -> int:
    """Find all lines that match a pattern."""
    from codeindexd.cli import grep as lines

    args = run.args
    where = "" if args.all or args.paths else run.cwd
    options = lines.parameters(args, where, highlights=run.terminal.colour)
    printer = lines.Printer(run.terminal, args, run.shown_cwd)
    kept: list[Any] = []
    with run.client() as client, client.grep_stream(args.pattern, **options) as found:
        for batch in found.batches():
            if args.json:
                kept += batch
            else:
                printer.show(batch)
                run.terminal.flush()  # the next batch may take long
    result = found.result
    if args.json:
        document = {**result, "counts" if args.files_only or args.count else "matches": kept}
        run.terminal.print(json.dumps(document))
    else:
        printer.end()
        run.terminal.flush()
        _print_notes_and_state(run, result)
    return DONE if result["total"] else NOTHING


def _print_notes(run: Run, result: Mapping[str, Any]) -> None:
    for note in result.get("notes", []):
        run.terminal.note(f"note: {safe(note)}")


def _print_notes_and_state(run: Run, result: Mapping[str, Any]) -> None:
    """Print the notes of a result, and one on its state, unless a note names the root that is missing."""
    _print_notes(run, result)
    state = result.get("state", "fresh")
    if state == "missing":
        if not any(" is missing: " in note for note in result.get("notes", [])):
            run.terminal.note("note: an indexed directory is missing; for details: codeindex status")
    elif state != "fresh":
        run.terminal.note(f"note: the index may differ from the disk ({state}); for details: codeindex status")


_PLACE = re.compile(r"(?P<path>.+?):(?P<line>[0-9]+)(?:[-:][0-9]+)?")  # the forms that search and grep print


def related(run: Run) -> int:
    """Find code similar to the code at PATH:LINE."""
    place = _PLACE.fullmatch(run.args.place)
    if place is None:
        raise UsageError(f"not PATH:LINE: {run.args.place}", hint="for example: codeindex related src/main.py:42")
    _check_format(run.args)
    with run.client() as client:
        result = client.related_to(place["path"], int(place["line"]), limit=run.args.limit)
    run.show(result, lambda: _print_hits(run, result))
    return DONE if result["hits"] else NOTHING


_MATCHES = {"last_part": "are the last part of", "prefix": "begin with", "part": "contain", "spelling": "resemble"}


def symbol(run: Run) -> int:
    """Find where a name is defined."""
    args = run.args
    where = _roots_to_search(run)
    with run.client() as client:
        result = client.symbol(
            args.name,
            roots=where,
            references=args.refs,
            language=args.language,
            path=_path_filters(args),
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
        _print_notes_and_state(run, result)
    return DONE if found else NOTHING


# the code graph


def refs(run: Run) -> int:
    """Find what refers to a definition."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.refs(**graph.query_arguments(run.args, run.cwd))
    run.show(result, lambda: graph.print_refs(run.terminal, result, run.shown_cwd))
    return _end(run, result, found=bool(result["references"]), nothing="no references were found")


def callers(run: Run) -> int:
    """Find what calls a definition."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.callers(**graph.query_arguments(run.args, run.cwd))
    run.show(result, lambda: graph.print_calls(run.terminal, result, "callers", run.shown_cwd))
    return _end(run, result, found=bool(result["callers"]), nothing="no callers were found")


def callees(run: Run) -> int:
    """Find what a definition calls."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.callees(**graph.query_arguments(run.args, run.cwd))
    run.show(result, lambda: graph.print_calls(run.terminal, result, "callees", run.shown_cwd))
    return _end(run, result, found=bool(result["callees"]), nothing="it calls nothing that is defined here")


def impact(run: Run) -> int:
    """Find what a change reaches."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.impact(**graph.query_arguments(run.args, run.cwd))
    run.show(result, lambda: graph.print_impact(run.terminal, result, run.shown_cwd))
    found = bool(result["affected"] or result["importers"] or result["tests"])
    return _end(
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
    return _end(run, result, found=bool(result["definitions"]), nothing="no definitions are known in it")


def code_map(run: Run) -> int:
    """Show the most central definitions."""
    from codeindexd.cli import graph

    with run.client() as client:
        result = client.map(run.here, tokens=run.args.tokens)
    run.show(result, lambda: graph.print_map(run.terminal, result))
    code = _end(run, result, found=bool(result["files"]), nothing="no definitions are known here")
    if not run.args.json and result["truncated"]:
        shown, total = result["definitions"], result["total"]
        run.terminal.note(f"note: {shown:,} of {total:,} definitions; for more: --tokens {2 * run.args.tokens}")
    return code


def _end(run: Run, result: Mapping[str, Any], *, found: bool, nothing: str) -> int:
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
        _print_notes_and_state(run, result)
    return DONE if found else NOTHING


# history


def why(run: Run) -> int:
    """Show which commits wrote lines, and why."""
    from codeindexd.cli import why as printing

    path, first, last = printing.requested_lines(run.args)
    with run.client() as client:
        result = client.why(path, first, last_line=last, limit=run.args.limit)
    run.show(result, lambda: printing.print_why(run.terminal, result, run.shown_cwd))
    return _end(run, result, found=bool(result["lines"]), nothing="there are no such lines")


def history(run: Run) -> int:
    """Show the commits that changed a file or a definition."""
    from codeindexd.cli import why as printing

    with run.client() as client:
        result = client.history(**printing.query_arguments(run.args, run.cwd))
    run.show(result, lambda: printing.print_history(run.terminal, result, run.shown_cwd))
    return _end(run, result, found=bool(result["commits"]), nothing="no known commit changed it")


def together(run: Run) -> int:
    """Show what usually changes together with a file or a definition."""
    from codeindexd.cli import why as printing

    with run.client() as client:
        result = client.together(**printing.query_arguments(run.args, run.cwd))
    run.show(result, lambda: printing.print_together(run.terminal, result, run.shown_cwd))
    found = bool(result["files"] or result["tests"] or result.get("definitions"))
    return _end(run, result, found=found, nothing=printing.nothing_together(result))


# health


def sync(run: Run) -> int:
    """Wait until all changes made before can be searched."""
    with run.client() as client, run.indexing(run.here, show_after_s=_SHOW_AFTER_S) as line:
        result = client.sync(run.here, timeout_s=run.args.timeout, on_progress=line.callback)
    run.show(result, lambda: run.terminal.print(result["clock"]))
    return DONE


def status(run: Run) -> int:
    """Show the health of roots and of the daemon, once or until interrupted."""
    from codeindexd.cli import health

    if run.args.watch and run.args.json:
        raise UsageError("--watch does not end, but --json prints one document", hint="leave one of them out")
    with run.client() as client:
        result = client.status(run.args.path)
        if not run.args.watch:
            run.show(result, lambda: health.status(run.terminal, result))
            return DONE
        client.subscribe(None if run.args.path is None else [run.args.path])
        try:
            while True:
                recorder, text = run.terminal.recorder()
                health.status(recorder, result)
                run.terminal.show_screen(text.getvalue())
                _wait_for_change(client)
                result = client.status(run.args.path)
        except KeyboardInterrupt:
            return DONE


def _wait_for_change(client: Client) -> None:
    """Wait for notifications, but at least a second, so that the screen is not redrawn too often."""
    import time

    started = time.monotonic()
    for _ in client.notifications(timeout_s=_MIN_REFRESH_S):
        if time.monotonic() - started >= _MIN_REFRESH_S:
            return


def verify(run: Run) -> int:
    """Compare the index with the disk."""
    from codeindexd.cli import health

    if run.args.all and run.args.path is not None:
        raise UsageError("give either PATH or --all", hint="leave one of them out")
    path = None if run.args.all else run.here
    with run.client() as client, run.verifying(path or "/") as line:
        result = client.verify(path, repair=run.args.repair, on_progress=line.callback)
    run.show(result, lambda: health.verify(run.terminal, result, seconds=line.seconds))
    return DONE if result["ok"] else NOTHING


def explain(run: Run) -> int:
    """Show why a path is or is not indexed."""
    from codeindexd.cli import health

    with run.client() as client:
        result = client.explain(run.args.path)
    run.show(result, lambda: health.explain(run.terminal, result))
    return DONE


# the daemon


def stop(run: Run) -> int:
    """Stop the daemon."""
    from codeindexd.cli import lifecycle

    result = lifecycle.stop(run.environ)
    text = f"stopped the daemon (pid {result['pid']})" if result["stopped"] else "no daemon was running"
    run.show(result, lambda: run.terminal.print(text))
    return DONE


def restart(run: Run) -> int:
    """Stop the daemon and start a new one."""
    from codeindexd.cli import lifecycle

    result = lifecycle.restart(run.environ)
    text = f"codeindexd {result['version']} is running (pid {result['pid']})"
    run.show(result, lambda: run.terminal.print(text))
    return DONE


def logs(run: Run) -> int:
    """Show the end of the daemon's log, or follow it until interrupted."""
    from codeindexd.cli import lifecycle

    lines, follow = run.args.lines, run.args.follow
    if run.args.json:
        if follow:
            raise UsageError("--follow does not end, but --json prints one document", hint="leave one of them out")
        run.terminal.print(json.dumps(lifecycle.read_logs(run.environ, lines=lines)))
        return DONE
    try:
        lifecycle.show_logs(run.terminal, run.environ, lines=lines, follow=follow)
    except KeyboardInterrupt:
        if not follow:
            raise
    return DONE


# environment


def service(run: Run) -> int:
    """Install, remove or show the service."""
    from codeindexd.cli import service as services

    result = services.ACTIONS[run.args.action](run.environ)
    run.show(result, lambda: services.show(run.terminal, result))
    return DONE


def doctor(run: Run) -> int:
    """Check the environment for problems."""
    from codeindexd.cli import doctor as checks

    result = checks.examine(run.environ)
    run.show(result, lambda: _print_findings(run, result))
    return DONE if result["ok"] else NOTHING


def _print_findings(run: Run, result: Mapping[str, Any]) -> None:
    styles = {"ok": "good", "warning": "warn", "problem": "bad"}
    for check in result["checks"]:
        state = run.terminal.style(styles[check["state"]], f"{check['state']:<8}")
        run.terminal.print(f"{state} {check['name']}: {safe(check['detail'])}")
        if check["remedy"]:
            run.terminal.print(f"         remedy: {safe(check['remedy'])}")


def stats(run: Run) -> int:
    """Show how often agents asked, and what that saved."""
    from codeindexd.cli import stats as counted

    result = counted.result()
    run.show(result, lambda: counted.show(run.terminal, result))
    return DONE


def agents(run: Run) -> int:
    """List coding agents, register the server with them, or remove it."""
    from codeindexd.cli.agents import command

    result = command.Agents(run.args, run.environ, run.terminal).run()
    run.show(result, lambda: command.show(run.terminal, result))
    return FAILED if any(one["outcome"] == "failed" for one in result.get("changes", [])) else DONE


def config(run: Run) -> int:
    """Show, write or check the configuration."""
    from codeindexd.cli import configuration

    action = run.args.action
    result = configuration.ACTIONS[action](run.environ, run.cwd, force=run.args.force)
    run.show(result, lambda: configuration.print_result(run.terminal, action, result))
    return DONE if result.get("ok", True) else ConfigError.exit_code


def completions(run: Run) -> int:
    """Print a completion script or, for such a script, the roots."""
    from codeindexd.cli import completions as scripts

    if run.args.what == "roots":
        known = scripts.roots(run.environ)
        in_one_line = [root for root in known if "\n" not in root]  # shells read a root from each line
        run.show({"roots": known}, lambda: _print_lines(run, in_one_line))
    else:
        text = scripts.script(run.args.what)
        run.show({"script": text}, lambda: run.terminal.print(text.rstrip("\n")))
    return DONE


def _print_lines(run: Run, lines: Sequence[str]) -> None:
    for line in lines:
        run.terminal.print(line)


def man(run: Run) -> int:
    """Print a manual page."""
    from codeindexd.cli import manual

    text = manual.page(run.args.program)
    run.show({"page": text}, lambda: run.terminal.print(text.rstrip("\n")))
    return DONE


def uninstall(run: Run) -> int:
    """Undo what was set up."""
    from codeindexd.cli import uninstall as removal

    result = removal.run(run.args, run.environ, run.terminal)
    if result is None:
        run.terminal.note("nothing was removed")
        return NOTHING
    run.show(result, lambda: removal.print_result(run.terminal, result))
    return FAILED if result["failures"] else DONE


def mcp(run: Run) -> int:
    """Serve the Model Context Protocol until standard input ends."""
    from codeindexd.cli import mcp as server

    server.serve(run.args, run.environ, run.terminal, run.async_client, lambda: run.cwd)
    return DONE


COMMANDS: Mapping[str, Callable[[Run], int]] = {
    "add": add,
    "remove": remove,
    "roots": roots,
    "search": search,
    "log": log,
    "grep": grep,
    "related": related,
    "symbol": symbol,
    "refs": refs,
    "callers": callers,
    "callees": callees,
    "impact": impact,
    "outline": outline,
    "map": code_map,
    "why": why,
    "history": history,
    "together": together,
    "sync": sync,
    "status": status,
    "verify": verify,
    "explain": explain,
    "reindex": reindex,
    "pause": pause,
    "resume": resume,
    "stop": stop,
    "restart": restart,
    "logs": logs,
    "service": service,
    "doctor": doctor,
    "stats": stats,
    "agents": agents,
    "mcp": mcp,
    "config": config,
    "completions": completions,
    "man": man,
    "uninstall": uninstall,
}
