"""Transcripts: a command, its exact output, its exit code, against the real server with canned answers.

A transcript is a text file: ``$ codeindex ...`` begins a command, ``2> `` marks standard error, ``[n]`` the exit code
(0 when absent). ``{project}`` and ``{tmp}`` stand for the paths of the run. ``daemon:`` lines set a root's state.
Empty lines and lines that begin with # are comments.
"""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest

from client.fake_daemon import FakeDaemon
from codeindexd.cli.codeindex import run
from codeindexd.cli.terminal import Terminal

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


class Screen(io.StringIO):
    """A stream that can claim to be a terminal."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def codeindex(daemon: FakeDaemon, *words: str, terminal: bool = False, **environ: str) -> tuple[int, str, str]:
    """Run a command in this process; return exit code, standard output and standard error."""
    out, err = Screen(terminal=terminal), Screen(terminal=terminal)
    environment = {"CODEINDEXD_SOCKET": str(daemon.socket_path), "CODEINDEX_NO_START": "1", **environ}
    code = run(list(words), environment, Terminal(out, err, environment))
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    (project / "src").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(project / "src")
    replayed: list[str] = []
    with FakeDaemon(tmp_path / "s", roots={str(project): "fresh"}) as daemon:
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("$ codeindex "):
                command = line.replace("{project}", str(project)).replace("{tmp}", str(tmp_path))
                code, out, err = codeindex(daemon, *shlex.split(command)[2:])
                replayed += [line, *out.splitlines(), *(f"2> {text}" for text in err.splitlines())]
                replayed += [f"[{code}]"] if code else []
            elif line.startswith("daemon: "):
                daemon.roots[str(project)] = line.removeprefix("daemon: ")
                replayed.append(line)
    text = "\n".join(replayed).replace(str(project), "{project}").replace(str(tmp_path), "{tmp}")
    recorded = path.read_text("utf-8").splitlines()
    assert [line for line in text.splitlines() if line] == [line for line in recorded if line and line[0] != "#"]
