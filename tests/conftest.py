"""Fixtures and settings that all tests share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# No deadline and no complaint about slow generation: a loaded machine is no failure.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

collect_ignore = ["benchmarks", "endurance"]


@pytest.fixture
def anyio_backend() -> str:
    """Run coroutine tests on asyncio, which the daemon needs. The tests of the asynchronous client add trio."""
    return "asyncio"
