"""A work tree that is moved from commit to commit, as a repository that knows nothing later than its commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class MovingTree:
    """A directory with the files of one commit of the repository ``git``, made in ``scratch``.

    It is a repository of its own, which borrows the objects of ``git`` and has no branch but a detached HEAD.
    """

    def __init__(self, git: Path, scratch: Path) -> None:
        self.directory = scratch / "tree"
        self._git = git.resolve()
        subprocess.run(["git", "init", "-q", str(self.directory)], check=True)
        alternates = self.directory / ".git/objects/info/alternates"
        alternates.write_text(f"{self._git / 'objects'}\n")
        self._environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def time_of(self, commit: str) -> int:
        """Return when a commit was made, in seconds since the epoch."""
        return int(self._run("show", "-s", "--format=%ct", commit))

    def check_out(self, commit: str) -> None:
        """Make the directory equal to a commit, and that commit the newest one of the repository."""
        self._run("read-tree", "-u", "--reset", commit)
        self._run("update-ref", "--no-deref", "HEAD", commit)

    def commits(self) -> list[str]:
        """Return the ids of all commits that can be reached."""
        return self._run("rev-list", "--all", "HEAD").split()

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.directory, env=self._environment, check=True, capture_output=True, text=True
        )
        return done.stdout
