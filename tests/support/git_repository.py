"""A git repository whose work tree a test writes as it commits: ``commit({"a.py": "x"})``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from support.repositories import GitRepositoryForTests
from support.trees import Node, tree


class TestRepository:
    """A repository in ``top`` on branch ``main``. Ids are hexadecimal."""

    __test__ = False  # the name begins as those of test classes do

    def __init__(self, top: Path) -> None:
        self.top = top
        self._made = GitRepositoryForTests(top)

    def git(self, *arguments: str) -> str:
        """Run git and return what it prints. Raises AssertionError if it fails."""
        return self.git_bytes(*arguments).decode()

    def git_bytes(self, *arguments: str) -> bytes:
        """Run git and return what it prints, as bytes."""
        return self._made.git(*arguments)

    def commit(self, files: Mapping[str, Node] | None = None, message: str = "Change something") -> str:
        """Write ``files``, commit everything, and return the id of the commit."""
        tree(self.top, files or {})
        return self._made.commit(message).hex()

    def merge(self, *branches: str, message: str = "Merge", files: Mapping[str, Node] | None = None) -> str:
        """Merge branches, with ``files`` as the result of conflicts, and return the id of the merge."""
        if files is None:
            self.git("merge", "-q", "--no-ff", "-m", message, *branches)
            return self.head
        with contextlib.suppress(AssertionError):  # conflicts, which the files resolve
            self.git("merge", "-q", "--no-ff", "--no-commit", *branches)
        return self.commit(files, message)

    @property
    def head(self) -> str:
        """The id of the commit that is checked out."""
        return self._made.head().hex()
