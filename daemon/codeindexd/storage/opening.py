"""Opens the stores of one root: what is damaged, or ahead of the catalog, is made anew; what is behind is noted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.dense import Dense
from codeindexd.storage.lexical import Lexical
from codeindexd.storage.projections import ProjectionLag
from codeindexd.storage.recovery import CATALOG, RecoveryState

if TYPE_CHECKING:
    from codeindexd.types import VectorSpace

log = structlog.get_logger(__name__)
Projection = TypeVar("Projection", Lexical, Dense)


def open_catalog(directory: Path, root_id: str, doubt: RecoveryState, behind: ProjectionLag) -> Catalog:
    """The catalog in a root's directory; with a new one everything in the directory is new. Raises StoreFullError."""
    path = directory / CATALOG
    try:
        return Catalog.open(path, root_id=root_id, verify=doubt.suspicious)
    except StoreDamagedError as error:
        log.warning("catalog rebuilt", directory=str(directory), error=error.message)
        behind.notes.append(f"the catalog was damaged and made anew from the disk: {error.message}")
        doubt.begin_anew()
        return Catalog.open(path, root_id=root_id)


def open_lexical(directory: Path, catalog: Catalog, doubt: RecoveryState, behind: ProjectionLag) -> Lexical:
    """The lexical index that belongs to ``catalog``. Raises StoreFullError, FailedError, AlreadyRunningError."""
    place = directory / "lexical"

    def as_it_is() -> Lexical:
        return Lexical.open(place, catalog.store_uuid)

    def anew() -> Lexical:
        return Lexical.create(place, catalog.store_uuid)

    lexical = _usable("lexical", directory, catalog, behind, as_it_is, anew)
    behind.lexical = doubt.unsure or lexical.generation < catalog.generation
    return lexical


def open_dense(
    directory: Path, catalog: Catalog, space: VectorSpace, doubt: RecoveryState, behind: ProjectionLag
) -> Dense:
    """The dense index of one model that belongs to ``catalog``. Raises as :func:`open_lexical`."""

    def anew() -> Dense:
        shutil.rmtree(directory / "dense" / space.identity, ignore_errors=True)
        return dense_of(directory, catalog, space)

    dense = _usable("dense", directory, catalog, behind, lambda: dense_of(directory, catalog, space), anew)
    behind.dense = doubt.unsure or dense.generation < catalog.generation
    return dense


def dense_of(directory: Path, catalog: Catalog, space: VectorSpace) -> Dense:
    """The dense index of a model as it is, or an empty one. Raises as :meth:`Dense.open`."""
    place = directory / "dense" / space.identity
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Dense.open(place, store_uuid=catalog.store_uuid, identity=space.identity, dimensions=space.dimensions)


def _usable(
    what: str,
    directory: Path,
    catalog: Catalog,
    behind: ProjectionLag,
    as_it_is: Callable[[], Projection],
    anew: Callable[[], Projection],
) -> Projection:
    try:
        projection = as_it_is()
        if projection.generation <= catalog.generation:
            return projection
        projection.close()
        raise StoreDamagedError(f"ahead of the catalog by {projection.generation - catalog.generation}")
    except StoreDamagedError as error:
        log.warning("projection rebuilt", store=what, directory=str(directory), error=error.message)
        behind.notes.append(f"the {what} index was made anew: {error.message}")
    return anew()
