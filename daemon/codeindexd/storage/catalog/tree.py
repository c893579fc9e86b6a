"""The committed tree of a root, read from the catalog top-down."""

from __future__ import annotations

from collections.abc import Mapping

from codeindexd.scan.relpath import join, split
from codeindexd.storage.catalog.rows import NODE_COLUMNS, entries_from, entry_from
from codeindexd.storage.sqlite import Reader
from codeindexd.types import Entry, NodeKind, TreeSource

_NODE = f"SELECT {NODE_COLUMNS} FROM entry WHERE parent = ? AND name = ?"  # noqa: S608
_CHILDREN = f"SELECT name, {NODE_COLUMNS} FROM entry WHERE parent = ? AND name > x''"  # noqa: S608
_DIRECTORIES = "SELECT parent, name FROM entry WHERE kind = ?"


class CatalogTree(TreeSource):
    """The committed tree. Every call reads the last commit at that moment. Thread-safe.

    Methods raise StoreDamagedError and StoreFullError.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def node(self, path: bytes) -> Entry | None:
        """Return the entry at ``path`` (b"" is the root), or None."""
        row = self.reader.row(_NODE, split(path))
        return None if row is None else entry_from(path, row)

    def children(self, directory: bytes) -> Mapping[bytes, Entry]:
        """Return the entries directly inside ``directory`` by name."""
        return entries_from(directory, self.reader.rows(_CHILDREN, (directory,)))

    def directories(self) -> list[bytes]:
        """Return every directory of the tree, including the root."""
        return [join(parent, name) for parent, name in self.reader.rows(_DIRECTORIES, (int(NodeKind.DIRECTORY),))]
