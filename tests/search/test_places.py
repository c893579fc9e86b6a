"""Places in texts, and the chunks at them, over real stores."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.search.places import Place, chunks_at, places_in
from codeindexd.search.query import parse
from codeindexd.search.searcher import Searcher
from search.indexed_root import Indexed


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("query.py", Place("query.py")),
        ("src/app/query.py", Place("src/app/query.py")),
        ("./src/query.py:42", Place("./src/query.py", 42, 42)),
        ("query.py:42:7", Place("query.py", 42, 42)),
        ("query.py:10-20", Place("query.py", 10, 20)),
        ("query.py#L10-L20", Place("query.py", 10, 20)),
        ("query.py line 42", Place("query.py", 42, 42)),
        ("query.py|42 col 7| error", Place("query.py", 42, 42)),
        ("what does src/query.py, line 42 do", Place("src/query.py", 42, 42)),
        ("query.py lines 10 to 20", Place("query.py", 10, 20)),
        ("line 42 of src/query.py", Place("src/query.py", 42, 42)),
        ("lines 10-20 in query.py", Place("query.py", 10, 20)),
        ("PHP Warning: x in /srv/app/Query.php on line 42", Place("/srv/app/Query.php", 42, 42)),
        ("Query.java, at line 42", Place("Query.java", 42, 42)),
        ("src\\app\\Query.cs", Place("src/app/Query.cs")),
        ('  File "/srv/app/query.py", line 42, in parse', Place("/srv/app/query.py", 42, 42)),
        ("    at parse (/srv/app/query.js:42:7)", Place("/srv/app/query.js", 42, 42)),
        ("\tat org.example.Query.parse(Query.java:42)", Place("org/example/Query.java", 42, 42)),
        ("\t/go/src/app/query.go:42 +0x1d", Place("/go/src/app/query.go", 42, 42)),
        ("thread 'main' panicked at src/query.rs:42:7:", Place("src/query.rs", 42, 42)),
        ("#1  0x0000 in parse (text=0x0) at src/query.c:42", Place("src/query.c", 42, 42)),
        ("    #0 0x4f in parse /build/src/query.cc:42:7", Place("/build/src/query.cc", 42, 42)),
        ("/srv/app/query.rb:42:in `parse'", Place("/srv/app/query.rb", 42, 42)),
        ("#0 /srv/app/Query.php(42): App\\Query->parse()", Place("/srv/app/Query.php", 42, 42)),
        ("   at App.Query.Parse() in C:\\src\\app\\Query.cs:line 42", Place("C:/src/app/Query.cs", 42, 42)),
        ("    (app 0.1.0) lib/app/query.ex:42: App.Query.parse/1", Place("lib/app/query.ex", 42, 42)),
    ],
)
def test_places_are_read_in_the_form_of_every_tool(text: str, place: Place) -> None:
    assert places_in(text) == [place]


@pytest.mark.parametrize(
    "text", ["how is a query parsed", "std::vector", "a/b test", "parse", "x = 1.5", "e.g. this", "5 lines in a.py"]
)
def test_other_text_names_no_place(text: str) -> None:
    assert places_in(text) == []


def test_the_innermost_frame_comes_first() -> None:
    python = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n  File "b.py", line 2, in g\nKeyError: 1'
    assert [place.path for place in places_in(python)] == ["b.py", "a.py"]
    node = "Error: x\n    at g (b.js:2:1)\n    at f (a.js:1:1)"
    assert [place.path for place in places_in(node)] == ["b.js", "a.js"]


@pytest.mark.parametrize(
    "piece", ["a", "/", ".", "a.", "at a.", "'", "<", "a:1 ", "[", "\\", "line 1 of a", "a.b line "]
)
def test_no_text_takes_long(piece: str) -> None:
    started = time.thread_time()
    places_in(piece * (65_536 // len(piece)))
    assert time.thread_time() - started < 2


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Indexed]:
    made = Indexed(tmp_path)
    made.save("main.py", "def outer():\n    return 1\n")
    made.save("src/app/main.py", "def inner():\n    return 1\n\n\ndef second():\n    return 2\n")
    yield made
    made.close()


def paths_at(root: Indexed, text: str) -> list[bytes]:
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        ids = chunks_at(root.spec.raw, snapshot, places_in(text))
        found = snapshot.catalog.chunks(ids)
        return [found[one].path for one in ids]


def test_a_name_means_every_file_of_that_name_the_nearest_to_the_root_first(root: Indexed) -> None:
    assert paths_at(root, "main.py") == [b"main.py", b"src/app/main.py"]


def test_a_path_means_the_file_that_shares_most_of_its_end(root: Indexed) -> None:
    assert paths_at(root, "app/main.py:1") == [b"src/app/main.py"]
    assert paths_at(root, "/elsewhere/src/app/main.py:1") == [b"src/app/main.py"]
    assert paths_at(root, str(root.directory / "main.py") + ":1") == [b"main.py"]


def test_the_directory_above_a_file_at_the_top_is_named_like_the_root(root: Indexed) -> None:
    name = root.directory.name
    assert paths_at(root, f"/elsewhere/{name}/main.py:1") == [b"main.py"]
    assert paths_at(root, f"/go/pkg/mod/example.com/{name}@v1.8.0/main.py:1 +0xabc") == [b"main.py"]
    assert paths_at(root, f"/go/pkg/mod/example.com/{name}/v2@v2.1.0-rc.1/main.py:1") == [b"main.py"]
    assert paths_at(root, "/go/pkg/mod/example.com/other@v1.8.0/main.py:1") == []
    assert paths_at(root, f"/elsewhere/{name}/src/main.py:1") == []


def test_versions_in_a_path_may_be_its_own(root: Indexed) -> None:
    root.save("vendor/lib@1.2.0/icon@2x.py", "A = 1\n")
    assert paths_at(root, "/elsewhere/vendor/lib@1.2.0/icon@2x.py:1") == [b"vendor/lib@1.2.0/icon@2x.py"]


def test_a_frame_of_other_code_is_not_taken_for_ours(root: Indexed) -> None:
    assert paths_at(root, "/usr/lib/other/main.py:1") == []
    assert paths_at(root, "main.py:99") == []


@pytest.mark.anyio
async def test_places_keep_their_order_whatever_else_speaks_for_them(root: Indexed) -> None:
    root.save(
        "lib/io/Wire.java",
        "class Wire {\n" + "  int wire_timeout;\n" * 90 + "  int last;\n" + "  int x;\n" * 200 + "}\n",
    )
    trace = "wire timeout\n\tat io.Wire.fail(Wire.java:250)\n\tat io.Wire.wait(Wire.java:20)\n"
    hits = (await Searcher({}, mask_secrets=True).search([root], parse(trace), 10)).hits
    assert [hit.best_line for hit in hits[:2]] == [250, 20]
