"""The daemon, which also writes down what the ranking of each question saw, so that it can be ranked again.

    python tests/benchmarks/recording_daemon.py DIRECTORY ANYTHING -m codeindexd [OPTION ...]

Everything before ``-m codeindexd`` but the directory is left out, so that it serves as the prefix of a command.
"""

from __future__ import annotations

import copyreg
import itertools
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from codeindexd.cli.codeindexd import main
from codeindexd.search import report_chunks, retrieve
from codeindexd.search.ranking import Candidate, FileEvidence, Ranked


def _reduce(mapping: MappingProxyType[str, float]) -> tuple[type[dict[str, float]], tuple[dict[str, float]]]:
    """Let pickle write the empty defaults of candidates, which are read-only, as dictionaries."""
    return dict, (dict(mapping),)


copyreg.pickle(MappingProxyType, _reduce)


class Recorder:
    """Writes the arguments of a ranking function to a file of its own before it calls it."""

    numbers = itertools.count()

    def __init__(self, directory: Path, function: Callable[..., list[Ranked]]) -> None:
        self._directory = directory
        self._function = function

    def __call__(self, candidates: Iterable[Candidate], files: Mapping[int, FileEvidence], *rest: Any) -> list[Ranked]:
        found = list(candidates)
        part = self._directory / "part"
        part.write_bytes(pickle.dumps((self._function.__name__, found, dict(files), rest)))
        part.rename(self._directory / f"{next(self.numbers):08d}.pickle")
        return self._function(found, files, *rest)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    retrieve.rank = Recorder(place, retrieve.rank)  # type: ignore[assignment]
    report_chunks.rank_report = Recorder(place, report_chunks.rank_report)  # type: ignore[assignment]
    sys.exit(main(sys.argv[sys.argv.index("codeindexd") + 1 :]))
