"""The daemon's metrics as OpenMetrics text."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

from codeindexd.roots import Root
from codeindexd.types import RootState

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes, or its peak if the system reports only that."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class _Page:
    """Metric families, in the order in which they are first added."""

    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def add(self, name: str, kind: str, description: str, value: float, labels: Iterable[tuple[str, str]] = ()) -> None:
        lines = self._families.setdefault(
            name, [f"# TYPE codeindexd_{name} {kind}", f"# HELP codeindexd_{name} {description}"]
        )
        inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        suffix = "_total" if kind == "counter" else ""
        lines.append(f"codeindexd_{name}{suffix}{'{' + inner + '}' if inner else ''} {value:g}")

    def text(self) -> str:
        return "\n".join(line for lines in self._families.values() for line in lines) + "\n# EOF\n"


def render(roots: Iterable[Root], uptime_s: float) -> str:
    """Return the present metrics of the daemon and of ``roots`` as text. Blocking: reads catalogs."""
    page = _Page()
    page.add("uptime_seconds", "gauge", "Time since the daemon started.", uptime_s)
    page.add("resident_bytes", "gauge", "Resident memory of the daemon process.", resident_bytes())
    for root in roots:
        status = root.status()
        counts = status.counts
        labels = [("root", os.fsdecode(root.spec.raw).encode("utf-8", "replace").decode())]
        page.add("files", "gauge", "Indexed files.", counts.files, labels)
        page.add("chunks", "gauge", "Indexed chunks.", counts.chunks, labels)
        page.add("failed_files", "gauge", "Files that could not be processed.", counts.failed, labels)
        page.add("pending_files", "gauge", "Files waiting for processing.", status.progress.files_left, labels)
        page.add("pending_vectors", "gauge", "Chunks without a vector.", status.pending_vectors, labels)
        page.add("generation", "gauge", "Generation that queries run on.", status.generation, labels)
        page.add("chunks_embedded", "counter", "Chunks a model was run on.", status.chunks_embedded, labels)
        page.add(
            "fresh", "gauge", "1 when equal to the disk as far as is known.", status.state is RootState.FRESH, labels
        )
        for name, stage in status.stages.items():
            staged = [*labels, ("stage", name)]
            page.add("stage_items", "counter", "Items processed.", stage.items, staged)
            page.add("stage_seconds", "counter", "Time spent.", stage.seconds, staged)
            page.add("stage_errors", "counter", "Items failed.", stage.errors, staged)
    return page.text()
