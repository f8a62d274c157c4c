"""Who lacks a state against who has it, with a time at rest."""

from __future__ import annotations

import pytest

from dashboard.analysis.groups import MissingMeasure, compare_missing
from dashboard.analysis.means import StateMean
from dashboard.analysis.results import MissingModel
from tests.support.studies import HEART

REST = {"a": 70.0, "b": 66.0, "c": 73.0, "x": 71.0, "y": 64.0, "z": 69.0}
NEUTRAL = {"a": 81.0, "b": 78.5, "c": 83.0, "x": 73.0, "y": 65.5, "z": 71.5}


def measures_of(*, changes: bool) -> list[MissingMeasure]:
    means = [StateMean(code, HEART, "neutral", value, 9, False) for code, value in NEUTRAL.items()]
    means += [StateMean(code, HEART, "anger", 80.0, 9, False) for code in "xyz"]
    at_rest = {(HEART, code): value for code, value in REST.items()}
    lacking = [MissingModel(vital=HEART, state="anger", participants=("a", "b", "c"), sentence="")]
    [missing] = compare_missing(lacking, means, at_rest, changes=changes)
    assert (missing.lacking, missing.others) == (3, 3)
    return list(missing.measures)


def test_levels_and_reactions_are_compared_at_rest_and_in_other_states() -> None:
    measures = measures_of(changes=False)
    assert [(one.state, one.less) for one in measures] == [
        ("baseline", ""),
        ("neutral", ""),
        ("neutral", "baseline"),
    ]
    # R 4.2.2: p.adjust(c(t.test(rest) …), "holm") of the three
    assert [one.adjusted_p for one in measures] == pytest.approx(
        [0.59700507, 0.04688145, 0.00742066], rel=1e-6
    )


def test_a_change_from_baseline_is_a_reaction_itself() -> None:
    assert [(one.state, one.less) for one in measures_of(changes=True)] == [
        ("baseline", ""),
        ("neutral", ""),
    ]
