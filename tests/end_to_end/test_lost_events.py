"""Lost events: the daemon notices, scans without being asked, and a sync in the middle is exact.

`python tests/endurance lost_events` runs all of them with many files; these are the quick ones.
"""

from __future__ import annotations

import pytest

from endurance.storms import STORMS, Storm, weather, why_not

pytestmark = [pytest.mark.changes_limits, pytest.mark.skipif(bool(why_not()), reason=why_not())]


@pytest.mark.parametrize("storm", [storm for storm in STORMS if storm.queue], ids=lambda storm: storm.name)
def test_lost_events_are_made_up_for(storm: Storm) -> None:
    assert weather(storm, 1000).differences == []
