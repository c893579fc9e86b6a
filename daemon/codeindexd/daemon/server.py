"""The socket of the daemon, which serves only the processes of its user."""

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

    ``handlers`` maps methods of the protocol to ``async (params, connection) -> result``; parameters arrive validated
    and complete. Handlers of one connection run at the same time; they are cancelled when their client goes away.
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
        """Serve until cancelled; ``started`` when clients can connect. Running requests are answered "shutting down".

        Raises what :meth:`Listener.open` raises.
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
            return None  # the client is gone already
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            log.warning("client_not_accepted", error=error.strerror, clients=self.connections)
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
            log.warning("client_of_another_user_refused", uid=uid, pid=pid)
            hint = "every user has a daemon of their own; start yours"
            _refuse(raw, PathRefusedError("this daemon serves another user", hint=hint))
            return None
        if self.connections >= self._limits.connections:
            self._make_room()
        if self.connections >= self._limits.connections:
            log.warning("too_many_clients", clients=self.connections)
            hint = "close some, or send requests at the same time on one connection"
            _refuse(raw, FailedError(f"{self.connections} clients are already connected", hint=hint))
            return None
        client = Connection(raw, self._handlers, self._limits, pid=pid)
        self._connections[client.number] = client
        if self._on_close is not None:
            client.on_close(functools.partial(self._on_close, client))
        return client

    def _make_room(self) -> None:
        """Drop the connection that has been idle for longest. Idling has no time limit, since it costs nothing."""
        idle = [client for client in self._connections.values() if not client.busy]
        if idle:
            client = min(idle, key=lambda client: client.last_used)
            del self._connections[client.number]
            client.drop("idle_for_longest")

    async def _serve_client(self, client: Connection) -> None:
        try:
            await client.serve()
        except Exception:
            log.exception("client_failed", client=client.number)
        finally:
            self._connections.pop(client.number, None)


def _refuse(raw: socket.socket, error: CodeindexError) -> None:
    raw.setblocking(False)
    with raw, contextlib.suppress(OSError):
        raw.send(protocol.failure(None, error))
