"""The directories and files of one user's daemon, by the conventions of the platform; all have mode 0700."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from msgspec import Struct

from codeindexd import protocol
from codeindexd.errors import FailedError

_APP = "codeindexd"
_CACHEDIR_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by codeindexd. Backup tools skip what is below.
# For information about cache directory tags see https://bford.info/cachedir/
"""


class Paths(Struct, frozen=True):
    """The paths of one user's daemon. ``socket`` is in ``runtime`` unless CODEINDEXD_SOCKET is set."""

    config: Path
    runtime: Path
    state: Path
    cache: Path
    socket: Path

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> Paths:
        """Return the paths of the calling user. Raises ConfigError if the socket's path is relative or too long."""
        return cls(
            config=platformdirs.user_config_path(_APP, appauthor=False),
            runtime=Path(protocol.runtime_directory(environ)),
            state=platformdirs.user_state_path(_APP, appauthor=False),
            cache=platformdirs.user_cache_path(_APP, appauthor=False),
            socket=Path(protocol.socket_path(environ)),
        )

    @property
    def config_file(self) -> Path:
        """The configuration file."""
        return self.config / "config.toml"

    @property
    def lock(self) -> Path:
        """The file that the running daemon keeps locked.

        It is in the state directory, not beside the socket: otherwise two daemons with different runtime directories (a
        login session's and a cron job's) would use the same stores.
        """
        return self.state / protocol.LOCK_NAME

    @property
    def address_file(self) -> Path:
        """The file that names the socket of the running daemon."""
        return self.state / protocol.ADDRESS_NAME

    @property
    def spare_socket(self) -> Path:
        """The socket's path if the runtime directory is gone and cannot be created again."""
        return self.state / "codeindexd.sock"

    @property
    def log_file(self) -> Path:
        """The log of a daemon whose standard error is not connected to anything."""
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
    def histories(self) -> Path:
        """The parent of the stores of histories, shared by the clones of each repository."""
        return self.cache / "history"

    @property
    def cookies(self) -> Path:
        """The directory of the watchers' cookie files, outside all roots."""
        return self.runtime / "cookies"

    @property
    def spare_cookies(self) -> Path:
        """The directory of cookie files if the runtime directory is gone and cannot be created again."""
        return self.state / "cookies"

    def create(self) -> None:
        """Create the directories that are missing, and make the others private.

        Raises FailedError if one cannot be created, or if another user owns or could replace it.
        """
        for directory in (self.runtime, self.state, self.cache, self.roots, self.histories, self.cookies):
            private_directory(directory)
        tag = self.cache / "CACHEDIR.TAG"
        if not tag.exists():
            try:
                tag.write_text(_CACHEDIR_TAG, "ascii")
            except OSError as error:
                raise FailedError(f"cannot write {tag}: {error.strerror}", hint="check the disk") from error


def private_directory(directory: Path) -> None:
    """Create ``directory`` and its parents if they are missing, and give only its owner access to it.

    Raises FailedError, also if another user owns or could replace the directory.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        check_parents(directory)
        found = directory.lstat()
        if stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid():
            found = directory.stat()  # its owner moved it to another disk
        if found.st_uid != os.geteuid():
            raise FailedError(
                f"{directory} belongs to another user (uid {found.st_uid})",
                hint=f"remove it, or make it yours: sudo chown -R {os.geteuid()} {shlex.quote(str(directory))}",
            )
        if found.st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise FailedError(f"cannot use {directory}: {error.strerror}", hint="check its permissions") from error


def check_parents(path: Path) -> None:
    """Raise FailedError if the directories above ``path`` let another user replace it; OSError if one is missing.

    Each directory must belong to this user or to root, and if everybody may write to it, it needs the sticky bit. The
    home directory and those above it are not checked, nor are group permissions: many systems give each user a group.
    """
    home = Path("~").expanduser() if "HOME" in os.environ else Path("/")
    trusted = {home, *home.parents, home.resolve(), *home.resolve().parents}
    for above in dict.fromkeys((*path.absolute().parents, *path.resolve().parents)):
        if above in trusted:
            continue
        for found in (above.lstat(), above.stat()):
            if found.st_uid not in (os.geteuid(), 0) and not _is_outside(found.st_uid):
                raise FailedError(
                    f"{above} belongs to another user (uid {found.st_uid}), who could replace {path}",
                    hint="use a directory of your own: set XDG_RUNTIME_DIR, XDG_STATE_HOME, XDG_CACHE_HOME",
                )
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            raise FailedError(
                f"{above} is writable by everybody, who could replace {path}",
                hint=f"chmod o-w {shlex.quote(str(above))}",
            )


def _is_outside(uid: int) -> bool:
    """Return True if ``uid`` stands for all users outside this user namespace, such as the system's root."""
    try:
        maps_all = Path("/proc/self/uid_map").read_text("ascii").split() == ["0", "0", str(2**32 - 1)]
        return not maps_all and uid == int(Path("/proc/sys/kernel/overflowuid").read_text("ascii"))
    except (OSError, ValueError):
        return False
