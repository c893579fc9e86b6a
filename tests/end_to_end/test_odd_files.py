"""Files and places that are unlike others: busy files, very long paths, old line ends, decomposed names."""

from __future__ import annotations

import os
import threading
import unicodedata
from pathlib import Path

from support.daemons import RealDaemon, until
from support.trees import tree


def cpu_s(daemon: RealDaemon) -> float:
    """Return the CPU time of the daemon and its workers."""
    assert daemon.process is not None
    parents = {daemon.process.pid}
    ticks = 0
    for stat in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # a process of somebody else has ended
            continue
        if int(stat.parent.name) in parents or int(fields[1]) in parents:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def status_of(daemon: RealDaemon, root: Path) -> dict[str, object]:
    [status] = daemon.call("status", path=str(root))["roots"]
    return dict(status)


def test_a_growing_log_costs_little_and_sync_gets_the_truth(daemon: RealDaemon, tmp_path: Path) -> None:
    lines = "".join(
        f"2026-01-01 INFO request {number} took {number % 97} ms token cache hit\n" for number in range(24_000)
    )
    root = tree(tmp_path / "root", {"server.log": lines, "app.py": "def handle(): pass\n", ".git/HEAD": ""})
    daemon.call("roots.add", path=str(root), wait=True)
    daemon.call("sync", path=str(root), timeout_s=60)
    stop = threading.Event()

    def grow() -> None:
        with (root / "server.log").open("a") as log:
            while not stop.wait(0.2):
                log.write("one more line\n")
                log.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        before = cpu_s(daemon)
        until(lambda: status_of(daemon, root)["busy"], timeout_s=30, what="a busy file")
        assert not stop.wait(10)
        used = cpu_s(daemon) - before
        status = status_of(daemon, root)
        assert [file["path"] for file in status["busy"]] == ["server.log"]  # type: ignore[attr-defined]
        assert used < 8, "it would be nearly as many seconds as passed"
        until(lambda: status_of(daemon, root)["state"] == "fresh", what="fresh apart from the busy file")
        with (root / "server.log").open("a") as log:
            log.write("the needle zzqx_needle\n")
        daemon.call("sync", path=str(root), timeout_s=60)
        found = daemon.call("grep", pattern="zzqx_needle", roots=[str(root)])
        assert found["total"] == 1
    finally:
        stop.set()
        writer.join()


def test_a_change_below_a_path_longer_than_a_system_call_takes(daemon: RealDaemon, tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {".git/HEAD": ""})
    current, depth = os.open(root, os.O_RDONLY), 0
    while depth < 4200:
        name = f"level_{depth:04}_" + "x" * 200
        os.mkdir(name, dir_fd=current)
        below = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        current, depth = below, depth + len(name) + 1

    def append(text: str) -> None:
        file = os.open("f.py", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644, dir_fd=current)
        os.write(file, text.encode())
        os.close(file)

    try:
        append("def before(): pass\n")
        daemon.call("roots.add", path=str(root), wait=True)
        append("def after(): pass\n")
        assert daemon.call("sync", path=str(root), timeout_s=60)["how"] == "cookie"
        [place] = daemon.call("symbol", name="after", roots=[str(root)])["definitions"]
        assert place["path"].endswith("/f.py")
        append("def later(): pass\n")
        until(lambda: daemon.call("symbol", name="later", roots=[str(root)])["definitions"], what="its event")
    finally:
        os.close(current)


def test_lines_that_end_in_carriage_returns_alone_and_names_in_either_form(daemon: RealDaemon, tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "café")
    code = b"def cr_alpha(x):\r    return x\r\rdef cr_beta(y):\r    return y\r"
    root = tree(tmp_path / "root", {".git/HEAD": "", f"{name}/mac.py": code})
    daemon.call("roots.add", path=str(root), wait=True)
    [place] = daemon.call("symbol", name="cr_beta", roots=[str(root)])["definitions"]
    assert place["end_line"] == 5
    [match] = daemon.call("grep", pattern="cr_beta", roots=[str(root)])["matches"]
    assert (match["line"], match["text"]) == (4, "def cr_beta(y):")
    for form in ("NFC", "NFD"):
        found = daemon.call("search", query="cr_beta", roots=[str(root)], path=unicodedata.normalize(form, "café/**"))
        assert [hit["path"] for hit in found["hits"]] == [f"{name}/mac.py"], form
