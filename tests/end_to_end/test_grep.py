"""``codeindex grep`` beside ripgrep over the same files, and what becomes of it when files and daemons come and go."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from codeindexd.client import Client
from support.daemons import RealDaemon, until
from support.ripgrep import lines_by_ripgrep, some_pattern

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
_PATTERNS = 200


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Some packages of the standard library, and files in which text is hard to see."""
    root = tmp_path / "library"
    standard = Path(sysconfig.get_path("stdlib"))
    for package in ("json", "email", "asyncio", "http", "logging"):
        shutil.copytree(standard / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    (root / "crlf.txt").write_bytes(b"first line\r\nsecond needle line\r\n")
    (root / "endless.json").write_text(json.dumps({"key": [f"value needle {n}" for n in range(200_000)]}))
    (root / "app.min.js").write_text("var a=1;function needle(){return a}\n")
    (root / "secret.py").write_text(f'TOKEN = "{KEY}"\n')
    return root


def add(daemon: RealDaemon, root: Path) -> None:
    assert daemon.call("roots.add", path=str(root), wait=True)["roots"][0]["state"] == "fresh"


@pytest.mark.skipif(shutil.which("rg") is None, reason="needs ripgrep")
def test_the_lines_are_those_that_ripgrep_finds(daemon: RealDaemon, library: Path) -> None:
    (library / "secret.py").unlink()  # masked on purpose
    add(daemon, library)
    lines = [line for path in library.rglob("*.py") for line in path.read_text().split("\n") if len(line.strip()) > 4]
    chosen = random.Random(7)
    for _ in range(_PATTERNS):
        pattern, flags, options = some_pattern(lines, chosen)
        if not pattern.strip():
            continue
        answer = daemon.call("grep", pattern=pattern, limit=100_000, **options)
        assert not answer["truncated"], pattern
        found = {(match["path"], match["line"]) for match in answer["matches"]}
        assert found == lines_by_ripgrep(library, pattern, flags), (pattern, flags)
        with Client(daemon.socket, start=False) as client, client.grep_stream(pattern, **options) as stream:
            assert list(stream) == answer["matches"], pattern
            varies = {"took_ms": 0, "searched": 0}  # skipped files are read once, in the first quiet time
            assert {**stream.result, **varies} == {**answer, "matches": [], **varies}


def test_long_odd_and_secret_files(daemon: RealDaemon, library: Path) -> None:
    add(daemon, library)
    answer = daemon.call("grep", pattern="needle")
    assert [match["path"] for match in answer["matches"]] == ["app.min.js", "crlf.txt", "endless.json"]
    assert answer["matches"][1]["text"] == "second needle line"
    assert answer["matches"][2]["cut"]
    assert daemon.call("grep", pattern=KEY[8:20], fixed=True)["total"] == 0
    assert KEY not in json.dumps(daemon.call("grep", pattern="TOKEN"))


def test_edits_are_in_after_sync(daemon: RealDaemon, library: Path) -> None:
    add(daemon, library)
    (library / "json/fresh.py").write_text("def a_name_that_was_nowhere(): pass\n")
    (library / "email/utils.py").unlink()
    answer = daemon.call("grep", pattern="a_name_that_was_nowhere|formataddr", sync=True)
    assert "json/fresh.py" in {match["path"] for match in answer["matches"]}
    assert "email/utils.py" not in {match["path"] for match in answer["matches"]}
    assert not answer["truncated"]


def test_a_kill_costs_no_line(daemon: RealDaemon, library: Path) -> None:
    add(daemon, library)
    before = daemon.call("grep", pattern="import", limit=100_000)["matches"]
    daemon.kill()
    daemon.start()
    assert daemon.call("grep", pattern="import", limit=100_000)["matches"] == before
    daemon.call("sync", path=str(library))
    assert daemon.call("grep", pattern="import", limit=100_000)["matches"] == before
    until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="the lost trigrams")
    daemon.stop()
    daemon.start()
    assert daemon.call("grep", pattern="import", limit=100_000)["matches"] == before
    assert daemon.call("grep", pattern="no_such_word_here")["searched"] <= 5, "only files without trigrams are read"


def test_the_command_prints_as_ripgrep_does(daemon: RealDaemon, library: Path) -> None:
    add(daemon, library)
    done = daemon.run("grep", "-C1", "def dumps", "json", cwd=library)
    assert done.returncode == 0, done.stderr
    expected = subprocess.run(["grep", "-rnC1", "def dumps", "json"], cwd=library, capture_output=True, text=True)
    assert done.stdout == expected.stdout
    for context in ("-A3", "-B2", "-C1", "-C20"):
        done = daemon.run("grep", context, "return|self", "json/decoder.py", cwd=library)
        expected = subprocess.run(
            ["grep", "-nHE", context, "return|self", "json/decoder.py"], cwd=library, capture_output=True, text=True
        )
        assert done.stdout == expected.stdout
    assert daemon.run("grep", "-c", "def dumps", cwd=library / "json").stdout == "__init__.py:1\n"
    assert daemon.run("grep", "-l", "def dumps", cwd=library).stdout == "json/__init__.py\n"
    assert daemon.run("grep", "-o", "-w", "dumps?", "json/tool.py", cwd=library).stdout.startswith("json/tool.py:")
    vimgrep = daemon.run("grep", "--vimgrep", "needle", cwd=library).stdout.splitlines()
    assert vimgrep[0].startswith("app.min.js:1:18:var a=1;")
    vimgrep = daemon.run("grep", "--vimgrep", "-o", "ne+dle", cwd=library).stdout.splitlines()
    assert vimgrep[0] == "app.min.js:1:18:needle"
    for flags in (["-v"], ["-cv"], ["-x"], ["-e", "^import", "-vw"], ["-L"], ["-Lv"]):
        words = [*flags, "-e", "import .*"]
        command = ["grep", "-rnHIE", "--include=*.py", *words, "json"]
        expected = subprocess.run(command, cwd=library, capture_output=True, text=True)
        done = daemon.run("grep", *words, "json", cwd=library)
        selected = sorted(line for line in expected.stdout.splitlines() if not line.endswith(":0"))
        assert (sorted(done.stdout.splitlines()), done.returncode) == (selected, 0 if selected else 1), flags
    assert daemon.run("grep", "nowhere_at_all", cwd=library).returncode == 1
    assert daemon.run("grep", "(", cwd=library).returncode == 2


def test_every_line_comes_however_many(daemon: RealDaemon, library: Path) -> None:
    """As with ripgrep, the end of a pipe gets them all, unless the user says otherwise."""
    (library / "many.txt").write_text("".join(f"row {number}\n" for number in range(120_000)))
    add(daemon, library)
    expected = subprocess.run(["grep", "-rnI", "--", "", "many.txt"], cwd=library, capture_output=True).stdout
    done = daemon.run("grep", "row|^$", "many.txt", cwd=library)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.encode().splitlines() == [b"many.txt:" + line for line in expected.splitlines()]
    first = daemon.run("grep", "-m", "3", "row", "many.txt", cwd=library).stdout
    assert first == "".join(f"many.txt:{number + 1}:row {number}\n" for number in range(3))
    note = daemon.call("grep", pattern="^row", limit=100_000)["notes"][0]
    assert note.startswith("20,000 more lines match; narrow the search")
    error = daemon.client().call("grep", pattern="row", limit=100_001)["error"]
    assert (error["code"], error["message"]) == (-32602, "grep: limit must be 1 to 100000")


def test_long_lines_come_whole(daemon: RealDaemon, library: Path) -> None:
    text = "ä" * 3000 + "needle" + "y" * 60_000 + "needle\r\nneedle\n"
    (library / "long.txt").write_text(text, newline="")
    add(daemon, library)
    first = text.split("\r\n")[0]
    assert daemon.run("grep", "needle", "long.txt", cwd=library).stdout == f"long.txt:1:{first}\nlong.txt:2:needle\n"
    assert daemon.run("grep", "-o", "needle", "long.txt", cwd=library).stdout.count(":1:needle\n") == 2
    done = daemon.run("grep", "--vimgrep", "needle", "long.txt", cwd=library)
    assert "1 very long line was cut around the match" in done.stderr
    for row, column in zip(done.stdout.splitlines(), (6001, 66007), strict=False):
        assert row.startswith(f"long.txt:1:{column}:")
        assert "needle" in row
        assert len(row.encode()) < 4200
    assert daemon.run("grep", "-C1", "^needle", "long.txt", cwd=library).stdout.startswith(f"long.txt-1-{first}\n")
    (line, _) = daemon.call("grep", pattern="needle", path=["long.txt"])["matches"]
    assert line["cut"]
    error = daemon.client().call("grep", pattern="needle", max_line_bytes=5000)["error"]
    assert error["message"] == "grep: max_line_bytes must be 400 to 4096"


def test_a_reader_that_has_enough_ends_the_search(daemon: RealDaemon, library: Path) -> None:
    add(daemon, library)
    shell = f"{sys.executable} -P -m codeindexd.cli.codeindex grep . | head -n 2"
    done = subprocess.run(
        ["/bin/sh", "-c", shell], cwd=library, env=daemon.environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.count("\n"), done.stderr) == (2, "")
    with Client(daemon.socket, start=False) as client:
        with client.grep_stream(".") as stream:
            next(iter(stream))
        assert client.grep("def dumps")["total"], "the daemon goes on"


def test_a_root_may_be_removed_while_its_lines_are_read(daemon: RealDaemon, library: Path) -> None:
    add(daemon, library)
    for number in range(40):  # more than the buffers of a socket hold
        (library / f"many{number}.txt").write_text(f"row {'x' * 200}\n" * 1000)
    daemon.call("sync", path=str(library))
    with Client(daemon.socket, start=False) as client, client.grep_stream("row", roots=[library]) as stream:
        lines = iter(stream)
        next(lines)
        daemon.call("roots.remove", path=str(library))
        assert sum(1 for line in lines if line["path"].startswith("many")) >= 39_000
        assert stream.result["total"] >= 40_000


def test_places_that_were_not_searched_are_named(daemon: RealDaemon, project: Path) -> None:
    (project / "data").mkdir()
    (project / "data/one.log").write_text("greet_politely\n")
    (project / "empty").mkdir()
    (project / "link.py").symlink_to(__file__)
    (project / "b.bin").write_bytes(b"\0\1\2" * 100)
    (project / "app.min.js").write_text("var a=1;function needle(){return a}\n")
    add(daemon, project)

    def answer(*names: str, pattern: str = "nowhere") -> tuple[list[str], dict[str, int]]:
        found = daemon.call("grep", pattern=pattern, roots=[str(project / name) for name in names])
        return [note.removeprefix(f"{project}/") for note in found.get("notes", [])], found["left_out"]

    assert answer("debug.log") == (["debug.log was not searched: ignored by .gitignore:2 `*.log`"], {"ignored": 1})
    notes, left_out = answer(".env", "b.bin", "link.py", "greeter", "README.md", "app.min.js", "")
    assert [note.split(" (")[0] for note in notes] == [
        f"{name} was not searched: {reason}"
        for name, reason in ((".env", "sensitive"), ("b.bin", "binary"), ("link.py", "symlink"))
    ]
    assert left_out == {"sensitive": 1, "binary": 1, "symlink": 1}
    assert answer("empty") == (["empty: nothing in it is indexed"], {})
    ((note,), left_out) = answer("data")
    assert note.startswith("data: nothing indexed: 1 entry ignored by .gitignore:2 `*.log`; to index them anyway")
    assert left_out == {}
    assert answer("greeter", pattern="greet") == ([], {})


def test_a_place_that_does_not_exist_is_an_error(daemon: RealDaemon, project: Path) -> None:
    add(daemon, project)
    for name in ("greeter/helo.py", "README.md/x"):
        error = daemon.client().call("grep", pattern="x", roots=[str(project), str(project / name)])["error"]
        assert (error["code"], error["message"]) == (-32602, f"{project / name} does not exist")


def test_languages_are_checked_and_negated(daemon: RealDaemon, project: Path) -> None:
    add(daemon, project)
    error = daemon.client().call("grep", pattern="greet", language="pyhton")["error"]
    assert error["message"] == "no such language: pyhton"
    assert "python" in error["data"]["hint"]
    found = {match["path"] for match in daemon.call("grep", pattern="(?i)greet")["matches"]}
    others = {match["path"] for match in daemon.call("grep", pattern="(?i)greet", language="!py")["matches"]}
    assert others == {path for path in found if not path.endswith(".py")} != set()


def test_patterns_of_several_lines_are_not_found_without_a_word(daemon: RealDaemon, project: Path) -> None:
    daemon.call("roots.add", path=str(project), wait=True)
    two_lines = "first line\nsecond line"
    refused = daemon.run("grep", "-F", two_lines, cwd=project)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "lines are searched one by one" in refused.stderr
    for pattern in (two_lines, two_lines.replace("\n", "\\n")):
        nothing = daemon.run("grep", pattern, cwd=project)
        assert nothing.returncode == 1
        assert r"the \n in /first line\nsecond line/ matches nothing" in nothing.stderr
    nothing = daemon.run("search", r"/first line\nsecond line/", cwd=project)
    assert (nothing.returncode, r"the \n in /" in nothing.stderr) == (1, True)
