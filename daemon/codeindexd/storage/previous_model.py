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
    """An open dense index, and the model that queries for it are embedded with."""

    def __init__(self, place: Path, space: VectorSpace, dense: Dense) -> None:
        self._place = place
        self.space = space
        self.dense = dense

    def remove(self) -> None:
        """Close the index and delete it."""
        with suppress(CodeindexError):  # it is deleted in any case
            self.dense.close()
        shutil.rmtree(self._place, ignore_errors=True)


def open_previous_model(
    parent: Path,
    present: str,
    usable: Mapping[str, VectorSpace],
    open_dense: Callable[[VectorSpace], Dense],
    *,
    newest: int,
) -> PreviousModelIndex | None:
    """Return the other model's index with the most vectors, and delete the rest.

    ``parent`` holds the indexes, ``present`` is the identity of the configured model. Deleted are also those of models
    not in ``usable``, damaged ones, and those of a generation above ``newest``, whose ids may name other chunks by now.
    One that cannot be opened for another reason is left as it is. Raises StoreFullError when one cannot be opened now.
    """
    with storing("dense index"):
        places = sorted(place for place in parent.iterdir() if place.name != present)
    found: list[PreviousModelIndex] = []
    with ExitStack() as undo:
        for place in places:
            try:
                space = usable[place.name]
                dense = open_dense(space)
            except (KeyError, StoreDamagedError):
                shutil.rmtree(place, ignore_errors=True)
            except StoreFullError:
                raise
            except CodeindexError as error:
                log.warning("previous_model_not_opened", directory=str(place), error=error.message)
            else:
                undo.callback(dense.close)
                found.append(PreviousModelIndex(place, space, dense))
        undo.pop_all()
    found.sort(key=lambda index: (index.dense.generation <= newest, len(index.dense.snapshot())))
    best = found.pop() if found and found[-1].dense.generation <= newest else None
    for superfluous in found:
        superfluous.remove()
    return best
