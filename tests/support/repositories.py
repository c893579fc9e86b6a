"""Git repositories made by tests, with git itself, free of the user's configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada Lovelace",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Charles Babbage",
    "GIT_COMMITTER_EMAIL": "charles@example.org",
    "GIT_ALLOW_PROTOCOL": "file",
}
_FIRST_DATE = 1_700_000_000


class GitRepositoryForTests:
    """A repository below a directory of the test; commits are a minute apart, so their order is certain."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        self._date = _FIRST_DATE
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *arguments: str | bytes, env: Mapping[str, str] | None = None, data: bytes | None = None) -> bytes:
        """Run git in the repository and return its output."""
        self._date += 60
        date = f"{self._date} +0130"
        environment = {**os.environ, **_ENVIRONMENT, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, **(env or {})}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, input=data, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout

    def write(self, path: str | bytes, content: str | bytes) -> None:
        """Write a file of the work tree."""
        file = self.path / os.fsdecode(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, message: str | bytes, files: Mapping[str, str | bytes | None] | None = None, **env: str) -> bytes:
        """Write files (None deletes one), commit everything, and return the commit's id."""
        for path, content in (files or {}).items():
            if content is None:
                (self.path / path).unlink()
            else:
                self.write(path, content)
        self.git("add", "-A")
        data = message if isinstance(message, bytes) else message.encode()
        self.git(
            "commit",
            "-q",
            "--allow-empty",
            "--allow-empty-message",
            "--cleanup=verbatim",
            "-F",
            "-",
            data=data,
            env=env,
        )
        return self.head()

    def head(self, name: str = "HEAD") -> bytes:
        """Return the id of a commit."""
        return bytes.fromhex(self.git("rev-parse", name).decode().strip())

    def log(self, *arguments: str) -> list[bytes]:
        """Return the ids that ``git log`` lists, newest first."""
        return [bytes.fromhex(line.decode()) for line in self.git("log", "--format=%H", *arguments).split()]
