"""How often a study finds the difference that it was planned for, by the size of its family.

    python -m benchmarks planning     (python -m benchmarks.simulated.planning --json [--studies N])

Each study is planned as the page Plan plans it: the smallest difference worth finding, the spread
and the correlation, 80 % power, and the family counted from the question. As many people as the
plan says are then simulated, and the study has found the difference where the page tells it, with
its direction: by the t-test, or at equal times where order and state hang together. The question
compares three states of 1, 3, 5 or 7 vitals (3, 9, 15, 21 tests), and one vital alone differs.

    balanced   d_z 0.6: all six orders equally often; anger alone is raised
    one_order  d_z 0.8: 70 % of the people go through the states in one order, 30 % in the reverse
               one, and hearts calm down by 8 /min over the session; planned with that share
    groups     d 0.9: each person meets one state, so that Welch's test decides
    unruly     5 /min at sd 9 and r 0.6: errors with tails of t with 5 degrees of freedom, vitals
               that go together (0.5), a calming that differs between people, happiness raised by
               half as much, and orders drawn at random. No rule was tuned to it.

Figures (shares of studies that find it):
    planning_found_K_tests_lowest, …_highest   over these designs, for a family of K tests
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations

import numpy as np

from benchmarks._command import benchmark
from dashboard.analysis.conclusions import Conclusion
from dashboard.analysis.decision import TwoStates, decide
from dashboard.analysis.inference.checks import drift_of, periods_of
from dashboard.analysis.inference.family import compare_visits
from dashboard.analysis.inference.mixed import main_analysis, mixed_models_of
from dashboard.analysis.planning import PlanModel, PlanQuery, plan_of
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, Design, address_of
from dashboard.analysis.readings.means import (
    SessionMean,
    place_visits_of,
    state_means,
    times_of,
    visits_of,
)
from dashboard.statistics.distributions import Values
from edge_agent.core.measures import Measure
from edge_agent.core.vitals import VitalKind

VITALS = (
    VitalKind.HEART_RATE,
    VitalKind.SYSTOLIC,
    VitalKind.DIASTOLIC,
    VitalKind.MEAN_ARTERIAL,
    VitalKind.OXYGEN_SATURATION,
    VitalKind.SKIN_TEMPERATURE,
    VitalKind.RESPIRATION_RATE,
)
NEUTRAL, HAPPINESS, ANGER = range(3)
MINUTES = np.array([2.0, 5.0, 8.0])
ORDERS = np.array(list(permutations(range(3))))
LEVEL_SD = 8.0
SD_MEAN = 4.0
SHARE = 0.7
FALL = 0.8  # a minute

Study = tuple[Values, Values]
"""The mean of each person, vital and state, NaN where there is none; its minute, without vitals."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A design: what is planned, and what is simulated.

    Attributes:
        assumed: the assumptions, as fields of ``PlanQuery``.
        simulate: makes a study of so many people and vitals, the first of which differs.
        design: of the question.
    """

    assumed: dict[str, object]
    simulate: Callable[[np.random.Generator, int, int], Study]
    design: Design = Design.AUTO


def _times(orders: Values) -> Values:
    """Return when each person meets each state."""
    return np.asarray(MINUTES[np.argsort(orders, axis=1)])


def _noise(rng: np.random.Generator, people: int, vitals: int) -> Values:
    """Return levels of people with errors of their means about them."""
    levels = rng.normal(75.0, LEVEL_SD, (people, vitals, 1))
    return np.asarray(levels + rng.normal(0.0, SD_MEAN, (people, vitals, 3)))


def balanced(rng: np.random.Generator, people: int, vitals: int) -> Study:
    """Everybody meets all states, in all orders; anger alone raises the first vital."""
    values = _noise(rng, people, vitals)
    values[:, 0, ANGER] += 0.6 * SD_MEAN * np.sqrt(2.0)
    return values, _times(ORDERS[np.arange(people) % len(ORDERS)])


def one_order(rng: np.random.Generator, people: int, vitals: int) -> Study:
    """Most meet the states in one order, the others in the reverse one, while hearts calm down."""
    values = _noise(rng, people, vitals)
    values[:, 0, ANGER] += 0.8 * SD_MEAN * np.sqrt(2.0)
    reverse = np.arange(people) >= round(SHARE * people)
    times = _times(np.where(reverse[:, None], [ANGER, HAPPINESS, NEUTRAL], [0, 1, 2]))
    values[:, 0] -= FALL * times
    return values, times


def groups(rng: np.random.Generator, people: int, vitals: int) -> Study:
    """Each person meets one state; ``people`` of them in each."""
    values = np.full((3 * people, vitals, 3), np.nan)
    for state in range(3):
        own = slice(state * people, (state + 1) * people)
        values[own, :, state] = rng.normal(75.0, LEVEL_SD, (people, vitals))
    values[:, 0, ANGER] += 0.9 * LEVEL_SD
    return values, np.full((3 * people, 3), 5.0)


def unruly(rng: np.random.Generator, people: int, vitals: int) -> Study:
    """Simulate heavy tails, vitals that go together, and hearts that calm in ways of their own."""
    sd, correlation = 9.0, 0.6
    shape = (people, vitals, 3)
    shared = rng.standard_t(5, (people, 1, 3)) * np.sqrt(0.5)
    errors = (shared + rng.standard_t(5, shape) * np.sqrt(0.5)) / np.sqrt(5 / 3)
    levels = rng.normal(75.0, sd * np.sqrt(correlation), (people, vitals, 1))
    times = _times(ORDERS[rng.integers(len(ORDERS), size=people)])
    calming = rng.normal(0.1, 0.1, (people, 1))
    values = levels + sd * np.sqrt(1 - correlation) * errors
    values[:, 0] -= calming * times
    values[:, 0, ANGER] += 5.0
    values[:, 0, HAPPINESS] += 2.5
    return np.asarray(values), times


PLANNED = {
    "balanced": Planned({"d_z": 0.6}, balanced),
    "one_order": Planned({"d_z": 0.8, "order": SHARE}, one_order),
    "groups": Planned({"d_z": 0.9, "design": "groups"}, groups, Design.INDEPENDENT),
    "unruly": Planned({"difference": 5.0, "sd": 9.0, "correlation": 0.6}, unruly),
}


def plan_for(planned: Planned, query: AnalysisQuery) -> PlanModel:
    """Return the plan of a design, whose family is counted from the question."""
    fields = planned.assumed | {"question": address_of(query)}
    return plan_of(PlanQuery.model_validate(fields))


def means_of(study: Study, kinds: Sequence[Measure]) -> list[SessionMean]:
    """Return a simulated study as means of sessions, one of each person."""
    values, times = study
    return [
        SessionMean(
            participant=f"P-{person:04d}",
            session=int(person),
            kind=kinds[vital],
            state=str(TESTED_STATES[state]),
            mean=float(values[person, vital, state]),
            readings=1,
            simulated=False,
            minutes=float(times[person, state]),
            timed=None,
            place=1 + int(np.sum(times[person] < times[person, state])),
        )
        for person, vital, state in np.argwhere(~np.isnan(values))
    ]


def finds(study: Study, query: AnalysisQuery) -> bool:
    """Tell whether the page says that the first vital is higher in anger than in neutral."""
    means = means_of(study, query.vital)
    family = compare_visits(visits_of(means), query)
    models, by_model = mixed_models_of(means, family, query, only_main=True)
    main = main_analysis(models, by_model, family, query.design, query.states)
    course = state_means(means)
    drifts = [drift_of(kind, course) for kind in query.vital]
    periods = periods_of(family, times_of(means), place_visits_of(means), drifts, query)
    kind = query.vital[0]
    place = query.pairs.index((TESTED_STATES[ANGER], TESTED_STATES[NEUTRAL]))
    tested = by_model.get((kind, *query.pairs[place]))
    of = TwoStates(family[place], None, periods[place], models[0], tested)
    told, *_ = decide(of, main, query.correction)
    return told.conclusion is Conclusion.HIGHER


def share_found(rng: np.random.Generator, planned: Planned, vitals: int, studies: int) -> float:
    """Return the share of the studies of a design that find what they were planned for."""
    query = AnalysisQuery(vital=VITALS[:vitals], design=planned.design)
    people = plan_for(planned, query).n
    simulate = partial(planned.simulate, rng, people, vitals)
    return float(np.mean([finds(simulate(), query) for _ in range(studies)]))


def measure(studies: int) -> dict[str, float]:
    """Return all figures over so many studies of each design and size of family."""
    rng = np.random.default_rng(1)
    figures = {}
    for vitals in (1, 3, 5, 7):
        shares = {name: share_found(rng, one, vitals, studies) for name, one in PLANNED.items()}
        print(f"{3 * vitals:2} tests  " + "  ".join(f"{n} {s:.3f}" for n, s in shares.items()))
        figures[f"planning_found_{3 * vitals}_tests_lowest"] = min(shares.values())
        figures[f"planning_found_{3 * vitals}_tests_highest"] = max(shares.values())
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(600, ""))
