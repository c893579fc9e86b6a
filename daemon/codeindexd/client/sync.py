"""The blocking client: one connection, one request at a time, answered in order."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from codeindexd import protocol
from codeindexd.client import core
from codeindexd.client.core import PathLike
from codeindexd.errors import FailedError, TimedOutError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from codeindexd.client import results

_CONNECT_S = 5.0
_WAITS = ("the daemon does not answer", "It may be stuck: see its log, or restart it.")


class Client:
    """A connection to the daemon of this user, opened by the first request; not for several threads at a time.

    ``socket_path`` None: where the daemon of this user listens. With ``start`` a daemon that does not answer is
    started, and one older than this client is replaced, unless a service would start it again from an installation of
    its own: that one is used as it is, and ``note`` told so. ``timeout_s`` bounds every request (None: as long as it
    takes); a timed-out connection is closed. All methods raise the errors of ``codeindexd.errors``.
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
        self._start = start
        self._timeout_s = timeout_s
        self._note = note
        self._socket: socket.socket | None = None
        self._buffer = protocol.LineBuffer(limit=None)
        self._lines: deque[bytes] = deque()
        self._notifications: deque[results.Notification] = deque(maxlen=core.KEPT_NOTIFICATIONS)
        self._last_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer = protocol.LineBuffer(limit=None)
        self._lines.clear()
        self._notifications.clear()

    # roots

    def add(
        self,
        path: PathLike,
        *,
        wait: bool = True,
        force: bool = False,
        workers: int | None = None,
        on_progress: Callable[[results.Progress], None] | None = None,
    ) -> results.RootsResult:
        """Index ``path`` and keep it fresh. Waits until it is unless ``wait`` is False; ``on_progress`` hears how far
        it is, several times a second. ``workers``: processes to use, 0 = one file after the other."""
        params = {"path": core.absolute(path), "force": force, "workers": workers}
        if not wait or on_progress is None:
            return cast("results.RootsResult", self.call("roots.add", {**params, "wait": wait}))
        begun = self.call("roots.add", params)
        roots = [root["path"] for root in begun["roots"]]
        self.subscribe(roots)

        def heard(note: results.Notification) -> None:
            if note["method"] == "progress":
                on_progress(cast("results.Progress", note["params"]))

        try:
            return cast("results.RootsResult", self.call("roots.add", {**params, "wait": True}, on_notification=heard))
        finally:
            if self._socket is not None:
                self.unsubscribe()

    def remove(self, path: PathLike) -> results.RemoveResult:
        """Forget a root and delete its index."""
        return cast("results.RemoveResult", self.call("roots.remove", {"path": core.absolute(path)}))

    def roots(self) -> results.RootsResult:
        """All roots."""
        return cast("results.RootsResult", self.call("roots.list", {}))

    def reindex(self, path: PathLike) -> results.RootsResult:
        """Process every file of a root again; vectors are reused."""
        return cast("results.RootsResult", self.call("reindex", {"path": core.absolute(path)}))

    def pause(self, path: PathLike) -> results.RootsResult:
        """Stop indexing a root."""
        return cast("results.RootsResult", self.call("pause", {"path": core.absolute(path)}))

    def resume(self, path: PathLike) -> results.RootsResult:
        """Go on indexing a root."""
        return cast("results.RootsResult", self.call("resume", {"path": core.absolute(path)}))

    # questions

    def search(
        self,
        query: str,
        *,
        roots: Iterable[PathLike] | None = None,
        limit: int | None = None,
        language: str | None = None,
        path: str | None = None,
        kind: str | None = None,
        sync: bool = False,
        explain: bool = False,
    ) -> results.SearchResult:
        """The chunks that answer ``query`` best, from the roots around ``roots`` (None: all).

        ``path`` is a glob. With ``sync`` every change made before the call is in the answer.
        """
        where = core.absolute_all(roots)
        return cast(
            "results.SearchResult",
            self.call(
                "search",
                {
                    "query": query,
                    "roots": where,
                    "limit": limit,
                    "language": language,
                    "path": path,
                    "kind": kind,
                    "sync": sync,
                    "explain": explain,
                },
            ),
        )

    def related(self, root: PathLike, path: PathLike, line: int, *, limit: int | None = None) -> results.SearchResult:
        """Code like that at ``line`` of ``path``, which is relative to ``root``."""
        params = {"root": core.absolute(root), "path": core.relative_name(path), "line": line, "limit": limit}
        return cast("results.SearchResult", self.call("related", params))

    def related_to(self, path: PathLike, line: int, *, limit: int | None = None) -> results.SearchResult:
        """The same for a path of its own: the root around it is looked up. Raises NotIndexedError."""
        root, name = core.split_at_root(path, [root["path"] for root in self.roots()["roots"]])
        return self.related(root, name, line, limit=limit)

    def symbol(
        self, name: str, *, roots: Iterable[PathLike] | None = None, references: bool = False
    ) -> results.SymbolResult:
        """Where ``name`` is defined, with ``references`` also where it is used."""
        params = {"name": name, "roots": core.absolute_all(roots), "references": references}
        return cast("results.SymbolResult", self.call("symbol", params))

    # freshness and health

    def sync(
        self, path: PathLike | None = None, *, clock: str | None = None, timeout_s: float | None = None
    ) -> results.SyncResult:
        """Return once every change made before the call (or all up to ``clock``) can be searched.

        Raises TimedOutError after ``timeout_s``.
        """
        params = {"path": core.absolute_or_none(path), "clock": clock, "timeout_s": timeout_s}
        return cast("results.SyncResult", self.call("sync", params))

    def status(self, path: PathLike | None = None) -> results.StatusResult:
        """Health of one or all roots and of the daemon."""
        return cast("results.StatusResult", self.call("status", {"path": core.absolute_or_none(path)}))

    def verify(self, path: PathLike | None = None, *, repair: bool = False) -> results.VerifyResult:
        """Hold the index of one or all roots against the disk."""
        params = {"path": core.absolute_or_none(path), "repair": repair}
        return cast("results.VerifyResult", self.call("verify", params))

    def explain(self, path: PathLike) -> results.ExplainResult:
        """Why ``path`` is or is not indexed."""
        return cast("results.ExplainResult", self.call("explain", {"path": core.absolute(path)}))

    # the daemon

    def info(self) -> results.ServerInfo:
        """Which daemon answers."""
        return cast("results.ServerInfo", self.call("server.info", {}))

    def metrics(self) -> results.MetricsResult:
        """Figures as OpenMetrics text."""
        return cast("results.MetricsResult", self.call("metrics", {}))

    def shutdown(self) -> None:
        """Have the daemon stop; returns when it has closed the connection."""
        self.call("shutdown", {})
        if self._socket is not None:
            self._socket.settimeout(_CONNECT_S)
            try:
                while self._socket.recv(1 << 16):
                    pass
            except OSError:
                pass  # a daemon that is killed meanwhile has stopped as well
        self.close()

    # notifications

    def subscribe(self, roots: Iterable[PathLike] | None = None) -> str:
        """Be told of progress, generations and states of ``roots`` (None: all), see ``notifications``.

        Returns the clock at which this begins.
        """
        return str(self.call("subscribe", {"roots": core.absolute_all(roots)}).get("clock", ""))

    def unsubscribe(self) -> None:
        """Be told no more."""
        self.call("unsubscribe", {})

    def notifications(self, timeout_s: float | None = None) -> Iterator[results.Notification]:
        """What the subscription brings, as it comes; ends after ``timeout_s`` without any.

        Of those that come between, the latest 1,000 are kept.
        """
        while True:
            while self._notifications:
                yield self._notifications.popleft()
            try:
                message = self._receive(timeout_s)
            except TimedOutError:
                return
            self._take(message)

    # the wire

    def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        on_notification: Callable[[results.Notification], None] | None = None,
    ) -> Any:
        """Send a request and return its result. Notifications that come meanwhile are kept unless somebody hears."""
        if self._socket is None:
            self._open()
        self._last_id += 1
        line = protocol.request(self._last_id, method, params)
        if len(line) > protocol.MAX_REQUEST_BYTES:
            raise FailedError(f"the request is longer than {protocol.MAX_REQUEST_BYTES} bytes", hint="Ask for less.")
        self._send(line)
        while True:
            message = self._receive(self._timeout_s, lasting=False)
            if isinstance(message, dict) and "method" in message and "id" not in message:
                self._take(message)
                if on_notification is not None:
                    on_notification(self._notifications.pop())
            elif not isinstance(message, dict) or message.get("id") in {self._last_id, None}:
                return core.answered(message)

    def _open(self) -> None:
        if self._start:
            try:
                self._connect()
            except (FileNotFoundError, ConnectionRefusedError):
                self._start_daemon()
            except OSError as error:
                raise core.no_daemon(self.socket_path, error.strerror or str(error)) from error
            self._replace_older()
        else:
            self._connect_or_fail()

    def _start_daemon(self) -> None:
        from codeindexd.client import start

        start.start_daemon(self.socket_path, self._environ)
        self._connect_or_fail()

    def _replace_older(self) -> None:
        from codeindexd import __version__

        info = self.info()
        if info["version"] != __version__ and core.is_older(info["version"]):
            from codeindexd.client import start

            if other := start.foreign_program(self._environ):
                if self._note is not None:
                    self._note(core.older_stays(info["version"], other))
                return
            self.shutdown()
            start.wait_for_end(info["pid"])
            self._start_daemon()

    def _connect_or_fail(self) -> None:
        try:
            self._connect()
        except OSError as error:
            raise core.no_daemon(self.socket_path, error.strerror or str(error)) from error

    def _connect(self) -> None:
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            protocol.connect(raw, self.socket_path, _CONNECT_S)
            protocol.trust(raw, self.socket_path)
            raw.settimeout(None)
        except BaseException:
            raw.close()
            raise
        self._socket = raw

    def _send(self, line: bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(line)
        except TimeoutError as error:
            self.close()
            raise TimedOutError(_WAITS[0], hint=_WAITS[1]) from error
        except OSError:
            pass  # the daemon may have said why before it closed: reading tells

    def _receive(self, timeout_s: float | None, *, lasting: bool = True) -> Any:
        """The next message. After a timeout the connection is closed unless it is ``lasting``."""
        while not self._lines:
            if self._socket is None:
                raise core.closed()
            self._socket.settimeout(timeout_s)
            try:
                data = self._socket.recv(1 << 18)
            except TimeoutError as error:
                if not lasting:
                    self.close()
                raise TimedOutError(_WAITS[0], hint=_WAITS[1]) from error
            except OSError as error:
                self.close()
                raise core.closed() from error
            if not data:
                self.close()
                raise core.closed()
            self._lines += self._buffer.feed(data)
        return protocol.decode(self._lines.popleft())

    def _take(self, message: Any) -> None:
        if isinstance(message, dict) and "method" in message:
            self._notifications.append({"method": str(message["method"]), "params": message.get("params") or {}})
