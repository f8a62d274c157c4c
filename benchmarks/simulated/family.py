"""How often a family of tests finds what is not there: of nine equivalence tests an exclusion, of
the tests over all states at once a difference.

    python -m benchmarks family      (python -m benchmarks.simulated.family --json [--studies N])

Each simulated study has 24 people. *Equivalence*: nine comparisons (three pairs of three states of
three vitals), each with a true difference as large as the bound: whatever is called excluded is an
error. *All states*: three or seven vitals without any effect, three states in balanced orders; and
three vitals that fall by 8 over the session while a share of the people (20 to 80 %) has the same
order.

Figures (shares of studies):
    family_wrong_exclusions_unadjusted  an exclusion by single tests at 0.05
    family_wrong_exclusions             an exclusion on the Analysis page
    family_all_states_…_unadjusted      a corrected p < 0.05 of any vital, for 3 and 7 vitals
    family_all_states_…                 a vital of which the page says that it differed
    family_all_states_one_order…        the same with the fall, the worst share of people
"""

from __future__ import annotations

import numpy as np

from benchmarks._command import benchmark
from benchmarks.simulated.order import FALL, PEOPLE, SD, places_of, times_in
from dashboard.analysis.conclusions import shows
from dashboard.analysis.inference.checks import periods_of
from dashboard.analysis.inference.family import adjusted_by, compare_visits
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, Correction
from dashboard.analysis.readings.means import Visits
from dashboard.analysis.results import AllStatesModel, DriftModel
from dashboard.analysis.steps.decided import all_states_of
from dashboard.statistics.distributions import Values
from dashboard.statistics.t_tests import EquivalenceBounds, Method, equivalence
from edge_agent.core.vitals import VitalKind

TESTS = 9
BOUND = 5.0
SD_PEOPLE = 8.0
SD_MEAN = 4.0
VITALS = (
    VitalKind.HEART_RATE,
    VitalKind.SYSTOLIC,
    VitalKind.DIASTOLIC,
    VitalKind.MEAN_ARTERIAL,
    VitalKind.OXYGEN_SATURATION,
    VitalKind.SKIN_TEMPERATURE,
    VitalKind.RESPIRATION_RATE,
)
SHARES = (0.2, 0.4, 0.6, 0.8)


def exclusions(rng: np.random.Generator) -> tuple[bool, bool]:
    """Simulate one study; return whether any test says "excluded", unadjusted and adjusted."""
    tests = []
    for _ in range(TESTS):
        level = rng.normal(75.0, SD_PEOPLE, PEOPLE)
        first = level + BOUND + rng.normal(0.0, SD_MEAN, PEOPLE)
        second = level + rng.normal(0.0, SD_MEAN, PEOPLE)
        tests.append(equivalence(first, second, Method.PAIRED, EquivalenceBounds(-BOUND, BOUND)))
    adjusted = adjusted_by(Correction.HOLM, [test.p for test in tests])
    return any(shows(test.p) for test in tests), shows(min(adjusted))


def all_states(
    rng: np.random.Generator, vitals: int, share: float | None = None
) -> tuple[bool, bool]:
    """Simulate one study without effect.

    Args:
        rng: makes the values.
        vitals: how many are measured.
        share: of the people with the same order, where the vitals fall; ``None``: balanced orders,
            and nothing falls.

    Returns:
        Whether any vital has a p below 0.05, and whether any is said to differ.
    """
    times = times_in(rng, share)
    fall = 0.0 if share is None else FALL / 10
    values = {
        kind: rng.normal(75.0, SD_PEOPLE, (PEOPLE, 1))
        - fall * times
        + rng.normal(0.0, SD, times.shape)
        for kind in VITALS[:vitals]
    }
    states = _compared(values, times)
    unadjusted = [one.p for one in states if one.p is not None]
    return shows(min(unadjusted)), any(one.differs for one in states)


def _compared(values: dict[VitalKind, Values], times: Values) -> tuple[AllStatesModel, ...]:
    query = AnalysisQuery(vital=tuple(values))
    visits: Visits = {kind: _visits(own) for kind, own in values.items()}
    compared = compare_visits(visits, query)
    drifts = [
        DriftModel(vital=kind, slope=None, interval=None, p=None, people=0, reason="", sentence="")
        for kind in values
    ]
    at: Visits = {kind: _visits(times) for kind in values}
    met: Visits = {kind: _visits(np.asarray(places_of(times) + 1, np.float64)) for kind in values}
    return all_states_of(visits, periods_of(compared, at, met, drifts, query), query)


def _visits(table: Values) -> dict[str, list[dict[str, float]]]:
    return {
        str(person): [dict(zip(TESTED_STATES, row, strict=True))]
        for person, row in enumerate(table.tolist())
    }


def measure(studies: int) -> dict[str, float]:
    """Return all figures over so many studies of each kind."""
    rng = np.random.default_rng(1)
    before, after = np.mean([exclusions(rng) for _ in range(studies)], axis=0).tolist()
    figures = {"family_wrong_exclusions_unadjusted": before, "family_wrong_exclusions": after}
    for vitals in (3, 7):
        shares = np.mean([all_states(rng, vitals) for _ in range(studies)], axis=0)
        figures[f"family_all_states_{vitals}_unadjusted"] = float(shares[0])
        figures[f"family_all_states_{vitals}"] = float(shares[1])
    ordered = [
        np.mean([all_states(rng, 3, share) for _ in range(studies)], axis=0) for share in SHARES
    ]
    worst = np.max(ordered, axis=0)
    figures["family_all_states_one_order_unadjusted"] = float(worst[0])
    figures["family_all_states_one_order"] = float(worst[1])
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, ""))
