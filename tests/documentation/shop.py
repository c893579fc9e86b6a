"""The repository ``shop`` of the samples: a few files and commits, always with the same ids."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

BEGIN = '''\
"""Sessions, which are kept in a signed cookie."""

from web.signing import sign


class Session:
    def __init__(self, user: str) -> None:
        self.user = user

    def cookie(self) -> str:
        return sign(self.user)
'''
EXPIRES = BEGIN.replace(
    "        return sign(self.user)\n", "        return sign(self.user, max_age=LIFETIME_S)\n"
).replace("\n\nclass", "\nLIFETIME_S = 24 * 3600\n\n\nclass", 1)
SHORTER = EXPIRES.replace("24 * 3600", "3600  # an hour: stolen cookies were valid too long")
REFRESHED = (
    SHORTER
    + '''
    def refresh(self) -> str:
        """Return a new cookie, so that a session in use does not end."""
        return self.cookie()
'''
)
SIGNING = '''\
"""Signatures of values that a client keeps."""


def sign(value: str, max_age: int | None = None) -> str:
    return f"{value}.{max_age}"
'''
TEST = """\
from web.session import Session


def test_a_session_has_a_cookie() -> None:
    assert Session("ada").cookie()
"""


class _Commit(NamedTuple):
    date: str
    author: str
    message: str
    files: Mapping[str, str]


_ADA, _GRACE = "Ada Lovelace <ada@example.com>", "Grace Hopper <grace@example.com>"
_COMMITS = (
    _Commit(
        "2020-09-12T09:00:00+00:00",
        _ADA,
        "Keep the session in a signed cookie",
        {"web/session.py": BEGIN, "web/signing.py": SIGNING, "tests/test_session.py": TEST},
    ),
    _Commit(
        "2020-09-13T10:00:00+00:00",
        _GRACE,
        "Let cookies expire (#12)\n\nA cookie was valid for ever.",
        {"web/session.py": EXPIRES, "tests/test_session.py": TEST + "\n\ndef test_a_cookie_expires() -> None: ...\n"},
    ),
    _Commit(
        "2020-09-20T11:00:00+00:00",
        _ADA,
        "Expire cookies after an hour (#41)\n\nStolen cookies were valid too long.",
        {
            "web/session.py": SHORTER,
            "tests/test_session.py": TEST + "\n\ndef test_a_cookie_expires_soon() -> None: ...\n",
        },
    ),
    _Commit(
        "2020-10-02T12:00:00+00:00",
        _GRACE,
        "Refresh a session that is used (#44)",
        {"web/session.py": REFRESHED},
    ),
)
COMMIT_COUNT = len(_COMMITS)


def create(directory: Path, environ: Mapping[str, str]) -> None:
    """Create the repository."""

    def git(*words: str, **more: str) -> None:
        subprocess.run(["git", "-C", directory, *words], env={**environ, **more}, check=True)

    directory.mkdir()
    git("init", "--quiet", "--initial-branch", "main")
    for commit in _COMMITS:
        for name, text in commit.files.items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(text)
        name, _, address = commit.author.rstrip(">").partition(" <")
        who = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", name), ("EMAIL", address), ("DATE", commit.date))
        }
        git("add", "--all")
        git("commit", "--quiet", "--no-gpg-sign", "--message", commit.message, **who)
