"""Answers come from one generation: commits during a query appear in neither hits nor clock. With real stores."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from codeindexd.analysis.embedding.base import Vectors
from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.errors import NotIndexedError
from codeindexd.roots.registry import RootSpec
from codeindexd.search.grep import GrepRequest
from codeindexd.search.line_matcher import LineMatcher
from codeindexd.search.query import parse
from codeindexd.search.searcher import Searcher
from codeindexd.storage.snapshot import Snapshot, SnapshotHolder
from codeindexd.types import RootState
from search.indexed_root import Indexed
from support.notebooks import notebook

pytestmark = pytest.mark.anyio


@pytest.fixture
async def indexed(tmp_path: Path) -> AsyncIterator[Indexed]:
    root = Indexed(tmp_path)
    root.save("a.py", "def alpha():\n    return 'first'\n")
    root.save("b.py", "def beta():\n    return alpha()\n")
    yield root
    root.close()


class OneVector:
    """An embedder to which every query means the same."""

    model, identity, dimensions, device = "one", "", 256, "cpu"

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return np.full((len(texts), self.dimensions), 1 / 16, np.float32)

    async def embed_query(self, text: str) -> Vectors:
        return (await self.embed_documents([text]))[0]

    async def aclose(self) -> None:
        pass


def searcher() -> Searcher:
    return Searcher({}, mask_secrets=True)


async def test_an_answer_names_the_generation_that_was_searched(indexed: Indexed) -> None:
    indexed.meanwhile = lambda: indexed.save("c.py", "def gamma():\n    return alpha()\n")
    answer = await searcher().search([indexed], parse("alpha"), 10)
    assert {hit.chunk.path for hit in answer.hits} == {b"a.py", b"b.py"}
    assert answer.clock == "one:2"
    assert indexed.clock == "one:3"
    answer = await searcher().search([indexed], parse("alpha"), 10)
    assert {hit.chunk.path for hit in answer.hits} == {b"a.py", b"b.py", b"c.py"}
    assert answer.clock == "one:3"


async def test_an_answer_has_the_state_at_its_start(indexed: Indexed) -> None:
    def finish_indexing() -> None:
        indexed.save("c.py", "def gamma():\n    return alpha()\n")
        indexed.state = RootState.FRESH

    indexed.state = RootState.INDEXING
    indexed.meanwhile = finish_indexing
    answer = await searcher().search([indexed], parse("alpha"), 10)
    assert answer.state is RootState.INDEXING
    assert (await searcher().search([indexed], parse("alpha"), 10)).state is RootState.FRESH


async def test_all_roots_are_pinned_at_the_start(indexed: Indexed, tmp_path: Path) -> None:
    other = Indexed(tmp_path / "other")
    other.spec = RootSpec("two", other.directory, 1, 2)
    indexed.meanwhile = lambda: indexed.save("c.py", "def gamma():\n    return alpha()\n")
    answer = await searcher().search([indexed, other], parse("alpha"), 10)
    assert answer.clock == "one:2,two:0"
    assert len(answer.hits) == 2
    other.index.close()
    other.vectors.close()


async def test_related_looks_up_its_origin_in_the_pinned_snapshot(indexed: Indexed) -> None:
    indexed.meanwhile = lambda: indexed.save("a.py", "def other():\n    return 'second'\n")
    answer = await searcher().related(indexed, b"a.py", 1, 10)
    assert [hit.chunk.path for hit in answer.hits] == [b"b.py"]
    assert answer.clock == "one:2"
    with pytest.raises(NotIndexedError, match=r"a\.py:9: its last indexed line is 2"):
        await searcher().related(indexed, b"a.py", 9, 10)


async def test_snapshots_are_unpinned_after_the_answer(indexed: Indexed) -> None:
    current: SnapshotHolder = indexed.index.current
    before = current._snapshot
    assert before is not None
    await searcher().search([indexed], parse("alpha"), 10)
    with pytest.raises(NotIndexedError):
        await searcher().related(indexed, b"gone.py", 1, 10)
    assert before._pins == 0


async def test_a_key_is_masked_in_every_chunk_that_it_spans(indexed: Indexed) -> None:
    body = "\n".join(f"  '{'aB3dE6gH' * 8}'," for _ in range(200))
    marks = ("-----BEGIN " + "PRIVATE KEY-----", "-----END " + "PRIVATE KEY-----")
    indexed.save("key.js", f"const alpha = [\n  '{marks[0]}',\n{body}\n  '{marks[1]}',\n].join('\\n');\n")
    answer = await searcher().search([indexed], parse("path:key.js"), 10)
    assert len(answer.hits) > 2
    assert not any("aB3dE6gH" in hit.snippet for hit in answer.hits)


@pytest.mark.parametrize(
    "text", ["alpha /rare_[0-9]{3}/", "/rare_[0-9]{3}/", 'alpha "return rare_123 +"', '"rare_123 + alpha"']
)
async def test_an_exact_match_is_found_behind_any_number_of_better_candidates(indexed: Indexed, text: str) -> None:
    for number in range(150):
        indexed.save(f"many/f{number}.py", "def alpha():\n    return alpha, alpha\n")
    indexed.save("rare.py", "def nothing_like_it():\n    return rare_123 + alpha\n")
    answer = await searcher().search([indexed], parse(text), 10)
    assert [hit.chunk.path for hit in answer.hits] == [b"rare.py"]


async def test_a_literal_is_met_letter_by_letter(indexed: Indexed) -> None:
    indexed.save("c.py", "first = second\nfirst == second\n")
    indexed.save("d.py", "first = second\nFirst = Second\n")
    assert [hit.chunk.path for hit in (await searcher().search([indexed], parse('"first == second"'), 5)).hits] == [
        b"c.py"
    ]
    assert [hit.chunk.path for hit in (await searcher().search([indexed], parse('"First = Second"'), 5)).hits] == [
        b"d.py"
    ]


async def found(indexed: Indexed, text: str) -> list[bytes]:
    return [hit.chunk.path for hit in (await searcher().search([indexed], parse(text), 10)).hits]


async def test_kinds_are_those_of_definitions_that_share_a_chunk(indexed: Indexed) -> None:
    indexed.save("c.py", "def load(p):\n    return p\n\n\nclass Client:\n    def get(self):\n        return 'method'\n")
    assert await found(indexed, "kind:function symbol:load") == [b"c.py"]
    assert await found(indexed, "kind:method symbol:get") == [b"c.py"]
    assert await found(indexed, "kind:class symbol:load") == []
    assert b"c.py" in await found(indexed, "kind:function lang:python")
    assert await found(indexed, "kind:method") == [b"c.py"]
    assert await found(indexed, "kind:interface") == []


async def test_kinds_include_script_in_pages_and_samples_in_documents(indexed: Indexed) -> None:
    script = "<script>\nexport function loadCart(id) {\n  return id\n}\n\nexport class Basket {}\n</script>\n"
    indexed.save("shop.vue", f"<template>\n  <p>Cart</p>\n</template>\n\n{script}")
    indexed.save("guide.md", "# Guide\n\nText.\n\n```python\nclass Checkout:\n    pass\n```\n")
    assert b"shop.vue" in await found(indexed, "kind:function lang:vue")
    assert b"shop.vue" in await found(indexed, "kind:class lang:vue")
    assert await found(indexed, "kind:class lang:markdown") == [b"guide.md"]
    assert await found(indexed, "kind:interface lang:vue") == []
    assert indexed.index.catalog.check() == []


async def test_a_name_that_reads_like_a_kind_is_none(indexed: Indexed) -> None:
    indexed.save("c.py", "def interface():\n    return 1\n")
    assert await found(indexed, "kind:interface") == []


async def test_languages_include_their_headers_and_their_jsx(indexed: Indexed) -> None:
    indexed.save("engine.h", "#pragma once\nclass Engine {\npublic:\n  void start() {}\n};\n")
    indexed.save("plain.c", "int start(void) { return 1; }\n")
    indexed.save("Pay.tsx", "export function PayButton() { return <b/>; }\n")
    assert await found(indexed, "lang:cpp start") == [b"engine.h"]
    assert await found(indexed, "lang:cpp /start/") == [b"engine.h"]
    assert await found(indexed, "lang:typescript PayButton") == [b"Pay.tsx"]


async def test_paths_are_taken_as_they_are_shown(indexed: Indexed) -> None:
    assert await found(indexed, f"alpha path:{indexed.directory}/a.py") == [b"a.py"]
    assert await found(indexed, f"alpha path:{indexed.directory}") == [b"a.py", b"b.py"]
    assert await found(indexed, f"/alpha/ -path:{indexed.directory}/a.py") == [b"b.py"]


async def test_what_occurs_nowhere_is_not_found(indexed: Indexed) -> None:
    assert await found(indexed, "\N{ROCKET}") == []
    assert await found(indexed, "->") == []


async def test_what_a_regex_was_not_matched_against_is_said(indexed: Indexed) -> None:
    indexed.save("large.txt", "x = 1\n" * 150_000)
    answer = await searcher().search([indexed], parse("/(?:a?){900}b/"), 10)
    assert "1 file left out: too large for this pattern" in answer.notes


async def test_many_roots_are_searched_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The open stores of a thousand roots would take every file descriptor."""
    monkeypatch.setattr("codeindexd.search.pinning.MOST_AWAKE", 2)
    pinned = most = 0

    class Counted(Indexed):
        @contextmanager
        def pin_snapshot(self) -> Iterator[Snapshot | None]:
            nonlocal pinned, most
            pinned += 1
            most = max(most, pinned)
            with super().pin_snapshot() as snapshot:
                yield snapshot
            pinned -= 1

    roots = [Counted(tmp_path / f"{number}") for number in range(5)]
    for number, root in enumerate(roots):
        root.save("a.py", f"def shared_{number}():\n    return 'shared words'\n" * (number + 1))
    roots[3].state = RootState.INDEXING
    answer = await searcher().search(roots, parse("shared words"), 10)
    assert {hit.root for hit in answer.hits} == set(roots)
    assert [hit.score for hit in answer.hits] == sorted((hit.score for hit in answer.hits), reverse=True)
    assert (answer.state, answer.clock, answer.dense_coverage) == (RootState.INDEXING, ",".join(["one:1"] * 5), 1.0)
    found = await searcher().grep([(root, GrepRequest(LineMatcher("shared words"))) for root in roots])
    assert [root for root, _ in found.results] == roots
    assert [result.total for _, result in found.results] == [1, 2, 3, 4, 5]
    assert (most, pinned) == (2, 0)
    for root in roots:
        root.close()


async def test_files_that_cannot_be_read_are_named(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[bytes]:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("codeindexd.search.confirm.read_ranges", broken)
    answer = await searcher().search([indexed], parse("alpha"), 10)
    assert not answer.hits
    assert answer.notes[0] == "a.py cannot be read (Permission denied): what it may hold is not shown"
    assert indexed.hints == {b"a.py", b"b.py"}
    assert (await searcher().symbol([indexed], "alpha", references=True)).notes[:1] == answer.notes[:1]


async def test_a_line_of_an_output_stands_for_the_cell_it_belongs_to(tmp_path: Path) -> None:
    root = Indexed(tmp_path)
    text = notebook("def alpha():\n    return 1", "def beta():\n    return 2", image_bytes=40)
    root.save("n.ipynb", text)
    output = [number for number, line in enumerate(text.splitlines(), 1) if "image/png" in line]
    for line, other in zip(output, ("beta", "alpha"), strict=True):
        answer = await searcher().related(root, b"n.ipynb", line, 10)
        assert [hit.symbol for hit in answer.hits] == [other]
    with pytest.raises(NotIndexedError):
        await searcher().related(root, b"n.ipynb", text.count("\n"), 10)
    root.close()


async def test_copies_take_one_place_and_all_are_counted(indexed: Indexed) -> None:
    for number in range(150):
        indexed.save(f"copies/f{number:03}.py", "def verify_password(user):\n    return check(user, 'password')\n")
    indexed.save("core.py", "class Authenticator:\n    def password(self):\n        return self.store\n")
    answer = await searcher().search([indexed], parse("password"), 10)
    first = next(hit for hit in answer.hits if hit.symbol == "verify_password")
    assert (first.copy_count, len(first.copies)) == (149, 100)
    assert {hit.chunk.path for hit in answer.hits} >= {b"core.py"}
    assert len({hit.snippet for hit in answer.hits}) == len(answer.hits)


async def test_a_copy_that_left_the_disk_is_not_counted(indexed: Indexed) -> None:
    for name in ("one.py", "two.py", "three.py"):
        indexed.save(name, "def verify_password(user):\n    return check(user, 'password')\n")
    (indexed.directory / "two.py").unlink()
    (hit,) = [hit for hit in (await searcher().search([indexed], parse("verify_password"), 10)).hits if hit.copy_count]
    assert {hit.chunk.path, *(copy.path for copy in hit.copies)} == {b"one.py", b"three.py"}


async def test_copies_in_several_roots_take_one_place(indexed: Indexed, tmp_path: Path) -> None:
    other = Indexed(tmp_path / "other")
    other.spec = RootSpec("two", other.directory, 1, 2)
    other.save("a.py", "def alpha():\n    return 'first'\n")
    hits = (await searcher().search([indexed, other], parse("alpha"), 10)).hits
    (copied,) = [hit for hit in hits if hit.copy_count]
    assert {copied.root.spec.raw, copied.copies[0].root.spec.raw} == {indexed.spec.raw, other.spec.raw}
    other.close()


async def test_only_line_feeds_end_lines(indexed: Indexed) -> None:
    """A form feed between definitions, as in sources of GNU, is a part of its line to editors, git and grep."""
    indexed.save(
        "box.py", "class Box:\n    def open(self):\n        return 1\n\f\n    def shut(self):\n        return self\n"
    )
    indexed.save("odd.py", "a_1 = '\x85\u2028\x1c'\na_2 = 2\n\v\na_4 = 4\n")
    for text, path, line in (
        ("Box.shut", b"box.py", 5),
        ("return self", b"box.py", 6),
        ('"return self"', b"box.py", 6),
        ("/^    def shut/", b"box.py", 5),
        ("a_4", b"odd.py", 4),
        ("/a_2/", b"odd.py", 2),
    ):
        hit = (await searcher().search([indexed], parse(text), 10)).hits[0]
        assert (hit.chunk.path, hit.best_line) == (path, line), text


async def test_a_hit_shows_the_line_that_the_query_names(indexed: Indexed) -> None:
    indexed.save("long.py", "def long():\n" + "".join(f"    step_{number} = 1\n" for number in range(12)))
    for text, line in (("long.py:7", 7), ("step_9 = 1", 11), ('"step_4 ="', 6), ("/step_11/", 13), ("long", 1)):
        hit = (await searcher().search([indexed], parse(text), 10)).hits[0]
        assert (hit.chunk.path, hit.best_line) == (b"long.py", line), text


async def test_a_misspelt_word_is_replaced_with_a_note(indexed: Indexed) -> None:
    indexed.save("c.py", "def blueprint():\n    return 1\n")
    answer = await searcher().search([indexed], parse("bluperint"), 10)
    assert answer.hits[0].chunk.path == b"c.py"
    assert answer.notes == ["showing results for blueprint: bluperint does not occur"]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("alpha -lang:markdown", {b"a.py", b"b.py"}),
        ("alpha -lang:python", {b"note.md"}),
        ("alpha -kind:section", {b"a.py", b"b.py"}),
        ("alpha -symbol:alpha", {b"b.py", b"note.md"}),
        ("alpha -path:*.md -symbol:beta", {b"a.py"}),
    ],
)
async def test_filters_can_be_negated(indexed: Indexed, text: str, paths: set[bytes]) -> None:
    indexed.save("note.md", "# Alpha comes first\n\nThen beta.\n")
    assert set(await found(indexed, text)) == paths


async def test_a_language_and_a_kind_are_left_out_with_a_mark(indexed: Indexed) -> None:
    indexed.save("note.md", "# Alpha comes first\n")
    for query in (parse("first", language="!python"), parse("first", kind="!function")):
        answer = await searcher().search([indexed], query, 10)
        assert {hit.chunk.path for hit in answer.hits} == {b"note.md"}


@pytest.mark.parametrize("text", ["数", "总价", "数 alpha", "ราคา", "ราคาสินค้า"])
async def test_words_of_scripts_without_spaces_are_found(indexed: Indexed, text: str) -> None:
    indexed.save("c.py", "# 计算数 总价 ราคาสินค้า\ndef gamma():\n    return 3\n")
    assert (await found(indexed, text))[0] == b"c.py"


async def test_related_leaves_out_the_rest_of_the_same_definition(indexed: Indexed) -> None:
    body = "".join(f"    value_{number} = compute(value_{number - 1}, {number})\n" for number in range(1, 300))
    indexed.save("long.py", f"def long(value_0):\n{body}    return value_299\n")
    indexed.save("other.py", "def other(value_0):\n    value_1 = compute(value_0, 1)\n    return value_1\n")
    answer = await searcher().related(indexed, b"long.py", 1, 10)
    assert b"long.py" not in {hit.chunk.path for hit in answer.hits}
    assert b"other.py" in {hit.chunk.path for hit in answer.hits}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("kind:class thing", {("class", "Second", 5)}),
        ("symbol:third", {("function", "third", 9)}),
        ("-kind:function -kind:method thing", {("class", "Second", 5)}),
        ("kind:function symbol:first", {("function", "first", 1)}),
    ],
)
async def test_the_definition_that_passes_the_filters_is_shown(
    indexed: Indexed, text: str, places: set[tuple[str, str, int]]
) -> None:
    lines = ["def first(): return 'thing'", "", "", "", "class Second: thing = 1", "", "", "", "def third(): pass"]
    indexed.save("small.py", "\n".join(lines) + "\n")
    answer = await searcher().search([indexed], parse(f"path:small.py {text}"), 10)
    assert {(hit.kind, hit.symbol, hit.best_line) for hit in answer.hits} == places


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('alpha -"return alpha()"', {b"a.py"}),
        ("alpha -/return '\\w+'/", {b"b.py"}),
        ('alpha -"FIRST VALUE"', {b"a.py", b"b.py"}),
    ],
)
async def test_text_can_be_left_out(indexed: Indexed, text: str, paths: set[bytes]) -> None:
    assert set(await found(indexed, text)) == paths


async def test_a_compound_name_is_found_in_a_test_before_what_lacks_it(indexed: Indexed) -> None:
    for number in range(5):
        indexed.save(f"word_{number}.py", f"def fresh_words_{number}(word):\n    return fresh(word)\n")
    indexed.save("tests/test_copy.py", "def test_copy():\n    assert freshword8x30767() == 8\n")
    answer = await searcher().search([indexed], parse("freshword8x30767"), 10)
    assert answer.hits[0].chunk.path == b"tests/test_copy.py"
    assert answer.hits[0].parts["whole_name"] > 0


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('relation "users" does not exist', b"errors.c"),
        ('Invalid option at this index "2"', b"errors.c"),
        ('unknown key "x" for "y"', b"keys.go"),
        ('unknown key "of" for "test"', b"keys.go"),  # a test has the message with its values
        ('no such file "users table"', b"notes.py"),
        ('such a name of "users table"', b"notes.py"),
        ('lang:c relation "users" does not exist', b"errors.c"),
        ('unknown key "x" for "y" path:*.go', b"keys.go"),
    ],
)
async def test_what_a_message_quotes_need_not_occur(indexed: Indexed, text: str, path: bytes) -> None:
    indexed.save(
        "errors.c",
        'void f(char *s) {\n    fail("relation \\"%s\\" does not exist", s);\n'
        '    fail("Invalid option at this index %s");\n}\n',
    )
    indexed.save("keys.go", 'func f() error {\n\treturn fmt.Errorf("unknown key %q for %q", a, b)\n}\n')
    indexed.save("unknown_keys.go", "// unknown key for unknown key for\nvar unknown, key int\n" * 3)
    indexed.save("notes.py", "users = 2  # no such file: a users table\nindex = 2\n")
    indexed.save("keys_test.go", 'func TestF(t *T) {\n\t// the error is `unknown key "of" for "test"`\n\tf()\n}\n')
    answer = await searcher().search([indexed], parse(text), 10)
    assert answer.hits[0].chunk.path == path
    assert bool(answer.notes) is (path != b"notes.py")


async def test_a_message_outside_of_the_filters_is_no_message(indexed: Indexed) -> None:
    indexed.save("errors.c", 'void f(char *s) {\n    fail("relation \\"%s\\" does not exist", s);\n}\n')
    indexed.save("notes.py", "# a relation that does not exist\n")
    answer = await searcher().search([indexed], parse('path:*.py relation "users" does not exist'), 10)
    assert answer.hits == []


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("zxqvbnmw", "no code has this word; the closest in meaning are shown"),
        ("zxqvbnmw qqqwww", "no code has any of these words; the closest in meaning are shown"),
        ("zxqvbnmw alpha", ""),
        ("alph", ""),  # part of a word
        ("/alph./", ""),
        ("--alpha-flag", "no line has --alpha-flag; the closest are shown"),
        ("alpha version 1.4.0", "no line has 1.4.0; the closest are shown"),
        ("alpha()", ""),
        ("alpha.beta", ""),  # need not stand so
        ("alpha/beta.py", ""),  # a path
    ],
)
async def test_a_note_says_that_no_code_has_the_words(indexed: Indexed, text: str, note: str) -> None:
    asking = Searcher({indexed.query_model: OneVector()}, mask_secrets=True)
    answer = await asking.search([indexed], parse(text), 1)
    assert answer.hits
    assert answer.notes == ([note] if note else [])


@pytest.mark.parametrize("text", ['#include "b.h"', "#include /b\\.h/", '"b.h" #include'])
async def test_the_line_with_what_is_quoted_is_shown(indexed: Indexed, text: str) -> None:
    indexed.save("a.c", '#include <stdio.h>\n#include "a.h"\n#include "b.h"\n')
    answer = await searcher().search([indexed], parse(text), 1)
    assert answer.hits[0].best_line == 3


async def test_tests_beside_what_they_test_come_after_it(indexed: Indexed) -> None:
    body = "".join(f"    let step_{n} = normalise(version, {n});\n" for n in range(30))
    indexed.save(
        "less.rs",
        f"pub fn parse_version(version: &str) -> Version {{\n{body}}}\n\n"
        "#[cfg(test)]\nmod tests {\n    use super::*;\n\n"
        "    #[test]\n    fn the_version_of_less_is_parsed() {\n"
        '        assert_eq!(parse_version("less 5"), 5);\n    }\n}\n',
    )
    hits = (await searcher().search([indexed], parse("is the version of less parsed"), 10)).hits
    assert hits[0].symbol == "parse_version"
    hits = (await searcher().search([indexed], parse("tests of the version of less"), 10)).hits
    assert hits[0].symbol.startswith("tests")


async def test_the_number_that_was_typed_comes_before_others(indexed: Indexed) -> None:
    indexed.save(
        "CHANGELOG.md",
        "".join(
            f"## Version 1.{n}.0\n\n{f'The pool of version 1.{n}.0 is faster. ' * 25}\n\n" for n in range(20, 2, -1)
        ),
    )
    for text in ("version 1.4.0", "changes of v1.4.0"):
        first = (await searcher().search([indexed], parse(text), 3)).hits[0]
        assert "Version 1.4.0" in first.snippet
        assert "number" in first.parts


class Meaning(OneVector):
    """An embedder to which every query means a pool of values."""

    async def embed_query(self, text: str) -> Vectors:
        return StaticModel.load().embed_query("pool of values")


async def test_functions_come_first_without_being_evident(indexed: Indexed) -> None:
    table = "# The pool of values.\n" + '    "pool of values",\n' * 60
    indexed.save("c.py", f"POOL = [\n{table}]\n\n\ndef pool(values):\n" + "    values += pool\n" * 60)
    asking = Searcher({indexed.query_model: Meaning()}, mask_secrets=True)
    answer = await asking.search([indexed], parse("zxqvbnmw"), 10)
    assert any(hit.parts.get("function", 0.0) > 0 for hit in answer.hits)
    assert answer.notes == ["no code has this word; the closest in meaning are shown"]


async def test_a_filter_by_symbol_shows_its_line(indexed: Indexed) -> None:
    indexed.save("c.ts", "/**\n * Makes a draft.\n */\nexport const LIMIT = 5\n\nexport const produce = make.produce\n")
    (hit,) = (await searcher().search([indexed], parse("symbol:produce"), 10)).hits
    assert hit.best_line == 6


async def test_a_misspelt_part_of_a_qualified_name_is_corrected(indexed: Indexed) -> None:
    indexed.save("middleware.go", "package middleware\n\nfunc Logger() int {\n\treturn 1\n}\n")
    answer = await searcher().search([indexed], parse("middleware.Loger"), 3)
    assert (answer.hits[0].symbol, answer.notes) == (
        "Logger",
        ["showing results for middleware.Logger: Loger does not occur"],
    )


async def test_nothing_is_said_to_be_absent_before_everything_is_indexed(indexed: Indexed) -> None:
    asking = Searcher({indexed.query_model: OneVector()}, mask_secrets=True)
    note = "no line has --alpha-flag; the closest are shown"
    assert (await asking.search([indexed], parse("--alpha-flag"), 1)).notes == [note]
    indexed.state = RootState.INDEXING
    assert (await asking.search([indexed], parse("--alpha-flag"), 1)).notes == []
