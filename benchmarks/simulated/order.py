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
and where one test is declared, the order is balanced, no heart calms down and a state adds 3.5
/min, the share of studies that find it:
    order_studies_finding_plain, order_studies_finding_decided
    order_studies_kept_decided      the latter over the former
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np

from benchmarks._command import benchmark
from dashboard.analysis.inference.checks import adjust_periods, effect_of
from dashboard.analysis.question import TESTED_STATES, Correction
from dashboard.analysis.results import PeriodModel
from dashboard.statistics.corrections import holm
from dashboard.statistics.distributions import Values
from dashboard.statistics.period import adjusted_for_time, drift
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
CURVES: dict[str, Callable[[Values], Values]] = {
    "linear": lambda minutes: -FALL * minutes / 10,
    "exponential": lambda minutes: -FALL * (1 - np.exp(-minutes / 2.5)) / (1 - np.exp(-4.0)),
}


def times_in(rng: np.random.Generator, share: float | None) -> Values:
    """Return when each person meets each state; ``None`` is balanced, each order equally often."""
    orders = ORDERS[np.arange(PEOPLE) % len(ORDERS)]
    if share is not None:
        orders = ORDERS[rng.integers(len(ORDERS), size=PEOPLE)]
        orders[: round(share * PEOPLE)] = ORDERS[0]
    return np.asarray(MINUTES[np.argsort(orders, axis=1)])


def effects_of(
    times: Values, values: Values, pairs: Sequence[tuple[int, int]] = PAIRS
) -> tuple[PeriodModel, ...]:
    """Return what time in the session does to each pair, adjusted as one family."""
    person, state = np.indices(values.shape)
    change = drift(person.ravel().tolist(), state.ravel().tolist(), times.ravel(), values.ravel())
    decides = holm([paired_t(values[:, a], values[:, b]).p for a, b in pairs])
    effects = adjust_periods(
        [
            effect_of(
                (VitalKind.HEART_RATE, TESTED_STATES[a], TESTED_STATES[b]),
                values[:, a].tolist(),
                values[:, b].tolist(),
                (times[:, a] - times[:, b]).tolist(),
                change.slope,
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
) -> list[tuple[float, float]]:
    """Return for each pair p of the t-test, and p of what the page decides by; both adjusted."""
    plain = holm([paired_t(values[:, a], values[:, b]).p for a, b in pairs])
    return [
        (p, effect.adjusted_p if effect.uneven and effect.adjusted_p is not None else p)
        for p, effect in zip(plain, effects_of(times, values, pairs), strict=True)
    ]


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
    gaps = times[:, 2] - times[:, 0]
    for curve in CURVES.values():
        significant = []
        for _ in range(studies):
            noise = rng.normal(0, SD, times.shape)
            noise[:, 2] += EFFECT
            calmed = noise + curve(times)
            adjusted = adjusted_for_time(calmed[:, 2], calmed[:, 0], gaps)
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
            claiming.append(np.min(family_of(times, values, PAIRS), axis=0) < 0.05)
        claims.append(np.mean(claiming, axis=0))
        print(f"{name:12} studies claiming: plain {claims[-1][0]:.3f}, decided {claims[-1][1]:.3f}")
    balanced = times_in(rng, None)
    finding = []
    for _ in range(studies):
        values = rng.normal(0, SD, balanced.shape)
        values[:, 2] += RAISED
        finding.append(np.array(family_of(balanced, values, PAIRS[:1])[0]) < 0.05)
    claims_plain, claims_decided = np.max(claims, axis=0).tolist()
    finds_plain, finds_decided = np.mean(finding, axis=0).tolist()
    return {
        "order_studies_claiming_plain": claims_plain,
        "order_studies_claiming_decided": claims_decided,
        "order_studies_finding_plain": finds_plain,
        "order_studies_finding_decided": finds_decided,
        "order_studies_kept_decided": finds_decided / finds_plain,
    }


def measure(studies: int) -> dict[str, float]:
    """Return all figures."""
    rng = np.random.default_rng(1)
    return false_positives(rng, studies) | power(rng, studies) | decided(rng, studies)


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, ""))
