"""The endpoint embedder against a real HTTP server: good answers, bad answers, no answers."""

from __future__ import annotations

import datetime
import json
import socket

import httpx
import numpy as np
import pytest

from analysis.embedding.contract import EmbedderContract
from analysis.embedding.embedding_server import EmbeddingServer, good
from analysis.embedding.scripted_models import DIMENSIONS, hashed
from codeindexd.analysis.embedding import openai_api
from codeindexd.analysis.embedding.base import RowsRefusedError
from codeindexd.analysis.embedding.http import HttpEmbedder
from codeindexd.analysis.embedding.model_cache import ModelCache
from codeindexd.analysis.embedding.openai_api import Endpoint, backoff, retry_after
from codeindexd.errors import EmbedderError


async def opened(server: EmbeddingServer, tail: str = "", **options):
    embedder = HttpEmbedder.open(server.url + tail, pause_s=0.001, **options)
    server.requests.clear()
    return embedder


@pytest.fixture
async def embedder(server):
    embedder = await opened(server, "#test-model", batch_size=8)
    yield embedder
    await embedder.aclose()


class TestContract(EmbedderContract):
    pass


pytestmark = pytest.mark.anyio


async def test_texts_are_sent_in_batches(server, embedder):
    await embedder.embed_documents([f"t{n}" for n in range(20)] + [""])
    assert sorted(len(body["input"]) for _, _, body in server.requests) == [5, 8, 8]
    path, headers, body = server.requests[0]
    assert path == "/v1/embeddings"
    assert body["model"] == "test-model"
    assert body["encoding_format"] == "float"
    assert "authorization" not in headers
    assert all(text for _, _, body in server.requests for text in body["input"])


async def test_answers_are_put_in_the_order_of_the_request(server, embedder):
    server.shuffle = True
    vectors = await embedder.embed_documents(["alpha", "beta gamma", "delta"])
    for row, text in zip(vectors, ["alpha", "beta gamma", "delta"], strict=True):
        assert float(row @ (hashed(text) / np.linalg.norm(hashed(text)))) > 0.9999


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_transient_errors_are_retried(server, embedder, status):
    server.script = [status, status]
    assert (await embedder.embed_documents(["a"])).shape == (1, DIMENSIONS)
    assert len(server.requests) == 3


async def test_a_broken_connection_is_retried(server, embedder):
    server.script = [lambda _: None]
    assert (await embedder.embed_documents(["a"])).shape == (1, DIMENSIONS)


async def test_a_lasting_error_is_raised(server, embedder):
    server.script = [503] * 9
    with pytest.raises(EmbedderError, match="503"):
        await embedder.embed_documents(["a"])
    assert len(server.requests) == 5
    with pytest.raises(EmbedderError, match="503"):
        await embedder.embed_query("a")
    assert len(server.requests) == 7  # queries are retried less often


async def test_a_slow_endpoint_times_out(server):
    embedder = await opened(server, timeout_s=0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = HttpEmbedder(
            Endpoint.parse(f"http://127.0.0.1:{silent.getsockname()[1]}"), dimensions=4, timeout_s=0.05, pause_s=0.001
        )
        with pytest.raises(EmbedderError, match="in time"):
            await slow.embed_query("a")
        await slow.aclose()
    await embedder.aclose()


async def test_an_unreachable_endpoint(server):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(EmbedderError, match="cannot reach") as caught:
        HttpEmbedder.open(f"http://user:secret@127.0.0.1:{port}")
    assert "running" in caught.value.hint
    assert "secret" not in caught.value.message


async def test_refused_texts_are_named_and_the_others_embedded(server, embedder):
    server.refuse = "enormous"
    texts = [f"t{n}" for n in range(12)]
    texts[3] = texts[9] = "enormous"
    with pytest.raises(RowsRefusedError) as caught:
        await embedder.embed_documents(texts)
    assert caught.value.rows == (3, 9)
    assert np.isfinite(np.delete(caught.value.vectors, [3, 9], axis=0)).all()


async def test_an_endpoint_that_refuses_everything_is_not_tried_with_every_text(server, embedder):
    server.script = [400] * 100
    with pytest.raises(EmbedderError, match="400"):
        await embedder.embed_documents([f"t{n}" for n in range(64)])
    assert len(server.requests) < 30


async def test_the_key_is_sent_and_never_shown(server, monkeypatch):
    monkeypatch.setenv("CODEINDEXD_EMBEDDING_API_KEY", "sk-secret\n")
    embedder = await opened(server)
    await embedder.embed_query("a")
    assert server.requests[0][1]["authorization"] == "Bearer sk-secret"
    server.script = [401]
    with pytest.raises(EmbedderError) as caught:
        await embedder.embed_query("a")
    assert "sk-secret" not in str(caught.value)
    assert "CODEINDEXD_EMBEDDING_API_KEY" in caught.value.hint
    server.script = [404]
    with pytest.raises(EmbedderError, match=r"answered 404 Not Found$"):
        await embedder.embed_query("a")
    await embedder.aclose()


@pytest.mark.parametrize("tail", ["?key=sk-secret", "/v1?a=b&code=secret"])
async def test_an_answer_that_repeats_the_query_string_is_not_shown(server, tail):
    embedder = await opened(server, tail)
    server.script = [404]
    with pytest.raises(EmbedderError, match=r"answered 404 Not Found$"):
        await embedder.embed_query("a")
    await embedder.aclose()


@pytest.mark.parametrize("key", ["sk-se\ncret", "sk-s\u00e9cret", "sk-se\x7fcret"])
async def test_an_invalid_key_is_refused_without_showing_it(server, monkeypatch, key):
    monkeypatch.setenv("CODEINDEXD_EMBEDDING_API_KEY", key)
    with pytest.raises(EmbedderError, match="CODEINDEXD_EMBEDDING_API_KEY") as caught:
        HttpEmbedder.open(server.url)
    assert "sk-s" not in str(caught.value) + caught.value.hint


async def test_a_redirect_is_not_followed(server, embedder):
    server.script, server.headers = [307], {"location": "http://192.0.2.1/v1/embeddings"}
    with pytest.raises(EmbedderError, match="307") as caught:
        await embedder.embed_documents(["a"])
    assert "final URL" in caught.value.hint


def answering(change):
    def answer(body):
        status, headers, content = good(body)
        value = json.loads(content)
        change(value["data"])
        return status, headers, json.dumps(value).encode()

    return answer


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data.pop(), "numbered its answers"),
        (lambda data: [item.pop("index") for item in data] and data.pop(), "1 vectors for 2"),
        (lambda data: data[0].update(index=1), "numbered its answers"),
        (lambda data: [item["embedding"].pop() for item in data], f"of {DIMENSIONS - 1} dimensions, not {DIMENSIONS}"),
        (lambda data: data[0]["embedding"].pop(), f"of {DIMENSIONS - 1} and {DIMENSIONS} dimensions, not"),
        (lambda data: data[0].update(embedding="AAAA"), "did not answer with embeddings"),
        (lambda data: data[0]["embedding"].__setitem__(0, float("nan")), "did not answer with embeddings"),
    ],
)
async def test_wrong_answers_are_refused(server, embedder, change, error):
    server.script = [answering(change)]
    with pytest.raises(EmbedderError, match=error):
        await embedder.embed_documents(["a", "b"])


async def test_vectors_without_direction_are_refused_by_row(server, embedder):
    server.script = [answering(lambda data: data[1].update(embedding=[0.0] * DIMENSIONS))]
    with pytest.raises(RowsRefusedError, match=r"no usable vector for a text$") as caught:
        await embedder.embed_documents(["a", "b", "c"])
    assert caught.value.rows == (1,)


async def test_dimensions_are_requested_once_and_cached(server, tmp_path):
    url, path = f"{server.url}/v1#m", tmp_path / "models.json"
    first = HttpEmbedder.open(url, cache=ModelCache(path))
    assert first.dimensions == DIMENSIONS
    assert len(server.requests) == 1
    second = HttpEmbedder.open(url, cache=ModelCache(path))
    assert len(server.requests) == 1
    assert second.identity == first.identity
    given = HttpEmbedder.open(f"{server.url}/v1/embeddings#model=m&dimensions=16")
    assert len(server.requests) == 1
    assert given.dimensions == 16
    for one in (first, second, given):
        await one.aclose()


async def test_prompts(server):
    embedder = await opened(server, "#model=m&query_prompt=search_query:%20&document_prompt=search_document:%20")
    await embedder.embed_query("q")
    await embedder.embed_documents(["d"])
    assert [body["input"] for _, _, body in server.requests] == [["search_query: q"], ["search_document: d"]]
    await embedder.aclose()


@pytest.mark.parametrize(
    ("text", "url", "model"),
    [
        ("http://h", "http://h/v1/embeddings", ""),
        ("http://h:1/", "http://h:1/v1/embeddings", ""),
        ("https://h/v1#nomic", "https://h/v1/embeddings", "nomic"),
        ("https://h/v1/embeddings#model=a%2Fb", "https://h/v1/embeddings", "a/b"),
        ("https://u:p@h/api/v1/", "https://h/api/v1/embeddings", ""),
        ("http://[::1]:80/x?api-version=1", "http://[::1]:80/x/v1/embeddings?api-version=1", ""),
    ],
)
def test_urls(text, url, model):
    endpoint = Endpoint.parse(text)
    assert (endpoint.url, endpoint.model) == (url, model)
    assert "p@" not in repr(endpoint) + endpoint.key


@pytest.mark.parametrize("text", ["http://", "ftp://h", "http://h:x", "http://h#dimensions=many", "http://h#a=b"])
def test_invalid_urls(text):
    with pytest.raises(EmbedderError) as caught:
        Endpoint.parse(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "http://user:s3cr3t#x@host:80/v1",
        "http://user:s3cr3t/x@host/v1",
        "http://user:s3cr3t?x@host/v1",
        "http://user:s3cr3t\u2100@host/v1",
        "http://user:[s3cr3t@host/v1",
        "http://user:12#s3cr3t=x@host/v1",
        "http://user:12#dimensions=s3cr3t@host/v1",
        "ftp://user:s3cr3t@host/v1",
    ],
)
def test_a_password_in_an_invalid_url_is_not_shown(text):
    with pytest.raises(EmbedderError) as caught:
        Endpoint.parse(text)
    assert "s3cr3t" not in caught.value.message + caught.value.hint


def test_identity_depends_on_the_model_and_not_on_credentials():
    def identity(url: str) -> str:
        return HttpEmbedder(Endpoint.parse(url), dimensions=4).identity

    assert identity("http://a:b@h#m") == identity("http://h/v1/embeddings#m")
    assert (
        len({identity(u) for u in ("http://h#m", "http://h#n", "http://i#m", "http://h#model=m&query_prompt=q")}) == 4
    )


def test_retry_pauses():
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert retry_after({}) is None
    assert retry_after({"retry-after": "7"}) == 7.0
    assert retry_after({"retry-after": "9000"}) == openai_api.MAX_PAUSE_S
    assert retry_after({"retry-after": "Thu, 01 Jan 2026 00:00:05 GMT"}, now) == 5.0
    assert retry_after({"retry-after": "Thu, 01 Jan 2015 00:00:05 GMT"}, now) == 0.0
    assert retry_after({"retry-after": "soon"}) is None
    assert all(0.5 * 2 ** (n - 1) <= backoff(n, 1.0) <= min(30.0, 2 ** (n - 1)) for n in range(1, 5))
    assert backoff(50, 1.0) <= openai_api.MAX_PAUSE_S


def test_a_local_endpoint_bypasses_proxies(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    assert HttpEmbedder.open(server.url).dimensions == DIMENSIONS
    assert httpx.__version__
