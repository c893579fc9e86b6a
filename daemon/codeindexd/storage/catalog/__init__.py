"""The catalog: one SQLite file per root, with its tree, files, chunks, symbols and failures."""

from __future__ import annotations

from codeindexd.storage.catalog.migrations import SCHEMA_VERSION
from codeindexd.storage.catalog.snapshot import CatalogSnapshot
from codeindexd.storage.catalog.store import Catalog
from codeindexd.storage.catalog.tree import CatalogTree

__all__ = ["SCHEMA_VERSION", "Catalog", "CatalogSnapshot", "CatalogTree"]
