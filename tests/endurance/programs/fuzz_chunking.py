"""Feed hostile files to everything a worker does, in child processes: nothing may crash, hang or get lost.

    python tests/endurance fuzz_chunking [--minutes 10] [--seed N] [--corpus DIR ...] [--save DIR]

Half of the inputs are shapes (deep, long, repeated, unterminated) of up to a megabyte, alone or inside a real file, the
other half are real files mutated and spliced with files of other languages: the samples of the tests, and every file
below ``--corpus`` whose language is known. An input that crashes or hangs its child, or breaks a promise, is reduced,
saved and named, and the exit status is 1. The slowest inputs are named, too.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections import Counter
from pathlib import Path
from random import Random

from codeindexd.analysis.chunking.grammars import LANGUAGES
from codeindexd.analysis.chunking.languages import detect
from endurance.hostile.cages import Cage, Outcome, shrunk
from endurance.hostile.texts import SHAPES, mutated, recoded
from support.places import TESTS

_SAMPLES = TESTS / "analysis/chunking/samples"
_MOST_BYTES = 1 << 20
_MEASURED_FROM = 1 << 14  # bytes: below, the figures are noise
_SHOWN = 12


def corpus(directories: list[Path]) -> dict[str, list[Path]]:
    """Return files by language: at least the sample of each."""
    found: dict[str, list[Path]] = {language: [] for language in sorted(LANGUAGES)}
    for language, files in found.items():
        sample = _SAMPLES / f"{language}.sample"
        files.append(sample if sample.exists() else _SAMPLES / "ocaml.sample")
    for top in directories:
        for directory, _, names in os.walk(top):
            for name in names:
                language = detect(os.fsencode(name), b"")
                if language in found:
                    found[language].append(Path(directory, name))
    return found


class Fuzzer:
    """Creates inputs, tries them and keeps what is worth reporting."""

    def __init__(self, seed: int, files: dict[str, list[Path]], languages: list[str], save: Path) -> None:
        self.random = Random(seed)
        self.files = files
        self.languages = languages
        self.save = save
        self.fates: Counter[str] = Counter()
        self.tried: Counter[str] = Counter()
        self.bytes = 0
        self.slowest: list[tuple[float, str]] = []
        self.bad: dict[str, str] = {}

    def run(self, until: float) -> None:
        """Try inputs until the deadline."""
        with Cage() as cage:
            while time.monotonic() < until:
                language = self.random.choice(self.languages)
                name, data = self.shape(language) if self.random.random() < 0.5 else self.mutation(language)
                outcome = cage.try_(language, data)
                self.tried[language] += 1
                self.fates[outcome.fate] += 1
                self.bytes += len(data)
                self.note(language, name, data, outcome, cage)

    def shape(self, language: str) -> tuple[str, bytes]:
        """Return a shape of some size, sometimes in the middle of a real file."""
        name = self.random.choice(list(SHAPES))
        data = SHAPES[name](int(2 ** self.random.uniform(6, 17)))[:_MOST_BYTES]
        if self.random.random() < 0.4:
            around = self.text(language)
            cut = self.random.randrange(len(around) + 1)
            data = around[:cut] + data + around[cut:]
        return f"{name} x {len(data)} bytes", data

    def mutation(self, language: str) -> tuple[str, bytes]:
        """Return a damaged real file."""
        data = mutated(self.text(language), self.text(self.random.choice(self.languages)), self.random)
        if self.random.random() < 0.1:
            return "mutated and recoded", recoded(data, self.random)
        return "mutated", data

    def text(self, language: str) -> bytes:
        """Return the first megabyte of some file of a language."""
        with self.random.choice(self.files[language]).open("rb") as file:
            return file.read(_MOST_BYTES)

    def note(self, language: str, name: str, data: bytes, outcome: Outcome, cage: Cage) -> None:
        """Remember slow inputs; reduce, save and report bad ones."""
        if outcome.fate == "fine":
            if len(data) >= _MEASURED_FROM:
                stage = max(outcome.seconds, key=lambda one: outcome.seconds[one], default="")
                line = f"{language:12} {len(data):8} bytes {outcome.total_s:7.2f} s, most in {stage}: {name}"
                self.slowest.append((outcome.total_s / len(data) * 1e6, line))
                self.slowest = sorted(self.slowest, reverse=True)[:_SHOWN]
            return
        key = f"{language} {outcome.fate} {outcome.detail[:60]}"
        if key in self.bad:
            return
        tries = 60 if outcome.fate != "hang" else 6
        small = shrunk(data, lambda shorter: cage.try_(language, shorter).fate == outcome.fate, tries=tries)
        self.save.mkdir(parents=True, exist_ok=True)
        path = self.save / f"{language}-{outcome.fate}-{hashlib.sha256(small).hexdigest()[:8]}"
        path.write_bytes(small)
        self.bad[key] = f"{outcome.detail}; {name}; {len(small)} bytes in {path}"
        print(f"{key}: {self.bad[key]}", flush=True)


def main() -> int:
    """Return the exit status: 1 if an input crashed, hung or broke a promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--corpus", type=Path, nargs="*", default=[])
    parser.add_argument("--save", type=Path, default=Path("fuzz-found"))
    parser.add_argument("--language", nargs="*", default=sorted(LANGUAGES))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    fuzzer = Fuzzer(chosen.seed, corpus(chosen.corpus), chosen.language, chosen.save)
    fuzzer.run(time.monotonic() + 60 * chosen.minutes)
    print(f"\n{'inputs':<24}{fuzzer.fates.total():>10}\n{'megabytes':<24}{fuzzer.bytes / 1e6:>10.1f}")
    print(f"{'languages':<24}{len(fuzzer.tried):>10}")
    for fate in ("fine", "broken", "crash", "hang"):
        print(f"{fate:<24}{fuzzer.fates[fate]:>10}")
    print("\nslowest (seconds of CPU a megabyte)")
    for rate, line in fuzzer.slowest:
        print(f"{rate:9.2f}  {line}")
    for key, told in sorted(fuzzer.bad.items()):
        print(f"BAD  {key}: {told}")
    return 1 if fuzzer.bad else 0
