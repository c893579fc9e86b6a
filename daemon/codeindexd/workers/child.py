"""A child process that speaks frames over its stdin and stdout: the daemon's end of the wire."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.abc
import msgspec

import codeindexd
from codeindexd.workers.wire import FrameBuffer, frame

_PIECE = 64 * 1024
_LAST_WORDS = 4096
_SECRETS = ("CODEINDEXD_EMBEDDING_API_KEY",)  # for the daemon only, not for what parses or computes
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Child:
    """One child; it has one reader and one writer. Create it with `spawn`, end it with `stop`, always."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process
        self._pidfd = _open_pidfd(process.pid)
        self._buffer = FrameBuffer()
        self._frames: deque[bytes] = deque()
        self._words = bytearray()

    @classmethod
    async def spawn(cls, module: str, *arguments: str, one_thread: bool = True, silent: bool = False) -> Child:
        """Starts ``python -m module <our pid> <arguments>``; raises OSError.

        It must be called from the thread that lives as long as the daemon does: the child's parent-death signal
        is bound to the thread that started it. The child's directory is ``/`` and nothing is imported from there,
        so that a code root's ``json.py`` never runs. ``silent``: what it writes to stderr is thrown away.
        """
        with anyio.CancelScope(shield=True):  # half a start would be a process that nobody owns
            process = await anyio.open_process(
                [sys.executable, "-P", "-m", module, str(os.getpid()), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if silent else subprocess.PIPE,
                cwd="/",
                env=environment(one_thread=one_thread),
                start_new_session=True,
            )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, messages: Sequence[msgspec.Struct]) -> None:
        """Writes messages; a child that is gone is not an error here, its reader will notice."""
        assert self._process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, BrokenPipeError):
            await self._process.stdin.send(b"".join(map(frame, messages)))

    async def receive(self) -> bytes | None:
        """The next frame's body, None when the child has closed its end. Raises `wire.BrokenStreamError`."""
        assert self._process.stdout is not None
        while not self._frames:
            try:
                data = await self._process.stdout.receive(_PIECE)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return None
            self._frames.extend(self._buffer.feed(data))
        return self._frames.popleft()

    async def listen(self) -> None:
        """Reads the child's stderr until its end and keeps the last of it; runs beside everything else."""
        if self._process.stderr is None:
            return
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for piece in self._process.stderr:
                self._words += piece
                del self._words[:-_LAST_WORDS]

    @property
    def last_words(self) -> str:
        """The end of what the child wrote to stderr."""
        return self._words.decode("utf-8", "backslashreplace").strip()

    def kill(self) -> None:
        """Ends the child now."""
        self._signal(signal.SIGKILL)

    async def close_input(self) -> None:
        """Tells the child that nothing more will come; it then ends by itself."""
        assert self._process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._process.stdin.aclose()

    async def stop(self, grace_s: float = 0.4) -> int | None:
        """Ends the child (terminate, then kill), reaps it and returns its exit status (negative = signal).

        None when it cannot even be killed, as in an uninterruptible read of a dead network disk.
        """
        with anyio.CancelScope(shield=True):
            self._signal(signal.SIGTERM)
            with anyio.move_on_after(grace_s):
                await self._process.wait()
            self._signal(signal.SIGKILL)
            with anyio.move_on_after(grace_s):
                await self._drain()
                await self._process.wait()
                await self._process.aclose()
            if self._pidfd is not None:
                os.close(self._pidfd)
                self._pidfd = None
        return self._process.returncode

    def _signal(self, number: signal.Signals) -> None:
        """Not through the process object, which reaps a child that is gone and so takes its exit status from the
        event loop's watcher; and by pidfd where there is one, so that a reused pid is never hit.
        """
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._pidfd is not None and sys.platform == "linux":
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                os.kill(self._process.pid, number)

    async def _drain(self) -> None:
        """Reads both pipes to their ends, without which the event loop would not let go of them."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.listen)
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                assert self._process.stdout is not None
                while True:
                    await self._process.stdout.receive(_PIECE)


def _open_pidfd(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # gone already, or a kernel before 5.3
        return None


def environment(*, one_thread: bool) -> dict[str, str]:
    """The environment of a child: ours without secrets, importing the same package, one arena, one thread each."""
    env = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    home = str(Path(codeindexd.__file__).resolve().parent.parent)
    given = [str(Path(entry).absolute()) for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    env["PYTHONPATH"] = os.pathsep.join((home, *given))
    env.setdefault("MALLOC_ARENA_MAX", "2")
    if one_thread:
        env.update(dict.fromkeys(_ONE_THREAD, "1"))
    return env


def describe_exit(status: int | None) -> str:
    """Words for an exit status."""
    if status is None:
        return "it cannot be ended"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
