"""The list of roots, in a small file in the state directory and a copy of it."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import xxhash

from codeindexd.errors import FailedError, PathRefusedError, StoreFullError
from codeindexd.storage.durable import replace_file

log = structlog.get_logger(__name__)
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class RootSpec:
    """What is remembered about a root across restarts: its id, its path, and the identity of its directory."""

    id: str
    path: Path
    device: int
    inode: int

    @property
    def raw(self) -> bytes:
        """The path as bytes."""
        return os.fsencode(self.path)

    def clock(self, generation: int) -> str:
        """Return the root's part of a clock."""
        return f"{self.id}:{generation}"


@dataclass(frozen=True, slots=True)
class Admission:
    """The result of adding a path: a root to start, or one that covers the path already."""

    spec: RootSpec
    covered: bool


class Registry:
    """The list of roots on disk, in two copies, since nothing else could restore it.

    Each is replaced atomically and has a checksum and a serial number; the newest undamaged one is used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copy = path.with_stem(f"{path.stem}-copy")
        self._serial = 0
        self.lost = False  # there was a list, and no copy of it could be read

    def load(self) -> list[RootSpec]:
        """Return the roots of the last run. A damaged file is renamed, never overwritten.

        Raises FailedError when a file cannot be read or renamed: starting without it would forget every root.
        """
        readable: list[tuple[int, list[RootSpec], Path]] = []
        for path in (self._path, self._copy):
            try:
                path.with_name(path.name + ".new").unlink(missing_ok=True)  # a kill in the middle of a save
                readable.append((*_parse(path.read_bytes()), path))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise FailedError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.lost = True
                _set_aside(path, error)
        if not readable:
            if self.lost:
                log.error("root_list_lost", hint="add the roots again")
            return []
        self.lost = False
        self._serial, specs, source = max(readable, key=lambda one: one[0])
        if source == self._copy:
            log.warning("root_list_read_from_copy", roots=len(specs), copy=str(source))
        if [serial for serial, _, _ in readable] != [self._serial] * 2:
            self._restore(specs)  # while one of them is still undamaged
        return specs

    def _restore(self, specs: Sequence[RootSpec]) -> None:
        try:
            self.save(specs)
        except StoreFullError as error:  # one of them is undamaged, and the next start tries again
            log.warning("root_list_not_restored", error=error.message)

    def save(self, specs: Iterable[RootSpec]) -> None:
        """Replace the list. Raises StoreFullError; the old list is unchanged then."""
        body = {
            "format": _FORMAT,
            "serial": self._serial + 1,
            "roots": [
                {"id": spec.id, "path": str(spec.path), "device": spec.device, "inode": spec.inode} for spec in specs
            ],
        }
        text = (json.dumps({**body, "checksum": _checksum(body)}, indent=1) + "\n").encode()
        try:
            replace_file(self._path, text)
        except OSError as error:
            raise StoreFullError(
                f"cannot write {self._path}: {error.strerror}", hint="free some space, then add the root again"
            ) from error
        self._serial += 1
        try:
            replace_file(self._copy, text)
        except OSError as error:
            log.warning("root_list_not_copied", error=str(error))


def _parse(content: bytes) -> tuple[int, list[RootSpec]]:
    """Return the serial number (0 in the first format, which also had no checksum) and the roots."""
    document = json.loads(content)
    if document["format"] != 1 and document.pop("checksum") != _checksum(document):
        raise ValueError("it does not match its checksum")
    roots = [
        RootSpec(root["id"], Path(root["path"]), int(root["device"]), int(root["inode"])) for root in document["roots"]
    ]
    return int(document.get("serial", 0)), roots


def _checksum(body: dict[str, Any]) -> str:
    return xxhash.xxh3_64_hexdigest(json.dumps(body, sort_keys=True).encode())


def _set_aside(path: Path, error: Exception) -> None:
    aside = path.with_suffix(f".broken-{int(time.time())}")
    try:
        path.rename(aside)
    except OSError as refused:
        raise FailedError(f"{path} is damaged: {error}", hint=f"move it away: mv {path} {aside}") from refused
    log.warning("root_list_broken", kept_as=str(aside), error=str(error))


def admit(
    path: Path,
    existing: Sequence[RootSpec],
    *,
    force: bool,
    home: Path,
    indexes: Callable[[RootSpec, bytes], bool] = lambda spec, below: True,
) -> Admission:
    """Return what adding ``path`` (absolute) means.

    ``indexes`` says whether a root's rules index the directory at a path below it; only then it covers that directory.
    Raises PathRefusedError for a path that cannot or should not be a root; ``force`` allows the home directory and
    ``/``.
    """
    try:
        resolved = Path(os.path.realpath(path, strict=True))  # resolve() raises RuntimeError for a loop
        status = resolved.stat()
    except FileNotFoundError:
        raise PathRefusedError(f"{path} does not exist", hint="give the path of a directory") from None
    except OSError as error:
        raise PathRefusedError(f"{path}: {error.strerror}", hint="check the path and its permissions") from error
    if not resolved.is_dir():
        raise PathRefusedError(f"{path} is not a directory", hint=f"add its directory: codeindex add {resolved.parent}")
    if not os.access(resolved, os.R_OK | os.X_OK):
        raise PathRefusedError(f"{path} cannot be read", hint=f"give yourself access: chmod u+rx {resolved}")
    for spec, below in containing(resolved, existing):
        if not below or indexes(spec, below):
            return Admission(spec, covered=True)
    if not force and (resolved == home.resolve() or resolved == Path(resolved.anchor)):
        raise PathRefusedError(
            f"{resolved} holds far more than code",
            hint="add the directories of your projects, or use --force",
        )
    spec = RootSpec(str(uuid.uuid4()), resolved, status.st_dev, status.st_ino)
    return Admission(spec, covered=False)


def inside(spec: RootSpec, existing: Sequence[RootSpec]) -> tuple[RootSpec, ...]:
    """Return the roots among ``existing`` that lie inside the root ``spec``."""
    return tuple(other for other in existing if spec.path in other.path.parents)


def containing(path: Path, specs: Sequence[RootSpec]) -> list[tuple[RootSpec, bytes]]:
    """Return the roots that ``path`` (absolute, not necessarily existing) lies in, each with the path below it.

    The innermost comes first; those that contain only the resolved path follow those that contain it as it is written.
    """
    found: dict[str, tuple[RootSpec, bytes]] = {}
    for candidate in (path, Path(os.path.realpath(path))):
        around = [spec for spec in specs if candidate == spec.path or spec.path in candidate.parents]
        for spec in sorted(around, key=lambda spec: len(spec.path.parts), reverse=True):
            relative = candidate.relative_to(spec.path)
            found.setdefault(f"{spec.id}:{relative}", (spec, os.fsencode(relative) if relative.parts else b""))
    return list(found.values())
