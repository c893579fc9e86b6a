"""A real HTTP server on loopback that answers like an OpenAI-compatible endpoint, correctly or not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from analysis.embedding.scripted_models import hashed

Answer = tuple[int, dict[str, str], bytes]


class EmbeddingServer:
    """``script`` has answers to give before correct ones: a status, or a function of the request's JSON."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.script: list[int | Callable[[dict[str, Any]], Answer | None]] = []
        self.headers: dict[str, str] = {}
        self.shuffle = False
        self.refuse = ""  # texts that contain this are answered 400
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> EmbeddingServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Answer | None:
        self.requests.append((path, headers, body))
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, int):
                return step, self.headers, b'{"error": "as told, with sk-secret"}'
            return step(body)
        if self.refuse and any(self.refuse in text for text in body["input"]):
            return 400, {}, b'{"error": "too long"}'
        return good(body, shuffle=self.shuffle)

    def _handler(owner) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the class inside needs its own self
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = owner._answer(self.path, headers, body)
                if answer is None:  # hang up in the middle
                    self.close_connection = True
                    return
                status, extra, content = answer
                self.send_response(status)
                for name, value in {"content-length": str(len(content)), **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        return Handler


def good(body: dict[str, Any], *, shuffle: bool = False) -> Answer:
    """Return the correct answer to a request."""
    data = [{"index": n, "embedding": (3 * hashed(text)).tolist()} for n, text in enumerate(body["input"])]
    if shuffle:
        data.reverse()
    return 200, {}, json.dumps({"object": "list", "data": data}).encode()
