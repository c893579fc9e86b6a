"""How central files are, by the names they define and use."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from codeindexd.analysis.chunking import analyse
from codeindexd.analysis.references.centrality import FileNames, file_ranks

CORE = b"class Engine:\n    def start_engine(self):\n        pass\n\n\ndef build_engine():\n    return Engine()\n"
USERS = [b"from core import build_engine\n\n\ndef run_%d():\n    build_engine().start_engine()\n" % n for n in range(4)]
ALONE = b"def lonely():\n    return 1\n"


def names_of(text: bytes, language: str = "python") -> FileNames:
    analysis = analyse(text, language)
    return FileNames.of([(one.name, one.kind) for one in analysis.definitions], analysis.references)


def test_a_file_that_others_use_is_central() -> None:
    ranks = file_ranks([names_of(text) for text in (CORE, *USERS, ALONE)])
    assert ranks.argmax() == 0
    assert len(set(ranks[1:].tolist())) == 1  # nothing uses the others


def test_rank_is_passed_on_along_calls() -> None:
    deep = b"def deep_call():\n    pass\n"
    middle = b"def middle_call():\n    deep_call()\n"
    tops = [b"def top_%d():\n    middle_call()\n" % number for number in range(3)]
    once_used = b"def once_used():\n    pass\n"
    user = b"def user():\n    once_used()\n"
    ranks = file_ranks([names_of(text) for text in (deep, middle, *tops, once_used, user)])
    assert ranks[0] > ranks[1] > ranks[5]  # each is used by one file or three, but not by equally central ones


def test_the_order_of_files_does_not_matter() -> None:
    files = [names_of(text) for text in (CORE, *USERS, ALONE)]
    expected = sorted(file_ranks(files).tolist())
    for order in itertools.islice(itertools.permutations(range(len(files))), 0, 720, 97):
        ranks = file_ranks([files[number] for number in order])
        assert sorted(ranks.tolist()) == expected
        assert ranks[order.index(0)] == ranks.max()


def test_a_name_that_many_files_define_says_nothing() -> None:
    defining = [b"def common_name():\n    return %d\n" % number for number in range(6)]
    user = b"def user():\n    common_name()\n"
    assert len(set(file_ranks([names_of(text) for text in (*defining, user)]).tolist())) == 1
    few = file_ranks([names_of(text) for text in (*defining[:5], user)])
    assert few[0] > few[5]


def test_headings_and_keys_are_no_names_for_code() -> None:
    assert not len(names_of(b"# Engine\n\nText.\n", "markdown").defined)
    assert not len(names_of(b'{"build_engine": 1}\n', "json").defined)


def test_no_files_and_files_without_names() -> None:
    assert file_ranks([]).tolist() == []
    empty = FileNames.of([], None)
    assert file_ranks([empty, empty]).tolist() == pytest.approx([0.0, 0.0])
    only_used = names_of(b"print_nothing()\n")
    assert np.isfinite(file_ranks([only_used, empty])).all()
