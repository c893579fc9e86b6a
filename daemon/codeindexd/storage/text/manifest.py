"""The manifest of a text index: lists its segments and its generation. Replaced atomically, with a checksum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xxhash
from msgspec import Struct

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.durable import replace_file, storing
from codeindexd.storage.text.segment import STORE_NAME

NAME = "manifest.json"
_FORMAT = 1


class Manifest(Struct, frozen=True):
    """The segments of a text index by serial number. Numbers are never reused; ``last_serial`` is the highest used."""

    store_uuid: str
    generation: int = 0
    last_serial: int = 0
    serials: tuple[int, ...] = ()

    def save(self, directory: Path) -> None:
        """Replace the manifest of ``directory`` with this one, atomically.

        It survives a power loss as :func:`replace_file` says. Raises the errors of :func:`store_error`.
        """
        body = {
            "format": _FORMAT,
            "store_uuid": self.store_uuid,
            "generation": self.generation,
            "last_serial": self.last_serial,
            "segments": list(self.serials),
        }
        with storing(STORE_NAME):
            replace_file(directory / NAME, json.dumps({**body, "checksum": _checksum(body)}).encode())

    @classmethod
    def load(cls, directory: Path, store_uuid: str) -> Manifest | None:
        """Return the manifest of ``directory``, or None if there is none.

        Raises StoreDamagedError if it is damaged or has a different format or catalog, StoreFullError if it cannot be
        read now.
        """
        with storing(STORE_NAME):
            try:
                content = (directory / NAME).read_bytes()
            except FileNotFoundError:
                return None
        try:
            body = json.loads(content)
            intact = body.pop("checksum") == _checksum(body) and body["format"] == _FORMAT
            manifest = cls(body["store_uuid"], body["generation"], body["last_serial"], tuple(body["segments"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreDamagedError(f"the manifest of the {STORE_NAME} is damaged: {error}") from error
        if not intact:
            raise StoreDamagedError(
                f"the manifest of the {STORE_NAME} does not match its checksum or has another format"
            )
        if manifest.store_uuid != store_uuid:
            raise StoreDamagedError(f"the {STORE_NAME} belongs to another catalog")
        return manifest


def _checksum(body: dict[str, Any]) -> int:
    return xxhash.xxh3_64_intdigest(json.dumps(body, sort_keys=True).encode())
