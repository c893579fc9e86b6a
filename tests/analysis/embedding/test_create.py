"""Creating the configured embedder, and the cache of facts about models."""

from __future__ import annotations

import sys

import pytest

from codeindexd.analysis.embedding.create import check_model, create, needs_download, require_model
from codeindexd.analysis.embedding.http import HttpEmbedder
from codeindexd.analysis.embedding.model_cache import ModelCache, ModelFacts
from codeindexd.config import Embedding
from codeindexd.errors import ConfigError, EmbedderError


def test_a_url_is_an_endpoint(server, tmp_path):
    cache_file = tmp_path / "models.json"
    first = create(Embedding(model=f"{server.url}#m"), cache_file=cache_file)
    second = create(Embedding(model=f"{server.url}#m"), cache_file=cache_file)
    assert isinstance(first, HttpEmbedder)
    assert len(server.requests) == 1
    assert second.identity == first.identity


def test_an_endpoint_without_its_library_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(EmbedderError, match="httpx is not installed") as caught:
        create(Embedding(model="http://127.0.0.1:1/v1#m"))
    assert "pip install 'codeindexd[endpoint]'" in caught.value.hint


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("Bundeld", "Bundeld is not a model"),
        ("http://", "wrong scheme, host or dimensions"),
        ("ftp://host/v1", "is not a valid model name"),
        ("relative/directory/model", "is not a valid model name"),
        ("/no/such/directory", "is not a directory"),
    ],
)
def test_what_cannot_be_a_model_is_known_without_asking_anybody(model, message):
    with pytest.raises(EmbedderError, match=message):
        create(Embedding(model=model))
    with pytest.raises(ConfigError, match=rf"\[embedding\] model: .*{message}"):
        require_model(Embedding(model=model))


def test_names_of_models_are_taken_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for model in ("bundled", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "http://localhost:1/v1#m"):
        check_model(model)


def test_only_a_model_of_the_hub_that_is_not_here_needs_a_download(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "modules.json").write_text("[]")
    needed = [needs_download(model) for model in ("bundled", "http://localhost:1/v1#m", str(tmp_path), "some/model")]
    assert needed == [False, False, False, True]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not needs_download("some/model")


def test_anything_else_is_a_transformer(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EmbedderError) as caught:
        create(Embedding(model="no-such-model"))
    assert caught.value.hint


def test_cached_facts_are_kept_and_bounded(tmp_path):
    path = tmp_path / "cache.json"
    cache = ModelCache(path)
    for number in range(100):
        cache.put(f"model {number}", ModelFacts("identity", number))
    kept = ModelCache(path)
    assert kept.get("model 99") == ModelFacts("identity", 99)
    assert kept.get("model 0") is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["cache.json"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}', b"\xff"])
def test_a_damaged_cache_is_empty(tmp_path, content):
    path = tmp_path / "cache.json"
    path.write_bytes(content)
    cache = ModelCache(path)
    assert cache.get("a") is None
    cache.put("a", ModelFacts("b", 3))
    assert ModelCache(path).get("a") == ModelFacts("b", 3)


def test_an_unwritable_cache_is_kept_in_memory(tmp_path):
    cache = ModelCache(tmp_path / "no" / "such" / "directory")
    cache.put("a", ModelFacts("b", 3))
    assert cache.get("a") == ModelFacts("b", 3)
