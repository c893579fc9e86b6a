"""The socket of the daemon: an explicit table from verb to handler, served to this user's processes only."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import anyio.abc
import structlog

from codeindexd import protocol
from codeindexd.daemon.connection import Connection, Handler, Limits
from codeindexd.daemon.listener import Listener
from codeindexd.errors import CodeindexError, FailedError, PathRefusedError

__all__ = ["Connection", "Handler", "Limits", "Server"]

log = structlog.get_logger(__name__)
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_ROOM_PAUSE_S = 0.1


class Server:
    """Answers requests at ``socket_path``, or on a listening socket inherited from systemd or launchd.

    ``handlers`` maps every method of the protocol to ``async (params, connection) -> result``; parameters arrive
    validated and complete. Handlers of one connection run side by side; one is cancelled when its client goes away.
    ``on_close`` is called with every connection that ends. The caller holds the daemon's lock.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        socket_path: Path,
        inherited: socket.socket | None = None,
        limits: Limits | None = None,
        on_close: Callable[[Connection], None] | None = None,
    ) -> None:
        if unknown := handlers.keys() - protocol.METHODS.keys():
            raise ValueError(f"the protocol has no {', '.join(sorted(unknown))}")
        self._handlers = handlers
        self._path = socket_path
        self._inherited = inherited
        self._limits = limits or Limits()
        self._on_close = on_close
        self._connections: dict[int, Connection] = {}

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; ``started`` when clients can connect. Requests under way are answered "shutting down".

        Raises what ``Listener.open`` raises.
        """
        listener = Listener(self._inherited, None) if self._inherited else Listener.open(self._path)
        try:
            async with anyio.create_task_group() as clients:
                task_status.started()
                while True:
                    if (raw := await self._accept(listener.socket)) is not None and (client := self._admit(raw)):
                        clients.start_soon(self._serve_client, client)
        finally:
            listener.close()

    async def _accept(self, listening: socket.socket) -> socket.socket | None:
        await anyio.wait_readable(listening)
        try:
            return listening.accept()[0]
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return None  # it was gone before we looked
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            log.warning("no room for another client", error=error.strerror, clients=self.connections)
            self._make_room()
            await anyio.sleep(_NO_ROOM_PAUSE_S)
            return None

    def _admit(self, raw: socket.socket) -> Connection | None:
        try:
            uid, pid = protocol.peer(raw)
        except OSError:
            raw.close()
            return None
        if uid != os.geteuid():
            log.warning("another user's process was turned away", uid=uid, pid=pid)
            hint = "Every user has a daemon of their own."
            _turn_away(raw, PathRefusedError("this daemon serves another user", hint=hint))
            return None
        if self.connections >= self._limits.connections:
            self._make_room()
        if self.connections >= self._limits.connections:
            log.warning("too many clients", clients=self.connections)
            hint = "Close some, or share one connection: requests may be sent side by side."
            _turn_away(raw, FailedError(f"{self.connections} clients are connected already", hint=hint))
            return None
        client = Connection(raw, self._handlers, self._limits, pid=pid)
        self._connections[client.number] = client
        if self._on_close is not None:
            client.on_close(functools.partial(self._on_close, client))
        return client

    def _make_room(self) -> None:
        """End the connection that has been idle for longest. There is no time limit on idling: it costs nothing."""
        idle = [client for client in self._connections.values() if not client.busy]
        if idle:
            client = min(idle, key=lambda client: client.last_used)
            del self._connections[client.number]
            client.drop("its place was needed")

    async def _serve_client(self, client: Connection) -> None:
        try:
            await client.serve()
        except Exception:
            log.exception("client failed", client=client.number)
        finally:
            self._connections.pop(client.number, None)


def _turn_away(raw: socket.socket, error: CodeindexError) -> None:
    raw.setblocking(False)
    with raw, contextlib.suppress(OSError):
        raw.send(protocol.failure(None, error))
