"""The command ``codeindex stats``: how often agents asked, and what that saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from codeindexd.cli.terminal import Terminal, safe
from codeindexd.mcp import usage

if TYPE_CHECKING:
    from collections.abc import Mapping


def usage_file() -> Path:
    """Return the file in which the server for agents counts."""
    import platformdirs

    return Path(platformdirs.user_state_path("codeindexd", appauthor=False)) / usage.FILE_NAME


def result() -> dict[str, Any]:
    """Return what has been counted, with sums over all tools and the method of the estimate."""
    counted = usage.read(usage_file())
    sums = {key: sum(int(counts[key]) for counts in counted["tools"].values()) for key in ("calls", "tokens", "saved")}
    return {**counted, **sums, "method": usage.METHOD}


def show(terminal: Terminal, stats: Mapping[str, Any]) -> None:
    """Print a table of the tools, and the sums."""
    if not stats["calls"]:
        terminal.note("no agent has asked anything yet: codeindex agents install")
        return
    terminal.print(f"{'tool':<10} {'answers':>9} {'tokens':>12} {'saved (estimate)':>18}")
    for name, counts in sorted(stats["tools"].items(), key=lambda item: -item[1]["calls"]):
        terminal.print(f"{safe(name):<10} {counts['calls']:>9,} {counts['tokens']:>12,} {counts['saved']:>18,}")
    terminal.print(f"{'all':<10} {stats['calls']:>9,} {stats['tokens']:>12,} {stats['saved']:>18,}")
    terminal.print(terminal.style("dim", f"since {safe(stats['since'])}; saved: {stats['method']}"))
