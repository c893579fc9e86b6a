"""Confirming chunks against the disk: in place, moved, changed, gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import xxhash

from codeindexd.errors import FailedError
from codeindexd.search.confirm import confirm
from codeindexd.types import Span, StoredChunk
from support.limits import no_open_files
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
