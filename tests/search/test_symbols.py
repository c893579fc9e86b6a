"""Definitions by name, exactly or nearly, over real stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeindexd.search.query import filters_of
from codeindexd.search.searcher import Searcher
from codeindexd.search.symbols import Match, SymbolAnswer
from codeindexd.storage.catalog.centrality import Centrality
from search.indexed_root import Indexed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def indexed(tmp_path: Path) -> AsyncIterator[Indexed]:
    root = Indexed(tmp_path)
    root.save("a.py", "import os\n\n\n@cached\ndef wanted_here(x):\n    return x\n")
    root.save("job.cpp", "class Job {\npublic:\n  Job() {}\n  int run_all_now() { return 1; }\n};\n")
    root.save("use.py", "# text\nfrom a import wanted_here\n\nprint(wanted_here(MAX_RETRIES))\n")
    root.save("Cart.vue", "<template/>\n<script>\nfunction addToCart(id) { return id }\n</script>\n")
    root.save("counter.hx", "class Counter {\n  int bump() => 1;\n}\n")
    yield root
    root.close()


async def found(indexed: Indexed, name: str, *, references: bool = False) -> SymbolAnswer:
    return await Searcher({}, mask_secrets=True).symbol([indexed], name, references=references)


async def lines(indexed: Indexed, name: str) -> list[str]:
    answer = await found(indexed, name)
    return [
        f"{one.hit.chunk.path.decode()}:{one.definition.line}:{one.definition.column} {one.definition.kind} {one.name}"
        for one in answer.definitions
    ]


async def test_a_definition_is_on_the_line_and_column_of_its_name(indexed: Indexed) -> None:
    assert await lines(indexed, "wanted_here") == ["a.py:5:5 function wanted_here"]
    (definition,) = (await found(indexed, "wanted_here")).definitions
    assert definition.definition.signature == "def wanted_here(x)"


async def test_every_definition_in_a_chunk_is_one_of_its_own(indexed: Indexed) -> None:
    assert await lines(indexed, "Job") == ["job.cpp:1:7 class Job", "job.cpp:3:3 constructor Job::Job"]


async def test_lines_are_those_on_the_disk(indexed: Indexed) -> None:
    path = indexed.directory / "a.py"
    path.write_text("# new\n" + path.read_text())
    assert await lines(indexed, "wanted_here") == ["a.py:6:5 function wanted_here"]


@pytest.mark.parametrize(
    ("name", "match", "names"),
    [
        ("WANTED_HERE", Match.EXACT, {"wanted_here"}),
        ("Job::run_all_now", Match.EXACT, {"run_all_now"}),
        ("work::Job", Match.LAST_PART, {"Job"}),
        ("wanted", Match.PREFIX, {"wanted_here"}),
        ("all_now", Match.PART, {"run_all_now"}),
        ("wanted_heer", Match.SPELLING, {"wanted_here"}),
        ("Job::run_a", Match.PREFIX, {"run_all_now"}),
        ("Job.all_now", Match.PART, {"run_all_now"}),
        ("Job#run_all_nwo", Match.SPELLING, {"run_all_now"}),
    ],
)
async def test_the_closest_names_are_found(indexed: Indexed, name: str, match: Match, names: set[str]) -> None:
    answer = await found(indexed, name)
    assert (answer.match, {one.definition.name for one in answer.definitions}) == (match, names)


async def test_a_name_without_a_definition_is_said_to_occur(indexed: Indexed) -> None:
    answer = await found(indexed, "MAX_RETRIES")
    assert not answer.definitions
    assert answer.notes == ["MAX_RETRIES occurs in use.py:4"]


async def test_a_language_without_known_symbols_is_named(indexed: Indexed) -> None:
    answer = await found(indexed, "bump")
    assert answer.notes == ["bump occurs in counter.hx:2", "no symbols are known for haxe"]


async def test_script_in_a_document_is_known(indexed: Indexed) -> None:
    assert await lines(indexed, "addToCart") == ["Cart.vue:3:10 function addToCart"]


async def test_definitions_in_documents_come_after_those_in_code(indexed: Indexed) -> None:
    indexed.save("README.md", "# Job\n\n```python\nclass job:\n    pass\n```\n")
    assert await lines(indexed, "job") == [
        "job.cpp:1:7 class Job",
        "job.cpp:3:3 constructor Job::Job",
        "README.md:4:7 class job",
        "README.md:1:3 section Job",
    ]
    answer = await Searcher({}, mask_secrets=True).symbol([indexed], "job", limit=1)
    assert [one.hit.chunk.path for one in answer.definitions] == [b"job.cpp"]


async def test_functions_come_before_values_and_files_on_which_much_relies_come_first(indexed: Indexed) -> None:
    indexed.save("field.h", "struct options {\n  int (*pick)(int);\n};\n")
    for path in ("one.c", "three.c", "two.c"):
        indexed.save(path, "int pick(int n)\n{\n  return n;\n}\n")
    assert [line.split(":")[0] for line in await lines(indexed, "pick")] == ["one.c", "three.c", "two.c", "field.h"]
    with indexed.pin_snapshot() as snapshot:
        assert snapshot is not None
        generation, relied_on = (
            snapshot.generation,
            [snapshot.catalog.file(b"two.c"), snapshot.catalog.file(b"field.h")],
        )
    ids = np.array(sorted(file.file_id for file in relied_on if file is not None))
    ranks = np.full(len(ids), 0.5, dtype=np.float32)
    await indexed.index.set_centrality(Centrality(generation, ids, ranks))
    assert [line.split(":")[0] for line in await lines(indexed, "pick")] == ["two.c", "one.c", "three.c", "field.h"]
    assert [line.split(":")[0] for line in await lines(indexed, "PICK")] == ["two.c", "one.c", "three.c", "field.h"]


async def test_definitions_in_source_come_before_those_in_tests_and_data(indexed: Indexed) -> None:
    for path in ("examples/use.py", "tests/test_a.py", "zz.py"):
        indexed.save(path, "class Basket: pass\n")
    indexed.save("a.toml", "[Basket]\n")
    answer = await found(indexed, "Basket")
    paths = [one.hit.chunk.path.decode() for one in answer.definitions]
    assert paths == ["zz.py", "examples/use.py", "tests/test_a.py", "a.toml"]


async def test_documents_of_one_root_come_after_code_of_another(indexed: Indexed, tmp_path: Path) -> None:
    other = Indexed(tmp_path / "other")
    other.save("README.md", "```python\ndef wanted_here(): pass\n```\n")
    answer = await Searcher({}, mask_secrets=True).symbol([other, indexed], "wanted_here")
    assert [one.hit.chunk.path for one in answer.definitions] == [b"a.py", b"README.md"]
    other.close()


async def test_nothing_is_said_about_a_name_that_does_not_occur(indexed: Indexed) -> None:
    answer = await found(indexed, "zzz_unheard_of")
    assert (answer.definitions, answer.notes) == ([], [])


async def test_uses_of_a_name_without_a_definition_are_shown_beside_similar_ones(indexed: Indexed) -> None:
    indexed.save("other.py", "print(wanted_her)\n")
    answer = await found(indexed, "wanted_her", references=True)
    assert answer.match is Match.PREFIX
    assert [hit.chunk.path for hit in answer.references] == [b"other.py"]


async def test_uses_are_shown_at_their_line(indexed: Indexed) -> None:
    answer = await found(indexed, "wanted_here", references=True)
    assert [(hit.chunk.path, hit.best_line) for hit in answer.references] == [(b"use.py", 2)]


@pytest.mark.parametrize(
    ("filters", "places"),
    [
        ({"kind": "function"}, ["a.py"]),
        ({"kind": "!function"}, []),
        ({"language": "py"}, ["a.py"]),
        ({"language": "!python"}, []),
        ({"paths": ["*.py"]}, ["a.py"]),
        ({"paths": ["!*.py"]}, []),
    ],
)
async def test_definitions_are_filtered(indexed: Indexed, filters: dict[str, Any], places: list[str]) -> None:
    answer = await Searcher({}, mask_secrets=True).symbol([indexed], "wanted_here", filters=filters_of(**filters))
    assert [one.hit.chunk.path.decode() for one in answer.definitions] == places
    left_out = ["the filters leave out 1 definition of wanted_here"]
    assert answer.notes[:1] == ([] if places else left_out)


async def test_a_limit_says_how_many_more_there_are(indexed: Indexed) -> None:
    answer = await Searcher({}, mask_secrets=True).symbol([indexed], "Job", limit=1)
    assert [one.definition.kind for one in answer.definitions] == ["class"]
    assert answer.notes == ["1 more; raise the limit"]


async def test_a_secret_in_a_signature_is_masked(indexed: Indexed) -> None:
    token = "ghp_" + "a1B2c3D4e" * 4
    indexed.save("login.py", f'def login(token="{token}"):\n    pass\n')
    (one,) = (await found(indexed, "login")).definitions
    assert one.definition.signature == f'def login(token="{"*" * len(token)}")'


async def test_a_name_may_begin_with_the_path_of_its_file(indexed: Indexed) -> None:
    indexed.save("pkg/runners.py", "def go_now(): ...\n\n\nclass A:\n    def go_now(self): ...\n")
    for name in ("pkg.runners.go_now", "runners.go_now", "pkg.go_now"):
        assert (await found(indexed, name)).match is Match.EXACT
        assert await lines(indexed, name) == ["pkg/runners.py:1:5 function go_now"]
    assert (await found(indexed, "other.go_now")).match is Match.LAST_PART


async def test_members_of_a_companion_object_and_extensions_are_found_by_their_type(indexed: Indexed) -> None:
    text = "class Box {\n  companion object {\n    fun find() = 1\n  }\n}\n\nfun List<Int>.find() = 2\n"
    indexed.save("P.kt", f"package p\n\n{text}")
    assert await lines(indexed, "Box.find") == ["P.kt:5:9 method p.Box.Companion.find"]
    assert await lines(indexed, "List.find") == ["P.kt:9:15 function p.find"]
