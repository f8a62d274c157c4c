"""How near a face is to getting or losing its label."""

from __future__ import annotations

import pytest

from edge_agent.vision.need import Border

BORDER = Border(comes=0.83, goes=0.75)


@pytest.mark.parametrize(
    ("is_labelled", "confidence", "distance", "labels"),
    [
        (False, 0.80, 0.03, False),
        (False, 0.83, 0.0, True),
        (True, 0.80, 0.05, True),
        (True, 0.74, 0.01, False),
    ],
)
def test_a_label_comes_higher_than_it_goes(
    is_labelled: bool, confidence: float, distance: float, labels: bool
) -> None:
    assert BORDER.distance(confidence, is_labelled=is_labelled) == pytest.approx(distance)
    assert BORDER.labels(confidence, is_labelled=is_labelled) is labels
