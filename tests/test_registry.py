from __future__ import annotations

from pathlib import Path

import pytest

from codeindexd.errors import FailedError, PathRefusedError
from codeindexd.registry import Registry, RootSpec, admit, covering
from support.trees import Link, tree

HOME = Path("/nonexistent-home")


def spec(path: Path, identity: str = "one") -> RootSpec:
    status = path.stat()
    return RootSpec(identity, path, status.st_dev, status.st_ino)


def test_the_list_survives_being_saved(tmp_path: Path) -> None:
    odd = tmp_path / "caf\udce9"
    odd.mkdir()
    registry = Registry(tmp_path / "roots.json")
    registry.save([spec(tmp_path), spec(odd, "two")])
    assert registry.load() == [spec(tmp_path), spec(odd, "two")]
    assert (tmp_path / "roots.json").stat().st_mode & 0o777 == 0o600


def test_a_broken_list_is_kept_aside(tmp_path: Path) -> None:
    place = tmp_path / "roots.json"
    place.write_text('{"roots": [{"id": 1}')
    assert Registry(place).load() == []
    assert [kept.read_text() for kept in tmp_path.glob("roots.broken-*")] == ['{"roots": [{"id": 1}']


def test_what_cannot_be_a_root_is_refused_with_a_remedy(tmp_path: Path) -> None:
    tree(tmp_path, {"file.txt": "x", "home": None})
    for path, words in [
        (tmp_path / "missing", "does not exist"),
        (tmp_path / "file.txt", "is not a directory"),
        (Path("/"), "far more than code"),
        (tmp_path / "home", "far more than code"),
    ]:
        with pytest.raises(PathRefusedError, match=words) as refused:
            admit(path, [], force=False, home=tmp_path / "home")
        assert refused.value.hint
    assert admit(tmp_path / "home", [], force=True, home=tmp_path / "home").spec.path == tmp_path / "home"


def test_a_child_is_covered_and_a_parent_absorbs(tmp_path: Path) -> None:
    tree(tmp_path, {"a/b": None, "ab": None, "link": Link("a")})
    a, ab = spec(tmp_path / "a", "a"), spec(tmp_path / "ab", "ab")
    assert admit(tmp_path / "a/b", [a], force=False, home=HOME).spec is a
    assert admit(tmp_path / "link/b", [a], force=False, home=HOME).covered
    assert not admit(tmp_path / "ab", [a], force=False, home=HOME).covered
    assert admit(tmp_path, [a, ab], force=False, home=HOME).absorbs == (a, ab)


def test_a_path_belongs_to_the_root_around_it_even_when_it_is_gone(tmp_path: Path) -> None:
    tree(tmp_path, {"a": None})
    a = spec(tmp_path / "a", "a")
    assert covering(tmp_path / "a/gone/file.py", [a]) is a
    assert covering(tmp_path / "ab", [a]) is None


def test_a_list_that_cannot_be_read_is_no_empty_list(tmp_path: Path) -> None:
    (tmp_path / "roots.json").mkdir()
    with pytest.raises(FailedError, match="cannot read"):
        Registry(tmp_path / "roots.json").load()
