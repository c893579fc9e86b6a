from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeindexd.analysis.embedding import static
from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.analysis.tokens import Tokenizer
from codeindexd.errors import EmbedderError

ARGPARSE = """
    def parse_args(self, args=None, namespace=None):
        args, argv = self.parse_known_args(args, namespace)
        if argv:
            self.error(_("unrecognized arguments: %s") % " ".join(argv))
        return args
"""
SOCKETS = """
    def accept(self):
        fd, addr = self._accept()
        sock = socket(self.family, self.type, self.proto, fileno=fd)
        if getdefaulttimeout() is None and self.gettimeout():
            sock.setblocking(True)
        return sock, addr
"""
DATES = """
    public static LocalDate parseDate(String text) {
        return LocalDate.parse(text, DateTimeFormatter.ISO_LOCAL_DATE).withDayOfMonth(1);
    }
"""


@pytest.fixture(scope="module")
def model() -> StaticModel:
    return StaticModel.load()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the bundled model that a test can damage."""
    directory = tmp_path / "model"
    directory.mkdir()
    for name in (static.CONFIG, static.HASHES, static.ROWS, static.SCALES):
        shutil.copy(static.BUNDLED / name, directory / name)
    return directory


@pytest.mark.parametrize(
    ("question", "nearest"),
    [
        ("parse command line arguments", ARGPARSE),
        ("accept an incoming network connection", SOCKETS),
        ("convert a string to a calendar date", DATES),
    ],
)
def test_a_query_is_nearest_to_the_code_that_answers_it(model: StaticModel, question: str, nearest: str) -> None:
    codes = [ARGPARSE, SOCKETS, DATES]
    scores = model.embed(codes) @ model.embed_query(question)
    assert codes[int(np.argmax(scores))] == nearest


def test_shapes(model: StaticModel) -> None:
    assert model.dimensions == 256
    assert model.embed(["one", "two three"]).shape == (2, 256)
    assert model.embed([]).shape == (0, 256)
    assert model.embed_query("one").shape == (256,)
    assert model.embed(["one"]).dtype == np.float32


@settings(max_examples=60)
@given(st.lists(st.text(max_size=80), max_size=5))
def test_every_vector_is_finite_and_of_unit_length(model: StaticModel, texts: list[str]) -> None:
    vectors = model.embed(texts)
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_texts_without_words_have_their_own_direction(model: StaticModel) -> None:
    empty, braces, code = model.embed(["", "}})\n", ARGPARSE])
    assert np.array_equal(empty, braces)
    assert abs(float(empty @ code)) < 0.35


def test_vectors_do_not_depend_on_other_texts(model: StaticModel) -> None:
    alone = model.embed([ARGPARSE])[0]
    model.embed([f"wordNumber{n}" for n in range(3000)])
    assert np.array_equal(model.embed([SOCKETS, ARGPARSE])[1], alone)
    assert np.array_equal(StaticModel.load().embed([ARGPARSE])[0], alone)


def test_words_and_text_give_the_same_vector(model: StaticModel) -> None:
    words, title = Tokenizer().words(ARGPARSE), Tokenizer().words(static.first_line(ARGPARSE))
    assert title == ["def", "parse", "args", "self", "args", "none", "namespace", "none"]
    assert np.array_equal(model.embed_words([words, words], [title, title]), model.embed([ARGPARSE, ARGPARSE]))
    assert np.array_equal(model.embed_query(ARGPARSE), model.embed([ARGPARSE])[0])


def test_the_first_line_weighs_more(model: StaticModel) -> None:
    """Queries name a chunk more often than what it calls."""
    named, calling = model.embed(
        ["def close_socket(x):\n    open_file(x)\n", "def open_file(x):\n    close_socket(x)\n"]
    )
    question = model.embed_query("close a socket")
    assert float(named @ question) > float(calling @ question) + 0.1


def test_an_unknown_word_is_composed_of_known_ones(model: StaticModel) -> None:
    assert len(model.rows_of("user")) == 1
    glued = model.rows_of("userpasswordvalidator")
    assert glued == model.rows_of("user") + model.rows_of("password") + model.rows_of("validator")


def test_words_of_unknown_characters_have_different_vectors(model: StaticModel) -> None:
    first, again, other = model.embed(["ꙮꙮ", "ꙮꙮ", "ꙁꙃꙅ"])
    assert np.array_equal(first, again)
    assert float(first @ other) < 0.5


def test_a_long_unknown_word_takes_little_time(model: StaticModel) -> None:
    """Only the start of an unknown word is examined."""
    assert len(model.rows_of("qxz" * 300_000)) <= 24


def test_arrays_are_mapped_not_read(model: StaticModel) -> None:
    base = model._rows.base
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not model._rows.flags.writeable


def test_identity_depends_on_the_weights(copy: Path) -> None:
    before = StaticModel.load(copy).identity
    assert before == StaticModel.load().identity
    rows = np.load(copy / static.ROWS)
    rows[5, 5] ^= 1
    np.save(copy / static.ROWS, rows)
    assert static.identity_of(copy) != before


@pytest.mark.parametrize("name", [static.CONFIG, static.HASHES, static.ROWS, static.SCALES])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "flipped", "other"])
def test_a_damaged_directory_is_refused(copy: Path, name: str, damage: str) -> None:
    path = copy / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "flipped" and name != static.CONFIG:
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 8]) + data[-8:])
    else:
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2]}.get(damage, b"[]"))
    with pytest.raises(EmbedderError) as raised:
        StaticModel.load(copy)
    assert raised.value.hint


def test_another_format_is_refused(copy: Path) -> None:
    config = json.loads((copy / static.CONFIG).read_bytes())
    (copy / static.CONFIG).write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(EmbedderError, match="format"):
        StaticModel.load(copy)


def test_the_bundled_model_is_small() -> None:
    assert sum(path.stat().st_size for path in static.BUNDLED.rglob("*") if path.is_file()) <= 16_000_000


def test_look_ups_find_exactly_the_known_words(copy: Path) -> None:
    """Also with uneven hashes, and for the first and the last row."""
    words = [f"w{n}" for n in range(500)]
    hashes = np.sort(np.array([static.word_hash(word) for word in words], np.uint64))
    finder = static._RowFinder(hashes)
    for word in words:
        assert finder.rows_of(word) == (int(np.searchsorted(hashes, np.uint64(static.word_hash(word)))),)
    assert finder.rows_of("nothing") == ()
    edges = np.array([0, 1, 5, 2**64 - 2, 2**64 - 1], np.uint64)
    assert [static._RowFinder(edges)._find(int(key)) for key in edges] == [0, 1, 2, 3, 4]
    assert [static._RowFinder(edges)._find(key) for key in (2, 4, 6, 2**64 - 3)] == [None] * 4
