"""Reads the configuration from its sources: defaults, file, environment, command line. Every mistake is named."""

from __future__ import annotations

import difflib
import errno
import os
import select
import stat
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from codeindexd.config.settings import (
    SECTIONS,
    Config,
    RootConfig,
    default_text,
    expected,
    keys_of,
)
from codeindexd.errors import ConfigError

ROOT_CONFIG = ".codeindex.toml"
_ENV_PREFIX = "CODEINDEXD_"
_NOT_SETTINGS = frozenset({"CODEINDEXD_EMBEDDING_API_KEY"})  # a secret: never in a file, never printed
_MAX_ROOT_CONFIG_BYTES = 1 << 20
_PIPE_S = 5.0  # without a byte
_MAX_SHOWN_CHARS = 80  # of a wrong value


class ValueSource(Struct, frozen=True):
    """Where a value comes from: ``name`` is a file, a variable or "command line"; ``line`` counts from 1, 0 if none."""

    name: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.line}" if self.line else self.name


class ConfigProblem(Struct, frozen=True):
    """A mistake: ``where`` it is, ``what`` is wrong (with the key), and a ``hint`` what to do."""

    where: ValueSource
    what: str
    hint: str

    @property
    def error(self) -> ConfigError:
        """The mistake as an exception."""
        return ConfigError(f"{self.where.name}: {self.what}", hint=self.hint)


class ExaminedConfig(Struct):
    """What all sources say. Where they are wrong, ``config`` has the value of the next source, or the default.

    ``sources`` tells by (section, key) where a value comes from; settings without an entry have their defaults.
    """

    config: Config = field(default_factory=Config)
    sources: dict[tuple[str, str], ValueSource] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)


def load(
    path: Path,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    *,
    required: bool = False,
) -> Config:
    """Load the configuration: defaults < file < ``CODEINDEXD_<SECTION>_<KEY>`` < ``overrides``.

    The keys of ``overrides`` are dotted: ``{"workers.count": 2}``. A missing file means defaults, unless it is
    ``required``. Raises ConfigError, which names the file or variable, the key and what was expected.
    """
    examined = examine(path, environ, overrides, required=required)
    if examined.problems:
        raise examined.problems[0].error
    return examined.config


def examine(
    path: Path,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    *,
    required: bool = False,
) -> ExaminedConfig:
    """Read all sources as :func:`load` does; return every problem instead of raising the first.

    Raises ConfigError if the file cannot be read or is not TOML.
    """
    text = _text_of(path, _content_of(path, required=required))
    settings: dict[str, dict[str, Any]] = {}
    examined = ExaminedConfig()
    given = [
        *_from_file(path, text, examined.problems),
        *_from_environment(environ),
        *_from_command_line(overrides or {}),
    ]
    for setting in given:
        try:
            value = _value(_section(setting.section), setting.key, setting.value, strict=setting.is_strict)
        except _WrongError as error:
            examined.problems.append(ConfigProblem(setting.source, f"{setting.label}{error.what}", error.hint))
        else:
            settings.setdefault(setting.section, {})[setting.key] = value
            examined.sources[setting.section, setting.key] = setting.source
    examined.config = msgspec.convert(settings, Config)
    examined.problems += _contradictions(path, examined)
    return examined


class _Given(Struct, frozen=True):
    """A setting as a source has it. ``label`` names it in messages; unless ``is_strict``, strings are converted."""

    section: str
    key: str
    value: Any
    source: ValueSource
    label: str
    is_strict: bool = False


def _from_file(path: Path, text: str, problems: list[ConfigProblem]) -> Iterator[_Given]:
    """Yield the settings of a file; add what is wrong with its sections to ``problems``."""
    for section, keys in _parsed(path, text).items():
        source = ValueSource(str(path), line_of(text, section))
        if section not in SECTIONS:
            wrong = _unknown_section(section) if isinstance(keys, dict) else _key_without_section(section)
            problems.append(ConfigProblem(source, wrong.what, wrong.hint))
        elif not isinstance(keys, dict):
            what = f"{section} must be a table, not {_toml_type(keys)}"
            problems.append(ConfigProblem(source, what, f"write [{section}] on its own line"))
        else:
            for key, value in keys.items():
                source = ValueSource(str(path), line_of(text, section, key))
                yield _Given(section, key, value, source, f"[{section}] {key}: ", is_strict=True)


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    """Yield the settings in variables; those such as CODEINDEXD_SOCKET are not settings."""
    for variable, text in sorted(environ.items()):
        section, _, key = variable.removeprefix(_ENV_PREFIX).lower().partition("_")
        if variable.startswith(_ENV_PREFIX) and key and section in SECTIONS and variable not in _NOT_SETTINGS:
            yield _Given(section, key, text, ValueSource(variable), "")


def _from_command_line(overrides: Mapping[str, Any]) -> Iterator[_Given]:
    for dotted, value in overrides.items():
        section, _, key = dotted.partition(".")
        yield _Given(section, key, value, ValueSource("command line"), f"{dotted}: ")


def _contradictions(path: Path, examined: ExaminedConfig) -> Iterator[ConfigProblem]:
    """Yield problems of settings that are valid alone, but not together or not on this system."""
    watch = examined.config.watch
    if watch.backend == "inotify" and sys.platform != "linux":
        where = examined.sources["watch", "backend"]
        yield ConfigProblem(where, '[watch] backend = "inotify" works on Linux only', 'write "auto" instead')
    if watch.deadline_ms < watch.debounce_ms:
        where = examined.sources.get(("watch", "deadline_ms")) or examined.sources.get(("watch", "debounce_ms"))
        what = f"[watch] deadline_ms ({watch.deadline_ms}) is below debounce_ms ({watch.debounce_ms})"
        hint = "changes wait for debounce_ms of quiet, but at most deadline_ms: raise deadline_ms"
        yield ConfigProblem(where or ValueSource(str(path)), what, hint)


def line_of(text: str, section: str, key: str = "") -> int:
    """Return the number of the line, from 1, at which a section or one of its keys begins in TOML; 0 if there is none.

    A line counts only if what precedes it is complete, so that no line within a value of several lines is meant.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines):
        if (key or section) in line:
            before, after = ("\n".join(lines[:end]) for end in (number, number + 1))
            if _has(before, section, key) is False and _has(after, section, key) is not False:
                return number + 1
    return 0


def _has(text: str, section: str, key: str) -> bool | None:
    """Return whether TOML text has a key, or without one a section; None if the text is not complete."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
    if section not in document:
        return False
    return not key or (isinstance(document[section], dict) and key in document[section])


def load_root_config(root: Path) -> RootConfig:
    """Load the ``.codeindex.toml`` of a root; without that file, an empty configuration. Symlinks are not followed.

    Raises ConfigError, which names the file, the key and what was expected, but does not quote the value.
    """
    path = root / ROOT_CONFIG
    document = _parsed(path, _text_of(path, _content_of_root_file(path)))
    if isinstance(inner := document.get("index"), dict) and len(document) == 1:
        document = inner  # the keys may be in a section, as in config.toml
    fields = {}
    for key, value in document.items():
        is_global = key in SECTIONS or any(key in keys_of(section) for section in SECTIONS.values())
        if is_global and key not in keys_of(RootConfig):
            hint = "a root can set only include and exclude; put other settings into config.toml"
            raise ConfigError(f"{path}: {key} cannot be set for one root", hint=hint)
        try:
            fields[key] = _value(RootConfig, key, value, strict=True)
        except _WrongError as error:  # the value is a stranger's text, maybe a secret, and must not be quoted
            what = error.what.partition(", got ")[0]
            raise ConfigError(f"{path}: {key}: {what}", hint=error.hint) from None
    return RootConfig(**fields)


# helpers


class _WrongError(Exception):
    """A setting is wrong: ``what`` is, and a ``hint`` what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def _content_of(path: Path, *, required: bool) -> bytes:
    """Return the content of the user's file, b"" if there is none and it is not ``required``. Raises ConfigError.

    A pipe is read to its end, unless nothing is written to it for five seconds.
    """
    try:
        return _content_of_pipe(path) if path.is_fifo() else path.read_bytes()
    except FileNotFoundError:
        if not required:
            return b""
        hint = "name an existing file, or leave out --config for the defaults"
        raise ConfigError(f"{path} does not exist", hint=hint) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a directory", hint="replace it by a file, or remove it") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error


def _content_of_pipe(path: Path) -> bytes:
    """Return what is written to a pipe until it is closed. Raises OSError, and ConfigError if nothing comes."""
    data = b""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while select.select([descriptor], [], [], _PIPE_S)[0]:
            part = os.read(descriptor, 1 << 16)
            if not part:
                return data
            data += part
    finally:
        os.close(descriptor)
    raise ConfigError(f"{path} is a pipe, and nothing was written to it for {_PIPE_S:g} s", hint="name a file instead")


def _content_of_root_file(path: Path) -> bytes:
    """Return the content of a root's file, b"" if there is none. Does not follow symlinks. Raises ConfigError.

    Does not block on a FIFO, nor read a huge file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as error:
        if error.errno == errno.ELOOP:
            hint = "symbolic links are not followed: replace it by a file"
            raise ConfigError(f"{path} is a symbolic link", hint=hint) from None
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigError(f"{path} is not a regular file", hint="remove it, or replace it by a file")
        data = os.read(descriptor, _MAX_ROOT_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check the disk") from error
    finally:
        os.close(descriptor)
    if len(data) > _MAX_ROOT_CONFIG_BYTES:
        raise ConfigError(
            f"{path} is larger than {_MAX_ROOT_CONFIG_BYTES} bytes", hint="keep only include and exclude patterns in it"
        )
    return data


def _text_of(path: Path, data: bytes) -> str:
    """Return the text of a file, without the byte order mark that some editors write. Raises ConfigError."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", hint="convert it to UTF-8") from error


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, and numbers of thousands of digits
        raise ConfigError(f"{path} is not TOML: {error}", hint="see https://toml.io for the syntax") from error


def _section(name: str) -> type[msgspec.Struct]:
    if name in SECTIONS:
        return SECTIONS[name]
    raise _unknown_section(name)


def _unknown_section(name: str) -> _WrongError:
    return _WrongError(f"unknown section [{name}]", _did_you_mean(name, SECTIONS))


def _key_without_section(key: str) -> _WrongError:
    sections = [section for section, kind in SECTIONS.items() if key in keys_of(kind)]
    names = [f"[{section}]" for section in sections or SECTIONS]
    return _WrongError(f"{key} is in no section", f"write it below its section: {', '.join(names)}")


def _value(kind: type[msgspec.Struct], key: str, value: Any, *, strict: bool) -> Any:
    """Return ``value`` as the type of ``key`` in the section ``kind``. Raises _WrongError.

    Unless ``strict``, strings are converted, as they come from variables and the command line.
    """
    wanted = keys_of(kind).get(key)
    if wanted is None:
        raise _WrongError("unknown key", _did_you_mean(key, keys_of(kind)))
    if not strict and isinstance(value, str) and key in {"include", "exclude", "branches"}:
        value = [part.strip() for part in value.split(",") if part.strip()]
    hint = f"the default is {default_text(kind, key)}"
    try:
        if not strict and isinstance(value, str) and key == "count":
            # msgspec does not convert strings to the members of a union
            value = msgspec.convert(value, int, strict=False) if value.isdecimal() else value
        if isinstance(value, bool) and wanted is not bool:
            raise _WrongError(f"expected {expected(kind, key)}, got a boolean", hint)
        return msgspec.convert(value, wanted, strict=strict)
    except msgspec.ValidationError as error:
        got = f"{_toml_type(value)}: {_shown(value)}"
        raise _WrongError(f"expected {expected(kind, key)}, got {got}", hint) from error


def _shown(value: Any) -> str:
    """Return a wrong value for an error message, truncated if it is long."""
    try:
        text = repr(value)
    except ValueError:  # a hexadecimal number with more digits than Python prints
        return "too long to show"
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}..."


def _did_you_mean(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known names are: {', '.join(known)}"


def _toml_type(value: Any) -> str:
    names = {bool: "a boolean", str: "a string", int: "a whole number", float: "a number", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "a date")
