"""Asks git which paths it ignores, independent of this machine's configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path


class GitOracle:
    """A repository at ``top`` whose user has the home directory ``home``."""

    def __init__(self, top: Path, home: Path) -> None:
        self.top = top
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C",
        }

    def git(self, *arguments: str, given: bytes = b"", allowed: tuple[int, ...] = (0,)) -> bytes:
        """Return the output of a git command run at the top."""
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", *arguments],
            cwd=self.top,
            env=self.environment,
            input=given,
            capture_output=True,
            check=False,
        )
        assert done.returncode in allowed, done.stderr.decode(errors="replace")
        return done.stdout

    def init(self) -> GitOracle:
        """Create a repository at ``top``."""
        self.top.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q")
        return self

    def matches(self, paths: Iterable[bytes]) -> dict[bytes, tuple[bytes, int, bytes]]:
        """Return (source, line, pattern) of the deciding pattern by path, without paths that no pattern matches."""
        out = self.git(
            "check-ignore", "--no-index", "-z", "-v", "-n", "--stdin", given=b"\0".join(paths), allowed=(0, 1)
        ).split(b"\0")[:-1]
        records = zip(out[0::4], out[1::4], out[2::4], out[3::4], strict=True)
        return {path: (source, int(line), pattern) for source, line, pattern, path in records if line}

    def ignored(self, paths: Iterable[bytes]) -> set[bytes]:
        """Return those paths that git ignores."""
        return {path for path, (_, _, pattern) in self.matches(paths).items() if not pattern.startswith(b"!")}

    def untracked_ignored(self) -> set[bytes]:
        """Return every file below the top that git lists as untracked and ignored."""
        return set(self.git("ls-files", "-z", "--others", "--ignored", "--exclude-standard").split(b"\0")[:-1])
