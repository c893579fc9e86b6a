"""The child process: everything a worker does with a file's bytes, with its promises checked and its time measured."""

from __future__ import annotations

import faulthandler
import json
import os
import struct
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from analysis.chunking.test_chunker import check
from codeindexd.analysis import secrets
from codeindexd.analysis.chunking.chunker import chunk
from codeindexd.analysis.chunking.encoding import decode
from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.embedding.static import StaticModel, first_line
from codeindexd.analysis.tokens import Tokenizer
from codeindexd.indexing.pipeline import embed_text
from codeindexd.workers import process_limits
from codeindexd.workers.jobs import WorkerSettings

HEADER = struct.Struct("<HI")
T = TypeVar("T")


class _Clock:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, stage: str, work: Callable[[], T]) -> T:
        began = time.process_time()
        try:
            return work()
        finally:
            self.seconds[stage] = time.process_time() - began


def process(language: str, data: bytes, model: StaticModel, clock: _Clock) -> int:
    """Do what the pipeline does and return the number of chunks. Raises AssertionError naming a broken promise."""
    decoded = clock.time("decode", lambda: decode(data))
    if decoded is None:
        return 0
    text = decoded.utf8
    text.decode("utf-8")
    masked = clock.time("mask", lambda: secrets.mask(text))
    assert len(masked) == len(text)
    assert masked.count(b"\n") == text.count(b"\n")
    clock.time("detect", lambda: detect(b"x", masked[: masked.find(b"\n")][:200]))
    spans = clock.time("chunk", lambda: chunk(masked, language))
    check(masked, spans)
    assert [replace(span) for span in spans] == clock.time("again", lambda: chunk(masked, language))
    at = 0
    for span in map(decoded.to_source_span, spans):
        assert span.start_byte == at
        at = span.end_byte
    assert not spans or at == len(data)
    texts = [embed_text(span.symbol, masked[span.start_byte : span.end_byte].decode("utf-8")) for span in spans]
    tokenizer = Tokenizer()
    terms = clock.time("tokenise", lambda: [tokenizer.tokenize(one) for one in texts])
    clock.time("stem", lambda: [tokenizer.stems(one.words) for one in terms])
    titles = [tokenizer.words(first_line(one)) for one in texts]
    vectors = clock.time("embed", lambda: model.embed_words([one.words for one in terms], titles))
    assert vectors.shape[0] == len(spans)
    return len(spans)


def main() -> None:
    """Reads (language, data), writes a line of JSON for each: ``seconds`` by stage, ``chunks``, ``broken``,
    and private ``memory`` in bytes after it."""
    faulthandler.enable()
    process_limits.die_with(os.getppid())
    process_limits.limit_memory(WorkerSettings().memory_limit_bytes)
    model = StaticModel.load()
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "w")
    while header := source.read(HEADER.size):
        name_size, size = HEADER.unpack(header)
        language, data = source.read(name_size).decode(), source.read(size)
        clock = _Clock()
        chunks, broken = 0, ""
        try:
            chunks = process(language, data, model, clock)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the cage is for
            broken = f"{type(error).__name__}: {error}"[:300]
        memory = process_limits.private_memory()
        sink.write(json.dumps({"seconds": clock.seconds, "chunks": chunks, "broken": broken, "memory": memory}) + "\n")
        sink.flush()


if __name__ == "__main__":
    main()
