"""How central files are, by the names they define and use."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.references.centrality import (
    DefiningFiles,
    assigned_fields,
    defined_names,
    file_ranks,
    used_names,
)

CORE = b"class Engine:\n    def start_engine(self):\n        pass\n\n\ndef build_engine():\n    return Engine()\n"
USERS = [b"from core import build_engine\n\n\ndef run_%d():\n    build_engine().start_engine()\n" % n for n in range(4)]
ALONE = b"def lonely():\n    return 1\n"


def ranks_of(files: Sequence[tuple[bytes, str]], directories: Sequence[bytes] = ()) -> NDArray[np.float32]:
    """Return the ranks of files, each given by its text and language, in ``directories`` or all in the same one."""
    found = [analyse(text, language) for text, language in files]
    defined = [defined_names((one.name, one.kind) for one in file.definitions) for file in found]
    defining = DefiningFiles(defined, directories or [b""] * len(files))
    return file_ranks([defining.relied_on(place, *used_names(file.references)) for place, file in enumerate(found)])


def ranks(*texts: bytes) -> NDArray[np.float32]:
    """Return the ranks of files of Python."""
    return ranks_of([(text, "python") for text in texts])


def test_a_file_that_others_use_is_central() -> None:
    found = ranks(CORE, *USERS, ALONE)
    assert found.argmax() == 0
    assert len(set(found[1:].tolist())) == 1  # nothing uses the others


def test_rank_is_passed_on_along_calls() -> None:
    deep = b"def deep_call():\n    pass\n"
    middle = b"def middle_call():\n    deep_call()\n"
    tops = [b"def top_%d():\n    middle_call()\n" % number for number in range(3)]
    once_used = b"def once_used():\n    pass\n"
    user = b"def user():\n    once_used()\n"
    found = ranks(deep, middle, *tops, once_used, user)
    assert found[0] > found[1] > found[5]  # each is used by one file or three, but not by equally central ones


def test_the_order_of_files_does_not_matter() -> None:
    texts = [CORE, *USERS, ALONE]
    expected = sorted(ranks(*texts).tolist())
    for order in itertools.islice(itertools.permutations(range(len(texts))), 0, 720, 97):
        found = ranks(*(texts[number] for number in order))
        assert sorted(found.tolist()) == expected
        assert found[order.index(0)] == found.max()


def test_a_name_that_many_files_define_says_nothing() -> None:
    defining = [b"def common_name():\n    return %d\n" % number for number in range(6)]
    user = b"def user():\n    common_name()\n"
    assert len(set(ranks(*defining, user).tolist())) == 1
    few = ranks(*defining[:5], user)
    assert few[0] > few[5]


def test_a_definition_nearby_is_probably_meant() -> None:
    defining, user = b"def take():\n    pass\n", b"def user_%d():\n    take()\n"
    places = [b"lib", b"tools/test", *(b"app/%d" % number for number in range(4)), b"tools/test/more"]
    files = [defining, defining, *(user % number for number in range(len(places) - 2))]
    of_lib, of_tools, *_ = ranks_of([(text, "python") for text in files], places)
    assert of_lib > of_tools
    of_lib, of_tools, *_ = ranks_of([(text, "python") for text in files], [b"lib", b"app/tools", *places[2:]])
    assert of_tools > of_lib  # one step from the users, which are two from the other


def test_a_file_that_defines_a_name_itself_relies_less_on_others() -> None:
    defining = b"def take():\n    pass\n"
    other = b"def give():\n    pass\n"
    user = defining + b"def user():\n    take()\n    give()\n"
    of_take, of_give, _ = ranks(defining, other, user)
    assert of_give > of_take


def test_of_deep_directories_the_upper_ones_count() -> None:
    defining, user = b"def take():\n    pass\n", b"def user():\n    take()\n"
    deep = b"/".join([b"d"] * 40)
    assert np.isfinite(ranks_of([(defining, "python"), (user, "python")], [deep, deep + b"/e"])).all()


def test_headings_and_keys_are_no_names_for_code() -> None:
    for text, language in ((b"# Engine\n\nText.\n", "markdown"), (b'{"build_engine": 1}\n', "json")):
        assert not len(defined_names((one.name, one.kind) for one in analyse(text, language).definitions))


def test_no_files_and_files_without_names() -> None:
    assert ranks().tolist() == []
    assert ranks(b"", b"").tolist() == pytest.approx([0.0, 0.0])
    assert np.isfinite(ranks(b"print_nothing()\n", b"")).all()


def test_fields_that_functions_assign_to_are_told_from_declared_ones() -> None:
    text = b"class A:\n    declared = 1\n\n    def f(self):\n        self.assigned = 1\n\n    later = 1\n"
    found = analyse(text, "python").definitions
    places = assigned_fields((one.kind, one.line, one.end_line) for one in found)
    assert [found[place].name for place in places] == ["assigned"]
