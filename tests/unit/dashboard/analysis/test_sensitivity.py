"""The table that shows whether a result depends on window and lag."""

from __future__ import annotations

import pytest

from dashboard.analysis.comparison import Decision, compare_family, decide_family
from dashboard.analysis.sensitivity import Conclusion, MatchingChoice, choices_around, sensitivity
from edge_agent.core.errors import StatisticsError

CHOSEN = MatchingChoice(10.0, 5.0, 45.0)
LONG = MatchingChoice(20.0, 5.0, 45.0)
SHORT = MatchingChoice(5.0, 5.0, 45.0)
NEUTRAL = {"a": 70.0, "b": 65.0, "c": 80.0, "d": 72.0}
RISEN = {"a": 76.0, "b": 70.5, "c": 86.5, "d": 78.0}
UNSTEADY = {"a": 60.0, "b": 78.0, "c": 79.0, "d": 77.0}


def family(*firsts: dict[str, float]) -> tuple[Decision, ...]:
    return decide_family((first, NEUTRAL) for first in firsts)


VARIANTS = {
    CHOSEN: family(RISEN, UNSTEADY),
    LONG: family(UNSTEADY, UNSTEADY),
    SHORT: family({"a": 71.0}, UNSTEADY),
}


def test_a_conclusion_that_changes_is_counted_and_one_that_stays_is_not() -> None:
    risen, unsteady = sensitivity(CHOSEN, [SHORT, CHOSEN, LONG], VARIANTS.__getitem__)
    assert risen.chosen.conclusion is Conclusion.HIGHER
    assert [variant.conclusion for variant in risen.variants] == [
        Conclusion.NO_TEST,
        Conclusion.HIGHER,
        Conclusion.NOT_SHOWN,
    ]
    assert [variant.changes for variant in risen.variants] == [True, False, True]
    assert (risen.changed, unsteady.changed) == (2, 0)


def test_a_row_has_the_numbers_of_its_setting_and_they_are_those_of_the_whole_comparison() -> None:
    risen, _ = sensitivity(CHOSEN, [LONG, SHORT], VARIANTS.__getitem__)
    whole, _ = compare_family([(UNSTEADY, NEUTRAL), (UNSTEADY, NEUTRAL)])
    assert whole.tests is not None and whole.method is not None
    row, empty = risen.variants
    t = whole.tests.t
    assert row.choice == LONG
    assert row.decision == Decision(
        whole.method, 4, 4, t.difference, t.interval, t.p, whole.tests.holm_p, whole.tests.bh_p
    )
    assert empty.decision == Decision(None, 0, 3)


def test_values_that_do_not_vary_have_a_difference_and_no_test() -> None:
    flat = {code: value + 1 for code, value in NEUTRAL.items()}
    (found,) = sensitivity(CHOSEN, [CHOSEN], {CHOSEN: decide_family([(flat, NEUTRAL)])}.__getitem__)
    assert found.variants[0].decision.difference == pytest.approx(1)
    assert (found.variants[0].conclusion, found.variants[0].decision.p) == (
        Conclusion.NO_TEST,
        None,
    )


def test_a_fall_is_called_lower() -> None:
    fallen = {code: value - 6 - value / 100 for code, value in NEUTRAL.items()}
    (found,) = sensitivity(CHOSEN, [], {CHOSEN: family(fallen)}.__getitem__)
    assert found.chosen.conclusion is Conclusion.LOWER
    assert found.variants == ()


def test_the_chosen_setting_is_computed_once() -> None:
    tried: list[MatchingChoice] = []

    def compute(setting: MatchingChoice) -> tuple[Decision, ...]:
        tried.append(setting)
        return VARIANTS[setting]

    sensitivity(CHOSEN, [CHOSEN, LONG], compute)
    assert tried == [CHOSEN, LONG]


def test_settings_around_are_half_the_same_and_twice_with_the_chosen_one_among_them() -> None:
    found = choices_around(CHOSEN)
    assert len(found) == 9 and CHOSEN in found
    assert MatchingChoice(5.0, 10.0, 90.0) in found
    assert len(choices_around(MatchingChoice(10.0, 0.0, 0.0))) == 3


def test_families_of_different_size_are_refused() -> None:
    with pytest.raises(StatisticsError, match="gives 1 comparisons, and .* gives 2"):
        sensitivity(CHOSEN, [LONG], {CHOSEN: VARIANTS[CHOSEN], LONG: family(RISEN)}.__getitem__)
