"""The transformer embedder's processes, with a model that needs no library."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

import anyio
import numpy as np
import psutil
import pytest

from analysis.embedding.contract import EmbedderContract
from analysis.embedding.scripted_models import DIMENSIONS
from codeindexd.analysis.embedding.base import RowsRefusedError
from codeindexd.analysis.embedding.model_cache import ModelCache
from codeindexd.analysis.embedding.model_process import BatchError
from codeindexd.analysis.embedding.transformer import TransformerEmbedder
from codeindexd.errors import EmbedderError
from support.trees import tree
from support.waiting import eventually

HASHED = "analysis.embedding.scripted_models:Hashed"
pytestmark = [pytest.mark.anyio, pytest.mark.processes]

FILES = {
    "modules.json": '[{"path": "", "type": "sentence_transformers.models.Transformer"},'
    '{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]',
    "1_Pooling/config.json": f'{{"word_embedding_dimension": {DIMENSIONS}, "pooling_mode_mean_tokens": true}}',
    "model.safetensors": "weights",
    "tokenizer.json": "{}",
    "README.md": "prose",
}


@pytest.fixture
def directory(tmp_path):
    return tree(tmp_path / "model", FILES)


@pytest.fixture
async def make(directory):
    made = []

    def make(loader: str = HASHED, **options) -> TransformerEmbedder:
        made.append(TransformerEmbedder.open(str(directory), loader=loader, **{"batch_size": 8, **options}))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


@pytest.fixture
def embedder(make):
    return make()


def loads(directory) -> list[int]:
    return [int(line) for line in (directory / "loads").read_text().split()] if (directory / "loads").exists() else []


def batches(directory) -> list[str]:
    return (directory / "batches").read_text().split()


class TestContract(EmbedderContract):
    pass


async def test_one_process_is_started_on_demand(embedder, directory):
    assert loads(directory) == []
    assert embedder.device == "auto"
    await embedder.embed_documents(["a"])
    await embedder.embed_query("a")
    assert len(loads(directory)) == 1
    assert embedder.device == "hashing"


async def test_batches_have_texts_of_similar_length(embedder, directory):
    await embedder.embed_documents(["x" * (n % 10) + "y" for n in range(20)])
    assert batches(directory) == ["8", "8", "4"]


async def test_queries_and_documents_are_embedded_differently(embedder):
    document = (await embedder.embed_documents(["text"]))[0]
    question = await embedder.embed_query("text")
    assert float(document @ question) < 0.99


async def test_a_query_goes_before_waiting_batches(embedder, directory):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(embedder.embed_documents, ["pause"] * 40)
        tasks.start_soon(embedder.embed_documents, ["pause"] * 40)
        await eventually(lambda: (directory / "batches").exists())
        await embedder.embed_query("a")
        tasks.cancel_scope.cancel()
    assert batches(directory).index("query") <= 2


async def test_an_idle_model_is_unloaded_and_loaded_again(make, directory):
    embedder = make(idle_s=0.1)
    for _ in range(2):
        before = len(loads(directory))
        await embedder.embed_documents(["a"])
        assert len(loads(directory)) > before  # more than one if the first is idle for so long before the text comes
        await eventually(partial(_gone, loads(directory)[-1]))


async def test_a_query_can_be_cancelled_while_the_model_loads(make, directory):
    (directory / "orders").write_text("slow")
    embedder = make()
    with anyio.move_on_after(0.3) as scope:
        await embedder.embed_query("first")
    assert scope.cancelled_caught
    again = await embedder.embed_query("second")
    assert float(again @ await embedder.embed_query("second")) > 0.9999
    assert len(loads(directory)) == 1  # the model was not loaded again


async def test_late_answers_are_dropped(embedder):
    expected = (await embedder.embed_documents(["b c d"]))[0]
    with anyio.move_on_after(0.05):
        await embedder.embed_documents(["pause"])
    assert float((await embedder.embed_documents(["b c d"]))[0] @ expected) > 0.9999


@pytest.mark.parametrize("text", ["poison", "nan"])
async def test_a_text_that_cannot_be_embedded_is_named(embedder, text):
    texts = [f"t{n}" for n in range(8)]
    texts[5] = text
    with pytest.raises(RowsRefusedError) as caught:
        await embedder.embed_documents(texts)
    assert caught.value.rows == (5,)
    assert np.isfinite(np.delete(caught.value.vectors, 5, axis=0)).all()


class FragileProcess:
    """A process that ends on some texts, and on too many at a time."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.deaths = 0
        self.calls = 0
        self._most = most

    async def encode(self, texts: list[str], *, query: bool) -> Any:
        self.calls += 1
        if "poison" in texts or len(texts) > self._most:
            self.deaths += 1
            raise BatchError("the model's process ended: exit status 11")
        return np.ones((len(texts), DIMENSIONS), dtype=np.float32)

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("batch_size", [1, 8, 16, 32, 64])
@pytest.mark.parametrize("neighbours", [1, 2])
async def test_bad_texts_are_found_wherever_they_are(make, batch_size, neighbours):
    embedder = make(batch_size=batch_size)
    for at in [0, 1, 7, 16, 31, 32, 33, 64, 100, 127 - neighbours, 128 - neighbours]:
        process = embedder._process = FragileProcess()
        bad = tuple(range(at, at + neighbours))
        texts = ["poison" if row in bad else "unharm" for row in range(128)]  # of one length
        with pytest.raises(RowsRefusedError) as caught:
            await embedder.embed_documents(texts)
        assert caught.value.rows == bad
        assert process.deaths <= neighbours * (batch_size.bit_length() + 1)


async def test_batches_that_are_too_large_become_smaller_once(make):
    embedder = make(batch_size=32)
    process = embedder._process = FragileProcess(most=5)
    assert np.isfinite(await embedder.embed_documents(["t"] * 512)).all()
    assert process.deaths < process.calls / 2


async def test_a_batch_that_exhausts_memory_is_halved(embedder, directory):
    vectors = await embedder.embed_documents(["hungry", *(f"t{n}" for n in range(15))])
    assert np.isfinite(vectors).all()
    assert len(loads(directory)) == 1


async def test_a_killed_process_is_restarted(embedder, directory):
    await embedder.embed_documents(["a"])
    os.kill(loads(directory)[0], signal.SIGKILL)
    assert (await embedder.embed_query("a")).shape == (DIMENSIONS,)
    os.kill(loads(directory)[1], signal.SIGKILL)
    assert (await embedder.embed_documents(["a", "b"])).shape == (2, DIMENSIONS)
    os.kill(loads(directory)[2], signal.SIGKILL)
    assert np.isfinite(await embedder.embed_documents(["a"])).all(), "a single text is not blamed for one death"


async def test_a_model_that_always_crashes_is_an_error(embedder, directory):
    with pytest.raises(EmbedderError, match="exit status 11"):
        await embedder.embed_documents(["poison"] * 32)
    assert len(loads(directory)) <= 11
    with pytest.raises(EmbedderError, match="exit status 11"):
        await embedder.embed_query("poison")


async def test_an_error_of_the_model_is_an_error(embedder):
    with pytest.raises(EmbedderError, match="index out of range"):
        await embedder.embed_documents(["bug"])
    assert (await embedder.embed_documents(["a"])).shape == (1, DIMENSIONS)


@pytest.mark.parametrize(("order", "cause"), [("broken", "size mismatch"), ("crash", "exit status 7")])
async def test_a_failed_load_is_not_retried_for_every_query(make, directory, order, cause):
    (directory / "orders").write_text(order)
    embedder = make()
    for _ in range(3):
        with pytest.raises(EmbedderError, match=cause) as caught:
            await embedder.embed_query("a")
        assert caught.value.hint
    assert len(loads(directory)) == 1


async def test_other_dimensions_than_declared_are_refused(make):
    with pytest.raises(EmbedderError, match="32 dimensions"):
        await make("analysis.embedding.scripted_models:Wider").embed_query("a")


async def test_closing_ends_the_process(embedder, directory):
    await embedder.embed_query("a")
    await embedder.aclose()
    assert _gone(loads(directory)[0])


def test_identity_depends_on_the_content(directory, tmp_path):
    def identity(place, cache=None) -> str:
        return TransformerEmbedder.open(str(place), loader=HASHED, cache=cache).identity

    cache = ModelCache(tmp_path / "cache.json")
    first = identity(directory, cache)
    assert identity(tree(tmp_path / "copy", {**FILES, "README.md": "other", "onnx/model.bin": "x"})) == first
    assert identity(directory, ModelCache(tmp_path / "cache.json")) == first
    changed = {
        identity(tree(tmp_path / name, {**FILES, name: "changed"})) for name in ("model.safetensors", "tokenizer.json")
    }
    assert len({first, *changed}) == 3
    (directory / "model.safetensors").write_text("changed")
    assert identity(directory, cache) in changed


def test_undeclared_dimensions_are_taken_from_the_loaded_model(directory):
    (directory / "modules.json").write_text('[{"path": "", "type": "sentence_transformers.models.StaticEmbedding"}]')
    assert TransformerEmbedder.open(str(directory), loader=HASHED).dimensions == DIMENSIONS
    assert len(loads(directory)) == 1


def test_a_missing_model(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EmbedderError, match="HF_HUB_OFFLINE") as caught:
        TransformerEmbedder.open("all-MiniLM-L6-v2", loader=HASHED)
    assert "directory" in caught.value.hint
    with pytest.raises(EmbedderError, match="is not a directory"):
        TransformerEmbedder.open("/no/such/place", loader=HASHED)
    with pytest.raises(EmbedderError, match="has no"):
        TransformerEmbedder.open(str(tmp_path), loader=HASHED)


def test_a_model_in_the_hubs_cache_is_found(tmp_path, monkeypatch):
    base = tmp_path / "hub" / "models--sentence-transformers--mini"
    tree(base, {"refs/main": "abc", **{f"snapshots/abc/{name}": text for name, text in FILES.items()}})
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in ("mini", "sentence-transformers/mini"):
        assert TransformerEmbedder.open(name, loader=HASHED).dimensions == DIMENSIONS


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_a_stalled_process_is_killed_and_replaced(embedder, directory, monkeypatch):
    monkeypatch.setattr("codeindexd.analysis.embedding.model_process._STALLED_S", 0.05)
    await embedder.embed_query("a")
    (pid,) = loads(directory)
    os.kill(pid, signal.SIGSTOP)
    with anyio.fail_after(60):
        assert (await embedder.embed_documents(["b", "c"])).shape == (2, DIMENSIONS)
    assert len(loads(directory)) == 2
    assert not psutil.pid_exists(pid)


async def test_a_slow_process_is_not_killed(embedder, directory, monkeypatch):
    monkeypatch.setattr("codeindexd.analysis.embedding.model_process._STALLED_S", 0.2)
    await embedder.embed_documents(["busy"])
    assert len(loads(directory)) == 1
