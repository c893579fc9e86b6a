"""Reports: which queries are, their headline, and what is boilerplate in them."""

from __future__ import annotations

import pytest

from codeindexd.search.query import parse
from codeindexd.search.reports import Report, report_in

REPORT = """### Dates are parsed in the wrong time zone

<!-- Thank you for the report!
     Please fill this in. -->
When I call `parse_date("2020-01-01")` the result is a day off.

Versions
--------
Python: 3.8.1
numpy==1.18.1
  pandas  1.0.3
"""
TRACE = """Traceback (most recent call last):
  File "app/main.py", line 10, in main
    run()
  File "app/run.py", line 20, in run
    raise ValueError("no such thing")
ValueError: no such thing
"""


def report(text: str) -> Report | None:
    return report_in(parse(text))


def test_a_report_is_asked_for_by_its_headline() -> None:
    found = report(REPORT)
    assert found is not None
    assert found.headline == "Dates are parsed in the wrong time zone"


def test_templates_and_tables_of_versions_are_left_out() -> None:
    found = report(REPORT)
    assert found is not None
    assert "the result is a day off" in found.body
    assert not any(text in found.body for text in ("Thank you", "3.8.1", "1.18.1", "1.0.3"))


def test_a_report_of_boilerplate_alone_keeps_it() -> None:
    found = report("python: 3.8.1\nnumpy: 1.18\npandas: 1.0.3\n")
    assert found is not None
    assert "numpy" in found.body


@pytest.mark.parametrize(
    "text",
    ["how are dates parsed", "parse_date", "ValueError: no such thing", "two lines\nof a question", "lang:python"],
)
def test_questions_names_and_messages_are_no_reports(text: str) -> None:
    assert report(text) is None


@pytest.mark.parametrize(
    "trace",
    [
        TRACE,
        "Error: x\n    at g (/srv/b.js:2:1)\n    at f (/srv/a.js:1:1)",
        "panic: runtime error: nil\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/go/src/a.go:12 +0x1d\nmain.main()",
        "==1==ERROR: AddressSanitizer: heap-use-after-free\n    #0 0x4a in f src/a.c:280:5\n    #1 0x4b in g a.c:3:5",
        "Program terminated with signal SIGSEGV, Segmentation fault.\n#0 f (x=0) at src/a.c:5\n#1 g () at src/b.c:7",
        "thread 'main' panicked at src/handle.rs:345:9:\nsomething unexpected\nnote: run with `RUST_BACKTRACE=1`",
    ],
)
def test_a_trace_alone_is_no_report(trace: str) -> None:
    assert report(trace) is None
    assert report(f"Parsing fails for dates without a year\nSince the last release:\n\n{trace}") is not None


def test_a_paragraph_is_asked_for_by_its_first_sentence() -> None:
    first = "Whenever " + "a very " * 10 + "long name is used, the parser stops."
    found = report(first + " Then nothing works any more." * 10)
    assert found is not None
    assert found.headline == first


def test_a_headline_is_bounded() -> None:
    found = report("word " * 10_000)
    assert found is not None
    assert len(found.headline.split()) == 40
