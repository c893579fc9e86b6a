from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from codeindexd.scan.relpath import ancestors, collapse, is_covered, name_of, parent_of

_NAMES = st.sampled_from([b"a", b"b", b"a-b", b"a.py", b"\xff"])
_PATHS = st.lists(_NAMES, max_size=4).map(b"/".join)


@given(st.lists(_PATHS, max_size=12))
def test_collapse_covers_everything_once(paths: list[bytes]) -> None:
    kept = collapse(paths)
    covers = [[k for k in kept if path == k or not k or path.startswith(k + b"/")] for path in paths]
    assert all(len(by) == 1 for by in covers)
    assert kept <= set(paths)


@given(_PATHS)
def test_a_path_is_its_parent_and_its_name(path: bytes) -> None:
    assert b"/".join(filter(None, [parent_of(path), name_of(path)])) == path


def test_ancestors_end_at_the_root() -> None:
    assert list(ancestors(b"a/b/c")) == [b"a/b", b"a", b""]
    assert list(ancestors(b"a")) == [b""]
    assert list(ancestors(b"")) == []


def test_a_name_that_only_begins_alike_is_not_covered() -> None:
    assert is_covered(b"src/a.py", {b"src"})
    assert is_covered(b"src", {b"src"})
    assert is_covered(b"src", {b""})
    assert not is_covered(b"src-old/a.py", {b"src"})
