"""Real kernel faults: the daemon reports them, answers as far as it can, loses nothing, and recovers without help.

`python tests/endurance faults` runs all of them; these are the quick ones.
"""

from __future__ import annotations

import pytest

from endurance.fault_cases import FAULTS
from endurance.faults import Fault, suffer, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.fast], ids=lambda fault: fault.name)
def test_a_fault_is_spoken_of_and_survived(fault: Fault) -> None:
    outcome = suffer(fault)
    assert outcome.answered or not fault.answers
    assert outcome.differences == []
