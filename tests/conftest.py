"""Fixtures and settings that all tests share."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline and no complaint about slow generation: a loaded machine is no failure.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

collect_ignore = ["benchmarks", "endurance"]
TESTS = Path(__file__).parent


@pytest.fixture
def anyio_backend() -> str:
    """Run coroutine tests on asyncio, which the daemon needs. The tests of the asynchronous client add trio."""
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every end-to-end test as one that starts processes."""
    for item in items:
        if item.path.is_relative_to(TESTS / "end_to_end"):
            item.add_marker("processes")


def pytest_collection_finish() -> None:
    """Leave thousands of collected tests to themselves: no search for garbage during a test looks through them."""
    gc.collect()
    gc.freeze()
