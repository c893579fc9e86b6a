#!/usr/bin/env python3
"""Run the console samples of the documents, and compare what they show with what the program prints, or write it.

python tests/documentation/samples.py [--write] [--flask WHEEL]

A sample is a console block after the comment ``<!-- sample -->``: lines that begin with ``$ `` are commands, the others
what they print. The samples of a page run one after the other in one shell, in a fresh home. There, ``flask`` has the
sources of Flask 3.1.2, and ``shop`` is a small repository with a history (shop.py), which is indexed already. The home
is shown as /home/me. Durations need not be equal, everything else must.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import shop

PROJECT = Path(__file__).resolve().parent.parent.parent
PAGES = ("README.md", "docs/tutorial.md", "docs/history.md")
FLASK = "flask==3.1.2"
SHOWN_HOME = "/home/me"
TIMEOUT_S = 120
BLOCK = re.compile(r"(?ms)^<!-- sample -->\n```console\n(.*?)^```$")
DURATION = re.compile(r",? \d+(\.\d+)? (ms|s)\b|\(\d+ \w+ ago\)")
MARK = "\x01"


def main() -> int:
    """Check or write all pages; return 1 if a sample is not what the program prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write what the program prints into the pages")
    parser.add_argument("--flask", type=Path, metavar="WHEEL", help=f"the wheel of {FLASK} (else it is downloaded)")
    args = parser.parse_args()
    wrong = 0
    with flask_wheel(args.flask) as wheel:
        for page in PAGES:
            path = PROJECT / page
            text = path.read_text("utf-8")
            blocks = BLOCK.findall(text)
            with sample_home(wheel) as home:
                if "cd shop" in text:
                    index_history(home)
                real = run_blocks([commands_of(block) for block in blocks], home)
            if args.write:
                path.write_text(replaced(text, real), "utf-8")
                continue
            for block, printed in zip(blocks, real, strict=True):
                wrong += report(page, block, printed)
            print(f"{page}: {len(blocks)} samples")
    return 1 if wrong else 0


def replaced(text: str, blocks: Sequence[str]) -> str:
    """Return the text of a page with its samples replaced by ``blocks``."""
    rest = iter(blocks)
    return BLOCK.sub(lambda match: f"<!-- sample -->\n```console\n{next(rest)}```", text)


def report(page: str, block: str, printed: str) -> int:
    """Print how a sample differs from what the program printed; return the number of differing samples, 0 or 1."""
    before, after = (DURATION.sub("", text).splitlines(keepends=True) for text in (block, printed))
    if before == after:
        return 0
    sys.stdout.writelines(difflib.unified_diff(before, after, page, "what the program prints"))
    return 1


def commands_of(block: str) -> list[str]:
    """Return the commands of a sample."""
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def run_blocks(blocks: Sequence[Sequence[str]], home: Path) -> list[str]:
    """Run the commands of all blocks in one shell; return each block with what its commands printed."""
    script = "\n".join(f"printf '{MARK}\\n'\n{command}" for block in blocks for command in block)
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    outputs = iter(done.stdout.replace(str(home), SHOWN_HOME).split(f"{MARK}\n")[1:])
    return ["".join(shown(command, next(outputs)) for command in block).rstrip("\n") + "\n" for block in blocks]


def shown(command: str, output: str) -> str:
    """Return a command and what it printed, with an empty line after output."""
    text = output.rstrip("\n")
    return f"$ {command}\n{text}\n\n" if text else f"$ {command}\n"


def index_history(home: Path) -> None:
    """Index the repository ``shop``, and wait until its history is indexed, too."""
    program = str(home / ".bin/codeindex")
    subprocess.run([program, "add", home / "shop"], env=environment(home), capture_output=True, check=True)
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        found = subprocess.run(
            [program, "log", "--json"], env=environment(home), cwd=home / "shop", capture_output=True, check=False
        )
        if len(json.loads(found.stdout).get("commits", ())) == shop.COMMIT_COUNT:
            return
        assert time.monotonic() < deadline, found.stdout
        time.sleep(0.1)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of the samples."""
    return {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / ".run"),
        "PATH": f"{home / '.bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT / "daemon"),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


@contextmanager
def sample_home(wheel: Path) -> Iterator[Path]:
    """Yield a home with the program ``codeindex`` and the repository ``flask``; its daemon is stopped at the end."""
    home = Path(tempfile.mkdtemp(prefix="cix"))
    try:
        (home / ".run").mkdir(mode=0o700)
        (home / ".bin").mkdir()
        program = home / ".bin/codeindex"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m codeindexd.cli.codeindex "$@"\n')
        program.chmod(0o755)
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith("flask/"):
                    archive.extract(name, home / "flask/src")
        subprocess.run(["git", "init", "--quiet", home / "flask"], env=environment(home), check=True)
        shop.create(home / "shop", environment(home))
        yield home
        subprocess.run([program, "stop"], env=environment(home), capture_output=True, check=False)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def flask_wheel(given: Path | None) -> Iterator[Path]:
    """Yield the wheel of Flask, downloaded unless it was given."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as temporary:
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--dest", temporary]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, FLASK], check=True)
        yield next(Path(temporary).glob("*.whl"))


if __name__ == "__main__":
    sys.exit(main())
