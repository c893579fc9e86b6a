"""Export of a table of word vectors to a directory that `codeindexd.analysis.embedding.static` maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.embedding import static

Table = NDArray[np.float32]
_SENTENCE_TRANSFORMERS: dict[str, object] = {
    "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "codeindexd.analysis.embedding.st_module.WordRows"}],
    "config_sentence_transformers.json": {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
}


def export(words: Sequence[str], table: Table, directory: Path, *, about: dict[str, object]) -> None:
    """Quantise ``table`` (n, d), whose row lengths are the words' weights, and write it.

    Adds the rows that are not words: buckets and the empty text, random directions of a fixed seed. ``about`` goes
    into config.json.
    """
    words, table = list(words), np.asarray(table, np.float32)
    noise = np.random.default_rng(20261121).normal(size=(static.BUCKETS + 1, table.shape[1])).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    noise *= np.median(np.linalg.norm(table, axis=1))
    table = np.concatenate([table, noise])
    words += [static.bucket(n) for n in range(static.BUCKETS)] + [static.EMPTY]
    hashes = np.array([static.word_hash(word) for word in words], np.uint64)
    if len(np.unique(hashes)) != len(hashes):
        raise ValueError("two words have the same hash")
    order = np.argsort(hashes)
    directory.mkdir(parents=True, exist_ok=True)
    np.save(directory / static.HASHES, hashes[order])
    static.write_rows(directory, table[order], {"words": len(words) - static.BUCKETS - 1, **about})
    for name, content in _SENTENCE_TRANSFORMERS.items():
        (directory / name).write_text(json.dumps(content, indent=1) + "\n")
