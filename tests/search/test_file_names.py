"""How close names of files are to questions, by the bundled model."""

from __future__ import annotations

import pytest

from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.search.file_names import closeness_of_names, name_text

MODEL = StaticModel.load()


@pytest.mark.parametrize(
    ("question", "closest"),
    [
        ("how are requests routed", b"src/router.py"),
        ("authentication of users", b"src/auth.py"),
        ("where is the input parsed", b"src/parser.py"),
    ],
)
def test_derived_words_and_abbreviations_are_close(question: str, closest: bytes) -> None:
    paths = [b"src/router.py", b"src/auth.py", b"src/parser.py", b"src/storage.py"]
    closeness = closeness_of_names(MODEL.embed, question, paths)
    assert max(closeness, key=closeness.__getitem__) == closest
    assert set(closeness) == set(paths)
    assert (min(closeness.values()), max(closeness.values())) == (0.0, 1.0)


def test_directories_tell_siblings_apart() -> None:
    closeness = closeness_of_names(MODEL.embed, "a session of the client", [b"server/session.ts", b"client/session.ts"])
    assert closeness[b"client/session.ts"] > closeness[b"server/session.ts"]


def test_a_file_whose_name_says_nothing_is_named_by_its_directory() -> None:
    assert name_text(b"src/thread_pool/mod.rs") == "thread pool\nsrc"
    assert name_text(b"lib/index.js") == "lib\n"
    assert name_text(b"index.js") == "index\n"
    assert name_text(b"src/HTTPServer.java") == "http server\nsrc"


def test_nothing_is_known_without_a_model_or_a_choice() -> None:
    assert closeness_of_names(None, "a question", [b"a.py", b"b.py"]) == {}
    assert closeness_of_names(MODEL.embed, "a question", [b"a.py"]) == {}
    assert closeness_of_names(MODEL.embed, "a question", [b"a.py", b"a.go"]) == {}
