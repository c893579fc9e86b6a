"""Where everything of a user lives, by the conventions of the platform; every directory is made with mode 0700."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from codeindexd import protocol
from codeindexd.errors import FailedError

_APP = "codeindexd"
_CACHEDIR_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by codeindexd. Backup tools skip what is below.
# For information about cache directory tags see https://bford.info/cachedir/
"""


@dataclass(frozen=True, slots=True)
class Paths:
    """All places of one user's daemon. ``socket`` and ``lock`` lie in ``runtime`` unless CODEINDEXD_SOCKET is set."""

    config: Path
    runtime: Path
    state: Path
    cache: Path
    socket: Path

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> Paths:
        """The places of the calling user. Raises ConfigError for a socket path that is too long."""
        return cls(
            config=platformdirs.user_config_path(_APP, appauthor=False),
            runtime=Path(protocol.runtime_directory(environ)),
            state=platformdirs.user_state_path(_APP, appauthor=False),
            cache=platformdirs.user_cache_path(_APP, appauthor=False),
            socket=Path(protocol.socket_path(environ)),
        )

    @property
    def config_file(self) -> Path:
        """``config.toml``."""
        return self.config / "config.toml"

    @property
    def lock(self) -> Path:
        """The file that the running daemon holds locked.

        It lies in the state directory, not beside the socket: what must not be shared by two daemons are the stores,
        and two daemons with different runtime directories (a login session and a cron job) would share those.
        """
        return self.state / "lock"

    @property
    def log_file(self) -> Path:
        """What a daemon without a journal writes to."""
        return self.state / "codeindexd.log"

    @property
    def roots_file(self) -> Path:
        """The list of roots."""
        return self.state / "roots.json"

    @property
    def vectors(self) -> Path:
        """The vector store, shared by all roots."""
        return self.cache / "vectors.db"

    @property
    def roots(self) -> Path:
        """The parent of every root's stores."""
        return self.cache / "roots"

    @property
    def cookies(self) -> Path:
        """The directory of the watchers' cookie files, outside all roots."""
        return self.runtime / "cookies"

    def create(self) -> None:
        """Make the directories that are missing, and close those of ours that are open to others.

        Raises FailedError when one cannot be made or belongs to another user.
        """
        for directory in (self.runtime, self.state, self.cache, self.roots, self.cookies):
            private_directory(directory)
        tag = self.cache / "CACHEDIR.TAG"
        if not tag.exists():
            try:
                tag.write_text(_CACHEDIR_TAG, "ascii")
            except OSError as error:
                raise FailedError(f"{tag} cannot be written: {error.strerror}", hint="Check the disk.") from error


def private_directory(directory: Path) -> None:
    """Make ``directory`` (and its parents) so that only its owner gets in.

    Raises FailedError, also when another user could put a directory of theirs in its place.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        check_place(directory)
        found = directory.lstat()
        if stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid():
            found = directory.stat()  # moved to another disk by its owner
        if found.st_uid != os.geteuid():
            raise FailedError(
                f"{directory} belongs to another user (uid {found.st_uid})",
                hint=f"Remove it, or give it back: chown {os.geteuid()} {directory}",
            )
        if found.st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise FailedError(f"{directory} cannot be used: {error.strerror}", hint="Check its permissions.") from error


def check_place(path: Path) -> None:
    """Raises FailedError when a directory above ``path`` lets another user replace ``path``, OSError when one is gone.

    Each must belong to us or to root, and be writable for everybody only where everybody may delete but their own
    (the sticky bit). What lies above the home directory is not ours to judge, nor are groups: many systems give every
    user a group of their own.
    """
    home = Path("~").expanduser() if "HOME" in os.environ else Path("/")
    given = {home, *home.parents, home.resolve(), *home.resolve().parents}
    for above in dict.fromkeys((*path.absolute().parents, *path.resolve().parents)):
        if above in given:
            continue
        for found in (above.lstat(), above.stat()):
            if found.st_uid not in (os.geteuid(), 0) and not _is_outside(found.st_uid):
                raise FailedError(
                    f"{above} belongs to another user (uid {found.st_uid}), who could replace {path}",
                    hint="Use a directory of your own: set XDG_RUNTIME_DIR, XDG_STATE_HOME, XDG_CACHE_HOME.",
                )
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            raise FailedError(
                f"{above} can be written by everybody, who could replace {path}",
                hint=f"chmod o-w {above}, or use another directory.",
            )


def _is_outside(uid: int) -> bool:
    """Whether ``uid`` stands for users outside of this user namespace, among them the system's root."""
    try:
        everybody = Path("/proc/self/uid_map").read_text("ascii").split() == ["0", "0", str(2**32 - 1)]
        return not everybody and uid == int(Path("/proc/sys/kernel/overflowuid").read_text("ascii"))
    except (OSError, ValueError):
        return False
