"""Order of the states and measures of skin and heart: what is reported, in which words.

    python -m benchmarks measures   (python -m benchmarks.simulated.measures --json [--studies N])

Each simulated study has 24 people who meet three states once, each for three minutes, at 2, 5 and 8
minutes of a session. Responses of skin conductance come at random (Poisson) at a rate that falls
from 8 to 4 a minute with a time constant of 2.5 min; a share of the people (all, 70 %, 40 %, the
rest in any order) has one order; no state does anything. A study counts once, whatever its tests.

Figures (shares of the studies in which any of the three tests, adjusted as a family, …):
    measures_told_one_order, measures_told_70, measures_told_40
                                    … tells a difference without a caution about time
    measures_told_heart_70          the same of RMSSD, which rises by 30 % in the session, evenly;
                                    70 % of the people have one order
    measures_claimed_70             … tells one, with a caution or without
    measures_cautioned_balanced     … has a caution about time where the order is balanced and
                                    nothing falls
    measures_found_balanced         the share that tells the 1.2 a minute which anger adds there
    measures_found_plain            the same of the t-test alone
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks._command import benchmark
from benchmarks.simulated.order import PEOPLE, places_of, times_in
from dashboard.analysis.conclusions import Caution, shows
from dashboard.analysis.decision import decide_measures
from dashboard.analysis.inference.measures import M, MeasuredValue, MeasuredValues, compare_measures
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, HeartMeasure, SkinMeasure
from dashboard.analysis.readings.places import Places
from dashboard.analysis.results import HeartTestModel, MeasureTestModel, SkinTestModel
from dashboard.statistics.distributions import Values

COUNT, RMSSD = SkinMeasure.SCR_COUNT, HeartMeasure.LN_RMSSD
LASTED_MIN = 3.0
FIRST, LAST = 8.0, 4.0
"""Responses a minute at the start and at the end of a session."""
ADDED = 1.2
"""Responses a minute that anger adds."""
ABOUT_TIME = {Caution.ORDER, Caution.TIME, Caution.DISAGREES}


def falling(minutes: Values) -> Values:
    """Return the responses a minute at a time in the session."""
    return np.asarray(LAST + (FIRST - LAST) * np.exp(-minutes / 2.5))


def counts_at(rng: np.random.Generator, rates: Values) -> Values:
    """Return counted responses a minute, of people who differ by a fourth."""
    person = rng.lognormal(0, 0.25, (PEOPLE, 1))
    return np.asarray(rng.poisson(person * rates * LASTED_MIN) / LASTED_MIN)


def rmssd_at(rng: np.random.Generator, minutes: Values) -> Values:
    """Return ln RMSSD, which rises by the logarithm of 1.3 in ten minutes."""
    person = rng.normal(3.5, 0.4, (PEOPLE, 1))
    return np.asarray(person + np.log(1.3) * minutes / 10 + rng.normal(0, 0.12, minutes.shape))


def met(times: Values) -> Places:
    """Return as which number of the session each person met each state."""
    return {
        (person, str(state)): int(place) + 1
        for person, own in enumerate(places_of(times))
        for state, place in zip(TESTED_STATES, own, strict=True)
    }


def rows_of(measure: M, times: Values, values: Values) -> MeasuredValues[M]:
    """Return a study as one value of each person and state."""
    rows = tuple(
        MeasuredValue(measure, f"P{person:02}", person, state, float(value), float(minute))
        for person, (own, at) in enumerate(zip(values, times, strict=True))
        for state, value, minute in zip(TESTED_STATES, own, at, strict=True)
    )
    return MeasuredValues(rows, {measure: {}})


def skin_tests(times: Values, values: Values) -> Sequence[MeasureTestModel]:
    """Return the decided tests of a study of responses."""
    query = AnalysisQuery(skin_measure=(COUNT,))
    compared = compare_measures(rows_of(COUNT, times, values), query, met(times))
    return decide_measures(SkinTestModel, compared, query, None)


def heart_tests(times: Values, values: Values) -> Sequence[MeasureTestModel]:
    """Return the decided tests of a study of RMSSD."""
    query = AnalysisQuery(heart_measure=(RMSSD,))
    compared = compare_measures(rows_of(RMSSD, times, values), query, met(times))
    return decide_measures(HeartTestModel, compared, query, None)


def is_cautioned(test: MeasureTestModel) -> bool:
    """Tell whether a result says a word about time."""
    return bool(ABOUT_TIME & set(test.result.caution_codes))


def measure(studies: int) -> dict[str, float]:
    """Return all figures."""
    rng = np.random.default_rng(1)
    told: dict[str, list[bool]] = {}
    claimed = []
    for _ in range(studies):
        for name, share in (("one_order", 1.0), ("70", 0.7), ("40", 0.4)):
            times = times_in(rng, share)
            tests = skin_tests(times, counts_at(rng, falling(times)))
            claims = [one for one in tests if one.result.shows_difference]
            told.setdefault(name, []).append(not all(map(is_cautioned, claims)))
            if name == "70":
                claimed.append(bool(claims))
        times = times_in(rng, 0.7)
        tests = heart_tests(times, rmssd_at(rng, times))
        claims = [one for one in tests if one.result.shows_difference]
        told.setdefault("heart_70", []).append(not all(map(is_cautioned, claims)))
    balanced = times_in(rng, None)
    cautioned, told_added, plain = [], [], []
    for _ in range(studies):
        still = skin_tests(balanced, counts_at(rng, np.full(balanced.shape, LAST)))
        cautioned.append(any(map(is_cautioned, still)))
        rates = np.full(balanced.shape, LAST)
        rates[:, TESTED_STATES.index("anger")] += ADDED
        (first, *_) = skin_tests(balanced, counts_at(rng, rates))
        told_added.append(first.result.shows_difference)
        plain.append(shows(first.adjusted_p))
    return {
        **{f"measures_told_{name}": float(np.mean(own)) for name, own in told.items()},
        "measures_claimed_70": float(np.mean(claimed)),
        "measures_cautioned_balanced": float(np.mean(cautioned)),
        "measures_found_balanced": float(np.mean(told_added)),
        "measures_found_plain": float(np.mean(plain)),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(600, ""))
