"""The definitions of files in the catalog: kept with their file, found by name, consistent with the chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.catalog.outlines import get_definitions, put_definitions
from codeindexd.types import Definition, FileUpdate, Transaction, Visibility
from storage.catalog.transactions import failed, move, update

CLASS = Definition("Job", "Job", "class", 1, 7, 1, 9, "class Job", "A job.", Visibility.PUBLIC)
FIELD = Definition("limit", "Job.limit", "field", 2, 5, 2, 2, "limit = 3", container=0)
BLOCK = Definition("Job", "Job", "impl", 9, 6, 9, 9)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    yield catalog
    assert catalog.check() == []
    catalog.close()


def with_definitions(path: str, content: str, *definitions: Definition, is_partial: bool = False) -> FileUpdate:
    return replace(update(path, content), definitions=definitions, is_partial=is_partial)


def held(catalog: Catalog, path: bytes) -> tuple[Definition, ...]:
    with catalog.snapshot() as snapshot:
        file = snapshot.file(path)
        assert file is not None
        return snapshot.definitions([file.file_id]).get(file.file_id, ())


def found(catalog: Catalog, name: str) -> list[tuple[str, int]]:
    with catalog.snapshot() as snapshot:
        return [(one.definition.kind, one.chunk.span.start_line) for one in snapshot.definitions_named(name)]


def test_definitions_are_kept_with_their_file(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[with_definitions("a.py", "Job limit", CLASS, FIELD)]))
    assert held(catalog, b"a.py") == (CLASS, FIELD)
    catalog.commit(Transaction(moves=[move("a.py", "b.py", "Job limit")]))
    assert held(catalog, b"b.py") == (CLASS, FIELD)
    catalog.commit(Transaction(updates=[with_definitions("b.py", "Job other", CLASS)]))
    assert held(catalog, b"b.py") == (CLASS,)
    assert found(catalog, "limit") == []


@pytest.mark.parametrize("change", [Transaction(removals=[b"a.py"]), Transaction(updates=[failed("a.py")])])
def test_definitions_go_with_their_file(catalog: Catalog, change: Transaction) -> None:
    catalog.commit(Transaction(updates=[with_definitions("a.py", "Job", CLASS, FIELD)]))
    catalog.commit(change)
    assert found(catalog, "limit") == found(catalog, "Job") == []


def test_changed_definitions_alone_are_a_new_generation(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[with_definitions("a.py", "Job", CLASS)]))
    before = catalog.generation
    catalog.commit(Transaction(updates=[with_definitions("a.py", "Job", CLASS, FIELD)]))
    assert catalog.generation == before + 1
    catalog.commit(Transaction(updates=[with_definitions("a.py", "Job", CLASS, FIELD)]))
    assert catalog.generation == before + 1


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("Job", ["class"]),  # a block that adds members to a class defines no name
        ("job", ["class"]),
        ("limit", ["field"]),
        ("Job.limit", ["field"]),
        ("Job::limit", ["field"]),
        ("Job\\limit", ["field"]),
        ("Other.limit", []),
    ],
)
def test_definitions_are_found_by_name(catalog: Catalog, name: str, kinds: list[str]) -> None:
    catalog.commit(Transaction(updates=[with_definitions("a.py", "Job limit", CLASS, FIELD, BLOCK)]))
    assert [kind for kind, _ in found(catalog, name)] == kinds


def test_a_definition_comes_with_the_chunk_of_its_name(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[with_definitions("a.py", "Job load save", CLASS, FIELD)]))
    assert found(catalog, "limit") == [("field", 2)]


@pytest.mark.parametrize("name", ["log::info", ".=", "A#b"])
def test_a_name_may_have_marks_that_separate_others(catalog: Catalog, name: str) -> None:
    one = Definition(name, f"Log.{name}", "function", 1, 1, 1, 1)
    catalog.commit(Transaction(updates=[with_definitions("a.sh", "Job", one)]))
    assert [kind for kind, _ in found(catalog, name)] == ["function"]


@pytest.mark.parametrize(("name", "kinds", "lines"), [(None, ["field"], [2]), ("limit", [], [2]), ("limit", ["x"], [])])
def test_filters_find_the_chunks_of_details(
    catalog: Catalog, name: str | None, kinds: list[str], lines: list[int]
) -> None:
    catalog.commit(Transaction(updates=[with_definitions("a.py", "Job load", CLASS, FIELD)]))
    with catalog.snapshot() as snapshot:
        ids = snapshot.chunk_ids(kinds=kinds, symbol=name)
        assert [snapshot.chunks([i])[i].span.start_line for i in ids.tolist()] == lines
        assert snapshot.chunk_ids(kinds=kinds, symbol=name, language="go").tolist() == []


def test_parts_of_names_lead_to_details(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[with_definitions("a.py", "limiter", FIELD)]))
    with catalog.snapshot() as snapshot:
        assert snapshot.symbol_names("limi", only_prefix=True, limit=9) == ["limit", "limiter"]
        assert snapshot.symbol_names("mit", only_prefix=False, limit=9) == ["limit", "limiter"]


def test_a_file_that_was_not_understood_is_known(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[with_definitions("a.py", "x", is_partial=True), update("b.py", "y")]))
    with catalog.snapshot() as snapshot:
        files = {file.entry.path: snapshot.is_partial(file.file_id) for file in snapshot.files()}
    assert files == {b"a.py": True, b"b.py": False}


_TEXT = st.text(max_size=9)


@given(
    st.lists(
        st.tuples(_TEXT, _TEXT, st.sampled_from(["class", "field"]), st.integers(1, 9), st.integers(1, 1 << 40)),
        max_size=9,
    )
)
def test_any_definitions_survive_encoding(rows: list[tuple[str, str, str, int, int]]) -> None:
    definitions = tuple(
        Definition(name, qualified, kind, line, column, line, line + 3, name * 2, qualified, container=number - 1)
        for number, (name, qualified, kind, line, column) in enumerate(rows)
    )
    assert get_definitions(put_definitions(definitions)) == definitions


@pytest.mark.parametrize("blob", [b"", b"x", put_definitions((CLASS,))[:-6], put_definitions((CLASS, FIELD))[:20]])
def test_broken_definitions_are_recognized(blob: bytes) -> None:
    with pytest.raises(StoreDamagedError):
        get_definitions(blob)


def test_several_names_are_found_as_each_of_them_is(catalog: Catalog) -> None:
    runner = Definition("jobs", "jobs", "function", 9, 5, 9, 9)
    catalog.commit(Transaction(updates=[with_definitions("a.py", "Job limit", CLASS, FIELD)]))
    catalog.commit(Transaction(updates=[with_definitions("b.py", "Job jobs", CLASS, runner, BLOCK)]))
    with catalog.snapshot() as snapshot:
        together = snapshot.definitions_of_names(["jobs", "Job.limit", "job", "none"], limit=1)
        each = [stored for name in ("jobs", "Job.limit", "job") for stored in snapshot.definitions_named(name, limit=1)]
    assert [(one.chunk.path, one.definition) for one in together] == [(one.chunk.path, one.definition) for one in each]
