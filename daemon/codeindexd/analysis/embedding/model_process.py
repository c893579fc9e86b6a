"""The daemon's side of a model process: starts it, has the model loaded, sends requests, and restarts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import msgspec
import numpy as np
import structlog

from codeindexd.analysis.embedding import transformer_wire as wire
from codeindexd.analysis.embedding.base import Vectors
from codeindexd.analysis.embedding.transformer_process import EXIT_IDLE
from codeindexd.errors import EmbedderError
from codeindexd.workers.child import Child, describe_exit, environment
from codeindexd.workers.pressure import cpu_time
from codeindexd.workers.wire import BrokenStreamError, Channel

MODULE = "codeindexd.analysis.embedding.transformer_process"
_RETRY_LOAD_S = 30.0  # loading takes seconds and gigabytes, so it is not retried for every query
_STALLED_S = 60.0  # without an answer and without using a CPU
_STALLED_LOADING_S = 600.0  # a download may be slow
_HINT = "check that there is memory for the model, and that this works: python -c 'import sentence_transformers'"

_log = structlog.get_logger("codeindexd.analysis.embedding.create")


class BatchError(EmbedderError):
    """This batch could not be embedded, but a smaller one might be."""


class ModelProcess:
    """A model process, with one request at a time, queries first. Calls can be cancelled: a late answer is dropped.

    ``device`` is where the model runs, "" before it is loaded.
    """

    def __init__(self, load: wire.Load, *, dimensions: int, loader: str) -> None:
        self.device = ""
        self._load = load
        self._loader = loader
        self._dimensions = dimensions
        self._lock = _PriorityLock()
        self._child: Child | None = None
        self._loaded = False
        self._number = 0
        self._load_error: tuple[float, EmbedderError] | None = None

    async def encode(self, texts: list[str], *, query: bool) -> Vectors:
        """Return the vectors (len(texts), dimensions) of ``texts``, computed in one batch.

        ``query`` selects the model's prompt for queries. Raises BatchError if the process ended or ran out of memory,
        another EmbedderError if the model cannot be loaded or fails.
        """
        async with self._lock.hold(first=query):
            while True:
                child = await self._ensure_loaded()
                self._number += 1
                await child.send([wire.Encode(self._number, texts, query)])
                answer = await self._receive_answer(child)
                if isinstance(answer, wire.Encoded):
                    return np.frombuffer(answer.rows, dtype="<f4").reshape(len(texts), self._dimensions)
                if answer is not None:
                    kind = BatchError if answer.kind is wire.FailureKind.MEMORY else EmbedderError
                    raise kind(f"the model failed: {answer.error}")
                status = await self._stop()
                if status != EXIT_IDLE:  # otherwise it has just been unloaded, and is started again
                    _log.warning("embedder_lost", cause=describe_exit(status), texts=len(texts))
                    raise BatchError(f"the model's process ended: {describe_exit(status)}")

    async def aclose(self) -> None:
        """Stop the process, if it is running."""
        await self._stop()

    async def _ensure_loaded(self) -> Child:
        """Return the process with the model loaded, starting it if needed. Raises EmbedderError."""
        if self._load_error is not None:
            when, error = self._load_error
            if time.monotonic() < when:
                raise EmbedderError(error.message, hint=error.hint)
            self._load_error = None
        if self._child is None:
            self._loaded = False
            try:
                self._child = await Child.spawn(MODULE, self._loader, one_thread=False, silent=True)
            except OSError as error:
                raise self._load_failed(str(error)) from error
            await self._child.send([self._load])
        if not self._loaded:
            message = await self._receive(self._child)
            if isinstance(message, wire.Loaded):
                await self._check(message)
            else:
                status = await self._stop()
                raise self._load_failed(message.error if isinstance(message, wire.Failed) else describe_exit(status))
        return self._child

    async def _check(self, message: wire.Loaded) -> None:
        if message.dimensions != self._dimensions:
            await self._stop()
            raise self._load_failed(
                f"it has {message.dimensions} dimensions, but its configuration says {self._dimensions}"
            )
        self._loaded = True
        self.device = message.device
        _log.info("embedder_loaded", model=self._load.model, device=message.device)

    def _load_failed(self, cause: str) -> EmbedderError:
        error = EmbedderError(f"cannot load the model {self._load.model}: {cause}", hint=_HINT)
        self._load_error = (time.monotonic() + _RETRY_LOAD_S, error)
        return error

    async def _receive_answer(self, child: Child) -> wire.Encoded | wire.Failed | None:
        while True:
            message = await self._receive(child)
            if message is None:
                return None
            if not isinstance(message, wire.Loaded) and message.number == self._number:
                return message  # other answers belong to cancelled requests

    async def _receive(self, child: Child) -> wire.ToDaemon | None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_kill_when_stalled, child, _STALLED_S if self._loaded else _STALLED_LOADING_S)
                body = await child.receive()
                tasks.cancel_scope.cancel()
            return None if body is None else wire.to_daemon.decode(body)
        except (BrokenStreamError, msgspec.MsgspecError):
            child.kill()
            return None

    async def _stop(self) -> int | None:
        child, self._child = self._child, None
        return None if child is None else await child.stop()


async def _kill_when_stalled(child: Child, interval_s: float) -> None:
    """Kill a process that uses no CPU although an answer is due, because it is stopped or deadlocked."""
    before = cpu_time(child.pid)
    while before is not None:
        await anyio.sleep(interval_s)
        now = cpu_time(child.pid)
        if now is not None and not now[1] and now[0] - before[0] <= 0.0:
            _log.warning("embedder_stalled", seconds=interval_s)
            child.kill()
            return
        before = now


class _PriorityLock:
    """A lock that waiters with ``first`` get before all others."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._first = 0

    @asynccontextmanager
    async def hold(self, *, first: bool) -> AsyncGenerator[None, None]:
        """Hold the lock for the length of the block; those with ``first`` get it before all others."""
        self._first += first
        try:
            await self._lock.acquire()
            while self._first and not first:
                self._lock.release()
                await anyio.lowlevel.checkpoint()
                await self._lock.acquire()
        except BaseException:
            self._first -= first
            raise
        try:
            yield
        finally:
            self._first -= first
            self._lock.release()


def probe_model(load: wire.Load, loader: str) -> int:
    """Load a model in a short-lived process, downloading it if necessary, and return its dimensions.

    Blocking. Raises EmbedderError.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, str(os.getpid()), loader],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment(one_thread=False),
            start_new_session=True,
        )
    except OSError as error:
        raise EmbedderError(f"cannot load the model {load.model}: {error}", hint=_HINT) from error
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            channel = Channel(process.stdout.fileno(), process.stdin.fileno())
            channel.send(load)
            body = channel.receive()
            message = None if body is None else wire.to_daemon.decode(body)
        except (OSError, BrokenStreamError, msgspec.MsgspecError):
            message = None
        finally:
            process.kill()
    if isinstance(message, wire.Loaded):
        return message.dimensions
    cause = message.error if isinstance(message, wire.Failed) else describe_exit(process.returncode)
    raise EmbedderError(f"cannot load the model {load.model}: {cause}", hint=_HINT)
