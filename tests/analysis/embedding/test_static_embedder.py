"""The bundled model through the contract of all embedders."""

from __future__ import annotations

import pytest

from codeindexd.config import Embedding
from codeindexd.embed import create
from codeindexd.embed.static_embedder import BundledEmbedder
from embed.contract import EmbedderContract


@pytest.fixture
def embedder() -> BundledEmbedder:
    return BundledEmbedder()


class TestContract(EmbedderContract):
    pass


def test_it_is_the_default():
    assert isinstance(create(Embedding()), BundledEmbedder)
