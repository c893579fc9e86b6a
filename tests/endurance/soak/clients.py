"""Clients during the month: some wait for their answers, some disconnect in the middle."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import Counter
from pathlib import Path

from endurance.soak.days import Suspensions
from support.daemons import RawClient, RealDaemon

_WORDS = [
    *("parse", "open", "read", "write", "close", "config", "error", "handler", "request", "response", "cache"),
    *("index", "token", "graph", "array", "test"),
]
_NOT_INDEXED = 1


class Clients:
    """Threads that use the daemon until :meth:`stop`; while ``resting`` is set, all of them pause."""

    def __init__(
        self, daemon: RealDaemon, roots: list[Path], seed: int, counts: Counter[str], suspensions: Suspensions
    ) -> None:
        self._daemon = daemon
        self._roots = roots
        self._counts = counts
        self._suspensions = suspensions
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._awake.set()
        self._guard = threading.Lock()
        self._latencies: list[float] = []
        self.errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(work, random.Random(f"{seed}-{number}")), daemon=True)
            for number, work in enumerate([self._ask, self._ask, self._listen, self._be_rude])
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def rest(self) -> None:
        """Pause all clients."""
        self._awake.clear()

    def wake(self) -> None:
        """Resume all clients."""
        self._awake.set()

    def stop(self) -> None:
        """Stop all clients."""
        self._stopping.set()
        self._awake.set()
        for thread in self._threads:
            thread.join(90)

    def latencies(self) -> list[float]:
        """Return the milliseconds of every search since the last call, sorted, without those during a suspension."""
        with self._guard:
            taken, self._latencies = self._latencies, []
        return sorted(taken)

    def _run(self, work: object, chosen: random.Random) -> None:
        while not self._stopping.is_set():
            self._awake.wait()
            try:
                work(chosen)  # type: ignore[operator]
            except (OSError, ConnectionError, AssertionError) as error:
                with self._guard:
                    self.errors.append(f"{type(error).__name__}: {error}"[:300])
                self._stopping.wait(0.5)

    # the patient

    def _ask(self, chosen: random.Random) -> None:
        client = RawClient(self._daemon.socket)
        try:
            for _ in range(20):
                if self._stopping.is_set() or not self._awake.is_set():
                    return
                self._one_question(client, chosen)
                self._stopping.wait(chosen.expovariate(4.0))
        finally:
            client.close()

    def _one_question(self, client: RawClient, chosen: random.Random) -> None:
        root = chosen.choice(self._roots)
        words = " ".join(chosen.sample(_WORDS, 3))
        dice = chosen.random()
        began = time.monotonic()
        if dice < 0.72:
            roots = None if dice < 0.2 else [str(root)]
            reply = client.call("search", query=words, roots=roots, limit=chosen.choice([3, 10, 10, 30]))
            ended = time.monotonic()
            hits = reply.get("result", {}).get("hits", [])
            with self._guard:
                if not self._suspensions.touch(began, ended):
                    self._latencies.append((ended - began) * 1000)
            self._counts["searches"] += 1
            if hits and dice < 0.1:
                hit = hits[0]
                place = {"root": hit["root"], "path": hit["path"], "line": hit["start_line"]}
                self._judge("related", client.call("related", **place))
        elif dice < 0.80:
            reply = client.call("symbol", name=chosen.choice(_WORDS), references=dice < 0.76)
        elif dice < 0.88:
            reply = client.call("status")
        elif dice < 0.95:
            reply = client.call("sync", path=str(root))
            self._counts[f"syncs by {reply.get('result', {}).get('how', 'nothing')}"] += 1
        else:
            reply = client.call("metrics")
        self._judge("request", reply)

    def _judge(self, what: str, reply: dict[str, object]) -> None:
        error = reply.get("error")
        self._counts["requests"] += 1
        if isinstance(error, dict) and error["code"] != _NOT_INDEXED:
            with self._guard:
                self.errors.append(f"{what}: {error}"[:300])

    # the listeners

    def _listen(self, chosen: random.Random) -> None:
        client = RawClient(self._daemon.socket)
        try:
            client.call("subscribe")
            until = time.monotonic() + chosen.uniform(1, 10)
            while time.monotonic() < until and self._awake.is_set():
                client.call("server.info")
                self._stopping.wait(0.2)
            self._counts["notifications"] += len(client.notifications)
            self._counts["subscriptions"] += 1
        finally:
            client.close()

    # the rude

    def _be_rude(self, chosen: random.Random) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self._daemon.socket))
            query = {"jsonrpc": "2.0", "id": 1, "method": "search", "params": {"query": "open file"}}
            line = json.dumps(query).encode() + b"\n"
            match chosen.randrange(5):
                case 0:
                    connection.sendall(line[: len(line) // 2])
                case 1:
                    connection.sendall(line * 5)
                case 2:
                    connection.sendall(line)
                    connection.recv(10)
                case 3:
                    connection.sendall(line.replace(b"search", b"subscribe"))
                    self._stopping.wait(chosen.uniform(1, 15))  # and never reads
                case 4:
                    connection.sendall(json.dumps({**query, "method": "sync", "params": {}}).encode() + b"\n")
        self._counts["clients that hung up"] += 1
        self._stopping.wait(chosen.uniform(1, 5))
