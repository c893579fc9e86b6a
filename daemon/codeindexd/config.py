"""The configuration: a frozen object, built from defaults, file, environment and command line."""

from __future__ import annotations

import difflib
import errno
import os
import stat
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from codeindexd.errors import ConfigError

_ENV_PREFIX = "CODEINDEXD_"
_NOT_SETTINGS = frozenset({"CODEINDEXD_EMBEDDING_API_KEY"})  # a secret: never in a file, never printed
_MAX_ROOT_CONFIG_BYTES = 1 << 20
_YEAR_MINUTES = 525_600
_MAX_SHOWN_CHARS = 80  # of a wrong value

# Every number has bounds: infinity is a number in TOML, and would fail later, in arithmetic.
Minutes = Annotated[float, msgspec.Meta(gt=0, le=_YEAR_MINUTES)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Detection of changes."""

    # A save touches a file two to four times within a few milliseconds; 20 ms covers that and is not noticeable.
    debounce_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 20
    # A build that writes without pause must not delay other changes noticeably.
    deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=600_000)] = 1000
    # Beyond this many paths, scanning their parents costs less than keeping them. A guess.
    max_hints: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 10_000
    # The full walk that finds changes without an event. 50,000 files take 0.25 s, so an hourly walk costs nothing.
    reconcile_minutes: Minutes = 60
    # Linux has inotify, read directly; macOS has watchfiles. "poll" walks every 30 seconds instead of using events;
    # network and FUSE file systems are polled in any case.
    backend: Literal["auto", "inotify", "watchfiles", "poll"] = "auto"
    # Deprecated: use backend = "poll".
    poll: bool = False


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """Selection of what is indexed."""

    # Larger files were generated code or data in every tree we examined; parsing takes a hundred times their size in
    # memory.
    max_file_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1 << 30)] = 2 << 20
    # Most of a notebook is outputs; its cells may have max_file_bytes. Exact search does not read larger notebooks.
    max_notebook_bytes: Annotated[int, msgspec.Meta(ge=1024, le=32 << 20)] = 32 << 20
    # About 150 lines: longer functions are split, so that a hit still points to a place. A guess.
    max_chunk_bytes: Annotated[int, msgspec.Meta(ge=256, le=1 << 20)] = 6000
    # Patterns in .gitignore syntax: only files that match an include (none: all files), and none that match an exclude.
    include: tuple[Name, ...] = ()
    exclude: tuple[Name, ...] = ()
    # Hidden files are far more often settings and caches than code.
    hidden: bool = False
    # Files that git ignores are generated and would bury the rest.
    gitignore: bool = True

    def narrowed(self, root: RootConfig) -> Index:
        """Return these settings narrowed by the patterns in a root's own configuration.

        A root's configuration can only exclude more: it comes with the code, which may be a stranger's. The user's
        patterns come last, so that they override its negations.
        """
        if not (root.include and self.include):
            include = root.include or self.include
            return msgspec.structs.replace(self, include=include, exclude=(*root.exclude, *self.exclude))
        both = [f"!{pattern}" for pattern in root.include]
        both += [f"!{pattern.rstrip('/')}/**" for pattern in root.include]
        return msgspec.structs.replace(self, exclude=("*", "!*/", *both, *root.exclude, *self.exclude))


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """The processes that read and parse files. ``count`` 0 means a single one, one file after the other (debugging)."""

    # As many as the CPUs and the memory budget allow; they run at idle priority.
    count: Annotated[int, msgspec.Meta(ge=0, le=256)] | Literal["auto"] = "auto"
    # The lowest priority: bulk indexing must not slow down a compiler or an editor.
    nice: Annotated[int, msgspec.Meta(ge=0, le=19)] = 19


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Memory limits."""

    # For all processes: the daemon takes 60 MB, two busy workers 160 MB each. The budget limits the number of workers.
    budget_mb: Annotated[int, msgspec.Meta(ge=64, le=100_000_000)] = 400


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Disk limits."""

    # For the shared vector store, which has the vectors of transformers and endpoints; the least recently used are
    # deleted first. Two million vectors of 384 dimensions take 2 GB: enough for every branch of most users.
    budget_gb: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 10


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """The embedding model: "bundled", a sentence-transformers name or directory, or the URL of an endpoint."""

    # Works offline without a download, and is fast enough to keep up with saves.
    model: Name = "bundled"
    # Chunks per call of a transformer or endpoint; larger batches gained little on the CPU. A guess for accelerators.
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 32
    # "auto" uses an accelerator if there is one.
    device: Name = "auto"
    # A loaded transformer takes 400 MB or more; loading it again takes seconds. With less than the minimum, it could be
    # unloaded before the query for which it was loaded.
    idle_unload_minutes: Annotated[float, msgspec.Meta(ge=0.1, le=_YEAR_MINUTES)] = 10


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults for queries."""

    # As many as fit on a screen.
    default_limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10


class Privacy(msgspec.Struct, frozen=True, kw_only=True):
    """Content that never reaches an index or an answer."""

    # Secrets are masked before tokenising and embedding, and again in snippets.
    mask_secrets: bool = True


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Other code receives values from it, and does not read the environment."""

    watch: Watch = Watch()
    index: Index = Index()
    workers: Workers = Workers()
    memory: Memory = Memory()
    disk: Disk = Disk()
    embedding: Embedding = Embedding()
    search: Search = Search()
    privacy: Privacy = Privacy()


class RootConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a root's own ``.codeindex.toml``, which can only narrow what is indexed."""

    include: tuple[Name, ...] = ()
    exclude: tuple[Name, ...] = ()


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
    document = _read(path, required=required)
    settings: dict[str, dict[str, Any]] = {}
    for section, keys in document.items():
        kind = _section(section, str(path))
        if not isinstance(keys, dict):
            raise ConfigError(
                f"{path}: {section} must be a table, not {_toml_type(keys)}",
                hint=f"write [{section}] on its own line",
            )
        settings[section] = {
            key: _value(kind, key, value, f"{path}: [{section}] {key}", strict=True) for key, value in keys.items()
        }
    for section, key, text, variable in _from_environment(environ):
        value = _value(_section(section, variable), key, text, variable, strict=False)
        settings.setdefault(section, {})[key] = value
    for dotted, value in (overrides or {}).items():
        section, _, key = dotted.partition(".")
        value = _value(_section(section, dotted), key, value, f"command line: {dotted}", strict=False)
        settings.setdefault(section, {})[key] = value
    config = msgspec.convert(settings, Config)
    if config.watch.backend == "inotify" and sys.platform != "linux":
        raise ConfigError(f'{path}: [watch] backend = "inotify" works on Linux only', hint='write "auto" instead')
    if config.watch.deadline_ms < config.watch.debounce_ms:
        raise ConfigError(
            f"{path}: [watch] deadline_ms ({config.watch.deadline_ms}) is below debounce_ms "
            f"({config.watch.debounce_ms})",
            hint="changes wait for debounce_ms of quiet, but at most deadline_ms: raise deadline_ms",
        )
    return config


def load_root_config(root: Path) -> RootConfig:
    """Load the ``.codeindex.toml`` of a root; without that file, an empty configuration. Symlinks are not followed.

    Raises ConfigError, which names the file, the key and what was expected, but does not quote the value.
    """
    path = root / ".codeindex.toml"
    document = _parsed(path, _content_of(path))
    if isinstance(inner := document.get("index"), dict) and len(document) == 1:
        document = inner  # the keys may be in a section, as in config.toml
    fields = {}
    for key, value in document.items():
        is_global = key in _SECTIONS or any(key in _keys(section) for section in _SECTIONS.values())
        if is_global and key not in _keys(RootConfig):
            hint = "a root can set only include and exclude; put other settings into config.toml"
            raise ConfigError(f"{path}: {key} cannot be set for one root", hint=hint)
        try:
            fields[key] = _value(RootConfig, key, value, f"{path}: {key}", strict=True)
        except ConfigError as error:  # the value is a stranger's text, maybe a secret, and must not be quoted
            raise ConfigError(error.message.partition(", got ")[0], hint=error.hint) from None
    return RootConfig(**fields)


def to_toml(config: Config) -> str:
    """Return the configuration as a complete ``config.toml``."""
    lines = []
    for section in _SECTIONS:
        lines.append(f"[{section}]")
        values = msgspec.to_builtins(getattr(config, section))
        if not values.get("poll", True):
            del values["poll"]  # deprecated: shown only if it is set
        lines += [f"{key} = {msgspec.json.encode(value).decode('utf-8')}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)


# -- helpers ---------------------------------------------------------------------------------------------------------

_SECTIONS: Mapping[str, type[msgspec.Struct]] = {
    "watch": Watch,
    "index": Index,
    "workers": Workers,
    "memory": Memory,
    "disk": Disk,
    "embedding": Embedding,
    "search": Search,
    "privacy": Privacy,
}


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if required:
            raise ConfigError(
                f"{path} does not exist", hint="name an existing file, or leave out --config for the defaults"
            ) from None
        return {}
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
    return _parsed(path, data)


def _content_of(path: Path) -> bytes:
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


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", hint="convert it to UTF-8") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, and numbers of thousands of digits
        raise ConfigError(f"{path} is not TOML: {error}", hint="see https://toml.io for the syntax") from error


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return (section, key, text, variable) of each setting; variables such as CODEINDEXD_SOCKET are no settings."""
    found = []
    for variable, text in sorted(environ.items()):
        section, _, key = variable.removeprefix(_ENV_PREFIX).lower().partition("_")
        if variable.startswith(_ENV_PREFIX) and key and section in _SECTIONS and variable not in _NOT_SETTINGS:
            found.append((section, key, text, variable))
    return found


def _keys(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _section(name: str, where: str) -> type[msgspec.Struct]:
    if name in _SECTIONS:
        return _SECTIONS[name]
    raise ConfigError(f"{where}: unknown section [{name}]", hint=_did_you_mean(name, _SECTIONS))


def _value(kind: type[msgspec.Struct], key: str, value: Any, where: str, *, strict: bool) -> Any:
    """Return ``value`` as the type of ``key`` in the section ``kind``. Raises ConfigError, which begins with ``where``.

    Unless ``strict``, strings are converted, as they come from variables and the command line.
    """
    wanted = _keys(kind).get(key)
    if wanted is None:
        raise ConfigError(f"{where}: unknown key", hint=_did_you_mean(key, _keys(kind)))
    if not strict and isinstance(value, str) and key in {"include", "exclude"}:
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        if not strict and isinstance(value, str) and key == "count":
            # msgspec does not convert strings to the members of a union
            value = msgspec.convert(value, int, strict=False) if value.isdecimal() else value
        if isinstance(value, bool) and wanted is not bool:
            raise ConfigError(f"{where}: {_expected(kind, key)}, got a boolean", hint=_default_hint(kind, key))
        return msgspec.convert(value, wanted, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{where}: {_expected(kind, key)}, got {_toml_type(value)}: {_shown(value)}", hint=_default_hint(kind, key)
        ) from error


def _shown(value: Any) -> str:
    """Return a wrong value for an error message, truncated if it is long."""
    try:
        text = repr(value)
    except ValueError:  # a hexadecimal number with more digits than Python prints
        return "too long to show"
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}..."


def _expected(kind: type[msgspec.Struct], key: str) -> str:
    """Return, for example, "expected a whole number from 1 to 10", derived from the annotation of ``key``."""
    info = msgspec.inspect.type_info(_keys(kind)[key])
    return f"expected {_describe(info)}"


def _describe(info: msgspec.inspect.Type) -> str:
    match info:
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            noun = "a whole number" if isinstance(info, msgspec.inspect.IntType) else "a number"
            if info.ge is not None and info.le is not None:
                return f"{noun} from {info.ge} to {info.le}"
            return f"{noun} above {info.gt}, at most {info.le}"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.UnionType():
            return " or ".join(_describe(member) for member in info.types)
        case msgspec.inspect.LiteralType():
            return " or ".join(f'"{value}"' for value in info.values)
        case msgspec.inspect.VarTupleType():
            return "a list of strings"
    return "a string that is not empty"


def _default_hint(kind: type[msgspec.Struct], key: str) -> str:
    default = msgspec.json.encode(getattr(kind(), key)).decode("utf-8")
    return f"the default is {default}"


def _did_you_mean(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known names are: {', '.join(known)}"


def _toml_type(value: Any) -> str:
    names = {bool: "a boolean", str: "a string", int: "a whole number", float: "a number", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "a date")
