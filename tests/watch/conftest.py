"""The asynchronous tests of this folder run on asyncio, as the daemon does."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
