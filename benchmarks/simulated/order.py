"""What the order of the states costs while a heart calms down: false positives and power.

    python -m benchmarks order      (python -m benchmarks.simulated.order --json [--studies N])

Each simulated study has 24 people who meet three states once, at 2, 5 and 8 minutes of a session
of ten. A heart calms down by 8 /min over the session, evenly (linear) or mostly at its start
(exponential, time constant 2.5 min). A share of the people (10 to 80 %) has the same order, the
others any. There is no effect; sd of a person's mean in a state about their level: 4 /min.

Figures (shares of all tests of all studies of the worst share of people and shape):
    order_false_positives_plain     p < 0.05 of the paired t-test
    order_false_positives_adjusted_… p < 0.05 of the test at equal times; lowest and highest
    order_false_positives_unwarned  the t-test says p < 0.05, and the page tells it without a word
                                    about time
    order_power_loss_points         d_z = 0.8 in balanced order: points of power that the test at
                                    equal times has less than the t-test of data without habituation
    order_power_loss_plain_points   the same of the t-test
and, where 70 % of the people have the same order and there is no effect, the share of studies in
which any of the three tests, adjusted as a family, says that there is a difference:
    order_studies_claiming_plain    of the t-tests
    order_studies_claiming_decided  of what the page decides by: the estimate at equal times where
                                    order and state hang together, else the t-test
    order_studies_claiming_DESIGN   the same of other falls, people and orders (``DESIGNS``): the
                                    studies that tell a difference without a caution
    order_studies_claiming_model    the same of the mixed model, which is told where somebody lacks
                                    a state: a quarter of the people do, 70 % have one order
and where one test is declared, the order is balanced, no heart calms down and a state adds 3.5
/min, the share of studies that find it:
    order_studies_finding_plain, order_studies_finding_decided
    order_studies_kept_decided      the latter over the former
    order_studies_cautioned         and that have a caution in any of three tests
and, where neutral, happiness and anger come in a cyclic Latin square and what anger adds lasts into
the next state, though no state has an effect:
    order_carried_told, order_carried_unwarned      the share of studies that report a difference of
                                    the other two; and without a caution
    order_carried_idle_6, _12, _24  nothing lasts, anger adds 6, and so many people have random
                                    orders: the share with a caution about what came before
    order_carried_true              of the differences reported there the share without it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np
import numpy.typing as npt

from benchmarks._command import benchmark
from dashboard.analysis.conclusions import Caution, shows
from dashboard.analysis.decision import TwoStates, decide
from dashboard.analysis.inference.checks import adjust_periods, effect_of, with_carry_over
from dashboard.analysis.inference.comparison import adjusted_p, compare_family
from dashboard.analysis.inference.family import compare_visits
from dashboard.analysis.inference.mixed import Main, mixed_models_of
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, Correction
from dashboard.analysis.query import Design as Question
from dashboard.analysis.readings.means import SessionMean, visits_of
from dashboard.analysis.results import PeriodModel, ResultModel
from dashboard.statistics.corrections import holm
from dashboard.statistics.distributions import Values
from dashboard.statistics.period import adjusted_for_place, drift
from dashboard.statistics.t_tests import paired_t
from edge_agent.core.vitals import VitalKind

PEOPLE = 24
MINUTES = np.array([2.0, 5.0, 8.0])
ORDERS = np.array(list(permutations(range(3))))
PAIRS = ((2, 0), (1, 0), (2, 1))
SHARES = (0.1, 0.2, 0.4, 0.6, 0.8)
FALL = 8.0
SD = 4.0
EFFECT = 0.8 * SD * float(np.sqrt(2.0))
MOST = 0.7
RAISED = 3.5
LASTS = 5.0
CYCLIC = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
"""A cyclic Latin square: anger (2) comes before neutral (0) twice, and never before happiness."""
QUERY = AnalysisQuery(vital=(VitalKind.HEART_RATE,))
Curve = Callable[[Values], Values]


def fall(size: float, constant: float) -> Curve:
    """Return an exponential fall over ten minutes, with its time constant in minutes."""
    return lambda minutes: (
        -size * (1 - np.exp(-minutes / constant)) / (1 - np.exp(-10.0 / constant))
    )


def rise_and_fall(minutes: Values) -> Values:
    """Return what warms up by 6 for four minutes and cools down after."""
    return np.asarray(6.0 * np.where(minutes < 4, minutes / 4, np.exp(-(minutes - 4) / 3)))


CURVES: dict[str, Curve] = {
    "linear": lambda minutes: -FALL * minutes / 10,
    "exponential": fall(FALL, 2.5),
}


@dataclass(frozen=True)
class OrderDesign:
    """A design without effect.

    Attributes:
        curve: the change over the session.
        sd: of a mean about its person's level.
        people: how many.
        orders: share of them, and the order that they have; any order for the others.
        each: how much the change differs between people: its sd, as a share of the change.
        minutes: when the three states are met.
    """

    curve: Curve
    sd: float
    people: int = PEOPLE
    orders: tuple[tuple[float, int], ...] = ((MOST, 0),)
    each: float = 0.0
    minutes: tuple[float, float, float] = (2.0, 5.0, 8.0)


DESIGNS = {
    # hundredths of a degree: a finger that cools by 0.8 °C
    "temperature": OrderDesign(fall(80.0, 2.5), 10.0),
    "temperature_48": OrderDesign(fall(80.0, 2.5), 10.0, people=48),
    "steady_heart": OrderDesign(fall(8.0, 2.5), 2.0),
    # orders 0 and 5 are each other's reverse: of two of the three pairs nothing can be adjusted
    "two_orders": OrderDesign(fall(8.0, 2.5), 2.0, orders=((0.6, 0), (0.4, 5))),
    # nothing here was looked at when the estimate was chosen
    "unseen": OrderDesign(
        rise_and_fall, 1.5, people=30, orders=((0.5, 3), (0.2, 4)), each=0.5, minutes=(1, 3, 11)
    ),
}
"""All of them fall further against their spread, or otherwise, than ``CURVES``."""


def times_in(rng: np.random.Generator, share: float | None) -> Values:
    """Return when each person meets each state; ``None`` is balanced, each order equally often."""
    balanced = np.arange(PEOPLE) % len(ORDERS)
    orders = balanced if share is None else orders_in(rng, PEOPLE, ((share, 0),))
    return np.asarray(MINUTES[np.argsort(ORDERS[orders], axis=1)])


def orders_in(
    rng: np.random.Generator, people: int, shares: Sequence[tuple[float, int]]
) -> npt.NDArray[np.int64]:
    """Return which order each person has, any where none is given."""
    orders = rng.integers(len(ORDERS), size=people)
    first = 0
    for share, order in shares:
        last = first + round(share * people)
        orders[first:last] = order
        first = last
    return orders


def places_of(times: Values) -> npt.NDArray[np.int64]:
    """Return as which number each person met each state, from 0."""
    return np.argsort(np.argsort(times, axis=1), axis=1)


def place_columns(places: npt.NDArray[np.int64], first: int, second: int) -> Values:
    """Return what ``adjusted_for_place`` needs of two states."""
    every = np.arange(places.shape[1])
    met = (places[:, [first]] == every).astype(float), (places[:, [second]] == every).astype(float)
    return np.asarray(met[0] - met[1])


def effects_of(
    times: Values, values: Values, pairs: Sequence[tuple[int, int]] = PAIRS
) -> tuple[PeriodModel, ...]:
    """Return what time in the session does to each pair, adjusted as one family."""
    person, state = np.indices(values.shape)
    change = drift(person.ravel().tolist(), state.ravel().tolist(), times.ravel(), values.ravel())
    decides = holm([paired_t(values[:, a], values[:, b]).p for a, b in pairs])
    places = places_of(times)
    effects = adjust_periods(
        [
            effect_of(
                (VitalKind.HEART_RATE, TESTED_STATES[a], TESTED_STATES[b]),
                (values[:, a].tolist(), values[:, b].tolist()),
                (times[:, a] - times[:, b]).tolist(),
                change.slope,
                places=place_columns(places, a, b),
            )
            for a, b in pairs
        ],
        decides,
        Correction.HOLM,
    )
    return tuple(effect for effect in effects if effect is not None)


def judged(times: Values, values: Values) -> list[tuple[bool, bool | None, bool]]:
    """Return for each pair: the t-test says p < 0.05, the adjusted one does, the page speaks of
    time."""
    effects = effects_of(times, values)
    plain = [paired_t(values[:, a], values[:, b]) for a, b in PAIRS]
    return [
        (
            test.p < 0.05,
            None if effect.p is None else effect.p < 0.05,
            # Told at equal times, or with a caution.
            effect.uneven or effect.disagrees,
        )
        for test, effect in zip(plain, effects, strict=True)
    ]


def family_of(
    times: Values, values: Values, pairs: Sequence[tuple[int, int]]
) -> list[tuple[float, float, bool]]:
    """Return for each pair p of the t-test, p of what the page decides by, both adjusted, and
    whether the page says with it that time may matter.
    """
    plain = holm([paired_t(values[:, a], values[:, b]).p for a, b in pairs])
    told = []
    for p, effect in zip(plain, effects_of(times, values, pairs), strict=True):
        own = effect.adjusted_p if effect.uneven else None
        if own is not None:
            told.append((p, own, False))
        else:
            told.append((p, p, effect.disagrees or (effect.uneven and shows(p))))
    return told


def false_positives(rng: np.random.Generator, studies: int) -> dict[str, float]:
    """Simulate studies without effect for each share of people and each shape."""
    plain: list[float] = []
    adjusted: list[float] = []
    unwarned: list[float] = []
    for name, curve in CURVES.items():
        for share in SHARES:
            tests = []
            for _ in range(studies):
                times = times_in(rng, share)
                tests += judged(times, curve(times) + rng.normal(0, SD, times.shape))
            at_equal = [one for _, one, _ in tests if one is not None]
            plain.append(float(np.mean([one for one, _, _ in tests])))
            adjusted.append(float(np.mean(at_equal)))
            unwarned.append(float(np.mean([one and not warns for one, _, warns in tests])))
            print(
                f"{name:12} {share:4.0%}  plain {plain[-1]:.3f}  adjusted {adjusted[-1]:.3f}  "
                f"without a caution {unwarned[-1]:.3f}"
            )
    return {
        "order_false_positives_plain": max(plain),
        "order_false_positives_adjusted_lowest": min(adjusted),
        "order_false_positives_adjusted_highest": max(adjusted),
        "order_false_positives_unwarned": max(unwarned),
    }


def power(rng: np.random.Generator, studies: int) -> dict[str, float]:
    """Simulate studies with an effect of the last state on the first, in balanced order."""
    lost_adjusted = []
    lost_plain = []
    times = times_in(rng, None)
    places = place_columns(places_of(times), 2, 0)
    for curve in CURVES.values():
        significant = []
        for _ in range(studies):
            noise = rng.normal(0, SD, times.shape)
            noise[:, 2] += EFFECT
            calmed = noise + curve(times)
            adjusted = adjusted_for_place(calmed[:, 2], calmed[:, 0], places)
            tests = (
                paired_t(noise[:, 2], noise[:, 0]).p,
                paired_t(calmed[:, 2], calmed[:, 0]).p,
                adjusted.p,
            )
            significant.append([p < 0.05 for p in tests])
        without, plain, at_equal = np.mean(significant, axis=0)
        print(
            f"power: {without:.3f} without habituation; {plain:.3f} plain, {at_equal:.3f} at equal"
        )
        lost_plain.append(100 * float(without - plain))
        lost_adjusted.append(100 * float(without - at_equal))
    return {
        "order_power_loss_points": max(lost_adjusted),
        "order_power_loss_plain_points": max(lost_plain),
    }


def decided(rng: np.random.Generator, studies: int) -> dict[str, float]:
    """Simulate whole studies, without an effect and with one."""
    claims = []
    for name, curve in CURVES.items():
        claiming = []
        for _ in range(studies):
            times = times_in(rng, MOST)
            values = curve(times) + rng.normal(0, SD, times.shape)
            family = family_of(times, values, PAIRS)
            claiming.append(np.min([one[:2] for one in family], axis=0) < 0.05)
        claims.append(np.mean(claiming, axis=0))
        print(f"{name:12} studies claiming: plain {claims[-1][0]:.3f}, decided {claims[-1][1]:.3f}")
    balanced = times_in(rng, None)
    finding = []
    cautioned = []
    for _ in range(studies):
        values = rng.normal(0, SD, balanced.shape)
        values[:, 2] += RAISED
        finding.append(np.array(family_of(balanced, values, PAIRS[:1])[0][:2]) < 0.05)
        cautioned.append(any(warned for *_, warned in family_of(balanced, values, PAIRS)))
    claims_plain, claims_decided = np.max(claims, axis=0).tolist()
    finds_plain, finds_decided = np.mean(finding, axis=0).tolist()
    return {
        "order_studies_claiming_plain": claims_plain,
        "order_studies_claiming_decided": claims_decided,
        "order_studies_finding_plain": finds_plain,
        "order_studies_finding_decided": finds_decided,
        "order_studies_kept_decided": finds_decided / finds_plain,
        "order_studies_cautioned": float(np.mean(cautioned)),
    }


def designed(rng: np.random.Generator, studies: int) -> dict[str, float]:
    """Simulate whole studies of each of the designs, which have no effect."""
    figures = {}
    for name, design in DESIGNS.items():
        claiming = []
        for _ in range(studies):
            times, values = study_of(rng, design)
            family = family_of(times, values, PAIRS)
            claiming.append(any(shows(p) and not warned for _, p, warned in family))
        figures[f"order_studies_claiming_{name}"] = float(np.mean(claiming))
        print(f"{name:15} studies claiming without a caution: {np.mean(claiming):.3f}")
    return figures


def study_of(rng: np.random.Generator, design: OrderDesign) -> tuple[Values, Values]:
    """Return when each person meets each state, and the means."""
    orders = orders_in(rng, design.people, design.orders)
    times = np.array(design.minutes)[np.argsort(ORDERS[orders], axis=1)]
    own = 1 + design.each * rng.normal(size=(design.people, 1))
    return times, own * design.curve(times) + rng.normal(0, design.sd, times.shape)


def lasting(rng: np.random.Generator, studies: int) -> dict[str, float]:
    """Simulate studies in which anger lasts, and such in which nothing does."""
    pairs = ((0, 1), (0, 2), (1, 2))
    told, unwarned = [], []
    for _ in range(studies):
        orders = CYCLIC[np.arange(PEOPLE) % len(CYCLIC)]
        values = rng.normal(0, SD, orders.shape) + LASTS * _follows(orders)[..., 2]
        result = _decided_after(orders, values, pairs)[0]
        told.append(result.shows_difference)
        unwarned.append(result.shows_difference and not result.caution_codes)
    figures = {
        "order_carried_told": float(np.mean(told)),
        "order_carried_unwarned": float(np.mean(unwarned)),
    }
    kept: list[bool] = []
    for people in (6, 12, 24):
        idle = []
        for _ in range(studies):
            orders = ORDERS[rng.integers(len(ORDERS), size=people)]
            values = rng.normal(0, SD, orders.shape) + LASTS * (np.arange(3) == 2)
            results = _decided_after(orders, values, pairs)
            warned = [Caution.CARRY_OVER in one.caution_codes for one in results]
            idle.append(any(warned))
            kept += [
                not own for own, one in zip(warned, results, strict=True) if one.shows_difference
            ]
        figures[f"order_carried_idle_{people}"] = float(np.mean(idle))
    return figures | {"order_carried_true": float(np.mean(kept))}


def _follows(orders: npt.NDArray[np.int64]) -> Values:
    """Return of each person and state whether it came right after each other one."""
    follows = np.zeros((*orders.shape, orders.shape[1]))
    for person, own in enumerate(orders.tolist()):
        for last, state in pairwise(own):
            follows[person, state, last] = 1.0
    return follows


def _decided_after(
    orders: npt.NDArray[np.int64], values: Values, pairs: Sequence[tuple[int, int]]
) -> list[ResultModel]:
    """Return the results of pairs of states, which were met in these orders."""
    codes = [f"P{person:03}" for person in range(len(orders))]
    columns = [dict(zip(codes, own, strict=True)) for own in values.T.tolist()]
    compared = compare_family(
        ((columns[a], columns[b]) for a, b in pairs), Question.PAIRED, [0] * len(pairs)
    )
    places, follows = np.argsort(orders, axis=1), _follows(orders)
    effects = [
        with_carry_over(
            effect_of(
                (VitalKind.HEART_RATE, TESTED_STATES[a], TESTED_STATES[b]),
                (one.first, one.second),
                (3.0 * (places[:, a] - places[:, b])).tolist(),
                None,
                places=place_columns(places, a, b),
            ),
            (one.first, one.second),
            {
                str(TESTED_STATES[other]): follows[:, a, other] - follows[:, b, other]
                for other in range(values.shape[1])
                if other not in (a, b)
            },
            place_columns(places, a, b),
        )
        for (a, b), one in zip(pairs, compared, strict=True)
    ]
    decides = [adjusted_p(one.tests, Correction.HOLM) for one in compared]
    judged = adjust_periods(effects, decides, Correction.HOLM)
    return [
        decide(TwoStates(one, None, effect), Main.T_TESTS, Correction.HOLM)[0]
        for one, effect in zip(compared, judged, strict=True)
    ]


def modelled(rng: np.random.Generator, studies: int) -> dict[str, float]:
    """Simulate studies in which some people lack a state, so that the mixed model is reported."""
    claiming = []
    for _ in range(studies):
        times, values = study_of(rng, DESIGNS["steady_heart"])
        places = places_of(times)
        lacks = np.where(rng.random(PEOPLE) < 0.25, rng.integers(3, size=PEOPLE), -1)
        means = [
            SessionMean(
                f"P-{person:02d}",
                person,
                VitalKind.HEART_RATE,
                str(state),
                70.0 + values[person, number],
                40,
                False,
                float(times[person, number]),
                place=int(places[person, number]) + 1,
            )
            for person in range(PEOPLE)
            for number, state in enumerate(TESTED_STATES)
            if number != lacks[person]
        ]
        family = compare_visits(visits_of(means), QUERY)
        [model], tests = mixed_models_of(means, family, QUERY)
        claiming.append(model.is_timed and any(shows(one.adjusted_p) for one in tests.values()))
    print(f"mixed model     studies claiming without a caution: {np.mean(claiming):.3f}")
    return {"order_studies_claiming_model": float(np.mean(claiming))}


def measure(studies: int) -> dict[str, float]:
    """Return all figures."""
    rng = np.random.default_rng(1)
    return {
        **false_positives(rng, studies),
        **power(rng, studies),
        **decided(rng, studies),
        **designed(rng, studies),
        **modelled(rng, studies),
        **lasting(rng, studies),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, ""))
