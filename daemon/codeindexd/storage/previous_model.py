"""The dense index of the previously configured model, which answers until the present model's is complete."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from codeindexd.errors import CodeindexError, StoreDamagedError, StoreFullError
from codeindexd.storage.dense import Dense
from codeindexd.storage.durable import storing

if TYPE_CHECKING:
    from codeindexd.types import VectorSpace

log = structlog.get_logger(__name__)


class PreviousModelIndex:
    """An open dense index of a previous model, with that model's identity and dimensions."""

    def __init__(self, directory: Path, space: VectorSpace, dense: Dense) -> None:
        self._directory = directory
        self.space = space
        self.dense = dense

    def remove(self) -> None:
        """Close the index and delete it."""
        with suppress(CodeindexError):  # it is deleted anyway
            self.dense.close()
        shutil.rmtree(self._directory, ignore_errors=True)


def open_previous_model(
    parent: Path,
    present: str,
    usable: Mapping[str, VectorSpace],
    open_dense: Callable[[VectorSpace], Dense],
    *,
    newest: int,
) -> PreviousModelIndex | None:
    """Return the other model's index with the most vectors, and delete the rest.

    ``parent`` is the directory of the indexes, each named after its model; ``present`` is the identity of the
    configured model. Also deletes the indexes of models that are not in ``usable``, damaged indexes, and indexes of a
    generation above ``newest``, whose ids may mean different chunks by now. An index that cannot be opened for a
    different reason is kept but not used. Raises StoreFullError if one cannot be opened now.
    """
    with storing("dense index"):
        directories = sorted(directory for directory in parent.iterdir() if directory.name != present)
    found: list[PreviousModelIndex] = []
    with ExitStack() as undo:
        for directory in directories:
            try:
                space = usable[directory.name]
                dense = open_dense(space)
            except (KeyError, StoreDamagedError):
                shutil.rmtree(directory, ignore_errors=True)
            except StoreFullError:
                raise
            except CodeindexError as error:
                log.warning("previous_model_not_opened", directory=str(directory), error=error.message)
            else:
                undo.callback(dense.close)
                found.append(PreviousModelIndex(directory, space, dense))
        undo.pop_all()
    found.sort(key=lambda index: (index.dense.generation <= newest, len(index.dense.snapshot())))
    best = found.pop() if found and found[-1].dense.generation <= newest else None
    for superfluous in found:
        superfluous.remove()
    return best
