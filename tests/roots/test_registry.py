from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codeindexd.errors import FailedError, PathRefusedError
from codeindexd.roots.registry import Registry, RootSpec, admit, roots_containing, roots_inside
from support.trees import Link, tree

HOME = Path("/nonexistent-home")


def spec(path: Path, identity: str = "one") -> RootSpec:
    status = path.stat()
    return RootSpec(identity, path, status.st_dev, status.st_ino)


def test_a_saved_list_is_loaded_again(tmp_path: Path) -> None:
    odd = tmp_path / "caf\udce9"
    odd.mkdir()
    registry = Registry(tmp_path / "roots.json")
    registry.save([spec(tmp_path), spec(odd, "two")])
    assert registry.load() == [spec(tmp_path), spec(odd, "two")]
    assert (tmp_path / "roots.json").stat().st_mode & 0o777 == 0o600


def saved(directory: Path) -> tuple[Path, list[RootSpec]]:
    """Save a list twice, and return what it holds."""
    registry, specs = Registry(directory / "roots.json"), [spec(directory), spec(directory, "two")]
    registry.save(specs[:1])
    registry.save(specs)
    return directory / "roots.json", specs


def test_every_flipped_bit_is_detected_and_loses_no_root(tmp_path: Path) -> None:
    place, specs = saved(tmp_path)
    whole = place.read_bytes()
    noticed = 0
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        place.write_bytes(damaged)
        assert Registry(place).load() == specs
        for kept in tmp_path.glob("roots.broken-*"):
            assert kept.read_bytes() == damaged
            kept.unlink()
            noticed += 1
        assert place.read_bytes() == whole or Registry(place).load() == specs
    assert noticed > len(whole) * 3 // 4  # the rest is white space


@pytest.mark.parametrize("name", ["roots.json", "roots-copy.json"])
def test_one_copy_of_the_list_is_enough(tmp_path: Path, name: str) -> None:
    place, specs = saved(tmp_path)
    older = (tmp_path / name).read_bytes()
    Registry(place).load()
    registry = Registry(place)
    registry.load()
    registry.save([*specs, spec(tmp_path, "three")])
    (tmp_path / name).write_bytes(older)
    assert [root.id for root in Registry(place).load()] == ["one", "two", "three"], "the newer copy counts"
    (tmp_path / name).unlink()
    registry = Registry(place)
    assert [root.id for root in registry.load()] == ["one", "two", "three"]
    assert not registry.is_lost


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text('{"roots": []}')])
@pytest.mark.parametrize(("first", "then"), [("roots.json", "roots-copy.json"), ("roots-copy.json", "roots.json")])
def test_the_copies_may_be_damaged_one_after_the_other(
    tmp_path: Path, harm: Callable[[Path], object], first: str, then: str
) -> None:
    place, specs = saved(tmp_path)
    for name in (first, then, first):
        harm(tmp_path / name)
        registry = Registry(place)
        assert registry.load() == specs
        assert not registry.is_lost


def test_damaged_lists_are_renamed(tmp_path: Path) -> None:
    place, _ = saved(tmp_path)
    for path in (place, tmp_path / "roots-copy.json"):
        path.write_text('{"roots": [{"id": 1}')
    registry = Registry(place)
    assert registry.load() == []
    assert registry.is_lost, "their stores must not be removed"
    assert [kept.read_text() for kept in tmp_path.glob("roots*.broken-*")] == 2 * ['{"roots": [{"id": 1}']


def test_the_first_format_is_read(tmp_path: Path) -> None:
    place, specs = saved(tmp_path)
    document = json.loads(place.read_text())
    (tmp_path / "roots-copy.json").unlink()
    place.write_text(json.dumps({"format": 1, "roots": document["roots"]}))
    assert Registry(place).load() == specs


def test_files_of_a_killed_save_are_removed(tmp_path: Path) -> None:
    place, specs = saved(tmp_path)
    (tmp_path / "roots.json.new").write_text("half")
    assert Registry(place).load() == specs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["roots-copy.json", "roots.json"]


def test_paths_that_cannot_be_roots_are_refused_with_a_hint(tmp_path: Path) -> None:
    tree(tmp_path, {"file.txt": "x", "home": None})
    for path, words in [
        (tmp_path / "missing", "does not exist"),
        (tmp_path / "file.txt", "is not a directory"),
        (Path("/"), "far more than code"),
        (tmp_path / "home", "far more than code"),
        *([(Path("/proc/sys"), r"the state of the kernel \(proc\)")] if sys.platform == "linux" else []),
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
    assert roots_inside(admit(tmp_path, [a, ab], force=False, home=HOME).spec, [a, ab]) == (a, ab)


def test_a_missing_path_belongs_to_the_root_around_it(tmp_path: Path) -> None:
    tree(tmp_path, {"a": None})
    a = spec(tmp_path / "a", "a")
    assert roots_containing(tmp_path / "a/gone/file.py", [a]) == [(a, b"gone/file.py")]
    assert roots_containing(tmp_path / "ab", [a]) == []


def test_the_innermost_root_comes_first(tmp_path: Path) -> None:
    tree(tmp_path, {"a/b/c": None, "link": Link("a/b")})
    outer, inner = spec(tmp_path, "outer"), spec(tmp_path / "a/b", "inner")
    assert roots_containing(tmp_path / "a/b/c", [outer, inner]) == [(inner, b"c"), (outer, b"a/b/c")]
    assert roots_containing(tmp_path / "link/c", [outer, inner]) == [
        (outer, b"link/c"),
        (inner, b"c"),
        (outer, b"a/b/c"),
    ], "as it is written, then resolved"
    assert roots_containing(tmp_path / "a/b", [outer, inner])[0] == (inner, b"")


def test_a_directory_that_a_root_leaves_out_is_not_covered_by_it(tmp_path: Path) -> None:
    tree(tmp_path, {"ignored/lib": None})
    outer = spec(tmp_path, "outer")
    asked: list[bytes] = []

    def indexes(spec: RootSpec, below: bytes) -> bool:
        asked.append(below)
        return False

    admission = admit(tmp_path / "ignored/lib", [outer], force=False, home=HOME, indexes=indexes)
    assert not admission.covered
    assert admission.spec.path == tmp_path / "ignored/lib"
    assert asked == [b"ignored/lib"]
    assert admit(tmp_path, [outer], force=False, home=HOME, indexes=indexes).spec is outer, "the root itself is covered"


def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "roots.json").mkdir()
    with pytest.raises(FailedError, match="cannot read"):
        Registry(tmp_path / "roots.json").load()
