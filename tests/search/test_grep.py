"""Every matching line of every file, over real stores."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codeindexd.analysis.chunking.notebook import CellLine
from codeindexd.scan.safe_read import Contents, read_beneath
from codeindexd.search.grep import GrepRequest, GrepResult, grep_root
from codeindexd.search.line_matcher import LineMatcher
from codeindexd.types import Entry, FileUpdate, NodeKind, Outcome, Transaction
from search.indexed_root import Indexed
from support.notebooks import notebook

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Indexed]:
    made = Indexed(tmp_path)
    yield made
    made.close()


def grep(root: Indexed, pattern: str, *, mask_secrets: bool = True, **options: Any) -> GrepResult:
    matching = {name: options.pop(name) for name in ("others", "fixed", "ignore_case", "word") if name in options}
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        request = GrepRequest(LineMatcher(pattern, **matching), **options)
        return grep_root(root, snapshot, request, mask_secrets=mask_secrets)  # type: ignore[arg-type]


def places(result: GrepResult) -> list[tuple[str, int]]:
    return [(line.path.decode(), line.line) for line in result.lines]


def test_lines_come_in_the_order_of_paths_and_lines(root: Indexed) -> None:
    root.save("b.py", "x = 1\nneedle = 2\n")
    root.save("a/z.py", "needle\n\nNeedle needle\n")
    result = grep(root, "needle")
    assert places(result) == [("a/z.py", 1), ("a/z.py", 3), ("b.py", 2)]
    assert (result.total, result.files, result.searched) == (3, 2, 2)
    assert [(line.column, line.text, list(line.spans)) for line in result.lines][1] == (8, "Needle needle", [(7, 13)])


def test_only_files_that_may_match_are_read(root: Indexed) -> None:
    for number in range(20):
        root.save(f"f{number}.py", f"value_{number} = {number}\n")
    assert grep(root, "value_13").searched == 1
    assert grep(root, "nowhere_at_all").searched == 0
    assert grep(root, "=").searched == 20


def test_scopes_narrow_what_is_searched(root: Indexed) -> None:
    root.save("src/a.py", "needle\n")
    root.save("src/b.go", "needle\n")
    root.save("tests/c.py", "needle\n")
    assert places(grep(root, "needle", below=[b"src"])) == [("src/a.py", 1), ("src/b.go", 1)]
    assert places(grep(root, "needle", below=[b"src/a.py"])) == [("src/a.py", 1)]
    assert places(grep(root, "needle", include=["*.py"], exclude=["tests/**"])) == [("src/a.py", 1)]
    assert places(grep(root, "needle", language="go")) == [("src/b.go", 1)]


def test_bounds_limit_what_is_returned_and_not_what_is_counted(root: Indexed) -> None:
    root.save("a.py", "x\n" * 10)
    root.save("b.py", "x\n" * 10)
    result = grep(root, "x", limit=5)
    assert (len(result.lines), result.total) == (5, 20)
    assert grep(root, "x", max_count=3).counts == {b"a.py": 3, b"b.py": 3}
    assert len(grep(root, "x", names_only=True).lines) == 2


def test_lines_without_a_match_are_found_in_every_file(root: Indexed) -> None:
    root.save("a.py", "x\n\nneedle\ny")
    root.save("b.py", "nothing of it\n")
    root.save("c.py", "needle\n")
    result = grep(root, "needle", invert=True, before=1)
    assert places(result) == [("a.py", 1), ("a.py", 2), ("a.py", 4), ("b.py", 1)]
    assert (result.total, result.files, result.searched) == (4, 2, 3)
    line = result.lines[2]
    assert (line.text, line.column, list(line.spans), list(line.before)) == ("y", 1, [(0, 1)], ["needle"])
    assert grep(root, "needle", others=["[xy]"], invert=True, max_count=1).counts == {b"a.py": 1, b"b.py": 1}
    assert grep(root, "needle", invert=True, every_match=True).lines == grep(root, "needle", invert=True).lines


def test_files_without_a_match_are_those_that_were_read_in_vain(root: Indexed) -> None:
    root.save("a.py", "x\nneedle\n")
    root.save("b.py", "nothing of it\n")
    root.save("empty.py", "")
    result = grep(root, "needle", files_without=True, limit=0)
    assert (result.counts, result.lines, result.files) == ({b"b.py": 0, b"empty.py": 0}, [], 2)
    assert grep(root, "needle", files_without=True, invert=True).counts == {b"empty.py": 0}
    (root.directory / "b.py").unlink()
    assert grep(root, "needle", files_without=True).counts == {b"empty.py": 0}, "its text is not known any more"


def test_lines_without_a_match_show_no_secret(root: Indexed) -> None:
    root.save("a.py", f'TOKEN = "{KEY}"\nx = 1\n')
    for pattern in ("nowhere", KEY[8:20]):
        first, second = grep(root, pattern, invert=True).lines
        assert KEY[8:] not in first.text
        assert second.text == "x = 1"
    assert [line.line for line in grep(root, "TOKEN", invert=True).lines] == [2]


def test_context_lines_are_those_around(root: Indexed) -> None:
    root.save("a.py", "1\n2\nneedle\n4\n5\n")
    (line,) = grep(root, "needle", before=1, after=5).lines
    assert (line.before, line.after) == (["2"], ["4", "5"])


def test_long_lines_are_cut_around_the_match(root: Indexed) -> None:
    root.save("a.json", '{"a": "' + "ä" * 50_000 + " needle " + "ö" * 50_000 + '"}\n')
    (line,) = grep(root, "needle").lines
    assert line.cut
    assert len(line.text.encode()) <= 4096 + 3
    ((start, end),) = line.spans
    assert line.text.encode()[start:end] == b"needle"
    (whole,) = grep(root, "needle", max_line_bytes=1 << 20).lines
    assert (whole.cut, len(whole.text)) == (False, 100_017)


def test_secrets_are_never_matched_and_never_shown(root: Indexed) -> None:
    root.save("a.py", f'token = "{KEY}"  # see above\n')
    assert grep(root, KEY[6:20]).total == 0
    assert grep(root, "ghp_[A-Za-z0-9]+").total == 0
    (line,) = grep(root, "see above").lines
    assert KEY not in line.text
    assert KEY in grep(root, "see above", mask_secrets=False).lines[0].text


def test_any_encoding_is_searched_as_text(root: Indexed) -> None:
    root.save("utf16.txt", "größe needle\r\n".encode("utf-16"))
    root.save("latin1.py", "# größe\n".encode("latin-1"))
    root.save("bom.py", "größe\n".encode("utf-8-sig"))
    assert {path for path, _ in places(grep(root, "größe"))} == {"utf16.txt", "latin1.py", "bom.py"}
    assert grep(root, "größe needle").lines[0].text == "größe needle"
    assert grep(root, "GRÖSSE|GRÖßE", ignore_case=True).files == 3


def test_files_without_chunks_are_searched_if_they_are_text(root: Indexed) -> None:
    for name, reason in (("huge.json", "oversized"), ("app.min.js", "minified"), ("logo.png", "binary")):
        root.skip(name, "needle\n", reason)
    assert [path for path, _ in places(grep(root, "needle"))] == ["app.min.js", "huge.json"]
    root.read_skipped()
    assert [path for path, _ in places(grep(root, "needle"))] == ["app.min.js", "huge.json"]


def test_skipped_texts_are_read_once_and_then_only_if_they_may_match(root: Indexed) -> None:
    for number in range(5):
        root.skip(f"{number}.lock", f"needle {number}\n", "generated")
    assert (grep(root, "needle 3").searched, root.unread_noted) == (5, 1)
    root.read_skipped()
    assert places(grep(root, "needle 3")) == [("3.lock", 1)]
    assert (grep(root, "needle 3").searched, grep(root, "nowhere").searched, root.unread_noted) == (1, 0, 1)
    assert (grep(root, "eedle").total, grep(root, "e.*l").total) == (5, 5)


def test_a_skipped_text_with_all_trigrams_of_a_literal_is_read_only_if_it_has_its_runs(root: Indexed) -> None:
    root.skip("a.lock", "CMD_W D_WRITE WRITE_ENABLE\n", "generated")
    root.skip("b.lock", "cmd_write_enable\n", "generated")
    root.read_skipped()
    for pattern, searched, total in (
        ("CMD_WRITE_ENABLE", 1, 0),  # runs ignore case
        ("cmd_write_enable", 1, 1),
        ("WRITE_ENABLE", 2, 1),
        ("CMD_WRITE_ENABL.", 2, 0),  # regexes have trigrams only
    ):
        result = grep(root, pattern)
        assert (result.searched, result.total) == (searched, total), pattern
    assert grep(root, "CMD_WRITE_ENABLE", ignore_case=True).total == 1


def test_a_skipped_text_that_changed_is_read_again_without_any_event(root: Indexed) -> None:
    root.skip("a.lock", "before\n", "generated")
    root.skip("b.lock", "before\n", "generated")
    root.read_skipped()
    (root.directory / "a.lock").write_text("needle\n")
    (root.directory / "b.lock").unlink()
    assert places(grep(root, "needle")) == [("a.lock", 1)]
    assert root.unread_noted == 1
    assert grep(root, "before").total == 0


def test_secrets_in_skipped_texts_are_masked(root: Indexed) -> None:
    root.skip("a.json", f'{{"token": "{KEY}"}} needle\n')
    root.read_skipped()
    assert grep(root, KEY[6:20]).total == 0
    assert KEY not in grep(root, "needle").lines[0].text


def test_what_was_read_after_a_query_began_does_not_hide_files_from_it(root: Indexed) -> None:
    root.skip("a.lock", "needle\n", "generated")

    def meanwhile() -> None:
        root.read_skipped()
        root.index.catalog.checkpoint()  # moves the snapshot past what was written

    root.meanwhile = meanwhile
    assert places(grep(root, "needle")) == [("a.lock", 1)]


def test_contents_that_the_text_index_lost_are_read_again(root: Indexed) -> None:
    root.skip("a.lock", "needle\n", "generated")
    root.read_skipped()
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        (text,) = snapshot.catalog.skipped_texts(snapshot.read_round)
    root.index.discard(lexical=(), dense=(), embed_hashes=(), text=[text.content])
    assert places(grep(root, "needle")) == [("a.lock", 1)]
    assert root.unread_noted == 1


def test_a_file_that_is_indexed_after_all_is_found_once(root: Indexed) -> None:
    root.skip("a.py", "needle\n")
    root.read_skipped()
    root.save("a.py", "needle\n")
    assert places(grep(root, "needle")) == [("a.py", 1)]
    assert root.index.catalog.check() == []


def test_files_that_failed_are_searched(root: Indexed) -> None:
    (root.directory / "bad.py").write_text("needle\n")
    entry = Entry(b"bad.py", NodeKind.FILE, b"1" * 16)
    root.index.commit(Transaction(updates=[FileUpdate(entry, Outcome.FAILED, reason="it crashed the parser")]))
    assert places(grep(root, "needle")) == [("bad.py", 1)]


def test_a_content_that_the_text_index_lacks_is_read_all_the_same(root: Indexed) -> None:
    root.save("a.py", "needle\n")
    (root.directory / "b.py").write_text("needle too\n")
    entry = Entry(b"b.py", NodeKind.FILE, b"2" * 16)
    root.index.commit(Transaction(updates=[FileUpdate(entry, Outcome.INDEXED, "python", "utf-8")]))
    assert root.index.lag.text
    assert [path for path, _ in places(grep(root, "needle"))] == ["a.py", "b.py"]


def test_what_is_on_the_disk_now_counts_and_becomes_a_hint(root: Indexed) -> None:
    root.save("a.py", "needle\n")
    root.save("b.py", "needle\n")
    (root.directory / "a.py").write_text("gone\n")
    (root.directory / "b.py").unlink()
    assert grep(root, "needle").total == 0
    assert root.hints == {b"a.py", b"b.py"}


def test_moved_copied_and_restored_contents_are_found(root: Indexed) -> None:
    root.save("a.py", "needle\n")
    root.save("copy.py", "needle\n")
    assert [path for path, _ in places(grep(root, "needle"))] == ["a.py", "copy.py"]
    root.save("a.py", "other\n")
    assert [path for path, _ in places(grep(root, "needle"))] == ["copy.py"]
    root.save("a.py", "needle\n")
    assert [path for path, _ in places(grep(root, "needle"))] == ["a.py", "copy.py"]


def test_what_is_not_searched_in_time_is_named(root: Indexed) -> None:
    for number in range(5):
        root.save(f"f{number}.py", f"needle {number}\n")
    result = grep(root, "needle", budget_s=-1)
    assert result.left_out == {"not searched in time": 5}
    assert result.total == 0


def test_a_text_that_is_too_large_for_the_pattern_is_named(root: Indexed) -> None:
    root.save("large.txt", "x = 1\n" * 150_000)
    result = grep(root, "(?:a?){900}b")
    assert result.left_out == {"too large for this pattern": 1}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("as_list", [True, False])
def test_a_notebook_is_searched_by_the_lines_of_its_cells(root: Indexed, indent: int | None, as_list: bool) -> None:
    text = notebook(
        ("markdown", "# About"), "a = 1\nneedle = 2\nb = 3", "c", indent=indent, as_list=as_list, image_bytes=60
    )
    root.save("n.ipynb", text)
    (line,) = grep(root, "^needle", before=9, after=9).lines
    assert (line.text, line.column, line.cell) == ("needle = 2", 1, CellLine(2, 2))
    assert (line.before, line.after) == (["a = 1"], ["b = 3"])
    assert "needle" in text.splitlines()[line.line - 1]
    assert "a = 1" in text.splitlines()[line.before_lines[0] - 1]
    assert not grep(root, "plotted_output|cell_type|image/png").total


def test_the_text_index_knows_the_cells_of_a_notebook_and_not_its_outputs(root: Indexed) -> None:
    root.save("n.ipynb", notebook("caf\u00e9 = 1", image_bytes=60))
    assert grep(root, "plotted_output").searched == 0
    assert grep(root, "caf\u00e9").searched == 1


def test_a_broken_notebook_is_searched_as_text(root: Indexed) -> None:
    text = notebook("needle", image_bytes=60)
    root.save("n.ipynb", text[:-20])
    assert grep(root, "plotted_output").total == 1


def test_secrets_in_notebooks_are_masked(root: Indexed) -> None:
    root.save("n.ipynb", notebook(f'token = "{KEY}"\nuse(token)'))
    assert not grep(root, KEY).total
    (line,) = grep(root, "token = ").lines
    assert KEY not in line.text


def test_a_copy_of_a_notebook_under_another_name_is_searched_alike(root: Indexed) -> None:
    """The text index knows contents, not names."""
    text = notebook("needle = 1", image_bytes=60)
    for name in ("copy.json", "n.ipynb"):
        root.save(name, text)
        assert grep(root, "needle", include=[name]).total == 1
        assert not grep(root, "plotted_output", include=[name]).total


def test_files_that_cannot_be_read_are_counted_as_left_out(root: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    root.save("a.py", "needle\n")
    root.save("b.py", "needle\n")
    (root.directory / "a.py").unlink()

    def broken(directory: bytes, path: bytes, **options: Any) -> Contents:
        if path == b"b.py":
            raise OSError(errno.EIO, "Input/output error")
        return read_beneath(directory, path, **options)

    monkeypatch.setattr("codeindexd.search.grep.read_beneath", broken)
    assert grep(root, "needle").left_out == {"unreadable (Input/output error)": 1}
