"""Rounded shares make the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.agent.summary import rounded_shares

PARTS = st.lists(st.floats(0, 1), min_size=1, max_size=10).filter(lambda parts: sum(parts) > 1e-6)


@given(PARTS, st.integers(1, 6))
def test_they_make_one_and_each_is_the_share_within_a_unit(parts: list[float], places: int) -> None:
    shares = rounded_shares(parts, places)
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    for share, part in zip(shares, parts, strict=True):
        assert share == pytest.approx(part / sum(parts), abs=1.001 * 10**-places)


def test_the_part_that_lost_most_gets_what_is_left() -> None:
    assert rounded_shares([2, 1, 0], 2) == [0.67, 0.33, 0]
    assert rounded_shares([1] * 8 + [0], 1) == [0.2, 0.2, *[0.1] * 6, 0]
