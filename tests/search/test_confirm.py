"""Confirming chunks against the disk: in place, moved, changed, gone."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import xxhash

from codeindexd.analysis.chunking.notebook import CellLine, read_notebook
from codeindexd.errors import FailedError
from codeindexd.search.confirm import confirm
from codeindexd.types import Span, StoredChunk
from support.limits import no_open_files
from support.notebooks import notebook
from support.trees import tree

TEXT = "import os\n\n\ndef a():\n    return 1\n\n\ndef b():\n    return 2\n"
B = b"def b():\n    return 2\n"


def chunk_b(path: bytes = b"m.py") -> StoredChunk:
    start = TEXT.encode().index(B)
    span = Span(start, start + len(B), 8, 9, "function", "b")
    return StoredChunk(1, 1, path, "python", span, xxhash.xxh3_128_digest(B), b"e" * 16, 0)


def test_an_unchanged_chunk_is_confirmed_in_place(tmp_path: Path) -> None:
    tree(tmp_path, {"m.py": TEXT})
    (place,) = confirm(os.fsencode(tmp_path), [chunk_b()])
    assert place is not None
    assert (place.data, place.start_line, place.end_line, place.moved) == (B, 8, 9, False)


def test_a_moved_chunk_is_found_at_its_new_lines(tmp_path: Path) -> None:
    tree(tmp_path, {"m.py": "# one\n# two\n" + TEXT})
    (place,) = confirm(os.fsencode(tmp_path), [chunk_b()])
    assert place is not None
    assert (place.start_line, place.end_line, place.moved) == (10, 11, True)
    assert (tmp_path / "m.py").read_bytes()[place.start_byte : place.end_byte] == B


def test_lines_are_current_when_only_newlines_above_changed(tmp_path: Path) -> None:
    tree(tmp_path, {"m.py": TEXT.replace("import os\n", "#\n#\n#\n##\n")})
    (place,) = confirm(os.fsencode(tmp_path), [chunk_b()])
    assert place is not None
    assert (place.data, place.start_line, place.end_line, place.moved) == (B, 11, 12, True)


def test_a_chunk_of_a_file_whose_lines_end_in_carriage_returns_is_found(tmp_path: Path) -> None:
    text = TEXT.replace("\n", "\r").encode()
    b = B.replace(b"\n", b"\r")
    start = text.index(b)
    span = Span(start, start + len(b), 8, 9, "function", "b")
    chunk = StoredChunk(1, 1, b"m.py", "python", span, xxhash.xxh3_128_digest(b), b"e" * 16, 0)
    for before, first in ((b"", 8), (b"# one\r# two\r", 10)):
        tree(tmp_path, {"m.py": before + text})
        (place,) = confirm(os.fsencode(tmp_path), [chunk])
        assert place is not None
        assert (place.data, place.start_line, place.end_line) == (b, first, first + 1)


def test_lines_of_utf_16_text_are_counted_by_code_units(tmp_path: Path) -> None:
    head, text = "\u0a0a \u010a\n".encode("utf-16-le"), "let b = 2\n".encode("utf-16-le")
    tree(tmp_path, {"m.js": head + text})
    span = Span(len(head), len(head + text), 2, 2, "window", "")
    chunk = StoredChunk(1, 1, b"m.js", "javascript", span, xxhash.xxh3_128_digest(text), b"e" * 16, 0)
    (place,) = confirm(os.fsencode(tmp_path), [chunk], "utf-16-le")
    assert place is not None
    assert (place.start_line, place.moved) == (2, False)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("moved", [False, True])
def test_surrounding_bytes_are_kept_if_a_private_key_may_begin_there(
    tmp_path: Path, encoding: str, moved: bool
) -> None:
    head, text, tail = (part.encode(encoding) for part in ("-----BEGIN PRIVATE KEY-----\n", "MIIE\n", "x" * 50_000))
    (tmp_path / "m.js").write_bytes(head + text + tail)
    span = Span(0, len(text), 1, 1, "window", "") if moved else Span(len(head), len(head + text), 2, 2, "window", "")
    chunk = StoredChunk(1, 1, b"m.js", "javascript", span, xxhash.xxh3_128_digest(text), b"e" * 16, 0)
    if moved and encoding == "utf-16-le":
        return  # lines begin in the middle of a code unit, where relocation does not look
    (place,) = confirm(os.fsencode(tmp_path), [chunk], encoding)
    assert place is not None
    assert (place.data, place.moved, place.before) == (text, moved, head)
    assert 20_000 < len(place.after) < 50_000


def test_surrounding_bytes_are_dropped_if_no_key_is_near(tmp_path: Path) -> None:
    tree(tmp_path, {"m.py": TEXT})
    (place,) = confirm(os.fsencode(tmp_path), [chunk_b()])
    assert place is not None
    assert (place.before, place.after) == (b"", b"")


def test_the_copy_closest_to_the_old_place_wins(tmp_path: Path) -> None:
    tree(tmp_path, {"m.py": B.decode() + "#\n" * 20 + B.decode()})
    (place,) = confirm(os.fsencode(tmp_path), [chunk_b()])
    assert place is not None
    assert place.start_line == 1


def test_a_changed_or_missing_chunk_is_never_shown(tmp_path: Path) -> None:
    tree(tmp_path, {"m.py": TEXT.replace("return 2", "return 3"), "empty.py": ""})
    assert confirm(os.fsencode(tmp_path), [chunk_b()]) == [None]
    assert confirm(os.fsencode(tmp_path), [chunk_b(b"empty.py")]) == [None]
    assert confirm(os.fsencode(tmp_path), [chunk_b(b"gone.py")]) == [None]


def test_confirming_fails_when_no_file_can_be_opened(tmp_path: Path) -> None:
    tree(tmp_path, {"m.py": TEXT})
    with no_open_files(), pytest.raises(FailedError, match="open files"):
        confirm(os.fsencode(tmp_path), [chunk_b()])


def notebook_chunk(text: str, source: str) -> StoredChunk:
    """The chunk of one cell, as it was indexed."""
    found = read_notebook(text.encode())
    assert found is not None
    start = found.utf8.index(source.encode())
    span = found.to_source_span(Span(start, start + len(source), 1, 1, "cell"))
    raw = text.encode()[span.start_byte : span.end_byte]
    return StoredChunk(1, 1, b"n.ipynb", "jupyter", span, xxhash.xxh3_128_digest(raw), b"e" * 16, 0)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_cell_is_confirmed_by_its_text_and_not_its_outputs(tmp_path: Path, indent: int | None) -> None:
    chunk = notebook_chunk(notebook("a = 1", "b = 2\nc = 3", indent=indent), "b = 2\nc = 3\n")
    text = notebook("a = 1", "b = 2\nc = 3", indent=indent, image_bytes=5000)
    tree(tmp_path, {"n.ipynb": text})
    (place,) = confirm(os.fsencode(tmp_path), [chunk], "notebook")
    assert place is not None
    assert (place.data, place.cell, place.moved) == (b"b = 2\nc = 3\n", CellLine(2, 1), True)
    assert text.encode()[place.start_byte : place.end_byte].startswith(b"b = 2\\n")
    assert '"b = 2' in text.splitlines()[place.start_line - 1]
    (again,) = confirm(os.fsencode(tmp_path), [notebook_chunk(text, "b = 2\nc = 3\n")], "notebook")
    assert again is not None
    assert not again.moved


def test_a_cell_that_moved_has_its_new_number(tmp_path: Path) -> None:
    chunk = notebook_chunk(notebook("a = 1"), "a = 1\n")
    tree(tmp_path, {"n.ipynb": notebook(("markdown", "# New"), "z = 0", "a = 1")})
    (place,) = confirm(os.fsencode(tmp_path), [chunk], "notebook")
    assert place is not None
    assert (place.cell, place.moved) == (CellLine(3, 1), True)


def test_the_same_text_in_an_output_is_no_cell(tmp_path: Path) -> None:
    chunk = notebook_chunk(notebook("plotted_output", "a"), "plotted_output\n")
    tree(tmp_path, {"n.ipynb": notebook("other", "a", image_bytes=9)})
    assert "plotted_output" in (tmp_path / "n.ipynb").read_text()
    assert confirm(os.fsencode(tmp_path), [chunk], "notebook") == [None]


@pytest.mark.parametrize("text", ["", "no JSON", '{"nbformat": 4, "cells": []}'])
def test_a_notebook_that_is_none_any_more_has_no_chunks(tmp_path: Path, text: str) -> None:
    tree(tmp_path, {"n.ipynb": text})
    assert confirm(os.fsencode(tmp_path), [notebook_chunk(notebook("a"), "a\n")], "notebook") == [None]


def test_keys_around_a_chunk_of_a_notebook_are_its_context(tmp_path: Path) -> None:
    begin = "-----BEGIN " + "RSA PRIVATE KEY-----\n"
    text = notebook(begin, "MIIEowIBAAKCAQEA\n")
    tree(tmp_path, {"n.ipynb": text})
    (place,) = confirm(os.fsencode(tmp_path), [notebook_chunk(text, "MIIEowIBAAKCAQEA\n")], "notebook")
    assert place is not None
    assert place.before == begin.encode()


@pytest.mark.parametrize("encoding", ["utf-8", "notebook"])
def test_a_file_that_is_there_and_cannot_be_read_is_not_said_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    tree(tmp_path, {"m.py": TEXT})

    def broken(*_: object, **__: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("codeindexd.search.confirm.read_ranges", broken)
    monkeypatch.setattr("codeindexd.search.confirm.read_beneath", broken)
    with pytest.raises(OSError, match="Input/output error"):
        confirm(os.fsencode(tmp_path), [chunk_b()], encoding)
