"""What is said beside the t-tests is decided by the family, not by each test alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.analysis.analyse import Analysis
from dashboard.analysis.answer import response_of
from dashboard.analysis.say.tests import sentence
from dashboard.statistics.distributions import benjamini_hochberg, holm
from dashboard.statistics.planning import sample_size
from tests.support.analyses import analysed
from tests.support.studies import HEART, SYSTOLIC, States, make_study

NEUTRAL = (70.0, 78.0, 66.0, 83.0, 74.0, 69.0)
ANGER = (76.4, 77.0, 71.0, 80.0, 75.0, 74.0)


def nine_tests(folder: Path, **asked: object) -> Analysis:
    """Three states of two vitals: six tests, of which none shows much."""
    people: dict[str, States] = {}
    for place, (neutral, anger) in enumerate(zip(NEUTRAL, ANGER, strict=True)):
        happy = neutral + (2.0, -3.0, 1.0, -2.0, 3.0, 0.5)[place]
        met = [("neutral", neutral), ("anger", anger), ("happiness", happy)]
        if place % 2:
            met.reverse()
        people[f"P-{place}"] = {
            state: {HEART: [value], SYSTOLIC: [value + 50 + place % 2]} for state, value in met
        }
    return analysed(make_study(folder, people), **asked)


@pytest.mark.parametrize(
    ("correction", "adjust"), [("holm", holm), ("benjamini_hochberg", benjamini_hochberg)]
)
def test_rank_and_equivalence_tests_are_adjusted_as_the_t_tests_are(
    tmp_path: Path, correction: str, adjust: object
) -> None:
    found = nine_tests(tmp_path, correction=correction)
    assert callable(adjust)
    family = [test for test in found.family if test.in_family is not None]
    assert len(family) == found.tests_computed == 6
    rank = [test.comparison.tests.rank.p for test in family if test.comparison.tests]
    equal = [test.equivalence.p for test in family if test.equivalence]
    assert [test.in_family.rank_p for test in family if test.in_family] == list(adjust(rank))
    assert [t.in_family.equivalence_p for t in family if t.in_family] == list(adjust(equal))


def test_what_one_test_excludes_the_family_may_not(tmp_path: Path) -> None:
    found = nine_tests(tmp_path)
    open_ones = [
        test
        for test in found.family
        if test.equivalence and test.equivalence.shown and not test.in_family.equivalent  # type: ignore[union-attr]
    ]
    assert open_ones, "this study has a difference that only the single test excludes"
    for test in open_ones:
        assert "is excluded" not in sentence(test)
        assert "It is small" not in sentence(test)
        assert test.in_family is not None
        assert test.in_family.equivalence_p >= 0.05


def test_people_are_counted_at_the_level_that_decides(tmp_path: Path) -> None:
    test = next(one for one in nine_tests(tmp_path).family if "not excluded" in sentence(one))
    assert test.in_family is not None
    assert test.required_sample is not None
    required = test.in_family.required_sample
    assert required is not None
    assert required.size == sample_size(
        required.size.method, required.difference / required.sd, alpha=0.05 / 6
    )
    assert required.size.n > test.required_sample.size.n
    assert (
        f"takes {required.size.n} people (at 0.05 / 6, which the smallest p of 6 tests must reach)"
        in sentence(test)
    )


def test_programs_get_both_the_single_and_the_family_s_numbers(tmp_path: Path) -> None:
    found = nine_tests(tmp_path)
    for test, model in zip(found.family, response_of(found).comparisons, strict=True):
        if test.in_family is None or test.in_family.required_sample is None:
            assert model.needed_in_family is None
            continue
        assert model.equivalence is not None
        assert model.needed is not None
        assert model.needed_in_family is not None
        assert model.equivalence_adjusted_p == test.in_family.equivalence_p
        assert model.equivalence.p < model.equivalence_adjusted_p <= 1
        assert model.needed_in_family.n == test.in_family.required_sample.size.n
        assert (model.needed_in_family.tests, model.needed_in_family.level) == (6, 0.05 / 6)
        assert model.needed.n < model.needed_in_family.n
