"""The catalog: one SQLite file a root, with its tree, files, chunks, symbols and failures."""

from __future__ import annotations

from codeindexd.catalog.snapshot import CatalogSnapshot
from codeindexd.catalog.store import Catalog
from codeindexd.catalog.tree import CatalogTree

__all__ = ["Catalog", "CatalogSnapshot", "CatalogTree"]
