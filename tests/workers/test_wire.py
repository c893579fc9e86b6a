"""Frames, complete and in pieces, and invalid ones."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.workers import wire
from codeindexd.workers.jobs import FileJob, FileResult, TextRange, TextsJob, WorkerSettings


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(0, 5))
def test_chunks_of_any_size_give_the_same_frames(cuts, count):
    messages = [wire.RunFile(FileJob(n, b"/r\xff", b"p" * (n * 37))) for n in range(count)]
    stream = b"".join(map(wire.frame, messages))
    buffer, got = wire.FrameBuffer(), []
    for cut in [*cuts, len(stream) + 1]:
        got += [wire.to_worker.decode(body) for body in buffer.feed(stream[:cut])]
        stream = stream[cut:]
    assert got == messages
    assert not buffer.partial


def test_every_message_of_the_daemon_is_distinguished():
    messages = [
        wire.Start(WorkerSettings(vectors_db="v.db"), at_low_priority=True),
        wire.LowerPriority(),
        wire.RunFile(FileJob(1, b"/", b"\xfe")),
        wire.RunTexts(TextsJob(2, b"/", b"a", b"leaf", (TextRange(1, 2, b"h"),))),
    ]
    buffer = wire.FrameBuffer()
    assert [wire.to_worker.decode(body) for m in messages for body in buffer.feed(wire.frame(m))] == messages


def test_a_channel_reads_what_the_daemon_writes_and_sees_its_end():
    read, write = os.pipe()
    back_read, back_write = os.pipe()
    message = wire.FileDone(FileResult(1, b"a", "failed", error="x" * 300_000), 5)
    channel = wire.Channel(read, back_write)
    os.write(write, wire.frame(wire.Ready(7)))
    body = channel.receive()
    assert body is not None
    assert wire.to_daemon.decode(body) == wire.Ready(7)
    sender = threading.Thread(target=channel.send, args=(message,))
    sender.start()
    buffer, got = wire.FrameBuffer(), []
    while not got:
        got = list(buffer.feed(os.read(back_read, 10_000)))
    sender.join()
    assert wire.to_daemon.decode(got[0]) == message
    os.close(write)
    assert channel.receive() is None
    for descriptor in (read, back_read, back_write):
        os.close(descriptor)


def test_incomplete_and_invalid_frames_are_rejected():
    read, write = os.pipe()
    os.write(write, wire.frame(wire.Ready(7))[:-1])
    os.close(write)
    with pytest.raises(wire.BrokenStreamError):
        wire.Channel(read, 2).receive()
    os.close(read)
    with pytest.raises(wire.BrokenStreamError):
        list(wire.FrameBuffer().feed(b"GET / HTTP/1.1"))
