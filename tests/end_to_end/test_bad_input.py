"""User errors and failing machines: a clear message, a remedy, the right exit code, and nothing lost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.daemons import RealDaemon, real_daemon, until
from support.trees import tree

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small tmpfs, which only root may do")


def refusal(daemon: RealDaemon, method: str, **params: object) -> dict[str, object]:
    """Return the error of a request that has to fail; its hint is never empty."""
    client = daemon.client()
    error: dict[str, object] = client.call(method, **params)["error"]
    assert error["data"]["hint"], error  # type: ignore[index]
    return error


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/no/such/directory", 4, "does not exist"),
        ("{project}/README.md", 4, "is not a directory"),
        ("/", 4, "far more than code"),
        ("{home}", 4, "far more than code"),
        ("relative/path", 4, "absolute"),
    ],
)
def test_paths_that_cannot_be_roots(daemon: RealDaemon, project: Path, path: str, code: int, words: str) -> None:
    error = refusal(daemon, "roots.add", path=path.format(project=project, home=Path.home()))
    assert error["code"] == code
    assert words in str(error["message"])
    assert daemon.call("roots.list") == {"roots": []}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("-path:a", ""),
        ("a /(((/", "regex"),
        ("x lang:pyhton", "pyhton"),
        ("x kind:functon", "functon"),
    ],
)
def test_queries_that_cannot_be_answered(daemon: RealDaemon, project: Path, query: str, words: str) -> None:
    daemon.call("roots.add", path=str(project), wait=True)
    error = refusal(daemon, "search", query=query)
    assert error["code"] == 2
    assert words in str(error["message"])
    assert daemon.call("search", query="greeting")["hits"], "the daemon goes on"


def test_a_query_that_is_too_long_is_cut_and_answered(daemon: RealDaemon, project: Path) -> None:
    daemon.call("roots.add", path=str(project), wait=True)
    answer = daemon.call("search", query="greeting " * 20_000)
    assert answer["hits"]
    assert answer["notes"] == ["only the first 64 KiB of the query were used"]


def test_the_whole_disk_is_no_advice(daemon: RealDaemon) -> None:
    error = refusal(daemon, "search", query="x", roots=["/"])
    assert error["data"] == {"hint": "index your projects: codeindex add PATH", "name": "not_indexed"}


def test_an_empty_name_is_no_symbol(daemon: RealDaemon, project: Path) -> None:
    daemon.call("roots.add", path=str(project), wait=True)
    for name in ("", "  "):
        assert refusal(daemon, "symbol", name=name)["message"] == "symbol: name is empty"


def test_lines_beyond_the_limit_come_with_advice(daemon: RealDaemon, project: Path) -> None:
    daemon.call("roots.add", path=str(project), wait=True)
    (note,) = daemon.call("grep", pattern="e", limit=1)["notes"]
    assert note.endswith(
        "more lines match; raise the limit, or narrow the search with a path, a glob or a longer pattern"
    )


def test_asking_about_what_is_not_indexed(daemon: RealDaemon, project: Path) -> None:
    for method, params in [
        ("search", {"query": "x", "roots": [str(project)]}),
        ("status", {"path": str(project)}),
        ("explain", {"path": str(project / "README.md")}),
        ("roots.remove", {"path": str(project)}),
    ]:
        error = refusal(daemon, method, **params)
        assert error["code"] == 1
        assert "codeindex add" in str(error["data"]["hint"])  # type: ignore[index]


def test_paths_that_lead_nowhere(daemon: RealDaemon, project: Path) -> None:
    """Paths are a loop of links and a name that no file system accepts."""
    (project / "loop").symlink_to("loop")
    daemon.call("roots.add", path=str(project), wait=True)
    for path in (project / "loop", project / "loop/x/y", project / ("n" * 300), project / ("d/" * 2500)):
        assert not daemon.call("explain", path=str(path))["indexed"]
        assert daemon.call("status", path=str(path))["roots"][0]["path"] == str(project)
        assert "is inside the root" in str(refusal(daemon, "roots.remove", path=str(path))["message"])
    assert refusal(daemon, "roots.add", path=str(project / "loop"))["code"] == 4


def run_daemon(daemon: RealDaemon, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "codeindexd", *arguments],
        env=daemon.environment | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_second_daemon_says_who_is_first(daemon: RealDaemon) -> None:
    assert daemon.process is not None
    second = run_daemon(daemon)
    assert second.returncode == 5
    assert str(daemon.process.pid) in second.stderr
    assert daemon.call("server.info")["pid"] == daemon.process.pid, "the first one is unharmed"


def test_a_stale_socket_is_no_obstacle(daemon: RealDaemon) -> None:
    daemon.kill()
    assert daemon.socket.exists(), "kill -9 leaves it behind"
    daemon.start()
    assert daemon.call("server.info")["pid"]


def test_a_socket_path_that_is_too_long(daemon: RealDaemon) -> None:
    done = run_daemon(daemon, CODEINDEXD_SOCKET=f"/tmp/{'x' * 120}/s.sock")
    assert done.returncode == 2
    assert "too long" in done.stderr
    assert "CODEINDEXD_SOCKET" in done.stderr


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[watch\n", "config.toml"),
        ("[watch]\ndebounce = 3\n", "debounce_ms"),
        ('[workers]\ncount = "many"\n', "count"),
        ('[embedding]\nmodel = "/no/such/model/directory"\n', "model"),
    ],
)
def test_a_broken_configuration_names_file_and_key(config: str, words: str) -> None:
    with real_daemon(config, start=False) as daemon:
        done = run_daemon(daemon)
    assert done.returncode in (2, 5)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_where_somebody_else_listens(daemon: RealDaemon) -> None:
    daemon.stop()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.socket))
        other.listen()
        done = run_daemon(daemon)
    assert done.returncode == 5
    assert str(daemon.socket) in done.stderr


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="cixdisk"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


@as_root
def test_a_full_disk_degrades_and_recovers_by_itself(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {f"m{n}.py": f"def before_{n}(): return {n}\n" for n in range(20)})
    with small_disk(64) as disk, real_daemon("[workers]\nnice = 0\n", start=False) as daemon:
        (daemon.home / "cache/codeindexd").symlink_to(disk)
        daemon.start()
        daemon.call("roots.add", path=str(root), wait=True)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError:
                pass
        for number in range(50):
            text = "".join(f"def during_{number}_{n}(): return 'some words {n}'\n" for n in range(400))
            (root / f"new{number}.py").write_text(text)
        until(lambda: daemon.call("status")["roots"][0]["problems"], what="a problem in status")
        problem = daemon.call("status")["roots"][0]["problems"][0]
        assert problem["hint"]
        assert daemon.call("status")["roots"][0]["state"] == "degraded"
        assert daemon.call("search", query="before_7")["hits"], "it keeps answering"
        ballast.unlink()
        until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="recovery", timeout_s=60)
        assert daemon.call("search", query="during_49_399")["hits"][0]["path"] == "new49.py"
        assert daemon.call("verify")["ok"]


@as_root
@pytest.mark.changes_limits
def test_no_inotify_watches_left_means_polling_and_a_remedy(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {f"d{n}/m.py": f"def here_{n}(): pass\n" for n in range(30)})
    limit = Path("/proc/sys/fs/inotify/max_user_watches")
    before = limit.read_text()
    with real_daemon("[workers]\nnice = 0\n") as daemon:
        try:
            limit.write_text("10")
            daemon.call("roots.add", path=str(root), wait=True)
            until(lambda: daemon.call("status")["roots"][0]["problems"], what="a problem in status")
            status = daemon.call("status")["roots"][0]
            assert status["state"] == "degraded"
            assert "max_user_watches" in status["problems"][0]["hint"]
            (root / "d7/m.py").write_text("def changed_unwatched(): pass\n")
            assert daemon.call("search", query="changed_unwatched", sync=True)["hits"][0]["path"] == "d7/m.py"
        finally:
            limit.write_text(before)
