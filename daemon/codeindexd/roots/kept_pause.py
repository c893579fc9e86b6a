"""Keeps on disk that a root is paused, so that it stays paused when the daemon starts again."""

from __future__ import annotations

from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


class KeptPause:
    """A root is paused if the file ``marker`` exists. Blocking."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    @property
    def is_set(self) -> bool:
        """True if the root was paused and not resumed since."""
        return self._marker.exists()

    def set(self) -> None:
        """Keep that the root is paused. If that is not possible, it is paused until the daemon stops."""
        try:
            self._marker.touch(mode=0o600)
        except OSError as error:
            log.warning("pause_not_kept", marker=str(self._marker), error=error.strerror)

    def clear(self) -> None:
        """Keep that the root is not paused. If that is not possible, it is paused again when the daemon starts."""
        try:
            self._marker.unlink(missing_ok=True)
        except OSError as error:
            log.warning("pause_not_forgotten", marker=str(self._marker), error=error.strerror)
