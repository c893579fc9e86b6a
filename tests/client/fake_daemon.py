"""A daemon with canned answers behind the real server, for tests of the clients, the command line and MCP.

It keeps its roots in memory, so that adding, removing and querying unknown paths behave as in the real one. It runs in
a thread, ``with FakeDaemon(socket) as daemon``, or as a process:
``python -m client.fake_daemon SOCKET``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel

from codeindexd import __version__
from codeindexd.daemon import encoding
from codeindexd.daemon.server import ClientLimits, Connection, Handler, Server
from codeindexd.errors import CodeindexError, NotIndexedError, PathRefusedError, TimedOutError
from codeindexd.search.query import parse

SNIPPET = '''\
def check_password(user: User, given: str) -> bool:
    """Whether ``given`` is the user's password."""
    if user.locked:
        return False
    return verify(given, user.password_hash)
'''


def place(root: str, **fields: Any) -> dict[str, Any]:
    """Return a hit with plausible fields."""
    return {
        "root": root,
        "path": "src/auth.py",
        "start_line": 12,
        "end_line": 16,
        "start_byte": 240,
        "end_byte": 240 + len(SNIPPET),
        "language": "python",
        "kind": "function",
        "symbol": "check_password",
        "score": 0.0328,
        "verified": True,
        "best_line": 14,
        "snippet": SNIPPET,
        **fields,
    }


class FakeDaemon:
    """``roots`` maps paths to states; ``seen`` records every request; ``answers`` replaces the answer of a method."""

    def __init__(
        self, socket_path: Path, *, roots: Mapping[str, str] | None = None, version: str = __version__
    ) -> None:
        self.socket_path = socket_path
        self.roots = dict(roots or {})
        self.version = version
        self.seen: list[tuple[str, Mapping[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        self.limits = ClientLimits()
        self.subscribers: list[Connection] = []
        self.server: Server
        self._stop: anyio.Event
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: anyio.run(self.run))
        self._token: anyio.lowlevel.EventLoopToken
        self._loop: asyncio.AbstractEventLoop
        self._error: BaseException | None = None

    def __enter__(self) -> FakeDaemon:
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # already shut down by a client: its loop is closed
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def tell(self, method: str, params: Mapping[str, Any], *, times: int = 1) -> None:
        """Notify all subscribers, from any thread."""

        def notify() -> None:
            for subscriber in list(self.subscribers):
                for _ in range(times):
                    subscriber.notify(method, params)

        anyio.from_thread.run_sync(notify, token=self._token)

    async def run(self) -> None:
        """Serve until stopped."""
        self._stop = anyio.Event()
        self._token = anyio.lowlevel.current_token()
        self._loop = asyncio.get_running_loop()
        self.server = Server(
            {method: self._recorded(method, handler) for method, handler in self.table().items()},
            socket_path=self.socket_path,
            limits=self.limits,
            on_close=self._forget,
        )
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(self.server.serve)
                self._ready.set()
                await self._stop.wait()
                tasks.cancel_scope.cancel()
        except* CodeindexError as group:
            self._error = group.exceptions[0]
        finally:
            self._ready.set()

    def table(self) -> dict[str, Handler]:
        """Return the handlers by method."""
        return {
            "server.info": self._info,
            "shutdown": self._shutdown,
            "metrics": self._metrics,
            "roots.add": self._add,
            "roots.remove": self._remove,
            "roots.list": self._list,
            "search": self._search,
            "grep": self._grep,
            "related": self._related,
            "symbol": self._symbol,
            "refs": self._refs,
            "callers": self._callers,
            "callees": self._callers,
            "impact": self._impact,
            "outline": self._outline,
            "map": self._map,
            "history.log": self._log,
            "history.why": self._why,
            "history.of": self._history,
            "history.together": self._together,
            "sync": self._sync,
            "status": self._status,
            "verify": self._verify,
            "explain": self._explain,
            "reindex": self._reindex,
            "pause": self._one_root,
            "resume": self._one_root,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    def _recorded(self, method: str, handler: Handler) -> Handler:
        async def record(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
            self.seen.append((method, params))
            canned = self.answers.get(method)
            if isinstance(canned, BaseException):
                raise canned
            if canned is not None:
                return await canned(params, connection) if callable(canned) else canned
            return await handler(params, connection)

        return record

    def _forget(self, connection: Connection) -> None:
        if connection in self.subscribers:
            self.subscribers.remove(connection)

    def _entry(self, path: str) -> dict[str, Any]:
        return {
            "path": path,
            "id": f"id-of-{Path(path).name}",
            "state": self.roots[path],
            "files": 120,
            "chunks": 1903,
            "generation": 7,
            "root_hash": "00" * 16,
        }

    def _around(self, path: str) -> str:
        for root in self.roots:
            if path == root or path.startswith(f"{root}/"):
                return root
        raise NotIndexedError(f"{path} is not indexed", hint=f"index it: codeindex add {path}")

    def _chosen(self, params: Mapping[str, Any]) -> list[str]:
        return [self._around(path) for path in params["roots"]] if params["roots"] else list(self.roots)

    async def _info(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        return {"version": self.version, "pid": 4242, "uptime_s": 61.0}

    async def _shutdown(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        self._stop.set()
        return {"stopping": True}

    async def _metrics(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        return {"content_type": "application/openmetrics-text", "text": "# EOF\n"}

    async def _add(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        path = params["path"]
        if not await anyio.Path(path).is_dir():
            raise PathRefusedError(f"{path} is not a directory", hint="give the path of a directory")
        try:
            root, covered = self._around(path), path not in self.roots
        except NotIndexedError:
            root, covered = path, False
            self.roots[path] = "indexing"
        if params["wait"]:
            self._show_progress(root, params, connection)
            self.roots[root] = "fresh"
        return {"roots": [self._entry(root)], "already_covered": covered}

    def _show_progress(self, root: str, params: Mapping[str, Any], connection: Connection, **fields: str) -> None:
        for done in (60, 120):
            for subscriber in {*self.subscribers, *([connection] if params["progress"] else [])}:
                subscriber.notify("progress", {"root": root, "activity": "index", **_progress(done), **fields})

    async def _remove(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        root = self._around(params["path"])
        del self.roots[root]
        return {"removed": [{"path": root, "id": f"id-of-{Path(root).name}"}]}

    async def _list(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        return {"roots": [self._entry(path) for path in self.roots]}

    async def _one_root(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        return {"roots": [self._entry(self._around(params["path"]))]}

    async def _reindex(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        root = self._around(params["path"])
        self._show_progress(root, params, connection)
        return {"roots": [self._entry(root)]}

    async def _search(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        parsed = parse(params["query"])
        roots = self._chosen(params)
        copies = [
            {"root": root, "path": f"copy{number}/auth.py", "start_line": 3, "end_line": 7}
            for number in (1, 2)
            for root in roots[:1]
        ]
        more = {"copy_count": 29, "copies": copies} if "copied" in parsed.text else {}
        hits = [place(root, **more) for root in roots if "nothing" not in parsed.text]
        if params["explain"]:
            hits = [{**hit, "explain": {"lexical": 0.0164, "dense": 0.0164}} for hit in hits]
        answer = self._answer(params["query"], roots, hits[: params["limit"] or 10])
        if params["level"] == "chunk":
            return answer
        of_level = {"path": "src", "files": 1} if params["level"] == "directory" else {"path": "src/auth.py"}
        groups = [
            {"root": hit["root"], **of_level, "score": 1.0, "hits": [position]}
            for position, hit in enumerate(answer["hits"])
        ]
        return {**answer, "groups": groups}

    def _answer(self, query: str, roots: list[str], hits: list[dict[str, Any]]) -> Mapping[str, Any]:
        state = next((self.roots[root] for root in roots if self.roots[root] != "fresh"), "fresh")
        return {
            "query": query,
            "took_ms": 1.5,
            "clock": "id:7",
            "state": state,
            "dense_coverage": 1.0,
            "hits": hits,
            **({} if hits else {"searched": 120 * len(roots)}),
        }

    async def _grep(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        roots = self._chosen(params)
        line = {"path": "src/auth.py", "line": 14, "column": 8, "text": "    if user.locked:", "spans": [[7, 18]]}
        around = {"before": ["def check():"][: params["before"]], "after": ["        raise"][: params["after"]]}
        found = [{"root": root, **line, **around} for root in roots if "nothing" not in params["pattern"]]
        counted = params["count"] or params["files_only"]
        counts = [{"root": one["root"], "path": one["path"], "count": 1} for one in found]
        if params["stream"]:
            for one in counts if counted else found:
                part = {"request": connection.request_id, "counts" if counted else "matches": [one]}
                await connection.send_part(encoding.notification("grep", part))
        return {
            "pattern": params["pattern"],
            "matches": [] if counted or params["stream"] else found,
            **({"counts": [] if params["stream"] else counts} if counted else {}),
            "files": len(found),
            "total": len(found),
            "searched": 1,
            "truncated": False,
            "left_out": {},
            "took_ms": 1.5,
            "clock": "id:7",
            "state": "fresh",
        }

    async def _related(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        root = self._around(params["root"])
        return self._answer(f"{params['path']}:{params['line']}", [root], [place(root)])

    async def _symbol(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        found = [place(root) for root in self._chosen(params) if params["name"] == "check_password"]
        for one in found:
            del one["score"]
        uses = [{**one, "path": "src/login.py", "symbol": "login"} for one in found] if params["references"] else []
        state = self._answer("", self._chosen(params), [])["state"]
        definitions = [
            {**one, "name_line": 12, "column": 5, "signature": "def check_password(user: User, given: str) -> bool:"}
            for one in found
        ]
        return {"symbol": params["name"], "state": state, "definitions": definitions, "references": uses}

    def _graph(self, params: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """Return an answer about the code graph, which knows only ``check_password`` and one use of it."""
        known = params.get("name") in {"check_password", None}
        target = {"root": self._chosen(params)[0], "path": "src/auth.py", "line": 12, "symbol": "check_password"}
        empty = {name: [] for name, value in fields.items() if isinstance(value, list)}
        found = {"name": params.get("name") or "", "targets": [target], "total": 1, **fields}
        nothing = {**found, **empty, "targets": [], "total": 0, "similar": ["check_passwords"]}
        return {**(found if known else nothing), "truncated": False, "took_ms": 1.5, "clock": "id:7", "state": "fresh"}

    def _user(self, params: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        where = {"root": self._chosen(params)[0], "path": "src/login.py", "language": "python", "line": 30}
        return {**where, "symbol": "login", "kind": "function", "confidence": "exact", **fields}

    async def _refs(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        use = self._user(params, column=8, text="    if check_password(user, given):", reference="call")
        return self._graph(params, references=[use], files=1)

    async def _callers(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        call = {"line": 30, "column": 8, "text": "    if check_password(user, given):"}
        inner = self._user(params, symbol="main", symbol_line=3, calls=[], call_count=0, confidence="name")
        node = self._user(params, symbol_line=28, calls=[call], call_count=1)
        return self._graph(
            params, callers=[{**node, "callers": [inner]}], callees=[{**node, "callees": [inner]}], unresolved=[]
        )

    async def _impact(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        affected = self._user(params, distance=1, reason="calls", via="check_password")
        test = {"root": self._chosen(params)[0], "path": "tests/test_auth.py"}
        return self._graph(params, changed=[], affected=[affected], importers=[], tests=[test])

    async def _outline(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        root = self._around(params["path"])
        place = {"column": 5, "start_line": 12, "end_line": 16, "kind": "method"}
        inner = {**place, "line": 12, "name": "check", "symbol": "Auth.check", "signature": "def check(self):"}
        outer = {**inner, "line": 10, "kind": "class", "name": "Auth", "signature": "class Auth:", "children": [inner]}
        path = params["path"][len(root) + 1 :]
        fields = {"root": root, "path": path, "language": "python", "total": 2, "partial": False, "truncated": False}
        return {**fields, "definitions": [outer], "took_ms": 1.5, "clock": "id:7", "state": "fresh"}

    async def _map(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        root = self._around(params["path"])
        text = "src/auth.py:\n  10: class Auth\n  12:   def check(self)\n"
        fields = {"root": root, "path": "", "text": text, "files": [], "definitions": 2, "total": 2}
        return {**fields, "truncated": False, "took_ms": 1.5, "clock": "id:7", "state": "fresh"}

    def _commit(self, **fields: Any) -> dict[str, Any]:
        person = {"name": "Ada Lovelace", "email": "ada@example.org"}
        message = {
            "subject": "Check it twice (#12)",
            "body": "Once was not enough.",
            "trailers": [],
            "references": [12],
        }
        identity = {"id": "4f6c1de0a9" * 4, "short_id": "4f6c1de0a9", "parents": []}
        dates = {"date": "2020-09-13T12:00:00+02:00", "commit_date": "2020-09-13T12:00:00+02:00"}
        return {**identity, "author": person, "committer": person, **dates, **message, **fields}

    async def _why(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        root = self._around(params["path"])
        path = params["path"][len(root) + 1 :]
        origin = {"original_path": path, "original_line": 10}
        lines = [
            {"line": 12, "count": 1, "commit": "4f6c1de0a9" * 4, **origin},
            {"line": 13, "count": 1, "commit": None, **origin},
        ]
        definition = {
            "path": path,
            "symbol": "Auth.check",
            "kind": "method",
            "line": 12,
            "start_line": 12,
            "end_line": 16,
        }
        return {
            "root": root, "path": path, "start_line": 12, "end_line": 13, "text": ["def check(self):"],
            "lines": lines, "commits": [self._commit(lines=[[12, 12]])], "definition": definition,
            "earlier": [self._commit(lines=[[10, 14]], original_path=path)], "more_earlier": False, "took_ms": 1.5,
        }  # fmt: skip

    async def _log(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        return {"query": params["query"], "took_ms": 0.1, "commits": [], "searched": 0, "ranked": False}

    async def _history(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        change = {"path": "src/auth.py", "kind": "M", "added": 1, "removed": 2, "definitions": ["Auth.check"]}
        return {
            "root": self._chosen(params)[0], "path": "src/auth.py", "commits": [self._commit(changes=[change])],
            "total": 1, "truncated": False, "took_ms": 1.5,
        }  # fmt: skip

    async def _together(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        figures = {"count": 3, "total": 5, "confidence": 0.75, "score": 0.4}
        test = {"path": "tests/test_auth.py", **figures}
        file = {"path": "src/login.py", **figures, "count": 2, "confidence": 0.5}
        return {
            "root": self._chosen(params)[0], "name": params["name"], "commits": 4, "large_commits": 0, "files": [file],
            "tests": [test], "total": 2, "took_ms": 1.5,
        }  # fmt: skip

    async def _sync(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        if params["path"]:
            self._around(params["path"])
            self._show_progress(self._around(params["path"]), params, connection)
        if params["timeout_s"] == 0:
            raise TimedOutError("not in sync after 0 s", hint="give it more time: --timeout SECONDS")
        return {"clock": "id:7", "took_ms": 20.1, "how": "cookie"}

    async def _status(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        roots = [self._around(params["path"])] if params["path"] else list(self.roots)
        return {
            "version": self.version,
            "pid": 4242,
            "uptime_s": 3725.0,
            "rss_bytes": 93 << 20,
            "log": {"kind": "file", "path": "/home/u/.local/state/codeindexd/codeindexd.log", "bytes": 1 << 19},
            "cache": {"path": "/home/u/.cache/codeindexd", "bytes": 3 << 20},
            "roots": [self._root_status(root) for root in roots],
            "embedder": {"model": "bundled", "identity": "ab", "dimensions": 256, "device": "cpu", "pending": 0},
        }

    def _root_status(self, root: str) -> dict[str, Any]:
        bad = self.roots[root] == "degraded"
        failure = {"path": "src/bad.py", "stage": "parse", "error": "took too long", "attempts": 2, "next_retry": None}
        return {
            "path": root,
            "state": self.roots[root],
            "clock": "id:7",
            "root_hash": "00" * 16,
            "files": 120,
            "chunks": 1903,
            "pending_files": 60 if self.roots[root] == "indexing" else 0,
            "failed_files": 1 if bad else 0,
            "skipped": {"binary": 4, "ignored": 1200},
            "failures": [failure] if bad else [],
            "problems": [{"message": "inotify is out of watches", "hint": "sysctl ..."}] if bad else [],
            "notes": ["the lexical index was rebuilt: meta.json is cut off"] if bad else [],
            "progress": _progress(60),
            "stages": {},
        }

    async def _verify(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        roots = [self._around(params["path"])] if params["path"] else list(self.roots)
        for root in roots:
            self._show_progress(root, params, connection, activity="verify")
        difference = {"path": "src/a.py", "what": "stale", "detail": "the disk has other bytes"}
        bad = {root: [difference] if self.roots[root] == "degraded" else [] for root in roots}
        return {
            "ok": params["repair"] or not any(bad.values()),
            "roots": [
                {
                    "path": root,
                    "files_checked": 120,
                    "chunks_checked": 1903,
                    "differences": found,
                    "repaired": bool(found and params["repair"]),
                }
                for root, found in bad.items()
            ],
        }

    async def _explain(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        self._around(params["path"])
        indexed = params["path"].endswith(".py")
        chunk = {
            "id": 1,
            "start_line": 1,
            "end_line": 9,
            "start_byte": 0,
            "end_byte": 99,
            "kind": "class",
            "symbol": "A",
        }
        return {
            "path": params["path"],
            "indexed": indexed,
            "reason": "" if indexed else "ignored",
            "rule": "" if indexed else ".gitignore:3: *.log",
            "language": "python" if indexed else "",
            "chunks": [chunk] if indexed else [],
            "failure": None,
        }

    async def _subscribe(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        self._chosen(params)
        self.subscribers.append(connection)
        return {"clock": "id:7"}

    async def _unsubscribe(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        self._forget(connection)
        return {}


def _progress(done: int) -> dict[str, Any]:
    return {"files_done": done, "files_total": 120, "chunks_done": done * 15, "files_per_s": 85.0, "eta_s": 0.7}


if __name__ == "__main__":
    anyio.run(FakeDaemon(Path(sys.argv[1])).run)
