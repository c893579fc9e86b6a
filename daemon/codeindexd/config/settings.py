"""The settings: their types, bounds and defaults, and why the defaults are what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

_YEAR_MINUTES = 525_600

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
    # network and FUSE file systems are always polled.
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


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The commits of git repositories, which are searchable along with the code."""

    # Reading a history takes two minutes of a core for 35,000 commits, at idle priority, once.
    enabled: bool = True
    # Only the newest ones: about 110 MB on disk. The whole of Linux would take an hour of a core, and 1.5 GB.
    max_commits: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 100_000
    # Patterns for branches whose commits are searchable too, such as "release/*" or "origin/main"; HEAD always is.
    branches: tuple[Name, ...] = ()


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
    history: History = History()
    privacy: Privacy = Privacy()


class RootConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a root's own ``.codeindex.toml``, which can only narrow what is indexed."""

    include: tuple[Name, ...] = ()
    exclude: tuple[Name, ...] = ()


SECTIONS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "watch": Watch,
    "index": Index,
    "workers": Workers,
    "memory": Memory,
    "disk": Disk,
    "embedding": Embedding,
    "search": Search,
    "history": History,
    "privacy": Privacy,
}
DEPRECATED: Final = frozenset({("watch", "poll")})
"""Settings that still work, and are shown only where they are set."""


def keys_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the keys of a section with their types."""
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def expected(kind: type[msgspec.Struct], key: str) -> str:
    """Return, for example, "a whole number from 1 to 10", derived from the annotation of ``key``."""
    return _describe(msgspec.inspect.type_info(keys_of(kind)[key]))


def default_text(kind: type[msgspec.Struct], key: str) -> str:
    """Return the default of a setting as it is written in TOML."""
    return toml_value(getattr(kind(), key))


def toml_value(value: Any) -> str:
    """Return a value as it is written in TOML."""
    return msgspec.json.encode(value).decode("utf-8")


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
            return "a list of strings that are not empty"
    return "a string that is not empty"
