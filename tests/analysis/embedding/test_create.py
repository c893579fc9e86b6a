"""Which embedder a configuration names, and what is kept about models between starts."""

from __future__ import annotations

import pytest

from codeindexd.analysis.embedding.create import create
from codeindexd.analysis.embedding.http import HttpEmbedder
from codeindexd.analysis.embedding.model_cache import Note, Notes
from codeindexd.config import Embedding
from codeindexd.errors import EmbedderError


def test_a_url_is_an_endpoint(server, tmp_path):
    remembered = tmp_path / "models.json"
    first = create(Embedding(model=f"{server.url}#m"), remembered=remembered)
    second = create(Embedding(model=f"{server.url}#m"), remembered=remembered)
    assert isinstance(first, HttpEmbedder)
    assert len(server.requests) == 1
    assert second.identity == first.identity


def test_anything_else_is_a_transformer(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EmbedderError) as caught:
        create(Embedding(model="no-such-model"))
    assert caught.value.hint


def test_notes_survive_and_do_not_grow(tmp_path):
    path = tmp_path / "notes.json"
    notes = Notes(path)
    for number in range(100):
        notes.put(f"model {number}", Note("identity", number))
    kept = Notes(path)
    assert kept.get("model 99") == Note("identity", 99)
    assert kept.get("model 0") is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.json"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}', b"\xff"])
def test_damaged_notes_are_no_notes(tmp_path, content):
    path = tmp_path / "notes.json"
    path.write_bytes(content)
    notes = Notes(path)
    assert notes.get("a") is None
    notes.put("a", Note("b", 3))
    assert Notes(path).get("a") == Note("b", 3)


def test_notes_that_cannot_be_written_are_kept_in_memory(tmp_path):
    notes = Notes(tmp_path / "no" / "such" / "directory")
    notes.put("a", Note("b", 3))
    assert notes.get("a") == Note("b", 3)
