"""What a developer types into the real command line over real sources: packages of the standard library."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import RealDaemon, real_daemon

STANDARD = Path(sysconfig.get_path("stdlib"))
REPORT = (
    """\
Describe the bug

When I close the loop while a task waits for a lock, the program hangs. "This" worked in /usr/local/before/, and
`asyncio.Lock` is not released.

To reproduce: run the program, press Ctrl-C, wait.

"""
    + "It happens on every machine that we tried, with and without debug mode.\n" * 250
)


TRACE = """\
Traceback (most recent call last):
  File "/opt/program.py", line 3, in <module>
    main()
  File "/usr/lib/python3/asyncio/runners.py", line 44, in run
RuntimeError: no
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("typed") / "library"
    for package in ("json", "email", "asyncio", "http", "logging"):
        shutil.copytree(STANDARD / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name, text in {
        "shop/Cart.vue": "<script>\nfunction addToCart(id) { return id }\n</script>\n",
        "shop/basket.hx": "function addToBasket(id:Int) {}\n",
        "shop/geo.cpp": "namespace geo {\nclass Point {\n public:\n  int norm() { return 1; }\n};\n}\n",
        "shop/stock.py": "# 在庫の数を計算する\ndef zaiko(items):\n    return len(items)\n",
        "shop/deploy.yaml": "kind: Deployment\nmetadata:\n  name: shop\n",
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "shop/kanji.py").write_bytes("# 請求書を印刷する\ndef insatsu(): pass\n".encode("cp932"))
    for number in range(12):
        (root / f"copies/{number}").mkdir(parents=True)
        (root / f"copies/{number}/guard.py").write_text("def guard_the_gate(visitor):\n    return visitor.badge\n")
    return root


@pytest.fixture(scope="module")
def indexed(library: Path) -> Iterator[RealDaemon]:
    with real_daemon("[workers]\nnice = 0\n") as running:
        assert running.call("roots.add", path=str(library), wait=True)["roots"][0]["state"] == "fresh"
        yield running


def line_of(library: Path, path: str, text: str) -> str:
    """Return ``path:line`` of the first line with ``text``."""
    lines = (library / path).read_text().splitlines()
    return f"{path}:{next(number for number, line in enumerate(lines, 1) if text in line)}"


def search(indexed: RealDaemon, library: Path, *words: str) -> list[str]:
    """Return the first three hits as ``path:line``."""
    done = indexed.run("search", "-n", "3", "--format", "{path}:{line}", "--", *words, cwd=library)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def run(indexed: RealDaemon, library: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return indexed.run(*words, cwd=library)


@pytest.mark.parametrize(
    ("typed", "path", "text"),
    [
        ("Expecting property name enclosed in double quotes", "json/decoder.py", "Expecting property name enclosed"),
        (
            "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            "json/decoder.py",
            "Expecting property name enclosed",
        ),
        ("ValueError: Unrecognised argument(s): colour, size", "logging/__init__.py", "Unrecognised argument(s)"),
        (
            "got Future <Future pending> attached to a different loop",
            "asyncio/tasks.py",
            "attached to a different loop",
        ),
        ("/Unrecognised \\w+\\(s\\)/", "logging/__init__.py", "Unrecognised argument(s)"),
        ('"memo.clear()"', "json/scanner.py", "memo.clear()"),
        ("the task got attached to a different loop again", "asyncio/tasks.py", "attached to a different loop"),
    ],
)
def test_literal_text_messages_and_regexes_lead_to_their_line(
    indexed: RealDaemon, library: Path, typed: str, path: str, text: str
) -> None:
    found = search(indexed, library, typed)
    lines = [number for number, line in enumerate((library / path).read_text().splitlines(), 1) if text in line]
    assert {f"{path}:{number}" for number in lines} & set(found)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("decoder.py", "json/decoder.py:1"),
        ("json/decoder.py:42", "json/decoder.py:42"),
        ("json/decoder.py:42:7", "json/decoder.py:42"),
        ("json/decoder.py#L42", "json/decoder.py:42"),
        ("json/decoder.py:42-45", "json/decoder.py:42"),
        (TRACE, "asyncio/runners.py:44"),
    ],
)
def test_places_and_frames_lead_to_their_line(indexed: RealDaemon, library: Path, typed: str, first: str) -> None:
    assert search(indexed, library, typed)[0] == first


@pytest.mark.parametrize(
    ("typed", "path", "text"),
    [
        ("JSONDecodeError", "json/decoder.py", "class JSONDecodeError"),
        ("jsondecodeerror", "json/decoder.py", "class JSONDecodeError"),
        ("JSONDecoder.raw_decode", "json/decoder.py", "def raw_decode"),
        ("raw_deco", "json/decoder.py", "def raw_decode"),
        ("run_until_compl", "asyncio", "def run_until_complete"),
        ("geo::Point", "shop/geo.cpp", "class Point"),
        ("JSONDecodeEror", "json/decoder.py", "class JSONDecodeError"),
    ],
)
def test_names_and_parts_of_names_lead_to_the_definition(
    indexed: RealDaemon, library: Path, typed: str, path: str, text: str
) -> None:
    found = search(indexed, library, typed)
    if path == "asyncio":
        files = {"asyncio/base_events.py", "asyncio/events.py"}
        assert found[0] in {line_of(library, one, text) for one in files}
    else:
        assert found[0] == line_of(library, path, text)


def test_a_misspelt_name_is_said_to_be_replaced(indexed: RealDaemon, library: Path) -> None:
    done = run(indexed, library, "search", "JSONDecodeEror")
    assert "note: showing results for JSONDecodeError: JSONDecodeEror does not occur" in done.stderr


@pytest.mark.parametrize(
    "typed",
    [
        "./app: undefined symbol: flatten",
        "symbol:  method",
        "kind: Deployment",
        "https://example.org/a/b?c=d",
        r"C:\x\y",
        "operator<<",
        "#include <x>",
        "--max-count of parts",
        "🦄 unicorn",
        REPORT,
    ],
)
def test_plain_text_is_a_question(indexed: RealDaemon, library: Path, typed: str) -> None:
    assert search(indexed, library, typed)


def test_text_that_looks_like_an_option_is_explained(indexed: RealDaemon, library: Path) -> None:
    done = run(indexed, library, "search", "--max-count")
    assert (done.returncode, done.stdout) == (2, "")
    assert "codeindex search -- --max-count" in done.stderr


@pytest.mark.parametrize("typed", ['"🦄"', '"a === b"', "/no such line anywhere/"])
def test_what_occurs_nowhere_has_no_hits(indexed: RealDaemon, library: Path, typed: str) -> None:
    done = run(indexed, library, "search", typed)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no hits in ")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["lang:pyhton", "x"], 2, "did you mean python"),
        (["kind:functoin", "x"], 2, "did you mean function"),
        (["lang:rust", "decode"], 1, "is in rust; most are in python"),
        (["path:nowhere/**", "decode"], 1, "matches the path nowhere/**"),
        (['"expecting PROPERTY name:"'], 1, "no hits in"),
        (['"Expecting value" path:email/**'], 1, "no hits in"),
    ],
)
def test_a_filter_that_leaves_nothing_says_so(
    indexed: RealDaemon, library: Path, words: list[str], code: int, says: str
) -> None:
    done = run(indexed, library, "search", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_negated_filters_leave_out(indexed: RealDaemon, library: Path) -> None:
    done = run(indexed, library, "search", "Deployment", "-lang:python", "-l")
    assert done.stdout.splitlines()[0] == "shop/deploy.yaml"
    assert not [path for path in done.stdout.splitlines() if path.endswith(".py")]


def test_scripts_without_spaces_and_legacy_encodings_are_found(indexed: RealDaemon, library: Path) -> None:
    assert search(indexed, library, "数")[0] == "shop/stock.py:1"
    assert search(indexed, library, "在庫")[0] == "shop/stock.py:1"
    assert search(indexed, library, "請求書")[0] == "shop/kanji.py:1"
    assert "encoding taken for cp932" in run(indexed, library, "explain", "shop/kanji.py").stdout


def test_copies_take_one_place(indexed: RealDaemon, library: Path) -> None:
    done = run(indexed, library, "search", "guard_the_gate", "--context", "0")
    assert "and 11 identical copies" in done.stdout.splitlines()[0]
    assert done.stdout.count("guard.py") == 1
    listed = run(indexed, library, "search", "guard_the_gate", "--copies", "--context", "0")
    assert listed.stdout.count("guard.py") == 12


@pytest.mark.parametrize(
    ("name", "out", "err"),
    [
        ("JSONDecoder.raw_decode", "json/decoder.py:{raw}:9  method  JSONDecoder.raw_decode  def raw_decode", ""),
        ("raw_deco", "json/decoder.py:{raw}:9  method  JSONDecoder.raw_decode", "showing names that begin with it"),
        ("JSONDecodr", "class  JSONDecoder", "showing names that resemble it"),
        ("addToCart", "shop/Cart.vue:2:10  function  addToCart", ""),
        ("addToBasket", "", "no symbols are known for haxe"),
    ],
)
def test_symbol_prints_the_place_of_the_name(indexed: RealDaemon, library: Path, name: str, out: str, err: str) -> None:
    raw = line_of(library, "json/decoder.py", "def raw_decode").rpartition(":")[2]
    done = run(indexed, library, "symbol", name)
    assert out.format(raw=raw) in done.stdout
    assert err in done.stderr


def test_related_takes_every_printed_form_and_leaves_out_its_own_definition(indexed: RealDaemon, library: Path) -> None:
    for place in ("json/decoder.py:70", "json/decoder.py:70-75", "json/decoder.py:70:5"):
        done = run(indexed, library, "related", place, "--format", "{symbol}")
        assert done.returncode == 0
        assert "py_scanstring" not in done.stdout.splitlines()


def test_levels_list_files_and_directories(indexed: RealDaemon, library: Path) -> None:
    files = run(indexed, library, "search", "parse a date in a header", "--level", "file", "-n", "4")
    paths = [line for line in files.stdout.splitlines() if line and not line.startswith(" ")]
    assert len(paths) == len(set(paths)) == 4
    assert all((library / path).is_file() for path in paths)
    directories = run(indexed, library, "search", "event loop of subprocesses", "--level", "directory", "-n", "2")
    assert directories.stdout.startswith("asyncio/  ")
    listed = run(indexed, library, "search", "event loop of subprocesses", "--level", "directory", "-l", "-n", "2")
    assert listed.stdout.splitlines()[0] == "asyncio"
    wrong = run(indexed, library, "search", "loop", "--level", "module")
    assert (wrong.returncode, "choose from" in wrong.stderr) == (2, True)
