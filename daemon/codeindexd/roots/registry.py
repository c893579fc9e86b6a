"""The list of roots: a small file in the state directory, and a copy of it."""

from __future__ import annotations

import json
import os
import shlex
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
import xxhash
from msgspec import Struct

from codeindexd.errors import FailedError, PathRefusedError, StoreFullError
from codeindexd.scan.kernel_files import kernel_devices
from codeindexd.storage.durable import replace_file

log = structlog.get_logger(__name__)
_FORMAT = 2


class RootSpec(Struct, frozen=True):
    """The identity of a root, which survives restarts: its id, its path, and the device and inode of its directory."""

    id: str
    path: Path
    device: int
    inode: int

    @property
    def raw(self) -> bytes:
        """The path as bytes."""
        return os.fsencode(self.path)

    def clock(self, generation: int) -> str:
        """Return the root's part of a clock at ``generation``."""
        return f"{self.id}:{generation}"


class Admission(Struct, frozen=True):
    """The result of adding a path: ``spec`` is a new root, or if ``covered``, an existing one that covers the path."""

    spec: RootSpec
    covered: bool


class Registry:
    """The list of roots on disk, in two copies because nothing else could restore it.

    Each copy is replaced atomically and has a checksum and a serial number; the newest undamaged one is used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copy = path.with_stem(f"{path.stem}-copy")
        self._serial = 0
        self.is_lost = False  # whether a list existed, but no copy of it was intact

    def load(self) -> list[RootSpec]:
        """Return the saved roots. A damaged file is renamed, never overwritten.

        Raises FailedError if a file cannot be read or renamed: starting without it would forget every root.
        """
        readable: list[tuple[int, list[RootSpec], Path]] = []
        for path in (self._path, self._copy):
            try:
                path.with_name(path.name + ".new").unlink(missing_ok=True)  # left by a kill during a save
                readable.append((*_parse(path.read_bytes()), path))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise FailedError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.is_lost = True
                _set_aside(path, error)
        if not readable:
            if self.is_lost:
                log.error("root_list_lost", hint="add the roots again")
            return []
        self.is_lost = False
        self._serial, specs, source = max(readable, key=lambda parsed: parsed[0])
        if source == self._copy:
            log.warning("root_list_read_from_copy", roots=len(specs), copy=str(source))
        if [serial for serial, _, _ in readable] != [self._serial] * 2:
            self._restore(specs)  # while one copy is still intact
        return specs

    def _restore(self, specs: Sequence[RootSpec]) -> None:
        try:
            self.save(specs)
        except StoreFullError as error:  # one copy is intact, and the next start tries again
            log.warning("root_list_not_restored", error=error.message)

    def save(self, specs: Iterable[RootSpec]) -> None:
        """Replace the list. Raises StoreFullError; in that case the old list is unchanged."""
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
                f"cannot write {self._path}: {error.strerror}",
                hint="free disk space, or check the permissions; then try again",
            ) from error
        self._serial += 1
        try:
            replace_file(self._copy, text)
        except OSError as error:
            log.warning("root_list_not_copied", error=str(error))


def _parse(content: bytes) -> tuple[int, list[RootSpec]]:
    """Return the serial number and the roots in a file; format 1 had no checksum, and its serial number is 0.

    Raises ValueError, KeyError, TypeError or AttributeError if the file is damaged.
    """
    document = json.loads(content)
    if document["format"] != 1 and document.pop("checksum") != _checksum(document):
        raise ValueError("the checksum does not match")
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
    """Decide whether ``path`` (absolute) becomes a root, or is covered by one of the ``existing`` roots.

    ``indexes(spec, path)`` returns True if a root's rules index the directory at ``path`` (relative to it); only such
    directories are covered. Raises PathRefusedError for a path that cannot or should not be a root; ``force`` allows
    the home directory and ``/``.
    """
    try:
        resolved = Path(os.path.realpath(path, strict=True))  # resolve() raises RuntimeError for a loop
        status = resolved.stat()
    except FileNotFoundError:
        raise PathRefusedError(f"{path} does not exist", hint="give the path of a directory") from None
    except OSError as error:
        raise PathRefusedError(f"{path}: {error.strerror}", hint="check the path and its permissions") from error
    if not resolved.is_dir():
        command = f"codeindex add {shlex.quote(str(resolved.parent))}"
        raise PathRefusedError(f"{path} is not a directory", hint=f"add its directory: {command}")
    if not os.access(resolved, os.R_OK | os.X_OK):
        command = f"chmod u+rx {shlex.quote(str(resolved))}"
        raise PathRefusedError(f"{path} cannot be read", hint=f"give yourself access: {command}")
    if (kind := kernel_devices().get(status.st_dev)) is not None:
        raise PathRefusedError(
            f"{resolved} shows the state of the kernel ({kind}), not files", hint="add the directories of your projects"
        )
    for spec, relative in roots_containing(resolved, existing):
        if not relative or indexes(spec, relative):
            return Admission(spec, covered=True)
    if not force and (resolved == home.resolve() or resolved == Path(resolved.anchor)):
        raise PathRefusedError(
            f"{resolved} contains far more than code",
            hint="add the directories of your projects, or use --force",
        )
    spec = RootSpec(str(uuid.uuid4()), resolved, status.st_dev, status.st_ino)
    return Admission(spec, covered=False)


def roots_inside(spec: RootSpec, existing: Sequence[RootSpec]) -> tuple[RootSpec, ...]:
    """Return the roots among ``existing`` that lie inside the root ``spec``."""
    return tuple(other for other in existing if spec.path in other.path.parents)


def roots_containing(path: Path, specs: Sequence[RootSpec]) -> list[tuple[RootSpec, bytes]]:
    """Return the roots that contain ``path`` (absolute, need not exist), each with the path relative to it.

    The innermost comes first. Roots that contain ``path`` as it is written come before those that contain it only after
    links are resolved.
    """
    found: dict[str, tuple[RootSpec, bytes]] = {}
    for candidate in (path, Path(os.path.realpath(path))):
        outer = [spec for spec in specs if candidate == spec.path or spec.path in candidate.parents]
        for spec in sorted(outer, key=lambda spec: len(spec.path.parts), reverse=True):
            relative = candidate.relative_to(spec.path)
            found.setdefault(f"{spec.id}:{relative}", (spec, os.fsencode(relative) if relative.parts else b""))
    return list(found.values())
