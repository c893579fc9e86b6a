"""Models are data from others: loading one never runs a program in it."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from codeindexd.analysis.embedding import model_files
from codeindexd.analysis.embedding.create import create
from codeindexd.analysis.embedding.transformer import TransformerEmbedder
from codeindexd.config import Embedding
from codeindexd.errors import EmbedderError
from support.trees import Node, tree

pytestmark = pytest.mark.processes

HASHED = "analysis.embedding.scripted_models:Hashed"
PLAIN = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


class Bomb:
    """An object that creates a directory when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, (str(self.marker),)


def hostile(marker: Path) -> dict[str, dict[str, Node]]:
    """Return model directories that create ``marker`` when a careless library loads them."""
    code = f"import os\nos.mkdir({str(marker)!r})\nclass Evil:\n    load = staticmethod(lambda *a, **k: None)\n"
    bomb = pickle.dumps(Bomb(marker))

    def module(kind: str, path: str = "") -> str:
        return json.dumps([*PLAIN[:1], {"idx": 1, "path": path, "type": kind}])

    return {
        "its own module": {"modules.json": module("evil.Evil"), "evil.py": code},
        "a module of the standard library": {"modules.json": module("os.system")},
        "a sentence-transformers class that loads others": {
            "modules.json": module("sentence_transformers.models.Router"),
            "router_config.json": json.dumps({"types": {"a": "evil.Evil"}, "structure": {"a": ["a"]}}),
            "evil.py": code,
        },
        "a module without a type": {"modules.json": json.dumps([*PLAIN, "evil.Evil"])},
        "a module outside the directory": {"modules.json": module("sentence_transformers.models.Pooling", "../..")},
        "pickled weights": {"modules.json": json.dumps(PLAIN), "config.json": "{}", "pytorch_model.bin": bomb},
        "pickled weights in parts": {"config.json": "{}", "pytorch_model-00001-of-00002.bin": bomb},
        "pickled weights of a layer": {
            "modules.json": module("sentence_transformers.models.Dense", "2_Dense"),
            "model.safetensors": b"",
            "2_Dense/config.json": "{}",
            "2_Dense/pytorch_model.bin": bomb,
        },
        "an activation function": {
            "modules.json": module("sentence_transformers.models.Dense", "2_Dense"),
            "2_Dense/config.json": json.dumps({"activation_function": "os.abort"}),
        },
    }


@pytest.mark.parametrize("what", hostile(Path("/nowhere")))
def test_a_model_with_a_program_is_refused_before_it_is_loaded(tmp_path: Path, what: str) -> None:
    model = tree(tmp_path / "model", {"config.json": "{}", **hostile(tmp_path / "marker")[what]})
    with pytest.raises(EmbedderError, match="refusing to load") as caught:
        TransformerEmbedder.open(str(model), loader=HASHED)
    assert "safetensors" in caught.value.hint
    assert not (tmp_path / "marker").exists()


def test_the_bomb_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../model",
        "./model",
        ".",
        "..",
        "a/../../b",
        "a/b/c",
        "file:///etc",
        "ftp://x/y",
        "models/../x",
        "a b",
        "-m",
        "a\nb",
    ],
)
def test_an_invalid_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tree(tmp_path / "model", {"modules.json": json.dumps(PLAIN)})
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(EmbedderError, match="is not a valid model name"):
        create(Embedding(model=name))


def test_a_name_is_not_looked_up_in_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository may have a directory of that name, and the daemon may have been started in it."""
    tree(tmp_path / "org/model", {"modules.json": json.dumps(PLAIN), "model.safetensors": ""})
    monkeypatch.chdir(tmp_path)
    assert model_files.find("org/model", {"HF_HOME": str(tmp_path / "cache")}) is None
    assert model_files.find(str(tmp_path / "org/model")) == tmp_path / "org/model"
