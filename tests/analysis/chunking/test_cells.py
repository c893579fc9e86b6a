"""Chunks of notebooks: cells in their languages, and IPython's commands."""

from __future__ import annotations

import time

import pytest

from codeindexd.analysis.chunking.cells import analyse_cells, as_parsable
from codeindexd.analysis.chunking.notebook import NotebookText, read_notebook
from codeindexd.types import Span
from support.notebooks import notebook


def chunks(text: str) -> tuple[NotebookText, list[Span]]:
    found = read_notebook(text.encode())
    assert found is not None
    return found, analyse_cells(found.utf8, found.cells).spans


def test_every_cell_is_cut_in_its_own_language() -> None:
    found, spans = chunks(notebook(("markdown", "# Data\n\nWhere it is."), "def load():\n    pass", "x = load()"))
    assert [(span.kind, span.symbol) for span in spans] == [("section", "Data"), ("function", "load"), ("cell", "")]
    assert b"".join(found.utf8[span.start_byte : span.end_byte] for span in spans) == found.utf8
    assert [(span.start_line, span.end_line) for span in spans] == [(1, 3), (4, 5), (6, 6)]


def test_chunks_are_placed_in_the_json() -> None:
    text = notebook("x = 1", "import os\n\n\nclass Model:\n    def fit(self):\n        pass\n", image_bytes=50)
    found, spans = chunks(text)
    placed = [found.to_source_span(span) for span in spans]
    lines = text.splitlines()
    for span in placed:
        for symbol in span.symbols:
            assert symbol.name in lines[span.start_line - 1 + symbol.line_offset]
    assert {symbol.qualified for span in placed for symbol in span.symbols} == {"Model", "Model.fit"}
    assert "outputs" not in text.encode()[placed[-1].start_byte : placed[-1].end_byte].decode()


def test_in_a_json_of_one_line_everything_is_on_it() -> None:
    found, spans = chunks(notebook("x = 1\n\n\ndef a():\n    pass\n\n\ndef b():\n    pass\n", indent=None))
    placed = [found.to_source_span(span) for span in spans]
    assert {(span.start_line, span.end_line) for span in placed} == {(1, 1)}
    assert all(symbol.line_offset == 0 for span in placed for symbol in span.symbols)


def test_a_large_cell_has_several_chunks_and_whitespace_none() -> None:
    functions = "\n\n".join(f"def function_{n}(a):\n    value = a + {n}\n    return value\n" for n in range(60))
    found, spans = chunks(notebook(" \n\t\n", functions))
    assert len(spans) > 3
    assert spans[0].start_byte == found.cells[1].start
    assert {symbol.name for span in spans for symbol in span.symbols} >= {"function_0", "function_59"}


@pytest.mark.parametrize(
    "command",
    [
        "%matplotlib inline",
        "!pip install -q 'numpy<2'",
        "!pip install \\\n    numpy \\\n    scipy",
        'files = !ls *.py | grep -v "\'"',
        "result = %timeit -o sum(range(9))",
        "%%time",
        "%%capture --no-stderr out",
        "np.random.rand?",
        "?len",
        "%load_ext autoreload\n%autoreload 2",
        "if True:\n    !nvidia-smi",
        "for name in files:\n    %run {name}",
    ],
)
def test_commands_do_not_break_the_rest_of_a_cell(command: str) -> None:
    source = f"{command}\n\n\ndef after(value):\n    return value % 2 != 1\n"
    _, spans = chunks(notebook(source))
    assert [symbol.name for span in spans for symbol in span.symbols] == ["after"]
    assert "error" not in {span.kind for span in spans}


@pytest.mark.parametrize(
    "source",
    [
        "def mean(a, b):\n    return (a\n        % b)\n",
        "assert (a\n        != b)\n",
        "x = 7 % 3\nif x != 1:\n    pass\n",
    ],
)
def test_operators_are_no_commands(source: str) -> None:
    assert as_parsable(source.encode(), "python") == (source.encode(), "python")


@pytest.mark.parametrize(
    ("magic", "language"),
    [
        ("%%bash", "bash"),
        ("%%sh -e", "bash"),
        ("%%html", "html"),
        ("%%js", "javascript"),
        ("%%R -i frame", "r"),
        ("%%sql sqlite://", "sql"),
        ("%%script bash --bg", "bash"),
        ("%%script perl", "perl"),
        ("%%writefile -a tools/run.go", "go"),
        ("%%writefile notes", ""),
        ("%%timeit -n 3", "python"),
        ("%%of_our_own", "python"),
    ],
)
def test_a_magic_of_a_cell_decides_its_language(magic: str, language: str) -> None:
    body = f"\n{magic}\nbody of it\n".encode()
    parsed, found = as_parsable(body, "python")
    assert found == language
    assert len(parsed) == len(body)
    assert parsed.endswith(b"\nbody of it\n")
    assert b"%%" not in parsed


def test_functions_below_a_magic_are_found_in_its_language() -> None:
    _, spans = chunks(notebook("%%bash\ndeploy() {\n  rsync -a . there:\n}\n"))
    assert [(span.symbol, span.start_line) for span in spans] == [("deploy", 1)]


def test_only_python_has_such_commands() -> None:
    body = b"%%bash\n!x\n"
    assert as_parsable(body, "r") == (body, "r")


def test_a_cell_of_nothing_but_a_magic_is_a_chunk() -> None:
    _, spans = chunks(notebook("%%html"))
    assert [(span.kind, span.start_line, span.end_line) for span in spans] == [("cell", 1, 1)]


def test_a_question_mark_alone_takes_no_other_line_with_it() -> None:
    parsed, _ = as_parsable(b"?\n\nvalue = 1\n", "python")
    assert parsed.endswith(b"\n\nvalue = 1\n")


@pytest.mark.parametrize(
    "piece", [b"?", b"?\n", b"!\n", b"% ", b"a = ", b"a , ", b"\\\n", b"!x\\\n", b"%%", b" ", b"x.y?", b"=!", b"\t%a"]
)
def test_commands_are_found_in_linear_time(piece: bytes) -> None:
    for body in (piece * (400_000 // len(piece)), b"%%time\n" + piece * (400_000 // len(piece)) + b"%"):
        began = time.process_time()
        parsed, _ = as_parsable(body, "python")
        assert time.process_time() - began < 5
        assert (len(parsed), parsed.count(b"\n")) == (len(body), body.count(b"\n"))
