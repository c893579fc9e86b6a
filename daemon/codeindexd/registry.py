"""Which roots there are: kept in one small file in the state directory, replaced atomically."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from codeindexd.errors import FailedError, PathRefusedError, StoreFullError

log = structlog.get_logger(__name__)
_FORMAT = 1


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


@dataclass(frozen=True, slots=True)
class Admission:
    """What adding a path comes to: a root to start, one that covers it already, and roots that it will absorb."""

    spec: RootSpec
    covered: bool
    absorbs: tuple[RootSpec, ...] = ()


class Registry:
    """The list of roots on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[RootSpec]:
        """The roots of the last run. A file that cannot be understood is kept aside, never overwritten.

        Raises FailedError when it cannot be read or kept: starting without it would forget every root.
        """
        try:
            document = json.loads(self._path.read_text("utf-8"))
            return [
                RootSpec(root["id"], Path(root["path"]), int(root["device"]), int(root["inode"]))
                for root in document["roots"]
            ]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise FailedError(f"cannot read {self._path}: {error.strerror}", hint="check its permissions") from error
        except (ValueError, KeyError, TypeError) as error:
            aside = self._path.with_suffix(f".broken-{int(time.time())}")
            try:
                self._path.rename(aside)
            except OSError as refused:
                raise FailedError(
                    f"{self._path} is broken: {error}", hint="move it away, then start again"
                ) from refused
            log.error("the list of roots is broken; add the roots again", kept_as=str(aside), error=str(error))  # noqa: TRY400
            return []

    def save(self, specs: Iterable[RootSpec]) -> None:
        """Replace the list. Raises StoreFullError; the old list stays whole then."""
        document = {
            "format": _FORMAT,
            "roots": [
                {"id": spec.id, "path": str(spec.path), "device": spec.device, "inode": spec.inode} for spec in specs
            ],
        }
        temporary = self._path.with_suffix(".new")
        try:
            with open(temporary, "w", encoding="utf-8", opener=_private) as file:
                file.write(json.dumps(document, indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise StoreFullError(
                f"cannot write {self._path}: {error.strerror}", hint="free some space, then add the root again"
            ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def admit(path: Path, existing: Sequence[RootSpec], *, force: bool, home: Path) -> Admission:
    """Decide what adding ``path`` (absolute) means.

    Raises PathRefusedError for what cannot or should not be a root; ``force`` allows the home directory and ``/``.
    """
    try:
        resolved = path.resolve(strict=True)
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
    return Admission(spec, covered=False, absorbs=tuple(other for other in existing if resolved in other.path.parents))


def covering(path: Path, specs: Sequence[RootSpec]) -> RootSpec | None:
    """The root that ``path`` (absolute, not necessarily existing) lies in, or None."""
    for candidate in (path, path.resolve()):
        for spec in specs:
            if candidate == spec.path or spec.path in candidate.parents:
                return spec
    return None
