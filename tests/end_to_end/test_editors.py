"""The recipes of docs/editors.md, run by the programs that they are for, where these are installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from support.daemons import RealDaemon, real_daemon
from support.places import PROJECT
from support.trees import tree

PAGE = (PROJECT / "docs/editors.md").read_text("utf-8")
FILES = {
    "src/auth.py": 'KEY = "x"\n\n\ndef check_password(given: str) -> bool:\n    return given == stored\n',
    "src/with space.py": "class PasswordStore:\n    def lookup_password(self): ...\n",
}
pytestmark = pytest.mark.processes


def recipe(language: str) -> str:
    """Return the code of a recipe."""
    [block] = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)
    return str(block)


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture(scope="module")
def daemon() -> Iterator[RealDaemon]:
    """A daemon that has indexed a project, and a program `codeindex` for the editors."""
    with real_daemon() as running:
        tree(running.home / "project", {**FILES, ".git/HEAD": ""})
        running.call("roots.add", path=str(running.home / "project"), wait=True)
        program = running.home / "bin/codeindex"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m codeindexd.cli.codeindex "$@"\n')
        program.chmod(0o755)
        yield running


def environment(daemon: RealDaemon) -> dict[str, str]:
    return {**daemon.environment, "PATH": f"{daemon.home / 'bin'}:{os.environ['PATH']}", "TERM": "xterm"}


def run(daemon: RealDaemon, *command: str) -> str:
    done = subprocess.run(
        command,
        env=environment(daemon),
        cwd=daemon.home / "project",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


VIMS = [pytest.param("vim", marks=needs("vim")), pytest.param("nvim", marks=needs("nvim"))]


def quickfix(daemon: RealDaemon, program: str, *commands: str) -> list[str]:
    """Run commands in Vim with the recipe; return the entries of the quickfix list as file:line:column."""
    vimrc, out = daemon.home / "vimrc", daemon.home / "quickfix"
    vimrc.write_text(recipe("vim"))
    out.unlink(missing_ok=True)
    entry = "v:val.valid ? bufname(v:val.bufnr) . ':' . v:val.lnum . ':' . v:val.col : 'invalid'"
    write = f'call writefile(map(getqflist(), "{entry}"), "{out}")'
    options = ["-es", "-N"] if program == "vim" else ["--headless"]
    words = [part for command in (*commands, write, "qa!") for part in ("-c", command)]
    run(daemon, program, *options, "-u", str(vimrc), *words)
    return out.read_text().splitlines()


@pytest.mark.parametrize("program", VIMS)
def test_vim_greps_and_fills_the_quickfix_list(daemon: RealDaemon, program: str) -> None:
    assert quickfix(daemon, program, "silent grep! check_password") == ["src/auth.py:4:5"]
    hits = quickfix(daemon, program, "Codeindex where is the password looked up")
    assert "src/with space.py:2:9" in hits
    assert quickfix(daemon, program, "CodeindexSymbol check_password") == ["src/auth.py:4:5"]
    assert quickfix(daemon, program, "edit src/auth.py", "4", "CodeindexRelated")
    assert quickfix(daemon, program, "CodeindexSymbol no_such_name_anywhere") == []


@needs("nvim")
def test_the_telescope_picker_is_valid_lua(daemon: RealDaemon) -> None:
    script = daemon.home / "picker.lua"
    script.write_text(recipe("lua"))
    check = f"lua assert(loadfile('{script}'))() assert(vim.fn.exists(':CodeindexPick') == 2)"
    run(
        daemon,
        "nvim",
        "--headless",
        "-u",
        "NONE",
        "-c",
        f"lua local ok, e = pcall(function() {check[4:]} end) if not ok then io.stderr:write(e) vim.cmd('cquit') end",
        "-c",
        "qa!",
    )


def test_the_problem_matcher_of_vs_code_reads_the_output(daemon: RealDaemon) -> None:
    task = json.loads(recipe("json"))["tasks"][0]
    arguments = [word.replace("${input:query}", "check_password") for word in task["args"]]
    pattern = task["problemMatcher"]["pattern"]
    lines = run(daemon, task["command"], *arguments).splitlines()
    assert lines
    for line in lines:
        match = re.match(pattern["regexp"], line)
        assert match is not None, line
        assert (daemon.home / "project" / match[pattern["file"]]).is_file()
    first = re.match(pattern["regexp"], lines[0])
    assert first is not None
    assert [first[pattern[key]] for key in ("file", "line", "column")] == ["src/auth.py", "4", "5"]
    assert first[pattern["message"]] == "def check_password(given: str) -> bool:"


EMACS = """
(load-file "{recipe}")
(setq compilation-ask-about-save nil)
(defun visited (command text)
  (let ((buffer (funcall command text)))
    (while (process-live-p (get-buffer-process buffer)) (accept-process-output nil 0.05))
    (accept-process-output nil 0.1)
    (with-current-buffer buffer
      (font-lock-ensure)
      (compilation--ensure-parse (point-max))
      (goto-char (point-min))
      (compilation-next-error 1)
      (let* ((message (get-text-property (point) 'compilation-message))
             (place (compilation--message->loc message)))
        (princ (format "%s:%s\\n" (caar (compilation--loc->file-struct place)) (compilation--loc->line place)))))))
(visited 'codeindex-search "check_password")
(visited 'codeindex-grep "lookup_.assword")
"""


@needs("emacs")
def test_emacs_visits_the_hits(daemon: RealDaemon) -> None:
    (daemon.home / "recipe.el").write_text(recipe("elisp"))
    (daemon.home / "check.el").write_text(EMACS.format(recipe=daemon.home / "recipe.el"))
    out = run(daemon, "emacs", "--batch", "--quick", "--load", str(daemon.home / "check.el"))
    assert out.splitlines() == ["src/auth.py:4", "src/with space.py:2"]


OWN_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@needs("fzf")
@pytest.mark.parametrize("shell", [pytest.param("bash"), pytest.param("zsh", marks=needs("zsh"))])
def test_fzf_lists_hits_and_opens_the_chosen_one(daemon: RealDaemon, shell: str) -> None:
    import fcntl
    import pty
    import select
    import struct
    import termios

    opened = daemon.home / "opened"
    opened.unlink(missing_ok=True)
    editor = daemon.home / "bin/editor"
    editor.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {opened}.new\nmv {opened}.new {opened}\n')
    editor.chmod(0o755)
    (daemon.home / "recipe.sh").write_text(f"{recipe('bash')}\ncx check_password\n")
    terminal, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, shell, str(daemon.home / "recipe.sh")],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=daemon.home / "project",
        env={**environment(daemon), "EDITOR": "editor"},
        start_new_session=True,
    )
    os.close(slave)
    try:
        shown, deadline, entered = b"", time.monotonic() + 30, False
        while not opened.exists():
            assert time.monotonic() < deadline, shown.decode(errors="replace")
            if select.select([terminal], [], [], 0.02)[0]:
                try:
                    shown += os.read(terminal, 65536)
                except OSError:  # the shell has ended
                    continue
            if not entered and b"def check_password" in shown:
                os.write(terminal, b"\r")
                entered = True
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert opened.read_text().splitlines() == ["+4", "src/auth.py"]
