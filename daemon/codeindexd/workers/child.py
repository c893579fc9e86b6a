"""The daemon's end of the pipe to a child process, which exchanges frames over its stdin and stdout."""

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

_READ_BYTES = 64 * 1024
_STDERR_BYTES_KEPT = 4096
_SECRETS = ("CODEINDEXD_EMBEDDING_API_KEY",)  # for the daemon only, not for its children
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Child:
    """A child process that one task reads from and one writes to, from :meth:`spawn` to :meth:`stop`."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process
        self._pidfd = _open_pidfd(process.pid)
        self._buffer = FrameBuffer()
        self._frames: deque[bytes] = deque()
        self._stderr = bytearray()

    @classmethod
    async def spawn(cls, module: str, *arguments: str, one_thread: bool = True, silent: bool = False) -> Child:
        """Start ``python -m module <our pid> <arguments>``. Raises OSError.

        Call it from the daemon's main thread: the child's parent-death signal is bound to the thread that started it.
        The child's working directory is ``/``, and modules are not imported from it, so that the ``json.py`` of a code
        root never runs. With ``one_thread``, numerical libraries use one thread; with ``silent``, stderr is discarded.
        """
        with anyio.CancelScope(shield=True):  # an interrupted start would leave a process behind
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
        """The process id of the child."""
        return self._process.pid

    async def send(self, messages: Sequence[msgspec.Struct]) -> None:
        """Write messages. If the child has ended, nothing is raised: ``receive`` will return None."""
        assert self._process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, BrokenPipeError):
            await self._process.stdin.send(b"".join(map(frame, messages)))

    async def receive(self) -> bytes | None:
        """Return the next frame's body, or None once the child has closed its end. Raises BrokenStreamError."""
        assert self._process.stdout is not None
        while not self._frames:
            try:
                data = await self._process.stdout.receive(_READ_BYTES)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return None
            self._frames.extend(self._buffer.feed(data))
        return self._frames.popleft()

    async def listen(self) -> None:
        """Read the child's stderr to its end, and keep the last part; run this in a task of its own."""
        if self._process.stderr is None:
            return
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for piece in self._process.stderr:
                self._stderr += piece
                del self._stderr[:-_STDERR_BYTES_KEPT]

    @property
    def stderr_tail(self) -> str:
        """The last part (4 KiB) of the child's stderr."""
        return self._stderr.decode("utf-8", "backslashreplace").strip()

    def kill(self) -> None:
        """Kill the child now."""
        self._signal(signal.SIGKILL)

    async def close_input(self) -> None:
        """Close the child's stdin, after which it ends by itself."""
        assert self._process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._process.stdin.aclose()

    async def stop(self, grace_s: float = 0.4) -> int | None:
        """Terminate the child, kill it after ``grace_s`` seconds, and return its exit status (negative for a signal).

        Returns None if it cannot even be killed, for example during an uninterruptible read from a dead network disk.
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
        """Send a signal, by pidfd if possible, so that it never hits another process with a reused pid.

        Not through the process object: that would reap a child that has ended, and the event loop would miss its exit
        status.
        """
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._pidfd is not None and sys.platform == "linux":
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                os.kill(self._process.pid, number)

    async def _drain(self) -> None:
        """Read both pipes to their ends; otherwise the event loop would not close them."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.listen)
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                assert self._process.stdout is not None
                while True:
                    await self._process.stdout.receive(_READ_BYTES)


def _open_pidfd(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # it has already ended, or the kernel is older than 5.3
        return None


def environment(*, one_thread: bool) -> dict[str, str]:
    """Return the environment of a child: ours without secrets, with our package importable and two malloc arenas.

    With ``one_thread``, numerical libraries use one thread.
    """
    env = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    home = str(Path(codeindexd.__file__).resolve().parent.parent)
    given = [str(Path(entry).absolute()) for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    env["PYTHONPATH"] = os.pathsep.join((home, *given))
    env.setdefault("MALLOC_ARENA_MAX", "2")
    if one_thread:
        env.update(dict.fromkeys(_ONE_THREAD, "1"))
    return env


def describe_exit(status: int | None) -> str:
    """Describe an exit status as returned by :meth:`Child.stop`, for messages."""
    if status is None:
        return "it cannot be killed"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
