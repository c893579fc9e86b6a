"""The manual pages: complete, well-formed, and made without any dependency, as they are when a package is built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codeindexd.cli import codeindexd as daemon
from codeindexd.cli import manual, parser
from support.places import DAEMON


def shown(page: str) -> str:
    """Return the text of a page, with hyphens and quotes as they are typed."""
    return page.replace("\\-", "-").replace("\\(aq", "'").replace("\\(ti", "~").replace("\\&", "")


def test_the_page_has_every_command_and_option() -> None:
    text = shown(manual.page("codeindex"))
    for name, one in parser.build()[1].items():
        assert f"\n.SS codeindex {name}" in text
        for action in one._actions:
            for flag in action.option_strings:
                assert f"\\fB{flag}\\fR" in text, (name, flag)


def test_the_page_of_the_daemon_has_every_option() -> None:
    text = shown(manual.page("codeindexd"))
    assert all(f"\\fB{flag}\\fR" in text for action in daemon.build_parser()._actions for flag in action.option_strings)


@pytest.mark.parametrize("program", manual.PROGRAMS)
def test_a_page_is_well_formed(program: str, tmp_path: Path) -> None:
    page = manual.page(program)
    requests = {line.split()[0] for line in page.splitlines() if line.startswith(".")}
    assert requests <= {".TH", ".SH", ".SS", ".TP", ".PP", ".RS", ".RE", ".nf", ".fi", ".br", ".B", ".BR"}
    for opening, closing in ((".RS", ".RE"), (".nf", ".fi")):
        assert len(re.findall(rf"(?m)^\{opening}\b", page)) == len(re.findall(rf"(?m)^\{closing}\b", page))
    (tmp_path / "page.1").write_text(page)
    for command in (["mandoc", "-T", "lint", "-W", "error"], ["groff", "-man", "-ww", "-z"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, tmp_path / "page.1"], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_a_page_needs_only_the_standard_library() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(DAEMON)!r}); from codeindexd.cli import manual; manual.page('codeindex')"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
