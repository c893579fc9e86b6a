"""The commands that wait for the index, show its health, and compare it with the disk."""

from __future__ import annotations

from codeindexd.cli.run import DONE, NOTHING, SHOW_AFTER_S, Run
from codeindexd.client.sync import Client
from codeindexd.errors import UsageError

_MIN_REFRESH_S = 1.0  # of `status --watch`


def sync(run: Run) -> int:
    """Wait until all changes made before can be searched."""
    with run.client() as client, run.indexing(run.here, show_after_s=SHOW_AFTER_S) as line:
        result = client.sync(run.here, timeout_s=run.args.timeout, on_progress=line.show)
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


def verify(run: Run) -> int:
    """Compare the index with the disk."""
    from codeindexd.cli import health

    if run.args.all and run.args.path is not None:
        raise UsageError("give either PATH or --all", hint="leave one of them out")
    path = None if run.args.all else run.here
    with run.client() as client, run.verifying(path or "/") as line:
        result = client.verify(path, repair=run.args.repair, on_progress=line.show)
    run.show(result, lambda: health.verify(run.terminal, result, seconds=line.seconds))
    return DONE if result["ok"] else NOTHING


def explain(run: Run) -> int:
    """Show why a path is or is not indexed."""
    from codeindexd.cli import health

    with run.client() as client:
        result = client.explain(run.args.path)
    run.show(result, lambda: health.explain(run.terminal, result))
    return DONE


def _wait_for_change(client: Client) -> None:
    """Wait for notifications, but at least a second, so that the screen is not redrawn too often."""
    import time

    started = time.monotonic()
    for _ in client.notifications(timeout_s=_MIN_REFRESH_S):
        if time.monotonic() - started >= _MIN_REFRESH_S:
            return
