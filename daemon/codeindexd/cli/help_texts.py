"""Help texts: the commands in groups, examples for each, and what to do about a command that does not exist."""

from __future__ import annotations

import difflib
import shlex
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "search": ("search", "grep", "related", "symbol"),
    "understand code": ("refs", "callers", "callees", "impact", "outline", "map"),
    "look into the history": ("log", "why", "history", "together"),
    "indexed directories": ("add", "remove", "roots", "explain", "sync", "reindex", "pause", "resume"),
    "the daemon": ("status", "verify", "doctor", "stop", "restart", "logs", "service"),
    "coding agents": ("agents", "mcp", "stats"),
    "this program": ("config", "completions", "man", "uninstall"),
}
"""The order in which help lists the commands."""

EXAMPLES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "": (
        ('codeindex search --add "where are passwords checked"', "ask; index the repository first if needed"),
        ('codeindex grep "TODO|FIXME"', "find every line that matches"),
        ("codeindex symbol parse_config", "find where a name is defined"),
        ("codeindex agents install", "let coding agents use the index"),
    ),
    "search": (
        ('codeindex search "where are passwords checked"', "ask in words"),
        ("codeindex search Session.refresh lang:python", "look for a name, in one language"),
        ('codeindex search "retry after a timeout" -path:tests/**', "leave the tests out"),
        ("codeindex search --sync -n 3 add_url_rule", "include the change that was saved a moment ago"),
        ("codeindex search --files --all cache", "print only paths, from all indexed directories"),
    ),
    "grep": (
        ('codeindex grep "TODO|FIXME"', "every line that matches a regex"),
        ("codeindex grep -F 'items[0]' src", "plain text, below src"),
        ("codeindex grep -l -t python 'async def'", "the Python files that contain it"),
        ("codeindex grep -C 2 -g '!tests/**' deprecated", "with context, without the tests"),
    ),
    "log": (
        ('codeindex log "why is the session cookie signed"', "ask in words"),
        ('codeindex log "#1234"', "the commits that name an issue or a pull request"),
        ("codeindex log author:ada since:2024 path:src/**", "the newest of a person, in a part of the code"),
        ("codeindex log touches:Session.refresh expiry", "only commits that touch a definition"),
    ),
    "related": (("codeindex related src/auth.py:42", "code similar to that around line 42"),),
    "symbol": (
        ("codeindex symbol parse_config", "where it is defined"),
        ("codeindex symbol Session.refresh --refs", "also where it is used"),
        ("codeindex symbol handle --kind method --lang go", "only methods, only Go"),
    ),
    "refs": (
        ("codeindex refs parse_config", "every call, use and import"),
        ("codeindex refs src/config.py:17", "of what is defined at a line"),
    ),
    "callers": (("codeindex callers parse_config --depth 3", "who calls it, and who calls those"),),
    "callees": (("codeindex callees main --depth 2", "what it calls, and what that calls"),),
    "impact": (
        ("codeindex impact --changed", "what the uncommitted changes reach, and the tests to run"),
        ("codeindex impact src/config.py", "what a change of this file would reach"),
    ),
    "outline": (("codeindex outline src/config.py", "its classes and functions, with lines"),),
    "map": (
        ("codeindex map", "the most central definitions"),
        ("codeindex map src --tokens 4000", "more of them, below src"),
    ),
    "why": (
        ("codeindex why src/auth.py:42", "which commit wrote the line, and why"),
        ("codeindex why src/auth.py:42-60", "the same for several lines"),
    ),
    "history": (
        ("codeindex history src/auth.py", "the commits that changed a file, also before it was renamed"),
        ("codeindex history Session.refresh", "the commits that changed a definition"),
    ),
    "together": (
        ("codeindex together src/auth.py", "what usually changes with this file, and which tests"),
        ("codeindex together Session.refresh", "what usually changes with a definition"),
    ),
    "add": (
        ("codeindex add", "index the repository around the current directory"),
        ("codeindex add ~/code/api ~/code/web", "index two directories"),
        ("codeindex add --no-wait ~/code", "return at once; see codeindex status"),
    ),
    "remove": (("codeindex remove ~/code/old", "forget it and delete its index; its files stay"),),
    "roots": (("codeindex roots --json", "for scripts"),),
    "explain": (("codeindex explain build/generated.py", "which rule leaves the file out"),),
    "sync": (("codeindex sync && codeindex search new_name", "search what was written just before"),),
    "reindex": (("codeindex reindex", "process every file of this repository again"),),
    "pause": (("codeindex pause ~/code/huge", "until codeindex resume"),),
    "resume": (("codeindex resume ~/code/huge", "and catch up"),),
    "status": (
        ("codeindex status", "all roots, and the daemon"),
        ("codeindex status --watch", "refresh until Ctrl-C"),
    ),
    "verify": (
        ("codeindex verify", "compare this repository's index with the disk"),
        ("codeindex verify --all --repair", "compare all, and repair what differs"),
    ),
    "doctor": (("codeindex doctor", "limits, permissions, disk space, versions"),),
    "stop": (("codeindex stop", "the next command starts it again"),),
    "restart": (("codeindex restart", "for example after a change of the configuration"),),
    "logs": (
        ("codeindex logs -n 200", "the last 200 lines"),
        ("codeindex logs --follow", "new lines until Ctrl-C"),
    ),
    "service": (
        ("codeindex service install", "start the daemon at login"),
        ("codeindex service status", "whether it is installed and running"),
    ),
    "agents": (
        ("codeindex agents install", "register with every agent that is found"),
        ("codeindex agents install claude-code --project", "with one, for this repository only"),
        ("codeindex agents uninstall", "undo it"),
    ),
    "mcp": (
        ("codeindex mcp --add", "what an agent runs; indexes a project on first use"),
        ("codeindex mcp --http 127.0.0.1:8765", "one server for several agents"),
    ),
    "stats": (("codeindex stats", "counted on this machine only"),),
    "config": (
        ("codeindex config show", "every setting, and where its value comes from"),
        ("codeindex config init", "write a file with all of them, commented out"),
        ("codeindex config check", "after editing it; then codeindex restart"),
    ),
    "uninstall": (
        ("codeindex uninstall --dry-run", "show what it would remove"),
        ("codeindex uninstall --purge", "remove it, and delete the indexes and the configuration"),
    ),
    "completions": (
        ('eval "$(codeindex completions bash)"', "in ~/.bashrc"),
        ("source <(codeindex completions zsh)", "in ~/.zshrc, after compinit"),
        ("codeindex completions fish > ~/.config/fish/completions/codeindex.fish", "once, and after upgrades"),
    ),
    "man": (("codeindex man | man -l -", "read it; packages install it where man finds it"),),
}
"""For each command, and for the program itself (""): command lines that work, and what each is for."""

_OTHER_NAMES: Final[Mapping[str, str]] = {
    "ask": "search",
    "check": "verify",
    "configure": "config",
    "completion": "completions",
    "definition": "symbol",
    "delete": "remove",
    "find": "search",
    "index": "add",
    "info": "status",
    "init": "add",
    "list": "roots",
    "ls": "roots",
    "query": "search",
    "references": "refs",
    "rg": "grep",
    "rm": "remove",
    "setup": "agents",
    "start": "restart",
    "usages": "refs",
    "watch": "add",
}  # names that other programs give to these commands
_MOST_COLUMNS = 120
_SIMILAR = 0.75  # of the names of two commands; below this, a word is more likely a query than a slip


def command_list(summaries: Mapping[str, str]) -> str:
    """Return the commands in their groups, one on a line; ``summaries`` says in a line what each does."""
    width = max(map(len, summaries))
    columns = min(shutil.get_terminal_size().columns, _MOST_COLUMNS)
    indent = " " * (width + 4)
    grouped = [name for names in GROUPS.values() for name in names]
    groups = {**GROUPS, "other commands": tuple(name for name in summaries if name not in grouped)}
    parts = []
    for title, names in groups.items():
        if lines := [
            textwrap.fill(summaries[name], columns, initial_indent=f"  {name:<{width}}  ", subsequent_indent=indent)
            for name in names
            if name in summaries
        ]:
            parts.append("\n".join([f"{title}:", *lines]))
    return "\n\n".join(parts)


def examples(command: str) -> str:
    """Return the examples of a command ("" for those of the program) as a section of its help; "" if it has none."""
    lines = []
    for line, purpose in EXAMPLES.get(command, ()):
        lines += [f"  # {purpose}", f"  {line}"]
    return "\n".join(["examples:", *lines]) if lines else ""


def for_unknown(words: Sequence[str], known: Iterable[str]) -> str:
    """Return a hint for a command line that begins with an unknown command: a similar one, or else a search."""
    known = list(known)
    name = words[0]
    if (other := _OTHER_NAMES.get(name.lower())) in known:
        return f"did you mean {other}? see: codeindex {other} --help"
    if close := difflib.get_close_matches(name.lower(), known, n=2, cutoff=_SIMILAR):
        return f"did you mean {' or '.join(close)}?"
    query = [word for word in words if not word.startswith("-")]
    return f"to search for it: codeindex search {shlex.join(query)}"
