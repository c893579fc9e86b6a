"""Log lines: one per event, at the right place, without values that do not belong there."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
import structlog

from codeindexd.daemon import logs

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(**options: object) -> tuple[io.StringIO, structlog.typing.FilteringBoundLogger]:
    stream = io.StringIO()
    logs.configure(stream=stream, environ={}, **options)  # type: ignore[arg-type]
    return stream, structlog.get_logger("codeindexd.test")


def test_plain_lines_have_fields_after_the_event() -> None:
    stream, log = lines()
    log.warning("store_rebuilt", root="/a b", files=3, empty="", name="x\ny")
    assert stream.getvalue().endswith(
        r'warning store_rebuilt root="/a b" files=3 empty="" name="x\ny" logger=codeindexd.test' + "\n"
    )


def test_paths_are_text_whatever_the_daemon_keeps() -> None:
    stream, log = lines()
    log.info("catching_up", root=b"/a", odd=b"/\xe9 b")
    assert stream.getvalue().endswith(r'catching_up root=/a odd="/\udce9 b" logger=codeindexd.test' + "\n")
    stream, log = lines(format="json")
    log.info("catching_up", root=b"/a")
    assert json.loads(stream.getvalue())["root"] == "/a"


def test_json_lines_are_json() -> None:
    stream, log = lines(format="json")
    log.info("ready", path="\udce9")
    [line] = stream.getvalue().splitlines()
    assert json.loads(line).items() >= {"event": "ready", "level": "info", "path": "\udce9"}.items()


def test_the_level_applies_to_structlog_and_logging() -> None:
    stream, log = lines(level="warning")
    log.info("quiet")
    logging.getLogger("foreign").info("quiet")
    logging.getLogger("foreign").error("loud %s", "and clear")
    logging.getLogger("watchfiles.main").info("3 changes detected")
    assert "quiet" not in stream.getvalue()
    assert "error   loud and clear logger=foreign" in stream.getvalue()


def test_chatty_libraries_log_only_warnings() -> None:
    stream, _ = lines(level="debug")
    logging.getLogger("watchfiles.main").info("3 changes detected")
    logging.getLogger("httpx").info("HTTP Request: POST")
    assert stream.getvalue() == ""


def test_python_warnings_are_logged() -> None:
    stream, _ = lines()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("deprecated thing", stacklevel=1)
    assert "deprecated thing" in stream.getvalue()


def _fail() -> None:
    secret = "hunter2"  # noqa: F841 - a local that must not appear
    raise ValueError("what went wrong")


def test_exceptions_are_one_line_without_the_values_of_variables() -> None:
    stream, log = lines()
    try:
        try:
            _fail()
        except ValueError as error:
            raise OSError(5, "outer") from error
    except OSError:
        log.exception("failed")
        logging.getLogger("foreign").exception("also failed")
    first, second = stream.getvalue().splitlines()
    for line in (first, second):
        assert "OSError: [Errno 5] outer (test_logs.py:" in line
        assert "because of ValueError: what went wrong (test_logs.py:" in line
        assert "hunter2" not in line


def test_exception_groups_list_their_members() -> None:
    text = logs.describe(ExceptionGroup("two", [ValueError("a"), KeyError("b")]))
    assert text == "ExceptionGroup: two (2 sub-exceptions) [ValueError: a] [KeyError: 'b']"


def test_long_values_are_cut() -> None:
    stream, log = lines()
    log.info("odd", text="x" * 100_000)
    assert len(stream.getvalue()) < 3000
    assert "(100000 characters)" in stream.getvalue()


def test_the_journal_gets_priorities_and_no_timestamps(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+") as stream:
        status = os.fstat(stream.fileno())
        place = logs.configure(stream=stream, environ={"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert place.to_json() == {"kind": "journal", "path": None, "bytes": None}
        structlog.get_logger("codeindexd.test").error("two\nlines", root="/r")
        logging.getLogger("foreign").warning("mind")
        assert (tmp_path / "out").read_text() == "<3>two lines root=/r\n<4>mind\n"


def test_a_redirected_stderr_is_not_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+") as stream:
        place = logs.configure(stream=stream, environ={"JOURNAL_STREAM": "8:12345"})
        structlog.get_logger().info("hello")
        size = (tmp_path / "out").stat().st_size
        assert place.to_json() == {"kind": "file", "path": str(tmp_path / "out"), "bytes": size}
        assert not (tmp_path / "out").read_text().startswith("<")


def test_a_terminal_gets_colours() -> None:
    primary, secondary = pty.openpty()
    with os.fdopen(secondary, "w") as stream:
        place = logs.configure(stream=stream, environ={})
        assert place.to_json() == {"kind": "stderr", "path": None, "bytes": None}
        structlog.get_logger().info("hello")
        assert b"\x1b[" in os.read(primary, 1000)
    os.close(primary)


def _write_much(file: Path, stream: TextIO) -> None:
    logs.configure(stream=stream, file=file, environ={})
    log = structlog.get_logger()
    for _ in range(logs.FILE_BYTES * (logs.FILES_KEPT + 3) // 1800):
        log.info("much", text="x" * 1800)


@pytest.mark.parametrize("where", ["the file itself", "nowhere"])
def test_a_detached_daemon_writes_a_file_of_bounded_size(tmp_path: Path, where: str) -> None:
    file = tmp_path / "codeindexd.log"
    with (file if where == "the file itself" else Path(os.devnull)).open("a") as stream:
        _write_much(file, stream)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {"codeindexd.log", "codeindexd.log.1", "codeindexd.log.2"}
    assert max(sizes.values()) <= logs.FILE_BYTES


def test_a_stream_with_a_reader_is_used(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        logs.configure(stream=stream, file=tmp_path / "codeindexd.log", environ={})
        structlog.get_logger().info("hello")
    assert "hello" in (tmp_path / "out").read_text()
    assert not (tmp_path / "codeindexd.log").exists()


def test_unknown_formats_and_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="format"):
        logs.configure(format="xml")
    with pytest.raises(ValueError, match="level"):
        logs.configure(level="loud")
