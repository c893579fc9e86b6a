"""The command line beyond transcripts: terminals, signals, pipes, hostile text, the process itself."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from client.fake_daemon import FakeDaemon, place
from codeindexd.cli import progress
from codeindexd.cli.codeindex import run
from codeindexd.cli.render import matches, parse_template, shown_path, wanted_words
from codeindexd.cli.terminal import Terminal, safe, safe_line
from codeindexd.daemon import encoding
from codeindexd.daemon.server import Connection
from codeindexd.errors import NotIndexedError, UsageError
from support.places import DAEMON


class Screen(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def on_terminal(daemon: FakeDaemon, *words: str, **environ: str) -> tuple[int, str, str]:
    """Run a command on a fake terminal; return exit code, output and errors."""
    out, err = Screen(), Screen()
    environment = {"CODEINDEXD_SOCKET": str(daemon.socket_path), "CODEINDEX_NO_START": "1", **environ}
    return run(list(words), environment, Terminal(out, err, environment)), out.getvalue(), err.getvalue()


def process(daemon: FakeDaemon, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the program as a process."""
    environ = {**os.environ, "CODEINDEXD_SOCKET": str(daemon.socket_path), "PYTHONPATH": str(DAEMON)}
    command = [sys.executable, "-m", "codeindexd.cli.codeindex", *words]
    return subprocess.run(command, env=environ, capture_output=True, timeout=60, check=False, **options)


def test_colour_is_used_only_on_terminals(daemon: FakeDaemon) -> None:
    _, out, _ = on_terminal(daemon, "search", "password")
    assert "\x1b[35m" in out
    assert "\x1b[1;31mpassword\x1b[0m" in out
    _, out, _ = on_terminal(daemon, "search", "password", NO_COLOR="1")
    assert "\x1b" not in out
    _, out, _ = on_terminal(daemon, "search", "password", TERM="dumb")
    assert "\x1b" not in out


def test_add_shows_a_progress_line_and_removes_it(daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    code, out, err = on_terminal(daemon, "add", str(tmp_path / "new"), COLUMNS="250")
    assert code == 0
    assert out == f"{tmp_path}/new: fresh, 120 files, 1,903 chunks (left out: 1,200 ignored, 4 binary)\n"
    assert "60/120 files  900 chunks  85 files/s  1 s left" in err
    assert "\n" not in err
    assert err.endswith("\r\x1b[K")
    _, out, err = on_terminal(daemon, "add", str(tmp_path / "new"), "--json")
    assert json.loads(out)
    assert err == ""


@pytest.mark.parametrize("words", [["add", "."], ["reindex"], ["sync"], ["verify"], ["search", "--add", "x"]])
def test_an_interrupted_wait_says_what_becomes_of_the_work(daemon: FakeDaemon, words: list[str]) -> None:
    async def interrupt(params: object, connection: object) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep(60)
        return {}

    if "--add" in words:
        daemon.answers["search"] = NotIndexedError("not indexed")
    for method in ("roots.add", "reindex", "sync", "verify"):
        daemon.answers[method] = interrupt
    code, out, err = on_terminal(daemon, *words)
    assert (code, out) == (130, "")
    if words == ["verify"]:
        assert "the verification was stopped; the index goes on as before\n" in err
    else:
        root = next(iter(daemon.roots))
        assert f"indexing continues in the background; to stop it: codeindex pause {root}\n" in err


def test_search_add_shows_progress_and_a_summary(daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    code, out, err = on_terminal(daemon, "search", "--add", "--root", str(tmp_path / "new"), "password", COLUMNS="250")
    assert code == 0
    assert "60/120 files  900 chunks" in err
    assert err.endswith(f"{tmp_path}/new: fresh, 120 files, 1,903 chunks (left out: 1,200 ignored, 4 binary)\n")
    assert "60/120" not in out


def test_a_root_that_is_added_again_is_not_said_to_be_covered(daemon: FakeDaemon, tmp_path: Path) -> None:
    root = next(iter(daemon.roots))
    (tmp_path / "link").symlink_to(root)
    for path in (root, f"{root}/", "."):
        _, _, err = on_terminal(daemon, "add", path)
        assert "covered" not in err


def test_a_deleted_current_directory_is_named(daemon: FakeDaemon, tmp_path: Path) -> None:
    root = next(iter(daemon.roots))
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    for words in (["search", "x"], ["add"], ["sync"], ["verify"], ["reindex"], ["symbol", "x"], ["explain", "a.py"]):
        code, _, err = on_terminal(daemon, *words)
        assert (code, err) == (2, "codeindex: the current directory was deleted\nhint: change to one that exists: cd\n")
    code, out, _ = on_terminal(daemon, "search", "password", "--root", root, "--files", NO_COLOR="1")
    assert (code, out) == (0, f"{root}/src/auth.py\n")
    assert on_terminal(daemon, "search", "password", "--all")[0] == 0
    assert on_terminal(daemon, "grep", "password", root)[0] == 0
    assert on_terminal(daemon, "grep", "password")[0] == 2
    assert on_terminal(daemon, "status")[0] == 0
    assert on_terminal(daemon, "verify", "--all")[0] == 0


def test_json_errors_are_one_document(daemon: FakeDaemon) -> None:
    daemon.answers["search"] = RuntimeError("boom")
    for words in (["search", "x"], ["nonsense"], ["search"], ["status", "/nowhere"], ["related", "x"]):
        _, out, _ = on_terminal(daemon, *words, "--json")
        assert json.loads(out)["error"]["message"], words


@pytest.mark.parametrize(
    "words",
    [
        *(["add"], ["remove"], ["sync"], ["status"], ["verify"], ["explain"], ["reindex"], ["pause"], ["resume"]),
        *(["remove", "."], ["add", "--no-wait"], ["search", "x", "--root"], ["search", "x", "--add", "--root"]),
        *(["symbol", "x", "--root"], ["status", "--watch"]),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_a_usage_error(daemon: FakeDaemon, words: list[str]) -> None:
    before = dict(daemon.roots)
    code, out, _ = on_terminal(daemon, *words, "", *([] if "--watch" in words else ["--json"]))
    assert code == 2
    assert "--watch" in words or json.loads(out)["error"]["message"] == "a path is empty"
    assert daemon.roots == before


def test_without_a_daemon_the_exit_code_is_four(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    environ = {"CODEINDEXD_SOCKET": str(tmp_path / "none")}
    assert run(["roots", "--no-start"], environ, Terminal(out, err, environ)) == 4
    assert "no daemon answers" in err.getvalue()
    assert run(["roots", "--json"], {**environ, "CODEINDEX_NO_START": "1"}, Terminal(out, err, environ)) == 4
    assert json.loads(out.getvalue())["error"]["name"] == "no_daemon"


def test_a_long_socket_path_is_reported(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    environ = {"CODEINDEXD_SOCKET": f"/{'x' * 200}"}
    assert run(["roots"], environ, Terminal(out, err, environ)) == 2
    assert "too long" in err.getvalue()


def test_status_watch_ends_on_interrupt(daemon: FakeDaemon) -> None:
    calls = 0

    class Interrupting(Screen):
        def write(self, text: str) -> int:
            nonlocal calls
            calls += "codeindexd " in text
            if calls == 3:
                raise KeyboardInterrupt
            return super().write(text)

    out, err = Interrupting(), Screen()
    environ = {"CODEINDEXD_SOCKET": str(daemon.socket_path)}
    assert run(["status", "--watch"], environ, Terminal(out, err, environ)) == 0
    assert out.getvalue().count("\x1b[H\x1b[2J") == 2


def test_a_screen_that_is_too_small_shows_the_beginning() -> None:
    out = Screen()
    terminal = Terminal(out, Screen(), {"COLUMNS": "10", "LINES": "6"})
    terminal.show_screen("one\n" + terminal.style("bold", "x" * 10) + "\n" + "y" * 11 + "\nlast\n")
    assert out.getvalue() == "\x1b[H\x1b[2Jone\n\x1b[1mxxxxxxxxxx\x1b[0m\nyyyyyyyyyyy\nlast\n"
    out.truncate(0)
    terminal.show_screen("one\n" + "y" * 11 + "\ntwo\nthree\nfour\n")
    assert out.getvalue().endswith("one\nyyyyyyyyyyy\ntwo\n\x1b[2m2 more lines: enlarge the window\x1b[0m\n")


def test_an_interrupted_command_exits_with_130_and_one_document(daemon: FakeDaemon) -> None:
    class Interrupting(Screen):
        def write(self, text: str) -> int:
            if text.startswith('{"query"'):
                raise KeyboardInterrupt
            return super().write(text)

    out, err = Interrupting(), Screen()
    environ = {"CODEINDEXD_SOCKET": str(daemon.socket_path)}
    assert run(["search", "x", "--json"], environ, Terminal(out, err, environ)) == 130
    assert json.loads(out.getvalue())["error"]["message"] == "interrupted"


def test_paths_are_written_as_their_bytes(daemon: FakeDaemon) -> None:
    root = next(iter(daemon.roots))
    hit = place(root, path="caf\udce9.py", snippet="x = '\udce9\x1b[31m'\n")
    daemon.answers["search"] = {"query": "x", "state": "fresh", "dense_coverage": 1.0, "hits": [hit]}
    done = process(daemon, "search", "--files", "x")
    assert (done.returncode, done.stdout) == (0, b"caf\xe9.py\n")
    assert b"\x1b" not in process(daemon, "search", "x").stdout


def test_a_closed_pipe_is_not_an_error(daemon: FakeDaemon) -> None:
    read, write = os.pipe()
    os.close(read)
    environ = {**os.environ, "CODEINDEXD_SOCKET": str(daemon.socket_path), "PYTHONPATH": str(DAEMON)}
    with os.fdopen(write, "wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "codeindexd.cli.codeindex", "roots"],
            env=environ,
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_help_and_version_succeed(daemon: FakeDaemon) -> None:
    assert b"codeindex 0." in process(daemon, "--version").stdout
    done = process(daemon, "search", "--help")
    assert done.returncode == 0
    assert b"-path:tests/**" in done.stdout


def test_doctor_reports_its_checks(daemon: FakeDaemon) -> None:
    code, out, _ = on_terminal(daemon, "doctor", "--json")
    result = json.loads(out)
    assert code == (0 if result["ok"] else 1)
    found = {check["name"]: check for check in result["checks"]}
    assert found["daemon"]["state"] == "ok"
    assert "pid 4242" in found["daemon"]["detail"]
    assert all(check["remedy"] for check in result["checks"] if check["state"] == "problem")
    code, out, _ = on_terminal(daemon, "doctor")
    assert "versions: codeindexd" in out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a␛[31mb"),
        ("a\r\nb", "a\nb"),
        ("a\x07\x7f\x9b", "a␇␡\ufffd"),
        ("a\tb", "a\tb"),
        ("\u202eabc", "\ufffdabc"),
    ],
)
def test_control_characters_are_replaced(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"), [("a\rb\nc", "a\u240db\u240ac"), ("from Windows\r", "from Windows"), ("a\r\nb", "a\u240ab")]
)
def test_line_breaks_in_one_line_are_visible(text: str, shown: str) -> None:
    assert safe_line(text) == shown


def test_wanted_words_exclude_filters_and_stop_words() -> None:
    assert wanted_words("where is the getUserName lang:python path:src/**") == {"getusername", "get", "user", "name"}
    assert wanted_words("open_session -symbol:x how it is") == {"open_session", "open", "session"}


@pytest.mark.parametrize(
    ("query", "line", "highlighted"),
    [
        ("session", "def open_session(sessions):", ["open_session"]),
        ("open_session", "x = open_session(open)", ["open_session", "open"]),
        ("user name", "getUserName(username)", ["getUserName"]),
        ("how is it", "how is it done", []),
    ],
)
def test_whole_identifiers_are_highlighted_and_never_stop_words(query: str, line: str, highlighted: list[str]) -> None:
    assert [line[start:end] for start, end in matches(line, wanted_words(query))] == highlighted


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{line:99999}", "at most 9,999"),
        ("{pat}", "no such field"),
        ("{path", "expected"),
        ("{0}", "no such field"),
        ("{path.x}", "no such field"),
    ],
)
def test_a_template_that_no_hit_can_fill_is_refused(template: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse_template(template)
    assert caught.value.hint


def test_hits_are_printed_for_editors_and_for_scripts(daemon: FakeDaemon) -> None:
    _, out, _ = on_terminal(daemon, "search", "--all", "--vimgrep", "locked")
    assert out.splitlines()[0] == "src/auth.py:14:13:    if user.locked:"
    _, out, _ = on_terminal(daemon, "search", "--all", "--format", r"{line}\t{symbol}\t{kind}", "locked")
    assert out == "14\tcheck_password\tfunction\n"


def test_a_form_feed_ends_no_line(daemon: FakeDaemon) -> None:
    snippet = "def f():\n    a\n\f\n    locked\n    b\n"
    hit = place("/p", snippet=snippet, start_line=10, end_line=14, best_line=13)
    daemon.answers["search"] = {"query": "x", "state": "fresh", "dense_coverage": 1.0, "hits": [hit]}
    _, out, _ = on_terminal(daemon, "search", "--all", "--vimgrep", "locked")
    assert out.endswith("src/auth.py:13:5:    locked\n")
    _, out, _ = on_terminal(daemon, "search", "--all", "--color", "never", "locked")
    assert "\n13:     locked\n14:     b\n" in out


def test_a_hit_is_a_hyperlink_where_the_terminal_shows_them(daemon: FakeDaemon) -> None:
    _, out, _ = on_terminal(daemon, "search", "--all", "locked", TERM_PROGRAM="WezTerm")
    assert "\x1b]8;;file://" in out
    for environ in ({}, {"TERM_PROGRAM": "WezTerm", "FORCE_HYPERLINK": "0"}, {"NO_COLOR": "1", "VTE_VERSION": "7000"}):
        _, out, _ = on_terminal(daemon, "search", "--all", "locked", **environ)
        assert "\x1b]8;;" not in out


def test_names_of_files_do_not_control_the_terminal(daemon: FakeDaemon) -> None:
    daemon.answers["search"] = {
        "query": "x",
        "took_ms": 1.0,
        "clock": "id:7",
        "state": "fresh",
        "dense_coverage": 1.0,
        "hits": [place("/p", path="a\x1b]0;b\n.py")],
    }
    for words in (["-l"], [], ["--vimgrep"]):
        out = on_terminal(daemon, "search", "--all", "--color", "never", *words, "x")[1]
        assert "\u241b]0;b\u240a.py" in out


def test_colour_is_used_as_asked(daemon: FakeDaemon) -> None:
    assert "\x1b[" in on_terminal(daemon, "search", "--all", "locked")[1]
    assert "\x1b[" not in on_terminal(daemon, "search", "--all", "--color", "never", "locked")[1]
    assert "\x1b[" in on_terminal(daemon, "search", "--all", "--color", "always", "locked", TERM="dumb")[1]


@pytest.mark.parametrize(
    ("cwd", "shown"),
    [("/r", "src/auth.py"), ("/r/src", "auth.py"), ("/r/lib", "../src/auth.py"), ("/rest", "/r/src/auth.py")],
)
def test_paths_in_the_current_root_are_relative(cwd: str, shown: str) -> None:
    assert shown_path(place("/r"), cwd) == shown  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (90_000, "1 day"), (-3, "0 s")],
)
def test_durations_are_formatted(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


def test_grep_in_a_path_that_does_not_exist_is_a_usage_error(daemon: FakeDaemon) -> None:
    code, _, err = on_terminal(daemon, "grep", "x", "/nowhere/at/all")
    assert (code, err.splitlines()[0]) == (2, "codeindex: /nowhere/at/all does not exist")


def _line(number: int, text: str, *, path: str = "a.py", **context: list[str]) -> dict[str, Any]:
    return {"path": path, "line": number, "column": 1, "text": text, "spans": [[0, 1]], **context}


def test_context_is_printed_once_however_the_lines_arrive(daemon: FakeDaemon) -> None:
    """Lines 2, 3 and 6 of a file, one line a message, and then another file."""
    root = next(iter(daemon.roots))
    lines = [
        _line(2, "two", before=["one"], after=["three", "four"]),
        _line(3, "three", before=["one", "two"], after=["four", "five"]),
        _line(6, "six", before=["four", "five"], after=["seven"]),
        _line(20, "twenty", before=["19"], after=["21", "22"]),
        _line(2, "zwei", path="b.py", before=["eins"]),
    ]

    async def stream(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        for line in lines:
            part = {"request": connection.request_id, "matches": [{"root": root, **line}]}
            await connection.send_part(encoding.notification("grep", part))
        return {"matches": [], "total": len(lines), "state": "fresh"}

    daemon.answers["grep"] = stream
    done = process(daemon, "grep", "-C2", "-N", "x", cwd=root)
    expected = ["-one", ":two", ":three", "-four", "-five", ":six", "-seven"]
    assert done.stdout.decode().splitlines() == [
        *(f"a.py{text}" for text in expected),
        "--",
        *(f"a.py{text}" for text in ("-19", ":twenty", "-21", "-22")),
        "--",
        "b.py-eins",
        "b.py:zwei",
    ]


def test_lines_are_printed_before_the_search_ends(daemon: FakeDaemon) -> None:
    root = next(iter(daemon.roots))
    cancelled = threading.Event()

    async def stream(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        part = {"request": connection.request_id, "matches": [{"root": root, **_line(1, "first")}]}
        await connection.send_part(encoding.notification("grep", part))
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return {}

    daemon.answers["grep"] = stream
    environ = {**os.environ, "CODEINDEXD_SOCKET": str(daemon.socket_path), "PYTHONPATH": str(DAEMON)}
    command = [sys.executable, "-m", "codeindexd.cli.codeindex", "grep", "x"]
    with subprocess.Popen(command, env=environ, cwd=root, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"a.py:1:first\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
    assert cancelled.wait(20), "the daemon stops with the reader"


@pytest.mark.parametrize(("flag", "key"), [([], "matches"), (["-c"], "counts"), (["-l"], "counts")])
def test_json_is_one_document_with_all_that_was_streamed(daemon: FakeDaemon, flag: list[str], key: str) -> None:
    daemon.roots["/q"] = "fresh"
    done = process(daemon, "grep", "--json", "--all", *flag, "locked")
    document = json.loads(done.stdout)
    assert (len(document[key]), document["total"]) == (2, 2)
    assert ("counts" in document) == bool(flag)
    assert bool(document["matches"]) == (not flag)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "x", "--lang", "go", "--lang", "python"], "argument --lang: given more than once"),
        (["search", "x", "--kind", "class", "--kind", "test"], "argument --kind: given more than once"),
        (["grep", "x", "-t", "go", "-t", "python"], "argument -t/--type: given more than once"),
        (["search", "x", "--context", "-1"], "argument --context: must be 0 or more, not -1"),
        (["logs", "-n", "-1"], "argument -n/--lines: must be 0 or more, not -1"),
        (["related", "a.py:1", "--context", "-1"], "argument --context: must be 0 or more, not -1"),
        (["log", "-n", "100000"], "argument -n: must be 1 to 1000, not 100000"),
        (["why", "a.py:1", "-n", "-1"], "argument -n: must be 0 to 1000, not -1"),
        (["together", "a.py", "-n", "x"], "argument -n: not a whole number: x"),
        (["callers", "f", "--depth", "21"], "argument --depth: must be 1 to 20, not 21"),
        (["map", "--tokens", "99"], "argument --tokens: must be 100 to 100000, not 99"),
        (["grep", "x", "-C", "1001"], "argument -C/--context: must be 0 to 1000, not 1001"),
        (["grep", "-F", "\udcff"], "grep: pattern is not UTF-8"),
    ],
)
def test_options_without_a_meaning_are_usage_errors(daemon: FakeDaemon, words: list[str], message: str) -> None:
    code, out, err = on_terminal(daemon, *words)
    assert (code, out, err.splitlines()[0]) == (2, "", f"codeindex: {message}")


def test_a_root_takes_one_line_whatever_its_name_contains(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "s", roots={"/odd\nroot": "fresh"}) as daemon:
        for command in ("roots", "status"):
            _, out, _ = on_terminal(daemon, command)
            assert "/odd\u240aroot" in out
            assert "\nroot" not in out


def test_a_missing_root_is_noted_once(daemon: FakeDaemon) -> None:
    answer = {"query": "x", "took_ms": 1.0, "clock": "id:7", "state": "missing", "dense_coverage": 1.0, "hits": []}
    daemon.answers["search"] = {**answer, "searched": 120, "notes": ["/p is missing: there is no such directory"]}
    code, out, err = on_terminal(daemon, "search", "--all", "x")
    assert (code, out) == (1, "")
    assert err == "no hits\nnote: /p is missing: there is no such directory\n", "not: in 120 files"
    daemon.answers["search"] = answer
    err = on_terminal(daemon, "search", "--all", "x")[2]
    assert err == "no hits\nnote: an indexed directory is missing; for details: codeindex status\n"
