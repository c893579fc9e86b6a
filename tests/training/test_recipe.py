"""The recipe of the bundled model from archives to vectors, each step by its command, with a few small packages."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from codeindexd.analysis.embedding.static import StaticModel
from support.places import DAEMON
from training.sources import is_permissive

pytestmark = pytest.mark.processes

HELD_OUT = "def kept_for_the_benchmark(path):\n    return [line.strip() for line in open(path)]\n" * 6


def module(topic: str) -> str:
    """Return a source file about ``topic``, long enough to be used, with pairs to mine."""
    return "\n\n".join(
        f"def {verb}_{topic}_entries(values, limit):\n"
        f'    """{verb.title()} the {topic} entries that a caller asked for."""\n'
        f"    chosen = [{topic} for {topic} in values if {topic} is not None]\n    return chosen[:limit]\n"
        for verb in ("find", "store", "remove", "print")
    )


def wheel(path: Path, licence: str, files: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.dist-info/METADATA", f"Name: x\nLicense-Expression: {licence}\n\nAbout it")
        for name, text in files.items():
            archive.writestr(name, text)


def npm(path: Path, licence: str, files: dict[str, str]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {"package.json": json.dumps({"license": licence}), **files}.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


def step(name: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"training.{name}", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(DAEMON)},
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the output of the first steps, from archives of which some must not be used."""
    base = tmp_path_factory.mktemp("training")
    (base / "archives").mkdir()
    (base / "benchmark").mkdir()
    (base / "benchmark/kept.py").write_text(HELD_OUT)
    (base / "names").write_text("# comment\nowner/secretproject\n")
    wheel(
        base / "archives/alpha-1.0-py3-none-any.whl",
        "MIT",
        {
            "alpha/colours.py": module("colour"),
            "alpha/copy.py": module("colour").replace("\n\n", "\n\n\n"),
            "alpha/kept.py": HELD_OUT.replace("    ", "\t"),
            "alpha/secretproject/inner.py": module("inner"),
            "alpha/_vendor/other.py": module("vendored"),
            "alpha/short.py": "x = 1\n",
        },
    )
    wheel(base / "archives/beta-1.0-py3-none-any.whl", "GPL-3.0-or-later", {"beta/shapes.py": module("shape")})
    wheel(base / "archives/secretproject-2.0-py3-none-any.whl", "MIT", {"s/project.py": module("project")})
    npm(base / "archives/gamma-1.0.tgz", "ISC", {"gamma/words.py": module("word")})
    npm(base / "archives/delta-1.0.tgz", "", {"delta/nothing.py": module("nothing")})
    step("sources", "--archives", base / "archives", "--out", base / "sources.tsv")
    step(
        "corpus", "--archives", base / "archives", "--sources", base / "sources.tsv", "--exclude-names", base / "names",
        "--exclude-content", base / "benchmark", "--out", base / "corpus.jsonl",
    )  # fmt: skip
    return base


def test_only_permissive_archives_are_used(corpus: Path) -> None:
    lines = [line.split("\t") for line in (corpus / "sources.tsv").read_text().splitlines()[1:]]
    assert {name.partition("-")[0]: used for name, _, used in lines} == {
        "alpha": "yes", "beta": "no", "gamma": "yes", "delta": "no", "secretproject": "yes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-2.0-or-later", True),
        ("GPL-2.0-or-later", False),
        ("MIT AND GPL-3.0", False),
        ("MPL-2.0", False),
        ("", False),
        ("Proprietary", False),
    ],
)
def test_licences(licence: str, permissive: bool) -> None:
    assert is_permissive(licence) is permissive


def test_held_out_copied_and_foreign_files_are_excluded(corpus: Path) -> None:
    found = [json.loads(line) for line in (corpus / "corpus.jsonl").read_text().splitlines()]
    assert [(row["package"], row["path"]) for row in found] == [
        ("alpha", "alpha/colours.py"),
        ("gamma", "gamma/words.py"),
    ]


def test_the_steps_produce_a_model_that_loads(corpus: Path, tmp_path: Path) -> None:
    vocabulary, pairs, table = corpus / "vocabulary.tsv", corpus / "pairs.jsonl", corpus / "table.npy"
    step("vocabulary", "--corpus", corpus / "corpus.jsonl", "--size", "400", "--out", vocabulary)
    words = [line.split("\t")[0] for line in vocabulary.read_text().splitlines()[1:]]
    assert {"colour", "word", "entries", "a", "42"} <= set(words)
    vectors = np.random.default_rng(1).normal(size=(len(words), 24)).astype(np.float16)  # a random teacher
    np.save(corpus / "teacher.npy", vectors)
    step(
        "distil", "--vocabulary", vocabulary, "--teacher", corpus / "teacher.npy", "--dimensions", "16",
        "--table", table, "--out", corpus / "distilled",
    )  # fmt: skip
    distilled = StaticModel.load(corpus / "distilled")
    assert distilled.dimensions == 16
    assert len(distilled.rows_of("entries")) == 1
    assert len(distilled.rows_of("colourentries")) == 2
    step("pairs", "--corpus", corpus / "corpus.jsonl", "--out", pairs)
    kinds = {json.loads(line)["kind"] for line in pairs.read_text().splitlines()}
    assert {"doc", "name", "path"} <= kinds
    if importlib.util.find_spec("torch") is None:
        return
    step(
        "contrast", "--model", corpus / "distilled", "--vocabulary", vocabulary, "--table", table, "--pairs", pairs,
        "--steps", "30", "--batch", "8", "--group", "4", "--rate", "0.05", "--out", tmp_path / "trained",
    )  # fmt: skip
    trained = StaticModel.load(tmp_path / "trained")
    assert trained.identity != distilled.identity
    question, texts = "remove the colour entries", [module("colour"), module("word")]

    def lead(model: StaticModel) -> float:
        near, far = model.embed(texts) @ model.embed_query(question)
        return float(near - far)

    assert lead(trained) > 0
