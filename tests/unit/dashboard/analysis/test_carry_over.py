"""Carry-over: what the state right before leaves behind may be the difference reported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dashboard.analysis.conclusions import Caution
from dashboard.analysis.inference.checks import carry_over_of
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import ComparisonModel
from edge_agent.core.vitals import VitalKind
from tests.support.analyses import analysed
from tests.support.timeline import Row, reading, session_row, timeline

CYCLIC = ("neutral happiness anger", "happiness anger neutral", "anger neutral happiness")
ALL = (*CYCLIC, "anger happiness neutral", "neutral anger happiness", "happiness neutral anger")
FIRST = (71.0, 80.0, 66.5, 84.2, 90.0, 77.0, 68.4, 79.9)
SECOND = (70.0, 78.0, 69.0, 83.0, 85.0, 79.0, 66.0, 75.0)
MORE = np.array([1, 1, 0, 1, 1, 0, -0.5, 1])
PLACES = np.array([[1.0], [-1.0], [0.0], [1.0], [0.0], [-1.0], [1.0], [0.0]])


def test_difference_without_what_came_before_equals_r() -> None:
    # R 4.2.2: summary(lm(I(first - second) ~ more)), confint; and with places
    found = carry_over_of((FIRST, SECOND), 1.5, {"anger": MORE}, None)
    assert found is not None
    assert (found.difference, found.p) == pytest.approx(
        (0.22758620689655354, 0.86275527406812869), rel=1e-9
    )
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (-2.8588442622568735, 3.3140166760499810), rel=1e-9
    )
    assert (found.state, found.before_first, found.before_second, found.moves) == (
        "anger",
        5,
        1,
        True,
    )
    placed = carry_over_of((FIRST, SECOND), 1.5, {"anger": MORE}, PLACES)
    assert placed is not None
    assert (placed.difference, placed.p) == pytest.approx(
        (0.13584905660377533, 0.92400113195922351), rel=1e-9
    )


@pytest.mark.parametrize(
    ("difference", "moves"),
    [(1.5, True), (0.29, False), (0.1, False)],
    ids=["takes much", "takes little", "adds"],
)
def test_only_what_takes_from_a_difference_moves_it(difference: float, moves: bool) -> None:
    found = carry_over_of((FIRST, SECOND), difference, {"anger": MORE}, None)
    assert found is not None and found.moves == moves


def test_what_came_before_all_alike_cannot_be_set_apart() -> None:
    assert carry_over_of((FIRST, SECOND), 1.5, {"anger": np.ones(8)}, None) is None
    assert carry_over_of((FIRST, SECOND), 1.5, {}, None) is None


def compared(
    folder: Path, orders: Sequence[str], *, lasting: float = 0.0, happy: float = 0.0
) -> dict[tuple[str, str], ComparisonModel]:
    """Return the comparisons of 12 people whose heart anger keeps faster in the next state."""
    sessions: list[Row] = []
    readings = []
    for person in range(12):
        start, states = 1000 * person, orders[person % len(orders)].split()
        begins = [start + 10 + 120 * place for place in range(3)]
        shown = [(at, at + 120, state) for at, state in zip(begins, states, strict=True)]
        sessions.append(session_row(start, start + 500, *shown, participant=f"P{person}"))
        for place, (at, _, state) in enumerate(shown):
            level = 70.0 + person + ((person * 7 + len(state) * 5) % 11) / 4
            level += happy * (state == "happiness")
            level += lasting * (place > 0 and states[place - 1] == "anger")
            readings += [
                reading(at + second, level + second % 3 / 10, VitalKind.HEART_RATE)
                for second in range(12, 120, 4)
            ]
    path = timeline(folder, session=sessions, vital=readings)
    found = response_of(analysed(path, vital=["heart_rate"], sensitivity=False)).comparisons
    return {(one.first, one.second): one for one in found}


@pytest.mark.parametrize("often", range(3))
def test_anger_that_lasts_is_a_caution_where_orders_are_uneven(tmp_path: Path, often: int) -> None:
    orders = (*CYCLIC, *[CYCLIC[often]] * 3)
    found = compared(tmp_path, orders, lasting=8.0)["happiness", "neutral"].result
    assert not found.shows_difference or Caution.CARRY_OVER in found.caution_codes


def test_anger_that_lasts_is_a_caution_of_the_others_difference(tmp_path: Path) -> None:
    found = compared(tmp_path, CYCLIC, lasting=6.0)["happiness", "neutral"]
    assert found.result.shows_difference
    assert Caution.CARRY_OVER in found.result.caution_codes
    assert found.bayes_factor is not None
    assert Caution.CARRY_OVER in found.bayes_factor.caution_codes
    assert (
        "What anger left behind may explain it: it came right before happiness in 0 of 12 people, "
        "and right before neutral in 8. Without it: "
    ) in found.sentence


@pytest.mark.parametrize("orders", [ALL, CYCLIC], ids=["all orders", "cyclic"])
def test_difference_that_nothing_carries_has_no_caution(
    tmp_path: Path, orders: Sequence[str]
) -> None:
    found = compared(tmp_path, orders, happy=6.0)["happiness", "neutral"]
    assert found.result.shows_difference
    assert Caution.CARRY_OVER not in found.result.caution_codes
