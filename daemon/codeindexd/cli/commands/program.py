"""The commands that control the daemon, and set up or remove what belongs to the program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from codeindexd.cli.run import DONE, FAILED, NOTHING, Run
from codeindexd.cli.terminal import safe
from codeindexd.errors import ConfigError, UsageError


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
    return FAILED if any(change["outcome"] == "failed" for change in result.get("changes", [])) else DONE


def mcp(run: Run) -> int:
    """Serve the Model Context Protocol until standard input ends."""
    from codeindexd.cli import mcp as server

    server.serve(run.args, run.environ, run.terminal, run.async_client, lambda: run.cwd)
    return DONE


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


def _print_findings(run: Run, result: Mapping[str, Any]) -> None:
    styles = {"ok": "good", "warning": "warn", "problem": "bad"}
    for check in result["checks"]:
        state = run.terminal.style(styles[check["state"]], f"{check['state']:<8}")
        run.terminal.print(f"{state} {check['name']}: {safe(check['detail'])}")
        if check["remedy"]:
            run.terminal.print(f"         remedy: {safe(check['remedy'])}")


def _print_lines(run: Run, lines: Sequence[str]) -> None:
    for line in lines:
        run.terminal.print(line)
