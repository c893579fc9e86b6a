"""Which roots there are: kept in a small file in the state directory and in a copy of it."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Sequence
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
    """What is remembered about a root across restarts: an id, where it is, and which directory that was."""

    id: str
    path: Path
    device: int
    inode: int

    @property
    def raw(self) -> bytes:
        """The path as bytes."""
        return os.fsencode(self.path)

    def clock(self, generation: int) -> str:
        """The root's part of a clock."""
        return f"{self.id}:{generation}"


@dataclass(frozen=True, slots=True)
class Admission:
    """What adding a path comes to: a root to start, or one that covers it already."""

    spec: RootSpec
    covered: bool


class Registry:
    """The list of roots on disk, in two copies: it is the one thing of ours that cannot be made from the disk again.

    Each is replaced atomically and carries a checksum and a serial number; the newer whole one counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copy = path.with_stem(f"{path.stem}-copy")
        self._serial = 0
        self.lost = False  # there was a list, and no copy of it could be understood

    def load(self) -> list[RootSpec]:
        """The roots of the last run. A file that cannot be understood is kept aside, never overwritten.

        Raises FailedError when it cannot be read or kept: starting without it would forget every root.
        """
        whole: list[tuple[int, list[RootSpec], Path]] = []
        for path in (self._path, self._copy):
            try:
                path.with_name(path.name + ".new").unlink(missing_ok=True)  # a kill in the middle of a save
                whole.append((*_parse(path.read_bytes()), path))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise FailedError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.lost = True
                _keep_aside(path, error)
        if not whole:
            if self.lost:
                log.error("the list of roots is broken; add the roots again")
            return []
        self.lost = False
        self._serial, specs, source = max(whole, key=lambda one: one[0])
        if source == self._copy:
            log.warning("the list of roots is taken from its copy", roots=len(specs), copy=str(source))
        if [serial for serial, _, _ in whole] != [self._serial] * 2:
            self._restore(specs)  # before the one that is left comes to harm, too
        return specs

    def _restore(self, specs: Sequence[RootSpec]) -> None:
        try:
            self.save(specs)
        except StoreFullError as error:  # one of them is whole, and the next start finds it again
            log.warning("the list of roots cannot be restored now", error=error.message)

    def save(self, specs: Iterable[RootSpec]) -> None:
        """Replace the list. Raises StoreFullError; the old list stays whole then."""
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
            log.warning("the list of roots has no copy for now", error=str(error))


def _parse(content: bytes) -> tuple[int, list[RootSpec]]:
    """Serial number and roots. Raises ValueError and the like; the first format had neither number nor checksum."""
    document = json.loads(content)
    if document["format"] != 1 and document.pop("checksum") != _checksum(document):
        raise ValueError("it does not match its checksum")
    roots = [
        RootSpec(root["id"], Path(root["path"]), int(root["device"]), int(root["inode"])) for root in document["roots"]
    ]
    return int(document.get("serial", 0)), roots


def _checksum(body: dict[str, Any]) -> str:
    return xxhash.xxh3_64_hexdigest(json.dumps(body, sort_keys=True).encode())


def _keep_aside(path: Path, error: Exception) -> None:
    aside = path.with_suffix(f".broken-{int(time.time())}")
    try:
        path.rename(aside)
    except OSError as refused:
        raise FailedError(f"{path} is broken: {error}", hint="move it away, then start again") from refused
    log.warning("a list of roots is broken", kept_as=str(aside), error=str(error))


def admit(path: Path, existing: Sequence[RootSpec], *, force: bool, home: Path) -> Admission:
    """Decide what adding ``path`` (absolute) means.

    Raises PathRefusedError for what cannot or should not be a root; ``force`` allows the home directory and ``/``.
    """
    try:
        resolved = Path(os.path.realpath(path, strict=True))  # resolve() raises RuntimeError for a loop
        status = resolved.stat()
    except FileNotFoundError:
        raise PathRefusedError(f"{path} does not exist", hint="give the path of a directory") from None
    except OSError as error:
        raise PathRefusedError(f"{path}: {error.strerror}", hint="check the path and its permissions") from error
    if not resolved.is_dir():
        raise PathRefusedError(f"{path} is not a directory", hint=f"add its directory: {resolved.parent}")
    if not os.access(resolved, os.R_OK | os.X_OK):
        raise PathRefusedError(f"{path} cannot be read", hint="give yourself read and search permission on it")
    for spec in existing:
        if resolved == spec.path or spec.path in resolved.parents:
            return Admission(spec, covered=True)
    if not force and (resolved == home.resolve() or resolved == Path(resolved.anchor)):
        raise PathRefusedError(
            f"{resolved} holds far more than code", hint="add the directories of your projects, or use --force"
        )
    spec = RootSpec(str(uuid.uuid4()), resolved, status.st_dev, status.st_ino)
    return Admission(spec, covered=False)


def inside(spec: RootSpec, existing: Sequence[RootSpec]) -> tuple[RootSpec, ...]:
    """Those of ``existing`` that lie in another root, which absorbs them."""
    return tuple(other for other in existing if spec.path in other.path.parents)


def covering(path: Path, specs: Sequence[RootSpec]) -> RootSpec | None:
    """The root that ``path`` (absolute, not necessarily existing) lies in, or None."""
    for candidate in (path, Path(os.path.realpath(path))):
        for spec in specs:
            if candidate == spec.path or spec.path in candidate.parents:
                return spec
    return None
