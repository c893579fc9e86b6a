"""All history stores of the user: opened when they are needed, shared by the clones of a repository, and limited."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import msgspec
import structlog
import xxhash
from msgspec import Struct

from codeindexd.errors import StoreFullError
from codeindexd.storage.boot import boot_id
from codeindexd.storage.durable import replace_file, storing
from codeindexd.storage.history.store import DATABASE, HistoryStore, remove_store
from codeindexd.storage.history.view import View, decode_view, encode_view

log = structlog.get_logger(__name__)
_MOST_OPEN = 16
_ROOTS = "roots.json"
_NESTED = "/"  # in the ids of histories of repositories inside a root


class _Open(Struct):
    """An open store, and how many users it has now."""

    store: HistoryStore
    users: int = 0
    is_doomed: bool = False


class HistoryStores:
    """The history stores in one directory; a store is named by its repository's first commit. Any thread may call.

    Which store a root uses, and how complete its history was, is in a small file, so that starting the daemon opens no
    store. Methods raise StoreFullError, and AlreadyRunningError if another process has a store open.
    """

    def __init__(self, directory: Path, *, fingerprint: str, dimensions: int) -> None:
        self._directory = directory
        self._fingerprint = fingerprint
        self._dimensions = dimensions
        self._mutex = threading.RLock()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._roots: dict[str, tuple[str, View | None]] | None = None
        self._turns: dict[str, anyio.Lock] = {}

    # which root uses which store

    def key_of(self, root: str) -> str | None:
        """Return the name of the store that a root uses; None before its history was read."""
        with self._mutex:
            return self._read().get(root, (None, None))[0]

    def database_of(self, key: str) -> Path:
        """Return the database of a store, which another process may read."""
        return self._directory / key / DATABASE

    def view_of(self, root: str) -> View | None:
        """Return what is known of a root's history, without opening its store; None if it has to be opened."""
        with self._mutex:
            return self._read().get(root, (None, None))[1]

    def assign(self, root: str, key: str, view: View | None) -> None:
        """Record which store a root uses, and what it holds of its history."""
        with self._mutex:
            before = self._read().get(root, (None, None))[0]
            self._read()[root] = key, view
            self._write()
        if before not in (None, key):
            self._drop_view(root, before)

    @staticmethod
    def nested_id(root: str, directory: bytes) -> str:
        """Return the id of the history of a repository inside a root."""
        return f"{root}{_NESTED}{xxhash.xxh3_64_hexdigest(directory)}"

    def nested_in(self, root: str) -> list[str]:
        """Return the ids of the histories of repositories inside a root that are known."""
        with self._mutex:
            return [known for known in self._read() if known.startswith(root + _NESTED)]

    def forget(self, root: str) -> None:
        """Forget a removed root, with the repositories inside it. A store is deleted if no other root uses it."""
        with self._mutex:
            dropped = {
                known: self._read().pop(known)[0] for known in [root, *self.nested_in(root)] if known in self._read()
            }
            if not dropped:
                return
            self._write()
        for known, key in dropped.items():
            self._drop_view(known, key)

    def keep_only(self, roots: Collection[str]) -> None:
        """Forget all roots but ``roots``, and delete stores that none of them uses."""
        with self._mutex:
            for root in {known.partition(_NESTED)[0] for known in self._read()} - set(roots):
                self.forget(root)
            used = {key for key, _ in self._read().values()}
            for path in self._directory.iterdir() if self._directory.is_dir() else ():
                if path.is_dir() and path.name not in used and path.name not in self._open:
                    shutil.rmtree(path, ignore_errors=True)

    def _drop_view(self, root: str, key: str | None) -> None:
        if key is None:
            return
        with self._mutex:
            if any(other == key for other, _ in self._read().values()):
                with self.use(key) as store:
                    store.remove_view(root)
                return
            self._delete(key)

    def _delete(self, key: str) -> None:
        opened = self._open.get(key)
        if opened is not None and opened.users:
            opened.is_doomed = True
            return
        if opened is not None:
            del self._open[key]
            opened.store.close()
        shutil.rmtree(self._directory / key, ignore_errors=True)

    def _read(self) -> dict[str, tuple[str, View | None]]:
        """Return the store and the view of each root, by its id; no view if it cannot be trusted."""
        if self._roots is None:
            self._roots = {}
            with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, msgspec.MsgspecError):
                content = json.loads((self._directory / _ROOTS).read_text(encoding="utf-8"))
                is_sound = content["fingerprint"] == self._fingerprint and content["boot"] in ("", boot_id())
                for root, (key, view) in content["roots"].items():
                    self._roots[root] = key, decode_view(base64.b64decode(view)) if view and is_sound else None
        return self._roots

    def _write(self) -> None:
        roots = {
            root: (key, base64.b64encode(encode_view(view)).decode("ascii") if view else "")
            for root, (key, view) in self._read().items()
        }
        content = {"fingerprint": self._fingerprint, "boot": boot_id(), "roots": roots}
        with storing("list of histories"):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self._directory / _ROOTS, json.dumps(content).encode())

    def turn(self, key: str) -> anyio.Lock:
        """Return the lock for reading commits into a store, so that clones do not read the same ones twice."""
        with self._mutex:
            return self._turns.setdefault(key, anyio.Lock())

    # open stores

    @contextmanager
    def use(self, key: str) -> Iterator[HistoryStore]:
        """Provide the store ``key``, opened or created, inside the block. It stays open for a while afterwards."""
        opened = self._acquire(key)
        try:
            yield opened.store
        finally:
            self._release(key, opened)

    def _acquire(self, key: str) -> _Open:
        with self._mutex:
            opened = self._open.get(key)
            if opened is None:
                store = HistoryStore.open_or_rebuild(
                    self._directory / key, fingerprint=self._fingerprint, dimensions=self._dimensions
                )
                opened = self._open[key] = _Open(store)
                self._forget_views_missing_from(store, key)
            self._open.move_to_end(key)
            opened.users += 1
            return opened

    def _forget_views_missing_from(self, store: HistoryStore, key: str) -> None:
        """Forget the views that a store lost to damage, so that the histories of these roots are read again."""
        roots = self._read()
        missing = [root for root, (used, view) in roots.items() if used == key and view and root not in store.roots()]
        if missing:
            roots.update((root, (key, None)) for root in missing)
            with suppress(StoreFullError):  # it is found out again after a restart
                self._write()

    def _release(self, key: str, opened: _Open) -> None:
        with self._mutex:
            opened.users -= 1
            if opened.is_doomed and not opened.users:
                opened.store.close()
                if self._open.get(key) is opened:
                    del self._open[key]
                used = {other for other, _ in self._read().values()}
                if key not in used:
                    shutil.rmtree(self._directory / key, ignore_errors=True)
            idle = [name for name, store in self._open.items() if not store.users]
            for name in idle[: max(0, len(self._open) - _MOST_OPEN)]:
                self._open.pop(name).store.close()

    def rebuild(self, key: str) -> None:
        """Delete the content of a damaged store. Its roots read their histories again."""
        with self._mutex:
            opened = self._open.pop(key, None)
            if opened is not None:
                opened.store.close()
            try:
                remove_store(self._directory / key)
            except StoreFullError as error:
                log.warning("history_not_removed", store=key, error=error.message)
            roots = self._read()
            for root, (used, _) in list(roots.items()):
                if used == key:
                    roots[root] = key, None
            self._write()

    def size_bytes(self) -> int:
        """Return how much space all stores take. Blocking."""
        if not self._directory.is_dir():
            return 0
        return sum(path.lstat().st_size for path in self._directory.rglob("*") if path.is_file())

    def close(self) -> None:
        """Close all stores."""
        with self._mutex:
            for opened in self._open.values():
                opened.store.close()
            self._open.clear()
