"""The manifest of a dense index: lists its tail and its segments. Replaced atomically, with a checksum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xxhash
from msgspec import Struct

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.dense.log import STORE_NAME, Binding
from codeindexd.storage.dense.segment import SegmentFiles
from codeindexd.storage.durable import replace_file, storing

NAME = "manifest.json"
_FORMAT = 2


class Manifest(Struct, frozen=True):
    """The parts of a dense index by their serial numbers, which are never reused."""

    binding: Binding
    tail: int
    segments: tuple[SegmentFiles, ...] = ()

    def next_serial(self) -> int:
        """Return a serial number that no file of this index has had."""
        return 1 + max([self.tail, *(segment.serial for segment in self.segments)])

    def save(self, directory: Path) -> None:
        """Replace the manifest of ``directory`` by this one, which survives a power loss. Raises StoreFullError."""
        body = {
            "format": _FORMAT,
            "store_uuid": self.binding.store_uuid,
            "identity": self.binding.identity,
            "dimensions": self.binding.dimensions,
            "tail": self.tail,
            "segments": [{"serial": s.serial, "rows": s.rows, "files": s.files} for s in self.segments],
        }
        with storing(STORE_NAME):
            replace_file(directory / NAME, json.dumps({**body, "checksum": _checksum(body)}).encode())

    @classmethod
    def load(cls, directory: Path, binding: Binding) -> Manifest | None:
        """Return the manifest of ``directory``, or None if there is none.

        Raises StoreDamagedError if it is damaged or has a different format or binding, StoreFullError if it cannot be
        read now.
        """
        with storing(STORE_NAME):
            try:
                content = (directory / NAME).read_bytes()
            except FileNotFoundError:
                return None
        try:
            body = json.loads(content)
            is_valid = body.pop("checksum") == _checksum(body) and body["format"] == _FORMAT
            found = Binding(body["store_uuid"], body["identity"], body["dimensions"])
            segments = tuple(
                SegmentFiles(s["serial"], s["rows"], {k: (size, xxh3) for k, (size, xxh3) in s["files"].items()})
                for s in body["segments"]
            )
            manifest = cls(found, body["tail"], segments)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreDamagedError(f"the manifest of the {STORE_NAME} is damaged: {error}") from error
        if not is_valid:
            raise StoreDamagedError(
                f"the manifest of the {STORE_NAME} does not match its checksum or has another format"
            )
        if found != binding:
            raise StoreDamagedError(f"the {STORE_NAME} belongs to another catalog or model")
        return manifest


def _checksum(body: dict[str, Any]) -> int:
    return xxhash.xxh3_64_intdigest(json.dumps(body, sort_keys=True).encode())
