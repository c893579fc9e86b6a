"""Reading notebooks: the text of the cells, and the way back to the JSON."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.analysis.chunking.encoding import DecodedText
from codeindexd.analysis.chunking.indexed_text import indexed_text
from codeindexd.analysis.chunking.notebook import CellLine, NotebookText, read_notebook
from support.notebooks import notebook


def read(text: str) -> NotebookText:
    found = read_notebook(text.encode())
    assert found is not None
    return found


def test_the_text_is_the_source_of_all_cells_and_nothing_else() -> None:
    found = read(notebook(("markdown", "# Train\n\nA model."), "x = 1\ny = 2", ("raw", "as it is"), image_bytes=900))
    assert found.utf8 == b"# Train\n\nA model.\nx = 1\ny = 2\nas it is\n"
    assert [(cell.number, cell.kind, cell.language) for cell in found.cells] == [
        (1, "markdown", "markdown"),
        (2, "code", "python"),
        (3, "raw", ""),
    ]
    assert [found.utf8[cell.start : cell.end] for cell in found.cells][1] == b"x = 1\ny = 2\n"


def test_empty_cells_count_and_have_no_text() -> None:
    found = read(notebook("", "x = 1", ("markdown", "")))
    assert [cell.number for cell in found.cells] == [2]
    assert found.cell_line(1) == CellLine(2, 1)


def test_lines_lead_to_the_lines_of_the_json() -> None:
    text = notebook(("markdown", "# One"), "first = 1\nsecond = 2", image_bytes=30)
    found, lines = read(text), text.splitlines()
    for number, said in enumerate(("# One", "first = 1", "second = 2"), 1):
        assert json.loads(lines[found.source_line(number) - 1].strip().rstrip(",")).rstrip("\n") == said
    assert [found.cell_line(number) for number in (1, 2, 3)] == [CellLine(1, 1), CellLine(2, 1), CellLine(2, 2)]


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_way_of_writing_gives_the_same_text(indent: int | None, as_list: bool, newline: str) -> None:
    text = notebook("a = 1\nb = 'ü'\n", ("markdown", "x\ny"), indent=indent, as_list=as_list, image_bytes=40)
    found = indexed_text(text.replace("\n", newline).encode())
    assert isinstance(found, NotebookText)
    assert found.utf8.decode() == "a = 1\nb = 'ü'\nx\ny\n"
    source = text.replace("\n", newline).encode()
    assert [
        json.loads(b'"' + source[start:end] + b'"')
        for start, end in zip(found.source_starts, found.source_ends, strict=True)
    ] == ["a = 1\n", "b = 'ü'\n", "x\n", "y"]


def test_a_byte_order_mark_shifts_what_is_found_in_the_file() -> None:
    source = b"\xef\xbb\xbf" + notebook("a = 1").encode()
    found = indexed_text(source)
    assert isinstance(found, NotebookText)
    assert source[found.source_starts[0] : found.source_ends[0]] == b"a = 1"


def test_escapes_are_what_they_stand_for() -> None:
    source = '"caf\\u00e9 \\ud83d\\ude00 \\"q\\" \\\\n \\t|\\u000anext \\ud800 \\u0000"'
    found = read('{"cells": [{"cell_type": "code", "source": ' + source + '}], "nbformat": 4}')
    assert found.utf8.decode() == 'café \U0001f600 "q" \\n \t|\nnext ? \ufffd\n'
    assert len(found.starts) == 2


def test_strings_that_are_parts_of_lines_or_several_are_joined() -> None:
    found = read('{"cells": [{"cell_type": "code", "source": ["a", " = ", "1\\nb = 2\\n", "", "c"]}], "nbformat": 4}')
    assert found.utf8 == b"a = 1\nb = 2\nc\n"
    assert found.cell_line(3) == CellLine(1, 3)


def test_windows_line_ends_in_cells_stay() -> None:
    assert read(notebook("a\r\nb\r\n")).utf8 == b"a\r\nb\r\n"


def test_nbformat_3_is_read() -> None:
    cells = [
        {"cell_type": "heading", "level": 1, "source": ["Title"]},
        {"cell_type": "code", "input": ["x = 1\n", "y"], "language": "python", "outputs": [{"text": ["no"]}]},
    ]
    old = {"metadata": {"name": ""}, "nbformat": 3, "worksheets": [{"cells": cells[:1]}, {"cells": cells[1:]}]}
    found = read(json.dumps(old))
    assert found.utf8 == b"Title\nx = 1\ny\n"
    assert [(cell.number, cell.kind, cell.language) for cell in found.cells] == [
        (1, "markdown", "markdown"),
        (2, "code", "python"),
    ]


@pytest.mark.parametrize("end", ["\n", ""])
def test_lists_of_lines_without_ends_in_nbformat_3_are_lines(end: str) -> None:
    cell = {"cell_type": "code", "input": [f"def f():{end}", f"{end}", "    pass"]}
    found = read(json.dumps({"nbformat": 3, "worksheets": [{"cells": [cell, {"cell_type": "code", "input": "x"}]}]}))
    assert found.utf8 == b"def f():\n\n    pass\nx\n"
    assert [found.cell_line(number) for number in (3, 4)] == [CellLine(1, 3), CellLine(2, 1)]
    assert list(found.source_starts) == sorted(set(found.source_starts))


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({}, "python"),
        ({"kernelspec": {"language": "R", "name": "ir"}}, "r"),
        ({"kernelspec": {"language": "julia"}}, "julia"),
        ({"kernelspec": {"language": "C++17"}}, "cpp"),
        ({"kernelspec": {"language": "C#"}}, "csharp"),
        ({"kernelspec": {"name": "python3"}, "language_info": {"name": "python"}}, "python"),
        ({"language_info": {"name": "unheard of", "file_extension": ".kt"}}, "kotlin"),
        ({"kernelspec": None, "language_info": [1]}, "python"),
        ({"kernelspec": {"language": 7}}, "python"),
    ],
)
def test_the_language_is_the_kernel_s(metadata: dict[str, Any], language: str) -> None:
    assert [cell.language for cell in read(notebook("x", metadata=metadata)).cells] == [language]


def test_an_editor_may_name_the_language_of_one_cell() -> None:
    whole = json.loads(notebook("SELECT 1", "x = 1"))
    whole["cells"][0]["metadata"] = {"vscode": {"languageId": "sql"}}
    assert [cell.language for cell in read(json.dumps(whole)).cells] == ["sql", "python"]


@pytest.mark.parametrize(
    "text",
    [
        '{"cells": [], "metadata": {}}',
        '{"nbformat": 4, "cells": {"a": 1}}',
        '{"nbformat": 4, "cells": [1]}',
        '["nbformat"]',
        '{"nbformat": 4} and more',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": [1]}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "a\nb"}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "source": "\\x"}]}',
        '{"nbformat": 4, "metadata": {"a": tru}}',
        '{"nbformat": 4, "cells": [{"nbformat": 4, "cells": [{"cell_type": "code", "source": "a = 1"}]}]}',
        '<<<<<<< HEAD\n{"nbformat": 4, "cells": []}',
    ],
)
def test_what_is_no_notebook_is_text(text: str) -> None:
    assert read_notebook(text.encode()) is None
    found = indexed_text(text.encode())
    assert isinstance(found, DecodedText)
    assert found.utf8 == text.encode()


def test_a_notebook_cut_off_anywhere_is_text() -> None:
    whole = notebook("a = 1\nb = 2", ("markdown", "text"), image_bytes=20).rstrip().encode()
    for end in range(len(whole)):
        assert read_notebook(whole[:end]) is None, whole[:end][-20:]


def test_a_notebook_in_utf_16_is_text() -> None:
    assert isinstance(indexed_text(notebook("a = 1").encode("utf-16")), DecodedText)


def test_outputs_of_any_kind_are_passed_over() -> None:
    output = '{"data": {"a": [1, NaN, -Infinity, {"b": "]}\\"\\\\"}], "text/plain": ["x]", "\\\\"]}, "c": null}'
    text = '{"cells": [{"outputs": [' + output + '], "cell_type": "code", "source": "a"}], "nbformat": 4}'
    assert read(text).utf8 == b"a\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), max_size=5), st.booleans())
def test_whatever_is_written_is_read(sources: list[str], as_list: bool) -> None:
    found = read(notebook(*sources, as_list=as_list, indent=random.Random(len(sources)).choice((None, 1))))
    expected = "".join(source if source.endswith("\n") else f"{source}\n" for source in sources if source)
    assert found.utf8.decode() == expected
    assert len(found.starts) == expected.count("\n")


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        ('{"nbformat":', '{"a":'),
        ('{"nbformat":', "["),
        ('{"nbformat": 4, "cells": [{"source": "', "\\\\"),
        ('{"nbformat": 4, "cells": [{"source": "', '\\"'),
        ('{"nbformat": 4, "cells": [{"source": "', "\\n"),
        ('{"nbformat": 4, "cells": [{"source": [', '"a", '),
        ('{"nbformat": 4, "cells": [', "{},"),
        ('{"nbformat": 4, "x": [', '"]",'),
        ('{"nbformat": 4,', " "),
    ],
)
def test_hostile_json_is_read_in_linear_time(head: str, piece: str) -> None:
    for end in ("", '"}]}', "]}]}", "]}"):
        text = (head + piece * (600_000 // len(piece)) + end).encode()
        began = time.process_time()
        read_notebook(text)
        assert time.process_time() - began < 5
