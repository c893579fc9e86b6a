"""Commits to a catalog forever and prints each generation, until it is killed."""

from __future__ import annotations

from pathlib import Path

from codeindexd.storage.catalog import Catalog
from codeindexd.types import Transaction
from storage.catalog.transactions import move, update

FILES = 7


def transaction_of(generation: int) -> Transaction:
    """Return the changes of ``generation``: rewrites, and sometimes a move there and back or a removal."""
    path, text = f"d{generation % 3}/f{generation % FILES}.py", f"x{generation} same y{generation}"
    if generation % 10 == 9:
        return Transaction(removals=[b"d0"], updates=[update(path, text), update("mark", str(generation))])
    moves = [move("mark", f"marks/{generation}", str(generation - 1))] if generation % 4 == 3 else []
    return Transaction(moves=moves, updates=[update(path, text), update("mark", str(generation))])


def work(directory: Path) -> None:
    """Commit forever."""
    catalog = Catalog.open(directory / "catalog.db", root_id="r")
    snapshot = catalog.snapshot()
    while True:
        committed = catalog.commit(transaction_of(catalog.generation + 1))
        snapshot.close()
        snapshot = catalog.snapshot()
        print(committed.generation, flush=True)
        if committed.generation % 5 == 0:
            catalog.checkpoint()
