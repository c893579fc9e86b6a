"""The bundled model loaded by sentence-transformers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from codeindexd.analysis.embedding import static
from codeindexd.analysis.embedding.static import StaticModel

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        importlib.util.find_spec("sentence_transformers") is None, reason="the extra [transformers] is not installed"
    ),
]
TEXTS = ["parse command line arguments", "def f(x):\n    return getuserbyid(x)\n", "", "}}", "日本語 text", "ꙮꙮ"]


@pytest.mark.filterwarnings("ignore")
def test_sentence_transformers_gives_the_same_vectors(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(static.BUNDLED), device="cpu", trust_remote_code=True)
    ours = StaticModel.load().embed(TEXTS)
    assert float((theirs.encode(TEXTS) * ours).sum(axis=1).min()) > 0.9999

    theirs.save(str(tmp_path / "saved"))
    saved = StaticModel.load(tmp_path / "saved")
    assert float((saved.embed(TEXTS) * ours).sum(axis=1).min()) > 0.9999
    assert np.array_equal(np.load(tmp_path / "saved" / static.HASHES), np.load(static.BUNDLED / static.HASHES))
