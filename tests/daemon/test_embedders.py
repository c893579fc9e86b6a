"""The models that queries can be embedded with while another model's vectors are incomplete."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import anyio

from codeindexd.config import Embedding
from codeindexd.daemon.embedders import Embedders

ENDPOINT = "http://127.0.0.1:9/v1#model={}&dimensions=16"  # not contacted before a text is embedded


def opened(state: Path, name: str, in_use: Collection[str] = ()) -> Embedders:
    model = name if name == "bundled" else ENDPOINT.format(name)
    models = Embedders.open(Embedding(model=model), state=state, in_use=in_use)
    anyio.run(models.aclose)
    return models


def identity(state: Path, name: str) -> str:
    """Return the identity of a model, in a state directory of its own."""
    apart = state / "apart"
    apart.mkdir(exist_ok=True)
    return opened(apart, name).configured.identity


def test_a_previous_model_is_kept_while_a_root_has_its_vectors(tmp_path: Path) -> None:
    a, b, c = (identity(tmp_path, name) for name in "abc")
    opened(tmp_path, "a")
    for _ in range(3):
        assert a in opened(tmp_path, "b", {a, b}).others, "after a restart in the middle of the switch, too"
    assert {a, b} <= opened(tmp_path, "c", {a, b}).others.keys()
    assert b in opened(tmp_path, "c", {b, c}).others
    assert a not in opened(tmp_path, "c", {b, c}).others
    opened(tmp_path, "c", {c})
    assert not {a, b} & opened(tmp_path, "c", {c}).others.keys()


def test_the_last_configured_model_is_available_once(tmp_path: Path) -> None:
    """Its identity, and so whether a root has its vectors, is known only once it was opened."""
    a = identity(tmp_path, "a")
    opened(tmp_path, "a")
    assert opened(tmp_path, "b").others.keys() == {a, identity(tmp_path, "bundled")}
    assert a not in opened(tmp_path, "b").others


def test_an_endpoint_on_a_server_that_is_no_longer_configured_is_not_asked(tmp_path: Path) -> None:
    a = identity(tmp_path, "a")
    elsewhere = "http://127.0.0.1:10/v1#model=a&dimensions=16"
    for model in ("bundled", elsewhere):
        (tmp_path / "last-model").write_text(json.dumps([ENDPOINT.format("a")]))
        models = Embedders.open(Embedding(model=model), state=tmp_path, in_use={a})
        anyio.run(models.aclose)
        assert a not in models.others
        assert "127.0.0.1:9" not in (tmp_path / "last-model").read_text(), "nor are its credentials kept"


def test_the_file_of_the_first_version_is_read(tmp_path: Path) -> None:
    a = identity(tmp_path, "a")
    (tmp_path / "last-model").write_text(json.dumps(ENDPOINT.format("a")))
    assert a in opened(tmp_path, "b", {a}).others
    assert a in opened(tmp_path, "b", {a}).others
    for nonsense in ("", "{", "[1, null]", '{"a": 1}', "[]"):
        (tmp_path / "last-model").write_text(nonsense)
        assert a not in opened(tmp_path, "b").others


def test_the_daemon_starts_when_the_used_models_cannot_be_saved(tmp_path: Path) -> None:
    (tmp_path / "last-model").mkdir()
    assert opened(tmp_path, "bundled").others == {}
