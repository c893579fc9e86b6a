"""The worker process: reads jobs, runs the pipeline on one after the other, and answers in the same order.

From that order the daemon knows which file ended a worker: the first one without an answer.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Protocol, cast

from codeindexd.errors import place_of
from codeindexd.workers import process_limits, wire
from codeindexd.workers.jobs import (
    CentralityJob,
    CentralityResult,
    FileJob,
    FileResult,
    HistoryJob,
    HistoryResult,
    Job,
    Result,
    TextsJob,
    TextsResult,
    WorkerSettings,
    failed,
)


class Pipeline(Protocol):
    """The functions that a worker runs for its jobs."""

    def process(self, job: FileJob) -> FileResult:
        """Process one file; exceptions other than MemoryError become failed results."""

    def texts(self, job: TextsJob) -> TextsResult:
        """Return the texts of catalogued chunks."""

    def history(self, job: HistoryJob) -> HistoryResult:
        """Read a part of a repository's history."""

    def centrality(self, job: CentralityJob) -> CentralityResult:
        """Compute the centrality of the files in a catalog."""


_Run = wire.RunFile | wire.RunTexts | wire.RunHistory | wire.RunCentrality


def main(arguments: list[str]) -> int:
    """Run a worker until the daemon closes the pipe, and return the exit status.

    ``arguments`` are the parent's pid and the pipeline class as "module:class".
    """
    parent, pipeline_path = arguments
    channel = process_limits.adopt(int(parent))
    try:
        return _serve(channel, pipeline_path)
    except (BrokenPipeError, wire.BrokenStreamError):
        return process_limits.EXIT_ORPHANED
    except MemoryError:
        os._exit(process_limits.EXIT_OUT_OF_MEMORY)  # any allocation may fail now


def _serve(channel: wire.Channel, pipeline_path: str) -> int:
    first = channel.receive()
    if first is None:
        return 0
    start = wire.to_worker.decode(first)
    if not isinstance(start, wire.Start):
        raise wire.BrokenStreamError("the first message is not the settings")
    pipeline = _load(pipeline_path, start.settings)
    gc.freeze()  # collections need not examine what is loaded by now
    process_limits.limit_memory(start.settings.memory_limit_bytes)
    if start.at_low_priority:  # not earlier: on a busy machine the start alone would take a minute
        process_limits.lower_priority(start.settings.nice)
    channel.send(wire.Ready(process_limits.private_memory()))
    while (body := channel.receive()) is not None:
        message = wire.to_worker.decode(body)
        if isinstance(message, wire.LowerPriority):
            process_limits.lower_priority(start.settings.nice)
        else:
            _answer(channel, pipeline, message)
    return 0


def _load(path: str, settings: WorkerSettings) -> Pipeline:
    module, _, name = path.partition(":")
    return cast("Pipeline", getattr(importlib.import_module(module), name)(settings))


def _answer(channel: wire.Channel, pipeline: Pipeline, message: wire.Start | _Run) -> None:
    if isinstance(message, wire.Start):
        raise wire.BrokenStreamError("the settings came twice")
    result = _run(pipeline, message.job)
    try:
        channel.send(_done(result))
    except (TypeError, ValueError, OverflowError) as error:  # the pipeline returned something that cannot be encoded
        channel.send(_done(failed(message.job, place_of(error))))


def _run(pipeline: Pipeline, job: Job) -> Result:
    try:
        match job:
            case FileJob():
                return pipeline.process(job)
            case TextsJob():
                return pipeline.texts(job)
            case HistoryJob():
                return pipeline.history(job)
            case CentralityJob():
                return pipeline.centrality(job)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - one bad file never costs another; the result carries the error
        return failed(job, place_of(error))


def _done(result: Result) -> wire.FileDone | wire.TextsDone | wire.HistoryDone | wire.CentralityDone:
    memory = process_limits.private_memory()
    match result:
        case FileResult():
            return wire.FileDone(result, memory)
        case TextsResult():
            return wire.TextsDone(result, memory)
        case HistoryResult():
            return wire.HistoryDone(result, memory)
        case CentralityResult():
            return wire.CentralityDone(result, memory)


def run() -> None:
    """Run the worker with the arguments of this process, and exit."""
    sys.exit(main(sys.argv[1:]))
