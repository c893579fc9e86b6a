"""The losses of the training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")  # only here, since it takes seconds


@pytest.fixture
def contrast(torch: Any) -> Any:
    return pytest.importorskip("training.contrast")


def test_the_relational_loss_is_zero_for_any_rotation_of_the_teacher(torch: Any, contrast: Any) -> None:
    teacher = np.eye(4, dtype=np.float16)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.manual_seed(1)))[0]
    assert contrast.relational(rotation, teacher).item() == pytest.approx(0, abs=1e-6)
    assert contrast.relational(torch.ones(4, 4) / 2, teacher).item() == pytest.approx(12 / 16)


def test_info_nce_is_least_for_the_right_pairs(torch: Any, contrast: Any) -> None:
    vectors = torch.eye(3)
    right = contrast.info_nce(vectors, vectors, 0.1).item()
    assert right < contrast.info_nce(vectors, vectors.flip(0), 0.1).item()
