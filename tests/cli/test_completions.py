"""Completions in the real shells, and what they are made of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codeindexd.cli import command_line, completions, parser
from codeindexd.errors import UsageError
from support.places import DAEMON

Complete = Callable[[str], set[str]]
BASH = """\
source {script}
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_codeindex
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """\
autoload -Uz compinit && compinit -u -D
source {script}
compadd() {{
    local -a hits
    if [[ "${{@[1,(i)(-|--)]}}" == *-(O|A|D)\\ * ]]; then
        builtin compadd "$@"
        return
    fi
    builtin compadd -A hits "$@"
    print -rl -- $hits >> {out}
    builtin compadd "$@"
}}
done_() {{ print -r -- END >> {out} }}
zle -N done_
bindkey '^X' done_
PS1=
print -r -- READY >> {out}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a root's list in its state, a program `codeindex`, and files to complete."""
    state = tmp_path / "state/codeindexd"
    state.mkdir(parents=True)
    roots = [{"path": "/srv/one"}, {"path": "/srv/two words"}, {"path": "/srv/three\nlines"}]
    (state / "roots.json").write_text(json.dumps({"format": 1, "roots": roots}))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/codeindex"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m codeindexd.cli.codeindex "$@"\n')
    program.chmod(0o755)
    (tmp_path / "work/source").mkdir(parents=True)
    (tmp_path / "work/setup.py").write_text("")
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    return {
        "HOME": str(place),
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(DAEMON),
        "XDG_STATE_HOME": str(place / "state"),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }


def run(place: Path, *command: str) -> str:
    done = subprocess.run(
        command, env=environment(place), cwd=place / "work", capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout


def in_bash(place: Path, line: str) -> set[str]:
    words = " ".join(f"'{word}'" for word in line.split(" "))
    return set(run(place, "bash", "-c", BASH.format(script=place / "script", words=words)).splitlines()) - {""}


def in_fish(place: Path, line: str) -> set[str]:
    out = run(place, "fish", "--no-config", "-c", f"source {place / 'script'}; complete -C '{line}'")
    return {candidate.partition("\t")[0] for candidate in out.splitlines()}


def in_zsh(place: Path, line: str) -> set[str]:
    """Type a line and TAB into an interactive zsh; return what it would offer."""
    import pty

    out = place / "out"
    out.write_text("")
    (place / ".zshrc").write_text(ZSH.format(script=place / "script", out=out))
    master, slave = pty.openpty()
    try:
        shell = subprocess.Popen(
            ["zsh", "-i"], stdin=slave, stdout=slave, stderr=slave, env=environment(place), cwd=place / "work"
        )
        os.close(slave)
        until_line(master, out, "READY")
        os.write(master, f"{line}\t\x18".encode())
        until_line(master, out, "END")
    finally:
        shell.kill()
        shell.wait()
        os.close(master)
    return {candidate for candidate in out.read_text().splitlines() if candidate not in {"READY", "END", ""}}


def until_line(master: int, out: Path, wanted: str) -> None:
    """Read what a terminal prints until a line is in the file ``out``."""
    import select
    import time

    deadline = time.monotonic() + 30
    while wanted not in out.read_text().splitlines():
        assert time.monotonic() < deadline, out.read_text()
        if select.select([master], [], [], 0.02)[0]:
            os.read(master, 65536)


SHELLS = {"bash": in_bash, "fish": in_fish, "zsh": in_zsh}


@pytest.fixture(params=SHELLS)
def complete(place: Path, request: pytest.FixtureRequest) -> Complete:
    """Return a function that completes a line in a real shell."""
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    (place / "script").write_text(completions.script(name))
    return lambda line: SHELLS[name](place, line)


@pytest.mark.processes
def test_a_shell_completes_commands_options_and_values(complete: Complete) -> None:
    assert complete("codeindex rei") == {"reindex"}
    assert {"search", "status", "symbol", "stop", "sync"} <= complete("codeindex s")
    assert complete("codeindex search --expl") == {"--explain"}
    assert complete("codeindex grep pattern --only") == {"--only-matching"}
    assert complete("codeindex search --lang pyth") == {"python"}
    assert complete("codeindex symbol x --kind enum_") == {"enum_member"}
    assert complete("codeindex grep --type type") == {"typescript"}
    assert complete("codeindex service un") == {"uninstall"}
    assert complete("codeindex search --color al") == {"always"}
    assert {"claude-code", "codex"} <= complete("codeindex agents install c")
    assert "install" not in complete("codeindex agents install in")


@pytest.mark.processes
def test_a_shell_completes_files_and_roots(complete: Complete) -> None:
    assert {one.rstrip("/") for one in complete("codeindex outline s")} == {"source", "setup.py"}
    assert {one.rstrip("/") for one in complete("codeindex grep x s")} == {"source", "setup.py"}
    found = {one.replace("\\", "") for one in complete("codeindex remove /srv/")}
    assert {"/srv/one", "/srv/two words"} <= found
    assert not found & {"/srv/three", "lines"}
    assert complete("codeindex search --root /srv/o") == {"/srv/one"}
    assert {one.rstrip("/") for one in complete("codeindex status s")} == {"source"}


def test_roots_are_read_from_the_list_without_a_daemon(place: Path) -> None:
    environ = {"XDG_STATE_HOME": str(place / "state"), "HOME": str(place)}
    assert completions.roots(environ) == ["/srv/one", "/srv/three\nlines", "/srv/two words"]
    (place / "state/codeindexd/roots.json").write_text("{")
    assert completions.roots(environ) == []
    assert completions.roots({"XDG_STATE_HOME": str(place / "none"), "HOME": str(place)}) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_every_command_and_option(shell: str) -> None:
    script = completions.script(shell)
    for name, one in parser.build()[1].items():
        assert name in script
        for action in one._actions:
            for flag in action.option_strings:
                assert (flag.lstrip("-") if shell == "fish" else flag) in script


def test_paths_roots_languages_and_kinds_are_known_to_be_so() -> None:
    kinds = {
        (command.name, one.flags[0] if isinstance(one, command_line.Option) else one.metavar): one.values
        for command in command_line.commands()
        for one in (*command.options, *command.arguments)
    }
    assert kinds["search", "--root"] == command_line.ROOTS
    assert kinds["grep", "-t"] == command_line.LANGUAGES
    assert kinds["remove", "PATH"] == command_line.ROOTS
    assert kinds["add", "PATH"] == command_line.FILES
    assert kinds["search", "QUERY"] == command_line.ANYTHING


def test_only_shells_are_offered_for_a_script() -> None:
    with pytest.raises(UsageError, match=r"choose from 'bash', 'zsh', 'fish'\)"):
        parser.parse(["completions", "powershell"])
    assert parser.parse(["completions", "roots"]).what == "roots"
    (command,) = (one for one in command_line.commands() if one.name == "completions")
    assert command.arguments[0].choices == ("bash", "zsh", "fish")
