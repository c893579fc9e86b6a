"""An option of which only one value has a meaning."""

from __future__ import annotations

import argparse
from typing import Any


class GivenOnce(argparse.Action):
    """Stores a value, and refuses a second one instead of silently replacing the first."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Store ``values``. Raises argparse.ArgumentError, which the parser reports."""
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, "given more than once")
        setattr(namespace, self.dest, values)
