"""Opens the stores of one root, rebuilds damaged stores and stores ahead of the catalog, and records which lag."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from codeindexd.errors import StoreDamagedError, StoreVersionError
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.dense import Dense
from codeindexd.storage.lexical import Lexical
from codeindexd.storage.projections import ProjectionLag
from codeindexd.storage.recovery import CATALOG, RecoveryState
from codeindexd.storage.text import TextIndex

if TYPE_CHECKING:
    from codeindexd.types import VectorSpace

log = structlog.get_logger(__name__)
Projection = TypeVar("Projection", Lexical, Dense, TextIndex)


def open_catalog(directory: Path, root_id: str, recovery: RecoveryState, lag: ProjectionLag) -> Catalog:
    """Open the catalog in a root's directory; if it is damaged, empty the directory and create a new one.

    Raises StoreFullError.
    """
    path = directory / CATALOG
    try:
        return Catalog.open(path, root_id=root_id, verify=recovery.needs_checksums)
    except StoreDamagedError as error:
        log.warning("catalog_rebuilt", directory=str(directory), error=error.message)
        what = "of another version of codeindexd" if isinstance(error, StoreVersionError) else "damaged"
        lag.notes.append(f"the catalog was {what} and was rebuilt from the disk: {error.message}")
        recovery.reset()
        return Catalog.open(path, root_id=root_id)


def open_lexical(directory: Path, catalog: Catalog, recovery: RecoveryState, lag: ProjectionLag) -> Lexical:
    """Open the lexical index that belongs to ``catalog``. Raises StoreFullError, FailedError, AlreadyRunningError."""
    path = directory / "lexical"
    lexical = _open_or_rebuild(
        "lexical",
        directory,
        catalog,
        lag,
        lambda: Lexical.open(path, catalog.store_uuid, same_boot=recovery.same_boot),
        lambda: Lexical.create(path, catalog.store_uuid),
    )
    lag.lexical = recovery.needs_verify or lexical.generation < catalog.generation
    return lexical


def open_text(
    directory: Path, catalog: Catalog, version: str, recovery: RecoveryState, lag: ProjectionLag
) -> TextIndex:
    """Open the text index that belongs to ``catalog``. Raises as :func:`open_lexical`."""
    path, binding = directory / "text", f"{catalog.store_uuid} {version}"
    text = _open_or_rebuild(
        "text",
        directory,
        catalog,
        lag,
        lambda: TextIndex.open(path, binding, verify=recovery.needs_verify),
        lambda: TextIndex.create(path, binding),
    )
    lag.text = recovery.needs_verify or text.generation < catalog.generation
    return text


def open_dense(
    directory: Path, catalog: Catalog, space: VectorSpace, recovery: RecoveryState, lag: ProjectionLag
) -> Dense:
    """Open the dense index of the model ``space`` that belongs to ``catalog``. Raises as :func:`open_lexical`."""

    def rebuild() -> Dense:
        shutil.rmtree(directory / "dense" / space.identity, ignore_errors=True)
        return dense_of(directory, catalog, space)

    def open_existing() -> Dense:
        return dense_of(directory, catalog, space, same_boot=recovery.same_boot)

    dense = _open_or_rebuild("dense", directory, catalog, lag, open_existing, rebuild)
    lag.dense = recovery.needs_verify or dense.generation < catalog.generation
    return dense


def dense_of(directory: Path, catalog: Catalog, space: VectorSpace, *, same_boot: bool = False) -> Dense:
    """Open the dense index of a model, or create an empty one; repairs nothing.

    ``same_boot`` is as in :meth:`Dense.open`. Raises as that.
    """
    path = directory / "dense" / space.identity
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Dense.open(
        path, store_uuid=catalog.store_uuid, identity=space.identity, dimensions=space.dimensions, same_boot=same_boot
    )


def _open_or_rebuild(
    store: str,
    directory: Path,
    catalog: Catalog,
    lag: ProjectionLag,
    open_existing: Callable[[], Projection],
    rebuild: Callable[[], Projection],
) -> Projection:
    """Open a projection; rebuild it, and add a note, if it is damaged or ahead of the catalog."""
    try:
        projection = open_existing()
        if projection.generation <= catalog.generation:
            return projection
        projection.close()
        raise StoreDamagedError(f"ahead of the catalog by {projection.generation - catalog.generation}")
    except StoreDamagedError as error:
        log.warning("projection_rebuilt", store=store, directory=str(directory), error=error.message)
        lag.notes.append(f"the {store} index was rebuilt: {error.message}")
    return rebuild()
