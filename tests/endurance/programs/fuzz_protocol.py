"""Send hostile clients to a real daemon: everybody else is answered, nothing grows, and no internal error occurs.

    python tests/endurance fuzz_protocol [--minutes 10] [--seed N]

Rounds of odd requests for every method, broken lines, requests in single bytes, floods whose answers nobody reads,
clients that leave in every way, subscribers that never read while files change, and queries built to take forever.
After each round a healthy client must be answered, and open files, threads and memory must be near their old level.
Exit status 1 if an answer is missing or is an internal error, if the log has one, or if something grew.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from endurance.hostile.clients import Level, Rude, line
from endurance.hostile.requests import odd_line
from support.daemons import RealDaemon, real_daemon
from support.trees import tree


class Rounds:
    """A method for each kind of misbehaviour, which counts what it did and notes wrong answers."""

    def __init__(self, daemon: RealDaemon, root: Path, random: Random) -> None:
        self.daemon = daemon
        self.root = root
        self.random = random
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []

    def odd_requests(self) -> None:
        """Send two hundred odd lines on one connection, with an ordinary request after each."""
        with Rude(self.daemon.socket) as client:
            for number in range(200):
                odd = odd_line(str(self.root), self.random)
                client.send(odd, line("server.info", f"after {number}"))
                _, before = client.reply_to(f"after {number}")
                self.done["odd lines"] += 1
                for reply in before:
                    if "internal error" in reply.get("error", {}).get("message", ""):
                        self.wrong.append(f"{odd[:200]!r}: {reply['error']['message'][:200]}")

    def single_bytes(self) -> None:
        """Send a request cut at every byte."""
        with Rude(self.daemon.socket) as client:
            for byte in line("search", "cut", query="healthy words", limit=3):
                client.send(bytes([byte]))
            client.reply_to("cut")
        self.done["requests in single bytes"] += 1

    def flood(self) -> None:
        """Send as much as fits and read no answer."""
        with Rude(self.daemon.socket) as client:
            client.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    client.socket.send(line("search", 1, query="healthy words return", limit=1000) * 20)
                    self.done["requests in floods"] += 20
            self.daemon.call("search", query="healthy_7")

    def leave(self) -> None:
        """Have fifty clients leave, each at another moment and in another way."""
        for _ in range(50):
            with Rude(self.daemon.socket) as client:
                client.send(*(line("search", n, query="healthy words", limit=1000) for n in range(8)))
                if self.random.random() < 0.5:
                    client.send(odd_line(str(self.root), self.random)[: self.random.randrange(1, 40)].strip(b"\n"))
                if self.random.random() < 0.5:
                    client.socket.recv(self.random.randrange(1, 100_000))
                how = self.random.choice((socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR, None))
                if how is not None:
                    client.socket.shutdown(how)
            self.done["clients that left"] += 1

    def crowd(self) -> None:
        """Connect two thousand clients at once, more than there is room for; many subscribe to everything."""
        crowd = [Rude(self.daemon.socket) for _ in range(2000)]
        for client in crowd:
            with contextlib.suppress(OSError):
                client.ask(self.random.choice(("subscribe", "server.info", "status")), 1)
        for number in range(20):
            (self.root / "changing.py").write_text(f"def changed_{self.done['connections']}_{number}(): pass\n")
            self.daemon.call("sync", path=str(self.root))
        self.done["connections"] += len(crowd)
        for client in crowd:
            client.__exit__()

    def slow_questions(self) -> None:
        """Send regexes and globs that are built to take forever."""
        stars = "".join(self.random.choice(("*a", "**a", "?", "{a,b}", "**/", "[ab]")) for _ in range(40))
        questions = ["words /a*a*a*a*b/", "words /a*a*b/", f"words path:{stars}b", "words /(?i:[a-z]*[0-9]*[a-z]*!)/"]
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Rude(self.daemon.socket)) for _ in questions]
            for client, question in zip(clients, questions, strict=True):
                client.ask("search", "slow", query=question, limit=1000)
            self.daemon.call("search", query="healthy_7")
            for client in clients:
                client.reply_to("slow")
                self.done["slow questions"] += 1


def main() -> int:
    """Return the exit status: 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    random = Random(chosen.seed)
    files = {f"m{n}.py": f"def healthy_{n}(a, b):\n    return words(a + b)\n" for n in range(400)}
    files["a.py"] = "words = 1\n" + "".join(f"{'a' * 220}{n}\n" for n in range(300))
    with tempfile.TemporaryDirectory() as base, real_daemon("[workers]\nnice = 0\n") as daemon:
        root = tree(Path(base) / "root", files)
        (root / "loop").symlink_to("loop")
        daemon.call("roots.add", path=str(root), wait=True)
        rounds = Rounds(daemon, root, random)
        kinds = (
            rounds.odd_requests,
            rounds.single_bytes,
            rounds.flood,
            rounds.leave,
            rounds.crowd,
            rounds.slow_questions,
        )
        first = level = Level.of(daemon)
        until = time.monotonic() + 60 * chosen.minutes
        while time.monotonic() < until:
            kind = random.choice(kinds)
            kind()
            rounds.done["rounds"] += 1
            try:
                first.check(daemon)
                assert daemon.call("search", query="healthy_7")["hits"]
            except AssertionError as error:
                rounds.wrong.append(f"after {kind.__name__}: {str(error)[:500]}")
                break
        level = Level.of(daemon)
        whole = daemon.call("verify")["ok"]
    for name, count in sorted(rounds.done.items()):
        print(f"{name:<28}{count:>10}")
    for name in ("files", "threads", "bytes"):
        print(f"{name:<28}{getattr(first, name):>10} at first, {getattr(level, name)} at last")
    print(f"{'index equal to the disk':<28}{whole!s:>10}")
    for one in rounds.wrong:
        print("BAD ", one)
    return 1 if rounds.wrong or not whole else 0
