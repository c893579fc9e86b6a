"""Events of a root, as values, so that subscribers need no reference to the root."""

from __future__ import annotations

import enum

from msgspec import Struct

from codeindexd.indexing.progress import Progress
from codeindexd.roots.registry import RootSpec
from codeindexd.types import RootState


class RootEventKind(enum.StrEnum):
    """The kind of change that an event reports."""

    GENERATION = "generation"  # queries run on another generation
    STATE = "state"
    HISTORY = "history"  # more of the history is known
    IDENTITY = "identity"  # the root's path now holds another directory


class RootEvent(Struct, frozen=True):
    """One change of a root, with its state, clock and progress at that moment."""

    kind: RootEventKind
    spec: RootSpec
    state: RootState
    clock: str
    progress: Progress
