"""The configuration: one frozen object, built at the edge from defaults, file, environment and command line."""

from __future__ import annotations

import difflib
import errno
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from codeindexd.errors import ConfigError

_ENV_PREFIX = "CODEINDEXD_"
_NO_SETTINGS = frozenset({"CODEINDEXD_EMBEDDING_API_KEY"})  # a secret: in no file, and printed by nobody
_MOST_BYTES = 1 << 20  # of a root's own file
_YEAR = 525_600  # minutes
_SHOWN = 80  # characters of a wrong value

# Every number has a lower and an upper bound: infinity is a number in TOML, and what is computed from it fails later.
Minutes = Annotated[float, msgspec.Meta(gt=0, le=_YEAR)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """How changes are noticed."""

    # A save touches a file two to four times within a few milliseconds; 20 ms swallows that and nobody feels it.
    debounce_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 20
    # A build that writes without a pause must not keep everything else waiting for longer than a glance.
    deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=600_000)] = 1000
    # Beyond this many paths, walking their parents costs less than remembering them. A guess.
    max_hints: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 10_000
    # The full walk that finds what no event told; 50,000 files take a quarter of a second, so hourly costs nothing.
    reconcile_minutes: Minutes = 60
    # Walk every half minute instead of listening; network and FUSE file systems are found out without this.
    poll: bool = False


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What is indexed."""

    # Larger sources are generated or data in every tree we looked at; parsing one costs a hundred times its size.
    max_file_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1 << 30)] = 2 << 20
    # About 150 lines: longer functions are cut, so that a hit still points somewhere. A guess.
    max_chunk_bytes: Annotated[int, msgspec.Meta(ge=256, le=1 << 20)] = 6000
    # Patterns of .gitignore syntax: only what matches one of these (empty: everything), and never what matches these.
    include: tuple[Name, ...] = ()
    exclude: tuple[Name, ...] = ()
    # Dot files are settings and caches far more often than code.
    hidden: bool = False
    # What git ignores was made by a machine and would drown the rest.
    gitignore: bool = True

    def narrowed(self, root: RootConfig) -> Index:
        """With a root's own patterns, which only ever leave out more: the file comes with the code, maybe a
        stranger's. Ours stand last, where they win over a negation there."""
        if not (root.include and self.include):
            include = root.include or self.include
            return msgspec.structs.replace(self, include=include, exclude=(*root.exclude, *self.exclude))
        both = [f"!{pattern}" for pattern in root.include]
        both += [f"!{pattern.rstrip('/')}/**" for pattern in root.include]
        return msgspec.structs.replace(self, exclude=("*", "!*/", *both, *root.exclude, *self.exclude))


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """The processes that read and parse. ``count`` 0: a single one, one file after the other, for debugging."""

    # As many as CPUs and the memory budget allow; they run at idle priority.
    count: Annotated[int, msgspec.Meta(ge=0, le=256)] | Literal["auto"] = "auto"
    # The lowest: bulk indexing must never be felt by the compiler or the editor beside it.
    nice: Annotated[int, msgspec.Meta(ge=0, le=19)] = 19


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What all processes may take together."""

    # Daemon 60 MB, two busy workers 160 MB each. More workers than this affords are not started.
    budget_mb: Annotated[int, msgspec.Meta(ge=64, le=100_000_000)] = 400


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """What the shared vector store may grow to; the vectors unused for longest go first."""

    # Four million vectors of 256 dimensions are 2 GB; ten keep every branch of every clone of most people.
    budget_gb: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 10


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """The embedding model: "bundled", a sentence-transformers name or directory, or the URL of an endpoint."""

    # Works offline at once, and fast enough to keep up with saves.
    model: Name = "bundled"
    # Chunks per call of a transformer or endpoint; larger batches won little on the CPU. A guess for accelerators.
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 32
    # "auto" takes an accelerator where there is one.
    device: Name = "auto"
    # A loaded transformer holds 400 MB and more; loading it again takes seconds. In less than the least it could be
    # gone again before the question it was loaded for.
    idle_unload_minutes: Annotated[float, msgspec.Meta(ge=0.1, le=_YEAR)] = 10


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults of answers."""

    # What fits on a screen.
    default_limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10


class Privacy(msgspec.Struct, frozen=True, kw_only=True):
    """What never reaches an index or an answer."""

    # Masked before tokenising and embedding, and again in snippets.
    mask_secrets: bool = True


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set; inner code gets values from it, never the environment."""

    watch: Watch = Watch()
    index: Index = Index()
    workers: Workers = Workers()
    memory: Memory = Memory()
    disk: Disk = Disk()
    embedding: Embedding = Embedding()
    search: Search = Search()
    privacy: Privacy = Privacy()


class RootConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A root's own ``.codeindex.toml``: it may narrow what is indexed and nothing else."""

    include: tuple[Name, ...] = ()
    exclude: tuple[Name, ...] = ()


def load(
    path: Path,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    *,
    required: bool = False,
) -> Config:
    """Defaults < file < ``CODEINDEXD_<SECTION>_<KEY>`` < ``overrides`` (``{"workers.count": 2}``).

    A missing file means defaults unless ``required``. Raises ConfigError naming file (or variable), key and what was
    expected.
    """
    document = _read(path, required=required)
    settings: dict[str, dict[str, Any]] = {}
    for section, keys in document.items():
        kind = _section(section, str(path))
        if not isinstance(keys, dict):
            raise ConfigError(f"{path}: {section} must be a table, not {_toml_type(keys)}", hint=f"Write [{section}].")
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
    if config.watch.deadline_ms < config.watch.debounce_ms:
        raise ConfigError(
            f"{path}: [watch] deadline_ms ({config.watch.deadline_ms}) is below debounce_ms "
            f"({config.watch.debounce_ms})",
            hint="The deadline bounds how long the debounce may be prolonged; make it the larger one.",
        )
    return config


def load_root_config(root: Path) -> RootConfig:
    """A root's ``.codeindex.toml``; empty when there is none. It is never followed through a symlink.

    Raises ConfigError naming the file, the key and what was expected: an error of that root only.
    """
    path = root / ".codeindex.toml"
    document = _parsed(path, _content_of(path))
    if isinstance(inner := document.get("index"), dict) and len(document) == 1:
        document = inner  # written as in config.toml
    fields = {}
    for key, value in document.items():
        elsewhere = key in _SECTIONS or any(key in _keys(section) for section in _SECTIONS.values())
        if elsewhere and key not in _keys(RootConfig):
            hint = "A root may set include and exclude; the rest belongs into config.toml."
            raise ConfigError(f"{path}: {key} cannot be set for one root", hint=hint)
        try:
            fields[key] = _value(RootConfig, key, value, f"{path}: {key}", strict=True)
        except ConfigError as error:  # its value is a stranger's text, maybe a secret: it is not repeated
            raise ConfigError(error.message.partition(", got ")[0], hint=error.hint) from None
    return RootConfig(**fields)


def to_toml(config: Config) -> str:
    """The configuration as a complete ``config.toml``."""
    lines = []
    for section in _SECTIONS:
        lines.append(f"[{section}]")
        values = msgspec.to_builtins(getattr(config, section))
        lines += [f"{key} = {msgspec.json.encode(value).decode('utf-8')}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)


# -- inside ----------------------------------------------------------------------------------------------------------

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
            raise ConfigError(f"{path} does not exist", hint="Give an existing file, or none for defaults.") from None
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="Check its permissions.") from error
    return _parsed(path, data)


def _content_of(path: Path) -> bytes:
    """A root's file: empty where there is none. No link is followed, no FIFO waited for, nothing huge read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as error:
        if error.errno == errno.ELOOP:
            hint = "Symbolic links are never followed; put the file there."
            raise ConfigError(f"{path} is a symbolic link", hint=hint) from None
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="Check its permissions.") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigError(f"{path} is no regular file", hint="Remove it, or put a file there.")
        data = os.read(descriptor, _MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="Check the disk.") from error
    finally:
        os.close(descriptor)
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{path} is larger than {_MOST_BYTES} bytes", hint="It holds a few patterns, no more.")
    return data


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", hint="TOML files are UTF-8.") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, and numbers of thousands of digits
        raise ConfigError(f"{path} is not TOML: {error}", hint="See https://toml.io for the syntax.") from error


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """(section, key, text, variable); variables of no section (CODEINDEXD_SOCKET) are not ours to judge."""
    found = []
    for variable, text in sorted(environ.items()):
        section, _, key = variable.removeprefix(_ENV_PREFIX).lower().partition("_")
        if variable.startswith(_ENV_PREFIX) and key and section in _SECTIONS and variable not in _NO_SETTINGS:
            found.append((section, key, text, variable))
    return found


def _keys(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _section(name: str, where: str) -> type[msgspec.Struct]:
    if name in _SECTIONS:
        return _SECTIONS[name]
    raise ConfigError(f"{where}: unknown section [{name}]", hint=_did_you_mean(name, _SECTIONS))


def _value(kind: type[msgspec.Struct], key: str, value: Any, where: str, *, strict: bool) -> Any:
    wanted = _keys(kind).get(key)
    if wanted is None:
        raise ConfigError(f"{where}: unknown key", hint=_did_you_mean(key, _keys(kind)))
    if not strict and isinstance(value, str) and key in {"include", "exclude"}:
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        if not strict and isinstance(value, str) and key == "count":
            value = msgspec.convert(value, int, strict=False) if value.isdecimal() else value  # a union would not be
        if isinstance(value, bool) and wanted is not bool:
            raise ConfigError(f"{where}: {_expected(kind, key)}, got a boolean", hint=_default_hint(kind, key))
        return msgspec.convert(value, wanted, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{where}: {_expected(kind, key)}, got {_toml_type(value)}: {_shown(value)}", hint=_default_hint(kind, key)
        ) from error


def _shown(value: Any) -> str:
    """The beginning of a wrong value."""
    try:
        text = repr(value)
    except ValueError:  # hexadecimal, of more digits than Python prints
        return "too long to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _expected(kind: type[msgspec.Struct], key: str) -> str:
    """ "expected a whole number from 1 to 10", out of the annotation that is also enforced."""
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
            return " or ".join(_describe(one) for one in info.types)
        case msgspec.inspect.LiteralType():
            return " or ".join(f'"{value}"' for value in info.values)
        case msgspec.inspect.VarTupleType():
            return "a list of strings"
    return "a string that is not empty"


def _default_hint(kind: type[msgspec.Struct], key: str) -> str:
    default = msgspec.json.encode(getattr(kind(), key)).decode("utf-8")
    return f"The default is {default}."


def _did_you_mean(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else f"Known are: {', '.join(known)}."


def _toml_type(value: Any) -> str:
    names = {bool: "a boolean", str: "a string", int: "a whole number", float: "a number", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "a date")
