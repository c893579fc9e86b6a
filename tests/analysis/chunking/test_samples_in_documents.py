"""The code samples of documents: where they are, their languages, and the places of what they define."""

from __future__ import annotations

import time

import pytest

from codeindexd.analysis.chunking import grammars
from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.samples import language_of_info, samples_in


def defined(text: str, language: str) -> list[str]:
    """Return the definitions of a document, other than sections, as line:column kind name."""
    data = text.encode()
    found = analyse(data, language).definitions
    rows = data.split(b"\n")
    for number, one in enumerate(found):
        assert rows[one.line - 1][one.column - 1 :].startswith(one.name.encode())
        assert one.container < number
        assert one.container < 0 or found[one.container].start_line <= one.start_line <= found[one.container].end_line
    assert [one.start_line for one in found] == sorted(one.start_line for one in found)
    return [f"{one.line}:{one.column} {one.kind} {one.qualified}" for one in found if one.kind != "section"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n\n```python\nclass Ä:\n    def run(self): pass\n```\n", ["4:7 class Ä", "5:9 method Ä.run"]),
        ("~~~py\ndef f(): pass\n~~~\n", ["2:5 function f"]),
        ("```{.python .numberLines}\ndef f(): pass\n```\n", ["2:5 function f"]),
        ("````md\n```python\ndef f(): pass\n```\n````\n", []),
        ("```\ndef f(): pass\n```\n```text\ndef g(): pass\n```\n", []),
        ("```js title=x\nfunction f() {}\n```\r\n```go\nfunc G() {}\n```\n", ["2:10 function f", "5:6 function G"]),
        ("- list\n\n  ```rust\n  struct P { x: i32 }\n  ```\n", ["4:10 struct P", "4:14 field P.x"]),
        ("1. ```js\n   class A {}\n   ```\n", ["2:10 class A"]),
        ("```python\napp = App()\nclass Open: pass\n", ["3:7 class Open"]),
        ("> ```py\n> class A:\n>     x: int\n>\n>     def m(self): pass\n> ```\n\ndef no(): pass\n",
         ["2:9 class A", "3:7 field A.x", "5:11 method A.m"]),
        (">>```py\n>>def f(): pass\n> > def g(): pass\n>def no(): pass\n\n```go\nfunc H() {}\n```\n",
         ["2:7 function f", "3:9 function g", "7:6 function H"]),
        ("> - a\n>\n>   ~~~js\n>   function f() {}\n>   ~~~\n", ["4:14 function f"]),
        ("> ```py\n> def f(): pass\n```py\ndef g(): pass\n```\n", ["2:7 function f", "4:5 function g"]),
        ("```py\n> ```\nclass A: pass\n```\n", ["3:7 class A"]),
        ("```js\nconst app = { run() {}, port: 1 }\n```\n", ["2:15 method app.run"]),
        ("```py\n>>> def f(x):\n...     return x\n>>> f(1)\n1\n>>> class A: pass\n```\n",
         ["2:9 function f", "6:11 class A"]),
        ("```json\n{\"key\": 1}\n```\n```yaml\nkey: 1\n```\n", []),
        ("``` inline ``` def f(): pass\n", []),
        ("```proto\nmessage M {\n  string s = 1;\n}\n```\n", ["2:9 struct M", "3:10 field M.s"]),
        ("```python\nclass Broken(\n```\n\n```python\nclass Whole: pass\n```\n",
         ["2:7 class Broken", "6:7 class Whole"]),
    ],
)  # fmt: skip
def test_fenced_blocks_of_markdown(text: str, expected: list[str]) -> None:
    assert defined(text, "markdown") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A\n=\n\n.. code-block:: python\n\n    class A:\n        x: int\n\n    def f(): pass\n\ndef g(): pass\n",
         ["6:11 class A", "7:9 field A.x", "9:9 function f"]),
        (".. code:: js\n   :name: x\n\n   function f() {}\n", ["4:13 function f"]),
        (".. sourcecode:: python3\n\n\tdef f(): pass\n", ["3:6 function f"]),
        (".. code-block::\n\n   def f(): pass\n", []),
        ((".. highlight:: c\n\nLike this::\n\n   int f(void) { return 1; }\n\nand\n\n"
         ".. code-block::\n\n   int g(void) { return 1; }\n"),
         ["5:8 function f", "11:8 function g"]),
        ("Like this::\n\n   def f(): pass\n", []),
        (">>> class A:\n...     def m(self): pass\n...\n>>> A()\n<A>\n\ntext\n\n   >>> def f(): pass\n",
         ["1:11 class A", "2:13 method A.m", "9:12 function f"]),
        (".. testcode::\n\n   def f(): pass\n", ["3:8 function f"]),
        (".. image:: python\n\n   def f(): pass\n", []),
        (".. highlight:: python\n\n  .. note::\n\n     def f(): pass\n", []),
        (".. code-block:: python\n", []),
    ],
)  # fmt: skip
def test_code_blocks_of_restructuredtext(text: str, expected: list[str]) -> None:
    assert defined(text, "restructuredtext") == expected


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("python", "python"), ("py3", "python"), ("{.python}", "python"), ("js title=x", "javascript"), ("C++", "cpp"),
        ("rust,ignore", "rust"), ("py{1,3}", "python"), ("{code-block} python", "python"),
        ("{python, echo=FALSE}", "python"),
        ("{#here .java}", "java"), ("console", ""), ("", ""), ("{}", ""), ("golang", "go"), ("ts:a.ts", "typescript"),
    ],
)  # fmt: skip
def test_the_language_of_a_block_is_what_people_call_it(info: str, language: str) -> None:
    assert language_of_info(info) == language


def test_a_section_contains_what_its_samples_define_and_stays_as_it_is() -> None:
    text = b"# One\n\n```py\nclass A: pass\n```\n\n## Two\n\n```py\nclass B: pass\n```\n\n# Three\n"
    found = analyse(text, "markdown").definitions
    assert [(one.name, found[one.container].name if one.container >= 0 else "") for one in found] == [
        ("One", ""), ("A", "One"), ("Two", "One"), ("B", "Two"), ("Three", ""),
    ]  # fmt: skip
    assert [one.qualified for one in found] == ["One", "A", "One > Two", "B", "Three"]


def test_samples_name_no_chunk() -> None:
    text = b"# One\n\n```py\nclass A: pass\n```\n"
    (span,) = analyse(text, "markdown").spans
    assert [symbol.name for symbol in span.symbols] == ["One"]


def test_samples_are_found_only_in_documents() -> None:
    assert not samples_in(b'"""\n```py\nclass A: pass\n```\n"""\n', "python", 10)


def test_many_fences_take_linear_time() -> None:
    assert len(samples_in(b"```py\nx = 1\n```\n" * 5_000, "markdown", 2_000)) == 2_000
    assert not samples_in(b">" * 500_000 + b"```py\n" + b">" * 500_000 + b"x\n", "markdown", 2_000)[1:]


@pytest.mark.parametrize(("count", "is_partial"), [(2_000, False), (2_001, True)])
def test_samples_that_are_left_out_make_an_analysis_partial(count: int, is_partial: bool) -> None:
    found = analyse(b"```py\ndef f(): pass\n```\n" * count, "markdown")
    assert (len(found.definitions), found.is_partial) == (2_000, is_partial)


def test_documents_depend_on_all_grammars(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [grammars.fingerprint.__wrapped__(language) for language in ("restructuredtext", "markdown", "python")]
    version = grammars._version
    monkeypatch.setattr(grammars, "_version", lambda one: "other" if one == "tree-sitter-go" else version(one))
    after = [grammars.fingerprint.__wrapped__(language) for language in ("restructuredtext", "markdown", "python")]
    assert [one != other for one, other in zip(before, after, strict=True)] == [True, True, False]


@pytest.mark.parametrize("blank", ["\t", " "])
def test_rows_of_blanks_take_linear_time(blank: str) -> None:
    text = f"Like this::\n\n   {blank * 200_000}\n".encode()
    began = time.process_time()
    assert samples_in(text, "restructuredtext", 2_000) == []
    assert time.process_time() - began < 3
