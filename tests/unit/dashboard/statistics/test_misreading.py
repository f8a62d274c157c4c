"""What misreading leaves of a difference."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.statistics.period import Recall, attenuation
from edge_agent.core.errors import StatisticsError


def test_nothing_misread_leaves_all_and_a_coin_leaves_nothing() -> None:
    assert attenuation(Recall(1.0, 300), Recall(1.0, 300)).factor == 1.0
    assert attenuation(Recall(0.5, 300), Recall(0.5, 300)).factor == 0.0


@pytest.mark.parametrize(("first", "second"), [(0.9, 0.9), (0.5, 1.0), (0.857, 0.904)])
def test_the_factor_is_what_simulated_misreading_leaves(first: float, second: float) -> None:
    rng = np.random.default_rng(2)
    truth = rng.random(400_000) < 0.5
    right = rng.random(400_000) < np.where(truth, first, second)
    called = np.where(right, truth, ~truth)
    values = np.where(truth, 10.0, 0.0) + rng.normal(0, 1, 400_000)
    left = (values[called].mean() - values[~called].mean()) / 10
    found = attenuation(Recall(first, 287), Recall(second, 1182))
    assert found.factor == pytest.approx(left, abs=0.005)
    assert found.interval.low < found.factor <= found.interval.high


def test_more_pictures_make_the_interval_narrower() -> None:
    few = attenuation(Recall(0.8, 30), Recall(0.9, 30)).interval
    many = attenuation(Recall(0.8, 3000), Recall(0.9, 3000)).interval
    assert few.low < many.low < many.high < few.high


def test_a_recall_without_pictures_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"not 0\.8 of 0"):
        attenuation(Recall(0.8, 0), Recall(0.9, 10))
