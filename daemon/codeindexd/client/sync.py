"""The blocking client: one connection, one request at a time, answered in order."""

from __future__ import annotations

import contextlib
import os
import socket
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from codeindexd import protocol
from codeindexd.client import core
from codeindexd.client.core import PathLike
from codeindexd.client.methods import Methods
from codeindexd.errors import CodeindexError, FailedError, NoDaemonError, TimedOutError, UsageError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from codeindexd.client import results
    from codeindexd.client.grep_stream import GrepStream

_CONNECT_TIMEOUT_S = 5.0
_CATCH_UP_S = 10.0
_SILENT_S = 5.0  # then, and as often again, look whether the daemon is suspended
_NOBODY_THERE = (FileNotFoundError, NotADirectoryError, ConnectionRefusedError)


class Client(Methods):
    """A connection to the daemon of this user, opened by the first request. For one thread, and one request at a time.

    With ``socket_path`` None, the client finds this user's daemon, whatever environment it was started in. With
    ``start``, it starts a daemon if none can be reached. It also replaces a daemon whose installation was removed or
    changed, and one that is older than this client, unless a service would start it again from another installation:
    then the older daemon is used, and ``note`` is called with a message. ``timeout_s`` limits every request (None: no
    limit); the connection is closed after a timeout. All methods raise the errors of ``codeindexd.errors``.
    """

    def __init__(
        self,
        socket_path: PathLike | None = None,
        *,
        start: bool = True,
        timeout_s: float | None = None,
        environ: Mapping[str, str] | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self.socket_path = os.fsdecode(socket_path) if socket_path else protocol.socket_path(self._environ)
        self._own_path = self.socket_path
        self._may_use_advertised = not socket_path
        self._start = start
        self._timeout_s = timeout_s
        self._note = note
        self._socket: socket.socket | None = None
        self._buffer = protocol.LineBuffer(limit=None)
        self._lines: deque[bytes] = deque()
        self._notifications: deque[results.Notification] = deque(maxlen=core.MAX_KEPT_NOTIFICATIONS)
        self._last_id = 0
        self._free = allocate_lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. The next request opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer = protocol.LineBuffer(limit=None)
        self._lines.clear()
        self._notifications.clear()

    def shutdown(self) -> None:
        """Stop the daemon, and return when it has closed the connection."""
        super().shutdown()
        if self._socket is not None:
            self._socket.settimeout(_CONNECT_TIMEOUT_S)
            try:
                while self._socket.recv(1 << 16):
                    pass
            except OSError:
                pass  # a daemon that was killed in the meantime has stopped too
        self.close()

    def notifications(self, timeout_s: float | None = None) -> Iterator[results.Notification]:
        """Yield notifications as they arrive, until none arrives for ``timeout_s`` seconds (None: forever).

        Of the notifications that arrive during requests, the latest 1,000 are kept. Raises NoDaemonError when the
        connection ends.
        """
        while True:
            while self._notifications:
                yield self._notifications.popleft()
            try:
                message = self._receive(timeout_s)
            except TimedOutError:
                return
            self._keep_if_notification(message)

    # transport

    def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        on_notification: Callable[[results.Notification], None] | None = None,
    ) -> Any:
        """Send a request and return its result. Connects first if needed.

        Notifications that arrive meanwhile go to ``on_notification``; without it they are kept for later. Raises the
        errors of ``codeindexd.errors``.
        """
        if self._socket is None:
            self._open()
        if not self._free.acquire(blocking=False):
            raise UsageError(
                f"{method}: this client is waiting for another answer",
                hint="use one Client for each thread, and another one in callbacks",
            )
        try:
            return self._ask(method, params, on_notification)
        finally:
            self._free.release()

    def _ask(
        self,
        method: str,
        params: Mapping[str, Any],
        on_notification: Callable[[results.Notification], None] | None,
    ) -> Any:
        """Send a request, and return its result; notifications that arrive before it are passed on or kept."""
        self._last_id += 1
        self._send(core.request_line(self._last_id, method, params))
        while True:
            message = self._receive(self._timeout_s, close_on_timeout=True)
            if isinstance(message, dict) and "method" in message and "id" not in message:
                self._keep_if_notification(message)
                if on_notification is not None:
                    on_notification(self._notifications.pop())
            elif not isinstance(message, dict) or message.get("id") in {self._last_id, None}:
                return core.result_of(message)

    def _call_with_progress(
        self, method: str, params: Mapping[str, Any], on_progress: Callable[[results.Progress], None]
    ) -> Any:
        def listen(notification: results.Notification) -> None:
            if notification["method"] == "progress":
                on_progress(cast("results.Progress", notification["params"]))

        try:
            return self.call(method, params, on_notification=listen)
        finally:
            if self._socket is not None:
                self.unsubscribe()

    def _grep_stream(self, params: Mapping[str, Any]) -> GrepStream:
        from codeindexd.client.grep_stream import GrepStream

        return GrepStream(self._another_connection, params, self._timeout_s)

    def _another_connection(self) -> socket.socket:
        """Return a new connection to the daemon that this client uses."""
        if self._socket is None:
            self._open()
        try:
            return _connected(self.socket_path)
        except OSError as error:
            raise self._no_daemon(error) from error

    def _open(self) -> None:
        """Connect; with ``start``, also start a daemon or replace an outdated one."""
        try:
            self._connect()
        except OSError as error:
            if not self._start or not isinstance(error, _NOBODY_THERE):
                raise self._no_daemon(error) from error
            self._start_daemon()
        if self._start:
            self._replace_outdated()

    def _start_daemon(self) -> None:
        from codeindexd.client import start

        self.socket_path = start.start_daemon(self._own_path, self._environ)
        try:
            self._socket = _connected(self.socket_path)
        except OSError as error:
            raise self._no_daemon(error) from error

    def _replace_outdated(self) -> None:
        """Replace the daemon if it is older than this client, or its installation was changed or removed.

        An older daemon that a service would restart from another installation is kept, with a note.
        """
        info = self.info()
        is_broken = core.has_lost_installation(info) and core.is_installed()
        if not is_broken and not core.is_older(info["version"]):
            return
        from codeindexd.client import start

        if not is_broken and (program := start.foreign_program(self._environ)):
            if self._note is not None:
                self._note(core.kept_older_daemon(info["version"], program))
            return
        self.shutdown()
        start.wait_for_exit(info["pid"])
        self._start_daemon()
        if is_broken:
            self._catch_up()

    def _catch_up(self) -> None:
        """Wait a moment for changes that the replaced daemon could not index, so that the first answer has them."""
        with contextlib.suppress(CodeindexError):  # the answer itself says that it may be incomplete
            self.call("sync", {"timeout_s": _CATCH_UP_S})

    def _connect(self) -> None:
        """Connect to the socket of this environment, or if nobody listens there to the daemon's advertised socket.

        Raises OSError if nobody listens at either, FailedError if another user's process listens at the first.
        """
        try:
            self._socket = _connected(self._own_path)
            self.socket_path = self._own_path
        except (OSError, FailedError):
            if not self._may_use_advertised or not self._connect_to_advertised():
                raise

    def _connect_to_advertised(self) -> bool:
        """Connect to the socket in the daemon's address file; return False if that fails."""
        from codeindexd.client import start

        advertised = start.advertised_socket(self._own_path, self._environ)
        if not advertised:
            return False
        try:
            self._socket = _connected(advertised)
        except (OSError, FailedError):
            return False
        self.socket_path = advertised
        return True

    def _no_daemon(self, error: OSError) -> NoDaemonError:
        if self._may_use_advertised:
            from codeindexd.client import start

            if (daemon := start.running_daemon(self._environ)) is not None:
                return core.unreachable_daemon(self._own_path, daemon.pid)
        return core.no_daemon(self._own_path, error.strerror or str(error))

    def _send(self, line: bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(line)
        except TimeoutError as error:
            self.close()
            raise core.no_answer() from error
        except OSError:
            pass  # the daemon may have sent the reason before it closed the connection; `_receive` reads it

    def _receive(self, timeout_s: float | None, *, close_on_timeout: bool = False) -> Any:
        """Return the next message.

        Raises TimedOutError, NoDaemonError if the connection ends or the daemon is suspended, and ProtocolError.
        """
        while not self._lines:
            if self._socket is None:
                raise core.connection_closed()
            self._socket.settimeout(_SILENT_S if timeout_s is None else timeout_s)
            try:
                data = self._socket.recv(1 << 18)
            except TimeoutError as error:
                if pid := protocol.suspended_peer(self._socket):
                    self.close()
                    raise core.suspended_daemon(pid) from error
                if timeout_s is None:
                    continue
                if close_on_timeout:
                    self.close()
                raise core.no_answer() from error
            except OSError as error:
                self.close()
                raise core.connection_closed() from error
            if not data:
                self.close()
                raise core.connection_closed()
            self._lines += self._buffer.feed(data)
        return protocol.decode(self._lines.popleft())

    def _keep_if_notification(self, message: Any) -> None:
        if isinstance(message, dict) and "method" in message:
            self._notifications.append({"method": str(message["method"]), "params": message.get("params") or {}})


def _connected(path: str) -> socket.socket:
    """Return a socket that is connected to the daemon at ``path``. Raises OSError and FailedError."""
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        protocol.connect(raw, path, _CONNECT_TIMEOUT_S)
        protocol.check_peer(raw, path)
        raw.settimeout(None)
    except BaseException:
        raw.close()
        raise
    return raw
