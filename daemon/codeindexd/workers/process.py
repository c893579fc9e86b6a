"""A worker process: reads jobs, runs the pipeline on them one after the other, answers in the same order.

That order is what lets the daemon name the file that ended a worker: it is the first one without an answer.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Protocol, cast

from codeindexd.errors import place_of
from codeindexd.workers import guard, wire
from codeindexd.workers.jobs import FileJob, FileResult, Job, Result, TextsJob, TextsResult, WorkerSettings, failed


class Pipeline(Protocol):
    """What a worker does with one file."""

    def process(self, job: FileJob) -> FileResult: ...

    def texts(self, job: TextsJob) -> TextsResult: ...


def main(arguments: list[str]) -> int:
    """Runs a worker until the daemon closes its end. ``arguments``: the parent's pid, the pipeline's import path."""
    parent, pipeline_path = arguments
    channel = guard.adopt(int(parent))
    try:
        return _serve(channel, pipeline_path)
    except (BrokenPipeError, wire.BrokenStreamError):
        return guard.EXIT_ORPHANED
    except MemoryError:
        os._exit(guard.EXIT_OUT_OF_MEMORY)  # nothing that allocates can be relied on now


def _serve(channel: wire.Channel, pipeline_path: str) -> int:
    first = channel.receive()
    if first is None:
        return 0
    start = wire.to_worker.decode(first)
    if not isinstance(start, wire.Start):
        raise wire.BrokenStreamError("the first message must be the settings")
    pipeline = _load(pipeline_path, start.settings)
    guard.limit_memory(start.settings.memory_limit_bytes)
    if start.bulk:  # not before: behind a busy machine the start alone would take a minute, seemingly broken
        guard.lower_priority(start.settings.nice)
    channel.send(wire.Ready(guard.private_memory()))
    while (body := channel.receive()) is not None:
        _answer(channel, pipeline, wire.to_worker.decode(body))
    return 0


def _load(path: str, settings: WorkerSettings) -> Pipeline:
    module, _, name = path.partition(":")
    return cast("Pipeline", getattr(importlib.import_module(module), name)(settings))


def _answer(channel: wire.Channel, pipeline: Pipeline, message: wire.ToWorker) -> None:
    if isinstance(message, wire.Start):
        raise wire.BrokenStreamError("the settings came twice")
    result = _run(pipeline, message.job)
    try:
        channel.send(_done(result))
    except (TypeError, ValueError, OverflowError) as error:  # not encodable: the pipeline broke its promise
        channel.send(_done(failed(message.job, place_of(error))))


def _run(pipeline: Pipeline, job: Job) -> Result:
    try:
        return pipeline.process(job) if isinstance(job, FileJob) else pipeline.texts(job)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - one bad file never costs another; the result carries the error
        return failed(job, place_of(error))


def _done(result: Result) -> wire.FileDone | wire.TextsDone:
    memory = guard.private_memory()
    return wire.FileDone(result, memory) if isinstance(result, FileResult) else wire.TextsDone(result, memory)


def run() -> None:
    """Entry point of ``python -m codeindexd.workers``."""
    sys.exit(main(sys.argv[1:]))
