"""Names in queries over real stores: what defines them comes first, whatever the retrievers found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.search.query import parse
from codeindexd.search.searcher import Searcher
from search.indexed_root import Indexed

pytestmark = pytest.mark.anyio


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Indexed]:
    indexed = Indexed(tmp_path)
    yield indexed
    indexed.close()


async def found(root: Indexed, text: str) -> list[tuple[str, str]]:
    answer = await Searcher({}, mask_secrets=True).search([root], parse(text), 10)
    return [(hit.chunk.path.decode(), hit.symbol) for hit in answer.hits]


@pytest.mark.parametrize("text", ["Registry", "where is the ItemRegistry kept"])
async def test_a_definition_is_found_behind_any_number_of_uses(root: Indexed, text: str) -> None:
    filler = "\n".join(f"    alpha_{n} = beta_{n}({n})" for n in range(30))
    for name in ("Registry", "ItemRegistry"):
        root.save(f"{name}_there.py", f"class {name}:\n{filler}\n")
    uses = "    Registry, ItemRegistry, Registry, ItemRegistry\n" * 20
    root.save("uses.py", "\n\n".join(f"def use_{number}():\n{uses}" for number in range(200)))
    name = next(word for word in text.split() if "Registry" in word)
    assert (await found(root, text))[0] == (f"{name}_there.py", name)


async def test_the_case_that_was_typed_comes_first(root: Indexed) -> None:
    root.save("a.go", "package a\n\nfunc command() int {\n\treturn command_line\n}\n")
    root.save("b.go", "package a\n\ntype Command struct {\n\tname string\n}\n")
    assert (await found(root, "Command"))[0] == ("b.go", "Command")
    assert (await found(root, "command"))[0] == ("a.go", "command")


async def test_a_type_comes_before_its_constructor(root: Indexed) -> None:
    body = "\n".join(f"    int field{n} = {n};" for n in range(200))
    root.save(
        "Session.java",
        f"public class Session {{\n{body}\n\n    public Session(Session session) {{\n        Session.open(session);\n"
        "    }\n}\n",
    )
    first = (await found(root, "Session"))[0]
    assert first == ("Session.java", "Session")


async def test_a_qualified_name_in_a_sentence_is_a_definition_that_is_asked_for(root: Indexed) -> None:
    for name in ("Alpha", "Beta", "Gamma"):
        root.save(f"{name}.rs", f"impl {name} {{\n    fn open(&self) -> u32 {{\n        1\n    }}\n}}\n")
    assert (await found(root, "what does Beta::open return"))[0][0] == "Beta.rs"


async def test_a_common_name_counts_less_than_a_rare_one(root: Indexed) -> None:
    uses = "    return web_socket(web_socket(web_socket))\n" * 20
    root.save("many.py", "\n\n".join(f"def f{number}():\n{uses}" for number in range(60)))
    root.save("rare.py", "def g():\n    return web_socket(ping_frame)\n")
    assert (await found(root, "web_socket or ping_frame"))[0][0] == "rare.py"


async def test_a_name_in_code_comes_before_keys_of_data(root: Indexed) -> None:
    for number in range(3):
        root.save(f"config/{number}.json", '{\n  "timeout": 30,\n  "other": {"timeout": "timeout timeout"}\n}\n')
    root.save("client.go", "package client\n\nfunc timeout() int {\n\treturn settings.seconds\n}\n")
    assert (await found(root, "timeout"))[0][0] == "client.go"


async def test_a_part_of_a_name_finds_the_shortest_name_that_begins_with_it(root: Indexed) -> None:
    for number in range(120):  # more files than are searched for the letters
        root.save(f"construction_{number:03}.go", f"package a\n\n// Reconstructing {number}: a reconstruction.\n")
    root.save("z/longer.go", "package z\n\ntype ConstructorWithOptions struct {\n\tn int\n}\n")
    root.save("z/pool.go", "package z\n\n" + "// Pools.\n" * 300 + "type Constructor func() error\n")
    root.save("z/lower.go", "package z\n\nfunc construct() {\n}\n")
    names = [symbol for _, symbol in await found(root, "Construc")]
    assert names[:3] == ["Constructor", "construct", "ConstructorWithOptions"]
    assert [symbol for _, symbol in await found(root, "construc")][:2] == ["construct", "Constructor"]


@pytest.fixture
def pools(root: Indexed) -> Indexed:
    filler = "".join(f"func other{n}(a int) int {{\n\treturn a * {n}\n}}\n\n" for n in range(9))
    root.save("parts.go", f"package p\n\n{filler}type IdlePool struct {{\n\tn int\n}}\n")
    for number in range(6):
        root.save(
            f"pool_{number}.go", f"package p\n\n// How an idle pool works: the idle pool.\nfunc pool{number}() {{\n}}\n"
        )
    return root


@pytest.mark.parametrize("text", ["how does the idle pool work", "what uses idle pools", "Where is an IDLE POOL kept?"])
async def test_the_words_of_a_type_in_a_question_name_it(pools: Indexed, text: str) -> None:
    answer = await Searcher({}, mask_secrets=True).search([pools], parse(text), 10)
    assert {hit.symbol for hit in answer.hits if "exact" in hit.parts} == {"IdlePool"}


@pytest.mark.parametrize(
    "text",
    [
        "how do I use the idle pool",
        "is a pool idle",
        "idle or pooled connections",
        "how does the idle pool work -path:parts.go",
    ],
)
async def test_other_words_name_no_type(pools: Indexed, text: str) -> None:
    answer = await Searcher({}, mask_secrets=True).search([pools], parse(text), 10)
    assert answer.hits
    assert all("exact" not in hit.parts for hit in answer.hits)
