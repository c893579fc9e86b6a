"""Work in the background: removes missing roots, keeps the vector store in its bounds, verifies stores."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial

import anyio
import anyio.to_thread
import structlog

from codeindexd.errors import CodeindexError, StoreDamagedError, place_of
from codeindexd.roots import Root
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.roots.verify import verify
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import RootState

log = structlog.get_logger(__name__)
_EVERY_S = 60.0  # an hour of indexing can add gigabytes to the vector store
_RARE_EVERY_S = 3600.0
_VERIFY_AFTER_S = 60.0  # of uptime: right after the start, users' requests come first
_MARKED_AT_ONCE = 10_000


async def attempt(what: str, action: Callable[[], Awaitable[None]]) -> None:
    """Run an ``action`` that can be repeated later. Its errors are logged; none of them may end the daemon."""
    try:
        await action()
    except CodeindexError as error:
        log.warning("upkeep_failed", what=what, error=error.message, hint=error.hint)
    except Exception as error:  # noqa: BLE001 - it is logged, without its message
        log.error("upkeep_failed", what=what, error=place_of(error))  # noqa: TRY400 - a trace may quote file contents


class Upkeep:
    """The upkeep of all roots, and of the vector store, which may take up to ``budget_gb`` gigabytes.

    ``identity`` is the configured model's; ``stores_vectors`` is False if its vectors are not kept in the vector store.
    ``vectors_verified`` is True if the vector store was closed cleanly or its checksums have been verified since.
    """

    def __init__(
        self,
        roots: RootSupervisor,
        vectors: VectorStore,
        *,
        identity: str,
        stores_vectors: bool,
        budget_gb: float,
        vectors_verified: bool,
    ) -> None:
        self._roots = roots
        self._vectors = vectors
        self._identity = identity
        self._stores_vectors = stores_vectors
        self._budget_gb = budget_gb
        self._started = time.monotonic()
        self.vectors_verified = vectors_verified

    async def serve(self) -> None:
        """Run the actions that are due every minute or every hour, until cancelled."""
        last_rare = time.monotonic()
        while True:
            await anyio.sleep(_EVERY_S)
            if time.monotonic() - last_rare >= _RARE_EVERY_S:
                last_rare = time.monotonic()
                await attempt("remove_missing_roots", self._roots.remove_missing)
                await attempt("mark_vectors", partial(anyio.to_thread.run_sync, self._mark_or_drop_vectors))
            await attempt("prune_vectors", partial(anyio.to_thread.run_sync, self._prune_vectors))
            if time.monotonic() - self._started >= _VERIFY_AFTER_S:
                if not self.vectors_verified:
                    await attempt("verify_vectors", partial(anyio.to_thread.run_sync, self._verify_vectors))
                for root in self._roots.running_roots():
                    await attempt("verify_root", partial(self._verify_if_needed, root))

    def _verify_vectors(self) -> None:
        """Verify the checksums of the vector store, after an unclean shutdown."""
        self._vectors.repair_if_damaged(thoroughly=True)
        self.vectors_verified = True

    async def _verify_if_needed(self, root: Root) -> None:
        """Compare a root with the disk after an unclean shutdown, as ``verify --repair`` does."""
        if not root.needs_verify or root.state is not RootState.FRESH:
            return
        log.info("verifying_after_unclean_shutdown", root=str(root.spec.path))
        try:
            found = await verify.verify(root, repair=True, rebuild=self._roots.rebuild)
        except CodeindexError as error:
            if not isinstance(error, StoreDamagedError):
                raise
            log.warning("index_rebuilt", root=str(root.spec.path), error=error.message)
            await self._roots.rebuild(root.spec)
        except (ValueError, TypeError, LookupError, AttributeError):  # broken rows that no check has caught
            log.exception("index_rebuilt", root=str(root.spec.path))
            await self._roots.rebuild(root.spec)
        else:
            if found.get("repaired", True):
                root.mark_verified()

    def _mark_or_drop_vectors(self) -> None:
        """Mark the vectors that any root needs as used today; drop those that an earlier version stored needlessly."""
        if not self._stores_vectors:
            if all(root.state is RootState.FRESH for root in self._roots.running_roots()):
                self._vectors.drop(self._identity)
            return
        for hashes in self._vectors_in_use():
            self._vectors.mark_used(self._identity, hashes)

    def _prune_vectors(self) -> None:
        """Drop vectors until the store is within its budget."""
        budget = int(self._budget_gb * (1 << 30))
        dropped = self._vectors.keep_within(budget, self._identity, self._vectors_in_use)
        if dropped:
            log.info("vectors_pruned", dropped=dropped, budget_gb=self._budget_gb)

    def _vectors_in_use(self) -> Iterator[Sequence[bytes]]:
        """Yield the embed hashes of all roots in parts, so that commits need not wait until all are marked."""
        for root in self._roots.running_roots() if self._stores_vectors else ():
            with root.catalog_snapshot() as snapshot:
                hashes = snapshot.embed_hashes()
                while part := list(itertools.islice(hashes, _MARKED_AT_ONCE)):
                    yield part
