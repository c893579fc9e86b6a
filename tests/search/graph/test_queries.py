"""Questions about the code graph, over real stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from codeindexd.analysis.chunking.indexed_text import indexed_text
from codeindexd.errors import NotIndexedError, UsageError
from codeindexd.search.graph import code_map
from codeindexd.search.graph.calls import CallNode
from codeindexd.search.graph.modules import ImportedModule, Match
from codeindexd.search.graph.queries import CallsAnswer, GraphSearcher, Place, RefsAnswer
from codeindexd.search.graph.sources import SourceFile
from codeindexd.storage.catalog.centrality import Centrality
from codeindexd.types import RootState
from search.indexed_root import Indexed

pytestmark = pytest.mark.anyio

FILES = {
    "shop/__init__.py": "from shop.cart import Cart\n",
    "shop/cart.py": (
        "from shop.money import round_up\n\n\n"
        "class Cart:\n"
        "    def __init__(self):\n        self.items = []\n\n"
        "    def total(self):\n        return round_up(self.raw_total())\n\n"
        "    def raw_total(self):\n        return sum(self.items)\n"
    ),
    "shop/money.py": "def round_up(amount):\n    return amount\n",
    "shop/order.py": (
        "from shop import Cart\nimport shop.money as money\n\n\n"
        "class BigCart(Cart):\n    def total(self):\n        return super().total()\n\n\n"
        "def checkout():\n    cart = Cart()\n    money.round_up(1)\n    return cart.total()\n"
    ),
    "other/money.py": "def round_up(amount):\n    return -amount\n\n\ndef use():\n    return round_up(1)\n",
    "tests/test_order.py": "from shop.order import checkout\n\n\ndef test_checkout():\n    assert checkout() == 1\n",
    "notes.md": "# Notes\n\nround_up is documented here.\n",
}


@pytest.fixture
async def indexed(tmp_path: Path) -> AsyncIterator[Indexed]:
    root = Indexed(tmp_path)
    for name, text in FILES.items():
        root.save(name, text)
    yield root
    root.close()


SEARCHER = GraphSearcher(mask_secrets=True)


def place(root: Indexed, path: str, line: int | None = None) -> Place:
    return Place(root, path.encode(), line)


def uses(answer: RefsAnswer) -> set[str]:
    return {
        f"{one.use.file.path.decode()}:{one.line.number} {one.use.reference.kind.name} {one.use.confidence.name}"
        for one in answer.uses
    }


async def test_references_follow_imports_and_not_only_names(indexed: Indexed) -> None:
    answer = await SEARCHER.refs([indexed], place(indexed, "shop/money.py", 1), 100)
    assert uses(answer) == {
        "shop/cart.py:1 IMPORT IMPORT",
        "shop/cart.py:9 CALL IMPORT",
        "shop/order.py:12 CALL IMPORT",
    }


async def test_a_name_with_two_definitions_has_the_references_of_both(indexed: Indexed) -> None:
    answer = await SEARCHER.refs([indexed], "round_up", 100)
    assert [one.target.file.path for one in answer.targets] == [b"other/money.py", b"shop/money.py"]
    assert answer.total == 4
    assert "other/money.py:6 CALL EXACT" in uses(answer)


async def test_a_declaration_leads_to_the_definition(indexed: Indexed) -> None:
    indexed.save("api/open.h", "int shut(int fd);\nint elsewhere(void);\n")
    indexed.save("lib/shut.c", "int shut(int fd)\n{\n  return elsewhere();\n}\n")
    indexed.save("app/main.c", '#include "api/open.h"\nint run(void)\n{\n  return shut(1);\n}\n')
    by_name = await SEARCHER.refs([indexed], "shut", 100)
    at_line = await SEARCHER.refs([indexed], place(indexed, "api/open.h", 1), 100)
    for answer in (by_name, at_line):
        found = [(one.target.file.path, one.target.definition.kind) for one in answer.targets]
        assert found[0] == (b"lib/shut.c", "function")
        assert found[-1] == (b"api/open.h", "declaration")
        assert uses(answer) == {"app/main.c:4 CALL NAME"}
    answer = await SEARCHER.refs([indexed], "elsewhere", 100)
    assert [one.target.definition.kind for one in answer.targets] == ["declaration"]
    assert {one.split(" ")[0] for one in uses(answer)} == {"lib/shut.c:3"}
    callers = await SEARCHER.callers([indexed], "elsewhere", 1, 10)
    assert [node.target.definition.name for node in callers.trees[0][1].nodes if node.target] == ["shut"]


async def test_names_pass_through_modules_that_import_them(indexed: Indexed) -> None:
    indexed.save("ts/impl.ts", "export function inner() {}\nexport default function plain() {}\n")
    indexed.save(
        "ts/barrel.ts", "export * from './impl';\nexport { inner as outer, default as other } from './impl';\n"
    )
    indexed.save("ts/user.ts", "import { inner, outer, other as last } from './barrel';\ninner();\nouter();\nlast();\n")
    indexed.save("ts/own.ts", "function here() {}\nexport { here as there };\n")
    indexed.save("ts/away.ts", "import { there } from './own';\nthere();\n")
    indexed.save("py/_impl.py", "def work(): pass\n")
    indexed.save("py/compat.py", "from ._impl import work as labour\nfrom ._impl import work\n")
    indexed.save("py/use.py", "from .compat import work, labour\nwork()\nlabour()\n")
    assert uses(await SEARCHER.refs([indexed], "inner", 100)) >= {
        "ts/user.ts:1 IMPORT IMPORT",
        "ts/user.ts:2 CALL IMPORT",
        "ts/user.ts:3 CALL IMPORT",
    }
    assert uses(await SEARCHER.refs([indexed], "plain", 100)) >= {
        "ts/barrel.ts:2 IMPORT IMPORT",
        "ts/user.ts:4 CALL IMPORT",
    }
    assert uses(await SEARCHER.refs([indexed], "here", 100)) >= {
        "ts/away.ts:1 IMPORT IMPORT",
        "ts/away.ts:2 CALL IMPORT",
    }
    assert uses(await SEARCHER.refs([indexed], "work", 100)) >= {"py/use.py:2 CALL IMPORT", "py/use.py:3 CALL IMPORT"}


async def test_a_column_tells_definitions_on_one_line_apart(indexed: Indexed) -> None:
    indexed.save("c/one.c", "int first, second;\nint f(void) { return first; }\nint g(void) { return second; }\n")
    at = place(indexed, "c/one.c", 1)
    assert uses(await SEARCHER.refs([indexed], at, 100)) == {"c/one.c:2 USE EXACT", "c/one.c:3 USE EXACT"}
    second = Place(indexed, b"c/one.c", 1, 12)
    assert uses(await SEARCHER.refs([indexed], second, 100)) == {"c/one.c:3 USE EXACT"}
    nowhere = Place(indexed, b"c/one.c", 1, 3)
    assert len((await SEARCHER.refs([indexed], nowhere, 100)).targets) == 2


async def test_the_nearest_references_in_source_come_first(indexed: Indexed) -> None:
    for path in ("0/far.c", "m/tests/test_a.c", "m/near.c", "z/far.c"):
        indexed.save(path, "int go_(void) { return very_near(); }\n")
    indexed.save("m/def.c", "int very_near(void) { return 1; }\nint own(void) { return very_near(); }\n")
    answer = await SEARCHER.refs([indexed], "very_near", 100)
    assert [one.use.file.path for one in answer.uses] == [
        b"m/def.c", b"m/near.c", b"0/far.c", b"z/far.c", b"m/tests/test_a.c",
    ]  # fmt: skip


async def test_types_of_go_satisfy_interfaces(indexed: Indexed) -> None:
    indexed.save("go/a.go", "package p\ntype Shape interface {\n\tArea() int\n\tName() string\n}\n")
    indexed.save(
        "go/b.go", "package p\nfunc (r *Rect) Area() int { return 1 }\nfunc (r *Rect) Name() string { return 1 }\n"
    )
    indexed.save("go/c.go", "package q\nfunc f() {\n\tg().Area()\n}\n")
    assert uses(await SEARCHER.refs([indexed], "Rect.Area", 100)) == {"go/c.go:3 CALL NAME"}
    indexed.save("go/d.go", "package p\nfunc (r *Half) Area() int { return 1 }\n")
    assert uses(await SEARCHER.refs([indexed], "Rect.Area", 100)) == set()


async def test_members_of_a_literal_are_those_of_its_type(indexed: Indexed) -> None:
    indexed.save("c/a.h", "struct a {\n\tint (*open)(void);\n};\nstruct b {\n\tint open;\n};\n")
    indexed.save("c/a.c", "struct a x = {\n\t.open = f,\n};\nstruct b y = {\n\t.open = 1,\n};\n")
    assert {one.split(" ")[0] for one in uses(await SEARCHER.refs([indexed], "a.open", 100))} == {"c/a.c:2"}
    assert {one.split(" ")[0] for one in uses(await SEARCHER.refs([indexed], "b.open", 100))} == {"c/a.c:5"}


async def test_samples_in_documents_are_no_part_of_the_graph(indexed: Indexed) -> None:
    indexed.save("README.md", "# Use\n\n```python\ndef round_up(x): pass\n\ndef only_here(): pass\n```\n")
    answer = await SEARCHER.refs([indexed], "round_up", 100)
    assert [one.target.file.path for one in answer.targets] == [b"other/money.py", b"shop/money.py"]
    assert not answer.samples
    assert not (await SEARCHER.refs([indexed], "only_here", 100)).targets
    impact = await SEARCHER.impact([indexed], [place(indexed, "README.md")], 2, 100)
    assert [found.changed for _, found, _ in impact.impacts] == [[]]
    mapped = await SEARCHER.map(place(indexed, ""), 1000)
    assert mapped.map is not None
    assert "README.md" not in mapped.map.text
    outline = await SEARCHER.outline(place(indexed, "README.md"))
    assert outline.file is not None
    assert [one.name for one in outline.file.definitions] == ["Use", "round_up", "only_here"]


async def test_a_name_that_only_samples_define_is_not_called_unknown(indexed: Indexed) -> None:
    indexed.save("README.md", "```python\ndef only_here(): pass\n```\n")
    refs = await SEARCHER.refs([indexed], "only_here", 100)
    callers = await SEARCHER.callers([indexed], "only_here", 1, 100)
    impact = await SEARCHER.impact([indexed], ["only_here"], 2, 100)
    for answer in (refs, callers, impact):
        assert (len(answer.samples), answer.targets, answer.similar) == (1, [], [])
        assert "only code samples in documents define only_here" in answer.notes[0]
        assert answer.notes[0].endswith(": README.md:2")


async def test_a_reference_shows_its_line_and_the_definition_around_it(indexed: Indexed) -> None:
    answer = await SEARCHER.refs([indexed], place(indexed, "shop/money.py", 1), 100)
    (use,) = [one for one in answer.uses if one.use.file.path == b"shop/order.py"]
    assert use.line.text == "money.round_up(1)"
    assert use.line.column == 11
    assert use.use.user is not None
    assert use.use.user.definition.qualified == "checkout"


async def test_several_references_on_a_line_have_different_columns(indexed: Indexed) -> None:
    indexed.save("shop/twice.py", "from shop.money import round_up\n\n\ntotal = round_up(1, key=round_up)\n")
    answer = await SEARCHER.refs([indexed], "shop.money.round_up", 100)
    shown = [one.line for one in answer.uses if one.use.file.path == b"shop/twice.py"]
    assert [(line.number, line.column) for line in shown] == [(1, 24), (4, 9), (4, 25)]
    found = SourceFile(indexed_text(b"f(f(1))\n"), is_current=True)
    columns = [line.column for before in range(3) if (line := found.line(1, "f", mask_secrets=True, before=before))]
    assert columns == [1, 3, 3]


async def test_a_limit_leaves_the_total(indexed: Indexed) -> None:
    answer = await SEARCHER.refs([indexed], "round_up", 1)
    assert (len(answer.uses), answer.total, answer.files) == (1, 4, 3)


async def test_a_method_has_the_references_of_its_class_and_its_subclasses(indexed: Indexed) -> None:
    answer = await SEARCHER.refs([indexed], "Cart.total", 100)
    assert uses(answer) == {"shop/order.py:7 CALL IMPORT", "shop/order.py:13 CALL EXACT"}


async def test_self_means_the_class_around_it(indexed: Indexed) -> None:
    answer = await SEARCHER.refs([indexed], "raw_total", 100)
    assert uses(answer) == {"shop/cart.py:9 CALL EXACT"}


async def test_a_package_that_exports_a_name_leads_to_it(indexed: Indexed) -> None:
    answer = await SEARCHER.refs([indexed], "Cart", 100)
    assert "shop/order.py:5 INHERIT IMPORT" in uses(answer)
    assert "shop/order.py:11 CALL IMPORT" in uses(answer)


async def test_an_unknown_name_has_similar_ones(indexed: Indexed) -> None:
    answer = await SEARCHER.refs([indexed], "chekout", 100)
    assert (answer.uses, answer.similar) == ([], ["checkout"])


async def test_a_name_of_a_library_is_found_by_name(indexed: Indexed) -> None:
    answer = await SEARCHER.refs([indexed], "sum", 100)
    assert uses(answer) == {"shop/cart.py:12 CALL NAME"}
    assert answer.notes == ["no definition of sum is known; these places have the same name"]
    indexed.save("b.py", "def f(basket):\n    return basket.total()\n")
    answer = await SEARCHER.refs([indexed], "basket.total", 100)
    assert answer.notes == ["no definition of basket.total is known; 2 of total are; these places have the same name"]


async def test_lines_are_those_on_the_disk(indexed: Indexed) -> None:
    path = indexed.directory / "shop/order.py"
    path.write_text("# new\n" + path.read_text())
    answer = await SEARCHER.refs([indexed], place(indexed, "shop/money.py", 1), 100)
    assert "shop/order.py:13 CALL IMPORT" in uses(answer)
    assert indexed.hints == {b"shop/order.py"}


async def test_a_line_that_is_gone_is_not_shown(indexed: Indexed) -> None:
    (indexed.directory / "shop/order.py").write_text("nothing\n")
    answer = await SEARCHER.refs([indexed], place(indexed, "shop/money.py", 1), 100)
    assert {one.use.file.path for one in answer.uses} == {b"shop/cart.py"}
    assert (answer.total, answer.files) == (len(answer.uses), 1)
    (indexed.directory / "shop/cart.py").write_text("# new\n" + (indexed.directory / "shop/cart.py").read_text())
    impact = await SEARCHER.impact([indexed], [place(indexed, "shop/money.py", 1)], 1, 100)
    [(_, found, _)] = impact.impacts
    assert {(one.file.path, one.line) for one in found.reached} == {(b"shop/cart.py", 2), (b"shop/cart.py", 10)}


async def test_what_a_plain_name_means_is_decided_once_for_a_file(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    matched: list[bytes] = []

    def counted(_module: ImportedModule, path: bytes) -> Match:
        matched.append(path)
        return Match.NONE

    monkeypatch.setattr(ImportedModule, "match", counted)
    for number in range(20):
        indexed.save(f"lib/{number}.c", "int get(void)\n{\n  return 1;\n}\n")
    includes = "".join(f'#include "{number}.h"\n' for number in range(20))
    calls = "  get();\n" * 500
    indexed.save("src/main.c", f"{includes}int main(void) {{\n{calls}  return 0;\n}}\n")
    answer = await SEARCHER.refs([indexed], "get", 100, possible=True)
    assert answer.total > 400
    assert len(matched) <= 20 * 20


async def test_a_place_without_a_definition_is_an_error(indexed: Indexed) -> None:
    with pytest.raises(UsageError, match="no definition at line 1"):
        await SEARCHER.refs([indexed], place(indexed, "shop/cart.py", 1), 100)
    with pytest.raises(NotIndexedError, match=r"missing\.py is not indexed"):
        await SEARCHER.refs([indexed], place(indexed, "missing.py", 1), 100)


async def test_a_language_without_references_is_noted(indexed: Indexed) -> None:
    answer = await SEARCHER.outline(place(indexed, "notes.md"))
    assert answer.notes == ["no references are known for markdown"]


def shape(node: CallNode) -> tuple[str, list[object]]:
    name = node.target.definition.qualified if node.target is not None else ""
    return name, [shape(one) for one in node.below]


def shapes(answer: CallsAnswer) -> list[tuple[str, list[object]]]:
    return [shape(node) for _, tree in answer.trees for node in tree.nodes]


async def test_callers_form_a_tree(indexed: Indexed) -> None:
    answer = await SEARCHER.callers([indexed], place(indexed, "shop/money.py", 1), 3, 100)
    tree = dict(shapes(answer))
    assert tree["checkout"] == [("test_checkout", [])]
    assert tree["Cart.total"] == [("checkout", []), ("BigCart.total", [])]  # what calls checkout is shown once
    (repeated,) = [below for _, one in answer.trees for node in one.nodes for below in node.below if below.is_repeated]
    assert repeated.target is not None
    assert repeated.target.definition.qualified == "checkout"


async def test_the_constructor_is_called_by_the_name_of_its_class(indexed: Indexed) -> None:
    answer = await SEARCHER.callers([indexed], "Cart.__init__", 1, 100)
    assert [name for name, _ in shapes(answer)] == ["checkout"]


async def test_callees_are_resolved(indexed: Indexed) -> None:
    answer = await SEARCHER.callees([indexed], "checkout", 2, 100)
    assert shapes(answer) == [
        ("Cart.total", [("Cart.raw_total", []), ("round_up", [])]),
        ("Cart", [("Cart.raw_total", []), ("round_up", [])]),
        ("round_up", []),
    ]


async def test_names_that_are_not_defined_here_are_listed(indexed: Indexed) -> None:
    answer = await SEARCHER.callees([indexed], "raw_total", 1, 100)
    assert [tree.unresolved for _, tree in answer.trees] == [["sum"]]


async def test_impact_reaches_callers_subclasses_and_tests(indexed: Indexed) -> None:
    answer = await SEARCHER.impact([indexed], ["Cart.total"], 4, 100)
    ((_, impact, _),) = answer.impacts
    reached = {(one.target.definition.qualified if one.target else "", one.distance) for one in impact.reached}
    assert {("BigCart.total", 1), ("checkout", 1), ("test_checkout", 2)} <= reached
    assert impact.tests == [b"tests/test_order.py"]
    assert impact.stopped == ""


async def reached_by(indexed: Indexed, asked: str | Place, limit: int = 100) -> list[tuple[str, int, str]]:
    ((_, impact, _),) = (await SEARCHER.impact([indexed], [asked], 4, limit)).impacts
    return [
        (f"{one.file.path.decode()}:{one.line}", one.distance, one.confidence.name.lower()) for one in impact.reached
    ]


async def test_impact_follows_other_names_and_tables_of_functions(indexed: Indexed) -> None:
    indexed.save("lib/io.py", "def _write(x): ...\n\n\nwrite = _write\nHANDLERS = {\n    'w': _write,\n}\n")
    indexed.save(
        "lib/use.py",
        "from lib.io import HANDLERS, write\n\n\ndef f():\n    write(1)\n\n\ndef g():\n    HANDLERS['w'](1)\n",
    )
    assert {("lib/io.py:4", 1, "exact"), ("lib/io.py:6", 1, "exact"), ("lib/use.py:5", 2, "import")} <= set(
        await reached_by(indexed, "_write")
    )
    assert ("lib/use.py:9", 2, "import") in await reached_by(indexed, place(indexed, "lib/io.py", 1))
    assert ("lib/use.py:9", 1, "import") in await reached_by(indexed, place(indexed, "lib/io.py", 6))


async def test_impact_shows_callers_of_what_is_overridden_and_who_makes_the_type(indexed: Indexed) -> None:
    indexed.save("h/base.py", "class Base:\n    def handle(self):\n        self.write()\n\n    def write(self): ...\n")
    indexed.save("h/file.py", "from h.base import Base\n\n\nclass File(Base):\n    def write(self): ...\n")
    indexed.save(
        "h/other.py", "from h.base import Base\n\n\nclass Other(Base):\n    def go(self):\n        self.write()\n"
    )
    indexed.save("tests/test_file.py", "from h.file import File\n\n\ndef test():\n    File().handle()\n")
    assert await reached_by(indexed, "File.write") == [("h/base.py:3", 1, "name"), ("tests/test_file.py:5", 2, "name")]


async def test_who_makes_a_type_is_shown_if_nothing_else_uses_a_member(indexed: Indexed) -> None:
    indexed.save("h/a.py", "class Alone:\n    def __enter__(self): ...\n")
    indexed.save("tests/test_a.py", "from h.a import Alone\n\n\ndef test():\n    with Alone():\n        pass\n")
    assert await reached_by(indexed, "Alone.__enter__") == [("tests/test_a.py:5", 2, "name")]


async def test_a_limit_leaves_a_place_in_every_file(indexed: Indexed) -> None:
    calls = "".join(f"def f{number}():\n    hub()\n\n\n" for number in range(5))
    indexed.save("lib/hub.py", "def hub(): ...\n")
    for name in ("a", "b", "c"):
        indexed.save(f"lib/{name}.py", f"from lib.hub import hub\n\n\n{calls}")
    indexed.save("lib/most.py", f"from lib.hub import hub\n\n\n{calls}def g():\n    hub()\n")
    found = await reached_by(indexed, "hub", 5)
    assert [where.partition(":")[0] for where, _, _ in found] == [
        "lib/most.py", "lib/most.py", "lib/a.py", "lib/b.py", "lib/c.py",
    ]  # fmt: skip


async def test_packages_are_imported_by_their_published_names(indexed: Indexed) -> None:
    indexed.save("packages/core/package.json", '{"name": "@shop/core", "dependencies": {"kit": "*"}}')
    indexed.save("packages/core/src/cart.ts", "export function open() {}\n")
    indexed.save("kit/open.ts", "export function open() {}\n")
    indexed.save("apps/web.ts", 'import { open } from "@shop/core"\nopen()\n')
    indexed.save("apps/kit.ts", 'import { open } from "kit"\nopen()\n')
    found = uses(await SEARCHER.refs([indexed], place(indexed, "packages/core/src/cart.ts", 1), 100))
    assert found == {"apps/web.ts:1 IMPORT IMPORT", "apps/web.ts:2 CALL IMPORT"}
    assert not uses(await SEARCHER.refs([indexed], place(indexed, "kit/open.ts", 1), 100))


async def test_a_changed_manifest_is_read_again(indexed: Indexed) -> None:
    indexed.save("core/src/cart.ts", "export function open() {}\n")
    indexed.save("apps/web.ts", 'import { open } from "@shop/core"\nopen()\n')
    indexed.save("core/package.json", '{"name": "@shop/core"}')
    assert len(uses(await SEARCHER.refs([indexed], place(indexed, "core/src/cart.ts", 1), 100))) == 2
    indexed.save("core/package.json", '{"name": "x", "dependencies": {"@shop/core": "*"}}')
    assert not uses(await SEARCHER.refs([indexed], place(indexed, "core/src/cart.ts", 1), 100))


async def test_a_path_of_the_standard_library_of_rust_means_nothing_of_the_root(indexed: Indexed) -> None:
    indexed.save("src/mem.rs", "pub fn swap_all() {}\n")
    indexed.save("src/use.rs", "fn f() {\n    std::mem::swap_all();\n}\nfn g() {\n    crate::mem::swap_all();\n}\n")
    assert uses(await SEARCHER.refs([indexed], "swap_all", 100)) == {"src/use.rs:5 CALL IMPORT"}


async def test_all_members_of_a_type_can_be_imported(indexed: Indexed) -> None:
    inner = "  public static class Inner {}\n  public static int twice(int x) { return x; }\n"
    indexed.save("src/shop/Outer.java", f"package shop;\npublic class Outer {{\n{inner}}}\n")
    indexed.save("src/old/Outer.java", f"package old;\npublic class Outer {{\n{inner}}}\n")
    use = "class A {\n  Inner f = null;\n  int g() { return twice(1); }\n}\n"
    indexed.save("app/A.java", f"package app;\nimport shop.Outer.*;\nimport static shop.Outer.*;\n{use}")
    indexed.save("app/B.java", "package app;\nimport shop.Outer.Inner;\nclass B {\n  Inner f = null;\n}\n")
    assert {"app/A.java:5 USE IMPORT", "app/B.java:4 USE IMPORT"} <= uses(
        await SEARCHER.refs([indexed], place(indexed, "src/shop/Outer.java", 3), 100)
    )
    assert "app/A.java:6 CALL IMPORT" in uses(
        await SEARCHER.refs([indexed], place(indexed, "src/shop/Outer.java", 4), 100)
    )
    assert not uses(await SEARCHER.refs([indexed], place(indexed, "src/old/Outer.java", 4), 100))


async def test_a_call_in_rust_means_no_module(indexed: Indexed) -> None:
    indexed.save("Cargo.toml", '[package]\nname = "disk"\n')
    indexed.save("src/fs/mod.rs", "mod write_all;\npub use self::write_all::write_all;\n")
    indexed.save("src/fs/write_all.rs", "pub fn write_all() {}\n")
    indexed.save("tests/fs.rs", "use disk::fs;\n\nfn f() {\n    fs::write_all();\n}\n")
    found = uses(await SEARCHER.refs([indexed], place(indexed, "src/fs/write_all.rs", 1), 100))
    assert "tests/fs.rs:4 CALL IMPORT" in found


async def test_a_path_of_rust_may_begin_with_the_module_above(indexed: Indexed) -> None:
    indexed.save("src/net/mod.rs", "pub fn helper_here() {}\n")
    indexed.save("src/net/tcp.rs", "fn f() {\n    super::helper_here();\n}\n")
    assert uses(await SEARCHER.refs([indexed], "helper_here", 100)) == {"src/net/tcp.rs:2 CALL IMPORT"}


async def test_the_impact_of_a_file_names_its_importers(indexed: Indexed) -> None:
    answer = await SEARCHER.impact([indexed], [place(indexed, "shop/money.py")], 1, 100)
    ((_, _, importers),) = answer.impacts
    assert [file.path for file in importers] == [b"shop/cart.py", b"shop/order.py"]


async def test_impact_says_where_it_stopped(indexed: Indexed) -> None:
    answer = await SEARCHER.impact([indexed], ["round_up"], 1, 100)
    ((_, impact, _),) = answer.impacts
    assert impact.stopped == "followed for 1 references; use a larger depth to see more"


async def test_an_outline_has_all_definitions_of_a_file(indexed: Indexed) -> None:
    answer = await SEARCHER.outline(place(indexed, "shop/cart.py"))
    assert answer.file is not None
    assert [one.qualified for one in answer.file.definitions if one.kind != "field"] == [
        "Cart",
        "Cart.__init__",
        "Cart.total",
        "Cart.raw_total",
    ]


async def test_a_directory_has_no_outline(indexed: Indexed) -> None:
    with pytest.raises(UsageError, match="shop is a directory"):
        await SEARCHER.outline(place(indexed, "shop"))


async def test_a_map_shows_what_others_use_within_its_size(indexed: Indexed) -> None:
    answer = await SEARCHER.map(place(indexed, ""), 1000)
    assert answer.map is not None
    assert "class Cart" in answer.map.text
    small = await SEARCHER.map(place(indexed, ""), 20)
    assert small.map is not None
    assert 0 < len(small.map.text) <= 80
    assert small.map.definitions < small.map.all_definitions


async def test_a_map_of_a_directory_shows_only_that(indexed: Indexed) -> None:
    answer = await SEARCHER.map(place(indexed, "other"), 1000)
    assert answer.map is not None
    assert {one.file.path for one in answer.map.files} == {b"other/money.py"}


async def test_a_map_of_what_is_not_indexed_is_an_error(indexed: Indexed) -> None:
    with pytest.raises(NotIndexedError, match="gone is not indexed"):
        await SEARCHER.map(place(indexed, "gone"), 1000)


async def test_a_map_follows_changes(indexed: Indexed) -> None:
    await SEARCHER.map(place(indexed, ""), 1000)
    indexed.save("shop/money.py", "def another_name(amount):\n    return amount\n")
    answer = await SEARCHER.map(place(indexed, "shop/money.py"), 1000)
    assert answer.map is not None
    assert "another_name" in answer.map.text
    assert "round_up" not in answer.map.text


async def test_an_unknown_receiver_leads_to_the_only_type_that_has_the_member(indexed: Indexed) -> None:
    indexed.save("a/use.py", "def f(thing):\n    thing.raw_total()\n")
    assert "a/use.py:2 CALL NAME" in uses(await SEARCHER.refs([indexed], "raw_total", 100))


async def test_an_unknown_receiver_leads_to_a_family_of_types(indexed: Indexed) -> None:
    indexed.save("a/types.py", "class A:\n    def ring(self): ...\n\n\nclass B(A):\n    def ring(self): ...\n")
    indexed.save("a/use.py", "def f(thing):\n    thing.ring()\n")
    assert uses(await SEARCHER.refs([indexed], "A.ring", 100)) == {"a/use.py:2 CALL NAME"}


async def test_a_member_that_lists_have_too_is_only_possible(indexed: Indexed) -> None:
    indexed.save("a/bag.py", "class Bag:\n    def append(self, one):\n        self.one = one\n")
    indexed.save(
        "a/use.py", "from a.bag import Bag\n\n\ndef f(some):\n    some.append(1)\n    bag = Bag()\n    bag.append(2)\n"
    )
    answer = await SEARCHER.refs([indexed], "append", 100)
    assert uses(answer) == {"a/use.py:7 CALL EXACT"}
    assert answer.possible == 1
    answer = await SEARCHER.refs([indexed], "append", 100, possible=True)
    assert uses(answer) == {"a/use.py:7 CALL EXACT", "a/use.py:5 CALL POSSIBLE"}


async def test_a_member_of_unrelated_types_is_only_possible(indexed: Indexed) -> None:
    indexed.save(
        "a/two.py", "class A:\n    def go(self): ...\n\n\nclass B:\n    def go(self): ...\n\n\ndef f(x):\n    x.go()\n"
    )
    answer = await SEARCHER.refs([indexed], "A.go", 100)
    assert (uses(answer), answer.possible) == (set(), 1)
    assert shapes(await SEARCHER.callers([indexed], "A.go", 1, 100)) == []


@pytest.mark.parametrize(
    ("declared", "is_found"),
    [
        ("x = A()", True),
        ("x: A = make()", True),
        ("x = make_a()", True),
        ("x = B()", False),
    ],
)
async def test_the_type_of_a_variable_decides(indexed: Indexed, declared: str, is_found: bool) -> None:
    types = "class A:\n    def go(self): ...\n\n\nclass B:\n    def go(self): ...\n\n\ndef make_a() -> A: ...\n"
    indexed.save("a/two.py", f"{types}\n\ndef f():\n    {declared}\n    x.go()\n")
    answer = await SEARCHER.refs([indexed], "A.go", 100)
    assert (uses(answer) == {"a/two.py:14 CALL EXACT"}) is is_found


async def test_the_receiver_of_a_method_in_go_has_its_type(indexed: Indexed) -> None:
    indexed.save("g/a.go", "package g\n\ntype A struct{}\n\nfunc (a *A) run() {}\n\nfunc (a *A) all() { a.run() }\n")
    assert uses(await SEARCHER.refs([indexed], "A.run", 100)) == {"g/a.go:7 CALL EXACT"}


async def test_a_namespace_import_leads_to_its_module(indexed: Indexed) -> None:
    indexed.save("ts/core/index.ts", "export * from './api'\n")
    indexed.save("ts/core/api.ts", "export function make() { return 1 }\n")
    indexed.save("ts/use.ts", "import * as core from './core/index.js';\nexport const f = () => core.make();\n")
    assert "ts/use.ts:2 CALL IMPORT" in uses(await SEARCHER.refs([indexed], "make", 100))


async def test_a_renamed_import_is_followed(indexed: Indexed) -> None:
    indexed.save("a/use.py", "from shop.money import round_up as up\n\n\ndef f():\n    return up(1)\n")
    assert "a/use.py:5 CALL IMPORT" in uses(await SEARCHER.refs([indexed], place(indexed, "shop/money.py", 1), 100))


async def test_this_means_the_object_of_the_function_around_it(indexed: Indexed) -> None:
    indexed.save("r.js", "res.send = function send() {}\nres.json = function json() {\n  return this.send(1);\n}\n")
    assert uses(await SEARCHER.refs([indexed], "res.send", 100)) == {"r.js:3 CALL EXACT"}


async def test_a_line_counts_once(indexed: Indexed) -> None:
    indexed.save("a/use.py", "def twice(): ...\n\n\ndef f():\n    return twice() + twice()\n")
    answer = await SEARCHER.refs([indexed], "twice", 100)
    assert (answer.total, uses(answer)) == (1, {"a/use.py:5 CALL EXACT"})


async def test_a_module_of_ruby_has_members(indexed: Indexed) -> None:
    indexed.save("m.rb", "module M\n  def a\n    b\n  end\n\n  def b\n  end\nend\n")
    assert uses(await SEARCHER.refs([indexed], "b", 100)) == {"m.rb:3 CALL EXACT"}


async def test_script_in_a_component_has_references(indexed: Indexed) -> None:
    indexed.save("ui/cart.ts", "export function addToCart() { return 1 }\n")
    indexed.save("ui/Cart.vue", "<template/>\n<script>\nimport { addToCart } from './cart'\naddToCart()\n</script>\n")
    assert uses(await SEARCHER.refs([indexed], "addToCart", 100)) == {
        "ui/Cart.vue:3 IMPORT IMPORT",
        "ui/Cart.vue:4 CALL IMPORT",
    }


async def test_an_answer_from_a_changed_file_says_so(indexed: Indexed) -> None:
    (Path(indexed.spec.raw.decode()) / "shop/order.py").write_text("\n\n" + FILES["shop/order.py"])
    answer = await SEARCHER.refs([indexed], "BigCart", 10)
    assert answer.notes == [
        "shop/order.py has changed since the index was updated; lines of it may be wrong: sync first"
    ]
    assert answer.targets[0].line.number == 7


async def test_a_file_is_not_indexed_yet_while_indexing(indexed: Indexed) -> None:
    (Path(indexed.spec.raw.decode()) / "shop/new.py").write_text("def new(): pass\n")
    for state, says in ((RootState.INDEXING, "shop/new.py is not indexed yet"), (RootState.FRESH, "is not indexed")):
        indexed.state = state
        with pytest.raises(NotIndexedError) as caught:
            await SEARCHER.outline(place(indexed, "shop/new.py"))
        assert str(caught.value).endswith(says)


async def test_a_map_has_one_line_for_each_path(indexed: Indexed) -> None:
    indexed.save("shop/odd\n\x1b[31m.py", "def odd():\n    return 1\n")
    answer = await SEARCHER.map(place(indexed, ""), 2000)
    assert answer.map is not None
    assert "shop/odd\u240a\u241b[31m.py:" in answer.map.text.splitlines()


async def test_a_field_has_the_places_that_read_it(indexed: Indexed) -> None:
    indexed.save(
        "shop/view.py", "from shop import Cart\n\n\ndef show(cart: Cart, items):\n    return cart.items, items\n"
    )
    answer = await SEARCHER.refs([indexed], "Cart.items", 100)
    assert [one.target.definition.line for one in answer.targets] == [6]
    assert uses(answer) == {"shop/cart.py:12 USE EXACT", "shop/view.py:5 USE EXACT"}


async def test_a_line_that_assigns_to_a_field_is_also_one_of_its_function(indexed: Indexed) -> None:
    answer = await SEARCHER.impact([indexed], [place(indexed, "shop/cart.py", 6)], 1, 100)
    ((_, impact, _),) = answer.impacts
    assert [one.definition.name for one in impact.changed] == ["items", "__init__"]


async def test_a_variable_of_ruby_and_a_method_of_its_name_are_different(indexed: Indexed) -> None:
    indexed.save(
        "a.rb", "class Box\n  def volume\n    @volume ||= 1\n  end\n\n  def twice\n    volume + @volume\n  end\nend\n"
    )
    indexed.save("b.rb", "Box.new.volume\n")
    variable = await SEARCHER.refs([indexed], place(indexed, "a.rb", 3), 100)
    assert uses(variable) == {"a.rb:7 USE EXACT"}
    method = await SEARCHER.refs([indexed], place(indexed, "a.rb", 2), 100)
    assert {one.split()[0] for one in uses(method)} == {"a.rb:7", "b.rb:1"}


async def test_a_call_by_an_unknown_receiver_means_no_field(indexed: Indexed) -> None:
    indexed.save(
        "x.py", "class A:\n    def fire(self): ...\n\n\nclass B:\n    def __init__(self):\n        self.fire = 1\n"
    )
    indexed.save("y.py", "def go(x):\n    x.fire()\n")
    answer = await SEARCHER.refs([indexed], "A.fire", 100)
    assert uses(answer) == {"y.py:2 CALL NAME"}


async def test_a_map_leaves_out_fields_that_methods_assign_to(indexed: Indexed) -> None:
    indexed.save("shop/view.py", "class View:\n    limit = 10\n\n    def __init__(self):\n        self.title = 1\n")
    answer = await SEARCHER.map(place(indexed, "shop/view.py"), 1_000)
    assert answer.map is not None
    assert "limit = 10" in answer.map.text
    assert "title" not in answer.map.text


CALLS_WITHOUT_AN_IMPORT = [
    ("python", {"a/__init__.py": "from .b import *\n", "a/b.py": "def wanted(): ...\n"},
     "from a import *\n\n\ndef use():\n    wanted()\n    map(wanted, [])\n", "use.py"),
    ("php", {"a/b.php": "<?php\nfunction wanted() {}\n"}, "<?php\nfunction use1() {\n  \\wanted();\n}\n", "use.php"),
    ("bash", {"a/b.sh": "wanted() {\n  :\n}\n"}, ". ./a/b.sh\nwanted | cat\n", "use.sh"),
    ("bash", {"a/b.sh": "wanted() {\n  :\n}\n"}, "use1() {\n  wanted x\n}\n", "use.sh"),
    ("c", {"a/b.c": "int wanted(void) { return 1; }\n"}, "int use1(void) {\n  return wanted();\n}\n", "use.c"),
    ("lua", {"a/b.lua": "function wanted() end\n"}, "local function use1()\n  wanted()\nend\n", "use.lua"),
    ("ruby", {"a/b.rb": "def wanted\nend\n"}, "class C\n  def use1\n    wanted\n  end\nend\n", "use.rb"),
    ("go", {"a/b.go": "package a\nfunc wanted() {}\n"}, "package a\nfunc use1() { wanted() }\n", "a/use.go"),
    ("kotlin", {"a/b.kt": "package a\nfun wanted() {}\n"}, "package a\nfun use1() { wanted() }\n", "a/use.kt"),
    ("elixir", {"a/b.ex": "defmodule A.B do\n  def wanted(x), do: x\nend\n"},
     "defmodule C do\n  import A.B\n  def use1(x), do: wanted(x)\nend\n", "use.ex"),
    ("sql", {"a.sql": "CREATE FUNCTION wanted(x int) RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql;\n"},
     "SELECT wanted(1);\n", "use.sql"),
    ("javascript", {"a.js": "function wanted() {}\n"}, "function use1() {\n  wanted()\n}\n", "use.js"),
    ("rust", {"src/a.rs": "pub fn wanted() {}\npub const MOST: u32 = 1;\n"},
     "use crate::a::*;\nfn use1() { wanted(); }\n", "src/use.rs"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "user", "path"), [case[1:] for case in CALLS_WITHOUT_AN_IMPORT])
async def test_a_call_without_an_import_by_name_is_found(
    tmp_path: Path, files: dict[str, str], user: str, path: str
) -> None:
    root = Indexed(tmp_path)
    for name, text in {**files, path: user}.items():
        root.save(name, text)
    answer = await SEARCHER.refs([root], "wanted", 100)
    found = {one.use.file.path.decode() for one in answer.uses if one.use.reference.kind.name == "CALL"}
    assert found == {path}
    root.close()


async def test_a_module_of_javascript_does_not_see_the_functions_of_others(indexed: Indexed) -> None:
    indexed.save("a.js", "function wanted() {}\n")
    indexed.save("b.js", "import x from './x'\nwanted()\n")
    indexed.save("c.py", "def wanted(): ...\n")
    indexed.save("d.py", "wanted()\n")
    assert uses(await SEARCHER.refs([indexed], "wanted", 100)) == set()


async def test_all_names_of_a_module_include_plain_ones(indexed: Indexed) -> None:
    indexed.save("user.py", "from shop.money import *\n\n__all__ = 'round_up', 'other'\nhandler = round_up\n")
    answer = await SEARCHER.refs([indexed], place(indexed, "shop/money.py", 1), 100)
    assert {"user.py:3 USE IMPORT", "user.py:4 USE IMPORT"} <= uses(answer)


async def test_a_name_is_followed_through_a_module_that_renames_it(indexed: Indexed) -> None:
    indexed.save("core/api.ts", "export function _least() {}\n")
    indexed.save("core/checks.ts", "export { _least as least } from './api.js'\n")
    indexed.save("core/other.ts", "export function least() {}\n")
    indexed.save("user.ts", "import * as checks from './core/checks.js'\nimport { least } from './core/checks.js'\n"
                            "checks.least()\nleast()\n")  # fmt: skip
    indexed.save("else.ts", "import { least } from './core/other.js'\nleast()\n")
    answer = await SEARCHER.refs([indexed], "_least", 100)
    assert uses(answer) == {
        "core/checks.ts:1 IMPORT IMPORT",
        "user.ts:2 IMPORT IMPORT",
        "user.ts:3 CALL IMPORT",
        "user.ts:4 CALL IMPORT",
    }


async def test_an_imported_namespace_comes_before_one_of_the_same_name(indexed: Indexed) -> None:
    indexed.save("old/util.ts", "export namespace util {\n  export function join() {}\n}\n")
    indexed.save("new/util.ts", "export function join() {}\n")
    indexed.save("user.ts", "import * as util from './new/util.js'\nutil.join()\n")
    assert uses(await SEARCHER.refs([indexed], place(indexed, "old/util.ts", 2), 100)) == set()
    assert uses(await SEARCHER.refs([indexed], place(indexed, "new/util.ts", 1), 100)) == {"user.ts:2 CALL IMPORT"}


async def test_a_name_from_an_index_is_no_file_beside_it(indexed: Indexed) -> None:
    indexed.save("core/index.ts", "export * from './core.js'\n")
    indexed.save("core/core.ts", "export function config() {}\n")
    indexed.save("core/config.ts", "export function config() {}\n")
    indexed.save("user.ts", "import { config } from './core/index.js'\nconfig()\n")
    assert "user.ts:2 CALL IMPORT" in uses(await SEARCHER.refs([indexed], place(indexed, "core/core.ts", 1), 100))


async def test_the_type_of_a_variable_is_the_one_that_the_file_can_see(indexed: Indexed) -> None:
    for name in ("one", "two"):
        indexed.save(
            f"{name}.py", "class Config:\n    def merge(self): ...\n\n\ndef f():\n    c = Config()\n    c.merge()\n"
        )
    indexed.save("user.py", "from two import Config\n\n\ndef f(c: Config):\n    c.merge()\n")
    assert uses(await SEARCHER.refs([indexed], place(indexed, "one.py", 2), 100)) == {"one.py:7 CALL EXACT"}


async def test_an_attribute_has_the_type_of_the_parameter_that_it_keeps(indexed: Indexed) -> None:
    indexed.save("view.py", "from shop import Cart\n\n\nclass View:\n    def __init__(self, it: Cart):\n"
                            "        self._cart = it\n\n    def show(self):\n        return self._cart.raw_total()\n"
                            "\n\nclass Other:\n    def raw_total(self): ...\n")  # fmt: skip
    assert "view.py:9 CALL EXACT" in uses(await SEARCHER.refs([indexed], "Cart.raw_total", 100))


async def test_a_field_that_a_subtype_assigns_to_is_that_of_its_base_type(indexed: Indexed) -> None:
    indexed.save("sub.py", "from shop import Cart\n\n\nclass Sub(Cart):\n    def clear(self):\n"
                           "        self.items = []\n        return self.items\n")  # fmt: skip
    assert "sub.py:7 USE IMPORT" in uses(await SEARCHER.refs([indexed], place(indexed, "shop/cart.py", 6), 100))
    assert uses(await SEARCHER.refs([indexed], "Sub.items", 100)) == {"sub.py:7 USE EXACT"}


async def test_a_plain_name_means_no_function_of_an_object(indexed: Indexed) -> None:
    indexed.save(
        "a.ts", "export function f() {\n  const o = { shape: () => shape }\n  const shape = 1\n  return [o, shape]\n}\n"
    )
    assert uses(await SEARCHER.refs([indexed], "shape", 100)) == set()


async def test_an_extension_of_kotlin_is_called_like_a_member(indexed: Indexed) -> None:
    indexed.save(
        "a/Text.kt", "package a\n\nfun String.shout(): String = this + \"!\"\nval String.first: Char get() = 'a'\n"
    )
    indexed.save("b/Use.kt", 'package b\n\nimport a.shout\nimport a.first\n\nfun use1(x: String?) {\n  "a".shout()\n'
                             "  x?.shout()\n  val f = String::shout\n  x.first\n}\n")  # fmt: skip
    indexed.save("a/Near.kt", "package a\n\nfun use2(x: Any) = x.text().shout()\n")
    assert uses(await SEARCHER.refs([indexed], "shout", 100)) == {
        "b/Use.kt:3 IMPORT IMPORT",
        "b/Use.kt:7 CALL IMPORT",
        "b/Use.kt:8 CALL IMPORT",
        "b/Use.kt:9 USE IMPORT",
        "a/Near.kt:3 CALL IMPORT",
    }
    assert "b/Use.kt:10 USE IMPORT" in uses(await SEARCHER.refs([indexed], "String.first", 100))
    callers = await SEARCHER.callers([indexed], "String.shout", 1, 100)
    assert {name for name, _ in shapes(callers)} == {"b.use1", "a.use2"}


async def test_a_member_of_kotlin_comes_before_an_extension_of_its_name(indexed: Indexed) -> None:
    indexed.save(
        "a/Plan.kt",
        "package a\n\nclass Plan {\n  fun discard() {}\n  fun go() {\n    this.discard()\n  }\n}\n"
        "fun java.io.File.discard() {}\nfun plain(discard: Plan = x.discard()) {}\n",
    )
    indexed.save(
        "b/Use.kt", "package b\n\nimport a.discard\n\nfun f(p: Plan, q: Any) {\n  p.discard()\n  q.discard()\n}\n"
    )
    assert uses(await SEARCHER.refs([indexed], place(indexed, "a/Plan.kt", 4), 100)) == {
        "a/Plan.kt:6 CALL EXACT",
        "a/Plan.kt:10 CALL NAME",
        "b/Use.kt:6 CALL EXACT",
    }
    assert uses(await SEARCHER.refs([indexed], "File.discard", 100)) >= {
        "b/Use.kt:3 IMPORT IMPORT",
        "b/Use.kt:7 CALL IMPORT",
    }


async def test_an_extension_of_scala_is_called_like_a_member(indexed: Indexed) -> None:
    indexed.save("a/Text.scala", 'package a\nextension (s: String)\n  def shout: String = s + "!"\n')
    indexed.save("b/Use.scala", 'package b\nimport a.*\nobject Use:\n  def use1 = "a".shout\n')
    assert {one.split()[0] for one in uses(await SEARCHER.refs([indexed], "shout", 100))} == {"b/Use.scala:4"}


async def test_members_of_a_companion_object_are_members_of_its_type(indexed: Indexed) -> None:
    for name in ("Platform", "Other"):
        indexed.save(
            f"{name}.kt",
            f"package p\n\nclass {name} {{\n  companion object {{\n    fun find() = 1\n"
            "    fun twice() = find()\n  }\n}\n",
        )
    indexed.save("use/Use.kt", "package use\n\nimport p.Platform\n\nfun f() {\n  Platform.find()\n}\n")
    expected = {"use/Use.kt:6 CALL IMPORT", "Platform.kt:6 CALL EXACT"}
    assert uses(await SEARCHER.refs([indexed], "Platform.find", 100)) == expected
    assert uses(await SEARCHER.refs([indexed], "p.Platform.Companion.find", 100)) == expected


async def test_a_name_may_have_marks_that_separate_names_elsewhere(indexed: Indexed) -> None:
    indexed.save("lib.sh", "log::info() {\n  echo\n}\nrun() {\n  log::info x\n}\n")
    answer = await SEARCHER.refs([indexed], "log::info", 100)
    assert [one.target.definition.name for one in answer.targets] == ["log::info"]
    assert uses(answer) == {"lib.sh:5 CALL EXACT"}


async def test_a_class_on_one_line_inherits_not_its_last_member(indexed: Indexed) -> None:
    indexed.save("Shapes.kt", "package p\n\ninterface Shape\nclass Dot(val x: Int) : Shape\n")
    answer = await SEARCHER.refs([indexed], "Shape", 100)
    assert [one.use.user.definition.qualified for one in answer.uses if one.use.user] == ["p.Dot"]


async def test_queries_refer_to_tables(indexed: Indexed) -> None:
    indexed.save("schema.sql", "CREATE TABLE public.users (id int);\n")
    indexed.save("use.sql", "SELECT * FROM users;\nINSERT INTO users VALUES (1);\n")
    answer = await SEARCHER.refs([indexed], "users", 100)
    assert [one.target.definition.kind for one in answer.targets] == ["table"]
    assert {one.split()[0] for one in uses(answer)} == {"use.sql:1", "use.sql:2"}
    mapped = await SEARCHER.map(place(indexed, "schema.sql"), 1_000)
    assert mapped.map is not None
    assert "users" in mapped.map.text


OPEN_MEMBERS = [
    ("kinds.h", "enum kind {\n  WANTED,\n  OTHER\n};\n", "use.c",
     '#include "kinds.h"\nint f(void) { return WANTED; }\n'),
    ("kinds.hpp", "enum Kind {\n  WANTED,\n};\n", "use.cpp",
     "int f(int x) {\n  switch (x) { case WANTED: return 1; }\n}\n"),
    ("a/Kind.java", "package a;\nenum Kind {\n  WANTED,\n}\n", "a/Use.java",
     "package a;\nclass Use {\n  int f(Kind k) {\n    switch (k) { case WANTED: return 1; }\n  }\n}\n"),
    ("Kind.hs", "module Kind where\ndata Kind = Other\n  | WANTED Int\n", "Use.hs",
     "module Use where\nimport Kind\nf x = WANTED x\n"),
    ("Kind.hs", "module Kind where\ndata Kind = Kind\n  { wanted :: Int }\n", "Use.hs",
     "module Use where\nimport Kind\nf x = map wanted x\n"),
    ("Kind.hs", "module Kind where\nclass Kind a where\n  wanted :: a -> Int\n", "Use.hs",
     "module Use where\nimport Kind (Kind(..))\nf x = wanted x\n"),
    ("kind.ml", "type kind = Other\n  | Wanted of int\n", "use.ml", "open Kind\nlet f x = Wanted x\n"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text", "user", "use"), OPEN_MEMBERS)
async def test_some_members_are_named_without_their_type(
    tmp_path: Path, path: str, text: str, user: str, use: str
) -> None:
    root = Indexed(tmp_path)
    root.save(path, text)
    root.save(user, use)
    line = next(number for number, one in enumerate(text.split("\n"), 1) if "wanted" in one.lower())
    answer = await SEARCHER.refs([root], place(root, path, line), 100)
    assert user in {one.use.file.path.decode() for one in answer.uses}
    root.close()


async def test_members_of_a_scoped_enum_need_its_name(indexed: Indexed) -> None:
    indexed.save("a.cpp", "enum class A {\n  First,\n};\nint f(int First);\nint g() { return First; }\n")
    assert uses(await SEARCHER.refs([indexed], "A.First", 100)) == set()


async def test_an_operator_is_found_by_its_name(indexed: Indexed) -> None:
    indexed.save("Ops.hs", "module Ops where\na .= b = a\n")
    answer = await SEARCHER.refs([indexed], ".=", 100)
    assert [one.target.definition.qualified for one in answer.targets] == ["Ops..="]
    assert answer.notes == ["references to operators such as .= are not known"]


KEYS = [
    ("a/a.go", "package a\n\ntype Q struct {\n\tWanted int\n}\n", "a/b.go", "package a\n\nvar q = Q{Wanted: 1}\n", 4),
    ("src/a.rs", "pub struct Q {\n  pub wanted: u8,\n}\n", "src/b.rs",
     "fn f() { g(Q { wanted: 1 }); let Q { wanted: x } = y; }\n", 2),
    ("a.cs", "class Q {\n  public int Wanted { get; set; }\n}\n", "b.cs",
     "class B {\n  Q q = new Q { Wanted = 1 };\n}\n", 2),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text", "user", "use", "line"), KEYS)
async def test_a_key_of_a_literal_means_a_field(
    tmp_path: Path, path: str, text: str, user: str, use: str, line: int
) -> None:
    root = Indexed(tmp_path)
    root.save(path, text)
    root.save(user, use)
    answer = await SEARCHER.refs([root], place(root, path, line), 100)
    assert {one.use.file.path.decode() for one in answer.uses} == {user}
    root.close()


async def test_a_name_may_begin_with_the_path_of_its_file(indexed: Indexed) -> None:
    for name in ("money.round_up", "shop/money.round_up", "shop.money.round_up"):
        answer = await SEARCHER.refs([indexed], name, 100)
        assert {one.target.file.path for one in answer.targets} >= {b"shop/money.py"}
    assert len(answer.targets) == 1
    indexed.save("store.zig", "pub fn handle() void {}\n")
    assert len((await SEARCHER.definitions([indexed], "store.handle")).targets) == 1


async def test_a_method_of_lua_is_found_by_its_notation(indexed: Indexed) -> None:
    indexed.save("p.lua", "local Picker = {}\nfunction Picker:find() end\n")
    assert len((await SEARCHER.definitions([indexed], "Picker:find")).targets) == 1


async def test_places_that_may_refer_are_counted(indexed: Indexed) -> None:
    indexed.save("x.py", "class A:\n    def fire(self): ...\n\n\nclass B:\n    def fire(self): ...\n")
    indexed.save("y.py", "def go(x):\n    x.fire()\n    return x.fire\n")
    callers = await SEARCHER.callers([indexed], "A.fire", 1, 100)
    assert [tree.nodes for _, tree in callers.trees] == [[]]
    assert [note.partition(",")[0] for note in callers.notes] == ["1 more place may refer to it"]
    impact = await SEARCHER.impact([indexed], ["A.fire"], 2, 100)
    assert [note.partition(",")[0] for note in impact.notes] == ["2 more places may refer to it"]


async def test_a_plain_call_of_a_built_in_function_of_ruby_means_no_method(indexed: Indexed) -> None:
    indexed.save("lib/files.rb", "class Files\n  def fail(x)\n  end\n  def go\n    fail 1\n  end\nend\n")
    indexed.save("lib/builder.rb", "class Builder\n  def go\n    fail 'no'\n  end\nend\n")
    assert uses(await SEARCHER.refs([indexed], "Files.fail", 100)) == {"lib/files.rb:5 CALL EXACT"}


async def test_a_plain_name_means_a_method_of_another_class_only_by_name(indexed: Indexed) -> None:
    indexed.save("lib/files.rb", "module Files\n  def serve(x)\n  end\nend\n")
    indexed.save("lib/builder.rb", "class Builder\n  def go\n    serve 1\n  end\nend\n")
    assert uses(await SEARCHER.refs([indexed], "serve", 100)) == {"lib/builder.rb:3 CALL NAME"}


async def test_a_qualified_name_is_known_everywhere_in_some_languages(indexed: Indexed) -> None:
    indexed.save("lib/headers.rb", "module Rack\n  class Headers\n  end\nend\n")
    indexed.save("test/spec.rb", "Rack::Headers.new\n")
    assert uses(await SEARCHER.refs([indexed], "Rack::Headers", 100)) == {"test/spec.rb:1 USE IMPORT"}
    indexed.save("lib/plug/builder.ex", "defmodule Plug.Builder do\nend\n")
    indexed.save("test/x.exs", "defmodule X do\n  use Plug.Builder\nend\n")
    assert uses(await SEARCHER.refs([indexed], "Plug.Builder", 100)) == {"test/x.exs:2 INHERIT IMPORT"}


async def test_a_module_of_lua_has_no_names_of_others_beside_it(indexed: Indexed) -> None:
    indexed.save("lua/scope/pickers.lua", "local pickers = {}\npickers.new = function() end\nreturn pickers\n")
    indexed.save("lua/scope/previewers.lua", "local previewers = {}\nreturn previewers\n")
    indexed.save("use.lua", 'local previewers = require "scope.previewers"\npreviewers.ctags.new()\n')
    assert uses(await SEARCHER.refs([indexed], "pickers.new", 100)) == set()


async def test_members_of_built_in_objects_are_no_members_of_the_root(indexed: Indexed) -> None:
    indexed.save("a.js", "class Logger {\n  log(x) {}\n}\nfunction f(x) {\n  console.log(1)\n  x.log(2)\n}\n")
    assert uses(await SEARCHER.refs([indexed], "Logger.log", 100)) == {"a.js:6 CALL NAME"}
    indexed.save("p.lua", "local P = {}\nfunction P:find() end\nfunction f(x)\n  string.find(x)\n  x:find()\nend\n")
    assert uses(await SEARCHER.refs([indexed], "P.find", 100)) == {"p.lua:5 CALL NAME"}


async def test_uses_in_markup_are_not_known(indexed: Indexed) -> None:
    indexed.save("ui/Cart.vue", '<template><a @click="add"/></template>\n<script>\nfunction add() {}\n</script>\n')
    answer = await SEARCHER.refs([indexed], "add", 100)
    assert answer.notes == ["references in the markup of vue are not known"]


async def test_a_map_ranks_members_of_lists_and_strings_low(indexed: Indexed) -> None:
    indexed.save("shop/text.py", "class Text:\n    def append(self, x): ...\n\n    def total_width(self): ...\n")
    for number in range(5):
        indexed.save(f"use{number}.py", "def f(x, y):\n    x.append(1)\n    x.append(2)\n    return y.total_width()\n")
    answer = await SEARCHER.map(place(indexed, "shop/text.py"), 20)
    assert answer.map is not None
    assert "total_width" in answer.map.text
    assert "append" not in answer.map.text


async def test_a_package_may_export_what_its_files_define(indexed: Indexed) -> None:
    answer = await SEARCHER.definitions([indexed], "shop.checkout")
    assert [one.target.file.path for one in answer.targets] == [b"shop/order.py"]
    assert not (await SEARCHER.definitions([indexed], "shop.raw_total")).targets


async def test_the_type_of_a_variable_of_the_module_decides(indexed: Indexed) -> None:
    indexed.save("view.py", "from shop import Cart\n\nbasket = Cart()\n\n\ndef show():\n    return basket.raw_total()\n"
                            "\n\ndef other(x):\n    basket = x[1]\n    basket.raw_total()\n"
                            "\n\ndef third(basket):\n    basket.raw_total()\n"
                            "\n\nclass Other:\n    def raw_total(self): ...\n")  # fmt: skip
    assert "view.py:7 CALL EXACT" in uses(await SEARCHER.refs([indexed], "Cart.raw_total", 100))
    found = {one.split()[0] for one in uses(await SEARCHER.refs([indexed], "raw_total", 100))}
    assert not found & {"view.py:12", "view.py:16"}


async def test_a_variable_is_no_function_of_its_name_elsewhere(indexed: Indexed) -> None:
    indexed.save("a.py", "def listener():\n    def canceled_now(): ...\n    return canceled_now\n")
    indexed.save("b.py", "def f(listener):\n    listener.canceled_now()\n")
    assert {one.split()[0] for one in uses(await SEARCHER.refs([indexed], "canceled_now", 100))} == {"a.py:3"}


VARIABLES = [
    ("a/run.go", "package a\n\nfunc Wanted() {}\n", "b/use.go", "package b\n\nfunc f(t *T) { t.Wanted() }\n"),
    ("a.c", "void wanted(void) {}\n", "b.c", "void f(struct s *p) { p->wanted(); }\n"),
    ("a.php", "<?php\nfunction wanted() {}\n", "b.php", "<?php\nfunction f($x) { $x->wanted(); }\n"),
    ("src/a.rs", "pub fn wanted() {}\n", "src/b.rs", "fn f(x: X) { x.wanted(); }\n"),
]


@pytest.mark.parametrize(("path", "text", "user", "use"), VARIABLES)
async def test_a_member_of_a_variable_is_no_function_outside_types(
    tmp_path: Path, path: str, text: str, user: str, use: str
) -> None:
    root = Indexed(tmp_path)
    root.save(path, text)
    root.save(user, use)
    name = "Wanted" if "Wanted" in text else "wanted"
    assert uses(await SEARCHER.refs([root], name, 100)) == set()
    root.close()


async def test_a_package_of_go_may_have_another_name_than_its_path(indexed: Indexed) -> None:
    indexed.save("run.go", "package caddy\n\nfunc Wanted() {}\n")
    indexed.save("cmd/use.go", 'package cmd\n\nimport "github.com/x/caddy/v2"\n\nfunc f() { caddy.Wanted() }\n')
    assert {one.split()[0] for one in uses(await SEARCHER.refs([indexed], "Wanted", 100))} == {"cmd/use.go:5"}


DEFAULTS = [
    "export default class Btn {\n  constructor() {}\n}\nexport const other = 1\n",
    "class Btn {\n  constructor() {}\n}\nexport const other = 1\nexport default Btn\n",
    "module.exports = class Btn {\n  constructor() {}\n}\nexports.other = 1\n",
    "class Btn {\n  constructor() {}\n}\nexports = module.exports = Btn\nexports.other = 1\n",
]


@pytest.mark.parametrize("text", DEFAULTS)
async def test_importers_name_what_a_module_exports_without_a_name(indexed: Indexed, text: str) -> None:
    indexed.save("ui/btn.js", text)
    indexed.save("use.js", "import Any, { other } from './ui/btn'\nnew Any(other)\nlog(Any.x)\n")
    indexed.save("old.js", "const Some = require('./ui/btn.js')\nnew Some()\n")
    indexed.save(
        "none.js", "import { other as more } from './ui/btn'\nnew more()\nimport Any from './else/btn2'\nAny()\n"
    )
    found = {
        one.split(" ", 1)[0] for one in uses(await SEARCHER.refs([indexed], "Btn", 100)) if not one.startswith("ui/")
    }
    assert found == {"use.js:1", "use.js:2", "use.js:3", "old.js:1", "old.js:2"}
    indexed.save("more.js", "import { other } from './ui/btn'\nother()\n")
    assert "more.js" not in str(uses(await SEARCHER.refs([indexed], "Btn", 100)))
    callers = await SEARCHER.callers([indexed], "Btn.constructor", 1, 100)
    assert {node.file.path for _, tree in callers.trees for node in tree.nodes} == {b"use.js", b"old.js"}


async def test_a_function_of_c_may_have_variants(indexed: Indexed) -> None:
    indexed.save("src/unix/tcp.c", "int tcp_open(void) { return 1; }\n")
    indexed.save("src/win/tcp.c", "int tcp_open(void) { return 2; }\nint here(void) { return tcp_open(); }\n")
    indexed.save("src/x/other.c", "static int tcp_open(void) { return 3; }\nint own(void) { return tcp_open(); }\n")
    indexed.save("test/use.c", "int use(void) { return tcp_open(); }\n")
    assert uses(await SEARCHER.refs([indexed], place(indexed, "src/unix/tcp.c", 1), 100)) == {"test/use.c:1 CALL NAME"}
    assert uses(await SEARCHER.refs([indexed], place(indexed, "src/win/tcp.c", 1), 100)) == {
        "src/win/tcp.c:2 CALL EXACT",
        "test/use.c:1 CALL NAME",
    }
    assert uses(await SEARCHER.refs([indexed], place(indexed, "src/x/other.c", 1), 100)) == {
        "src/x/other.c:2 CALL EXACT"
    }
    impact = await SEARCHER.impact([indexed], ["tcp_open"], 2, 100)
    assert b"test/use.c" in {one.file.path for _, found, _ in impact.impacts for one in found.reached}


async def test_a_name_may_begin_with_a_part_of_the_path(indexed: Indexed) -> None:
    for name in ("shop.Cart.total", "shop.cart.Cart.total", "shop.BigCart.total"):
        assert len((await SEARCHER.definitions([indexed], name)).targets) == 1
    assert not (await SEARCHER.definitions([indexed], "other.Cart.total")).targets


async def test_an_assignment_of_ruby_calls_a_setter(indexed: Indexed) -> None:
    indexed.save("a.rb", "class A\n  attr_accessor :other\n  def status=(v)\n    @status = v\n  end\n"
                         "  def go\n    self.status = 1\n    self.other = 2\n  end\nend\n")  # fmt: skip
    indexed.save("b.rb", "def f(x)\n  x.status=2\n  x.status\nend\n")
    answer = await SEARCHER.refs([indexed], "status=", 100)
    assert uses(answer) == {"a.rb:7 CALL EXACT", "b.rb:2 CALL NAME"}
    assert [one.line.column for one in answer.uses] == [10, 5]
    callees = await SEARCHER.callees([indexed], "A.go", 1, 100)
    assert [name for name, _ in shapes(callees)] == ["A.status=", "A.other"]
    assert [tree.unresolved for _, tree in callees.trees] == [["self.status"]]


async def test_a_name_may_have_the_sigil_of_its_language(indexed: Indexed) -> None:
    indexed.save("u.php", "<?php\nclass User {\n  static $name;\n  function f() { return self::$name; }\n}\n")
    for name in ("User::$name", "$name"):
        assert uses(await SEARCHER.refs([indexed], name, 100)) == {"u.php:4 USE EXACT"}


async def test_a_map_shows_no_guards_of_headers_and_each_name_once(indexed: Indexed) -> None:
    guarded = "#ifndef %s\n#define %s\n\nint id_of(int n)\n{\n  return n;\n}\n\n#endif\n"
    indexed.save("c/node.h", guarded % ("NODE_H", "NODE_H"))
    indexed.save("c/copy/node.h", guarded % ("COPY_H", "COPY_H"))
    indexed.save("c/use.c", '#include "node.h"\n\nint use(void)\n{\n  return id_of(1);\n}\n')
    answer = await SEARCHER.map(place(indexed, "c"), 1_000)
    assert answer.map is not None
    assert "_H" not in answer.map.text
    assert answer.map.text.count("int id_of") == 1


async def test_of_a_large_root_the_most_central_files_are_compared(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_map, "_MOST_FILES", 1)
    with indexed.pin_snapshot() as snapshot:
        assert snapshot is not None
        file = snapshot.catalog.file(b"shop/order.py")
        assert file is not None
        ranks = Centrality(snapshot.generation, np.array([file.file_id]), np.ones(1, dtype=np.float32))
        count = len(snapshot.catalog.graph_file_ids())
    await indexed.index.set_centrality(ranks)
    searcher = GraphSearcher(mask_secrets=True)
    answer = await searcher.map(place(indexed, ""), 1_000)
    assert answer.map is not None
    assert {one.file.path for one in answer.map.files} == {b"shop/order.py"}
    assert answer.notes == [f"{count - 1} files on which little relies were not compared"]
    for path in ("other", "other/money.py"):
        answer = await searcher.map(place(indexed, path), 1_000)
        assert answer.map is not None
        assert ({one.file.path for one in answer.map.files}, answer.notes) == ({b"other/money.py"}, [])


RECEIVERS = [
    # a header of C++ whose name says C: members without a receiver, and functions of a namespace
    ({"point.h": "class Point {\n  int depth_;\n public:\n  int depth() const { return depth_; }\n"
                 "  int twice() const { return 2 * depth(); }\n};\n"},
     "depth_", {"point.h:4 USE EXACT"}),
    ({"point.h": "class Point {\n  int depth_;\n public:\n  int depth() const { return depth_; }\n"
                 "  int twice() const { return 2 * depth(); }\n};\n"},
     "depth", {"point.h:5 CALL EXACT"}),
    ({"lib.h": "LIB_BEGIN\ntemplate <class T>\nconstexpr auto make(T x) -> std::size_t { return x; }\nLIB_END\n",
      "use.cc": "int f() { return lib::make(1); }\n"},
     "make", {"use.cc:1 CALL NAME"}),
    # names that mean the base type, or the object, in other languages only
    ({"a.c": "struct node { struct node *up; int rank; };\nint f(struct node *parent, struct node *self)\n{\n"
             "  return parent->rank + self->rank;\n}\n"},
     "rank", {"a.c:4 USE EXACT"}),
    # types of C: by their tag, and by what a typedef makes of it
    ({"a.h": "typedef struct node_s node_t;\nstruct node_s { int rank; };\nstruct other { int rank; };\n",
      "a.c": '#include "a.h"\nint f(struct other *b, node_t *c)\n{\n  node_t const *d = c;\n  return b->rank +\n'
             "    c->rank +\n    d->rank;\n}\n"},
     "node_s.rank", {"a.c:6 USE EXACT", "a.c:7 USE EXACT"}),
    ({"a.js": "function A() {\n  this.settings = {}\n}\nfunction f(parent) {\n  return parent.settings\n}\n"},
     "settings", {"a.js:5 USE NAME"}),
    ({"a.py": "class A:\n    def rank(self): ...\n\n\ndef f(base):\n    return base.rank()\n"},
     "rank", {"a.py:6 CALL NAME"}),
    ({"a.php": "<?php\nclass A { function rank() {} }\nclass B extends A { function rank() { parent::rank(); } }\n"},
     "A.rank", {"a.php:3 CALL IMPORT"}),
    ({"a.cs": "class A { public virtual void Rank() {} }\n"
              "class B : A { public override void Rank() { base.Rank(); } }\n"},
     "A.Rank", {"a.cs:2 CALL IMPORT"}),
    # a variable that is imported
    ({"app.py": "class App:\n    def route(self): ...\n\n\nclass Site(App): ...\n\n\ncurrent: Site = make()\n",
      "use.py": "from app import current\ncurrent.route()\n"},
     "route", {"use.py:2 CALL IMPORT"}),
    ({"app.py": "class App:\n    def route(self): ...\n\n\napp = App()\n",
      "other.py": "class Other:\n    def route(self): ...\n",
      "use.py": "from app import app as site\n\n\ndef f():\n    site.route()\n"},
     "App.route", {"use.py:5 CALL IMPORT"}),
    # what constructs the type around it
    ({"a.py": "class A:\n    def __init__(self): ...\n\n    @classmethod\n    def make(cls, box):\n"
              "        return cls(), box.cls()\n"},
     "A", {"a.py:6 CALL EXACT"}),
    ({"a.php": "<?php\nclass A {\n  static function a() { return new static(); }\n"
               "  static function b() { return new self; }\n}\n"},
     "A", {"a.php:3 CALL EXACT", "a.php:4 CALL EXACT"}),
    # what a module exports
    ({"a.js": "exports.wanted = make()\nfunction f() {\n  return exports.wanted\n}\n"},
     "wanted", {"a.js:3 USE EXACT"}),
    # functions of a type, without a receiver
    ({"a.zig": "pub const Box = struct {\n    size: u32,\n    pub fn make() Box {\n        return wanted(1);\n    }\n"
               "    fn wanted(size: u32) Box {\n        return .{ .size = size };\n    }\n};\n"},
     "wanted", {"a.zig:4 CALL EXACT"}),
    # the body of a class
    ({"a.py": "class A:\n    def _fail(self): ...\n\n    one = two = three = _fail\n    del _fail\n"},
     "_fail", {"a.py:4 USE EXACT", "a.py:5 USE EXACT"}),
    ({"a.sh": "wanted() {\n  :\n}\nunset -f other wanted\n"}, "wanted", {"a.sh:4 USE EXACT"}),
]  # fmt: skip


@pytest.mark.parametrize(("files", "name", "expected"), RECEIVERS)
async def test_what_stands_before_a_name_decides(
    tmp_path: Path, files: dict[str, str], name: str, expected: set[str]
) -> None:
    root = Indexed(tmp_path)
    for path, text in files.items():
        root.save(path, text)
    assert uses(await SEARCHER.refs([root], name, 100)) == expected
    root.close()
