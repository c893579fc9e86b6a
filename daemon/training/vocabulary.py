"""The words that get their own row, most useful first, with the document frequencies for their weights.

    python -m training.vocabulary --corpus corpus.jsonl --size 57000 --out vocabulary.tsv

A word's rank depends on how many packages use it, not how often: a name that one package repeats a million times is of
no use to others. All common single characters are kept, so that any word can be composed.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections import Counter
from pathlib import Path

from codeindexd.analysis.tokens import Tokenizer

_ODD = re.compile(r"^(\d+[a-z]?|0x[0-9a-f]+|[0-9a-f]{6,}|.*\d.*\d.*\d.*)$")  # numbers and hashes
_MAX_LETTERS = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--size", type=int, default=57_000)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tokenizer = Tokenizer()
    files: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    here: set[str] = set()
    package, total = "", 0
    with args.corpus.open() as lines:
        for line in lines:
            row = json.loads(line)
            if row["package"] != package:
                packages.update(here)
                package, here = row["package"], set()
            words = set(tokenizer.words(row["text"]))
            files.update(words)
            here |= words
            total += 1
    packages.update(here)
    chosen = choose(files, packages, args.size)
    with args.out.open("w") as out:
        out.write(f"#\t{total}\n")
        out.writelines(f"{word}\t{files[word]}\n" for word in chosen)
    print(f"{len(files)} words seen in {total} files, {len(chosen)} kept, last in {files[chosen[-1]]} files")


def choose(files: Counter[str], packages: Counter[str], size: int) -> list[str]:
    """Return the ``size`` most widely used words; characters and short numbers first."""
    keep = [word for word in files if len(word) == 1 and packages[word] >= 5]
    keep += [str(n) for n in range(10, 100)]
    taken = set(keep)
    rest = [word for word in files if word not in taken and len(word) <= _MAX_LETTERS and not _ODD.match(word)]
    rest.sort(key=lambda word: (-packages[word] * math.log1p(files[word]), word))
    return (sorted(taken) + rest)[:size]


if __name__ == "__main__":
    main()
