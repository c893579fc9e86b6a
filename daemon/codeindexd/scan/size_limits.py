"""How large a file may be to be read: notebooks may be larger, because most of one are its outputs."""

from __future__ import annotations

from dataclasses import dataclass

from codeindexd.scan.ignore import Verdict

_NOTEBOOK = b".ipynb"


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """The limits in bytes. That of other files bounds what is indexed of a notebook, too: the text of its cells."""

    file_bytes: int = 2 << 20
    notebook_bytes: int = 32 << 20

    def of(self, path: bytes) -> int:
        """Return the largest size in bytes at which ``path`` is read."""
        return max(self.file_bytes, self.notebook_bytes) if _is_notebook(path) else self.file_bytes

    def verdict(self, path: bytes) -> Verdict:
        """Return why ``path`` is left out when it is larger."""
        setting = "max_notebook_bytes" if self.of(path) > self.file_bytes else "max_file_bytes"
        return Verdict(True, "oversized", f"index.{setting}")


def _is_notebook(path: bytes) -> bool:
    return path[-len(_NOTEBOOK) :].lower() == _NOTEBOOK
