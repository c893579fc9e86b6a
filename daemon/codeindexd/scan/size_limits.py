"""The sizes up to which files are read; larger for notebooks, most of whose bytes are outputs."""

from __future__ import annotations

from msgspec import Struct

from codeindexd.scan.ignore import Verdict

MOST_TEXT_BYTES = 32 << 20
"""The size in bytes up to which exact search reads a file, also one that is too large for anything else."""

_NOTEBOOK = b".ipynb"


class SizeLimits(Struct, frozen=True):
    """Size limits in bytes. ``file_bytes`` also limits the indexed part of a notebook, the text of its cells."""

    file_bytes: int = 2 << 20
    notebook_bytes: int = 32 << 20

    def of(self, path: bytes) -> int:
        """Return the size in bytes up to which the file ``path`` is read."""
        return max(self.file_bytes, self.notebook_bytes) if _is_notebook(path) else self.file_bytes

    def verdict(self, path: bytes) -> Verdict:
        """Return the verdict on a file ``path`` that is larger."""
        setting = "max_notebook_bytes" if self.of(path) > self.file_bytes else "max_file_bytes"
        return Verdict(ignored=True, reason="oversized", rule=f"index.{setting}")


def _is_notebook(path: bytes) -> bool:
    return path[-len(_NOTEBOOK) :].lower() == _NOTEBOOK
