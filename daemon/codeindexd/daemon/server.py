"""The server at the daemon's socket. It serves only processes of the daemon's user."""

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
import anyio.to_thread
import structlog

from codeindexd import protocol
from codeindexd.daemon.connection import ClientLimits, Connection, Handler, Params, Result
from codeindexd.daemon.listener import Listener
from codeindexd.errors import CodeindexError, FailedError, PathRefusedError

__all__ = ["ClientLimits", "Connection", "Handler", "Params", "Result", "Server"]

log = structlog.get_logger(__name__)
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_ROOM_PAUSE_S = 0.1
_CHECK_EVERY_S = 1.0  # that the socket is still at its path


class Server:
    """Answers requests at ``socket_path``, or on a listening socket inherited from systemd or launchd.

    ``handlers`` maps methods of the protocol to ``async (params, connection) -> result``; parameters arrive validated
    and complete. The requests of a connection run concurrently, and are cancelled if the client goes away.

    If the socket is removed or replaced, the server opens it again within seconds, at ``spare_path`` if that fails.
    ``on_listen`` is called with each path at which the server listens, ``on_close`` with each connection that ends.
    The caller holds the daemon's lock. Raises ValueError for a handler of an unknown method.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        socket_path: Path,
        spare_path: Path | None = None,
        inherited: socket.socket | None = None,
        limits: ClientLimits | None = None,
        on_close: Callable[[Connection], None] | None = None,
        on_listen: Callable[[Path], None] | None = None,
    ) -> None:
        if unknown := handlers.keys() - protocol.METHODS.keys():
            raise ValueError(f"the protocol has no {', '.join(sorted(unknown))}")
        self._handlers = handlers
        self._path = socket_path
        self._spare_path = spare_path
        self._inherited = inherited
        self._limits = limits or ClientLimits()
        self._on_close = on_close
        self._on_listen = on_listen
        self._relisten_failed = ""
        self._connections: dict[int, Connection] = {}

    @property
    def connection_count(self) -> int:
        """The number of connected clients."""
        return len(self._connections)

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started when clients can connect. Then answer running requests with an error.

        Raises the errors of :meth:`Listener.open`.
        """
        listener = Listener.inherit(self._inherited) if self._inherited else Listener.open(self._path)
        self._report(listener)
        try:
            async with anyio.create_task_group() as clients:
                task_status.started()
                next_check = anyio.current_time() + _CHECK_EVERY_S
                while True:
                    raw = None
                    with anyio.move_on_at(next_check):
                        raw = await self._accept(listener.socket)
                    if raw is not None and (client := self._admit(raw)):
                        clients.start_soon(self._serve_client, client)
                    if anyio.current_time() >= next_check:
                        listener = await self._kept_reachable(listener)
                        next_check = anyio.current_time() + _CHECK_EVERY_S
        finally:
            listener.close()

    async def _kept_reachable(self, listener: Listener) -> Listener:
        """Return ``listener``, or if its socket is gone a new one in its place, as far as that is possible now."""
        if listener.is_reachable or not (fresh := await anyio.to_thread.run_sync(self._listen_again)):
            return listener
        listener.close()
        self._report(fresh)
        return fresh

    def _listen_again(self) -> Listener | None:
        """Return a new listener for a socket that is gone, None if that fails.

        A logout empties the runtime directory, a cleaner the temporary one.
        """
        reason = ""
        for path in (self._path, self._spare_path):
            if path is None:
                continue
            try:
                listener = Listener.open(path)
            except (CodeindexError, OSError) as error:
                reason = reason or str(error)
            else:
                log.warning("socket_replaced", path=str(path), reason="the socket was removed or replaced")
                self._relisten_failed = ""
                return listener
        if reason != self._relisten_failed:  # once, not every second
            log.error("socket_lost", path=str(self._path), error=reason)
            self._relisten_failed = reason
        return None

    def _report(self, listener: Listener) -> None:
        if self._on_listen is not None:
            self._on_listen(listener.path)

    async def _accept(self, listening: socket.socket) -> socket.socket | None:
        await anyio.wait_readable(listening)
        try:
            return listening.accept()[0]
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return None  # the client is gone already
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            log.warning("client_not_accepted", error=error.strerror, clients=self.connection_count)
            self._make_room()
            await anyio.sleep(_NO_ROOM_PAUSE_S)
            return None

    def _admit(self, raw: socket.socket) -> Connection | None:
        """Return the connection of a client that was accepted; None if it was refused."""
        try:
            uid, pid = protocol.peer_credentials(raw)
        except OSError:
            raw.close()
            return None
        if uid != os.geteuid():
            log.warning("client_of_another_user_refused", uid=uid, pid=pid)
            hint = "every user has a daemon of their own; start yours"
            _refuse(raw, PathRefusedError("this daemon serves another user", hint=hint))
            return None
        if self.connection_count >= self._limits.connections:
            self._make_room()
        if self.connection_count >= self._limits.connections:
            log.warning("too_many_clients", clients=self.connection_count)
            hint = "close some, or send several requests over one connection"
            _refuse(raw, FailedError(f"{self.connection_count} clients are already connected", hint=hint))
            return None
        client = Connection(raw, self._handlers, self._limits, pid=pid)
        self._connections[client.number] = client
        if self._on_close is not None:
            client.on_close(functools.partial(self._on_close, client))
        return client

    def _make_room(self) -> None:
        """Drop the connection that has been idle longest. There is no time limit, since an idle one costs nothing."""
        idle = [client for client in self._connections.values() if not client.is_busy]
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
