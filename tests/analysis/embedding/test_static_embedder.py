"""The bundled model under the contract of all embedders."""

from __future__ import annotations

import pytest

from analysis.embedding.contract import EmbedderContract
from codeindexd.analysis.embedding.create import create
from codeindexd.analysis.embedding.static_embedder import BundledEmbedder
from codeindexd.config import Embedding


@pytest.fixture
def embedder() -> BundledEmbedder:
    return BundledEmbedder()


class TestContract(EmbedderContract):
    pass


def test_it_is_the_default():
    assert isinstance(create(Embedding()), BundledEmbedder)
