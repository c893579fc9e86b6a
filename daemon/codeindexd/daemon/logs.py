"""The destination and format of log lines: the journal, a terminal, a pipe, or a file of bounded size.

Events have a fixed name and fields. Fields are names, counts and times, never a file's content. Long values are
truncated, and exceptions are logged without the values of variables.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import logging.handlers
import os
import stat
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import structlog
from msgspec import Struct
from structlog.typing import EventDict, Processor, WrappedLogger

FILE_BYTES = 4 << 20
FILES_KEPT = 2
_LONGEST_VALUE = 2000
_FRAMES = 6
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_CHATTY = ("watchfiles", "httpx", "httpcore", "asyncio", "sentence_transformers", "transformers")


class LogKind(enum.StrEnum):
    """The kind of a log's destination; ``status`` reports it."""

    JOURNAL = "journal"
    FILE = "file"
    STDERR = "stderr"  # of a terminal or a pipe


class LogDestination(Struct, frozen=True):
    """Where log lines go; ``path`` is the log file, None for other kinds."""

    kind: LogKind
    path: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return the destination for ``status``. ``bytes`` is the size of the log file including its rotated files."""
        if self.kind is not LogKind.FILE or self.path is None:
            return {"kind": self.kind.value, "path": None, "bytes": None}
        files = (self.path, *(self.path.with_name(f"{self.path.name}.{n + 1}") for n in range(FILES_KEPT)))
        total = 0
        for file in files:
            with contextlib.suppress(OSError):
                total += file.stat().st_size
        return {"kind": self.kind.value, "path": str(self.path), "bytes": total}


def configure(
    *,
    format: str = "auto",  # noqa: A002 - as the command line calls it
    level: str = "info",
    file: Path | None = None,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> LogDestination:
    """Send the log lines of structlog and of the standard library to one destination, and return it.

    Call it once, at the start. ``stream`` is stderr by default.

    ``format`` is ``json``, ``console`` (with colours on a terminal, otherwise plain) or ``auto``. With ``auto``, lines
    are formatted for the journal if ``stream`` is connected to it. They go to ``file``, which is rotated, if ``stream``
    is /dev/null or that very file (a detached daemon). Otherwise ``auto`` equals ``console``. Raises ValueError for an
    unknown format or level.
    """
    if format not in ("auto", "console", "json"):
        raise ValueError(f"unknown log format {format!r}")
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"unknown log level {level!r}")
    target = stream if stream is not None else sys.stderr
    journal = format == "auto" and _is_journal(target, environ)
    handler: logging.Handler = logging.StreamHandler(target)
    destination = LogDestination(LogKind.JOURNAL if journal else LogKind.STDERR, _file_of(target))
    if format == "auto" and file is not None and not journal and _is_null_or_file(target, file):
        handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", errors="surrogateescape", delay=True
        )
        destination = LogDestination(LogKind.FILE, file)
    elif destination.kind is LogKind.STDERR and destination.path is not None:
        destination = LogDestination(LogKind.FILE, destination.path)
    handler.setFormatter(_formatter(format, journal=journal, colours=_is_terminal(target)))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,  # costs microseconds a line, and lets tests configure it again
    )
    return destination


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _compact_exception,
        _decode_paths,
        _shorten,
    ]


def _formatter(format: str, *, journal: bool, colours: bool) -> logging.Formatter:  # noqa: A002
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    render: list[Processor]
    if format == "json":
        render = [stamp, structlog.processors.JSONRenderer(ensure_ascii=True)]
    elif journal:
        render = [_JournalRenderer()]
    elif colours:
        render = [structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False), structlog.dev.ConsoleRenderer()]
    else:
        render = [stamp, _render_plain]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )


# the content of a line


def _compact_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the exception by one line: its type, its message and the innermost frames."""
    info = event.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else None
    if error is None and info is True:
        error = sys.exc_info()[1]
    if error is not None:
        event["exception"] = describe(error)
    return event


def describe(error: BaseException) -> str:
    """Return ``ValueError: what (inner.py:10 in f < outer.py:20 in g)``, followed by the cause or a group's members."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in reversed(frames))
    text = f"{type(error).__name__}: {error}" + (f" ({places})" if places else "")
    if isinstance(error, BaseExceptionGroup):
        text += "".join(f" [{describe(member)}]" for member in error.exceptions)
    elif error.__cause__ is not None:
        text += f" because of {describe(error.__cause__)}"
    return text


def _decode_paths(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace paths as the daemon keeps them, which are bytes, by text."""
    for key, value in event.items():
        if isinstance(value, bytes):
            event[key] = os.fsdecode(value)
    return event


def _shorten(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str) and len(value) > _LONGEST_VALUE:
            event[key] = f"{value[:_LONGEST_VALUE]}... ({len(value)} characters)"
    return event


def _values(event: EventDict) -> str:
    return "".join(f" {key}={_quoted(value)}" for key, value in event.items())


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    plain = text.isprintable() and not any(character in text for character in ' "=')
    return text if plain and text else '"' + ascii(text)[1:-1].replace('"', '\\"') + '"'


def _render_plain(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    stamp, level, name = event.pop("timestamp"), event.pop("level"), event.pop("logger", "")
    message = " ".join(str(event.pop("event")).split())
    return f"{stamp} {level:<7} {message}{_values(event)} logger={name}"


class _JournalRenderer:
    """Renders one line per event, after its priority (sd-daemon(3)); the journal adds the time and the unit."""

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        priority = _PRIORITIES.get(event.pop("level", "info"), 5)
        event.pop("logger", None)
        message = " ".join(str(event.pop("event")).split())
        return f"<{priority}>{message}{_values(event)}"


# the destination of the lines


def _file_of(stream: TextIO) -> Path | None:
    """Return the path of the regular file that ``stream`` writes to; None if it is none, or the path is unknown."""
    status = _status(stream)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    with contextlib.suppress(OSError, ValueError):
        path = Path(f"/proc/self/fd/{stream.fileno()}").readlink()
        return path if path.exists() else None
    return None


def _status(stream: TextIO) -> os.stat_result | None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.fstat(stream.fileno())
    return None


def _is_terminal(stream: TextIO) -> bool:
    with contextlib.suppress(ValueError, AttributeError):
        return stream.isatty()
    return False


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return True if JOURNAL_STREAM names this very stream; it stays set if stderr is redirected."""
    status = _status(stream)
    return status is not None and environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _is_null_or_file(stream: TextIO, file: Path) -> bool:
    """Return True if ``stream`` writes to /dev/null or to ``file``."""
    status = _status(stream)
    if status is None:
        return False
    with contextlib.suppress(OSError):
        null = Path(os.devnull).stat()
        if status.st_rdev == null.st_rdev and status.st_ino == null.st_ino:
            return True
    with contextlib.suppress(OSError):
        same = file.stat()
        return (status.st_dev, status.st_ino) == (same.st_dev, same.st_ino)
    return False
