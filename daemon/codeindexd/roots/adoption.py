"""Adoption: a new root adopts the index of another root with mostly the same files, as a worktree does.

The stores are copied into a temporary directory, sharing what is never written again, and compared with the new root's
files, each of which is read. What differs is dropped from the copy and processed like any new file. Only then does the
copy become the new root's index, in one step. So a query never meets anything that the new root's own bytes did not
confirm, and a kill leaves either no stores or whole ones.

Whether roots belong to the same repository does not matter: what counts is how many files are the same. A sample of
them tells that for worktrees, clones, forks, plain copies and other version control systems alike.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import structlog
from msgspec import Struct

from codeindexd.errors import CodeindexError, FailedError
from codeindexd.roots.reconcile import Reconciliation, reconcile
from codeindexd.scan.merkle import subtree
from codeindexd.scan.relpath import ROOT, collapse
from codeindexd.scan.scanner import Scanner
from codeindexd.storage.catalog import Catalog, CatalogSnapshot
from codeindexd.storage.durable import sync_directory
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import FileUpdate, Outcome, Transaction
from codeindexd.waiting import thread_is_cancelled

log = structlog.get_logger(__name__)
UNFINISHED = ".adopting"
"""The suffix of the directory in which the stores of a root are made from another root's."""

_SAMPLE = 256  # files
_FEWEST_FILES = 50  # a guess: so few are indexed in a second, and a thousand small roots need not be compared
_MOST_COMPARED = 8  # of possibly a thousand roots
_LEAST_RESEMBLANCE = 0.5  # a guess: with fewer equal files, what is copied and dropped again costs too much space
_TRANSACTION_FILES = 2_000


class Adoption(Struct, frozen=True):
    """What a root adopted: the path of the other root, and how many files were the same there, and how many not."""

    source: Path
    files_same: int
    files_to_process: int


class Lender(Struct, frozen=True):
    """A root whose index may be adopted."""

    path: Path
    index: IndexWriter


class Borrower(Struct, frozen=True):
    """A root without stores; they will be in ``directory``. ``open_index(directory)`` opens those of this root."""

    path: Path
    root_id: str
    directory: Path
    scanner: Scanner
    open_index: Callable[[Path], IndexWriter]


async def adopt(borrower: Borrower, lenders: Sequence[Lender]) -> Adoption | None:
    """Make the stores of a root from those of the most similar lender.

    Returns None if no lender is similar enough, or if anything fails. Then there are no stores, and the root has to
    index all its files.
    """
    unfinished = borrower.directory.with_name(borrower.directory.name + UNFINISHED)
    try:
        lender = await anyio.to_thread.run_sync(most_similar, borrower.path, lenders)
        if lender is None:
            return None
        await lender.index.copy_to(unfinished, borrower.root_id)
        same, to_process = await anyio.to_thread.run_sync(
            partial(confirm, borrower, unfinished, should_stop=thread_is_cancelled)
        )
    except (CodeindexError, OSError) as error:
        log.warning("index_not_adopted", root=str(borrower.path), error=str(error))
        return None
    except Exception:
        log.exception("index_not_adopted", root=str(borrower.path))
        return None
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(partial(shutil.rmtree, unfinished, ignore_errors=True))
    log.info(
        "index_adopted", root=str(borrower.path), source=str(lender.path), files_same=same, files_to_process=to_process
    )
    return Adoption(lender.path, same, to_process)


# finding a lender


def most_similar(path: Path, lenders: Sequence[Lender]) -> Lender | None:
    """Return the lender with the largest :func:`resemblance` to ``path``; None if that is below one half. Blocking.

    Only a few lenders are compared: those with the most names in common with the directory ``path``, the nearest first.
    """
    large = [lender for lender in lenders if lender.index.catalog.counts().files >= _FEWEST_FILES]
    names = _names(path) if large else frozenset()
    candidates = [(_common(names, _names(lender.path)), _nearness(path, lender.path), lender) for lender in large]
    candidates = [candidate for candidate in candidates if candidate[0] >= _LEAST_RESEMBLANCE]
    best, most = None, _LEAST_RESEMBLANCE
    for _, _, lender in sorted(candidates, key=lambda candidate: candidate[:2], reverse=True)[:_MOST_COMPARED]:
        share = 0.0
        with contextlib.suppress(CodeindexError), lender.index.catalog.snapshot() as snapshot:
            share = resemblance(path, snapshot)
        if share > most or (best is None and share >= most):
            best, most = lender, share
    return best


def _names(directory: Path) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in directory.iterdir())
    except OSError:  # for example of a root that is missing
        return frozenset()


def _common(names: frozenset[str], others: frozenset[str]) -> float:
    return 2 * len(names & others) / (len(names) + len(others)) if names else 0.0


def _nearness(path: Path, other: Path) -> int:
    """Return how many directories two paths have in common."""
    return sum(
        1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(path.parts, other.parts, strict=False))
    )


def resemblance(path: Path, snapshot: CatalogSnapshot) -> float:
    """Return the share of indexed files, by a sample, that exist below ``path`` with the same size. Blocking."""
    ids = snapshot.file_ids()
    sample = snapshot.files_by_id(ids[:: max(1, len(ids) // _SAMPLE)].tolist()).values()
    sizes = [(file.entry.path, file.entry.stat.size) for file in sample if file.entry.stat is not None]
    root = os.fsencode(path)
    return sum(_size(root + b"/" + relative) == size for relative, size in sizes) / len(sizes) if sizes else 0.0


def was_moved_to(path: Path, snapshot: CatalogSnapshot) -> bool:
    """Return True if the directory ``path`` has at least half of the files of a root that is missing. Blocking.

    For a directory with the root's device and inode, which alone prove nothing: both are used again.
    """
    return resemblance(path, snapshot) >= _LEAST_RESEMBLANCE


def _size(path: bytes) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1


# confirming a copy


def confirm(borrower: Borrower, unfinished: Path, *, should_stop: Callable[[], bool]) -> tuple[int, int]:
    """Compare the copied stores in ``unfinished`` with the borrower's files, then make them its stores.

    Every file is read. Returns how many files are the same, and how many have to be processed. Blocking. Raises as
    :func:`reconcile` and :class:`IndexWriter`, FailedError and OSError; the borrower has no stores then.
    """
    index = borrower.open_index(unfinished)
    try:
        found = reconcile(borrower.scanner, index.catalog, [ROOT], should_stop=should_stop)
        for transaction in _transactions(found, index.catalog):
            index.commit(transaction)
        same = index.catalog.counts().files
        to_process = sum(1 for _ in index.catalog.unprocessed())  # also those that the other root has yet to process
    finally:
        index.close()
    for place, _, _ in os.walk(unfinished):
        sync_directory(Path(place))
    unfinished.rename(borrower.directory)
    sync_directory(borrower.directory.parent)
    return same, to_process


def _transactions(found: Reconciliation, catalog: Catalog) -> Iterator[Transaction]:
    """Yield what makes a copied catalog that of the files on the disk, without chunks of any other content.

    Files that have to be processed lose the chunks of the other root's content. What could not be read, or changed
    meanwhile, is removed: the other root's content must not stand for it, and the next scan finds it again.
    """
    unknown = {*found.scan.unsettled, *(path for path, _ in found.scan.errors)}
    if ROOT in unknown:
        raise FailedError("the root could not be read")
    yield from found.transactions
    for at in range(0, len(found.files), _TRANSACTION_FILES):
        files = found.files[at : at + _TRANSACTION_FILES]
        yield Transaction(updates=[FileUpdate(entry, Outcome.UNPROCESSED) for entry in files])
    if removals := _present(catalog, unknown):
        yield Transaction(removals=removals)


def _present(catalog: Catalog, paths: Collection[bytes]) -> list[bytes]:
    tree = catalog.tree()
    tops = [node for path in sorted(collapse(paths)) if (node := tree.node(path)) is not None]
    return [entry.path for top in tops for entry in subtree(tree, top)]
