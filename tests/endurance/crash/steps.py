"""The named steps at which a process under test kills itself, attached to the product's functions from outside.

The product does not know about them: :func:`install` wraps its functions in a process that is meant to die.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STORE_MODULES = ("codeindexd.storage", "codeindexd.roots.registry", "codeindexd.roots.supervisor")
_PASSED_THROUGH = ("pathlib", "shutil")  # packages, since pathlib is one from Python 3.13 on
_SYSTEM_CALLS = {"pwrite": "edits", "fsync": "quiet", "rename": "quiet", "unlink": "quiet", "ftruncate": "quiet"}
MERGE = "lexical.merge"


@dataclass(frozen=True, slots=True)
class Step:
    """A moment in the product's code: ``place`` is ``module:attribute`` or ``module:Class.attribute``.

    ``when`` says what makes a daemon pass it: edits, quiet times, a start, catching up, a switch of models, roots that
    come and go, or pruning. ``moment`` is before or after the function, or ``half``: after half of what it writes.
    """

    name: str
    when: str
    place: str
    moment: str


def _around(name: str, when: str, place: str) -> list[Step]:
    return [Step(f"{name}.before", when, place, "before"), Step(f"{name}.after", when, place, "after")]


STEPS = (
    *_around("vectors.put", "edits", "codeindexd.storage.vectors:VectorStore.put_many"),
    Step("vectors.put.inside", "edits", "codeindexd.storage.vectors:VectorStore._present", "before"),
    *_around("catalog.commit", "edits", "codeindexd.storage.catalog:Catalog.commit"),
    Step("catalog.commit.inside", "edits", "codeindexd.storage.catalog.store:write_transaction", "after"),
    *_around("lexical.commit", "edits", "codeindexd.storage.lexical.index:Lexical._commit"),
    Step("lexical.commit.inside", "edits", "codeindexd.storage.lexical.index:sentinel_document", "before"),
    Step("lexical.commit.committed", "edits", "codeindexd.storage.lexical.index:Lexical._refresh", "before"),
    Step(MERGE, "edits", "", "watch"),
    *_around("dense.apply", "edits", "codeindexd.storage.dense:Dense.apply"),
    Step("dense.write.half", "edits", "codeindexd.storage.dense.log:write_fully", "half"),
    Step("dense.write.after", "edits", "codeindexd.storage.dense.log:write_fully", "after"),
    *_around("text.flush", "edits", "codeindexd.storage.text.index:write_segment"),
    *_around("text.switch", "edits", "codeindexd.storage.text.manifest:Manifest.save"),
    *_around("publish", "edits", "codeindexd.storage.index_writer:IndexWriter._publish"),
    *_around("catalog.checkpoint", "quiet", "codeindexd.storage.catalog:Catalog.checkpoint"),
    *_around("catalog.vacuum", "quiet", "codeindexd.storage.catalog:Catalog.vacuum"),
    *_around("dense.build", "quiet", "codeindexd.storage.dense.index:build_segment"),
    Step("dense.build.rows", "quiet", "codeindexd.storage.dense.maintenance:_write_sorted", "after"),
    *_around("dense.switch", "quiet", "codeindexd.storage.dense.manifest:Manifest.save"),
    Step("dense.switch.half", "quiet", "codeindexd.storage.durable:write_fully", "half"),
    *_around("text.merge", "quiet", "codeindexd.storage.text.index:merge_segments"),
    *_around("dense.remove", "quiet", "codeindexd.storage.dense.index:remove_files"),
    *_around("open.catalog", "start", "codeindexd.storage.index_writer:open_catalog"),
    *_around("open.lexical", "start", "codeindexd.storage.index_writer:open_lexical"),
    *_around("lexical.collect", "start", "codeindexd.storage.lexical.index:Lexical._connect"),
    *_around("open.text", "start", "codeindexd.storage.index_writer:open_text"),
    *_around("open.dense", "start", "codeindexd.storage.index_writer:open_dense"),
    *_around(
        "catch_up.find_missing_lexical", "catch_up", "codeindexd.storage.index_writer:IndexWriter.find_missing_lexical"
    ),
    *_around("catch_up.add_lexical", "catch_up", "codeindexd.storage.index_writer:IndexWriter.add_lexical"),
    *_around(
        "catch_up.mark_lexical_current", "catch_up", "codeindexd.storage.index_writer:IndexWriter.mark_lexical_current"
    ),
    *_around("catch_up.find_missing_text", "catch_up", "codeindexd.storage.index_writer:IndexWriter.find_missing_text"),
    *_around("catch_up.add_text", "catch_up", "codeindexd.storage.index_writer:IndexWriter.add_text"),
    *_around("catch_up.mark_text_current", "catch_up", "codeindexd.storage.index_writer:IndexWriter.mark_text_current"),
    *_around("catch_up.dense", "catch_up", "codeindexd.storage.index_writer:IndexWriter.catch_up_dense"),
    *_around("vectors.add", "switch", "codeindexd.storage.index_writer:IndexWriter.add_vectors"),
    *_around("model.drop", "switch", "codeindexd.storage.index_writer:IndexWriter._drop_previous_model"),
    Step("model.drop.inside", "switch", "codeindexd.storage.previous_model:shutil.rmtree", "before"),
    *_around("adopt.catalog", "roots", "codeindexd.storage.catalog:Catalog.copy_to"),
    *_around("adopt.share", "roots", "codeindexd.storage.lexical.index:share_files"),
    *_around("adopt.dense", "roots", "codeindexd.storage.dense:Dense.copy_to"),
    *_around("adopt.compare", "roots", "codeindexd.roots.adoption:reconcile"),
    *_around("adopt.sync", "roots", "codeindexd.roots.adoption:sync_directory"),
    *_around("registry.save", "roots", "codeindexd.roots.registry:Registry.save"),
    *_around("vectors.prune", "prune", "codeindexd.storage.vectors:VectorStore.prune"),
    Step("vectors.prune.inside", "prune", "codeindexd.storage.vectors:VectorStore._drop", "after"),
    *_around("vectors.fold", "prune", "codeindexd.storage.vectors.store:give_back_pages"),
    *(step for call, when in _SYSTEM_CALLS.items() for step in _around(f"os.{call}", when, f"os:{call}")),
)
BY_NAME = {step.name: step for step in STEPS}


class Faults:
    """Which step is fatal, and how many passes are left until then."""

    def __init__(self) -> None:
        self.step = ""
        self._left = 0
        self._guard = threading.Lock()

    def arm(self, step: str, passing: int) -> None:
        """Die at the ``passing``-th passing of ``step`` from now on; "" disarms. Raises KeyError."""
        if step:
            BY_NAME[step]
        with self._guard:
            self.step, self._left = step, passing

    def due(self, step: str) -> bool:
        """Count one pass of ``step``; return True if it is the fatal one."""
        if step != self.step:
            return False
        with self._guard:
            self._left -= 1
            return self._left == 0

    def passing(self, step: str) -> None:
        """Count one pass, and die if it is the fatal one."""
        if self.due(step):
            die()


def die() -> None:
    """Kill this process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def install(faults: Faults) -> None:
    """Wrap every function that a step names; to be called once per process."""
    for step in STEPS:
        if step.moment == "watch":
            _note_commits()
            threading.Thread(target=_watch_for_merges, args=(faults,), daemon=True).start()
            continue
        module, _, dotted = step.place.partition(":")
        owner: Any = importlib.import_module(module)
        *outer, name = dotted.split(".")
        for part in outer:
            owner = getattr(owner, part)
        wrapped: Any = _wrapped(getattr(owner, name), step, faults)
        static = isinstance(inspect.getattr_static(owner, name), staticmethod)
        setattr(owner, name, staticmethod(wrapped) if static else wrapped)


def _wrapped(function: Callable[..., Any], step: Step, faults: Faults) -> Callable[..., Any]:
    guarded = step.place.startswith("os:") or ":shutil." in step.place

    @functools.wraps(function)
    def wrapper(*arguments: Any, **more: Any) -> Any:
        if faults.step != step.name or (guarded and not _from_a_store()):
            return function(*arguments, **more)
        if step.moment == "before":
            faults.passing(step.name)
        elif step.moment == "half" and faults.due(step.name):
            descriptor, data, offset = arguments
            half = memoryview(data).cast("B")[: len(memoryview(data).cast("B")) // 2]
            os.pwrite(descriptor, half, offset)
            die()
        result = function(*arguments, **more)
        if step.moment == "after":
            faults.passing(step.name)
        return result

    return wrapper


def _from_a_store() -> bool:
    """Return True if the wrapped call comes from one of the modules that write stores."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != __name__ and name.partition(".")[0] not in _PASSED_THROUGH:
            return name.startswith(_STORE_MODULES)
        frame = frame.f_back  # type: ignore[assignment]
    return False


# tantivy merges in threads of its own: a merge shows by a segment on the disk that no commit names yet

_idle_indexes: set[Path] = set()  # directories of open lexical indexes that no commit is going on in


def _note_commits() -> None:
    from codeindexd.storage.lexical.index import Lexical

    original = Lexical._commit

    @functools.wraps(original)
    def noting(self: Any, *arguments: Any) -> None:
        _idle_indexes.discard(self._directory)
        original(self, *arguments)
        _idle_indexes.add(self._directory)

    Lexical._commit = noting  # type: ignore[method-assign]


def _watch_for_merges(faults: Faults) -> None:
    while True:
        time.sleep(0.0005 if faults.step == MERGE else 0.02)
        if faults.step == MERGE and any(_merging(directory) for directory in list(_idle_indexes)):
            faults.passing(MERGE)


def _merging(directory: Path) -> bool:
    from codeindexd.errors import StoreDamagedError
    from codeindexd.storage.lexical.integrity import committed_files

    try:
        there = {path.name.partition(".")[0] for path in directory.iterdir() if len(path.stem) >= 32}
        named = {name.partition(".")[0] for name in committed_files(directory)}
    except (OSError, StoreDamagedError):
        return False
    return directory in _idle_indexes and bool(there - named)
