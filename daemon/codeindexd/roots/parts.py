"""Creates the parts of a running root in an order in which each refers only to those before it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from codeindexd.indexing.catch_up import CatchUp
from codeindexd.indexing.embed_pending import PendingEmbedder
from codeindexd.indexing.ingest import Ingest
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.roots.busy import BusyFiles
from codeindexd.roots.events import RootEventKind
from codeindexd.roots.hints import Hints
from codeindexd.roots.presence import Presence
from codeindexd.roots.root_config import RootConfigFile
from codeindexd.roots.scan_loop import ScanLoop
from codeindexd.roots.settings import RootDependencies, RootSettings
from codeindexd.roots.shutdown import Shutdown
from codeindexd.roots.sync import Sync
from codeindexd.roots.unreadable import UnreadablePaths
from codeindexd.scan.relpath import ROOT
from codeindexd.scan.rule_files import RuleFiles
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.watch import Backend, Watcher


class RootParts(Struct, frozen=True):
    """The parts of a root that exist while its stores are open."""

    index: IndexWriter
    ingest: Ingest
    embedder: PendingEmbedder
    catch_up: CatchUp
    watcher: Watcher
    scans: ScanLoop
    sync: Sync
    busy: BusyFiles


def create_parts(
    index: IndexWriter,
    settings: RootSettings,
    dependencies: RootDependencies,
    rules: RuleFiles,
    *,
    presence: Presence,
    config_file: RootConfigFile,
    hints: Hints,
    unreadable: UnreadablePaths,
    problems: RootProblems,
    shutdown: Shutdown,
    report: Callable[[RootEventKind], None],
    report_state_change: Callable[[], None],
) -> RootParts:
    """Create the parts of the root ``presence.spec``, given its open index.

    ``rules`` are the rule files that no event of the root covers. ``report`` sends an event to subscribers;
    ``report_state_change`` does so if the state differs from the one last reported. Raises StoreFullError.
    """
    spec = presence.spec
    busy = BusyFiles(hints)

    def on_commit() -> None:
        if index.lag.has_lag:
            catch_up.trigger()
        if index.pending_vectors:
            embedder.wake()
        report(RootEventKind.GENERATION)

    ingest = Ingest(
        spec.raw,
        index,
        dependencies.pool,
        problems,
        on_hint=busy.add_later,
        on_check=busy.check_later,
        on_commit=on_commit,
    )
    embedder = PendingEmbedder(
        spec.raw, index, dependencies.pool, dependencies.embedder, problems, on_hint=busy.add_later
    )
    catch_up = CatchUp(
        spec.raw,
        index,
        dependencies.pool,
        problems,
        on_hint=busy.add_later,
        on_reprocess=lambda files: ingest.submit([], files),
        on_caught_up=embedder.wake,
    )
    watcher = Watcher(
        spec.path,
        cookie_dirs=dependencies.cookies,
        poll_interval_s=settings.poll_s,
        poll=settings.backend is Backend.POLL,
        source=settings.backend.source,
        on_hints=busy.add,
        on_degraded=lambda message, hint: problems.set(ProblemKey.WATCH, RootProblem(message, hint)),
        on_recovered=lambda: problems.clear(ProblemKey.WATCH),
        on_root_changed=lambda: hints.add([ROOT]),
        rules=rules,
    )
    scans = ScanLoop(
        catalog=index.catalog,
        hints=hints,
        busy=busy,
        ingest=ingest,
        watcher=watcher,
        problems=problems,
        presence=presence,
        config_file=config_file,
        unreadable=unreadable,
        reconcile_s=settings.reconcile_s,
        report=report,
        report_state_change=report_state_change,
    )
    sync = Sync(
        hints=hints,
        busy=busy,
        scans=scans,
        watcher=watcher,
        ingest=ingest,
        catch_up=catch_up,
        presence=presence,
        problems=problems,
        shutdown=shutdown,
    )
    return RootParts(index, ingest, embedder, catch_up, watcher, scans, sync, busy)
